"""Black–Scholes–Merton prices of European options, over arrays.

The price, the distribution arguments and the two tails from which price and Greeks are made, and nothing else.
Sensitivities are in ``greeks``, the inverse in ``implied_volatility``; American exercise is not this module's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.options.pricing.blocks import as_flags, as_numbers, common_shape, in_blocks
from trading_dag.options.pricing.normal_tail import mills_ratio

DENSITY_AT_ZERO = float(np.sqrt(0.5 / np.pi))


@dataclass(frozen=True)
class BlackScholesTerms:
    """Holds the inputs and the terms that the price and the Greeks share.

    Attributes
    ----------
    sign : 1 for calls, −1 for puts.
    root_years : √T.
    carry : rate less dividend yield.
    discounted_spot, discounted_strike : S·exp(−qT) and K·exp(−rT).
    deviation : σ·√T.
    d1, d2 : the distribution arguments. Where the deviation is zero they are ±infinity by the sign of
        the forward's moneyness, and 0 exactly at the money.
    magnitudes : |d1| and |d2|, along a first dimension of two.
    are_ordinary : every contract is inside the domain, and the other terms are finite and the deviation positive.
    """

    spot: FloatArray
    strike: FloatArray
    years: FloatArray
    rate: FloatArray
    dividend_yield: FloatArray
    volatility: FloatArray
    is_call: BoolArray
    sign: FloatArray
    root_years: FloatArray
    carry: FloatArray
    discounted_spot: FloatArray
    discounted_strike: FloatArray
    deviation: FloatArray
    d1: FloatArray
    d2: FloatArray
    magnitudes: FloatArray
    are_ordinary: bool

    @property
    def is_valid(self) -> BoolArray:
        """Return whether each contract is inside the domain."""
        s, k, t, sigma = self.spot, self.strike, self.years, self.volatility
        is_valid: BoolArray = (
            (s > 0.0) & (s < np.inf) & (k > 0.0) & (k < np.inf) & (t >= 0.0) & (t < np.inf)
            & (sigma >= 0.0) & (sigma < np.inf) & np.isfinite(self.rate) & np.isfinite(self.dividend_yield)
        )  # fmt: skip
        return is_valid


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
    """Return the terms of arrays that broadcast; the caller turns floating-point warnings off."""
    root_years, carry = np.sqrt(years), rate - dividend_yield
    deviation = volatility * root_years
    log_moneyness = np.log(spot / strike) + carry * years
    centre = log_moneyness / deviation
    has_deviation = bool(deviation.min(initial=np.inf) > 0.0)
    if not has_deviation:
        # A forward at the strike without deviation is 0/0: both arguments are zero there.
        centre = np.where((deviation == 0.0) & (log_moneyness == 0.0), 0.0, centre)
    half = 0.5 * deviation
    arguments = np.empty((2, *centre.shape))
    np.add(centre, half, out=arguments[0, ...])
    np.subtract(centre, half, out=arguments[1, ...])
    magnitudes = np.abs(arguments)
    backward = -years
    discounted_spot, discounted_strike = spot * np.exp(dividend_yield * backward), strike * np.exp(rate * backward)
    # Finite arguments over a positive deviation mean finite inputs, and a strike of the spot's sign.
    are_ordinary = has_deviation and bool(
        spot.min(initial=np.inf) > 0.0
        and all(values.max(initial=0.0) < np.inf for values in (magnitudes, discounted_spot, discounted_strike))
    )
    return BlackScholesTerms(
        spot=spot, strike=strike, years=years, rate=rate, dividend_yield=dividend_yield, volatility=volatility,
        is_call=is_call, sign=2.0 * is_call.astype(np.float64) - 1.0, root_years=root_years, carry=carry,
        discounted_spot=discounted_spot, discounted_strike=discounted_strike, deviation=deviation,
        d1=arguments[0], d2=arguments[1], magnitudes=magnitudes, are_ordinary=are_ordinary,
    )  # fmt: skip


def tails_of_terms(terms: BlackScholesTerms) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return S·exp(−qT)·φ(d1), S·exp(−qT)·N(−|d1|) and K·exp(−rT)·N(−|d2|), USD: what price and Greeks are made of.

    Since S·exp(−qT)·φ(d1) = K·exp(−rT)·φ(d2), each tail is the first value times a Mills ratio. With that weight in
    common the difference of the tails, which is the price far out of the money, keeps its relative accuracy
    where two distribution functions rounded apart would lose it.
    """
    exponent = -0.5 * terms.d1
    exponent *= terms.d1
    density = np.exp(exponent)
    density *= DENSITY_AT_ZERO * terms.discounted_spot
    # One call for both: the threads of ``blocks`` meet at every step.
    tails = mills_ratio(terms.magnitudes)
    tails *= density
    return density, tails[0], tails[1]


def exercised_of_tails(
    terms: BlackScholesTerms, spot_tail: FloatArray, strike_tail: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return ±S·exp(−qT)·N(±d1) and ±K·exp(−rT)·N(±d2), plus for calls: what exercise brings and costs, worth today."""
    received = _exercised(terms, terms.d1, whole=terms.discounted_spot, tail=spot_tail)
    paid = _exercised(terms, terms.d2, whole=terms.discounted_strike, tail=strike_tail)
    return received, paid


def _exercised(terms: BlackScholesTerms, argument: FloatArray, *, whole: FloatArray, tail: FloatArray) -> FloatArray:
    """Return ±whole·N(±argument) from the tail whole·N(−|argument|): whole − tail on one side, the tail on the
    other."""
    is_whole = (argument > 0.0) == terms.is_call
    if not terms.are_ordinary:
        return terms.sign * np.where(is_whole, whole - tail, tail)
    # The same to the last bit in a third of the time: nothing predicts the branch in np.where.
    value = is_whole.astype(np.float64)
    value *= whole
    value -= tail
    signed: FloatArray = np.abs(value) * terms.sign
    return signed


def write_price(terms: BlackScholesTerms, received: FloatArray, paid: FloatArray, *, out: FloatArray) -> None:
    """Write the price; NaN outside the domain."""
    intrinsic = terms.sign * (terms.discounted_spot - terms.discounted_strike)
    np.subtract(received, paid, out=out)
    # Rounding may leave the lower arbitrage bound by an ulp, and the bounds are exact. The upper one holds: neither
    # part is below zero or above its whole.
    np.maximum(out, np.maximum(intrinsic, 0.0), out=out)
    if not terms.are_ordinary:
        out[~np.broadcast_to(terms.is_valid, out.shape)] = np.nan


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
    """Return the value of a European option under Black–Scholes–Merton.

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


def _price_of_block(*inputs: Any, out: Sequence[FloatArray]) -> None:
    terms = terms_of_block(*inputs)
    _, spot_tail, strike_tail = tails_of_terms(terms)
    received, paid = exercised_of_tails(terms, spot_tail, strike_tail)
    write_price(terms, received, paid, out=out[0])
