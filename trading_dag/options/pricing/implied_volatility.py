"""Implied volatility of European options under Black–Scholes–Merton, over arrays.

The inverse of ``black_scholes.price`` in the volatility and nothing else. Whether a quote deserves an implied
volatility (its spread, its age, its ticks) is for the chain to say.

Method. Put–call parity turns the price into the value of the out-of-the-money side, as a fraction c of
min(S·exp(−qT), K·exp(−rT)), with u = 1 − c beside it. Both depend on x = |ln(F/K)| and the deviation s = σ√T only.
With h = x/s, t = s/2, g = h − t, the normal density φ and the Mills ratio m(z) = N(−z)/φ(z):

    c = φ(g)·(m(g) − m(h + t))     where g > 0 (below the inflection of the price in s)
    u = φ(g)·(m(−g) + m(h + t))    otherwise

The logarithm of whichever applies is solved by Householder's third-order step, whose error is the fourth power of the
one before. The start is the normal model's deviation, exact as s → 0, bent by the inverse error function,
exact as x → 0; it is within 1e-4 for s < 0.3 and 3e-3 for s < 4, so that one or two steps are enough.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.options.pricing.blocks import in_blocks
from trading_dag.options.pricing.normal_tail import mills_ratio, polynomial

EPSILON = 2.0**-52
# A time value within this many ε·M of zero is indistinguishable from it: the discounted prices round that much.
FLOOR_EPSILONS = 4.0

_ROOT_TWO_PI = float(np.sqrt(2.0 * np.pi))
# Minimax rational fit of h/L over L = ln(1 + h/(φ(h) − h·N(−h))), 0 < h < 9; relative error 1.5e-5.
_NORMAL_NUMERATOR = (0.39894799927887783, 0.04573305242705922, 0.0071743690234112294, 7.411701805229735e-05)
_NORMAL_DENOMINATOR = (1.0, 0.11477788999561457, 0.021519235431829684, 7.400723359975625e-04, 1.4792462662523198e-06)
# Minimax rational fit of √8·erf⁻¹(κ)/κ over −ln(1 − κ²), from 0 to 36; relative error 2e-5.
_BEND_NUMERATOR = (
    2.506579786325736, 0.8915353037608494, 0.17472933563931625, 0.021788130232783885, 0.00011174199963212873,
)  # fmt: skip
_BEND_DENOMINATOR = (1.0, 0.09356675749123892, 0.03290391273923934, 0.000887259194747595)
_LARGEST_FRACTION = 1.0 - 1e-15
# Beyond this |ln(F/K)| the start is the inflection point, from where the steps always converge.
_START_LIMIT = 3.0
_STEP_LIMIT = 20


def implied_volatility(
    *,
    price: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    is_call: ArrayLike,
) -> FloatArray:
    """Return the volatility at which the Black–Scholes–Merton price of a European option is the given one.

    Parameters
    ----------
    price : USD a share.
    spot, strike, years, rate, dividend_yield, is_call : as in ``black_scholes.price``.

    Returns
    -------
    float64 array of the broadcast shape, as a fraction a year (0.20). With A = S·exp(−qT), B = K·exp(−rT),
    M = max(A, B) and ε = 2⁻⁵²: 0.0 where the price is within 4εM of its lower arbitrage bound (the intrinsic value of
    the discounted forward). NaN where it is further below that bound, at or above the upper bound (A for calls, B for
    puts), where no time is left and the price is above the lower bound, and where an input is outside the domain.

    Raises
    ------
    OptionPricingError : an input is no number, ``is_call`` is no boolean, or the shapes do not broadcast.

    Notes
    -----
    Known as soon as its inputs are. Everywhere else, whatever the strike, the time and the volatility, the result
    reprices within 8εM of the given price, and its error is at most max(1e-8, 8εM/vega). The second term is what a
    double can say: the price of a contract deep in the money, or about to expire, holds few digits of volatility.

    References
    ----------
    Jäckel, "Let's Be Rational", Wilmott, January 2015, pages 40-53 (the idea of out-of-the-money normalisation and
    high-order steps on logarithms; start and branches here are different). Householder, *The Numerical Treatment of
    a Single Nonlinear Equation*, 1970.
    """
    numbers = (price, spot, strike, years, rate, dividend_yield)
    return in_blocks(_volatility_of_block, numbers, is_call=is_call, n_outputs=1)[0]


def _volatility_of_block(
    price: FloatArray,
    spot: FloatArray,
    strike: FloatArray,
    years: FloatArray,
    rate: FloatArray,
    dividend_yield: FloatArray,
    is_call: BoolArray,
    *,
    out: Sequence[FloatArray],
) -> None:
    discounted_spot = spot * np.exp(-dividend_yield * years)
    discounted_strike = strike * np.exp(-rate * years)
    difference = discounted_spot - discounted_strike
    time_value = price - np.maximum(np.where(is_call, difference, -difference), 0.0)
    room_above = np.where(is_call, discounted_spot, discounted_strike) - price
    smaller = np.minimum(discounted_spot, discounted_strike)
    floor = FLOOR_EPSILONS * EPSILON * np.maximum(discounted_spot, discounted_strike)
    is_inside = (smaller > 0.0) & (floor < np.inf) & (years >= 0.0) & (room_above > 0.0)
    volatility = np.where(is_inside & (np.abs(time_value) <= floor), 0.0, np.nan)
    where = np.flatnonzero(is_inside & (time_value > floor) & (years > 0.0))
    if where.size:
        shape = volatility.shape

        def chosen(values: FloatArray) -> FloatArray:
            return np.broadcast_to(values, shape)[where]

        unit = chosen(smaller)
        moneyness = np.abs(np.log(chosen(spot / strike)) + chosen((rate - dividend_yield) * years))
        deviation = _solve(
            # Far below any difference that doubles resolve, and spares the formulas a division of zero by zero.
            np.maximum(moneyness, 1e-100),
            value=np.minimum(chosen(time_value) / unit, 1.0),
            complement=chosen(room_above) / unit,
        )
        volatility[where] = deviation / chosen(np.sqrt(years))
    out[0][:] = volatility


def _solve(moneyness: FloatArray, *, value: FloatArray, complement: FloatArray) -> FloatArray:
    """Return the deviation σ√T from x, c and u of the module's docstring; one-dimensional arrays of one length."""
    deviation = _start(moneyness, value)
    x, inverse_value, inverse_complement = moneyness, 1.0 / (_ROOT_TWO_PI * value), 1.0 / (_ROOT_TWO_PI * complement)
    open_rows, current = np.arange(x.size), deviation
    for _ in range(_STEP_LIMIT):
        step = _householder_step(x, current, inverse_value, inverse_complement)
        current = current + np.minimum(np.maximum(step, -0.5 * current), current)
        deviation[open_rows] = current
        # After a relative step of 1e-4 the error is 1e-16; steps below 4e-15 are rounding.
        left = np.flatnonzero(np.abs(step) > 1e-4 * current + 2.0**-48)
        if not left.size:
            break
        open_rows, current, x = open_rows[left], current[left], x[left]
        inverse_value, inverse_complement = inverse_value[left], inverse_complement[left]
    return deviation


def _start(moneyness: FloatArray, value: FloatArray) -> FloatArray:
    """Return the first guess of the deviation: the normal model's, bent as at the money."""
    depth = np.log1p(np.expm1(moneyness) / value)
    # h over depth in the normal model; the deviation is x/h there, and √(2π) for c = 1 at the money.
    slope = polynomial(_NORMAL_NUMERATOR, depth) / polynomial(_NORMAL_DENOMINATOR, depth)
    fraction = moneyness / (_ROOT_TWO_PI * depth * slope)
    squared = moneyness * moneyness
    # Away from the money the deviation for c = 1 is larger, by up to three percent.
    excess = 0.00366 * squared / (1.0 + 0.007 * squared)
    fraction = np.minimum(fraction / (1.0 + excess * (fraction * fraction) ** 2), _LARGEST_FRACTION)
    depth = -np.log1p(-fraction * fraction)
    guess = fraction * polynomial(_BEND_NUMERATOR, depth) / polynomial(_BEND_DENOMINATOR, depth)
    return np.where(moneyness < _START_LIMIT, guess, np.sqrt(2.0 * moneyness))


def _householder_step(
    moneyness: FloatArray, deviation: FloatArray, inverse_value: FloatArray, inverse_complement: FloatArray
) -> FloatArray:
    """Return the third-order step on ln c or ln u; derivatives are those of the price in the deviation."""
    h, t = moneyness / deviation, 0.5 * deviation
    g, far = h - t, h + t
    is_below = g > 0.0
    sign = np.where(is_below, 1.0, -1.0)
    ratios = mills_ratio(np.stack((np.abs(g), far)))
    mills: FloatArray = ratios[0] - sign * ratios[1]
    miss = np.log(mills * np.where(is_below, inverse_value, inverse_complement)) - 0.5 * g * g
    slope = sign / mills
    newton = -miss / slope
    # Second and third derivative of the logarithm over the first
    second = g * far / deviation - slope
    third = second * (second - slope) - 3.0 * (h / deviation) ** 2 - 0.25
    half_step = 0.5 * newton * second
    correction = (1.0 + half_step) / (1.0 + 2.0 * half_step + newton * newton * third / 6.0)
    # Far from the solution the series may point away from it, and Newton's step never does.
    step: FloatArray = newton * np.where(correction > 0.0, correction, 1.0)
    return step
