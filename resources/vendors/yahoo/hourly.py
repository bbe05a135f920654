"""Yahoo's hourly bars as rows of ours: which of them are hours of a session, and which have ended.

How far back Yahoo has them, the hours' grid and the conversion to our columns belong here; asking is in ``yahoo.py``.
"""

from __future__ import annotations

import logging
from typing import Final

import numpy as np
import pandas as pd

from resources.left_out import BadRecord, LeftOut
from resources.vendors.yahoo.chart_answer import NO_PRICE, SOURCE
from trading_dag.arrays import BoolArray
from trading_dag.errors import SourceFormatError
from trading_dag.sessions import NEW_YORK, TIME_UNIT, all_sessions, session_bounds

# Yahoo refuses a request that begins earlier. A day less, because it counts to the second.
HISTORY_DAYS: Final = 729
HOUR: Final = pd.Timedelta(hours=1)
_COLUMNS: Final = {"Open": "open", "High": "high", "Low": "low", "Close": "close", "Volume": "volume"}
_PRICES: Final = ["open", "high", "low", "close"]
_logger = logging.getLogger(__name__)


def first_hourly_day(now: pd.Timestamp, *, since: pd.Timestamp | None) -> pd.Timestamp:
    """Return the first day to ask for: ``since``, or the first that Yahoo has, where that is later; the log then says
    so.
    """
    first = now.tz_convert(NEW_YORK).tz_localize(None).normalize() - pd.Timedelta(days=HISTORY_DAYS)
    if since is None or since >= first:
        return first if since is None else since
    _logger.warning(
        "yahoo: hourly bars reach back %d days; those from %s to %s are not to be had",
        HISTORY_DAYS, f"{since:%Y-%m-%d}", f"{first:%Y-%m-%d}",
    )  # fmt: skip
    return first


def said_volume(volume: pd.Series) -> pd.Series:
    """Return a volume as Yahoo said it: NaN where it said none, for which a number below zero stands."""
    return volume.where(volume >= 0.0)


def finished_hours(history: pd.DataFrame, *, ended: pd.Timestamp, what: str, left_out: LeftOut) -> pd.DataFrame:
    """Bars that lie on the hours of a session, from its open on, and have ended.

    Parameters
    ----------
    history : as yfinance gives it: one row a bar, indexed by its start.
    ended : bars that end later are left out, UTC.
    what : the symbol, for the log.
    left_out : counts bars without prices and volumes that are missing.

    Returns
    -------
    pd.DataFrame : ts (start, UTC), open, high, low, close (USD), volume; ascending. A bar ends after an hour or at
        the session's close, whichever is earlier. Left out are the bar that is running, the last trade that Yahoo
        appends as if it were a bar, bars outside the session's hours, half days included, and bars without prices.
        The volume is NaN where Yahoo says none.

    Raises
    ------
    SourceFormatError : for missing columns, or two bars of one start.
    """
    missing = [name for name in _COLUMNS if name not in history.columns]
    if missing:
        raise _format_error(what, f"yfinance gives no {', '.join(missing)}")
    starts = pd.DatetimeIndex(history.index).tz_convert("UTC").as_unit(TIME_UNIT)
    bars = history[list(_COLUMNS)].rename(columns=_COLUMNS).astype("float64").assign(ts=starts).reset_index(drop=True)
    is_bar, ends = _hours_of_sessions(starts)
    is_hole = bars[_PRICES].isna().all(axis=1).to_numpy()
    strangers = int((~is_bar).sum())
    if strangers > 1:
        _logger.warning("yahoo: %s: %d bars off the session's hours were left out", what, strangers)
    left_out.add(_at(bars.loc[is_bar & is_hole, "ts"], NO_PRICE))
    finished = bars[is_bar & ~is_hole & np.asarray(ends <= ended)]
    if finished["ts"].duplicated().any():
        raise _format_error(what, f"two bars begin at {finished.loc[finished['ts'].duplicated(), 'ts'].iloc[0]}")
    finished = finished.assign(volume=said_volume(finished["volume"]))
    left_out.add(_at(finished.loc[finished["volume"].isna(), "ts"], "Yahoo says no volume"))
    return finished[["ts", *_PRICES, "volume"]].sort_values("ts", ignore_index=True)


def _at(starts: pd.Series, reason: str) -> list[BadRecord]:
    return [BadRecord(f"{start:%Y-%m-%d %H:%M} UTC", reason) for start in starts]


def _hours_of_sessions(starts: pd.DatetimeIndex) -> tuple[BoolArray, pd.DatetimeIndex]:
    """Return whether each start is a whole number of hours after its session's open and before its close, and its
    end.
    """
    days = pd.DatetimeIndex(starts.tz_convert(NEW_YORK).tz_localize(None).normalize()).as_unit(TIME_UNIT)
    codes, distinct = pd.factorize(days)
    is_session = distinct.isin(all_sessions())
    # A day that is no session has no bounds; any session's serve, because its bars are refused for that day.
    opens, closes = session_bounds(pd.DatetimeIndex(distinct.where(is_session, all_sessions()[0])))
    since_open = starts - opens[codes]
    is_bar = (
        is_session[codes]
        & np.asarray(since_open >= pd.Timedelta(0))
        & np.asarray(since_open % HOUR == pd.Timedelta(0))
        & np.asarray(starts < closes[codes])
    )
    ends = pd.DatetimeIndex(np.minimum(starts + HOUR, closes[codes]))
    return np.asarray(is_bar, dtype=np.bool_), ends


def _format_error(what: str, problem: str) -> SourceFormatError:
    return SourceFormatError(
        source=SOURCE,
        request=f"hourly bars of {what}",
        problem=problem,
        remedy="Install the version of yfinance that constraints.txt names.",
    )
