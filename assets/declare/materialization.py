"""Turns a declaration into a Dagster asset: reads, computes, verifies, hands over for storing and reports the verdicts.

Every asset is treated alike here: it gets its table's schema as metadata, the checks of ``schemas`` (run *before*
the slice is stored), provenance, and a data version, by which the UI sees what is out of date. What an asset computes
stands in its own function.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import pandas as pd

from assets.automation import condition_of, stage_of
from assets.declare.appended import hash_of
from assets.declare.checks import recorded_warnings, verdicts_of
from assets.declare.declaration import SOURCE_STATE, TUNING_TAG, Declaration, Read, Result, Slice
from assets.declare.freshness import (
    AGE_NAME,
    FRESH_TABLES,
    age_of_record,
    data_through,
    freshness_results,
    freshness_spec,
)
from assets.declare.model_checks import SCHEMA_NAME, columns_of_model, rules_of_model, verdicts_of_model
from assets.declare.pictures import pictures_of
from assets.declare.shown import column_lineage, shown_of
from assets.declare.standing import code_references, owners_of, tags_of
from assets.declare.vendor_steps import COMMAND_TAG, FORCED, asked_again_later, pool_of
from assets.partitions import TICKER_DIMENSION, Partitions, partition_key, slice_of
from resources.io_managers.tables import (
    ALL_SLICES_METADATA,
    BENCHMARKS_METADATA,
    COLUMNS_METADATA,
    SOURCE_METADATA,
    StoredModel,
)
from resources.storage.parquet_store import ACCEPTED_ATTRIBUTE, WARNINGS_ATTRIBUTE, PreparedSlice, Provenance
from trading_dag.errors import BadSliceError
from trading_dag.quality import Rule, empty_frame
from trading_dag.schemas import Column, SliceKind, Table
from trading_dag.settings import Settings

if TYPE_CHECKING:
    from resources.expectations import RuleVerdict
    from trading_dag.models.learning.fitted import FittedModel

TABLE_IO: Final = "parquet_io"
MODEL_IO: Final = "model_io"
CHAIN_IO: Final = "chain_io"
RULES_SCHEMA: Final = dg.TableSchema(
    columns=[
        dg.TableColumn("rule", "string"),
        dg.TableColumn("verdict", "string"),
        dg.TableColumn("unexpected", "int"),
        dg.TableColumn("examples", "string"),
    ]
)
SLICE_LOCK: Final = "slice_lock"
RESOURCES: Final = {"settings", "source", "store", SLICE_LOCK}


def build_asset(declaration: Declaration, partitions: Partitions, settings: Settings) -> dg.AssetsDefinition:
    """Return the Dagster asset of a declaration, with its checks, for one universe.

    Its code version covers the settings that the asset depends on, as the record of staleness does.
    """
    definition = partitions.of(declaration.slice)
    ruled = (
        [(declaration.asset_keys[0], rules_of_model(declaration))]
        if declaration.is_model
        else [(dg.AssetKey([table.group, table.name]), declaration.checks(table)) for table in declaration.tables]
    )
    checks = [spec for key, rules in ruled for spec in check_specs(key, rules, partitions_def=definition)]
    checks += [freshness_spec(table, definition) for table in declaration.tables if table in FRESH_TABLES]

    @dg.multi_asset(
        name=f"{declaration.group}__{declaration.name}",
        outs={key.path[-1]: _out(declaration, key, settings) for key in declaration.asset_keys},
        ins={name: _in(read, declaration.slice, partitions, settings) for name, read in declaration.reads.items()},
        partitions_def=definition,
        check_specs=checks,
        required_resource_keys=RESOURCES | ({MODEL_IO} if declaration.is_model else set()),
        group_name=declaration.group,
        pool=pool_of(declaration.tables),
    )
    def compute(context: dg.AssetExecutionContext, **inputs: Any) -> Iterator[Any]:
        yield from _run(declaration, context, inputs)

    return compute


def _out(declaration: Declaration, key: dg.AssetKey, settings: Settings) -> dg.AssetOut:
    table = next((table for table in declaration.tables if table.name == key.path[-1]), None)
    return dg.AssetOut(
        key=key,
        description=_description(declaration.function, table),
        io_manager_key=MODEL_IO if declaration.is_model else TABLE_IO,
        metadata=_of_definition(declaration, table),
        code_version=declaration.version(settings),
        automation_condition=condition_of(declaration.automation, stage_of(declaration.group, declaration.slice)),
        owners=owners_of(declaration.group),
        tags=tags_of(declaration),
        kinds=set(declaration.kinds),
    )


def _of_definition(declaration: Declaration, table: Table | None) -> dict[str, Any]:
    """What the UI shows of an asset before it is made: its columns, and where its code stands."""
    columns = columns_of_model(declaration) if table is None else {SCHEMA_NAME: column_schema(table)}
    return {**columns, **code_references(declaration.function)}


def _in(read: Read, kind: SliceKind, partitions: Partitions, settings: Settings) -> dg.AssetIn:
    if read.is_chain:
        # All sessions of the slice's ticker.
        mapping: dg.PartitionMapping = (
            dg.MultiToSingleDimensionPartitionMapping(TICKER_DIMENSION)
            if kind == "ticker"
            else dg.MultiPartitionMapping(
                {TICKER_DIMENSION: dg.DimensionPartitionMapping(TICKER_DIMENSION, dg.IdentityPartitionMapping())}
            )
        )
        return dg.AssetIn(key=read.asset_key, input_manager_key=CHAIN_IO, partition_mapping=mapping)
    metadata: dict[str, Any] = {COLUMNS_METADATA: list(read.columns)} if read.columns else {}
    if read.of_all_slices:
        return dg.AssetIn(
            key=read.asset_key,
            metadata=metadata | {ALL_SLICES_METADATA: True, SOURCE_METADATA: settings.source},
            partition_mapping=dg.AllPartitionMapping(),
        )
    if not read.of_benchmarks:
        return dg.AssetIn(key=read.asset_key, metadata=metadata or None)
    named = settings.benchmark_tickers
    metadata |= {BENCHMARKS_METADATA: list(named), SOURCE_METADATA: settings.source}
    # Dagster follows those that are partitions of the active universe; what is read are those that are stored.
    followed = [ticker for ticker in named if ticker in partitions.tickers]
    mapping = dg.SpecificPartitionsPartitionMapping(followed)
    return dg.AssetIn(key=read.asset_key, metadata=metadata, partition_mapping=mapping)


def _run(declaration: Declaration, context: dg.AssetExecutionContext, inputs: dict[str, Any]) -> Iterator[Any]:
    at = Slice(
        key=slice_of(context, declaration.slice),
        settings=context.resources.settings,
        source=context.resources.source,
        store=context.resources.store,
        is_tuning=TUNING_TAG.items() <= context.run.tags.items(),
        is_forced=context.run.tags.get(COMMAND_TAG) == FORCED,
    )
    sources = _sources(inputs)
    hashes = {**input_hashes(declaration.reads, inputs), **declaration.fingerprint(at.settings)}
    if declaration.state_of is not None:
        hashes[SOURCE_STATE] = declaration.state_of(at.source)
    inputs = _of_one_source(declaration, inputs)
    with ExitStack() as held:
        if declaration.builds_on_what_is_stored:
            for table in declaration.tables:
                held.enter_context(at.store.lock(table, at.key))
        with asked_again_later(context):
            produced = declaration.function(at, **inputs)
        if declaration.is_model:
            yield from _of_model(declaration, context, at, replace(produced, inputs=hashes), inputs)
            return
        result = produced if isinstance(produced, Result) else Result({declaration.name: produced})
        result = _with_reason_for_no_rows(result, [inputs[name] for name in declaration.reads])
        if not declaration.is_fetched:
            for table in declaration.tables:
                result.frames[table.name] = _in_key_order(result.frames[table.name], table)
        failures: list[BadSliceError] = []
        checks = [
            check
            for table in declaration.tables
            for check in _check(declaration, context, table, result, at, inputs, failures)
        ]
        if failures:
            yield from checks
            raise one_refusal(str(at.key), failures)
        if declaration.describe is not None:
            described = declaration.describe(at, result.frames[declaration.tables[0].name])
            result = replace(result, metadata={**result.metadata, **described})
        shown = list(declaration.fingerprint(at.settings).values())
        shown += model_hashes(inputs) if result.is_drawn_monthly else content_hashes(inputs)
        made: list[tuple[Table, Provenance]] = []
        for table in declaration.tables:
            output = _output(declaration, context, table, result, at, hashes=hashes, sources=sources, shown=shown)
            made.append((table, output.value.provenance))
            yield output
        # After the outputs: Dagster counts a verdict only for the materialization that precedes it.
        yield from checks
        yield from freshness_results(made, at.settings)


def _of_one_source(declaration: Declaration, inputs: dict[str, Any]) -> dict[str, Any]:
    kept = dict(inputs)
    for name, read in declaration.reads.items():
        if read.same_source_as is None or read.table is None:
            continue
        other = inputs[read.same_source_as].attrs.get("source")
        if inputs[name].attrs.get("source") != other:
            kept[name] = empty_frame(read.table)
    return kept


def _check(
    declaration: Declaration,
    context: dg.AssetExecutionContext,
    table: Table,
    result: Result,
    at: Slice,
    inputs: dict[str, Any],
    failures: list[BadSliceError],
) -> Iterator[dg.AssetCheckResult]:
    verdicts = verdicts_of(declaration, table, result, at, inputs)
    for verdict in verdicts:
        if not verdict.passed:
            context.log.warning("%s [%s] %s: %s", table.qualified_name, at.key, verdict.rule.name, verdict.detail)
    result.frames[table.name].attrs[WARNINGS_ATTRIBUTE] = recorded_warnings(verdicts)
    failures += objections(table.qualified_name, str(at.key), verdicts)
    yield from check_results(dg.AssetKey([table.group, table.name]), verdicts)


def check_specs(
    key: dg.AssetKey, checks: Mapping[str, tuple[Rule, ...]], *, partitions_def: dg.PartitionsDefinition | None
) -> list[dg.AssetCheckSpec]:
    """Return the asset checks of a table or a model; a check blocks when all its rules do."""
    return [
        dg.AssetCheckSpec(
            name=name,
            asset=key,
            description=" ".join(rule.description for rule in rules),
            blocking=all(rule.is_blocking for rule in rules),
            partitions_def=partitions_def,
        )
        for name, rules in checks.items()
    ]


def objections(table: str, where: str, verdicts: "list[RuleVerdict]") -> list[BadSliceError]:
    """Return why the slice named by ``where`` may not be stored: one error for each blocking rule that is broken."""
    return [
        BadSliceError(
            table=table,
            key=f"{where}; {', '.join(verdict.examples)}" if verdict.examples else where,
            rule=f"{verdict.rule.name}: {verdict.detail or verdict.rule.description}",
        )
        for verdict in verdicts
        if verdict.rule.is_blocking and not verdict.passed
    ]


def one_refusal(where: str, errors: list[BadSliceError]) -> BadSliceError:
    """Return one error for the slice named by ``where`` that tells every broken rule with its rows."""
    if len(errors) == 1:
        return errors[0]
    rows = [error.key.removeprefix(where).removeprefix("; ") for error in errors]
    rules = (f"{error.rule} [{named}]" if named else error.rule for error, named in zip(errors, rows, strict=True))
    tables = ", ".join(dict.fromkeys(error.table for error in errors))
    return BadSliceError(table=tables, key=where, rule="; ".join(rules))


def check_results(key: dg.AssetKey, verdicts: "list[RuleVerdict]") -> Iterator[dg.AssetCheckResult]:
    """Yield one result for each asset check that the verdicts belong to."""
    by_check: dict[str, list[RuleVerdict]] = {}
    for verdict in verdicts:
        by_check.setdefault(verdict.rule.check_name, []).append(verdict)
    for name, of_check in by_check.items():
        yield _check_result(key, name, of_check)


def _check_result(key: dg.AssetKey, name: str, verdicts: "list[RuleVerdict]") -> dg.AssetCheckResult:
    """Return one asset check made of its rules' verdicts; it describes the broken rules and those that could not
    look."""
    is_error = any(verdict.rule.severity == "error" for verdict in verdicts)
    broken = [verdict for verdict in verdicts if not verdict.passed]
    # A check that could not look is no failure, which would stop what is downstream, and says that it did not.
    telling = broken + [verdict for verdict in verdicts if not verdict.is_examined]
    records = [
        dg.TableRecord(
            {
                "rule": verdict.rule.name,
                "verdict": _in_words(verdict),
                "unexpected": verdict.unexpected_count,
                "examples": ", ".join(verdict.examples),
            }
        )
        for verdict in verdicts
    ]
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=name,
        passed=not broken,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description="; ".join(f"{verdict.rule.name}: {verdict.detail}" for verdict in telling) or None,
        metadata={
            "rows": verdicts[0].total,
            "not examined": sum(not verdict.is_examined for verdict in verdicts),
            "rules": dg.MetadataValue.table(records, schema=RULES_SCHEMA),
        },
    )


def _in_words(verdict: "RuleVerdict") -> str:
    if not verdict.is_examined:
        return verdict.detail
    return "holds" if verdict.passed else "broken"


def _of_model(
    declaration: Declaration,
    context: dg.AssetExecutionContext,
    at: Slice,
    fitted: "FittedModel",
    inputs: Mapping[str, Any],
) -> Iterator[Any]:
    """Yield a fitted model, with whether it serves, and the results of its checks.

    The data version is what the version that serves from now on has learnt, so that nothing downstream counts as out of
    date because of one that does not, or of the same fitted again.

    Raises
    ------
    BadSliceError : where it breaks a blocking rule; nothing is stored then.
    """
    from assets.declare.succession import decision_of
    from resources.storage.models.serving import model_version_of
    from resources.storage.models.store import new_version

    key, version = declaration.asset_keys[0], new_version(fitted)
    models = getattr(context.resources, MODEL_IO).model_store
    decision, champion = decision_of(declaration, at, fitted, inputs, models)
    verdicts = verdicts_of_model(declaration, fitted, decision)
    failures = objections(".".join(key.path), str(at.key), verdicts)
    if failures:
        yield from check_results(key, verdicts)
        raise one_refusal(str(at.key), failures)
    serves = version if decision.serves or champion is None else champion
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # data versions are in beta in Dagster 1.13
        yield dg.Output(
            StoredModel(version, fitted, decision, champion),
            output_name=declaration.name,
            metadata=columns_of_model(declaration, fitted),
            data_version=dg.DataVersion(model_version_of(serves)),
        )
    yield from check_results(key, verdicts)


def _output(
    declaration: Declaration,
    context: dg.AssetExecutionContext,
    table: Table,
    result: Result,
    at: Slice,
    *,
    hashes: dict[str, str],
    sources: str | None,
    shown: list[str],
) -> dg.Output[PreparedSlice]:
    prepared = at.store.prepare(
        table,
        at.key,
        result.frames[table.name],
        source=result.frames[table.name].attrs.get("source", at.source.name if declaration.is_fetched else sources),
        source_off=result.source_off,
        code_version=declaration.code_version,
        inputs=hashes,
        data_through=data_through(declaration, table, result.frames, at),
    )
    metadata = dict(result.metadata) if table is declaration.tables[0] else {}
    metadata = {**shown_of(table, result.frames[table.name], at), **metadata, **_age(prepared.provenance, at)}
    lineage = column_lineage(declaration, table)
    if lineage is not None:
        metadata["dagster/column_lineage"] = lineage
    if result.draw is not None and table is declaration.tables[0]:
        contents = [*shown, _version_of_pictures(result, prepared.provenance)]
        key, partition = dg.AssetKey([table.group, table.name]), partition_key(at.key)
        metadata |= pictures_of(context.instance, key, partition, contents=contents, draw=result.draw)
    if prepared.provenance.accepted:
        metadata[ACCEPTED_ATTRIBUTE] = prepared.provenance.accepted
    if result.source_off:
        metadata["source_off"] = result.source_off
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # data versions are in beta in Dagster 1.13
        return dg.Output(
            prepared,
            output_name=table.name,
            metadata=metadata,
            data_version=dg.DataVersion(prepared.provenance.content_hash),
        )


def _version_of_pictures(result: Result, record: Provenance) -> str:
    """Return what of the rows the pictures are drawn anew for: their month, or all that they hold."""
    return (record.last_session or "")[: len("2024-12")] if result.is_drawn_monthly else record.content_hash


def _age(record: Provenance, at: Slice) -> dict[str, int]:
    age = age_of_record(record, now=pd.Timestamp.now("UTC").to_pydatetime(), settings=at.settings)
    return {} if age is None or age.behind is None else {AGE_NAME: age.behind}


def input_hashes(reads: Mapping[str, Read], inputs: Mapping[str, Any]) -> dict[str, str]:
    """Return the hash of each input's contents by asset name, which staleness compares."""
    return {".".join(read.asset_key.path): hash_of(inputs[name]) for name, read in reads.items()}


def content_hashes(inputs: Mapping[str, Any]) -> list[str]:
    """Return the hash of each input's contents; of a model what it learnt, not when."""
    return [
        f"{name}: {hash_of(value)}"
        for name, value in sorted(inputs.items())
        if isinstance(value, StoredModel | pd.DataFrame)
    ]


def model_hashes(inputs: Mapping[str, Any]) -> list[str]:
    """Return the same of the models among the inputs."""
    return content_hashes({name: value for name, value in inputs.items() if isinstance(value, StoredModel)})


def _sources(inputs: Mapping[str, Any]) -> str | None:
    """Return the source of the first input that has one; inputs of other sources are read as empty."""
    frames = [value for value in inputs.values() if isinstance(value, pd.DataFrame)]
    return next((frame.attrs["source"] for frame in frames if frame.attrs.get("source")), None)


def _with_reason_for_no_rows(result: Result, inputs: list[Any]) -> Result:
    """Return the result with the reason why it has no rows: that of the first input whose source is off."""
    if result.source_off or any(len(frame) for frame in result.frames.values()):
        return result
    frames = (value for value in inputs if isinstance(value, pd.DataFrame))
    return replace(result, source_off=next(filter(None, (frame.attrs.get("source_off") for frame in frames)), None))


def _in_key_order(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return the rows in the order of the key, which is how they are stored."""
    if not set(table.key) <= set(frame.columns):
        return frame
    return frame.sort_values(list(table.key), kind="stable", ignore_index=True)


def _description(function: Callable[..., Any], table: Table | None) -> str:
    doc = " ".join((function.__doc__ or "").split())
    return doc if table is None else f"{table.description}\n\n{doc}"


def column_schema(table: Table) -> dg.TableSchema:
    """Return the columns of a table for the UI, each with its bounds and its meaning; a feature's meaning is its
    formula."""
    from trading_dag.features.formulas import FORMULAS

    return dg.TableSchema(columns=[_table_column(column, table, FORMULAS) for column in table.columns])


def _table_column(column: Column, table: Table, formulas: Mapping[str, str]) -> dg.TableColumn:
    bounds = [
        *([f"≥ {column.minimum:g}"] if column.minimum is not None else []),
        *([f"≤ {column.maximum:g}"] if column.maximum is not None else []),
        *([" | ".join(column.allowed)] if column.allowed else []),
    ]
    return dg.TableColumn(
        name=column.name,
        type=column.type,
        description=formulas.get(column.name, column.description) if table.group == "features" else column.description,
        constraints=dg.TableColumnConstraints(
            nullable=column.nullable, unique=table.key == (column.name,), other=bounds or None
        ),
    )
