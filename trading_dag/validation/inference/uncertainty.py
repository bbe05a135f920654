"""How uncertain a score is: the stationary bootstrap, its block length, and intervals from draws.

Here belongs what draws and what it means for an interval. What is scored stands in ``metrics``.
Daily forecasts that look several sessions ahead overlap, so their errors are dependent; drawing
blocks instead of rows keeps that dependence in every draw.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from trading_dag.arrays import FloatArray
from trading_dag.stationary_bootstrap import stationary_block_length, stationary_counts

if TYPE_CHECKING:
    from trading_dag.setting_groups import BootstrapSettings

SHORTEST_BLOCK: Final = 60  # sessions


def bootstrap_weights(n: int, *, mean_block: int, settings: BootstrapSettings) -> npt.NDArray[np.int16]:
    """Return how often each of ``n`` rows occurs in each draw of the stationary bootstrap.

    A draw is a chain of blocks of geometric length, wrapped around the end, so each row of the
    result sums to ``n``. The same ``n``, block and seed give the same draws: a model and its
    baseline scored with one weight matrix are compared draw by draw.

    Parameters
    ----------
    n : rows, in session order.
    mean_block : expected block length in rows, at least 1.
    settings : number of draws and seed.

    Returns
    -------
    draws × n counts.

    References
    ----------
    Politis and Romano, "The stationary bootstrap", JASA 89 (1994), 1303–1313.
    """
    weights = np.zeros((settings.draws, n), dtype=np.int16)
    if not n:
        return weights
    generator = np.random.default_rng(settings.seed)
    counts = stationary_counts(n, mean_block=mean_block, draws=settings.draws, generator=generator)
    for draw, count in enumerate(counts):
        weights[draw] = count
    return weights


def mean_block_length(losses: FloatArray, *, steps: int) -> int:
    """Return the expected block length for a series: max(60, 2h, Politis–White), in whole rows, at most n.

    Slow forecasts err for months, which the rule of Politis and White, made for shorter dependence, does not see:
    without the floor their intervals hold too rarely what they should.

    Parameters
    ----------
    losses : a loss, or a difference of losses, per session in order.
    steps : h, sessions the forecast looks ahead.

    References
    ----------
    Politis and White, Econometric Reviews 23 (2004), 53–70; correction by Patton, Politis and White 28 (2009), 372–375.
    """
    n = len(losses)
    least = max(SHORTEST_BLOCK, 2 * steps)
    if n < 10 or np.ptp(losses) < 1e-12:
        return max(1, min(least, n))
    with np.errstate(divide="ignore", invalid="ignore"):
        optimal = stationary_block_length(np.asarray(losses, dtype=np.float64))
    return max(1, min(max(least, math.ceil(optimal) if math.isfinite(optimal) else least), n))


def share_no_better(draws: FloatArray) -> float:
    """Return a one-sided p-value of a gain: (1 + draws that are not above 0) / (1 + draws), undefined draws left out.

    NaN where it is undefined in every draw.
    """
    defined = draws[np.isfinite(draws)]
    return float((1 + np.count_nonzero(defined <= 0.0)) / (1 + len(defined))) if len(defined) else math.nan


def percentile_interval(draws: FloatArray, *, confidence: float) -> tuple[float, float]:
    """Return the lower and upper percentile of the draws; draws in which the score is undefined are left out.

    Both are NaN where it is undefined in every draw.
    """
    defined = draws[np.isfinite(draws)]
    if not len(defined):
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return float(low), float(high)
