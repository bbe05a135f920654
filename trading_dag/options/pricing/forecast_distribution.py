"""What a forecast distribution of a price says: probabilities of ending and of touching, and expected payoffs.

Here belongs the arithmetic on the 19 quantiles of predictions.price, or any others. Probabilities are those of the
forecast, not of option prices, and expected values are not discounted. Structures of several legs stand in
``trading_dag.options.structures.forecast_value``.

Between quantiles the logarithm of the price is linear in the normal score of the level, and the lines of the outermost
two pairs go on beyond them. A lognormal price is met exactly. Of any other the tails are an assumption: below the 5 %
and above the 95 % quantile they are lognormal, so that a crash is rarer here than in a market. What pays only there is
told too cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import FloatArray
from trading_dag.errors import OptionPricingError
from trading_dag.schemas import QUANTILE_LEVELS

# −ζ(½) / √(2π): how far closes alone, in standard deviations from one to the next, see less than the path between.
CLOSES_SEE_LESS: Final = 0.5825971579390107
_LARGEST_EXPONENT: Final = 700.0
_ROUNDING: Final = 1e-12


@dataclass(frozen=True)
class ForecastDistribution:
    """Holds the distribution of a price at one time ahead, in n rows.

    Attributes
    ----------
    quantiles : (n, levels) prices, USD, positive and not descending along a row.
    levels : their levels, ascending within (0, 1); by default those of predictions.price.

    Raises
    ------
    OptionPricingError : for levels or quantiles that are not so, or fewer than two.
    """

    quantiles: FloatArray
    levels: tuple[float, ...] = QUANTILE_LEVELS

    def __post_init__(self) -> None:
        quantiles = np.atleast_2d(np.asarray(self.quantiles, dtype=np.float64))
        levels = np.asarray(self.levels, dtype=np.float64)
        if len(levels) < 2 or not ((levels > 0) & (levels < 1)).all() or not (np.diff(levels) > 0).all():
            raise OptionPricingError("levels of a distribution are at least two, ascend, and lie between 0 and 1")
        if quantiles.shape[1] != len(levels):
            raise OptionPricingError(f"{quantiles.shape[1]} quantiles do not belong to {len(levels)} levels")
        wrong = ~(np.isfinite(quantiles) & (quantiles > 0)).all(axis=1) | (np.diff(quantiles, axis=1) < 0).any(axis=1)
        if wrong.any():
            raise OptionPricingError(
                f"quantiles are positive, finite and do not descend; row {int(wrong.argmax())} is not so"
            )
        object.__setattr__(self, "quantiles", _without_rounding(quantiles))

    def probability_below(self, price: ArrayLike) -> FloatArray:
        """Return P(price at the target ≤ each price), (n,) for one price a row, (n, m) for (n, m) or (1, m) prices.

        0 for a price of 0 or less; NaN for a missing one.
        """
        from scipy.special import ndtr

        wanted, is_one_a_row = self._by_row(price)
        found: FloatArray = ndtr(self._score(wanted))
        return found[:, 0] if is_one_a_row else found

    def probability_above(self, price: ArrayLike) -> FloatArray:
        """Return P(price at the target > each price); shapes as for ``probability_below``."""
        above: FloatArray = 1.0 - self.probability_below(price)
        return above

    def probability_between(self, low: ArrayLike, high: ArrayLike) -> FloatArray:
        """Return P(low < price at the target ≤ high), 0 where the bounds are in the wrong order."""
        between: FloatArray = np.maximum(self.probability_below(high) - self.probability_below(low), 0.0)
        return between

    def score_of(self, price: ArrayLike) -> FloatArray:
        """Return the normal score of P(price at the target ≤ each price); shapes as for ``probability_below``."""
        wanted, is_one_a_row = self._by_row(price)
        score = self._score(wanted)
        return score[:, 0] if is_one_a_row else score

    def mean(self) -> FloatArray:
        """Return the expected price, (n,), USD."""
        return self._partial_mean(np.full((len(self.quantiles), 1), -np.inf))[:, 0]

    def expected_call(self, strike: ArrayLike) -> FloatArray:
        """Return the expected payoff of a call at the target, USD a share, not discounted; shapes as for
        ``probability_below``. Strikes are positive.
        """
        from scipy.special import ndtr

        wanted, is_one_a_row = self._by_row(strike)
        score = self._score(wanted)
        paid: FloatArray = np.maximum(self._partial_mean(score) - wanted * ndtr(-score), 0.0)
        return paid[:, 0] if is_one_a_row else paid

    def expected_put(self, strike: ArrayLike) -> FloatArray:
        """Return the expected payoff of a put, as ``expected_call``."""
        wanted, is_one_a_row = self._by_row(strike)
        paid: FloatArray = np.maximum(self.expected_call(wanted) - self.mean()[:, np.newaxis] + wanted, 0.0)
        return paid[:, 0] if is_one_a_row else paid

    def probability_of_touching(self, level: ArrayLike, *, spot: ArrayLike, closes: int | None = None) -> FloatArray:
        """Return the probability that the price reaches a level at any time up to the target, (n,), or (n, m) for
        levels (n, m).

        The path is taken for a Brownian motion of the logarithm whose drift is the median's and whose standard
        deviation is that of the 90 % range, with the forecast's own tails at the end: for a lognormal price this
        is exact, P(end beyond) + exp(2 m b / s²) P(end beyond b + 2 m) with b the logarithm of level over spot. It
        is never less than the probability of ending beyond the level.

        Parameters
        ----------
        level, spot : (n,) or one for all, positive; levels (n, m) for several a row. The price starts at ``spot``; at
            the level it has touched it. NaN for a missing level.
        closes : how many closes are looked at, the last of them the target's; None for the whole path. Closes alone
            see a level later than the path between them, as if it were 0.5826 s/√closes further away.

        References
        ----------
        Karatzas and Shreve, Brownian Motion and Stochastic Calculus (1991), section 3.5.C; Broadie, Glasserman and Kou,
        Mathematical Finance 7 (1997), p. 325.
        """
        from scipy.special import ndtri

        rows = len(self.quantiles)
        start = np.broadcast_to(np.asarray(spot, dtype=np.float64), (rows,))[:, np.newaxis]
        barrier, is_one_a_row = self._by_row(level)
        logs = np.log(self.quantiles)
        middle = self.log_price_at(np.zeros((rows, 1))) - np.log(start)
        reach = ndtri(self.levels[-1]) - ndtri(self.levels[0])
        deviation = ((logs[:, -1] - logs[:, 0]) / reach)[:, np.newaxis]
        distance = np.log(barrier / start)
        side = np.where(distance >= 0, 1.0, -1.0)
        if closes is not None:
            distance = distance + side * CLOSES_SEE_LESS * deviation / np.sqrt(closes)
        with np.errstate(divide="ignore", invalid="ignore"):
            exponent = np.where(deviation > 0, 2.0 * middle * distance / deviation**2, 0.0)
        beyond = self._beyond(start * np.exp(distance), side)
        # The price at which the reflected path ends: never nearer than what the level itself is worth.
        mirrored = self._beyond(start * np.exp(distance + 2.0 * middle), side)
        reflected = np.exp(np.minimum(exponent, _LARGEST_EXPONENT)) * mirrored * (deviation > 0)
        touched = np.clip(beyond + reflected, beyond, 1.0)
        told: FloatArray = np.where((barrier == start) & (closes is None), 1.0, touched)
        return told[:, 0] if is_one_a_row else told

    def _beyond(self, price: FloatArray, side: FloatArray) -> FloatArray:
        below = self.probability_below(price)
        return np.where(side > 0, 1.0 - below, below)

    def _by_row(self, price: ArrayLike) -> tuple[FloatArray, bool]:
        """Return prices as (n, m), and whether there was one a row."""
        given = np.asarray(price, dtype=np.float64)
        rows = len(self.quantiles)
        if given.ndim < 2:
            return np.broadcast_to(given, (rows,))[:, np.newaxis], True
        return np.broadcast_to(given, (rows, given.shape[1])), False

    def _lines(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the normal scores of the levels, and height at 0 and slope of the line between each pair of them."""
        from scipy.special import ndtri

        scores: FloatArray = ndtri(np.asarray(self.levels))
        logs = np.log(self.quantiles)
        slopes = np.diff(logs, axis=1) / np.diff(scores)
        return scores, logs[:, :-1] - slopes * scores[:-1], slopes

    def log_price_at(self, score: FloatArray) -> FloatArray:
        """Return the logarithm of the price at each normal score, (n, m)."""
        scores, heights, slopes = self._lines()
        line = np.clip(np.searchsorted(scores, score, side="right") - 1, 0, len(scores) - 2)
        found: FloatArray = np.take_along_axis(heights, line, 1) + np.take_along_axis(slopes, line, 1) * score
        return found

    def _score(self, price: FloatArray) -> FloatArray:
        """Return the normal score of P(price at the target ≤ each price), (n, m); −∞ for a price of 0 or less."""
        _, heights, slopes = self._lines()
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(np.where(price <= 0, 0.0, price))
            # The last quantile that is not above the price, so that of several equal ones all count as reached.
            reached = (self.quantiles[:, np.newaxis, :] <= price[:, :, np.newaxis]).sum(axis=2) - 1
            line = np.clip(reached, 0, slopes.shape[1] - 1)
            slope = np.take_along_axis(slopes, line, 1)
            along = (logs - np.take_along_axis(heights, line, 1)) / slope
        flat = np.where(reached < 0, -np.inf, np.inf)
        found: FloatArray = np.where(slope > 0, along, flat)
        return np.where(np.isnan(price), np.nan, found)

    def _partial_mean(self, score: FloatArray) -> FloatArray:
        """Return the expectation of the price where its normal score exceeds each score, (n, m)."""
        from scipy.special import ndtr

        scores, heights, slopes = self._lines()
        starts = np.concatenate([[-np.inf], scores[1:-1]])
        ends = np.concatenate([scores[1:-1], [np.inf]])
        begin = np.maximum(score[:, :, np.newaxis], starts)
        tilt = slopes[:, np.newaxis, :]
        shares = np.where(begin < ends, ndtr(ends - tilt) - ndtr(np.minimum(begin, ends) - tilt), 0.0)
        total: FloatArray = (np.exp(heights + slopes**2 / 2.0)[:, np.newaxis, :] * shares).sum(axis=2)
        return np.where(np.isnan(score), np.nan, total)


def _without_rounding(quantiles: FloatArray) -> FloatArray:
    """Return the quantiles with those that only rounding tells apart made one price: a line between them would have no
    direction."""
    equal = quantiles.copy()
    for level in range(1, equal.shape[1]):
        before = equal[:, level - 1]
        equal[:, level] = np.where(equal[:, level] <= before * (1.0 + _ROUNDING), before, equal[:, level])
    return equal
