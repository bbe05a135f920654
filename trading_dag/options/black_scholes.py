"""Black–Scholes–Merton prices of European options, over arrays.

The price, its two distribution arguments and nothing else. Sensitivities are in ``greeks``; where a
volatility comes from is not this module's business.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class BlackScholesTerms:
    """Broadcast inputs and the terms that the price and the Greeks share.

    Attributes
    ----------
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
    """Broadcast the inputs to float64 and compute what price and Greeks have in common."""
    numbers = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in (spot, strike, years, rate, dividend_yield, volatility)),
        np.asarray(is_call, dtype=np.bool_),
    )
    s, k, t, r, q, sigma = (np.asarray(value, dtype=np.float64) for value in numbers[:6])
    with np.errstate(all="ignore"):
        is_valid = (
            np.isfinite(s) & np.isfinite(k) & np.isfinite(t) & np.isfinite(r) & np.isfinite(q) & np.isfinite(sigma)
            & (s > 0) & (k > 0) & (t >= 0) & (sigma >= 0)
        )  # fmt: skip
        discounted_spot = s * np.exp(-q * t)
        discounted_strike = k * np.exp(-r * t)
        deviation = sigma * np.sqrt(t)
        log_moneyness = np.log(s / k) + (r - q) * t
        at_kink = (deviation == 0) & (log_moneyness == 0)
        d1 = np.where(at_kink, 0.0, log_moneyness / deviation + 0.5 * deviation)
        d2 = np.where(at_kink, 0.0, d1 - deviation)
    return BlackScholesTerms(
        spot=s, strike=k, years=t, rate=r, dividend_yield=q, volatility=sigma,
        is_call=np.asarray(numbers[6], dtype=np.bool_),
        discounted_spot=discounted_spot, discounted_strike=discounted_strike,
        deviation=deviation, d1=d1, d2=d2, is_valid=is_valid,
    )  # fmt: skip


def price_of_terms(terms: BlackScholesTerms) -> FloatArray:
    """The price from precomputed terms; NaN outside the domain."""
    from scipy.special import ndtr

    sign = np.where(terms.is_call, 1.0, -1.0)
    with np.errstate(all="ignore"):
        value = sign * (terms.discounted_spot * ndtr(sign * terms.d1) - terms.discounted_strike * ndtr(sign * terms.d2))
        intrinsic = np.maximum(sign * (terms.discounted_spot - terms.discounted_strike), 0.0)
        ceiling = np.where(terms.is_call, terms.discounted_spot, terms.discounted_strike)
    # Rounding of the difference may leave the arbitrage bounds by an ulp; the bounds are exact.
    priced: FloatArray = np.where(terms.is_valid, np.minimum(np.maximum(value, intrinsic), ceiling), np.nan)
    return priced


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

    References
    ----------
    Haug, *The Complete Guide to Option Pricing Formulas*, 1998, pages 2-8 (generalised formula).
    """
    return price_of_terms(
        black_scholes_terms(
            spot=spot, strike=strike, years=years, rate=rate,
            dividend_yield=dividend_yield, volatility=volatility, is_call=is_call,
        )
    )  # fmt: skip
