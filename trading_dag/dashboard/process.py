"""What all sessions of one server share: the settings, and one reader with its kept answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from resources.storage.parquet_store import ParquetStore
from resources.storage.versioned_reader import VersionedReader
from trading_dag.errors import ConfigurationError
from trading_dag.schemas import PRICES_DAILY, RECOMMENDATION
from trading_dag.settings import Settings
from trading_dag.slices import HORIZONS

Clock = Callable[[], pd.Timestamp]


def present() -> pd.Timestamp:
    """Return this moment, UTC."""
    return pd.Timestamp.now("UTC")


@dataclass(frozen=True)
class Shared:
    """Holds the settings, the reader and the clock of this process.

    Attributes
    ----------
    clock : gives the present moment, UTC.
    """

    settings: Settings
    reader: VersionedReader
    clock: Clock


_shared: list[Shared] = []


def share(settings: Settings, *, clock: Clock = present) -> None:
    """Set what sessions read from, before the server starts."""
    _shared[:] = [Shared(settings, VersionedReader(ParquetStore(settings.home)), clock)]


def stored_tickers(process: Shared) -> tuple[str, ...]:
    """Return the tickers with stored prices, those of the settings first."""
    slices = process.reader.slices()
    stored = set(slices.loc[slices["table_name"] == PRICES_DAILY.qualified_name, "ticker"].dropna())
    first = tuple(name for name in process.settings.active_tickers if name in stored)
    return (*first, *sorted(stored - set(first)))


def horizon_shown_first(process: Shared, ticker: str) -> str:
    """Return the first horizon of the settings whose signals of a ticker are stored and can be traded; failing that one
    whose signals are stored, and else the first."""
    slices, horizons = process.reader.slices(), process.settings.horizons
    of_ticker = (slices["table_name"] == RECOMMENDATION.qualified_name) & (slices["ticker"] == ticker)
    stored = set(slices.loc[of_ticker, "horizon"])
    by_use = sorted(horizons, key=lambda name: (name not in stored, not HORIZONS[name].outlasts_entry))
    return by_use[0]


def shared() -> Shared:
    """Return what the server was started with.

    Raises
    ------
    ConfigurationError : outside a server.
    """
    if not _shared:
        raise ConfigurationError("the dashboard is started by: trading-dag dashboard")
    return _shared[0]
