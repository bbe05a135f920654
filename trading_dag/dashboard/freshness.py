"""How old the data are and whether they are a market's: what the banner on top of every page says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import pandas as pd

from trading_dag.alert_settings import AlertSettings
from trading_dag.freshness import counted_sessions, data_age, is_sample
from trading_dag.reporting.tables import SAMPLE_TEXT, SAMPLE_TITLE, simulated_notice
from trading_dag.schemas import PRICES_DAILY, RECOMMENDATION

Level = Literal["current", "late", "stale", "not_real"]
GRAVE: Final[frozenset[Level]] = frozenset({"stale", "not_real"})


@dataclass(frozen=True)
class Notice:
    """Says one thing about the data of a ticker.

    Attributes
    ----------
    level : ``current`` is the only one that may be read past.
    title, text : what is so, and what to do about it.
    """

    level: Level
    title: str
    text: str


def data_notices(slices: pd.DataFrame, *, ticker: str, now: pd.Timestamp, settings: AlertSettings) -> list[Notice]:
    """Return what a reader must know before any number of a ticker, the gravest first.

    Parameters
    ----------
    slices : rows of ``meta.slices``.
    now : aware of its time zone.
    settings : when data are stale.
    """
    own = slices[slices["ticker"] == ticker]
    of_prices = own[own["table_name"] == PRICES_DAILY.qualified_name]
    prices = of_prices["last_session"].max()
    signals = own[own["table_name"] == RECOMMENDATION.qualified_name]["last_session"].max()
    notices = _not_real(own, ticker)
    if pd.isna(prices):
        return [*notices, Notice("stale", f"No prices of {ticker} are stored", "trading-dag refresh fetches them.")]
    return [
        *notices,
        _of_prices(ticker, of_prices, stored_at=own["stored_at"].max(), now=now, settings=settings),
        *_of_signals(signals, prices),
    ]


def _not_real(own: pd.DataFrame, ticker: str) -> list[Notice]:
    sources = own["source"].dropna().unique()
    simulated = simulated_notice((ticker, source) for source in sources)
    if simulated:
        return [
            Notice("not_real", "Simulated, not market data", f"Every number of {ticker} comes from a seeded world.")
        ]
    if any(is_sample(source) for source in sources):
        return [Notice("not_real", SAMPLE_TITLE, SAMPLE_TEXT)]
    return []


def _of_prices(
    ticker: str, stored: pd.DataFrame, *, stored_at: pd.Timestamp, now: pd.Timestamp, settings: AlertSettings
) -> Notice:
    newest = stored.sort_values("last_session", kind="stable").iloc[-1]
    last, source = newest["last_session"], newest["source"]
    age = data_age(last, now=now.to_pydatetime(), settings=settings, source=None if pd.isna(source) else source)
    as_of = f"{ticker}: prices to the close of {last:%Y-%m-%d}, stored {stored_at:%Y-%m-%d %H:%M} UTC"
    if age.state == "current":
        return Notice("current", as_of, "The latest session that has closed.")
    if age.state == "undated":
        return Notice("current", as_of, "The sample ends there by design.")
    count = counted_sessions(age.behind or 0)
    if not age.is_stale:
        return Notice("late", as_of, f"{count} behind: trading-dag refresh brings it up to date.")
    return Notice(
        "stale", f"Stale: {count} behind", f"{as_of}. Nothing below speaks of today; new data: trading-dag refresh."
    )


def _of_signals(signals: pd.Timestamp, prices: pd.Timestamp) -> list[Notice]:
    if pd.isna(signals):
        return [Notice("late", "No forecasts are stored", "trading-dag run makes them.")]
    if signals >= prices:
        return []
    text = f"Forecasts and signals speak of {signals:%Y-%m-%d}, prices of {prices:%Y-%m-%d}: trading-dag refresh."
    return [Notice("late", "Forecasts are older than prices", text)]
