"""Dagster IO managers over the Parquet store and the model store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import dagster as dg
import pandas as pd

from resources.parquet_store import ParquetStore, SliceKey
from trading_dag.schemas import Table, table_of

PROVENANCE_ATTRIBUTE: Final = "provenance"
COLUMNS_METADATA: Final = "columns"


@dataclass(frozen=True)
class WriteProvenance:
    """What an asset knows of a frame it hands over, stored with the slice.

    Travels in ``frame.attrs["provenance"]``.
    """

    source: str | None = None
    source_off: str | None = None
    code_version: str | None = None
    inputs: dict[str, str] = field(default_factory=dict)


def table_of_asset(key: dg.AssetKey) -> Table:
    """The table that an asset stores: asset key and table name are the same words."""
    return table_of(".".join(key.path))


def slice_of_partition(partition: str | None) -> SliceKey:
    """The slice of a partition key such as ``SPY`` or ``24h|SPY``."""
    if partition is None:
        return SliceKey()
    horizon, _, ticker = partition.rpartition("|")
    return SliceKey(ticker, horizon or None)


class ParquetIOManager(dg.IOManager):
    """Stores one table slice per partition; loads one frame, or ``{partition: frame}`` for several.

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
        frames: dict[str | None, pd.DataFrame]
        if isinstance(obj, dict):
            frames = dict(obj)
        else:
            frames = {context.partition_key if context.has_asset_partitions else None: obj}
        for partition, frame in frames.items():
            given = frame.attrs.get(PROVENANCE_ATTRIBUTE, WriteProvenance())
            stored = self.store.write(
                table,
                slice_of_partition(partition),
                frame,
                source=given.source,
                source_off=given.source_off,
                code_version=given.code_version,
                inputs=given.inputs,
            )
            if len(frames) == 1:
                context.add_output_metadata(
                    {
                        "dagster/row_count": stored.rows,
                        "first session": stored.first_session or "–",
                        "last session": stored.last_session or "–",
                        "source": stored.source or "–",
                        "content hash": stored.content_hash,
                        "fetched at": stored.fetched_at,
                    }
                )

    def load_input(self, context: dg.InputContext) -> pd.DataFrame | dict[str, pd.DataFrame]:
        """Read the upstream slice, or every upstream slice of an input that spans several."""
        table = table_of_asset(context.asset_key)
        columns = (context.definition_metadata or {}).get(COLUMNS_METADATA)
        partitions = list(context.asset_partition_keys) if context.has_asset_partitions else [None]
        frames = {
            partition: self.store.read(table, slice_of_partition(partition), columns=columns)
            for partition in partitions
        }
        return frames[partitions[0]] if len(partitions) == 1 else frames  # type: ignore[return-value]


class ModelIOManager(dg.IOManager):
    """Stores fitted models in the model store; loads the latest version of the slice."""

    def __init__(self, model_store: Any) -> None:
        self.model_store = model_store

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Save a new immutable version and make it the latest."""
        version = self.model_store.save(obj)
        context.add_output_metadata({"version": version, "folds": len(obj.folds)})

    def load_input(self, context: dg.InputContext) -> StoredModel:
        """The latest version of the upstream model."""
        key = slice_of_partition(context.asset_partition_key)
        name = context.asset_key.path[-1]
        version = self.model_store.latest_version(name, ticker=key.ticker, horizon=key.horizon)
        fitted = self.model_store.load(name, ticker=key.ticker, horizon=key.horizon, version=version)
        return StoredModel(version=version, fitted=fitted)


@dataclass(frozen=True)
class StoredModel:
    """A fitted model and the version under which it is stored."""

    version: str
    fitted: Any
