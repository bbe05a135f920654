"""Weights that follow how well each learner has lately forecast, in markets about as volatile as now.

Here belongs how those weights are made of outcomes that are known. A forecast's own outcome, and any that lies later,
has no part in it; learners and their forecasts are somebody else's.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from trading_dag.arrays import FloatArray, IntArray

HALF_LIFE: Final = 252.0
WINDOW: Final = 756
BANDWIDTH: Final = 0.3
LEAST_KNOWN: Final = 60
RATES: Final = (0.0, 25.0, 100.0, 400.0)
_CHUNK: Final = 256


class AdaptiveWeights:
    """Weighs learners by exp(−rate · their mean absolute error), an average over known outcomes.

    An outcome counts less the longer ago it is (half after 252 sessions; only the last 756 known ones count), and the
    less the market was then about as volatile as now (by a normal kernel of the logarithm of volatility, with a
    standard deviation of 0.3). Saying zero, the random walk, is one of those that are weighed. With fewer than 60 known
    outcomes, or a rate of 0, all weigh the same.

    Attributes
    ----------
    rate : (1,).

    References
    ----------
    Vovk, "Aggregating strategies", COLT (1990), 371–383; Bates and Granger, Operational Research Quarterly 20 (1969),
    451, for weights by past errors.
    """

    def __init__(self, rate: FloatArray) -> None:
        self.rate = np.asarray(rate, dtype=np.float64)

    def forecast(self, forecasts: FloatArray, mean_errors: FloatArray) -> FloatArray:
        """Return the weighted forecast of each row.

        Parameters
        ----------
        forecasts : (rows, learners); NaN, where a learner has nothing to say, counts as 0.
        mean_errors : (rows, 1 + learners), of ``recent_errors``.
        """
        said = with_random_walk(forecasts)
        weighted: FloatArray = (weights_of(mean_errors, rate=float(self.rate[0])) * said).sum(axis=1)
        return weighted


def with_random_walk(forecasts: FloatArray) -> FloatArray:
    """Return the forecasts with that of the random walk, 0, before them, (rows, 1 + learners); missing ones are 0."""
    return np.column_stack([np.zeros(len(forecasts)), np.nan_to_num(forecasts)])


def weights_of(mean_errors: FloatArray, *, rate: float) -> FloatArray:
    """Return the weights of each row, which sum to one.

    Parameters
    ----------
    mean_errors : (rows, learners), of ``recent_errors``.
    """
    weights = np.exp(-rate * (mean_errors - mean_errors.min(axis=1, keepdims=True)))
    shares: FloatArray = weights / weights.sum(axis=1, keepdims=True)
    return shares


def recent_errors(forecasts: FloatArray, outcomes: FloatArray, volatility: FloatArray, known: IntArray) -> FloatArray:
    """Return the mean absolute error of the random walk and of each learner over the outcomes known at each row.

    Parameters
    ----------
    forecasts : (rows, learners) in session order; NaN, where a learner has nothing to say, counts as 0.
    outcomes : (rows,) NaN where there is none yet.
    volatility : (rows,) positive, known at the row's session.
    known : (rows,) how many of the first rows have a target at or before the row's session; ascending.

    Returns
    -------
    (rows, 1 + learners); 0 for all where fewer than 60 outcomes are known.
    """
    said = with_random_walk(forecasts)
    has_outcome = np.isfinite(outcomes)
    errors = np.where(has_outcome[:, np.newaxis], np.abs(np.nan_to_num(outcomes)[:, np.newaxis] - said), 0.0)
    log_volatility = np.log(volatility)
    means = np.zeros_like(said)
    for start in range(0, len(said), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(said)))
        first = max(int(known[rows[0]]) - WINDOW, 0)
        past = np.arange(first, int(known[rows[-1]]))
        if not len(past):
            continue
        age = known[rows][:, np.newaxis] - past
        counts = (age > 0) & (age <= WINDOW) & has_outcome[past]
        distance = (log_volatility[rows][:, np.newaxis] - log_volatility[past]) / BANDWIDTH
        # By age relative to the newest: what a row's own session would add to it is the same for all of the row's past.
        recency = 0.5 ** ((past[-1] - past) / HALF_LIFE)
        kernel = np.where(counts, recency * np.exp(-0.5 * distance**2), 0.0)
        # A market like none before: every known outcome is as good as any other.
        alone = kernel.sum(axis=1) < np.finfo(np.float64).tiny
        kernel[alone] = counts[alone]
        enough = counts.sum(axis=1) >= LEAST_KNOWN
        means[rows[enough]] = (kernel[enough] / kernel[enough].sum(axis=1, keepdims=True)) @ errors[past]
    return means


def choose_rate(
    forecasts: FloatArray, outcomes: FloatArray, volatility: FloatArray, known: IntArray
) -> AdaptiveWeights:
    """Return the weights whose rate, of 0, 25, 100 and 400, would have had the least mean absolute error.

    Parameters
    ----------
    forecasts : out-of-fold forecasts of a training part; these and the others as for ``recent_errors``, without missing
        outcomes.
    """
    said = with_random_walk(forecasts)
    mean_errors = recent_errors(forecasts, outcomes, volatility, known)
    losses = [np.abs(outcomes - (weights_of(mean_errors, rate=rate) * said).sum(axis=1)).mean() for rate in RATES]
    return AdaptiveWeights(np.array([RATES[int(np.argmin(losses))]]))
