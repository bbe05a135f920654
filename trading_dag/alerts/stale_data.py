"""Prices that end before the session that they should reach."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pandas as pd

from trading_dag.alert_settings import AlertSettings
from trading_dag.alerts.cause import Cause
from trading_dag.alerts.sessions_due import session_due
from trading_dag.sessions import sessions_behind


def stale_data(
    last_sessions: Mapping[str, pd.Timestamp | None], *, now: datetime, settings: AlertSettings
) -> list[Cause]:
    """Return a cause for each ticker whose stored prices end too early, or that has none.

    Parameters
    ----------
    last_sessions : the last session of the stored daily prices, by ticker; None where none are stored.
    """
    due = session_due(now, by=settings.signal_by)
    return [
        _cause(ticker, last, due)
        for ticker, last in last_sessions.items()
        if last is None or sessions_behind(last, due) >= settings.stale_sessions
    ]


def _cause(ticker: str, last: pd.Timestamp | None, due: pd.Timestamp) -> Cause:
    path = "/assets/raw/prices_daily"
    if last is None:
        return Cause(
            "stale_data", ticker, f"{ticker} has no prices", ("Nothing is stored. Run: trading-dag fetch",), path
        )
    behind = sessions_behind(last, due)
    sessions = "session" if behind == 1 else "sessions"
    title = f"Prices of {ticker} are {behind} {sessions} old"
    lines = (
        f"The last stored close is of {last:%Y-%m-%d}; {due:%Y-%m-%d} should be there.",
        f"No new signal of {ticker} can be trusted until it is. Run: trading-dag fetch --tickers {ticker}",
    )
    return Cause("stale_data", ticker, title, lines, path)
