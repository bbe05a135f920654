"""Sensitivities of the Black–Scholes–Merton price, over arrays. Prices themselves are in ``black_scholes``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import FloatArray
from trading_dag.options.pricing.black_scholes import (
    BlackScholesTerms,
    exercised_of_tails,
    tails_of_terms,
    terms_of_block,
    write_price,
)
from trading_dag.options.pricing.blocks import in_blocks


@dataclass(frozen=True)
class Greeks:
    """Holds price and sensitivities of one share of the option; arrays of one shape.

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
    """Return the price and the eight Greeks; inputs, domain, errors and accuracy of the price as in
    ``black_scholes.price``.

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


def _greeks_of_block(*inputs: Any, out: Sequence[FloatArray]) -> None:
    terms, to = terms_of_block(*inputs), Greeks(*out)
    density, spot_tail, strike_tail = tails_of_terms(terms)
    _write_bend(terms, density, to=to)
    received, paid = exercised_of_tails(terms, spot_tail, strike_tail)
    write_price(terms, received, paid, out=to.price)
    np.divide(received, terms.spot, out=to.delta)
    np.multiply(terms.years, paid, out=to.rho)
    theta, charm = to.theta, to.charm
    theta += terms.dividend_yield * received - terms.rate * paid
    charm += terms.dividend_yield * to.delta
    if not terms.are_ordinary:
        is_outside = ~np.broadcast_to(terms.is_valid, to.price.shape)
        for field in fields(Greeks):
            getattr(to, field.name)[is_outside] = np.nan


def _write_bend(terms: BlackScholesTerms, density: FloatArray, *, to: Greeks) -> None:
    """Write what calls and puts share, in proportion to the density: four Greeks, and theta and charm except for
    carry."""
    gamma, vega, theta, vanna, charm, volga = to.gamma, to.vega, to.theta, to.vanna, to.charm, to.volga
    # −S·exp(−qT)·φ(d1)·σ/(2√T)
    np.multiply(density, terms.volatility, out=theta)
    theta *= -0.5
    theta /= terms.root_years
    # S·exp(−qT)·φ(d1)·√T, and times d1·d2/σ
    np.multiply(density, terms.root_years, out=vega)
    np.multiply(vega, terms.d1, out=volga)
    volga *= terms.d2
    volga /= terms.volatility
    density_per_spot = density / terms.spot
    np.divide(density_per_spot, terms.spot * terms.deviation, out=gamma)
    # −exp(−qT)·φ(d1)·d2/σ
    np.multiply(density_per_spot, terms.d2, out=vanna)
    vanna /= -terms.volatility
    # exp(−qT)·φ(d1)·(d2/(2T) − (r − q)/(σ√T))
    np.multiply(terms.d2, 0.5, out=charm)
    charm /= terms.years
    charm -= terms.carry / terms.deviation
    charm *= density_per_spot
    if not terms.are_ordinary:
        is_degenerate = (terms.deviation == 0.0) | np.isinf(terms.d1)
        for name, limit in _limits(terms, density).items():
            np.copyto(getattr(to, name), limit, where=is_degenerate)


def _limits(terms: BlackScholesTerms, density: FloatArray) -> dict[str, FloatArray]:
    """Return the limits without deviation: zero away from the kink, and the limits at the kink, where the density is
    positive."""
    is_kink = density > 0.0
    vega = density * terms.root_years
    # There delta is N(drift·√T/σ), which runs to one half at infinite speed, from the side of the drift's sign.
    drift = terms.carry + 0.5 * terms.volatility * terms.volatility
    return {
        "gamma": np.where(is_kink, np.inf, 0.0),
        "vega": vega,
        "theta": np.where(is_kink & (terms.volatility > 0.0), -np.inf, 0.0),
        "vanna": 0.5 * vega / terms.spot,
        "charm": np.where(is_kink & (drift != 0.0), -np.sign(drift) * np.inf, 0.0),
        "volga": np.zeros_like(density),
    }
