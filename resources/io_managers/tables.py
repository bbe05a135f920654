"""Dagster IO managers over the Parquet store and the model store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import pandas as pd

from resources.io_managers.preview import preview_of
from resources.storage.parquet_store import ParquetStore, PreparedSlice, Provenance, SliceKey
from resources.storage.peers import benchmark_records, digest_of, records_of_all_slices
from trading_dag.errors import ModelNotFoundError, StorageError
from trading_dag.quality import empty_frame
from trading_dag.schemas import Table, table_of

if TYPE_CHECKING:
    from resources.storage.models.store import ModelStore
    from trading_dag.models.learning.fitted import FittedModel
    from trading_dag.models.learning.versions import VersionRecord
    from trading_dag.validation.gates.champion import Decision

COLUMNS_METADATA: Final = "columns"
BENCHMARKS_METADATA: Final = "benchmarks"
ALL_SLICES_METADATA: Final = "all_slices"
SOURCE_METADATA: Final = "source"
SERVES_METADATA: Final = "version that serves"
DECISION_METADATA: Final = "decision"
SUCCESSION_METADATA: Final = "which version serves"


def table_of_asset(key: dg.AssetKey) -> Table:
    """Return the table that an asset stores: asset key and table name consist of the same words."""
    return table_of(".".join(key.path))


def slice_of_partition(partition: str | None) -> SliceKey:
    """Return the slice of a partition key such as ``SPY`` or ``24h|SPY``; the whole table where there is no key."""
    if not partition:
        return SliceKey()
    horizon, _, ticker = partition.rpartition("|")
    return SliceKey(ticker, horizon or None)


class ParquetIOManager(dg.IOManager):
    """Stores one table slice per partition; loads one frame, or ``{partition: frame}`` for several.

    An asset that knows where its frame comes from returns a ``PreparedSlice``; bare frames are prepared here.

    An input reads only the columns named in its metadata: ``AssetIn(metadata={"columns": [...]})``. One whose metadata
    name benchmarks is one frame of the slices of these tickers that are stored, of the source named there; one whose
    metadata ask for all slices, of every slice that is stored of that source. Several
    assets of a run read the same slices: what was read is kept for as long as this manager, one run, unless the run
    replaces it.
    """

    def __init__(self, store: ParquetStore) -> None:
        self.store = store
        self._read: dict[tuple[Table, SliceKey], dict[tuple[str, ...] | None, pd.DataFrame]] = {}

    def handle_output(
        self, context: dg.OutputContext, obj: PreparedSlice | pd.DataFrame | dict[str, pd.DataFrame]
    ) -> None:
        """Replace the slice. A step over several partitions hands over one frame for each.

        Raises
        ------
        SchemaError : where a frame breaks its schema; what is stored stays.
        """
        if isinstance(obj, dict):
            for partition, frame in obj.items():
                self._put(context, partition, frame)
            return
        stored = self._put(context, context.partition_key if context.has_asset_partitions else None, obj)
        context.add_output_metadata(
            {
                "dagster/row_count": stored.rows,
                "first session": stored.first_session or "–",
                "last session": stored.last_session or "–",
                "source": stored.source or "–",
                "content hash": stored.content_hash,
                "stored at": stored.fetched_at,
                "first and last rows": preview_of(obj.frame if isinstance(obj, PreparedSlice) else obj),
            }
        )

    def _put(self, context: dg.OutputContext, partition: str | None, value: PreparedSlice | pd.DataFrame) -> Provenance:
        table, key = table_of_asset(context.asset_key), slice_of_partition(partition)
        prepared = value if isinstance(value, PreparedSlice) else self.store.prepare(table, key, value)
        if (prepared.table, prepared.key) != (table, key):
            raise StorageError(f"{table.qualified_name} [{key}] was handed {prepared.table.qualified_name}")
        self._read.pop((table, key), None)
        return self.store.put(prepared)

    def load_input(self, context: dg.InputContext) -> pd.DataFrame | dict[str, pd.DataFrame]:
        """Read the upstream slice, or every upstream slice of an input that spans several."""
        table = table_of_asset(context.asset_key)
        metadata = context.definition_metadata or {}
        columns = metadata.get(COLUMNS_METADATA)
        if BENCHMARKS_METADATA in metadata:
            named, source = tuple(metadata[BENCHMARKS_METADATA]), str(metadata[SOURCE_METADATA])
            records = benchmark_records(self.store, table, named, source=source)
            return self._load_several(table, records, tuple(columns or table.column_names), source=source)
        if ALL_SLICES_METADATA in metadata:
            source = str(metadata[SOURCE_METADATA])
            records = records_of_all_slices(self.store, table, source=source)
            return self._load_several(table, records, tuple(columns or table.column_names), source=source)
        partitions = list(context.asset_partition_keys) if context.has_asset_partitions else [""]
        frames = {
            partition: self._load(table, slice_of_partition(partition), None if columns is None else tuple(columns))
            for partition in partitions
        }
        return frames[partitions[0]] if len(partitions) == 1 else frames

    def _load_several(
        self, table: Table, records: Mapping[SliceKey, Provenance], columns: tuple[str, ...], *, source: str
    ) -> pd.DataFrame:
        frames = [self._load(table, key, columns) for key in records]
        several = pd.concat(frames, ignore_index=True) if frames else empty_frame(table)[list(columns)]
        several.attrs = {"source": source, "content_hash": digest_of(records)}
        return several

    def _load(self, table: Table, key: SliceKey, columns: tuple[str, ...] | None) -> pd.DataFrame:
        cached = self._read.setdefault((table, key), {})
        if columns not in cached:
            cached[columns] = self.store.read(table, key, columns=columns)
        return cached[columns].copy(deep=False)  # pandas copies on write, so one asset cannot change another's input


class ModelIOManager(dg.IOManager):
    """Stores fitted models in the model store; loads the version of the slice that serves.

    Several assets of a run read the same model: what was loaded is kept for as long as this manager, one run.
    """

    def __init__(self, model_store: ModelStore) -> None:
        self.model_store = model_store
        self._loaded: dict[tuple[str, str, str, str], FittedModel] = {}

    def handle_output(self, context: dg.OutputContext, obj: StoredModel) -> None:
        """Save a new immutable version, which serves where that was decided, and say so."""
        fitted, decision = obj.fitted, obj.decision
        serves = decision is None or decision.serves
        version = self.model_store.save(
            fitted,
            version=obj.version,
            make_latest=serves,
            decision=None if decision is None else decision.record(),
            champion=obj.champion,
        )
        told: dict[str, Any] = {
            "version": version, "model_version": fitted.model_version, "folds": len(fitted.folds),
            SERVES_METADATA: version if serves else str(obj.champion),
        }  # fmt: skip
        if decision is not None:
            told |= {DECISION_METADATA: decision.kind, "why it serves or not": decision.reason}
            if decision.comparison is not None:
                figures = decision.record()["comparison"]
                told |= {name.replace("_", " "): value for name, value in figures.items() if value is not None}
            said = f"models.{fitted.name} of {fitted.ticker} {fitted.horizon}, version {version}"
            told[SUCCESSION_METADATA] = f"{said} {'serves' if serves else 'does not serve'}: {decision.reason}"
            context.log.info(told[SUCCESSION_METADATA])
        context.add_output_metadata(told)

    def load_input(self, context: dg.InputContext) -> StoredModel:
        """Return the version of the upstream model that serves.

        Raises
        ------
        ModelNotFoundError : where it was never fitted.
        """
        from resources.storage.models.serving import version_records

        key = slice_of_partition(context.asset_partition_key)
        name, ticker, horizon = context.asset_key.path[-1], key.ticker or "", key.horizon or ""
        version = self.model_store.latest_version(name, ticker=ticker, horizon=horizon)
        if version is None:
            raise ModelNotFoundError(f"models.{name} [{key}] is not fitted yet: fit it first with trading-dag train")
        wanted = (name, ticker, horizon, version)
        if wanted not in self._loaded:
            self._loaded[wanted] = self.model_store.load(name, ticker=ticker, horizon=horizon, version=version)
        listed = partial(version_records, self.model_store, name, ticker=ticker, horizon=horizon)
        return StoredModel(version, self._loaded[wanted], list_versions=listed)


@dataclass(frozen=True)
class StoredModel:
    """Holds a fitted model and the version under which it is stored, or will be.

    Attributes
    ----------
    decision : of one that is to be stored: whether it serves, and why; None where nothing was decided and it does.
    champion : the version in use that the decision was made about.
    list_versions : of one that was loaded: tells of every stored version of its slice.
    """

    version: str
    fitted: FittedModel
    decision: Decision | None = None
    champion: str | None = None
    list_versions: Callable[[], list[VersionRecord]] | None = None

    @property
    def records(self) -> list[VersionRecord]:
        """Return what is told of every stored version of the slice, oldest first."""
        return self.list_versions() if self.list_versions else []
