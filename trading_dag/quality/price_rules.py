"""Rules for daily bars of an underlying: holes, bars that contradict themselves, splits, bad ticks, stale feeds.

Every limit was measured on real bars (SPY 1993–, QQQ 1999–, IWM 2000–, TLT, GLD, EFA to 2024; S&P 500 and
Nasdaq Composite 1999–2018), crashes included, and stands clear of what occurs there.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from trading_dag.quality.rules import Check, Examined, Finding, Mask, Rule
from trading_dag.quality.sequences import (
    Bars,
    frozen_tail,
    local_scale,
    missing_sessions,
    reverting_spikes,
    sound_bars,
)
from trading_dag.sessions import sessions_between

_OHLC: Final = ("open", "high", "low", "close")
_ROUNDING: Final = 1e-3
_FROZEN_SESSIONS: Final = 5

# The largest close in real bars that reverts at once is 6.4 local scales (at 1.7 %), 5.7 above 3 %.
_SPIKE_SCALES: Final = 7.0
_SPIKE_SIZE: Final = 0.03
_SPIKE_NET: Final = 0.5
# A wrong close is undone by the next open. Of the 18 real closes beyond 4 scales and 1.5 % that revert, 16 were not
# halfway back by then; the two others are EFA, whose markets had been open overnight.
_SPIKE_OVERNIGHT: Final = 0.5
_SPIKE_BEYOND_DOUBT: Final = 2.0
# The longest real wick beyond 10 % is 4.9 local scales (Nasdaq, April 2000); 13 scales occur, at 4.6 %.
_WICK_SCALES: Final = 10.0
_WICK_SIZE: Final = 0.10

# 5:4 and 4:3 are left out: 19 October 1987 (0.795) and earnings gaps look the same.
_SPLITS: Final = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 100.0)
_SPLIT_TOLERANCE: Final = 0.04
_SPLIT_PERSISTENCE: Final = 0.25
_SPLIT_WINDOW: Final = 5
_QUIET_RANGE: Final = 5.0
_QUIET_RANGE_FLOOR: Final = 0.08
_QUIET_TURNOVER: Final = 5.0


def price_checks() -> tuple[Check, ...]:
    """Checks of ``raw.prices_daily`` beyond its schema."""
    bars = ("session", *_OHLC)
    return (
        Check(
            Rule("no_missing_sessions", "Has a bar for every exchange session between its first and its last."),
            _no_missing_sessions,
            needs=("session", "close"),
        ),
        Check(
            Rule("high_low_consistent", "High and low enclose open and close, up to 0.1 % of rounding."),
            _high_low_consistent,
            needs=bars,
        ),
        Check(
            Rule("no_unadjusted_split", "No overnight jump by a split ratio is left in split-adjusted prices."),
            _no_unadjusted_split,
            needs=(*bars, "adj_close", "volume"),
        ),
        Check(
            Rule("no_reverting_spikes", "No price stands alone and is taken back by the next session."),
            _no_reverting_spikes,
            needs=bars,
        ),
        Check(
            Rule("no_frozen_tail", "The last five closes are not all the same."),
            _no_frozen_tail,
            needs=("session", "close"),
        ),
        Check(
            Rule(
                "tail_is_fresh",
                "The last bar is that of the session the source should have.",
                severity="warn",
                is_blocking=False,
            ),
            tail_is_fresh,
            needs=("session",),
        ),
    )


def tail_is_fresh(examined: Examined) -> Finding:
    """Whether the last session is the one that was expected."""
    expected = examined.context.expected_last_session
    if expected is None:
        return examined.nothing("not examined: no session is expected")
    if examined.is_source_off:
        return examined.nothing("source is switched off")
    last = examined.frame["session"].max()
    if pd.isna(last):
        return Finding(np.ones(len(examined.frame), dtype=bool), count=1, detail="no session at all")
    if last >= expected:
        return examined.nothing()
    behind = len(sessions_between(last, expected)) - 1
    mask = (examined.frame["session"] == last).to_numpy()
    detail = f"last session {last:%Y-%m-%d}, expected {expected:%Y-%m-%d}: {behind} behind"
    return Finding(mask, count=behind, detail=detail)


def _no_missing_sessions(examined: Examined) -> Finding:
    bars = _held(examined)
    missing, after_hole = missing_sessions(bars)
    finding = bars.finding(after_hole, f"{len(missing)} missing")
    days = tuple(f"session={day:%Y-%m-%d}" for day in missing)
    return Finding(finding.mask, count=len(missing), detail=finding.detail, examples=days)


def _held(examined: Examined) -> Bars:
    """Bars whatever their prices: a bar with a bad price is no missing session."""
    return sound_bars(examined, positive=())


def _high_low_consistent(examined: Examined) -> Finding:
    values = examined.frame[list(_OHLC)].to_numpy(dtype="float64")
    sound = (np.isfinite(values) & (values > 0)).all(axis=1)
    opened, high, low, close = values.T
    with np.errstate(invalid="ignore"):
        too_low_high = high < np.maximum(opened, close) * (1 - _ROUNDING)
        too_high_low = low > np.minimum(opened, close) * (1 + _ROUNDING)
    return Finding.of_rows(sound & (too_low_high | too_high_low), "high below, or low above, open or close")


def _no_unadjusted_split(examined: Examined) -> Finding:
    bars = sound_bars(examined, positive=_OHLC)
    if len(bars.rows) < 2:
        return examined.nothing()
    return bars.finding(split_like_jumps(bars.rows), "the price jumps by a split ratio and stays there")


def split_like_jumps(rows: pd.DataFrame) -> Mask:
    """Sessions at which prices look like an unadjusted split: an overnight jump by a ratio that stays.

    A real move of that size differs: either the dividend-adjusted close did not make it (then it is a split beyond
    doubt), or the session itself was wild; a split happens in a session of ordinary range and turnover.
    A recorded split does not excuse the jump, since prices are split-adjusted; a recorded dividend does.
    """
    close, before = rows["close"], rows["close"].shift(1)
    dividend = rows["dividend"].fillna(0.0)
    distance, ratio = _nearest_split(_log((rows["open"] + dividend) / before), _log((close + dividend) / before))
    is_jump = distance < _SPLIT_TOLERANCE
    if not is_jump.any():
        return is_jump

    earlier = close.rolling(_SPLIT_WINDOW, min_periods=1).median().shift(1)
    later = close[::-1].rolling(_SPLIT_WINDOW, min_periods=1).median()[::-1]
    remaining = np.abs(_log(later / earlier) - ratio)
    stays = remaining < np.minimum(_SPLIT_PERSISTENCE, np.abs(ratio) / 2)

    adjusted = rows["adj_close"].where(rows["adj_close"] > 0)
    is_adjusted_elsewhere = np.abs(_log(adjusted / adjusted.shift(1))) < np.abs(ratio) / 2
    spread, usual_spread = _against_usual(pd.Series(_log(rows["high"] / rows["low"])))
    is_busy = np.ones(len(rows), dtype=bool)
    is_quiet = spread <= np.maximum(_QUIET_RANGE * usual_spread, _QUIET_RANGE_FLOOR)
    for traded in (rows["volume"], close * rows["volume"]):  # which of them a split scales depends on the vendor
        amount, usual_amount = _against_usual(traded)
        is_busy = is_busy & (amount > _QUIET_TURNOVER * usual_amount)
    return np.asarray(is_jump & stays & (is_adjusted_elsewhere | (is_quiet & ~is_busy)), dtype=bool)


def _log(values: pd.Series) -> npt.NDArray[np.float64]:
    return np.asarray(np.log(values.to_numpy(dtype="float64")), dtype="float64")


def _against_usual(values: pd.Series) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Each value, and the median of the 21 before it."""
    usual = values.rolling(21, min_periods=1).median().shift(1)
    return values.to_numpy(dtype="float64"), usual.to_numpy(dtype="float64")


def _nearest_split(
    overnight: npt.NDArray[np.float64], whole: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Distance to the nearest split ratio, by the open or the close, and that ratio (logarithms)."""
    ratios = np.log(np.array([*_SPLITS, *(1 / ratio for ratio in _SPLITS)]))
    gaps = np.minimum(np.abs(overnight[:, None] - ratios), np.abs(whole[:, None] - ratios))
    gaps = np.where(np.isnan(gaps), np.inf, gaps)
    nearest = gaps.argmin(axis=1)
    return gaps[np.arange(len(gaps)), nearest], ratios[nearest]


def _no_reverting_spikes(examined: Examined) -> Finding:
    bars = sound_bars(examined, positive=_OHLC)
    if len(bars.rows) < 3:
        return examined.nothing()
    scale = local_scale(bars.rows["close"])
    flags = lone_closes(bars.rows, scale) | lone_extremes(bars.rows, scale)
    return bars.finding(flags, "a price far from both its neighbours")


def lone_closes(rows: pd.DataFrame, scale: pd.Series) -> Mask:
    """Closes far from both their neighbours, unless trading took them back.

    A market that falls and recovers has to trade its way back, most of it after the next open; a wrong close is gone
    with the next open. An open that repeats the close before it, as some feeds make them, says nothing either way, and
    twice the limits need no such sign.
    """
    close, next_open = rows["close"], rows["open"].shift(-1)
    is_lone, is_beyond_doubt = (
        reverting_spikes(
            close, scale, least_scales=times * _SPIKE_SCALES, least_size=times * _SPIKE_SIZE, most_net=_SPIKE_NET
        )
        for times in (1.0, _SPIKE_BEYOND_DOUBT)
    )
    moved, back = _log(close / close.shift(1)), _log(close / next_open)
    is_undone = (np.sign(moved) * back >= _SPIKE_OVERNIGHT * np.abs(moved)) | (next_open == close).to_numpy()
    return np.asarray(is_lone & (is_undone | is_beyond_doubt), dtype=bool)


def lone_extremes(rows: pd.DataFrame, scale: pd.Series) -> Mask:
    """Bars whose open, high or low lies far outside everything around it."""
    close, before = rows["close"], rows["close"].shift(1).fillna(rows["close"])
    limit = np.maximum(_WICK_SCALES * scale, _WICK_SIZE)
    upper, lower = np.maximum(close, before), np.minimum(close, before)
    open_reach = np.maximum(np.log(rows["open"] / upper), np.log(lower / rows["open"]))
    high_reach = np.log(rows["high"] / np.maximum(upper, rows["open"]))
    low_reach = np.log(np.minimum(lower, rows["open"]) / rows["low"])
    flags: Mask = ((open_reach > limit) | (high_reach > limit) | (low_reach > limit)).to_numpy(dtype=bool)
    return flags


def _no_frozen_tail(examined: Examined) -> Finding:
    bars = sound_bars(examined, positive=("close",))
    return bars.finding(frozen_tail(bars.rows["close"], _FROZEN_SESSIONS), "the feed repeats its last close")
