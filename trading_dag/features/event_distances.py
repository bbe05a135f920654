"""Sessions until the next event that is known, and since the last one: the arithmetic of dated events.

Only positions in the exchange's calendar. When an event becomes known, and which session it belongs to, is decided in
``features.earnings`` and ``features.economic_calendar``.

A position is the place of a session in ``sessions.all_sessions()``; the number of all sessions stands for what lies
beyond the calendar's end.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.errors import SchemaError
from trading_dag.sessions import TIME_UNIT, all_sessions, session_bounds

Positions = IntArray


def positions_of(sessions: pd.DatetimeIndex, *, table: str) -> Positions:
    """Position of each session.

    Raises
    ------
    SchemaError : naming the first day that is no session.
    """
    positions = all_sessions().get_indexer(sessions).astype(np.int64)
    if (positions < 0).any():
        day = sessions[int((positions < 0).argmax())]
        raise SchemaError(table=table, key=f"session={day:%Y-%m-%d}", rule="every row is a session of XNYS")
    return positions


def first_session_from(days: pd.DatetimeIndex) -> Positions:
    """Position of the first session on or after each day."""
    return all_sessions().searchsorted(days.as_unit(TIME_UNIT), side="left").astype(np.int64)


def first_session_after(days: pd.DatetimeIndex) -> Positions:
    """Position of the first session after each day."""
    return all_sessions().searchsorted(days.as_unit(TIME_UNIT), side="right").astype(np.int64)


def first_close_from(moments: pd.DatetimeIndex) -> Positions:
    """Position of the first session whose close is not before each moment (UTC)."""
    _, closes = session_bounds(all_sessions())
    return closes.searchsorted(moments.as_unit(TIME_UNIT), side="left").astype(np.int64)


def first_close_without(moments: pd.Series) -> Positions:
    """Position of the first session whose close is not before each moment (UTC); beyond every position for NaT.

    For what was taken back then: the row from which on it is not there.
    """
    never = len(all_sessions()) + 1
    seen = first_close_from(pd.DatetimeIndex(pd.to_datetime(moments, utc=True).fillna(pd.Timestamp(0, tz="UTC"))))
    return np.where(moments.isna().to_numpy(), never, seen).astype(np.int64)


def sessions_until_next(
    rows: Positions, *, visible_from: Positions, happens_at: Positions, visible_until: Positions | None = None
) -> FloatArray:
    """Sessions from each row to the nearest later event that is visible there.

    Parameters
    ----------
    rows : positions of the rows.
    visible_from : the position from whose close on each event is known.
    happens_at : the position at which each event takes effect.
    visible_until : the position from whose close on each event is known to be called off; default: none is.

    Returns
    -------
    (rows,) float64 : at least 1; NaN where no later event is visible.
    """
    next_event = np.full(len(all_sessions()) + 1, -1, dtype=np.int64)
    inside = happens_at < len(all_sessions())
    until = happens_at if visible_until is None else np.minimum(happens_at, visible_until)
    # Painted from the latest event to the earliest: where several are visible, the nearest stays on top.
    for event in np.flatnonzero(inside)[np.argsort(-happens_at[inside], kind="stable")].tolist():
        next_event[visible_from[event] : until[event]] = happens_at[event]
    found = next_event[rows]
    return np.where(found >= 0, found - rows, np.nan)


def sessions_since_last(
    rows: Positions, *, visible_from: Positions, happens_at: Positions, visible_until: Positions, limit: int
) -> FloatArray:
    """Sessions from the latest event that is known to have happened to each row.

    Parameters
    ----------
    rows : positions of the rows.
    visible_from, visible_until : from whose close on each event is known, and is known not to be so any more.
    happens_at : the position at which each event takes effect; before it the event is not seen here.
    limit : sessions after which an event no longer counts.

    Returns
    -------
    (rows,) float64 : 0 at the event; NaN where there is none within the limit.
    """
    latest = np.full(len(all_sessions()) + 1, -1, dtype=np.int64)
    first, last = np.maximum(visible_from, happens_at), np.minimum(visible_until, happens_at + limit + 1)
    # Painted from the earliest event to the latest: where several have happened, the latest stays on top.
    for event in np.argsort(happens_at, kind="stable").tolist():
        latest[first[event] : last[event]] = happens_at[event]
    found = latest[rows]
    return np.where(found >= 0, rows - found, np.nan)


def latest_before(rows: Positions, *, happened_at: Positions, limit: int) -> tuple[Positions, FloatArray]:
    """Return the latest event at or before each row.

    Parameters
    ----------
    rows : positions of the rows.
    happened_at : positions of the events, ascending.
    limit : sessions after which an event no longer counts.

    Returns
    -------
    (rows,) int64, (rows,) float64 : number of the event in ``happened_at``, and the sessions since; 0 and NaN where
        there is none within the limit.
    """
    latest = np.searchsorted(happened_at, rows, side="right") - 1
    age = np.full(len(rows), np.nan)
    present = latest >= 0
    age[present] = rows[present] - happened_at[latest[present]]
    age[age > limit] = np.nan
    return np.where(np.isnan(age), 0, latest).astype(np.int64), age
