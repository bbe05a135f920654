"""Prices that stand alone: a close, or an open, high or low, far from everything around it.

A limit is in local scales (median daily move of the 31 sessions around), times the turnover of the session over its
usual for open, high and low, and times its root for the close. The flash crashes of 6 May 2010 and 24 August 2015 left
wicks of up to 22 scales in forty stocks, in 2.2 to 4.7 times the usual turnover; a wrong number leaves it as it was.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.quality.activity import log_of, only_where, turnover
from trading_dag.quality.sequences import SoundBars, reverting_sizes

# In sessions of usual turnover the largest real close that reverts at once is 6.4 local scales (at 1.7 %), 5.7 above
# 3 %.
_SPIKE_SCALES: Final = 7.0
_SPIKE_SIZE: Final = 0.025
_SPIKE_NET: Final = 0.5
# A wrong close is undone by the next open. Of the 18 real closes beyond 4 scales and 1.5 % that revert, 16 were not
# halfway back by then; the two others are EFA, whose markets had been open overnight.
_SPIKE_OVERNIGHT: Final = 0.5
_SPIKE_BEYOND_DOUBT: Final = 2.0
# The longest real wick beyond 10 % is 4.9 local scales (Nasdaq, April 2000) in a session of usual turnover; 13 scales
# occur, at 4.6 %.
# A bar whose whole range lies beyond both its neighbours: real ones reach 3.5 scales (LIN, 12 December 2023, a bar in
# doubt) and 8 % (TSLA, 28 September 2018, 3.1 scales). No turnover makes more believable.
_ISLAND_SCALES: Final = 5.0
_ISLAND_SIZE: Final = 0.02
_WICK_SCALES: Final = 10.0
_WICK_SIZE: Final = 0.10


def lone_prices(bars: SoundBars) -> tuple[BoolArray, BoolArray]:
    """Return flags of bars with a lone close, or a lone open, high or low.

    Returns
    -------
    Two masks: those that no turnover explains, and all of them. A bar with all its prices beyond its neighbours' is
    among the first.
    """
    nothing = np.zeros(len(bars.rows), dtype=bool)
    if len(bars.rows) < 3:
        return nothing, nothing
    refused, unusual = nothing.copy(), nothing.copy()
    for limits_passed in (_lone_closes(bars) ** 2, lone_extremes(bars)):
        is_lone = limits_passed > 1.0
        unusual |= is_lone
        refused |= only_where(is_lone, limits_passed[is_lone] > turnover(bars.rows, is_lone))
    islands = _islands(bars)
    return refused | islands, unusual | islands


def _lone_closes(bars: SoundBars) -> FloatArray:
    """Return how many times its limit each close is away from both its neighbours; 0 where trading took it back.

    A market that falls and recovers has to trade its way back, most of it after the next open; a wrong close is gone
    with the next open. An open that repeats the close before it, as some feeds make them, says nothing either way, and
    twice the limits need no such sign.
    """
    close, next_open = bars.rows["close"], bars.rows["open"].shift(-1)
    size = reverting_sizes(close, most_net=_SPIKE_NET)
    passed = size / np.maximum(_SPIKE_SCALES * bars.scale.to_numpy(), _SPIKE_SIZE)
    moved, back = log_of(close / close.shift(1)), log_of(close / next_open)
    is_undone = (np.sign(moved) * back >= _SPIKE_OVERNIGHT * np.abs(moved)) | (next_open == close).to_numpy()
    return np.where(is_undone, passed, passed / _SPIKE_BEYOND_DOUBT)


def _islands(bars: SoundBars) -> BoolArray:
    """Return bars whose low is far above the highs, or whose high is far below the lows, of both their neighbours."""
    high, low = bars.rows["high"], bars.rows["low"]
    above: pd.Series = low / np.maximum(high.shift(1), high.shift(-1))
    below: pd.Series = np.minimum(low.shift(1), low.shift(-1)) / high
    beyond = np.fmax(log_of(above), log_of(below))
    return np.asarray(beyond > np.maximum(_ISLAND_SCALES * bars.scale.to_numpy(), _ISLAND_SIZE), dtype=bool)


def lone_extremes(bars: SoundBars) -> FloatArray:
    """Return how many times its limit the open, high or low of each bar lies outside everything around it."""
    rows = bars.rows
    close, before = rows["close"], rows["close"].shift(1).fillna(rows["close"])
    upper, lower = np.maximum(close, before), np.minimum(close, before)
    reaches = (
        rows["open"] / upper,
        lower / rows["open"],
        rows["high"] / np.maximum(upper, rows["open"]),
        np.minimum(lower, rows["open"]) / rows["low"],
    )
    furthest = np.max([log_of(reach) for reach in reaches], axis=0)
    return np.asarray(furthest / np.maximum(_WICK_SCALES * bars.scale.to_numpy(), _WICK_SIZE), dtype="float64")
