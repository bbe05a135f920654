"""features.intraday: how the session went by the hour, from hourly bars.

Returns within sessions only: nights, and with them splits and dividends, are left out, so that the bars' raw price
basis does no harm. Daily indicators are in ``features.technical``; fetching bars is elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.day_count import SESSIONS_PER_YEAR
from trading_dag.errors import SchemaError
from trading_dag.features.formulas import documents_features
from trading_dag.features.technical.bars import lagged, ratio_of, rolling_mean, rolling_std
from trading_dag.frames import require_columns, require_sessions, table_frame, ticker_of
from trading_dag.schemas import INTRADAY, INTRADAY_FEATURES
from trading_dag.sessions import TIME_UNIT, session_bounds

HOURS_PER_SESSION: Final = 6.5
OLDEST_BAR_SESSIONS: Final = 10
# In 27 years of SPY one session leaves the day's range by more than 1.1 %, by 16 %, with an open that never was.
RANGE_TOLERANCE: Final = 0.02
_HOUR_US: Final = 3_600_000_000
_MACD_BARS: Final = 34
_RSI_BARS: Final = 14
_REQUIRED: Final = ("ts", "open", "close")
_RANGE: Final = ("high", "low", "close")


@dataclass(frozen=True)
class HourlyBars:
    """Bars within sessions, in order; arrays of one element a bar.

    Attributes
    ----------
    row : number of the session among the rows.
    seconds : how much of the session the bar covers.
    open, close : first and last trade, raw USD.
    log_return : ln(close / close of the bar before), ln(close / open) for a session's first bar.
    """

    row: IntArray
    seconds: FloatArray
    open: FloatArray
    close: FloatArray
    log_return: FloatArray


@documents_features(INTRADAY_FEATURES)
def build_intraday(prices_hourly: pd.DataFrame, prices: pd.DataFrame) -> pd.DataFrame:
    """Features of one ticker's hourly bars.

    Parameters
    ----------
    prices_hourly : ``raw.prices_hourly`` of the ticker, any order, any of the vendors' bucketings: by the clock
        (the first bar is then 09:30 to 10:00, dated 09:00 or 09:30) or from 09:30 on (the last is then 15:30 to
        16:00). What lies outside the session is left out. Zero rows where the source is off.
    prices : ``raw.prices_daily`` of the ticker; its sessions are the rows, its range judges the bars. The two may
        have different price bases: the bars are scaled to the day's close before they are compared.

    Returns
    -------
    pd.DataFrame : ``features.intraday``, one row per row of ``prices``.

    When it is known
    ----------------
    Row t reads bars that ended at or before t's close, early closes included: a bar is named by its start and known at
    its end, the last bar of a session at the session's close.

    NaN policy
    ----------
    A session counts when its bars cover it from open to close without a hole or an overlap, and none leaves the day's
    range by more than 2 %. One that does not count has NaN, and its bars enter no window. A window of n bars reaches
    over such sessions, but not to bars more than 10 sessions old: then it is NaN. The first and the last hour are
    60 minutes or NaN: bars by the clock have no boundary at 10:30, bars from 09:30 on none at 15:00, so the first
    have only a last hour, the second only a first one.

    Raises
    ------
    SchemaError : for missing columns, more than one ticker, sessions that do not ascend, repeated bars, or prices
        that are not positive and finite.
    """
    sessions = require_sessions(prices, ("ticker", *_RANGE), table="raw.prices_daily")
    bars = _bars_that_count(prices_hourly, prices, sessions)
    columns = {name: np.full(len(sessions), np.nan) for name in INTRADAY_FEATURES}
    if len(bars.row):
        is_last = np.append(np.diff(bars.row) > 0, True)
        rows = bars.row[is_last]
        for name, (by_bar, needed) in _by_bar(bars).items():
            fresh = bars.row - lagged(bars.row.astype(float), needed - 1) <= OLDEST_BAR_SESSIONS
            columns[name][rows] = np.where(fresh, by_bar, np.nan)[is_last]
        columns["first_hour_return"][rows], columns["last_hour_return"][rows] = _edges_of_sessions(bars)
    values = {"ticker": ticker_of(prices), "session": sessions, **columns}
    return table_frame(INTRADAY, values, rows=len(sessions))


def _by_bar(bars: HourlyBars) -> dict[str, tuple[FloatArray, int]]:
    """Return what is computed at every bar, and how many bars it needs; a session's value is that of its last bar."""
    import talib

    # A price without nights: its changes are those within sessions, its level is nobody's.
    within = 100 * np.exp(np.cumsum(bars.log_return))
    unmoved = np.maximum.accumulate(within) <= np.minimum.accumulate(within)
    histogram = talib.MACD(within, 12, 26, 9)[2]
    hours = bars.seconds / 3600

    def volatility(n: int) -> FloatArray:
        # A session has a bar of half an hour among those of one: what counts is the time that the n bars cover.
        per_hour = rolling_std(bars.log_return, n) / np.sqrt(rolling_mean(hours, n))
        return np.asarray(per_hour * np.sqrt(SESSIONS_PER_YEAR * HOURS_PER_SESSION) * 100)

    return {
        **{f"hourly_mean_return_{n}": (rolling_mean(bars.log_return, n), n) for n in (6, 30)},
        **{f"hourly_volatility_{n}": (volatility(n), n) for n in (6, 30)},
        "hourly_rsi_14": (np.where(unmoved, np.nan, talib.RSI(within, _RSI_BARS)), _RSI_BARS + 1),
        "hourly_macd_histogram": (ratio_of(histogram, within) * 100, _MACD_BARS),
    }


def _edges_of_sessions(bars: HourlyBars) -> tuple[FloatArray, FloatArray]:
    """Return of the first and of the last hour of each session that has bars, in the order of the sessions.

    NaN where no bar ends an hour after the open, or none begins an hour before the close.
    """
    first = np.flatnonzero(np.append(True, np.diff(bars.row) > 0))
    last = np.append(first[1:], len(bars.row)) - 1
    elapsed = np.cumsum(bars.seconds)
    hour = _HOUR_US / 1e6
    opened, closed = elapsed[first] - bars.seconds[first], elapsed[last]
    # The fewest bars from the open, and to the close, that cover an hour; perhaps they cover more.
    until = np.searchsorted(elapsed, opened + hour, side="left")
    since = np.searchsorted(elapsed, closed - hour, side="right")
    first_hour = np.where(elapsed[until] - opened == hour, bars.close[until] / bars.open[first] - 1, np.nan)
    begins = elapsed[since] - bars.seconds[since]
    return first_hour, np.where(closed - begins == hour, bars.close[last] / bars.open[since] - 1, np.nan)


def _bars_that_count(prices_hourly: pd.DataFrame, prices: pd.DataFrame, sessions: pd.DatetimeIndex) -> HourlyBars:
    """Return the bars of sessions that are covered from open to close and agree with the day, ordered by time."""
    require_columns(prices_hourly, "raw.prices_hourly", columns=_REQUIRED)
    started = pd.DatetimeIndex(pd.to_datetime(prices_hourly["ts"], utc=True)).as_unit(TIME_UNIT)
    order = np.argsort(started.asi8, kind="stable")
    starts = started.asi8[order]
    opened, closed = (prices_hourly[name].to_numpy(dtype=float, na_value=np.nan)[order] for name in ("open", "close"))
    _require_bars(prices_hourly, started[order], opened, closed)
    opens, closes = (times.asi8 for times in session_bounds(sessions))
    row = np.searchsorted(closes, starts, side="right")
    inside = row < len(closes)
    inside[inside] = starts[inside] + _HOUR_US > opens[row[inside]]
    row, starts, opened, closed = row[inside], starts[inside], opened[inside], closed[inside]
    begins = np.maximum(starts, opens[row])
    ends = np.minimum(_ends_of_bars(row, starts, opens), closes[row])
    counts = _is_complete(row, begins, ends, opens, closes) & _agrees_with_day(row, opened, closed, prices)
    kept = counts[row]
    row, opened, closed = row[kept], opened[kept], closed[kept]
    is_first = np.diff(row, prepend=-1) > 0
    before = np.where(is_first, opened, lagged(closed, 1))
    return HourlyBars(
        row=row.astype(np.int64),
        seconds=(ends - begins)[kept] / 1e6,
        open=opened,
        close=closed,
        log_return=np.log(closed / before),
    )


def _ends_of_bars(row: IntArray, starts: IntArray, opens: IntArray) -> IntArray:
    """Return when each bar ends: an hour after its start.

    A bar by the clock that a source dates from the open ends with its clock hour. It is told from one of an hour by the
    bar that begins there.
    """
    ends = starts + _HOUR_US
    following, next_row = np.append(starts[1:], 0), np.append(row[1:], -1)
    # New York is whole hours from UTC.
    clock_hour = (starts // _HOUR_US + 1) * _HOUR_US
    is_short = (starts == opens[row]) & (next_row == row) & (following == clock_hour)
    return np.where(is_short, clock_hour, ends)


def _is_complete(row: IntArray, begins: IntArray, ends: IntArray, opens: IntArray, closes: IntArray) -> BoolArray:
    """Return whether the bars of each session follow each other without hole or overlap from its open to its close."""
    joins = np.append(True, (row[1:] != row[:-1]) | (begins[1:] == ends[:-1]))[: len(row)]
    covered = np.zeros(len(opens))
    np.add.at(covered, row, ends - begins)
    broken = np.zeros(len(opens), dtype=bool)
    broken[row[~joins]] = True
    return np.asarray(~broken & (covered == closes - opens))


def _agrees_with_day(row: IntArray, opened: FloatArray, closed: FloatArray, prices: pd.DataFrame) -> BoolArray:
    """Return whether the bars of each session, scaled to end at the day's close, stay within 2 % of the day's range."""
    high, low, close = (prices[name].to_numpy(dtype=float, na_value=np.nan) for name in _RANGE)
    last = np.full(len(close), np.nan)
    # Bars are in order: the last one of a session stays.
    last[row] = closed
    scale = (close / last)[row]
    above = np.maximum(opened, closed) * scale > high[row] * (1 + RANGE_TOLERANCE)
    below = np.minimum(opened, closed) * scale < low[row] * (1 - RANGE_TOLERANCE)
    agrees = np.ones(len(close), dtype=bool)
    agrees[row[above | below]] = False
    return agrees


def _require_bars(
    prices_hourly: pd.DataFrame, starts: pd.DatetimeIndex, opened: FloatArray, closed: FloatArray
) -> None:
    """Demand one ticker, bars that are not repeated, and prices."""
    table = "raw.prices_hourly"
    if "ticker" in prices_hourly.columns and prices_hourly["ticker"].nunique(dropna=False) > 1:
        raise SchemaError(table=table, key="ticker", rule="one ticker at a time")
    for broken, rule in (
        (starts.isna(), "every bar says when it starts"),
        (starts.duplicated(), "one bar per start"),
        (~((opened > 0) & (opened < np.inf)), "open is a positive, finite price"),
        (~((closed > 0) & (closed < np.inf)), "close is a positive, finite price"),
    ):
        if np.any(broken):
            raise SchemaError(table=table, key=f"ts={starts[int(np.argmax(broken))]}", rule=rule)
