"""Sensitivities of the Black–Scholes–Merton price, over arrays. Prices themselves are in ``black_scholes``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.options.black_scholes import (
    BlackScholesTerms,
    BoolArray,
    FloatArray,
    price_of_tails,
    tails_of_terms,
    terms_of_block,
)
from trading_dag.options.blocks import in_blocks


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
    rho : USD per 1.00 of the rate (divide by 100 for a percentage point), spot and dividend yield held.
    vanna : delta per 1.00 of volatility, which is also vega per USD of the underlying.
    charm : delta per year of calendar time that passes.
    volga : vega per 1.00 of volatility.
    """

    price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    rho: FloatArray
    vanna: FloatArray
    charm: FloatArray
    volga: FloatArray


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
    """Price and the eight Greeks; inputs, domain, errors and accuracy of the price as in ``black_scholes.price``.

    Where ``years`` or ``volatility`` is zero these are the limits away from the kink. Exactly at the
    kink (forward = strike) delta is half its jump and gamma is infinite; with no time left theta is minus infinity
    for a positive volatility, and charm is infinite with the sign that carry and volatility give it.
    NaN exactly outside the domain.

    Notes
    -----
    On strikes of 20–500 % of spot, one day to three years and volatility 1–300 %: delta is within 1e-12, gamma and vega
    are within 1e-11 of themselves, and theta, rho, vanna, charm and volga within 1e-11 of the sum of the magnitudes
    of the terms they are made of, down to densities of 1e-15.

    References
    ----------
    Haug, *The Complete Guide to Option Pricing Formulas*, 1998, pages 11-16; second edition, 2007, chapter 2.
    """
    numbers = (spot, strike, years, rate, dividend_yield, volatility)
    return Greeks(*in_blocks(_greeks_of_block, numbers, is_call=is_call, n_outputs=9))


def _greeks_of_block(*inputs: Any) -> tuple[FloatArray, ...]:
    terms = terms_of_block(*inputs)
    density, spot_tail, strike_tail = tails_of_terms(terms)
    # What exercise is worth today: S·exp(−qT)·N(±d1) and K·exp(−rT)·N(±d2), plus for calls
    received = _exercised(spot_tail, terms.discounted_spot, terms.d1, terms.is_call)
    paid = _exercised(strike_tail, terms.discounted_strike, terms.d2, terms.is_call)
    sign = terms.sign
    delta = sign * received / terms.spot
    bend = _bend(terms, density)
    values: tuple[FloatArray, ...] = (
        delta,
        bend.gamma,
        bend.vega,
        bend.decay + sign * (terms.dividend_yield * received - terms.rate * paid),
        sign * terms.years * paid,
        bend.vanna,
        bend.delta_decay + terms.dividend_yield * delta,
        bend.volga,
    )
    if not terms.is_valid.all():
        values = tuple(np.where(terms.is_valid, value, np.nan) for value in values)
    return (price_of_tails(terms, spot_tail, strike_tail), *values)


def _exercised(tail: FloatArray, whole: FloatArray, argument: FloatArray, is_call: BoolArray) -> FloatArray:
    """Whole × N(±argument), plus for calls, from the tail, which is whole × N(−|argument|)."""
    return np.where((argument > 0.0) == is_call, whole - tail, tail)


@dataclass(frozen=True)
class _Bend:
    """The parts that calls and puts share, all in proportion to the density; units as in ``Greeks``.

    decay and delta_decay are theta and charm without what carry contributes.
    """

    gamma: FloatArray
    vega: FloatArray
    decay: FloatArray
    vanna: FloatArray
    delta_decay: FloatArray
    volga: FloatArray


def _bend(terms: BlackScholesTerms, density: FloatArray) -> _Bend:
    root_years = np.sqrt(terms.years)
    density_per_spot = density / terms.spot
    carry = terms.rate - terms.dividend_yield
    vega = density * root_years
    bend = _Bend(
        gamma=density_per_spot / (terms.spot * terms.deviation),
        vega=vega,
        decay=-0.5 * density * terms.volatility / root_years,
        vanna=-density_per_spot * terms.d2 / terms.volatility,
        delta_decay=density_per_spot * (0.5 * terms.d2 / terms.years - carry / terms.deviation),
        volga=vega * terms.d1 * terms.d2 / terms.volatility,
    )
    is_degenerate = (terms.deviation == 0.0) | np.isinf(terms.d1)
    if not is_degenerate.any():
        return bend
    limits = _limits(terms, density)
    return _Bend(*(np.where(is_degenerate, getattr(limits, f.name), getattr(bend, f.name)) for f in fields(_Bend)))


def _limits(terms: BlackScholesTerms, density: FloatArray) -> _Bend:
    """Without deviation: zero away from the kink, and at the kink (the density is positive there) the limits."""
    is_kink = density > 0.0
    vega = density * np.sqrt(terms.years)
    # There delta is N(drift·√T/σ), which runs to one half at infinite speed, from the side of the drift's sign.
    drift = terms.rate - terms.dividend_yield + 0.5 * terms.volatility * terms.volatility
    return _Bend(
        gamma=np.where(is_kink, np.inf, 0.0),
        vega=vega,
        decay=np.where(is_kink & (terms.volatility > 0.0), -np.inf, 0.0),
        vanna=0.5 * vega / terms.spot,
        delta_decay=np.where(is_kink & (drift != 0.0), -np.sign(drift) * np.inf, 0.0),
        volga=np.zeros_like(density),
    )
