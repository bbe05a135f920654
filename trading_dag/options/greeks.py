"""Sensitivities of the Black–Scholes–Merton price, over arrays. Prices themselves are in ``black_scholes``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.options.black_scholes import FloatArray, black_scholes_terms, price_of_terms


@dataclass(frozen=True)
class Greeks:
    """Price and sensitivities of one share of the option; arrays of one shape.

    Attributes
    ----------
    price : USD.
    delta : USD per USD of the underlying.
    gamma : delta per USD of the underlying.
    vega : USD per 1.00 of volatility (divide by 100 for a volatility point).
    theta : USD per year of calendar time that passes (divide by 365 for a day).
    """

    price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray


def greeks(
    *,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    volatility: ArrayLike,
    is_call: ArrayLike,
) -> Greeks:
    """Price, delta, gamma, vega and theta; inputs and domain as in ``black_scholes.price``.

    Where ``years`` or ``volatility`` is zero these are the limits away from the kink. Exactly at the
    kink (forward = strike) delta is half its jump and gamma is infinite, and with no time left theta is
    minus infinity for a positive volatility. NaN exactly outside the domain.

    References
    ----------
    Haug, *The Complete Guide to Option Pricing Formulas*, 1998, pages 11-16.
    """
    from scipy.special import ndtr

    terms = black_scholes_terms(
        spot=spot, strike=strike, years=years, rate=rate,
        dividend_yield=dividend_yield, volatility=volatility, is_call=is_call,
    )  # fmt: skip
    sign = np.where(terms.is_call, 1.0, -1.0)
    with np.errstate(all="ignore"):
        density = np.exp(-0.5 * terms.d1 * terms.d1) / np.sqrt(2.0 * np.pi)
        carry_factor = terms.discounted_spot / terms.spot
        delta = sign * carry_factor * ndtr(sign * terms.d1)
        is_flat = density == 0.0
        gamma = np.where(is_flat, 0.0, carry_factor * density / (terms.spot * terms.deviation))
        vega = terms.discounted_spot * density * np.sqrt(terms.years)
        decay = np.where(
            is_flat | (terms.volatility == 0.0),
            0.0,
            -terms.discounted_spot * density * terms.volatility / (2.0 * np.sqrt(terms.years)),
        )
        carry = sign * (
            terms.dividend_yield * terms.discounted_spot * ndtr(sign * terms.d1)
            - terms.rate * terms.discounted_strike * ndtr(sign * terms.d2)
        )
        theta = decay + carry
    return Greeks(
        price=price_of_terms(terms),
        **{
            name: np.where(terms.is_valid, value, np.nan)
            for name, value in (("delta", delta), ("gamma", gamma), ("vega", vega), ("theta", theta))
        },
    )
