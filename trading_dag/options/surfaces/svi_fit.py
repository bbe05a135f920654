"""Raw SVI fitted to the quotes of many expirations at once: the start, the descent, the cure of an arbitrage.

There is no fallback: too few quotes are an error, and a fit that admits arbitrage says so. The curve is ``svi``'s, its
derivatives ``svi_wings``', the start ``svi_start``'s, the steps ``box_least_squares``'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.errors import InsufficientDataError, OptionPricingError
from trading_dag.options.surfaces.box_least_squares import CHUNK, descend, summed_products
from trading_dag.options.surfaces.svi import GRID_POINTS, STEEPEST_WING, FittedSmile
from trading_dag.options.surfaces.svi_start import quasi_explicit
from trading_dag.options.surfaces.svi_wings import (
    TINY,
    WINGS,
    densities,
    density_gradient,
    smile_of,
    variance_and_gradient,
)

LEAST_QUOTES: Final = 6
# At Lee's bound itself the density may still be negative far out, so a fit ends short of it.
_STEEPEST_FITTED: Final = 1.95
_LEAST_CURVATURE: Final = 1e-4
_GREATEST_CURVATURE: Final = 10.0
_INSIDE: Final = 1e-7
_PENALISED_PLACES: Final = 2 * CHUNK
_DENSITY_TOLERANCE: Final = 1e-9
_PENALTY: Final = 10.0
# What is asked for between the places that are looked at; the greater one where the other leaves an arbitrage.
_DENSITY_MARGINS: Final = (5e-4, 1e-3)
_PRECISION: Final = 1e-8


@dataclass(frozen=True)
class SmileQuotes:
    """Holds the quotes of one expiration.

    Attributes
    ----------
    log_moneyness : (n,) k = ln(K/F), any order.
    implied_volatility : (n,) fraction; NaN or not above 0 is missing.
    years : time to expiration, above 0.
    weights : (n,) not negative, of the squared error; all alike where None. NaN or 0 leaves the quote out.
    """

    log_moneyness: ArrayLike
    implied_volatility: ArrayLike
    years: float
    weights: ArrayLike | None = None


@dataclass(frozen=True)
class _Quotes:
    """Holds the quotes that count of several expirations, (smiles, n); ``weight`` is the root of the weight, mean 1
    over a smile's quotes, and 0 beyond their number."""

    k: FloatArray
    volatility: FloatArray
    weight: FloatArray
    years: FloatArray
    lowest: FloatArray
    highest: FloatArray

    def only(self, rows: IntArray) -> Self:
        return type(self)(*(values[rows] for values in self.__dict__.values()))

    def places(self, count: int = GRID_POINTS) -> FloatArray:
        """Return the places at which density is looked at: the range of the quotes and as far again on both sides."""
        width = self.highest - self.lowest
        return np.linspace(self.lowest - width, self.highest + width, count, axis=1)


@dataclass(frozen=True)
class _Misses:
    """The weighted errors of smiles, and where ``places`` are given their lack of density, as a least-squares
    problem."""

    quotes: _Quotes
    places: FloatArray | None = None
    margin: float = 0.0

    def only(self, rows: IntArray) -> Self:
        places = None if self.places is None else self.places[rows]
        return type(self)(self.quotes.only(rows), places, self.margin)

    def at(self, points: FloatArray) -> FloatArray:
        quotes, count = self.quotes, self.quotes.k.shape[1]
        lacking = 0 if self.places is None else self.places.shape[1]
        rows = np.empty((len(points), len(WINGS) + 1, count + lacking))
        slope, error = rows[:, :-1, :count], rows[:, -1, :count]
        variance = variance_and_gradient(points, quotes.k, out=slope)
        np.maximum(variance, TINY, out=variance)
        volatility = np.sqrt(variance / quotes.years)
        np.multiply(quotes.weight, volatility - quotes.volatility, out=error)
        slope *= (0.5 * quotes.weight * volatility / variance)[:, np.newaxis]
        if self.places is not None:
            short = np.minimum(densities(points, self.places) - self.margin, 0.0)
            rows[:, :-1, count:] = density_gradient(points, self.places, where=short < 0.0)
            rows[:, -1, count:] = short
            rows[:, :, count:] *= _PENALTY
        return rows


def fit_smiles(quotes: Sequence[SmileQuotes]) -> list[FittedSmile | None]:
    """Fit raw SVI to each expiration by weighted least squares on volatilities; None with fewer than six strikes.

    For a centre m and a curvature s the other three parameters enter linearly: a grid of (m, s) with the
    exact bounded solution of the rest gives the start, and all five are then polished together. Where the
    result admits a butterfly arbitrage it is polished again with a penalty on negative density, from both. Where that
    finds no smile without arbitrage, the plain fit is returned and its ``least_durrleman`` is below zero.

    The expirations share the work and nothing else: fitted alone, each is the same to the last bit.

    Raises
    ------
    OptionPricingError : for arrays of different shapes, negative weights, or years that are not above 0.

    References
    ----------
    De Marco & Martini, "Quasi-Explicit Calibration of Gatheral's SVI model", Zeliade White Paper ZWP-0005, 2009;
    Gatheral & Jacquier 2014, section 5.
    """
    usable = [_usable(one) for one in quotes]
    enough = [place for place, (k, _, _) in enumerate(usable) if len(np.unique(k)) >= LEAST_QUOTES]
    found: list[FittedSmile | None] = [None] * len(usable)
    if enough:
        together = _together([usable[place] for place in enough], [quotes[place].years for place in enough])
        for place, smile in zip(enough, _fitted(together), strict=True):
            found[place] = smile
    return found


def fit_smile(
    log_moneyness: ArrayLike, implied_volatility: ArrayLike, *, years: float, weights: ArrayLike | None = None
) -> FittedSmile:
    """Fit raw SVI to one expiration, as ``fit_smiles`` does.

    Raises
    ------
    OptionPricingError : as ``fit_smiles``.
    InsufficientDataError : with fewer than six quotes at different strikes.
    """
    quotes = SmileQuotes(log_moneyness, implied_volatility, years, weights)
    fitted = fit_smiles([quotes])[0]
    if fitted is None:
        raise InsufficientDataError(
            f"a smile needs {LEAST_QUOTES} quotes at different strikes, not {len(_usable(quotes)[0])}"
        )
    return fitted


def _usable(quotes: SmileQuotes) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return log-moneyness, volatility and the root of the weight (mean 1) of the quotes that count."""
    k = np.asarray(quotes.log_moneyness, dtype=np.float64)
    sigma = np.asarray(quotes.implied_volatility, dtype=np.float64)
    weight = np.ones_like(k) if quotes.weights is None else np.asarray(quotes.weights, dtype=np.float64)
    if not (k.ndim == 1 and k.shape == sigma.shape == weight.shape):
        raise OptionPricingError(f"one volatility and weight a strike: shapes {k.shape}, {sigma.shape}, {weight.shape}")
    if not (np.isfinite(quotes.years) and quotes.years > 0.0):
        raise OptionPricingError(f"years to expiration are not above 0: {quotes.years}")
    if (weight < 0.0).any():
        raise OptionPricingError("a weight is negative")
    counts = np.isfinite(k) & np.isfinite(sigma) & (sigma > 0.0) & np.isfinite(weight) & (weight > 0.0)
    weight = weight[counts]
    return k[counts], sigma[counts], np.sqrt(weight / weight.mean()) if len(weight) else weight


def _together(parts: list[tuple[FloatArray, FloatArray, FloatArray]], years: list[float]) -> _Quotes:
    """Return the quotes side by side; the rows that are shorter end in quotes without weight."""
    longest = CHUNK * max(-(-len(k) // CHUNK) for k, _, _ in parts)
    k, volatility, weight = (np.empty((len(parts), longest)) for _ in range(3))
    for row, (its_k, its_volatility, its_weight) in enumerate(parts):
        count = len(its_k)
        k[row, :count], k[row, count:] = its_k, its_k[0]
        volatility[row, :count], volatility[row, count:] = its_volatility, its_volatility[0]
        weight[row, :count], weight[row, count:] = its_weight, 0.0
    return _Quotes(k, volatility, weight, np.array(years)[:, np.newaxis], k.min(axis=1), k.max(axis=1))


def _fitted(quotes: _Quotes) -> list[FittedSmile]:
    lower, upper = _box(quotes)
    start = quasi_explicit(
        quotes.k, quotes.volatility**2 * quotes.years,
        weight=(quotes.weight / quotes.volatility) ** 2, steepest=_STEEPEST_FITTED,
    )  # fmt: skip
    start = np.clip(start, lower + _INSIDE, upper - _INSIDE)
    fitted = descend(_Misses(quotes), start, lower=lower, upper=upper, precision=_PRECISION)
    faulty = np.flatnonzero(_least_densities(fitted, quotes) < -_DENSITY_TOLERANCE)
    if len(faulty):
        fitted[faulty] = _cured(start[faulty], fitted[faulty], quotes.only(faulty))
    least = _least_densities(fitted, quotes)
    rmse = np.sqrt(_mean_squares(fitted, quotes))
    return [
        FittedSmile(
            parameters=smile_of(fitted[row]),
            years=float(quotes.years[row, 0]),
            rmse=float(rmse[row]),
            n=int((quotes.weight[row] > 0.0).sum()),
            lowest=float(quotes.lowest[row]),
            highest=float(quotes.highest[row]),
            least_durrleman=float(least[row]),
        )
        for row in range(len(fitted))
    ]


def _box(quotes: _Quotes) -> tuple[FloatArray, FloatArray]:
    """Return the bounds of the five numbers: variance above zero, wings between 0 and short of 2, and the centre among
    the quotes (beyond them it would only bend what nobody quoted)."""
    rows = np.ones(len(quotes.lowest))
    lower = np.column_stack([TINY * rows, TINY * rows, TINY * rows, quotes.lowest, _LEAST_CURVATURE * rows])
    steepest = _STEEPEST_FITTED * rows
    return lower, np.column_stack([np.inf * rows, steepest, steepest, quotes.highest, _GREATEST_CURVATURE * rows])


def _cured(start: FloatArray, fitted: FloatArray, quotes: _Quotes) -> FloatArray:
    """Return the nearest arbitrage-free smiles that a penalty on lacking density finds from the two starts, else the
    start where it is free, else the fitted one; (smiles, 5)."""
    best, miss = start.copy(), _misses_where_free(start, quotes)
    is_cured = np.zeros(len(start), dtype=np.bool_)
    for margin in _DENSITY_MARGINS:
        rows = np.flatnonzero(~is_cured)
        if not len(rows):
            break
        polished, error = _penalised(np.stack([start[rows], fitted[rows]]), quotes.only(rows), margin=margin)
        is_nearer = error < miss[rows]
        best[rows[is_nearer]], miss[rows[is_nearer]] = polished[is_nearer], error[is_nearer]
        is_cured[rows] = np.isfinite(error)
    return np.where(np.isfinite(miss)[:, np.newaxis], best, fitted)


def _penalised(starts: FloatArray, quotes: _Quotes, *, margin: float) -> tuple[FloatArray, FloatArray]:
    """Return the better smile of those that descend with the penalty from starts (starts, smiles, 5), and how far it
    misses: infinity where none is free of arbitrage."""
    tries, count, _ = starts.shape
    repeated = quotes.only(np.tile(np.arange(count), tries))
    lower, upper = _box(repeated)
    begin = np.clip(starts.reshape(tries * count, -1), lower + _INSIDE, upper - _INSIDE)
    misses = _Misses(repeated, repeated.places(_PENALISED_PLACES), margin)
    polished = descend(misses, begin, lower=lower, upper=upper, precision=_PRECISION)
    error = _misses_where_free(polished, repeated).reshape(tries, count)
    best = error.argmin(axis=0)
    return polished.reshape(tries, count, -1)[best, np.arange(count)], error.min(axis=0)


def _misses_where_free(wings: FloatArray, quotes: _Quotes) -> FloatArray:
    """Return the mean square by which each smile misses its quotes; infinity where it admits an arbitrage."""
    is_free = _least_densities(wings, quotes) >= -_DENSITY_TOLERANCE
    return np.where(is_free, _mean_squares(wings, quotes), np.inf)


def _least_densities(wings: FloatArray, quotes: _Quotes) -> FloatArray:
    """Return the least g of each smile over the range of its quotes and as far again on both sides, (smiles,)."""
    least: FloatArray = densities(wings, quotes.places()).min(axis=1)
    return np.where(wings[:, 1:3].max(axis=1) > STEEPEST_WING, -np.inf, least)


def _mean_squares(wings: FloatArray, quotes: _Quotes) -> FloatArray:
    """Return the weighted mean square of fitted minus quoted volatility, (smiles,)."""
    error, weight = _Misses(quotes).at(wings)[:, -1:], quotes.weight[:, np.newaxis]
    total: FloatArray = (summed_products(error, error) / summed_products(weight, weight))[:, 0, 0]
    return total
