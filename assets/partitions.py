"""The one home of partitions: which slices exist, and why they are cut that way.

- ``ticker``: raw data and features belong to an underlying and to no horizon.
- ``ticker × horizon``: labels and all that is fitted, forecast or traded depend on how far ahead one looks.
- Macro series belong to neither and are unpartitioned.

Folds, models and structures are rows and columns: Dagster allows two dimensions, and a third would
multiply slices that are always computed together. Dagster orders the dimensions of a key by name,
so a key reads ``24h|SPY``.
"""

from __future__ import annotations

from typing import Final

import dagster as dg

from resources.parquet_io import slice_of_partition
from resources.parquet_store import SliceKey
from trading_dag.schemas import HORIZON_KEYS, SliceKind

TICKER_DIMENSION: Final = "ticker"
HORIZON_DIMENSION: Final = "horizon"
HORIZON_PARTITIONS: Final = dg.StaticPartitionsDefinition(list(HORIZON_KEYS))


class Partitions:
    """The partition definitions of one universe.

    Parameters
    ----------
    tickers : every ticker that may be a partition, in order.
    """

    def __init__(self, tickers: tuple[str, ...]) -> None:
        self.ticker = dg.StaticPartitionsDefinition(list(tickers))
        self.ticker_horizon = dg.MultiPartitionsDefinition(
            {TICKER_DIMENSION: self.ticker, HORIZON_DIMENSION: HORIZON_PARTITIONS}
        )

    def of(self, kind: SliceKind) -> dg.PartitionsDefinition | None:
        """The definition for a table's slicing, None for an unpartitioned table."""
        return {"none": None, "ticker": self.ticker, "ticker_horizon": self.ticker_horizon}[kind]


def partition_key(key: SliceKey) -> str | None:
    """Dagster's partition key of a slice."""
    if key.ticker is None:
        return None
    if key.horizon is None:
        return key.ticker
    return dg.MultiPartitionKey({TICKER_DIMENSION: key.ticker, HORIZON_DIMENSION: key.horizon})


def slice_of(context: dg.AssetExecutionContext, kind: SliceKind) -> SliceKey:
    """The slice that a running asset works on. An unpartitioned asset ignores the run's partition."""
    return SliceKey() if kind == "none" else slice_of_partition(context.partition_key)
