"""The implied-volatility surface of sessions that have a chain: the fitted slices, joined along time.

Which sessions have slices good enough is decided here; how a slice is fitted, in ``svi``, and what stands in where
there is no chain, in ``surface``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.frames import require_columns
from trading_dag.options.pricing import black_scholes
from trading_dag.options.surfaces.modelled import Smile
from trading_dag.schemas import CHAIN_ANALYTICS

LARGEST_SPOT_DIFFERENCE: Final = 0.01
"""A chain whose underlying is further from the close, as a share of it, is of another moment or another base."""
_MONEYNESS_STEP: Final = 1e-4
_TERMS_REMEMBERED: Final = 32
_COLUMNS: Final = ("session", "years", "spot", "forward", "rate", "svi_a", "svi_b", "svi_rho", "svi_m", "svi_s",
                   "least_durrleman")  # fmt: skip
_NO_BUTTERFLY: Final = -1e-9
_NO_CROSSING: Final = -1e-9
# Where two slices are held against each other, in standard deviations of the later one: strikes of about 2 to 98 Δ,
# beyond which no structure is priced and a slice has few quotes.
_DEVIATIONS: Final = np.linspace(-2.0, 2.0, 41)


@dataclass(frozen=True)
class _Side:
    """Holds the slice on one side of each time: its parameters and its own time."""

    a: FloatArray
    b: FloatArray
    rho: FloatArray
    m: FloatArray
    s: FloatArray
    years: FloatArray
    carry: FloatArray

    def total_variance(self, k: FloatArray) -> FloatArray:
        shifted = k - self.m
        root = np.sqrt(shifted * shifted + self.s**2)
        variance: FloatArray = np.maximum(self.a + self.b * (self.rho * shifted + root), 0.0)
        return variance


@dataclass(frozen=True)
class _Between:
    """Holds the slices before and after each time, and how far between them it lies; looked up once, read often."""

    near: _Side
    far: _Side
    share: FloatArray
    years: FloatArray

    @property
    def carry(self) -> FloatArray:
        """Return ln(F/S)/T at each time."""
        joined: FloatArray = self.near.carry * (1.0 - self.share) + self.far.carry * self.share
        return joined

    def volatility(self, k: FloatArray) -> FloatArray:
        """Return the volatility at each k = ln(K/F), fraction."""
        before, after = self.near.total_variance(k), self.far.total_variance(k)
        # Where both neighbours are one slice its volatility is held: total variance grows in proportion to time.
        held = np.sqrt(before / self.near.years)
        with np.errstate(invalid="ignore", divide="ignore"):
            joined = np.sqrt((before * (1.0 - self.share) + after * self.share) / self.years)
        volatility: FloatArray = np.where(self.near.years == self.far.years, held, joined)
        return volatility


@dataclass(frozen=True)
class FittedSurface:
    """Holds the fitted slices of n sessions, one row per session.

    Between two slices total variance is linear in time at equal ln(K/F), which keeps slices that do not cross free
    of calendar arbitrage; before the first and beyond the last the volatility is held. The carry ln(F/S)/T is linear in
    time in the same way.

    Attributes
    ----------
    years : (n, slices) or (n, 1, slices), ascending, infinity where a session has fewer.
    svi : parameters a, b, ρ, m, s of each slice, each of that shape.
    carry : ln(F/S)/T of each slice, of that shape.
    rate : continuously compounded fraction, (n,) or (n, 1).
    is_fitted : (n,) or (n, 1) sessions that have slices; of the others every number is NaN.
    looked_up : the slices beside times that were asked for, because strikes are searched at few times again and again.

    Known at the session's close.
    """

    years: FloatArray
    svi: tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]
    carry: FloatArray
    rate: FloatArray
    is_fitted: BoolArray
    looked_up: dict[tuple[tuple[int, ...], bytes], _Between] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_known(self) -> BoolArray:
        """Return which rows have a volatility."""
        return self.is_fitted

    def forward(self, spot: ArrayLike, years: ArrayLike) -> FloatArray:
        """Return the forward price by the chain's parity, USD."""
        term = np.asarray(years, dtype=np.float64)
        forward: FloatArray = np.asarray(spot, dtype=np.float64) * np.exp(self._at_terms(term).carry * term)
        return forward

    def dividend_factor(self, years: ArrayLike) -> FloatArray:
        """Return exp(−qT), where q is what the parity forward leaves of the rate."""
        term = np.asarray(years, dtype=np.float64)
        factor: FloatArray = self.forward(1.0, term) * np.exp(-self.rate * term)
        return factor

    def atm_volatility(self, years: ArrayLike) -> FloatArray:
        """Return the volatility at the forward, fraction."""
        return self._volatility(np.asarray(0.0), np.asarray(years, dtype=np.float64))

    def smile(self, years: ArrayLike) -> Smile:
        """Return the volatility, a fraction, as a function of x = ln(K/F)/(atm·√T), for repeated use with the same
        terms."""
        term = np.asarray(years, dtype=np.float64)
        slices, root = self._at_terms(term), np.sqrt(term)
        at_the_money = slices.volatility(np.asarray(0.0))

        def volatility(standardised_log_moneyness: ArrayLike) -> FloatArray:
            k = np.asarray(standardised_log_moneyness, dtype=np.float64) * at_the_money * root
            return slices.volatility(k)

        return volatility

    def implied_volatility(self, spot: ArrayLike, strike: ArrayLike, years: ArrayLike) -> FloatArray:
        """Return the volatility of the contract, fraction (0.20). Spot and strike in USD; the three broadcast."""
        term = np.asarray(years, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            k = np.log(np.asarray(strike, dtype=np.float64) / self.forward(spot, term))
        return self._volatility(k, term)

    def price(self, spot: ArrayLike, strike: ArrayLike, *, years: ArrayLike, is_call: ArrayLike) -> FloatArray:
        """Return the middle price of the contract on the slices, USD a share."""
        return black_scholes.price(
            spot=spot, strike=strike, years=years, rate=self.rate, dividend_yield=self._dividend_yield(years),
            volatility=self.implied_volatility(spot, strike, years), is_call=is_call,
        )  # fmt: skip

    def probability_above(self, spot: ArrayLike, strike: ArrayLike, years: ArrayLike) -> FloatArray:
        """Return the risk-neutral P(S_T > strike): N(d2) − √T·φ(d2)·∂σ/∂ln K, the slope of the smile included.

        References
        ----------
        Breeden & Litzenberger, "Prices of State-Contingent Claims Implicit in Option Prices", Journal of
        Business 51, 1978, page 627.
        """
        from scipy.special import ndtr

        term = np.asarray(years, dtype=np.float64)
        slices = self._at_terms(term)
        with np.errstate(all="ignore"):
            k = np.log(np.asarray(strike, dtype=np.float64) / self.forward(spot, term))
            volatility = slices.volatility(k)
            slope = slices.volatility(k + _MONEYNESS_STEP) - slices.volatility(k - _MONEYNESS_STEP)
            slope /= 2.0 * _MONEYNESS_STEP
            deviation = volatility * np.sqrt(term)
            d2 = -k / deviation - 0.5 * deviation
            density = np.exp(-0.5 * d2 * d2) / np.sqrt(2.0 * np.pi)
            above: FloatArray = np.clip(ndtr(d2) - np.sqrt(term) * density * slope, 0.0, 1.0)
        return above

    def rows(self, where: IntArray) -> FittedSurface:
        """Return the surfaces of some sessions."""
        a, b, rho, m, s = (parameter[where] for parameter in self.svi)
        return FittedSurface(
            self.years[where], (a, b, rho, m, s), self.carry[where], self.rate[where], self.is_fitted[where]
        )

    def columns(self) -> FittedSurface:
        """Return the same surfaces with another axis, so that row i broadcasts over the legs of row i."""
        a, b, rho, m, s = (parameter[:, np.newaxis] for parameter in self.svi)
        return FittedSurface(
            self.years[:, np.newaxis], (a, b, rho, m, s), self.carry[:, np.newaxis],
            self.rate[:, np.newaxis], self.is_fitted[:, np.newaxis],
        )  # fmt: skip

    def _dividend_yield(self, years: ArrayLike) -> FloatArray:
        return self.rate - self._at_terms(np.asarray(years, dtype=np.float64)).carry

    def _volatility(self, k: FloatArray, years: FloatArray) -> FloatArray:
        return self._at_terms(years).volatility(k)

    def _at_terms(self, years: FloatArray) -> _Between:
        key = (years.shape, years.tobytes())
        if key not in self.looked_up:
            near, far, share = self._neighbours(years)
            before, after = (
                _Side(*(_at(values, place) for values in (*self.svi, self.years, self.carry))) for place in (near, far)
            )
            if len(self.looked_up) >= _TERMS_REMEMBERED:
                self.looked_up.clear()
            self.looked_up[key] = _Between(before, after, share, years)
        return self.looked_up[key]

    def _neighbours(self, years: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
        """Return the slices before and after each time, and how far between them it lies; one slice twice beyond the
        ends.
        """
        shape = np.broadcast_shapes(self.years.shape[:-1], years.shape)
        term = np.broadcast_to(years, shape)
        axis = np.broadcast_to(self.years, (*shape, self.years.shape[-1]))
        count = np.isfinite(axis).sum(axis=-1)
        after = (axis <= term[..., np.newaxis]).sum(axis=-1)
        near = np.clip(after - 1, 0, np.maximum(count - 1, 0))
        far = np.clip(after, 0, np.maximum(count - 1, 0))
        near_years, far_years = _at(self.years, near), _at(self.years, far)
        is_one = near == far
        with np.errstate(invalid="ignore"):
            share = np.where(is_one, 0.0, (term - near_years) / np.where(is_one, 1.0, far_years - near_years))
        return near, far, share


def fitted_surface(
    smiles: pd.DataFrame, sessions: pd.DatetimeIndex, *, quoted_close: FloatArray, years: FloatArray
) -> FittedSurface:
    """Return the surface of each session from ``options.chain_analytics``.

    A session counts as fitted where its slices without butterfly arbitrage lie on both sides of the wanted time, and
    the chain's underlying is within 1 % of the close. A slice that crosses an earlier one, within two standard
    deviations around the forward, is a calendar arbitrage and left out; so is a second one of the same time.

    Parameters
    ----------
    smiles : rows of one ticker; sessions that are not asked for are ignored.
    sessions : (n,) the sessions wanted.
    quoted_close : (n,) closes in the dollars of their day, as chains are; see ``chains.quoted_closes``. A surface is in
        moneyness, so it prices on a spot that was split since just as well.
    years : (n,) time to the expiration that will be priced.

    Raises
    ------
    SchemaError : for missing columns.
    """
    require_columns(smiles, CHAIN_ANALYTICS.qualified_name, columns=_COLUMNS)
    row_of = pd.Series(np.arange(len(sessions)), index=sessions)
    usable = smiles[
        smiles["session"].isin(sessions)
        & (smiles["years"] > 0)
        & (smiles["least_durrleman"] >= _NO_BUTTERFLY)
        & smiles[["forward", "rate", "svi_a"]].notna().all(axis=1)
    ].sort_values(["session", "years"])
    row = row_of.reindex(usable["session"]).to_numpy(dtype=np.int64)
    close = quoted_close[row]
    is_near = np.abs(usable["spot"].to_numpy(np.float64) / close - 1.0) <= LARGEST_SPOT_DIFFERENCE
    usable, row = usable[is_near], row[is_near]
    does_not_cross = _without_crossing(usable)
    usable, row = usable[does_not_cross], row[does_not_cross]
    place = usable.groupby("session").cumcount().to_numpy()
    shape = (len(sessions), int(place.max()) + 1 if len(place) else 1)
    table = np.full((7, *shape), np.nan)
    table[0] = np.inf
    carry = np.log(usable["forward"] / usable["spot"]) / usable["years"]
    names = ("svi_a", "svi_b", "svi_rho", "svi_m", "svi_s")
    for number, column in enumerate((usable["years"], carry, *(usable[name] for name in names))):
        table[number, row, place] = column.to_numpy(np.float64)
    rate = np.full(len(sessions), np.nan)
    rate[row] = usable["rate"].to_numpy(np.float64)
    with np.errstate(invalid="ignore"):
        longest = np.where(np.isfinite(table[0]), table[0], -np.inf).max(axis=1)
        is_fitted = (table[0, :, 0] <= years) & (longest >= years)
    return FittedSurface(
        years=table[0], svi=(table[2], table[3], table[4], table[5], table[6]), carry=table[1], rate=rate,
        is_fitted=is_fitted,
    )  # fmt: skip


def _without_crossing(slices: pd.DataFrame) -> BoolArray:
    """Return which slices have nowhere less total variance than the last one kept before them; by session and time."""
    is_free = np.zeros(len(slices), dtype=np.bool_)
    years = slices["years"].to_numpy(np.float64)
    svi = slices[["svi_a", "svi_b", "svi_rho", "svi_m", "svi_s"]].to_numpy(np.float64)
    session = slices.groupby("session").ngroup().to_numpy()
    order = slices.groupby("session").cumcount().to_numpy()
    last = np.full(int(session.max(initial=-1)) + 1, -1, dtype=np.int64)
    # The n-th slices of all sessions at once, because each is held against what is kept of those before it.
    for number in range(int(order.max(initial=-1)) + 1):
        here = np.flatnonzero(order == number)
        before = last[session[here]]
        deviation = np.sqrt(_total_variance(svi[here], np.zeros((len(here), 1))))
        k = deviation * _DEVIATIONS
        growth = (_total_variance(svi[here], k) - _total_variance(svi[before], k)).min(axis=1)
        is_kept = (before < 0) | ((growth >= _NO_CROSSING) & (years[here] > years[before]))
        is_free[here] = is_kept
        last[session[here[is_kept]]] = here[is_kept]
    return is_free


def _total_variance(svi: FloatArray, k: FloatArray) -> FloatArray:
    """Return the total variance of each slice at its row of log-moneyness, (n, points); never below zero."""
    a, b, rho, m, s = svi.T[:, :, np.newaxis]
    total: FloatArray = np.maximum(a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + s * s)), 0.0)
    return total


def _at(values: FloatArray, place: IntArray) -> FloatArray:
    """Return the slice chosen for each element; the last axis of ``values`` is the slices."""
    axis = np.broadcast_to(values, (*place.shape, values.shape[-1]))
    chosen: FloatArray = np.take_along_axis(axis, place[..., np.newaxis], axis=-1)[..., 0]
    return chosen
