"""Dagster IO managers over the Parquet store and the model store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

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
    from trading_dag.models.fitted import FittedModel

COLUMNS_METADATA: Final = "columns"
BENCHMARKS_METADATA: Final = "benchmarks"
ALL_SLICES_METADATA: Final = "all_slices"
SOURCE_METADATA: Final = "source"


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
    """Stores fitted models in the model store; loads the latest version of the slice.

    Several assets of a run read the same model: what was loaded is kept for as long as this manager, one run.
    """

    def __init__(self, model_store: ModelStore) -> None:
        self.model_store = model_store
        self._loaded: dict[tuple[str, str, str, str], StoredModel] = {}

    def handle_output(self, context: dg.OutputContext, obj: StoredModel) -> None:
        """Save a new immutable version and make it the latest."""
        fitted = obj.fitted
        version = self.model_store.save(fitted, version=obj.version)
        context.add_output_metadata(
            {"version": version, "model_version": fitted.model_version, "folds": len(fitted.folds)}
        )

    def load_input(self, context: dg.InputContext) -> StoredModel:
        """Return the latest version of the upstream model.

        Raises
        ------
        ModelNotFoundError : where it was never fitted.
        """
        key = slice_of_partition(context.asset_partition_key)
        name, ticker, horizon = context.asset_key.path[-1], key.ticker or "", key.horizon or ""
        version = self.model_store.latest_version(name, ticker=ticker, horizon=horizon)
        if version is None:
            raise ModelNotFoundError(f"models.{name} [{key}] is not fitted yet: fit it first with trading-dag train")
        wanted = (name, ticker, horizon, version)
        if wanted not in self._loaded:
            fitted = self.model_store.load(name, ticker=ticker, horizon=horizon, version=version)
            self._loaded[wanted] = StoredModel(version, fitted)
        return self._loaded[wanted]


@dataclass(frozen=True)
class StoredModel:
    """Holds a fitted model and the version under which it is stored, or will be."""

    version: str
    fitted: FittedModel
