"""How good a position between 0 and 2 in the underlying was: Sharpe ratio, and the competition's adjusted one.

Here belongs the arithmetic, for many weightings of the same sessions at once, as ``metrics`` has it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from trading_dag.arrays import FloatArray
from trading_dag.validation.scores.metrics import Weights, total_weights, weighted_sums

FREE_VOLATILITY: Final = 1.2  # times the market's, without a penalty
LARGEST_SCORE: Final = 1_000_000.0


def strategy_returns(position: FloatArray, market: FloatArray, cash: FloatArray) -> FloatArray:
    """Return what an account earns that holds a share in the market and the rest in cash, a fraction a period."""
    earned: FloatArray = position * market + (1.0 - position) * cash
    return earned


def sharpe_ratio(weights: Weights, returns: FloatArray, cash: FloatArray, *, periods_per_year: float) -> FloatArray:
    """Return the annualised Sharpe ratio of each draw: compound excess over the standard deviation of the returns.

    Both as the competition counts them: the mean excess is the geometric one, and the deviation (ddof 1) is that of the
    returns themselves. NaN where the returns do not vary.
    """
    mean, deviation = _geometric_excess(weights, returns, cash), deviation_of(weights, returns)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: FloatArray = np.where(deviation > 0, mean / deviation, np.nan) * np.sqrt(periods_per_year)
    return ratio


def volatility_adjusted_sharpe(
    weights: Weights, position: FloatArray, market: FloatArray, cash: FloatArray, *, periods_per_year: float = 252.0
) -> FloatArray:
    """Return the score of the Hull Tactical competition for each draw.

    The Sharpe ratio is divided by 1 + what the strategy's volatility exceeds 1.2 times the market's by (as a ratio),
    and by 1 + a hundredth of the square of what its mean excess return lies below the market's, in percent points a
    year. The score is at most a million.

    Parameters
    ----------
    weights : draws × sessions.
    position : share of the account in the market, 0 to 2.
    market, cash : return of the market and of cash over the period that follows each session, fractions.

    References
    ----------
    Kaggle, Hull Tactical – Market Prediction (2025), evaluation page: the formula, no code.
    """
    own = strategy_returns(position, market, cash)
    excess, market_excess = _geometric_excess(weights, own, cash), _geometric_excess(weights, market, cash)
    deviation, market_deviation = deviation_of(weights, own), deviation_of(weights, market)
    with np.errstate(divide="ignore", invalid="ignore"):
        too_volatile = np.maximum(0.0, deviation / market_deviation - FREE_VOLATILITY)
        sharpe = np.where(deviation > 0, excess / deviation, np.nan) * np.sqrt(periods_per_year)
    behind = np.maximum(0.0, (market_excess - excess) * 100.0 * periods_per_year)
    score: FloatArray = np.minimum(sharpe / ((1.0 + too_volatile) * (1.0 + behind**2 / 100.0)), LARGEST_SCORE)
    return score


def _geometric_excess(weights: Weights, returns: FloatArray, cash: FloatArray) -> FloatArray:
    """Return the compound mean of the returns above cash, a fraction a period."""
    growth = weighted_sums(weights, np.log1p(returns - cash)[:, None])[:, 0]
    mean: FloatArray = np.expm1(growth / total_weights(weights))
    return mean


def deviation_of(weights: Weights, returns: FloatArray) -> FloatArray:
    """Return the sample standard deviation (ddof 1) of the returns."""
    held = total_weights(weights)
    centred = returns - returns.mean()
    first, second = weighted_sums(weights, np.column_stack([centred, centred**2])).T
    variance = np.maximum(second - first**2 / held, 0.0) / np.maximum(held - 1.0, 1.0)
    deviation: FloatArray = np.sqrt(variance)
    return deviation
