"""What the forecasts of a session say of its exit: prices and volatility levels at nodes, and how sure they are.

Everything is known at the session's close: forecasts of the price and of the volatility level made then, and how far
earlier ones missed the outcomes known by then. Structures are no business of this module.

The trade is entered at the next session's open, and the forecast reaches from the close to the exit. What is expected
of the night before the entry is not earned: of a forecast's centre the share ``night`` is left out, and of its width
1 − √(1 − night), where ``night`` is the variance from close to open, over the last 250 sessions, as a share of that
of the whole way.

Nodes are normal scores at equal distances. The trapezoidal rule on them is exact to the last digits for what is smooth
in the score. The volatility level goes with the price by a Gaussian copula whose correlation is that of the scores
of outcomes known by then; across it stand two nodes, one standard deviation up and down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.options.pricing.forecast_distribution import ForecastDistribution
from trading_dag.schemas import QUANTILE_COLUMNS

SPACING: Final = 0.5
FURTHEST_SCORE: Final = 4.0
OUTCOMES_READ: Final = 1_000
LEAST_OUTCOMES: Final = 250
NIGHT_SESSIONS: Final = 250
_LARGEST_CORRELATION: Final = 0.95
_WORST_SCORE: Final = 4.0
_MEDIAN: Final = QUANTILE_COLUMNS.index("quantile_50")


def score_nodes() -> tuple[FloatArray, FloatArray]:
    """Return the normal scores of the nodes and their weights, which add to one."""
    count = round(2 * FURTHEST_SCORE / SPACING) + 1
    scores = np.linspace(-FURTHEST_SCORE, FURTHEST_SCORE, count)
    density = np.exp(-0.5 * scores * scores)
    return scores, density / density.sum()


@dataclass(frozen=True)
class ForecastErrors:
    """Holds how far forecasts are known to miss, in normal scores, one entry a session; NaN with too few outcomes.

    Attributes
    ----------
    centre, width, level : root mean square errors of the price's centre, of the logarithm of its width, and of the
        volatility level's centre: the mean error seen, and its standard error, overlap of the outcomes included.
    correlation : of the price's score with the level's; NaN where no level is forecast.
    outcomes : how many were known.
    """

    centre: FloatArray
    width: FloatArray
    level: FloatArray
    correlation: FloatArray
    outcomes: IntArray

    def rows(self, where: IntArray) -> ForecastErrors:
        """Return the errors at some sessions."""
        return ForecastErrors(
            self.centre[where], self.width[where], self.level[where], self.correlation[where], self.outcomes[where]
        )


def normal_scores(quantiles: FloatArray, outcome: FloatArray) -> FloatArray:
    """Return the normal score of each outcome in its forecast, (n,), cut to ±4; NaN where there is no outcome.

    Standard normal where the forecasts are calibrated.
    """
    from scipy.special import ndtri

    known = np.isfinite(outcome) & np.isfinite(quantiles).all(axis=1)
    scores = np.full(len(outcome), np.nan)
    if known.any():
        below = ForecastDistribution(quantiles[known]).probability_below(outcome[known])
        scores[known] = np.clip(ndtri(below), -_WORST_SCORE, _WORST_SCORE)
    return scores


def errors_known_by(
    sessions: pd.DatetimeIndex,
    target_sessions: pd.DatetimeIndex,
    *,
    price_scores: FloatArray,
    level_scores: FloatArray,
    overlap: int,
) -> ForecastErrors:
    """Return what the last 1,000 outcomes that were known at each session say of the forecasts.

    Parameters
    ----------
    sessions, target_sessions : (n,) ascending, of the forecasts.
    price_scores, level_scores : (n,) of ``normal_scores``; NaN where the outcome is not known, or no level is forecast.
    overlap : sessions ahead; errors of so many neighbouring forecasts share outcomes.
    """
    has_level = bool(np.isfinite(level_scores).any())
    usable = np.isfinite(price_scores) & (np.isfinite(level_scores) | (not has_level))
    when = target_sessions[usable].to_numpy()
    price = price_scores[usable]
    level = level_scores[usable] if has_level else np.zeros(int(usable.sum()))
    known = np.searchsorted(when, sessions.to_numpy(), side="right")
    first = np.maximum(known - OUTCOMES_READ, 0)
    count = known - first
    enough = count >= LEAST_OUTCOMES
    n = np.maximum(count, 1)

    def mean(values: FloatArray) -> FloatArray:
        total = np.concatenate([[0.0], np.cumsum(values)])
        result: FloatArray = (total[known] - total[first]) / n
        return result

    def miss(values: FloatArray) -> FloatArray:
        centre = mean(values)
        variance = np.maximum(mean(values * values) - centre**2, 0.0)
        total = variance.copy()
        for lag in range(1, overlap + 1):
            product = np.zeros(len(values))
            product[lag:] = values[lag:] * values[:-lag]
            total += 2.0 * (1.0 - lag / (overlap + 1.0)) * (mean(product) - centre**2)
        error: FloatArray = np.sqrt(centre**2 + np.maximum(total, variance) / n)
        return np.where(enough, error, np.nan)

    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt((mean(price * price) - mean(price) ** 2) * (mean(level * level) - mean(level) ** 2))
        correlation = (mean(price * level) - mean(price) * mean(level)) / spread
    bounded = np.clip(np.nan_to_num(correlation), -_LARGEST_CORRELATION, _LARGEST_CORRELATION)
    return ForecastErrors(
        centre=miss(price),
        width=miss(0.5 * (price * price - 1.0)),
        level=miss(level) if has_level else np.where(enough, 0.0, np.nan),
        correlation=np.where(enough & has_level, bounded, np.nan),
        outcomes=count.astype(np.int64),
    )


def night_share(opens: FloatArray, closes: FloatArray, *, positions: IntArray, sessions_ahead: int) -> FloatArray:
    """Return the share of the variance up to the exit that lies between the close and the next open.

    Parameters
    ----------
    opens, closes : of consecutive sessions, USD.
    positions : of the sessions asked for among them.
    sessions_ahead : from the session to the exit.

    0 where no two neighbouring sessions are known. It is at most nine tenths.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        night = np.log(opens[1:] / closes[:-1]) ** 2
        whole = np.log(closes[1:] / closes[:-1]) ** 2
    is_known = np.isfinite(night) & np.isfinite(whole)
    sums = []
    for values in (night, whole):
        total = np.concatenate([[0.0, 0.0], np.cumsum(np.where(is_known, values, 0.0))])
        sums.append(total[positions + 1] - total[np.maximum(positions + 1 - NIGHT_SESSIONS, 0)])
    share = np.divide(sums[0], sums[1], out=np.zeros(len(positions)), where=sums[1] > 0)
    cut: FloatArray = np.minimum(share / sessions_ahead, 0.9)
    return cut


def after_the_night(quantiles: FloatArray, start: FloatArray, *, night: FloatArray) -> FloatArray:
    """Return the quantiles of where a price or level that starts at ``start`` after the night ends, (n, levels)."""
    moves = np.log(quantiles / start[:, np.newaxis])
    centre = moves[:, _MEDIAN, np.newaxis]
    left = (1.0 - night)[:, np.newaxis]
    ends: FloatArray = start[:, np.newaxis] * np.exp(centre * left + (moves - centre) * np.sqrt(left))
    return ends


def values_at_scores(quantiles: FloatArray, scores: FloatArray) -> FloatArray:
    """Return the values at normal scores, (n, m): lines in logarithms between quantiles, and beyond them.

    Parameters
    ----------
    scores : (m,), or (n, m) a row each.
    """
    distribution = ForecastDistribution(quantiles)
    wanted = np.broadcast_to(np.atleast_2d(scores), (len(quantiles), np.shape(scores)[-1]))
    return np.exp(distribution.log_price_at(wanted))
