"""Dagster IO managers over the Parquet store and the model store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import dagster as dg
import pandas as pd

from resources.parquet_store import ParquetStore, SliceKey
from trading_dag.errors import ModelNotFoundError
from trading_dag.schemas import Table, table_of

if TYPE_CHECKING:
    from resources.model_store import ModelStore
    from trading_dag.models.fitted import FittedModel

PROVENANCE_ATTRIBUTE: Final = "provenance"
COLUMNS_METADATA: Final = "columns"


def table_of_asset(key: dg.AssetKey) -> Table:
    """The table that an asset stores: asset key and table name are the same words."""
    return table_of(".".join(key.path))


def slice_of_partition(partition: str | None) -> SliceKey:
    """The slice of a partition key such as ``SPY`` or ``24h|SPY``; without one, the whole table."""
    if not partition:
        return SliceKey()
    horizon, _, ticker = partition.rpartition("|")
    return SliceKey(ticker, horizon or None)


class ParquetIOManager(dg.IOManager):
    """Stores one table slice per partition; loads one frame, or ``{partition: frame}`` for several.

    What an asset knows of a frame (source, code version, inputs) travels in ``frame.attrs["provenance"]``,
    as the keyword arguments of ``ParquetStore.write``.

    An input reads only the columns named in its metadata: ``AssetIn(metadata={"columns": [...]})``.
    """

    def __init__(self, store: ParquetStore) -> None:
        self.store = store

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame | dict[str, pd.DataFrame]) -> None:
        """Validate and replace the slice. A step over several partitions hands over one frame for each.

        Raises
        ------
        SchemaError : where a frame breaks its schema; what is stored stays.
        """
        table = table_of_asset(context.asset_key)
        own = context.partition_key if context.has_asset_partitions else None
        frames = list(obj.items()) if isinstance(obj, dict) else [(own, obj)]
        for partition, frame in frames:
            given = frame.attrs.get(PROVENANCE_ATTRIBUTE, {})
            stored = self.store.write(table, slice_of_partition(partition), frame, **given)
            if len(frames) == 1:
                context.add_output_metadata(
                    {
                        "dagster/row_count": stored.rows,
                        "first session": stored.first_session or "–",
                        "last session": stored.last_session or "–",
                        "source": stored.source or "–",
                        "content hash": stored.content_hash,
                        "stored at": stored.fetched_at,
                    }
                )

    def load_input(self, context: dg.InputContext) -> pd.DataFrame | dict[str, pd.DataFrame]:
        """Read the upstream slice, or every upstream slice of an input that spans several."""
        table = table_of_asset(context.asset_key)
        columns = (context.definition_metadata or {}).get(COLUMNS_METADATA)
        partitions = list(context.asset_partition_keys) if context.has_asset_partitions else [""]
        frames = {
            partition: self.store.read(table, slice_of_partition(partition), columns=columns)
            for partition in partitions
        }
        return frames[partitions[0]] if len(partitions) == 1 else frames


class ModelIOManager(dg.IOManager):
    """Stores fitted models in the model store; loads the latest version of the slice."""

    def __init__(self, model_store: ModelStore) -> None:
        self.model_store = model_store

    def handle_output(self, context: dg.OutputContext, obj: FittedModel) -> None:
        """Save a new immutable version and make it the latest."""
        version = self.model_store.save(obj)
        context.add_output_metadata({"version": version, "folds": len(obj.folds)})

    def load_input(self, context: dg.InputContext) -> StoredModel:
        """The latest version of the upstream model.

        Raises
        ------
        ModelNotFoundError : where it was never fitted.
        """
        key = slice_of_partition(context.asset_partition_key)
        name, ticker, horizon = context.asset_key.path[-1], key.ticker or "", key.horizon or ""
        version = self.model_store.latest_version(name, ticker=ticker, horizon=horizon)
        if version is None:
            raise ModelNotFoundError(f"models.{name} [{key}] is not there yet: fit it first")
        return StoredModel(version, self.model_store.load(name, ticker=ticker, horizon=horizon, version=version))


@dataclass(frozen=True)
class StoredModel:
    """A fitted model and the version under which it is stored."""

    version: str
    fitted: FittedModel
