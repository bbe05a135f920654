"""The one home of partitions: which slices exist, and why they are cut that way.

The partitions are those of the active universe: the tickers that the source has and the settings have not left out,
and the horizons of the settings. So nothing that Dagster starts by itself (automation, a schedule, "Materialize all")
works on a slice that nobody asked for or nobody can fetch. A ticker or horizon that is no longer active keeps its
slices and its history, and is listed again once it is active again. A command works on the slices that it is given,
with definitions of every slice that can be named (``every_slice``).

- ``ticker``: raw data and features belong to an underlying and to no horizon.
- ``ticker × horizon``: labels and all that is fitted, forecast or traded depend on how far ahead one looks.
- Macro series belong to neither and are unpartitioned.
- ``date × ticker``: an option chain is the quotes of one session. Dates are dynamic: a session becomes a partition
  as soon as it has a chain, so that no calendar has to be loaded to list them.

Folds, models and structures are rows and columns: Dagster allows two dimensions, and a third would
multiply slices that are always computed together. Dagster orders the dimensions of a key by name,
so a key reads ``24h|SPY``.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import dagster as dg

from resources.io_managers.tables import slice_of_partition
from resources.storage.parquet_store import SliceKey
from trading_dag.errors import ConfigurationError
from trading_dag.schemas import HORIZON_KEYS, SliceKind

if TYPE_CHECKING:
    import pandas as pd

    from trading_dag.settings import Settings

TICKER_DIMENSION: Final = "ticker"
HORIZON_DIMENSION: Final = "horizon"
DATE_DIMENSION: Final = "date"
OPTION_CHAIN_DATES: Final = dg.DynamicPartitionsDefinition(name="option_chain_date")


class Partitions:
    """Holds the partition definitions of one universe.

    Parameters
    ----------
    tickers : every ticker that is a partition, in order.
    horizons : every horizon that is a partition; they are sorted by length.
    """

    def __init__(self, tickers: tuple[str, ...], horizons: tuple[str, ...] = HORIZON_KEYS) -> None:
        self.tickers = tickers
        self.horizons = tuple(key for key in HORIZON_KEYS if key in horizons)
        self.ticker = dg.StaticPartitionsDefinition(list(tickers))
        self.ticker_horizon = dg.MultiPartitionsDefinition(
            {TICKER_DIMENSION: self.ticker, HORIZON_DIMENSION: dg.StaticPartitionsDefinition(list(self.horizons))}
        )
        self.date_ticker = dg.MultiPartitionsDefinition(
            {DATE_DIMENSION: OPTION_CHAIN_DATES, TICKER_DIMENSION: self.ticker}
        )

    @classmethod
    def active(cls, settings: Settings) -> Partitions:
        """Return the partitions of the active universe: what the source has, restricted by the settings."""
        from resources.sources.choose import tickers_at_hand

        return cls(tickers_at_hand(settings), settings.horizons)

    @classmethod
    def every_slice(cls, settings: Settings) -> Partitions:
        """Return the partitions of every ticker and horizon that a command may be given."""
        return cls(settings.all_tickers)

    def has(self, key: SliceKey) -> bool:
        """Return whether a slice is a partition."""
        return (key.ticker is None or key.ticker in self.tickers) and (
            key.horizon is None or key.horizon in self.horizons
        )

    def of(self, kind: SliceKind) -> dg.PartitionsDefinition | None:
        """Return the partition definition for a table's slicing; None for an unpartitioned table."""
        return {
            "none": None,
            "ticker": self.ticker,
            "ticker_horizon": self.ticker_horizon,
            "ticker_year": self.date_ticker,  # a session's chain is merged into the file of its year
        }[kind]


def partition_key(key: SliceKey) -> str | None:
    """Return Dagster's partition key of a slice; None for the slice of an unpartitioned table."""
    if key.ticker is None:
        return None
    if key.horizon is None:
        return key.ticker
    return dg.MultiPartitionKey({TICKER_DIMENSION: key.ticker, HORIZON_DIMENSION: key.horizon})


def slice_of(context: dg.AssetExecutionContext, kind: SliceKind) -> SliceKey:
    """Return the slice that a running asset works on. An unpartitioned asset ignores the run's partition."""
    return SliceKey() if kind == "none" else slice_of_partition(context.partition_key)


def chain_partition_key(session: pd.Timestamp, ticker: str) -> dg.MultiPartitionKey:
    """Return Dagster's partition key of a session's option chain."""
    return dg.MultiPartitionKey({DATE_DIMENSION: f"{session:%Y-%m-%d}", TICKER_DIMENSION: ticker})


def chain_slice_of(partition: str) -> tuple[pd.Timestamp, str]:
    """Return the session and the ticker of a partition key such as ``2024-11-15|SPY``.

    Raises
    ------
    ConfigurationError : where the date is no session of the exchange.
    """
    import pandas as pd

    from trading_dag.sessions import all_sessions

    date, _, ticker = partition.partition("|")
    try:
        session = pd.Timestamp(datetime.strptime(date, "%Y-%m-%d"))
    except ValueError:
        raise ConfigurationError(f"{date!r} is no date, so there is no option chain of it") from None
    if session not in all_sessions():
        raise ConfigurationError(f"{date} is no session of the exchange, so there is no option chain of it")
    return session, ticker
