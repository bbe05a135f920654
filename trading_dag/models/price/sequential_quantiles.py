"""Quantiles of what was known at each step: expanding, rolling, and corrected so that their coverage holds.

Here belongs the arithmetic on plain arrays in time order, in which outcomes become known later than the step they
belong to. What is standardised by what, and what a step means, stands in ``price_distribution``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray, IntArray

NEVER: Final = -1
INTERVAL: Final = 0.9  # what the outermost of the quantiles are to cover together
LARGEST_MISS_RATE: Final = 0.5


@dataclass(frozen=True)
class SequentialQuantiles:
    """Holds the quantiles that each step could know.

    Attributes
    ----------
    values : (steps, levels), ascending along the levels; NaN where a step has no forecast.
    last_used : (steps,) the latest step whose outcome was used, ``NEVER`` where there is no forecast.
    miss_rate : (steps,) the share of misses that the interval was made for: 0.1 unless corrected; NaN without a
        forecast.
    """

    values: FloatArray
    last_used: IntArray
    miss_rate: FloatArray


def outcome_known_at(target: IntArray) -> IntArray:
    """Return the step whose outcome becomes known at each step, ``NEVER`` where none does.

    Parameters
    ----------
    target : (steps,) position at which each step's outcome becomes known, ``NEVER`` where it does not; strictly
        ascending among those that do, and never before the step itself.
    """
    arrivals = np.full(len(target), NEVER, dtype=np.int64)
    known = np.flatnonzero(target != NEVER)
    arrivals[target[known]] = known
    return arrivals


def expanding_quantiles(
    values: FloatArray, arrivals: IntArray, wanted: BoolArray, *, levels: FloatArray, least: int, step_size: float = 0.0
) -> SequentialQuantiles:
    """Return quantiles of all values known at each step, their interval corrected by how often it has missed.

    The k-th smallest of n values stands at level k / (n + 1): where values are exchangeable, the next one lies
    at or below it with exactly that probability. Levels between are interpolated, levels beyond the first and the last
    are those. After each outcome the miss rate moves, α ← α + γ (0.1 − [the outcome was outside]), and all levels
    are stretched about the median so that the outermost two leave α out: so quantiles never cross, and coverage is held
    also where values are not exchangeable.

    Parameters
    ----------
    values : (steps,) in time order; NaN does not count.
    arrivals : ``outcome_known_at`` of the steps.
    wanted : (steps,) whether a step is to have quantiles.
    levels : ascending and symmetric about ½; the outermost two leave out 0.1.
    least : known values without which there is no forecast.
    step_size : γ; 0 corrects nothing.

    References
    ----------
    Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World (2005), chapter 2; Gibbs and Candès, Advances in
    Neural Information Processing Systems 34 (2021), equation 2.
    """
    if not step_size:
        return _uncorrected(values, arrivals, wanted, levels=levels, least=least)
    steps = len(values)
    made = np.full((steps, len(levels)), np.nan)
    last_used, miss_rate = np.full(steps, NEVER, dtype=np.int64), np.full(steps, np.nan)
    ordered, size, last = np.empty(steps), 0, NEVER
    target_rate = alpha = 1.0 - INTERVAL
    from_median = (levels - 0.5) / INTERVAL
    for step in range(steps):
        arrived = arrivals[step]
        if arrived != NEVER and math.isfinite(value := values[arrived]):
            _insert(ordered, size, value)
            size, last = size + 1, arrived
            if last_used[arrived] != NEVER:
                is_outside = not made[arrived, 0] <= value <= made[arrived, -1]
                alpha = min(max(alpha + step_size * (target_rate - is_outside), 0.0), LARGEST_MISS_RATE)
        if wanted[step] and size >= least:
            made[step] = _at_levels(ordered[:size], 0.5 + from_median * (1.0 - alpha))
            last_used[step], miss_rate[step] = last, alpha
    return SequentialQuantiles(made, last_used, miss_rate)


def _uncorrected(
    values: FloatArray, arrivals: IntArray, wanted: BoolArray, *, levels: FloatArray, least: int
) -> SequentialQuantiles:
    """Return ``expanding_quantiles`` whose interval is not corrected: which of the ordered values a level lies between
    follows from their number alone, so only these are taken at each step, and all of them interpolated at once."""
    steps = len(values)
    bounds = np.full((2, steps, len(levels)), np.nan)
    last_used, sizes = np.full(steps, NEVER, dtype=np.int64), np.zeros(steps, dtype=np.int64)
    ordered, size, last = np.empty(steps), 0, NEVER
    rate = 1.0 - INTERVAL
    places = _places(np.arange(1, steps + 1)[:, np.newaxis], 0.5 + (levels - 0.5) / INTERVAL * (1.0 - rate))
    below = places.astype(np.int64)
    between = np.stack([below, np.minimum(below + 1, np.arange(steps)[:, np.newaxis])], axis=1)
    for step in range(steps):
        arrived = arrivals[step]
        if arrived != NEVER and math.isfinite(value := values[arrived]):
            _insert(ordered, size, value)
            size, last = size + 1, arrived
        if wanted[step] and size >= least:
            bounds[:, step] = ordered.take(between[size - 1])
            last_used[step], sizes[step] = last, size
    weight = (places - below)[sizes - 1]
    made: FloatArray = bounds[0] + weight * (bounds[1] - bounds[0])
    return SequentialQuantiles(made, last_used, np.where(last_used != NEVER, rate, np.nan))


def _insert(ordered: FloatArray, size: int, value: float) -> None:
    """Put a value in its place among the first ``size``."""
    place = int(ordered[:size].searchsorted(value))
    ordered[place + 1 : size + 1] = ordered[place:size]
    ordered[place] = value


def _places(count: IntArray | int, levels: FloatArray) -> FloatArray:
    """Return where levels lie among so many ascending values, counted from 0 and between two of them."""
    places: FloatArray = np.minimum(np.maximum(levels * (count + 1) - 1.0, 0.0), count - 1)
    return places


def _at_levels(ordered: FloatArray, levels: FloatArray) -> FloatArray:
    """Return the values at the levels, along the last axis; of as many ascending values in each row."""
    last = ordered.shape[-1] - 1
    places = _places(last + 1, levels)
    below = places.astype(np.int64)
    lower, upper = ordered.take(below, axis=-1), ordered.take(np.minimum(below + 1, last), axis=-1)
    found: FloatArray = lower + (places - below) * (upper - lower)
    return found


def rolling_quantiles(
    values: FloatArray, arrivals: IntArray, *, levels: FloatArray, window: int
) -> SequentialQuantiles:
    """Return quantiles of the last ``window`` values known at each step; parameters and convention as for
    ``expanding_quantiles``. There is no forecast before as many are known."""
    steps = len(values)
    made = np.full((steps, len(levels)), np.nan)
    last_used = np.full(steps, NEVER, dtype=np.int64)
    has_new = (arrivals != NEVER) & np.isfinite(values[arrivals])
    known = arrivals[has_new]
    count = np.cumsum(has_new)
    served = np.flatnonzero(count >= window)
    if len(served):
        windows = np.sort(np.lib.stride_tricks.sliding_window_view(values[known], window), axis=1)
        made[served] = _at_levels(windows, levels)[count[served] - window]
        last_used[served] = known[count[served] - 1]
    return SequentialQuantiles(made, last_used, np.where(last_used != NEVER, 1.0 - INTERVAL, np.nan))
