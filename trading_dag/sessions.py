"""New York Stock Exchange sessions, and where horizons end among them. The only place that knows the calendar.

A session is a timezone-naive midnight timestamp (``datetime64[us]``) that names a trading day.
Nothing here is weekday arithmetic: every step is a step in the XNYS calendar.
"""

from __future__ import annotations

import datetime as dt
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar

    from trading_dag.slices import Horizon

FIRST_CALENDAR_DAY: Final = "1985-01-02"
TIME_UNIT: Final = "us"
NEW_YORK: Final = "America/New_York"
REGULAR_CLOSE_HOUR: Final = 16.0
# The volatility indices close at 16:15 and the closing auction's prints come late, so a bar is taken as finished
# half an hour after the exchange has closed.
SETTLEMENT_DELAY: Final = pd.Timedelta(minutes=30)


@lru_cache(maxsize=1)
def exchange_calendar() -> ExchangeCalendar:
    """Return the XNYS calendar from 1985 to a year from today."""
    import exchange_calendars

    last = dt.date.today() + dt.timedelta(days=366)
    with warnings.catch_warnings():
        # exchange_calendars 4.13 reads .values of time-zone-aware series, which pandas 3.1 deprecates
        warnings.simplefilter("ignore", pd.errors.Pandas4Warning)
        return exchange_calendars.get_calendar("XNYS", start=FIRST_CALENDAR_DAY, end=last.isoformat())


@lru_cache(maxsize=1)
def all_sessions() -> pd.DatetimeIndex:
    """Return every session of the calendar, ascending, ``datetime64[us]``."""
    sessions: pd.DatetimeIndex = exchange_calendar().sessions.tz_localize(None).as_unit(TIME_UNIT)
    return sessions


def sessions_between(first: pd.Timestamp | dt.date | str, last: pd.Timestamp | dt.date | str) -> pd.DatetimeIndex:
    """Return the sessions from ``first`` to ``last``, both included where they are sessions."""
    calendar = all_sessions()
    return calendar[(calendar >= pd.Timestamp(first)) & (calendar <= pd.Timestamp(last))]


def is_session(days: pd.DatetimeIndex) -> pd.Series:
    """Return whether each day is a session; index: the days."""
    return pd.Series(days.isin(all_sessions()), index=days)


def shift_sessions(sessions: pd.DatetimeIndex, offset: int) -> pd.DatetimeIndex:
    """Return the sessions ``offset`` steps after each given session (negative: before).

    Steps outside the calendar give NaT.

    Raises
    ------
    ValueError : where a given day is not a session.
    """
    calendar = all_sessions()
    positions = calendar.get_indexer(pd.DatetimeIndex(sessions).as_unit(TIME_UNIT))
    if (positions < 0).any():
        strangers = [f"{day:%Y-%m-%d}" for day in sessions[positions < 0][:3]]
        raise ValueError(f"not a session of XNYS: {', '.join(strangers)}")
    shifted = positions + offset
    inside = (shifted >= 0) & (shifted < len(calendar))
    days = pd.Series(calendar[shifted.clip(0, len(calendar) - 1)])
    return pd.DatetimeIndex(days.where(inside))


def session_before(day: pd.Timestamp) -> pd.Timestamp:
    """Return the last session before a day, which need be none; outside the calendar the calendar day before."""
    position = int(all_sessions().searchsorted(day)) - 1
    is_known = position >= 0 and day <= all_sessions()[-1]
    return all_sessions()[position] if is_known else day - pd.Timedelta(days=1)


def target_sessions(sessions: pd.DatetimeIndex, horizon: Horizon) -> pd.DatetimeIndex:
    """Return the session at whose open (12h) or close (the others) the horizon ends."""
    return shift_sessions(sessions, horizon.target_offset)


def session_close(session: pd.Timestamp) -> pd.Timestamp:
    """Return when the session closes, UTC. Half days close early; daylight saving is honoured."""
    close: pd.Timestamp = exchange_calendar().session_close(session)
    return close


@lru_cache(maxsize=1)
def _all_close_hours() -> FloatArray:
    closes = pd.DatetimeIndex(exchange_calendar().closes).tz_convert(NEW_YORK)
    return np.asarray(closes.hour + closes.minute / 60.0, dtype=np.float64)


def close_hours(days: pd.DatetimeIndex) -> FloatArray:
    """Return the hour of the New York day at which each session closes, (n,): 13.0 on most half days, 16.0 on the
    others.

    A day that is no session of the calendar (NaT, or more than a year ahead) counts as a full one.
    """
    position = all_sessions().get_indexer(pd.DatetimeIndex(days).as_unit(TIME_UNIT))
    return np.where(position >= 0, _all_close_hours()[position], REGULAR_CLOSE_HOUR)


def session_open(session: pd.Timestamp) -> pd.Timestamp:
    """Return when the session opens, UTC."""
    start: pd.Timestamp = exchange_calendar().session_open(session)
    return start


def session_bounds(sessions: pd.DatetimeIndex) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
    """Return when each session opens and closes, UTC, ``datetime64[us]``: ``session_open`` and ``session_close`` of
    many.

    Raises
    ------
    ValueError : where a given day is not a session.
    """
    calendar = exchange_calendar()
    positions = all_sessions().get_indexer(shift_sessions(sessions, 0))
    opens, closes = (pd.DatetimeIndex(times).as_unit(TIME_UNIT) for times in (calendar.opens, calendar.closes))
    return opens[positions], closes[positions]


def last_closed_session(now: pd.Timestamp | None = None) -> pd.Timestamp:
    """Return the latest session whose close is not after ``now`` (timezone-aware; default: the present)."""
    moment = pd.Timestamp.now("UTC") if now is None else now.tz_convert("UTC")
    closes = exchange_calendar().closes
    closed = closes.index[closes <= moment]
    return pd.Timestamp(closed[-1]).tz_localize(None).as_unit(TIME_UNIT)


def sessions_behind(last: pd.Timestamp, due: pd.Timestamp) -> int:
    """Return how many sessions data that end with ``last`` lack up to the session ``due``; 0 where they reach it."""
    calendar = all_sessions()
    return int(((calendar > last) & (calendar <= due)).sum())


def running_session(now: pd.Timestamp | None = None) -> pd.Timestamp | None:
    """Return the session that is under way at ``now`` (timezone-aware; default: the present): from its open on, and
    before its close. None where the exchange is closed.
    """
    moment = pd.Timestamp.now("UTC") if now is None else now.tz_convert("UTC")
    day = moment.tz_convert(NEW_YORK).tz_localize(None).normalize().as_unit(TIME_UNIT)
    if day not in all_sessions():
        return None
    return day if session_open(day) <= moment < session_close(day) else None


def last_settled_session(now: pd.Timestamp | None = None) -> pd.Timestamp:
    """Return the latest session whose bars count as finished at ``now`` (timezone-aware; default: the present)."""
    moment = pd.Timestamp.now("UTC") if now is None else now
    return last_closed_session(moment - SETTLEMENT_DELAY)


def is_last_of_month(day: pd.Timestamp) -> bool:
    """Return whether a day is a session with none after it in its month."""
    if day not in all_sessions():
        return False
    following: pd.Timestamp = shift_sessions(pd.DatetimeIndex([day]), 1)[0]
    return bool(following.month != day.month)
