"""One smile of a real chain, fitted by raw SVI, and the arbitrage that such a smile may hide.

Total variance of one expiration over log-moneyness: the curve, its fit to quotes, the butterfly check within
an expiration and the calendar check between two. There is no fallback: too few quotes are an error, and a
fit that admits arbitrage says so. The surface for days without a chain is ``surface``'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import FloatArray
from trading_dag.errors import InsufficientDataError, OptionPricingError
from trading_dag.options.surfaces.box_least_squares import descend

LEAST_QUOTES: Final = 6
_GRID_POINTS: Final = 801
_STEEPEST_WING: Final = 2.0
# At Lee's bound itself the density may still be negative far out, so a fit ends short of it.
_STEEPEST_FITTED: Final = 1.95
_STEEPEST_CORRELATION: Final = 0.9999
_LEAST_CURVATURE: Final = 1e-4
_GREATEST_CURVATURE: Final = 10.0
_TINY: Final = 1e-9
_INSIDE: Final = 1e-7
_PENALISED_EVERY: Final = 8
_DENSITY_TOLERANCE: Final = 1e-9
_PENALTIES: Final = (10.0,)
_DENSITY_MARGIN: Final = 1e-3
_CENTRES: Final = 7
_PRECISION: Final = 1e-9
_FREE, _AT_ZERO, _AT_BOUND = range(3)
_CURVATURES: Final = (0.01, 0.03, 0.1, 0.3, 1.0)


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
        if max(self.wing_slopes) > _STEEPEST_WING:
            return float("-inf")
        return float(np.nanmin(self.durrleman(_wide_grid(np.asarray(log_moneyness, dtype=np.float64)))))


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


def fit_smile(
    log_moneyness: ArrayLike, implied_volatility: ArrayLike, *, years: float, weights: ArrayLike | None = None
) -> FittedSmile:
    """Fit raw SVI by weighted least squares on volatilities.

    For a centre m and a curvature s the other three parameters enter linearly: a grid of (m, s) with the
    exact bounded solution of the rest gives the start, and all five are then polished together. Where the
    result admits a butterfly arbitrage it is polished again with a penalty on negative density. Where that finds
    no smile without arbitrage, the plain fit is returned and its ``least_durrleman`` is below zero.

    Parameters
    ----------
    log_moneyness : (n,) k = ln(K/F), any order.
    implied_volatility : (n,) fraction; NaN or not above 0 is missing.
    years : time to expiration, above 0.
    weights : (n,) not negative, of the squared error; all alike where None. NaN or 0 leaves the quote out.

    Raises
    ------
    OptionPricingError : for arrays of different shapes, negative weights, or years that are not above 0.
    InsufficientDataError : with fewer than six quotes at different strikes.

    References
    ----------
    De Marco & Martini, "Quasi-Explicit Calibration of Gatheral's SVI model", Zeliade White Paper ZWP-0005, 2009;
    Gatheral & Jacquier 2014, section 5.
    """
    k, sigma, weight = _usable_quotes(log_moneyness, implied_volatility, years=years, weights=weights)
    start = _quasi_explicit(k, sigma * sigma * years, weight=weight * sigma)
    fitted = _polished(start, k, sigma, years=years, weight=weight, penalty=0.0)
    if fitted.least_durrleman(k) < -_DENSITY_TOLERANCE:
        fitted = _repaired((start, fitted), k, sigma, years=years, weight=weight) or fitted
    return FittedSmile(
        parameters=fitted,
        years=years,
        rmse=float(np.sqrt(_squared_error(fitted, k, sigma, years=years, weight=weight))),
        n=len(k),
        lowest=float(k.min()),
        highest=float(k.max()),
        least_durrleman=fitted.least_durrleman(k),
    )


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
    k = np.linspace(min(nearer.lowest, further.lowest), max(nearer.highest, further.highest), _GRID_POINTS)
    return float((further.parameters.total_variance(k) - nearer.parameters.total_variance(k)).min())


def _usable_quotes(
    log_moneyness: ArrayLike, implied_volatility: ArrayLike, *, years: float, weights: ArrayLike | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return log-moneyness, volatility and the root of the weight (mean 1) of the quotes that count."""
    k = np.asarray(log_moneyness, dtype=np.float64)
    sigma = np.asarray(implied_volatility, dtype=np.float64)
    weight = np.ones_like(k) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (k.ndim == 1 and k.shape == sigma.shape == weight.shape):
        raise OptionPricingError(f"one volatility and weight a strike: shapes {k.shape}, {sigma.shape}, {weight.shape}")
    if not (np.isfinite(years) and years > 0.0):
        raise OptionPricingError(f"years to expiration are not above 0: {years}")
    if (weight < 0.0).any():
        raise OptionPricingError("a weight is negative")
    is_usable = np.isfinite(k) & np.isfinite(sigma) & (sigma > 0.0) & np.isfinite(weight) & (weight > 0.0)
    if len(np.unique(k[is_usable])) < LEAST_QUOTES:
        raise InsufficientDataError(
            f"a smile needs {LEAST_QUOTES} quotes at different strikes, not {int(is_usable.sum())}"
        )
    root = np.sqrt(weight[is_usable] / weight[is_usable].mean())
    return k[is_usable], sigma[is_usable], root


def _wide_grid(k: FloatArray) -> FloatArray:
    low, high = float(np.nanmin(k)), float(np.nanmax(k))
    return np.linspace(low - (high - low), high + (high - low), _GRID_POINTS)


def _quasi_explicit(k: FloatArray, variance: FloatArray, *, weight: FloatArray) -> SviParameters:
    """Return a good smile over a grid of centres and curvatures, the rest solved for each of them at once.

    With y = (k − m)/s the curve is a + ½p(√(y² + 1) + y) + ½q(√(y² + 1) − y), p and q not below 0 and below 2s:
    a box, where De Marco & Martini's coordinates have a parallelepiped.
    """
    m, s = (grid.ravel() for grid in np.meshgrid(np.linspace(k.min(), k.max(), _CENTRES), _CURVATURES))
    y = (k - m[:, np.newaxis]) / s[:, np.newaxis]
    root = np.sqrt(y * y + 1.0)
    basis = np.stack([np.ones_like(y), 0.5 * (root + y), 0.5 * (root - y)], axis=2) / weight[:, np.newaxis]
    wanted, upper = variance / weight, np.column_stack([np.full_like(s, variance.max()), *[_STEEPEST_FITTED * s] * 2])
    solved, cost = _bounded_least_squares(basis, wanted, upper)
    best = int(np.argmin(cost))
    a, right, left = solved[best]
    tilt = (right - left) / (right + left) if right + left > 0.0 else 0.0
    rho = float(np.clip(tilt, -_STEEPEST_CORRELATION, _STEEPEST_CORRELATION))
    return SviParameters(float(a), float((right + left) / (2.0 * s[best])), rho, float(m[best]), float(s[best]))


def _bounded_least_squares(basis: FloatArray, wanted: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return solutions and costs of least squares within 0 ≤ x ≤ upper, for many bases of three columns at once.

    With three unknowns the 27 ways in which each may lie free, at 0 or at its bound are tried; the best that is
    within the box is the solution, because the problem is convex.
    """
    gram = basis.transpose(0, 2, 1) @ basis
    moment = (basis.transpose(0, 2, 1) @ wanted[:, np.newaxis])[..., 0]
    solved, least = np.zeros_like(moment), np.full(len(gram), np.inf)
    for state in product((_FREE, _AT_ZERO, _AT_BOUND), repeat=3):
        x = np.where(np.array(state) == _AT_BOUND, upper, 0.0)
        free = np.flatnonzero(np.array(state) == _FREE)
        if len(free):
            rest = (moment - (gram @ x[..., np.newaxis])[..., 0])[:, free]
            x[:, free] = (np.linalg.pinv(gram[:, free][:, :, free]) @ rest[..., np.newaxis])[..., 0]
        is_inside = ((x >= 0.0) & (x <= upper)).all(axis=1)
        cost = np.einsum("gi,gij,gj->g", x, gram, x) - 2.0 * np.einsum("gi,gi->g", x, moment)
        is_better = is_inside & (cost < least)
        solved[is_better], least[is_better] = x[is_better], cost[is_better]
    return solved, least


def _repaired(
    starts: tuple[SviParameters, ...], k: FloatArray, sigma: FloatArray, *, years: float, weight: FloatArray
) -> SviParameters | None:
    """Return the nearest arbitrage-free smile that a penalty on negative density finds from these starts; None for
    none.
    """
    polished = (
        _polished(start, k, sigma, years=years, weight=weight, penalty=penalty)
        for start, penalty in product(starts, _PENALTIES)
    )
    free = [smile for smile in (*polished, *starts) if smile.least_durrleman(k) >= -_DENSITY_TOLERANCE]
    return min(free, key=lambda smile: _squared_error(smile, k, sigma, years=years, weight=weight), default=None)


def _squared_error(
    smile: SviParameters, k: FloatArray, sigma: FloatArray, *, years: float, weight: FloatArray
) -> float:
    """Return the weighted mean square of fitted minus quoted volatility; ``weight`` is the root of the weight."""
    error = np.sqrt(np.maximum(smile.total_variance(k), 0.0) / years) - sigma
    return float(np.average(error**2, weights=weight**2))


def _polished(
    start: SviParameters, k: FloatArray, sigma: FloatArray, *, years: float, weight: FloatArray, penalty: float
) -> SviParameters:
    """Return all five parameters at once, as least variance, the two wing slopes, centre and curvature.

    In these every bound of a smile is a box: variance not below zero, wings between 0 and short of 2, the
    centre among the quotes (beyond them it would only bend what nobody quoted). The derivatives are exact, because
    differences would cost five smiles a step.
    """
    grid = _wide_grid(k)[::_PENALISED_EVERY]
    lower = np.array([_TINY, _TINY, _TINY, float(k.min()), _LEAST_CURVATURE])
    upper = np.array([np.inf, _STEEPEST_FITTED, _STEEPEST_FITTED, float(k.max()), _GREATEST_CURVATURE])

    def residuals(values: FloatArray) -> FloatArray:
        curve = smile_of(values)
        error: FloatArray = weight * (np.sqrt(np.maximum(curve.total_variance(k), 0.0) / years) - sigma)
        if not penalty:
            return error
        lacking = np.minimum(curve.durrleman(grid) - _DENSITY_MARGIN, 0.0)
        return np.concatenate([error, penalty * lacking])

    def derivatives(values: FloatArray) -> FloatArray:
        curve = smile_of(values)
        variance = np.maximum(curve.total_variance(k), _TINY)
        by_error = variance_gradient(values, k) * (weight / (2.0 * np.sqrt(variance * years)))[:, np.newaxis]
        if not penalty:
            return by_error
        is_lacking = curve.durrleman(grid) < _DENSITY_MARGIN
        return np.vstack([by_error, durrleman_gradient(values, grid) * (penalty * is_lacking)[:, np.newaxis]])

    begin = np.array([start.least_variance, *start.wing_slopes, start.m, start.s])
    inside = np.clip(begin, lower + _INSIDE, upper - _INSIDE)
    return smile_of(descend(residuals, derivatives, inside, lower=lower, upper=upper, precision=_PRECISION))


def smile_of(box: FloatArray) -> SviParameters:
    """Return the smile of least variance, left and right wing slope, centre and curvature, (5,)."""
    least, left, right, m, s = map(float, box)
    rho = (right - left) / (right + left)
    return SviParameters(least - s * float(np.sqrt(left * right)), 0.5 * (left + right), rho, m, s)


def variance_gradient(box: FloatArray, log_moneyness: FloatArray) -> FloatArray:
    """Return the derivatives of the total variance at each k by the five numbers of ``smile_of``, (n, 5)."""
    _, left, right, m, s = map(float, box)
    x = log_moneyness - m
    root = np.sqrt(x * x + s * s)
    b, tilt, mean = 0.5 * (left + right), 0.5 * (right - left), float(np.sqrt(left * right))
    return np.column_stack(
        [
            np.ones_like(x),
            0.5 * (root - x - s * mean / left),
            0.5 * (root + x - s * mean / right),
            -tilt - b * x / root,
            b * s / root - mean,
        ]
    )


def durrleman_gradient(box: FloatArray, log_moneyness: FloatArray) -> FloatArray:
    """Return the derivatives of g at each k by the five numbers of ``smile_of``, (n, 5); g is that of ``durrleman``."""
    _, left, right, m, s = map(float, box)
    x = log_moneyness - m
    root = np.sqrt(x * x + s * s)
    b, tilt = 0.5 * (left + right), 0.5 * (right - left)
    w = np.maximum(smile_of(box).total_variance(log_moneyness), _TINY)
    slope = tilt + b * x / root
    nothing, per_wing = np.zeros_like(x), 0.5 * s * s / root**3
    slope_by = np.column_stack(
        [nothing, 0.5 * (x / root - 1.0), 0.5 * (x / root + 1.0), -b * s * s / root**3, -b * x * s / root**3]
    )
    bend_by = np.column_stack(
        [nothing, per_wing, per_wing, 3.0 * b * s * s * x / root**5, b * s * (2.0 * x * x - s * s) / root**5]
    )
    inner = 1.0 - 0.5 * log_moneyness * slope / w
    by_slope = -inner * log_moneyness / w - 0.5 * slope * (1.0 / w + 0.25)
    by_variance = inner * log_moneyness * slope / w**2 + 0.25 * (slope / w) ** 2
    by_w = variance_gradient(box, log_moneyness)
    gradient: FloatArray = by_slope[:, np.newaxis] * slope_by + by_variance[:, np.newaxis] * by_w + 0.5 * bend_by
    return gradient
