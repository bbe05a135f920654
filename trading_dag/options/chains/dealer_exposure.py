"""What dealers would hold against the open interest of a chain, and the spot at which their gamma changes its sign.

Only the exposure of one session's contracts is computed here. Where their volatilities come from is ``chain``'s
business, and the models have to show what the numbers are good for.

**The convention is an assumption.** Nobody publishes who holds what. Every net is signed as if dealers were long every
call and short every put of the open interest, as customers who sell calls and buy puts would leave them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.errors import OptionPricingError
from trading_dag.options.pricing.greeks import greeks

FLIP_RANGE: Final = 0.15
FLIP_STEPS: Final = 60
FLIP_PRECISION: Final = 1e-10
ONE_PERCENT: Final = 0.01
VOLATILITY_POINT: Final = 0.01


@dataclass(frozen=True)
class OpenContracts:
    """Holds the contracts of one underlying on one session, as arrays of one length.

    Attributes
    ----------
    strike : USD.
    years : time to expiration.
    rate, dividend_yield : to the expiration, continuously compounded fractions.
    implied_volatility : fraction, NaN where missing.
    open_interest : contracts, NaN where missing.
    is_call : True for calls.

    Raises
    ------
    OptionPricingError : where the arrays differ in length.
    """

    strike: FloatArray
    years: FloatArray
    rate: FloatArray
    dividend_yield: FloatArray
    implied_volatility: FloatArray
    open_interest: FloatArray
    is_call: BoolArray

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) > 1:
            raise OptionPricingError(f"open contracts: arrays differ in length: {lengths}")

    def usable(self) -> OpenContracts:
        """Return the contracts with time left, a volatility and open interest; the others have no computable
        exposure."""
        with np.errstate(invalid="ignore"):
            keep = (self.years > 0) & (self.implied_volatility > 0) & (self.open_interest > 0) & (self.strike > 0)
        return OpenContracts(**{field.name: getattr(self, field.name)[keep] for field in fields(self)})

    @property
    def dealer_sign(self) -> FloatArray:
        """Return +1 for calls and −1 for puts."""
        return np.where(self.is_call, 1.0, -1.0)


@dataclass(frozen=True)
class GammaByStrike:
    """Holds dealers' gamma exposure at each strike, USD of delta per 1 % move; arrays of one length, strikes
    ascending."""

    strike: FloatArray
    calls: FloatArray
    puts: FloatArray

    @property
    def net(self) -> FloatArray:
        """Return the exposure of calls and puts together."""
        return self.calls + self.puts

    @property
    def call_wall_strike(self) -> float:
        """Return the strike with the greatest gamma exposure of calls; NaN without calls."""
        return float(self.strike[np.argmax(self.calls)]) if (self.calls > 0).any() else float("nan")

    @property
    def put_wall_strike(self) -> float:
        """Return the strike with the greatest gamma exposure of puts; NaN without puts."""
        return float(self.strike[np.argmin(self.puts)]) if (self.puts < 0).any() else float("nan")


@dataclass(frozen=True)
class DealerExposure:
    """Holds the exposure of one session; NaN where no contract is usable.

    Attributes
    ----------
    net_delta : shares.
    net_gamma : gamma exposure, USD of delta per 1 % move of the underlying.
    net_vega : USD per volatility point.
    net_theta : USD per calendar day.
    net_vanna : shares per volatility point.
    net_charm : shares per calendar day.
    gamma_flip : spot nearest the present one at which ``net_gamma``, repriced at fixed volatilities, is zero, USD;
        NaN where there is none within 15 %.
    distance_to_gamma_flip : (spot − gamma_flip) / spot, fraction: positive above the flip.
    call_wall_strike, put_wall_strike : strike with the greatest gamma exposure of calls, of puts, all expirations
        together.
    contracts : number of usable contracts.
    """

    net_delta: float
    net_gamma: float
    net_vega: float
    net_theta: float
    net_vanna: float
    net_charm: float
    gamma_flip: float
    distance_to_gamma_flip: float
    call_wall_strike: float
    put_wall_strike: float
    contracts: int


def dealer_exposure(contracts: OpenContracts, *, spot: float, multiplier: float = 100.0) -> DealerExposure:
    """Return net Greeks, flip and walls of one session's contracts.

    Known when volatilities and open interest are; open interest dated d is published on the morning of d.

    Parameters
    ----------
    spot : USD.
    multiplier : shares a contract.

    Raises
    ------
    OptionPricingError : where spot is not positive.
    """
    usable = contracts.usable()
    if not len(usable.strike):
        _require_positive(spot)
        unknown = {field.name: float("nan") for field in fields(DealerExposure) if field.type == "float"}
        return DealerExposure(**unknown, contracts=0)
    profile = _GammaProfile(usable, multiplier)
    by_strike = _by_strike(usable, profile.of_contracts(_require_positive(spot)))
    flip = _flip(profile, spot)
    shares = usable.dealer_sign * usable.open_interest * multiplier
    sensitivity = greeks(
        spot=spot, strike=usable.strike, years=usable.years, rate=usable.rate, dividend_yield=usable.dividend_yield,
        volatility=usable.implied_volatility, is_call=usable.is_call,
    )  # fmt: skip
    return DealerExposure(
        net_delta=_total(shares, sensitivity.delta),
        net_gamma=float(by_strike.net.sum()),
        net_vega=_total(shares, sensitivity.vega) * VOLATILITY_POINT,
        net_theta=_total(shares, sensitivity.theta) / DAYS_PER_YEAR,
        net_vanna=_total(shares, sensitivity.vanna) * VOLATILITY_POINT,
        net_charm=_total(shares, sensitivity.charm) / DAYS_PER_YEAR,
        gamma_flip=flip,
        distance_to_gamma_flip=(spot - flip) / spot,
        call_wall_strike=by_strike.call_wall_strike,
        put_wall_strike=by_strike.put_wall_strike,
        contracts=len(usable.strike),
    )


def _total(shares: FloatArray, sensitivity: FloatArray) -> float:
    """Return the sum over all contracts; not by a dot product, whose threads cost more than they save, and whose last
    digits depend on their number."""
    return float((shares * sensitivity).sum())


def gamma_by_strike(contracts: OpenContracts, *, spot: float, multiplier: float = 100.0) -> GammaByStrike:
    """Return Σ ±Γ · open interest · multiplier · S² · 0.01 at each strike, over all expirations.

    Raises
    ------
    OptionPricingError : where spot is not positive.
    """
    usable = contracts.usable()
    return _by_strike(usable, _GammaProfile(usable, multiplier).of_contracts(_require_positive(spot)))


def _by_strike(contracts: OpenContracts, exposure: FloatArray) -> GammaByStrike:
    strikes, where = np.unique(contracts.strike, return_inverse=True)
    calls, puts = (
        np.asarray(np.bincount(where[rows], weights=exposure[rows], minlength=len(strikes)), dtype=np.float64)
        for rows in (contracts.is_call, ~contracts.is_call)
    )
    return GammaByStrike(strikes, calls, puts)


def gamma_flip(contracts: OpenContracts, *, spot: float) -> float:
    """Return the spot nearest the present one at which the total gamma exposure is zero; NaN for none within 15 %.

    Every contract is repriced at its own volatility on a grid of ±15 % in steps of 0.25 %, and each change of sign
    is followed to ten digits. Two roots within one step are not seen. Summing today's exposure from strike to
    strike, as is often done, finds another point or none.

    Raises
    ------
    OptionPricingError : where spot is not positive.
    """
    return _flip(_GammaProfile(contracts.usable(), 1.0), _require_positive(spot))


def _flip(profile: _GammaProfile, spot: float) -> float:
    from scipy.optimize import brentq

    brackets = _nearest_brackets(profile, spot)
    roots = [low if low == high else brentq(profile.total, low, high, rtol=FLIP_PRECISION) for low, high in brackets]
    return float(min(roots, key=lambda root: abs(root - spot))) if roots else float("nan")


def _nearest_brackets(profile: _GammaProfile, spot: float) -> list[tuple[float, float]]:
    """Return the steps nearest to spot over which the total changes its sign, one or two; a level twice where it is
    zero.

    Both sides are walked outwards together, so that the first ring with a change holds the nearest one.
    """
    grid = spot * (1.0 + FLIP_RANGE * np.linspace(-1.0, 1.0, 2 * FLIP_STEPS + 1))
    total = np.full(len(grid), np.nan)
    total[FLIP_STEPS] = profile.total(grid[FLIP_STEPS])
    if total[FLIP_STEPS] == 0.0:
        # Nothing held at all is no flip, and neither are calls and puts that cancel everywhere.
        is_flip = any(profile.total(level) != 0.0 for level in grid)
        return [(grid[FLIP_STEPS], grid[FLIP_STEPS])] if is_flip else []
    for ring in range(1, FLIP_STEPS + 1):
        brackets = []
        for outer, inner in ((FLIP_STEPS - ring, FLIP_STEPS - ring + 1), (FLIP_STEPS + ring, FLIP_STEPS + ring - 1)):
            total[outer] = profile.total(grid[outer])
            if total[outer] == 0.0:
                brackets.append((grid[outer], grid[outer]))
            elif total[outer] * total[inner] < 0.0:
                brackets.append((min(grid[outer], grid[inner]), max(grid[outer], grid[inner])))
        if brackets:
            return brackets
    return []


class _GammaProfile:
    """Computes gamma exposure as a function of spot; all that does not depend on spot is computed once.

    Γ·S²·0.01 = 0.01·S·exp(−qT)·φ(d1)/(σ√T), d1 = ln S / (σ√T) + offset.
    """

    def __init__(self, contracts: OpenContracts, multiplier: float) -> None:
        deviation = contracts.implied_volatility * np.sqrt(contracts.years)
        drift = contracts.rate - contracts.dividend_yield + 0.5 * contracts.implied_volatility**2
        self.slope = 1.0 / deviation
        self.offset = (drift * contracts.years - np.log(contracts.strike)) / deviation
        self.weight = (
            ONE_PERCENT * multiplier * contracts.dealer_sign * contracts.open_interest
            * np.exp(-contracts.dividend_yield * contracts.years) / (deviation * np.sqrt(2.0 * np.pi))
        )  # fmt: skip

    def of_contracts(self, spot: float) -> FloatArray:
        """Return the exposure of each contract, USD of delta per 1 % move."""
        d1 = self.slope * np.log(spot) + self.offset
        exposure: FloatArray = spot * self.weight * np.exp(-0.5 * d1 * d1)
        return exposure

    def total(self, spot: float) -> float:
        """Return the exposure of all contracts."""
        return float(self.of_contracts(spot).sum())


def _require_positive(spot: float) -> float:
    if not spot > 0 or not np.isfinite(spot):
        raise OptionPricingError(f"spot {spot} is no positive price")
    return spot
