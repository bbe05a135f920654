"""How an asset is declared here: its tables, what it reads, and one thin function.

``@table_asset`` turns a function into a declaration; ``Declaration.build`` turns the declaration into
a Dagster asset once the universe is known. Every asset gets the same treatment in one place: the
tables' schema as metadata, the checks of ``schemas.py`` run *before* the slice is stored, provenance,
a data version. What the tables hold is not decided here.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Final

import dagster as dg
import pandas as pd

from assets.automation import RAW_FRESHNESS, condition_of
from assets.partitions import Partitions, slice_of
from resources.parquet_io import COLUMNS_METADATA, PROVENANCE_ATTRIBUTE, StoredModel
from resources.parquet_store import ParquetStore, SliceKey
from trading_dag.errors import BadSliceError, StorageError
from trading_dag.quality import Rule, empty_frame, rules_of
from trading_dag.schemas import Column, SliceKind, Table
from trading_dag.sessions import Horizon, horizon_of
from trading_dag.settings import Settings

OWNERS: Final = ["team:research"]
TABLE_IO: Final = "parquet_io"
MODEL_IO: Final = "model_io"
RESOURCES: Final = {"settings", "source", "store"}
LOOKAHEAD_RULE: Final = Rule(
    name="no_lookahead",
    description="Cutting or perturbing the input after a session changes no row at or before it.",
)


@dataclass(frozen=True)
class Slice:
    """Where an asset function stands: its slice, the settings, and the two places bytes come from."""

    key: SliceKey
    settings: Settings
    source: Any
    store: ParquetStore

    @property
    def ticker(self) -> str:
        """Ticker of the slice."""
        if self.key.ticker is None:
            raise StorageError("an unpartitioned asset has no ticker")
        return self.key.ticker

    @property
    def horizon(self) -> Horizon:
        """Horizon of the slice."""
        if self.key.horizon is None:
            raise StorageError(f"{self.key} has no horizon")
        return horizon_of(self.key.horizon)


@dataclass(frozen=True)
class Read:
    """An input: a table (all of it, or some columns), or a model by name.

    Attributes
    ----------
    same_source_as : name of another input; where the two come from different sources, this one is
        read as empty, so that a run on one source never mixes in rows of another.
    """

    table: Table | None = None
    columns: tuple[str, ...] = ()
    model: str | None = None
    same_source_as: str | None = None

    @property
    def asset_key(self) -> dg.AssetKey:
        """Key of the upstream asset."""
        if self.table is not None:
            return dg.AssetKey([self.table.group, self.table.name])
        return dg.AssetKey(["models", self.model or ""])


@dataclass(frozen=True)
class Result:
    """What an asset function may return beside bare frames: frames by table name, and metadata for the UI."""

    frames: dict[str, pd.DataFrame]
    metadata: dict[str, Any] = field(default_factory=dict)
    source_off: str | None = None


@dataclass(frozen=True)
class Declaration:
    """An asset (or several that one computation makes) before the universe is known."""

    function: Callable[..., Any]
    name: str
    group: str
    slice: SliceKind
    tables: tuple[Table, ...]
    reads: Mapping[str, Read]
    code_version: str
    kinds: frozenset[str]
    automation: str
    is_fetched: bool
    probes: Mapping[str, str] | None
    uses: tuple[str, ...]

    def fingerprint(self, settings: Settings) -> dict[str, str]:
        """Code version and the settings it depends on: beside the inputs, what makes a stored slice stale."""
        used = {name: getattr(settings, name).model_dump(mode="json") for name in self.uses}
        digest = hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()
        return {"code_version": self.code_version, "settings": digest}

    @property
    def asset_keys(self) -> tuple[dg.AssetKey, ...]:
        """Keys of the assets it makes."""
        if not self.tables:
            return (dg.AssetKey([self.group, self.name]),)
        return tuple(dg.AssetKey([table.group, table.name]) for table in self.tables)

    @property
    def is_model(self) -> bool:
        """Whether it makes a fitted model and no table."""
        return not self.tables

    def rules(self, table: Table) -> tuple[Rule, ...]:
        """Checks of one of its tables."""
        return (*rules_of(table), LOOKAHEAD_RULE) if self.probes else rules_of(table)

    def build(self, partitions: Partitions) -> dg.AssetsDefinition:
        """The Dagster asset."""
        definition = partitions.of(self.slice)
        checks = [
            dg.AssetCheckSpec(
                name=rule.name,
                asset=dg.AssetKey([table.group, table.name]),
                description=rule.description,
                blocking=rule.is_blocking,
                partitions_def=definition,
            )
            for table in self.tables
            for rule in self.rules(table)
        ]

        @dg.multi_asset(
            name=f"{self.group}__{self.name}",
            outs={key.path[-1]: self._out(key) for key in self.asset_keys},
            ins={name: self._in(read) for name, read in self.reads.items()},
            partitions_def=definition,
            check_specs=checks,
            required_resource_keys=RESOURCES,
            group_name=self.group,
        )
        def compute(context: dg.AssetExecutionContext, **inputs: Any) -> Iterator[Any]:
            yield from self._run(context, inputs)

        return compute

    def _out(self, key: dg.AssetKey) -> dg.AssetOut:
        table = next((table for table in self.tables if table.name == key.path[-1]), None)
        return dg.AssetOut(
            key=key,
            description=_description(self.function, table),
            io_manager_key=MODEL_IO if self.is_model else TABLE_IO,
            metadata={} if table is None else {"dagster/column_schema": _column_schema(table)},
            code_version=self.code_version,
            automation_condition=condition_of(self.automation),
            freshness_policy=RAW_FRESHNESS if self.is_fetched else None,
            owners=OWNERS,
            kinds=set(self.kinds),
        )

    def _in(self, read: Read) -> dg.AssetIn:
        return dg.AssetIn(key=read.asset_key, metadata={COLUMNS_METADATA: list(read.columns)} if read.columns else None)

    def _run(self, context: dg.AssetExecutionContext, inputs: dict[str, Any]) -> Iterator[Any]:
        at = Slice(
            key=slice_of(context, self.slice),
            settings=context.resources.settings,
            source=context.resources.source,
            store=context.resources.store,
        )
        sources = _sources(inputs)
        hashes = {**input_hashes(self.reads, inputs), **self.fingerprint(at.settings)}
        inputs = self._of_one_source(inputs)
        with ExitStack() as held:
            if self.is_fetched:
                for table in self.tables:
                    held.enter_context(at.store.lock(table, at.key))
            produced = self.function(at, **inputs)
            if self.is_model:
                yield dg.Output(replace(produced, inputs=hashes), output_name=self.name)
                return
            result = produced if isinstance(produced, Result) else Result({self.name: produced})
            result = _with_reason_for_no_rows(result, inputs)
            if not self.is_fetched:
                for table in self.tables:
                    result.frames[table.name] = _in_key_order(result.frames[table.name], table)
            failures: list[BadSliceError] = []
            checks = [
                check for table in self.tables for check in self._check(context, table, result, at, inputs, failures)
            ]
            if failures:
                yield from checks
                raise failures[0]
            for table in self.tables:
                yield self._output(table, result, at, hashes=hashes, sources=sources)
            # After the outputs: Dagster counts a verdict only for the materialization that precedes it.
            yield from checks

    def _of_one_source(self, inputs: dict[str, Any]) -> dict[str, Any]:
        kept = dict(inputs)
        for name, read in self.reads.items():
            if read.same_source_as is None or read.table is None:
                continue
            other = inputs[read.same_source_as].attrs.get("source")
            if inputs[name].attrs.get("source") != other:
                kept[name] = empty_frame(read.table)
        return kept

    def _check(
        self,
        context: dg.AssetExecutionContext,
        table: Table,
        result: Result,
        at: Slice,
        inputs: dict[str, Any],
        failures: list[BadSliceError],
    ) -> Iterator[dg.AssetCheckResult]:
        from assets.checks import verdicts_of

        key = dg.AssetKey([table.group, table.name])
        for verdict in verdicts_of(self, table, result, at, inputs):
            severity = dg.AssetCheckSeverity.ERROR if verdict.rule.severity == "error" else dg.AssetCheckSeverity.WARN
            yield dg.AssetCheckResult(
                asset_key=key,
                check_name=verdict.rule.name,
                passed=verdict.passed,
                severity=severity,
                description=verdict.detail or None,
                metadata={
                    "unexpected": verdict.unexpected_count,
                    "rows": verdict.total,
                    **({"examples": ", ".join(verdict.examples)} if verdict.examples else {}),
                },
            )
            if not verdict.passed:
                context.log.warning("%s [%s] %s: %s", table.qualified_name, at.key, verdict.rule.name, verdict.detail)
                if verdict.rule.is_blocking:
                    where = f"{at.key}; {', '.join(verdict.examples)}" if verdict.examples else str(at.key)
                    rule = f"{verdict.rule.name}: {verdict.detail or verdict.rule.description}"
                    failures.append(BadSliceError(table=table.qualified_name, key=where, rule=rule))

    def _output(
        self, table: Table, result: Result, at: Slice, *, hashes: dict[str, str], sources: str | None
    ) -> dg.Output[pd.DataFrame]:
        frame = result.frames[table.name]
        frame.attrs = {
            PROVENANCE_ATTRIBUTE: {
                "source": frame.attrs.get("source", at.source.name if self.is_fetched else sources),
                "source_off": result.source_off,
                "code_version": self.code_version,
                "inputs": hashes,
            }
        }
        metadata = dict(result.metadata) if table is self.tables[0] else {}
        if result.source_off:
            metadata["source_off"] = result.source_off
        return dg.Output(frame, output_name=table.name, metadata=metadata)


def table_asset(
    *tables: Table,
    reads: Mapping[str, Table | Read] | None = None,
    code_version: str,
    kinds: tuple[str, ...] = ("pandas", "parquet"),
    automation: str = "eager",
    is_fetched: bool = False,
    probes: Mapping[str, str] | None = None,
    uses: tuple[str, ...] = (),
) -> Callable[[Callable[..., Any]], Declaration]:
    """Declare the asset of one table, or of several that one computation makes.

    Parameters
    ----------
    tables : what the function returns: one frame, or a ``Result`` with a frame for each.
    reads : inputs by parameter name.
    automation : ``eager`` (after its inputs), ``on_missing``, or ``none`` (asked for by schedules and people).
    is_fetched : whether rows come from a source; such a slice is locked from read to write.
    probes : time column of each input, where the look-ahead prober shall run on the function.
    uses : groups of settings whose change makes a stored slice stale.
    """
    first = tables[0]

    def declare(function: Callable[..., Any]) -> Declaration:
        name = getattr(function, "__name__", first.name)
        return Declaration(
            function=function,
            name=first.name if len(tables) == 1 else name,
            group=first.group,
            slice=first.slice,
            tables=tables,
            reads={key: read if isinstance(read, Read) else Read(read) for key, read in (reads or {}).items()},
            code_version=code_version,
            kinds=frozenset(kinds),
            automation=automation,
            is_fetched=is_fetched,
            probes=probes,
            uses=uses,
        )

    return declare


def model_asset(
    *, reads: Mapping[str, Table | Read], code_version: str, kinds: tuple[str, ...], uses: tuple[str, ...]
) -> Callable[[Callable[..., Any]], Declaration]:
    """Declare a fitted model per ticker and horizon. Its function returns a ``FittedModel``.

    New data does not refit it: only a missing model, a request (``train``, drift) or a person does.
    """

    def declare(function: Callable[..., Any]) -> Declaration:
        return Declaration(
            function=function,
            name=getattr(function, "__name__", ""),
            group="models",
            slice="ticker_horizon",
            tables=(),
            reads={key: read if isinstance(read, Read) else Read(read) for key, read in reads.items()},
            code_version=code_version,
            kinds=frozenset(kinds),
            automation="on_missing",
            is_fetched=False,
            probes=None,
            uses=uses,
        )

    return declare


def input_hashes(reads: Mapping[str, Read], inputs: Mapping[str, Any]) -> dict[str, str]:
    """Content hash of each input by asset name: what staleness compares."""
    return {
        ".".join(read.asset_key.path): (
            inputs[name].version if isinstance(inputs[name], StoredModel) else inputs[name].attrs["content_hash"]
        )
        for name, read in reads.items()
    }


def _sources(inputs: Mapping[str, Any]) -> str | None:
    """Source of the first input that has one; inputs of other sources are read as empty."""
    frames = [value for value in inputs.values() if isinstance(value, pd.DataFrame)]
    return next((frame.attrs["source"] for frame in frames if frame.attrs.get("source")), None)


def _with_reason_for_no_rows(result: Result, inputs: Mapping[str, Any]) -> Result:
    """Where nothing came out because an input's source is off, the reason is passed on."""
    if result.source_off or any(len(frame) for frame in result.frames.values()):
        return result
    frames = (value for value in inputs.values() if isinstance(value, pd.DataFrame))
    return replace(result, source_off=next(filter(None, (frame.attrs.get("source_off") for frame in frames)), None))


def _in_key_order(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Rows in the order of the key, which is how they are stored."""
    if not set(table.key) <= set(frame.columns):
        return frame
    return frame.sort_values(list(table.key), kind="stable", ignore_index=True)


def _description(function: Callable[..., Any], table: Table | None) -> str:
    doc = " ".join((function.__doc__ or "").split())
    return doc if table is None else f"{table.description}\n\n{doc}"


def _column_schema(table: Table) -> dg.TableSchema:
    return dg.TableSchema(columns=[_table_column(column, table) for column in table.columns])


def _table_column(column: Column, table: Table) -> dg.TableColumn:
    bounds = [
        *([f"≥ {column.minimum:g}"] if column.minimum is not None else []),
        *([f"≤ {column.maximum:g}"] if column.maximum is not None else []),
        *([" | ".join(column.allowed)] if column.allowed else []),
    ]
    return dg.TableColumn(
        name=column.name,
        type=column.type,
        description=column.description,
        constraints=dg.TableColumnConstraints(
            nullable=column.nullable, unique=table.key == (column.name,), other=bounds or None
        ),
    )
