"""What every feature and label builder demands of the frames it is given.

Only the rules without which a result would be silently wrong: the columns are there, the rows are one
ticker in ascending, unique sessions. Bounds and cross-table rules are checked where slices are stored.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from trading_dag.errors import SchemaError
from trading_dag.sessions import TIME_UNIT


def require_sessions(frame: pd.DataFrame, columns: Iterable[str], *, table: str) -> pd.DatetimeIndex:
    """Check one ticker's frame and return its sessions.

    Parameters
    ----------
    frame : rows of one ticker, one per session.
    columns : columns the caller is going to read, beyond ``session``.
    table : qualified name, for the message.

    Returns
    -------
    pd.DatetimeIndex : the sessions, ``datetime64[us]``, strictly ascending.

    Raises
    ------
    SchemaError : where a column is missing, a session is missing, repeated or out of order, or the
        frame holds more than one ticker.
    """
    missing = [name for name in ("session", *columns) if name not in frame.columns]
    if missing:
        raise SchemaError(table=table, key="columns", rule=f"missing: {', '.join(missing)}")
    if "ticker" in frame.columns and frame["ticker"].nunique(dropna=False) > 1:
        tickers = sorted(frame["ticker"].astype(str).unique())
        raise SchemaError(table=table, key=f"ticker={', '.join(tickers[:3])}", rule="one ticker at a time")
    sessions = pd.DatetimeIndex(frame["session"]).as_unit(TIME_UNIT)
    if sessions.hasnans:
        raise SchemaError(table=table, key="session=NaT", rule="every row names its session")
    if not sessions.is_monotonic_increasing or not sessions.is_unique:
        steps = pd.Series(sessions).diff()
        position = int((steps <= pd.Timedelta(0)).to_numpy().argmax())
        raise SchemaError(
            table=table,
            key=f"session={sessions[position]:%Y-%m-%d}",
            rule="sessions ascend and none is repeated",
        )
    return sessions


def require_prices(frame: pd.DataFrame, columns: Iterable[str], *, table: str) -> None:
    """Check that price columns hold positive finite numbers.

    Raises
    ------
    SchemaError : with the first session that breaks the rule.
    """
    for name in columns:
        values = frame[name].to_numpy(dtype="float64", na_value=float("nan"))
        bad = ~((values > 0) & (values < float("inf")))
        if bad.any():
            day = pd.Timestamp(frame["session"].iloc[int(bad.argmax())])
            raise SchemaError(table=table, key=f"session={day:%Y-%m-%d}", rule=f"{name} is a positive, finite price")


def ticker_of(frame: pd.DataFrame) -> str:
    """The ticker of a frame that holds one; empty where it has no rows."""
    return "" if frame.empty else str(frame["ticker"].iloc[0])
