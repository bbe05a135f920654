"""Overnight jumps that no market made: splits left in prices, whatever their ratio, and bars of something else.

What a split leaves
-------------------
A jump between two closes, or between a close and the next open, that stays; and a session of ordinary range and
turnover. Real gaps are busy: of forty stocks since 1990 and six ETFs no gap beyond 16 % exceeds 7.5 local scales times
its turnover (AMD, 17 October 2002). No real bar is near a third or
three times the close before it. Earnings gaps reach a half (AAPL 2000, NFLX 2004), in ten times the usual turnover.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.quality.activity import log_of, only_where, turnover, usual_before
from trading_dag.quality.sequences import SoundBars

_LEAST_JUMP: Final = 0.16
_JUMP_SCALES: Final = 10.0
_IMPOSSIBLE_JUMP: Final = float(np.log(3.0)) - 0.02
_PERSISTENCE: Final = 0.25
_WINDOW: Final = 5
_QUIET_RANGE: Final = 5.0
_QUIET_RANGE_FLOOR: Final = 0.08
# A recorded ratio is left in the price where the jump is that ratio up to a quarter, and no ordinary move.
_RECORDED_TOLERANCE: Final = 0.25
_RECORDED_SCALES: Final = 4.0

# Two opposite gaps within five weeks that cancel. The real ones beyond 5 % reach 7 local scales, and 10.8 in five times
# the usual turnover (NKE, 20 September 2024).
_SPLICE_SESSIONS: Final = 25
_SPLICE_SCALES: Final = 8.0
_SPLICE_SIZE: Final = 0.05
_SPLICE_NET: Final = 0.35


def split_like_jumps(bars: SoundBars) -> BoolArray:
    """Return sessions that look like an unadjusted split: an overnight jump that stays and that no trading made.

    A jump is one beyond doubt where the row's own ``split_factor`` is its ratio, where the dividend-adjusted close did
    not make it, or where it is to three times or a third. Otherwise range and turnover of the session decide. A
    recorded split does not excuse a jump, since prices are split-adjusted; a recorded dividend does.
    """
    rows = bars.rows
    if len(rows) < 2:
        return np.zeros(len(rows), dtype=bool)
    close, before = rows["close"], rows["close"].shift(1)
    dividend = rows["dividend"].fillna(0.0)
    overnight = np.nan_to_num(log_of((rows["open"] + dividend) / before))
    whole = np.nan_to_num(log_of((close + dividend) / before))
    # An open that repeats the close before it, as some feeds make them, says nothing of a jump.
    jump = np.where((rows["open"] == before).to_numpy(), whole, overnight)

    is_large = np.abs(jump) >= _LEAST_JUMP
    is_impossible = np.minimum(np.abs(jump), np.abs(whole)) >= _IMPOSSIBLE_JUMP
    adjusted = rows["adj_close"].where(rows["adj_close"] > 0)
    is_adjusted_elsewhere = np.abs(log_of(adjusted / adjusted.shift(1)) - whole) > np.abs(jump) / 2
    flags = is_large & (is_impossible | is_adjusted_elsewhere | _untraded(bars, jump, is_large))
    flags |= _is_recorded_ratio(rows, overnight, bars.scale.to_numpy())
    return np.asarray(flags & _stays(close, jump), dtype=bool) if flags.any() else flags


def _untraded(bars: SoundBars, jump: FloatArray, is_large: BoolArray) -> BoolArray:
    """Return the large jumps too far for what was traded, in a session of ordinary range."""
    rows = bars.rows
    is_far = is_large & (np.abs(jump) > _JUMP_SCALES * bars.scale.to_numpy())
    spread = pd.Series(log_of(rows["high"] / rows["low"]))
    usual = usual_before(spread, is_far)
    is_quiet = spread.to_numpy()[is_far] <= np.maximum(_QUIET_RANGE * np.nan_to_num(usual), _QUIET_RANGE_FLOOR)
    limit = _JUMP_SCALES * bars.scale.to_numpy()[is_far] * turnover(rows, is_far)
    return only_where(is_far, is_quiet & (np.abs(jump[is_far]) > limit))


def _stays(close: pd.Series, jump: FloatArray) -> BoolArray:
    """Return whether the median close of the five sessions after differs from that of the five before by the jump."""
    earlier = close.rolling(_WINDOW, min_periods=1).median().shift(1)
    later = close[::-1].rolling(_WINDOW, min_periods=1).median()[::-1]
    remaining = np.abs(log_of(later / earlier) - jump)
    return np.asarray(remaining < np.minimum(_PERSISTENCE, np.abs(jump) / 2), dtype=bool)


def _is_recorded_ratio(rows: pd.DataFrame, overnight: FloatArray, scale: FloatArray) -> BoolArray:
    factor = rows["split_factor"].where(rows["split_factor"] > 0).fillna(1.0)
    recorded = -log_of(factor)
    is_split = np.abs(recorded) > _RECORDED_SCALES * scale
    # A jump by the inverse ratio is the same defect, with the factor read the other way round.
    distance = np.minimum(np.abs(overnight - recorded), np.abs(overnight + recorded))
    return np.asarray(is_split & (distance < _RECORDED_TOLERANCE * np.abs(recorded)), dtype=bool)


def unusual_gaps(bars: SoundBars) -> BoolArray:
    """Return overnight gaps beyond 16 % and ten local scales, whatever caused them."""
    overnight = np.abs(np.nan_to_num(log_of(bars.rows["open"] / bars.rows["close"].shift(1))))
    return np.asarray((overnight >= _LEAST_JUMP) & (overnight > _JUMP_SCALES * bars.scale.to_numpy()), dtype=bool)


def spliced_sessions(bars: SoundBars) -> BoolArray:
    """Return two or more sessions between opposite overnight gaps that cancel within five weeks: bars of something
    else."""
    rows = bars.rows
    gap = np.nan_to_num(log_of(rows["open"] / rows["close"].shift(1)))
    limit = np.maximum(_SPLICE_SIZE, _SPLICE_SCALES * bars.scale.to_numpy())
    is_gap = np.abs(gap) > limit
    places, sizes, limits, busy = np.flatnonzero(is_gap), gap[is_gap], limit[is_gap], turnover(rows, is_gap)
    flags = np.zeros(len(rows), dtype=bool)
    for number, start in enumerate(places.tolist()):
        later = np.flatnonzero((places > start + 1) & (places <= start + _SPLICE_SESSIONS))
        least = np.minimum(np.abs(sizes[number]), np.abs(sizes[later]))
        cancels = (sizes[number] * sizes[later] < 0) & (np.abs(sizes[number] + sizes[later]) < _SPLICE_NET * least)
        needed = np.maximum(limits[number], limits[later]) * np.minimum(busy[number], busy[later])
        ends = places[later[cancels & (least > needed)]]
        if len(ends):
            flags[start : int(ends[0])] = True
    return flags
