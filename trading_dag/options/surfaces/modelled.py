"""The implied-volatility surface that is used where there is no option chain.

It is an ASSUMPTION: one at-the-money level from the volatility index, a term slope, a skew and a
curvature, all from ``settings.SurfaceSettings`` and printed with everything that uses them. Their defaults
were fitted to chains of 2015-2026 by ``research/surface_fit.py``, so no feature may use them: it would know later data.
Nothing is fitted here, and no market quote is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.options.pricing import black_scholes
from trading_dag.setting_groups import SurfaceSettings

REFERENCE_DAYS: Final = 30.0
MONEYNESS_LIMIT: Final = 3.0
Smile = Callable[[ArrayLike], FloatArray]
_LEAST_DAYS: Final = 1.0
_LEAST_TERM_FACTOR: Final = 0.1


def continuous_rate(treasury_3m_percent: ArrayLike, *, fallback: float) -> FloatArray:
    """Return the continuously compounded fraction from a bill yield in percent; ``fallback`` where it is NaN."""
    percent = np.asarray(treasury_3m_percent, dtype=np.float64)
    return np.where(np.isnan(percent), fallback, np.log1p(percent / 100.0))


class VolatilitySurface(Protocol):
    """Describes what strikes, quotes and probabilities are made from; one surface per row, terms as in
    ``ModelledSurface``."""

    @property
    def is_known(self) -> BoolArray:
        """Return which rows have a volatility."""

    def forward(self, spot: ArrayLike, years: ArrayLike) -> FloatArray:
        """Return the forward price, USD."""

    def dividend_factor(self, years: ArrayLike) -> FloatArray:
        """Return exp(−qT)."""

    def atm_volatility(self, years: ArrayLike) -> FloatArray:
        """Return the volatility at the forward, fraction."""

    def smile(self, years: ArrayLike) -> Smile:
        """Return the volatility, a fraction, as a function of x = ln(K/F)/(atm·√T), for repeated use with the same
        terms."""

    def implied_volatility(self, spot: ArrayLike, strike: ArrayLike, years: ArrayLike) -> FloatArray:
        """Return the volatility of the contract, fraction."""

    def price(self, spot: ArrayLike, strike: ArrayLike, *, years: ArrayLike, is_call: ArrayLike) -> FloatArray:
        """Return the middle price, USD a share."""

    def probability_above(self, spot: ArrayLike, strike: ArrayLike, years: ArrayLike) -> FloatArray:
        """Return the risk-neutral P(S_T > strike)."""

    def rows(self, where: IntArray) -> Self:
        """Return the surfaces of some rows."""

    def columns(self) -> Self:
        """Return the same surfaces with a trailing axis."""


@dataclass(frozen=True)
class ModelledSurface:
    """Models a surface for each volatility-index level.

    atm(T)  = atm_ratio · index/100 · (1 + term_slope · ln(days/30)), days at least 1;
    σ(K, T) = atm · (1 + skew·x + curvature·x²), x = ln(K/F) / (atm·√T) cut to ±3;
    neither is below ``minimum_volatility``.

    Parameters
    ----------
    index_points : level of the volatility index, points; scalar or array that broadcasts with the rest.
    rate, dividend_yield : continuously compounded fractions, for the forward F and for prices.
    settings : the four parameters of the shape.

    Known when the index level is known. NaN index, spot or strike gives NaN.
    """

    index_points: ArrayLike
    rate: ArrayLike
    dividend_yield: ArrayLike
    settings: SurfaceSettings

    @property
    def is_known(self) -> BoolArray:
        """Return which rows have an index level."""
        return np.isfinite(np.asarray(self.index_points, dtype=np.float64))

    def dividend_factor(self, years: ArrayLike) -> FloatArray:
        """Return exp(−qT)."""
        dividend_yield = np.asarray(self.dividend_yield, dtype=np.float64)
        factor: FloatArray = np.exp(-dividend_yield * np.asarray(years, dtype=np.float64))
        return factor

    def forward(self, spot: ArrayLike, years: ArrayLike) -> FloatArray:
        """Return the forward price, USD."""
        carry = np.asarray(self.rate, dtype=np.float64) - np.asarray(self.dividend_yield, dtype=np.float64)
        result: FloatArray = np.asarray(spot, dtype=np.float64) * np.exp(carry * np.asarray(years, dtype=np.float64))
        return result

    def atm_volatility(self, years: ArrayLike) -> FloatArray:
        """Return the volatility at the forward, fraction."""
        days = np.maximum(np.asarray(years, dtype=np.float64) * DAYS_PER_YEAR, _LEAST_DAYS)
        term = np.maximum(1.0 + self.settings.term_slope * np.log(days / REFERENCE_DAYS), _LEAST_TERM_FACTOR)
        level = self.settings.atm_ratio * np.asarray(self.index_points, dtype=np.float64) / 100.0 * term
        floored: FloatArray = np.maximum(level, self.settings.minimum_volatility)
        return floored

    def smile(self, years: ArrayLike) -> Smile:
        """Return the volatility, a fraction, as a function of x = ln(K/F)/(atm·√T), for repeated use with the same
        terms."""
        at_the_money = self.atm_volatility(years)

        def volatility(standardised_log_moneyness: ArrayLike) -> FloatArray:
            x = np.clip(np.asarray(standardised_log_moneyness, dtype=np.float64), -MONEYNESS_LIMIT, MONEYNESS_LIMIT)
            shape = 1.0 + self.settings.skew * x + self.settings.curvature * x * x
            floored: FloatArray = np.maximum(
                at_the_money * shape + self.settings.level_shift, self.settings.minimum_volatility
            )
            return floored

        return volatility

    def implied_volatility(self, spot: ArrayLike, strike: ArrayLike, years: ArrayLike) -> FloatArray:
        """Return the volatility of the contract, fraction (0.20). Spot and strike in USD; the three broadcast."""
        deviation = self.atm_volatility(years) * np.sqrt(np.asarray(years, dtype=np.float64))
        with np.errstate(divide="ignore", invalid="ignore"):
            log_moneyness = np.log(np.asarray(strike, dtype=np.float64) / self.forward(spot, years))
            # At expiration every strike but the forward itself lies beyond the limit of the clip.
            x = np.where(log_moneyness == 0.0, 0.0, log_moneyness / deviation)
        return self.smile(years)(x)

    def price(self, spot: ArrayLike, strike: ArrayLike, *, years: ArrayLike, is_call: ArrayLike) -> FloatArray:
        """Return the middle price of the contract on the surface, USD a share."""
        return black_scholes.price(
            spot=spot, strike=strike, years=years, rate=self.rate, dividend_yield=self.dividend_yield,
            volatility=self.implied_volatility(spot, strike, years), is_call=is_call,
        )  # fmt: skip

    def probability_above(self, spot: ArrayLike, strike: ArrayLike, years: ArrayLike) -> FloatArray:
        """Return the risk-neutral P(S_T > strike) on this surface: N(d2) − K·√T·φ(d2)·∂σ/∂K, where the surface is
        smooth.

        This is −exp(rT)·∂C/∂K of the surface's own call prices. N(d2) at the strike's volatility alone
        would leave out the slope of the skew and be several points off near the money.

        References
        ----------
        Breeden & Litzenberger, "Prices of State-Contingent Claims Implicit in Option Prices", Journal of
        Business 51, 1978, page 627; Gatheral, *The Volatility Surface*, 2006, page 103 (digital options).
        """
        from scipy.special import ndtr

        volatility = self.implied_volatility(spot, strike, years)
        terms = black_scholes.black_scholes_terms(
            spot=spot, strike=strike, years=years, rate=self.rate, dividend_yield=self.dividend_yield,
            volatility=volatility, is_call=True,
        )  # fmt: skip
        atm = self.atm_volatility(terms.years)
        with np.errstate(all="ignore"):
            x = np.log(terms.strike / self.forward(terms.spot, terms.years)) / (atm * np.sqrt(terms.years))
            is_sloped = (np.abs(x) < MONEYNESS_LIMIT) & (volatility > self.settings.minimum_volatility)
            # K·√T·∂σ/∂K, since x moves by 1/(K·atm·√T) a USD of strike
            slope = np.where(is_sloped, self.settings.skew + 2.0 * self.settings.curvature * x, 0.0)
            density = np.exp(-0.5 * terms.d2 * terms.d2) / np.sqrt(2.0 * np.pi)
            above = np.clip(ndtr(terms.d2) - density * slope, 0.0, 1.0)
        probability: FloatArray = np.where(terms.is_valid, above, np.nan)
        return probability

    def rows(self, where: IntArray) -> ModelledSurface:
        """Return the surfaces of some rows; the index level and the rate must be arrays over the rows."""
        return ModelledSurface(
            np.asarray(self.index_points, dtype=np.float64)[where],
            np.asarray(self.rate, dtype=np.float64)[where],
            self.dividend_yield,
            self.settings,
        )

    def columns(self) -> ModelledSurface:
        """Return the same surfaces with a trailing axis, so that row i broadcasts over the legs of row i."""
        index, rate, dividend_yield = (
            np.asarray(value, dtype=np.float64)[..., np.newaxis]
            for value in (self.index_points, self.rate, self.dividend_yield)
        )
        return ModelledSurface(index, rate, dividend_yield, self.settings)
