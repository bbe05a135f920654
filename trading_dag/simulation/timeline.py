"""The sessions of a simulated history, their hours, and the days on which something is due.

Sessions, bars within them, third Fridays, dividends and meetings belong here. Values do not.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.errors import ConfigurationError
from trading_dag.sessions import NEW_YORK, TIME_UNIT, all_sessions, close_hours, sessions_between
from trading_dag.simulation.parameters import Underlying
from trading_dag.simulation.simulation_settings import SimulationSettings

OPEN_HOUR: Final = 9.5
BARS: Final = 7
OVERNIGHT_SHARE: Final = 0.2
# Variance per hour of the day, relative: more after the open and before the close.
_BAR_SHAPE: Final = np.array([1.6, 1.0, 0.8, 0.7, 0.8, 1.0, 1.5])
_MEETING_MONTHS: Final = (1, 3, 5, 6, 7, 9, 11, 12)


@dataclass(frozen=True)
class Timeline:
    """Holds the sessions of a history.

    Attributes
    ----------
    sessions : ascending, n of them.
    bars : hourly bars of each session, (n,): 7, fewer on half days; the last one lasts half an hour.
    shares : part of a session's variance that falls overnight (column 0) and on each bar (1 …), (n, 8); rows sum
        to 1, whatever the session's length, and what is no bar has 0.
    """

    sessions: pd.DatetimeIndex
    bars: IntArray
    shares: FloatArray

    def __len__(self) -> int:
        return len(self.sessions)

    def bar_starts(self) -> pd.DatetimeIndex:
        """Return the start of every bar, UTC, session by session, as many as ``bars`` sums to."""
        hours = OPEN_HOUR + np.arange(BARS)
        is_bar = np.arange(BARS) < self.bars[:, np.newaxis]
        minutes = pd.to_timedelta(np.broadcast_to(hours * 60.0, is_bar.shape)[is_bar], unit="min")
        local = self.sessions.repeat(self.bars) + minutes
        return pd.DatetimeIndex(local).tz_localize(NEW_YORK).tz_convert("UTC").as_unit(TIME_UNIT)


def timeline(settings: SimulationSettings, *, last: pd.Timestamp) -> Timeline:
    """Return the sessions from the settings' first one through ``last``, at most ``years`` of them.

    Raises
    ------
    ConfigurationError : where no session is left.
    """
    first = settings.first_session
    end = dt.date(first.year + settings.years, first.month, min(first.day, 28)) - dt.timedelta(days=1)
    sessions = sessions_between(first, min(pd.Timestamp(end), last))
    if not len(sessions):
        raise ConfigurationError(
            f"a simulation from {first:%Y-%m-%d} has no session by {last:%Y-%m-%d}; "
            "set TRADING_DAG_SIMULATION__FIRST_SESSION to an earlier day"
        )
    hours = close_hours(sessions) - OPEN_HOUR
    lengths = np.clip(hours[:, np.newaxis] - np.arange(BARS), 0.0, 1.0)
    weights = _BAR_SHAPE * lengths
    weights *= (1.0 - OVERNIGHT_SHARE) / weights.sum(axis=1, keepdims=True)
    shares = np.column_stack([np.full(len(sessions), OVERNIGHT_SHARE), weights])
    return Timeline(sessions, (lengths > 0.0).sum(axis=1), shares)


def third_fridays(first: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
    """Return the third Friday of every month that touches the period."""
    months = pd.date_range(first.replace(day=1), last, freq="MS")
    days = months + pd.to_timedelta((4 - months.day_of_week) % 7 + 14, unit="D")
    return pd.DatetimeIndex(days).as_unit(TIME_UNIT)


def ex_dividend_sessions(underlying: Underlying, first: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
    """Return sessions from ``first`` to ``last`` on which a buyer no longer gets the dividend: the third Friday's or
    next."""
    if underlying.dividend_yield == 0.0:
        return pd.DatetimeIndex([]).as_unit(TIME_UNIT)
    fridays = third_fridays(first - pd.Timedelta(days=40), last)
    due = sessions_from(fridays[fridays.month % 3 == underlying.dividend_month])
    return due[(due >= first) & (due <= last)]


def meeting_sessions(first: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
    """Return the decision days of the simulated central bank: the Wednesday before eight third Fridays of the year."""
    fridays = third_fridays(first - pd.Timedelta(days=40), last + pd.Timedelta(days=40))
    wednesdays = fridays[fridays.month.isin(_MEETING_MONTHS)] - pd.Timedelta(days=2)
    due = sessions_from(pd.DatetimeIndex(wednesdays))
    return due[(due >= first) & (due <= last)]


def split_session(underlying: Underlying, settings: SimulationSettings) -> pd.Timestamp | None:
    """Return the session at which the underlying's split takes effect, decided by seed and name alone; None without
    one."""
    if underlying.split_ratio == 1.0:
        return None
    day = pd.Timestamp(settings.first_session) + pd.Timedelta(days=int(180 + underlying.split_fraction * 3300))
    sessions = sessions_from(pd.DatetimeIndex([day]))
    return sessions[0] if len(sessions) else None


def sessions_from(days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return the first session on or after each day; days beyond the calendar are left out."""
    calendar = all_sessions()
    positions = np.asarray(calendar.searchsorted(days))
    return calendar[positions[positions < len(calendar)]]


def flags_at(sessions: pd.DatetimeIndex, events: pd.DatetimeIndex) -> BoolArray:
    """Return which sessions are among the events, (n,)."""
    return np.asarray(sessions.isin(events), dtype=np.bool_)


def moments(days: pd.DatetimeIndex, minutes: FloatArray | float) -> pd.DatetimeIndex:
    """Return minutes after midnight New York of each day, as UTC."""
    local = days + pd.to_timedelta(np.broadcast_to(np.floor(minutes), len(days)), unit="min")
    return pd.DatetimeIndex(local).tz_localize(NEW_YORK).tz_convert("UTC").as_unit(TIME_UNIT)


def close_moments(days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return when each session closes, UTC; a day without a session counts as a full one."""
    return moments(days, close_hours(days) * 60.0)
