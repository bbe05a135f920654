"""Black–Scholes–Merton prices of European options, over arrays.

The price, the distribution arguments and the two tails from which price and Greeks are made, and nothing else.
Sensitivities are in ``greeks``, the inverse in ``implied_volatility``; American exercise is not this module's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trading_dag.options.blocks import as_flags, as_numbers, common_shape, in_blocks
from trading_dag.options.normal_tail import mills_ratio

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

DENSITY_AT_ZERO = float(np.sqrt(0.5 / np.pi))


@dataclass(frozen=True)
class BlackScholesTerms:
    """Inputs and the terms that the price and the Greeks share.

    Attributes
    ----------
    sign : 1 for calls, −1 for puts.
    discounted_spot, discounted_strike : S·exp(−qT) and K·exp(−rT).
    deviation : σ·√T.
    d1, d2 : the distribution arguments. Where the deviation is zero they are ±infinity by the sign of
        the forward's moneyness, and 0 exactly at the money.
    is_valid : inside the domain.
    """

    spot: FloatArray
    strike: FloatArray
    years: FloatArray
    rate: FloatArray
    dividend_yield: FloatArray
    volatility: FloatArray
    is_call: BoolArray
    sign: FloatArray
    discounted_spot: FloatArray
    discounted_strike: FloatArray
    deviation: FloatArray
    d1: FloatArray
    d2: FloatArray
    is_valid: BoolArray


def black_scholes_terms(
    *,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    volatility: ArrayLike,
    is_call: ArrayLike,
) -> BlackScholesTerms:
    """Broadcast the inputs to float64 and compute what price and Greeks have in common.

    Raises
    ------
    OptionPricingError : an input is no number, ``is_call`` is no boolean, or the shapes do not broadcast.
    """
    numbers = [as_numbers(value) for value in (spot, strike, years, rate, dividend_yield, volatility)]
    flags = as_flags(is_call)
    shape = common_shape([*numbers, flags])
    s, k, t, r, q, sigma = (np.broadcast_to(value, shape) for value in numbers)
    with np.errstate(all="ignore"):
        return terms_of_block(s, k, t, r, q, sigma, np.broadcast_to(flags, shape))


def terms_of_block(
    spot: FloatArray,
    strike: FloatArray,
    years: FloatArray,
    rate: FloatArray,
    dividend_yield: FloatArray,
    volatility: FloatArray,
    is_call: BoolArray,
) -> BlackScholesTerms:
    """The terms of arrays that broadcast; the caller turns floating-point warnings off."""
    deviation = volatility * np.sqrt(years)
    log_moneyness = np.log(spot / strike) + (rate - dividend_yield) * years
    centre = log_moneyness / deviation
    has_none = deviation == 0.0
    if has_none.any():
        # A forward at the strike without deviation is 0/0: both arguments are zero there.
        centre = np.where(has_none & (log_moneyness == 0.0), 0.0, centre)
    half = 0.5 * deviation
    return BlackScholesTerms(
        spot=spot, strike=strike, years=years, rate=rate, dividend_yield=dividend_yield, volatility=volatility,
        is_call=is_call, sign=np.where(is_call, 1.0, -1.0),
        discounted_spot=spot * np.exp(-dividend_yield * years), discounted_strike=strike * np.exp(-rate * years),
        deviation=deviation, d1=centre + half, d2=centre - half,
        is_valid=(
            (spot > 0.0) & (spot < np.inf) & (strike > 0.0) & (strike < np.inf) & (years >= 0.0) & (years < np.inf)
            & (volatility >= 0.0) & (volatility < np.inf) & np.isfinite(rate) & np.isfinite(dividend_yield)
        ),
    )  # fmt: skip


def tails_of_terms(terms: BlackScholesTerms) -> tuple[FloatArray, FloatArray, FloatArray]:
    """S·exp(−qT)·φ(d1), S·exp(−qT)·N(−|d1|) and K·exp(−rT)·N(−|d2|), USD: what price and Greeks are made of.

    Since S·exp(−qT)·φ(d1) = K·exp(−rT)·φ(d2), each tail is the first value times a Mills ratio. With that weight in
    common the difference of the tails, which is the price far out of the money, keeps its relative accuracy
    where two distribution functions rounded apart would lose it.
    """
    density = (DENSITY_AT_ZERO * terms.discounted_spot) * np.exp(-0.5 * terms.d1 * terms.d1)
    # One call for both: the threads of ``blocks`` meet at every step.
    ratios = mills_ratio(np.abs(np.stack((terms.d1, terms.d2))))
    return density, density * ratios[0], density * ratios[1]


def price_of_tails(terms: BlackScholesTerms, spot_tail: FloatArray, strike_tail: FloatArray) -> FloatArray:
    """The price: intrinsic value of the discounted forward plus the value of the out-of-the-money side."""
    smaller = np.minimum(terms.discounted_spot, terms.discounted_strike)
    is_wing = (terms.d1 > 0.0) == (terms.d2 > 0.0)
    out_of_the_money = np.where(is_wing, np.abs(spot_tail - strike_tail), smaller - (spot_tail + strike_tail))
    intrinsic = np.maximum(terms.sign * (terms.discounted_spot - terms.discounted_strike), 0.0)
    ceiling = np.where(terms.is_call, terms.discounted_spot, terms.discounted_strike)
    # Rounding may leave the arbitrage bounds by an ulp; the bounds are exact.
    value = np.minimum(intrinsic + np.maximum(out_of_the_money, 0.0), ceiling)
    return value if terms.is_valid.all() else np.where(terms.is_valid, value, np.nan)


def price_of_terms(terms: BlackScholesTerms) -> FloatArray:
    """The price from precomputed terms; NaN outside the domain."""
    with np.errstate(all="ignore"):
        return price_of_tails(terms, *tails_of_terms(terms)[1:])


def price(
    *,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    volatility: ArrayLike,
    is_call: ArrayLike,
) -> FloatArray:
    """Value of a European option under Black–Scholes–Merton.

    Parameters
    ----------
    spot, strike : USD, positive.
    years : time to expiration, not negative.
    rate, dividend_yield : continuously compounded, as fractions a year.
    volatility : as a fraction a year (0.20), not negative.
    is_call : True for a call, False for a put.

    Returns
    -------
    float64 array of the broadcast shape, USD a share, within the arbitrage bounds. With ``years`` or
    ``volatility`` zero it is the intrinsic value of the discounted forward. NaN exactly where an input
    is NaN or infinite, a price is not positive, or time or volatility is negative.

    Raises
    ------
    OptionPricingError : an input is no number, ``is_call`` is no boolean, or the shapes do not broadcast.

    Notes
    -----
    Known as soon as its inputs are. On strikes of 20–500 % of spot, one day to three years and volatility 1–300 %,
    with M = max(S·exp(−qT), K·exp(−rT)), the error is at most 8·2⁻⁵²·M. Out of the money it is also small against the
    price itself: at most 1e-10 of it, down to prices of 1e-100·M.

    References
    ----------
    Haug, *The Complete Guide to Option Pricing Formulas*, 1998, pages 2-8 (generalised formula).
    """
    numbers = (spot, strike, years, rate, dividend_yield, volatility)
    return in_blocks(_price_of_block, numbers, is_call=is_call, n_outputs=1)[0]


def _price_of_block(*inputs: Any) -> tuple[FloatArray]:
    terms = terms_of_block(*inputs)
    return (price_of_tails(terms, *tails_of_terms(terms)[1:]),)
