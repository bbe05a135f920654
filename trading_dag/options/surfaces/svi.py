"""Raw SVI, the curve of one smile of a real chain, and the arbitrage that such a smile may hide.

Total variance of one expiration over log-moneyness: the curve, the butterfly check within an expiration and the
calendar check between two. How it is fitted to quotes is ``svi_fit``'s, the surface for days without a chain
``modelled``'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import FloatArray
from trading_dag.errors import OptionPricingError

GRID_POINTS: Final = 801
STEEPEST_WING: Final = 2.0


@dataclass(frozen=True)
class SviParameters:
    """Holds raw SVI: w(k) = a + b·(ρ(k − m) + √((k − m)² + s²)), total variance σ²T over k = ln(K/F).

    Attributes
    ----------
    a, b, rho, m, s : level; slope of the wings, b ≥ 0; tilt, |ρ| < 1; centre; curvature, s > 0.

    Raises
    ------
    OptionPricingError : for b < 0, |ρ| ≥ 1, s ≤ 0, or a least variance a + b·s·√(1 − ρ²) below zero.

    References
    ----------
    Gatheral, *The Volatility Surface*, Wiley 2006, page 37; Gatheral & Jacquier, "Arbitrage-free SVI volatility
    surfaces", Quantitative Finance 14(1), 2014, section 3.1.
    """

    a: float
    b: float
    rho: float
    m: float
    s: float

    def __post_init__(self) -> None:
        if not (self.b >= 0.0 and abs(self.rho) < 1.0 and self.s > 0.0 and self.least_variance >= 0.0):
            raise OptionPricingError(f"{self} is no smile: b < 0, |rho| ≥ 1, s ≤ 0 or a variance below zero")

    @property
    def least_variance(self) -> float:
        """Return the least total variance over all strikes."""
        return self.a + self.b * self.s * float(np.sqrt(1.0 - self.rho**2))

    @property
    def wing_slopes(self) -> tuple[float, float]:
        """Return the slope of the total variance far out on the left and on the right, neither negative."""
        return self.b * (1.0 - self.rho), self.b * (1.0 + self.rho)

    def total_variance(self, log_moneyness: ArrayLike) -> FloatArray:
        """Return σ²T at each k; NaN where k is."""
        shifted = np.asarray(log_moneyness, dtype=np.float64) - self.m
        variance: FloatArray = self.a + self.b * (self.rho * shifted + np.sqrt(shifted * shifted + self.s**2))
        return variance

    def durrleman(self, log_moneyness: ArrayLike) -> FloatArray:
        """Return g(k) = (1 − k·w′/2w)² − (w′²/4)·(1/w + 1/4) + w″/2, whose sign is that of the implied density.

        References
        ----------
        Gatheral & Jacquier 2014, section 2.2, equation for g and the lemma that follows it.
        """
        k = np.asarray(log_moneyness, dtype=np.float64)
        shifted = k - self.m
        root = np.sqrt(shifted * shifted + self.s**2)
        w, slope = self.total_variance(k), self.b * (self.rho + shifted / root)
        bend = self.b * self.s**2 / root**3
        with np.errstate(divide="ignore", invalid="ignore"):
            g = (1.0 - 0.5 * k * slope / w) ** 2 - 0.25 * slope * slope * (1.0 / w + 0.25) + 0.5 * bend
        density: FloatArray = g
        return density

    def least_durrleman(self, log_moneyness: ArrayLike) -> float:
        """Return the least g over the range of these k and as far again on both sides; −infinity where a wing is too
        steep.

        A wing steeper than 2 leaves no moments of the underlying at all.

        References
        ----------
        Lee, "The Moment Formula for Implied Volatility at Extreme Strikes", Mathematical Finance 14, 2004.
        """
        if max(self.wing_slopes) > STEEPEST_WING:
            return float("-inf")
        return float(np.nanmin(self.durrleman(wide_grid(np.asarray(log_moneyness, dtype=np.float64)))))


@dataclass(frozen=True)
class FittedSmile:
    """Holds a raw SVI slice fitted to the quotes of one expiration.

    Attributes
    ----------
    parameters : the curve.
    years : time to expiration.
    rmse : root mean square of fitted minus quoted volatility, weighted, fraction (0.01 is a point).
    n : quotes fitted.
    lowest, highest : the log-moneyness of the quotes' ends; beyond them the curve is extrapolated.
    least_durrleman : least g over the quotes' range and as far again on both sides; below zero is a butterfly
        arbitrage.

    Known when the last of its quotes is.
    """

    parameters: SviParameters
    years: float
    rmse: float
    n: int
    lowest: float
    highest: float
    least_durrleman: float

    def implied_volatility(self, log_moneyness: ArrayLike) -> FloatArray:
        """Return the volatility at each k, fraction; NaN where k is."""
        volatility: FloatArray = np.sqrt(np.maximum(self.parameters.total_variance(log_moneyness), 0.0) / self.years)
        return volatility


def calendar_slack(nearer: FittedSmile, further: FittedSmile) -> float:
    """Return the least growth of total variance from nearer to further expiration; below zero is a calendar arbitrage.

    It is searched between the outermost quotes of the two. Log-moneyness is to each expiration's own forward.

    Raises
    ------
    OptionPricingError : where the second does not expire after the first.

    References
    ----------
    Gatheral & Jacquier 2014, section 2.1 (proportional dividends).
    """
    if not further.years > nearer.years:
        raise OptionPricingError(f"an expiration in {further.years} years is not after one in {nearer.years}")
    k = np.linspace(min(nearer.lowest, further.lowest), max(nearer.highest, further.highest), GRID_POINTS)
    return float((further.parameters.total_variance(k) - nearer.parameters.total_variance(k)).min())


def wide_grid(k: FloatArray) -> FloatArray:
    """Return 801 places over the range of these k and as far again on both sides."""
    low, high = float(np.nanmin(k)), float(np.nanmax(k))
    return np.linspace(low - (high - low), high + (high - low), GRID_POINTS)
