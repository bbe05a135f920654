"""What a structure is worth by a forecast of the price at its expiration: probability of profit, expected profit.

Here belongs what the forecast says, beside what option prices say (``payoff.probability_of_profit``). The two differ by
what risk is paid for, and by the errors of either.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import FloatArray
from trading_dag.options.pricing.forecast_distribution import ForecastDistribution
from trading_dag.options.structures.payoff import breakevens, payoff, probability_from_crossings
from trading_dag.options.structures.structure import Structure


def forecast_probability_of_profit(
    structure: Structure, strikes: ArrayLike, *, premium: ArrayLike, forecast: ForecastDistribution
) -> FloatArray:
    """Return the probability of a profit at expiration by the forecast, (n,); NaN where strikes or premium are NaN.

    Parameters
    ----------
    strikes : (n, legs).
    premium : (n,) paid, negative where received, USD a share.
    forecast : of the price at the expiration; a row each.

    Raises
    ------
    OptionPricingError : for legs that expire at different dates.
    """
    k = np.atleast_2d(np.asarray(strikes, dtype=np.float64))
    cost = np.broadcast_to(np.asarray(premium, dtype=np.float64), (len(k),))
    above = forecast.probability_above(breakevens(structure, k, premium=cost))
    return probability_from_crossings(structure, k, premium=cost, above=above)


def expected_profit(
    structure: Structure, strikes: ArrayLike, *, premium: ArrayLike, forecast: ForecastDistribution
) -> FloatArray:
    """Return the expected profit at expiration by the forecast, (n,), USD a share, neither discounted nor less fees.

    Parameters and errors as for ``forecast_probability_of_profit``.
    """
    k = np.atleast_2d(np.asarray(strikes, dtype=np.float64))
    payoff(structure, k, spot=0.0)  # refuses legs that expire at different dates
    legs = np.where(structure.is_call, forecast.expected_call(k), forecast.expected_put(k))
    shares = structure.underlying_ratio * forecast.mean() if structure.underlying_ratio else 0.0
    profit: FloatArray = legs @ structure.signed_ratios + shares - np.asarray(premium, dtype=np.float64)
    return profit
