"""Which option contracts are listed at a session: expirations and strikes. A listed contract stays until it expires."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.options.chains.contracts import is_monthly
from trading_dag.sessions import TIME_UNIT, all_sessions
from trading_dag.simulation.parameters import Underlying
from trading_dag.simulation.timeline import third_fridays

_DAILY_DAYS: Final = 14
_WEEKLY_DAYS: Final = 56
_MONTHLY_DAYS: Final = 125
_QUARTERLY_DAYS: Final = 365
_WEEKLY_BAND: Final = 0.12
_MONTHLY_BAND: Final = 0.25
_YEAR_OF_SESSIONS: Final = 260
_FINE_DAYS: Final = 70
_CENT: Final = 0.01


def listed_expirations(underlying: Underlying, session: pd.Timestamp) -> pd.DatetimeIndex:
    """Return the expirations after a session, ascending, each on its last trading day.

    Fridays of eight weeks, third Fridays of four months and of the quarters of a year; every weekday of two weeks for
    a fund or an index. A Friday without a session expires the session before.
    """
    days = pd.date_range(session + pd.Timedelta(days=1), session + pd.Timedelta(days=_WEEKLY_DAYS), freq="D")
    ahead = (days - session).days
    weekly = days[(days.day_of_week == 4) | ((days.day_of_week < 4) & (ahead <= _DAILY_DAYS) & underlying.is_fund)]
    thirds = third_fridays(session, session + pd.Timedelta(days=_QUARTERLY_DAYS))
    ahead = (thirds - session).days
    monthly = thirds[(ahead > 0) & ((ahead <= _MONTHLY_DAYS) | ((thirds.month % 3 == 0) & (ahead <= _QUARTERLY_DAYS)))]
    wanted = pd.DatetimeIndex([*weekly, *monthly]).as_unit(TIME_UNIT)
    calendar = all_sessions()
    wanted = wanted[wanted <= calendar[-1]]
    last_days = calendar[np.asarray(calendar.searchsorted(wanted, side="right")) - 1].unique().sort_values()
    return last_days[last_days > session]


def listed_strike_step(underlying: Underlying, least_price: float) -> float:
    """Return the distance of strikes in USD. Each step is a multiple of the finer ones, so a falling price only adds
    strikes."""
    if underlying.is_fund:
        return 10.0 if least_price >= 1000.0 else 1.0
    return next(step for bound, step in ((200.0, 5.0), (60.0, 1.0), (0.0, 0.5)) if least_price >= bound)


def strike_grid(underlying: Underlying, closes: FloatArray) -> FloatArray:
    """Return every strike that some expiration may have, ascending; see ``listed_strikes``.

    Parameters
    ----------
    closes : the underlying's closes from its first session through this one, USD.
    """
    step = listed_strike_step(underlying, float(closes.min()))
    recent = closes[-_YEAR_OF_SESSIONS:]
    first = np.ceil(recent.min() * (1.0 - _MONTHLY_BAND) / step)
    last = np.floor(recent.max() * (1.0 + _MONTHLY_BAND) / step)
    grid: FloatArray = np.arange(max(first, 1.0), last + 1.0) * step
    return grid


def listed_strikes(
    underlying: Underlying,
    sessions: pd.DatetimeIndex,
    expirations: pd.DatetimeIndex,
    *,
    closes: FloatArray,
    grid: FloatArray,
) -> BoolArray:
    """Return which strikes of the grid each expiration has at the last of the sessions, (expirations, strikes).

    Strikes lie around every close since the expiration was listed: ±12 % for weeklies, ±25 % for monthlies. More
    than 70 days ahead there is only each fifth one.

    Parameters
    ----------
    sessions, closes : the underlying's, from its first session through this one, (n,).
    """
    monthly = is_monthly(expirations)
    band = np.where(monthly, _MONTHLY_BAND, _WEEKLY_BAND)
    ahead = np.where(monthly, np.where(expirations.month % 3 == 0, _QUARTERLY_DAYS, _MONTHLY_DAYS), _WEEKLY_DAYS)
    listed_on = sessions.searchsorted(expirations - pd.to_timedelta(ahead, unit="D"))
    since = np.minimum(np.asarray(listed_on), len(sessions) - 1)
    # Accumulated backwards: the extreme of all closes from each session through the last.
    lowest = np.minimum.accumulate(closes[::-1])[::-1][since] * (1.0 - band)
    highest = np.maximum.accumulate(closes[::-1])[::-1][since] * (1.0 + band)
    is_near = np.asarray((expirations - sessions[-1]).days <= _FINE_DAYS)[:, np.newaxis]
    coarse = 5.0 * listed_strike_step(underlying, float(closes.min()))
    is_coarse = np.abs(grid / coarse - np.round(grid / coarse)) * coarse < _CENT
    inside = (grid >= lowest[:, np.newaxis]) & (grid <= highest[:, np.newaxis])
    return np.asarray(inside & (is_near | is_coarse), dtype=np.bool_)
