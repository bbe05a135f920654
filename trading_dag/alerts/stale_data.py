"""Prices that end before the session that they should reach."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pandas as pd

from trading_dag.alert_settings import AlertSettings
from trading_dag.alerts.cause import Cause
from trading_dag.freshness import DataAge, counted_sessions, data_age


def stale_data(
    last_sessions: Mapping[str, pd.Timestamp | None],
    *,
    now: datetime,
    settings: AlertSettings,
    source: str | None = None,
) -> list[Cause]:
    """Return a cause for each ticker whose stored prices end too early, or that has none.

    Parameters
    ----------
    last_sessions : the last session of the stored daily prices, by ticker; None where none are stored.
    source : where they come from.
    """
    ages = {ticker: data_age(last, now=now, settings=settings, source=source) for ticker, last in last_sessions.items()}
    return [_cause(ticker, age) for ticker, age in ages.items() if age.is_stale]


def _cause(ticker: str, age: DataAge) -> Cause:
    path = "/assets/raw/prices_daily"
    if age.last is None or age.behind is None:
        return Cause(
            "stale_data", ticker, f"{ticker} has no prices", ("Nothing is stored. Run: trading-dag fetch",), path
        )
    title = f"Prices of {ticker} are {counted_sessions(age.behind)} old"
    lines = (
        f"The last stored close is of {age.last:%Y-%m-%d}; {age.due:%Y-%m-%d} should be there.",
        f"No new signal of {ticker} can be trusted until it is. Run: trading-dag fetch --tickers {ticker}",
    )
    return Cause("stale_data", ticker, title, lines, path)
