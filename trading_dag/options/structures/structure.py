"""Option structures as data, and what they pay at expiration.

A structure is a tuple of legs, with shares of the underlying where it needs them; a leg is a right, a
side, a ratio and rules for its strike and its expiration. The arithmetic works for any structure whose legs
expire together: rows are positions, columns are legs. Choosing actual strikes and dates is
``strike_selection``'s work, quotes are ``quotes``', margin is not decided here, and a user's own structures
are read by ``structures.user_structures``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.errors import OptionPricingError, StructureError
from trading_dag.options.pricing.black_scholes import BoolArray, FloatArray

if TYPE_CHECKING:
    from trading_dag.options.surfaces.modelled import VolatilitySurface

OptionRight = Literal["C", "P"]
Side = Literal["buy", "sell"]
DeltaRole = Literal["long_leg", "short_leg", "wing"]
WidthUnit = Literal["usd", "spot_fraction"]


@dataclass(frozen=True)
class DeltaRule:
    """Strike whose absolute delta is nearest to the setting of that role (``BacktestSettings.<role>_delta``)."""

    role: DeltaRole


@dataclass(frozen=True)
class TargetDeltaRule:
    """Strike whose absolute delta is nearest to this one, between 0 and 1."""

    absolute_delta: float


@dataclass(frozen=True)
class AtTheMoneyRule:
    """Strike nearest to the underlying price; the lower of two equally near."""


@dataclass(frozen=True)
class SameStrikeRule:
    """The strike of an earlier leg."""

    leg: int


@dataclass(frozen=True)
class OffsetRule:
    """Strike a number of grid steps above (negative: below) the strike of an earlier leg."""

    leg: int
    steps: int


@dataclass(frozen=True)
class WidthRule:
    """Strike so far above (negative: below) that of an earlier leg, in USD or as a share of spot.

    Rounded to the grid, and at least one step of it.
    """

    leg: int
    width: float
    unit: WidthUnit = "usd"


@dataclass(frozen=True)
class BackExpiryRule:
    """The first weekly expiration at least so many calendar days after the front one."""

    days_after_front: int = 28


StrikeRule = DeltaRule | TargetDeltaRule | AtTheMoneyRule | SameStrikeRule | OffsetRule | WidthRule
ExpiryRule = Literal["weekly"] | BackExpiryRule


@dataclass(frozen=True)
class Leg:
    """One leg.

    Attributes
    ----------
    option_right, side, ratio : C or P; buy or sell; contracts a structure.
    strike_rule : how the strike is chosen.
    apart_from : earlier leg from which the strike stays at least one grid step further out of the
        money (same right) or on its own side (other right); None for no such leg.
    expiry_rule : ``weekly`` is the front: the first Friday expiration at or after the days of the settings.
    """

    option_right: OptionRight
    side: Side
    strike_rule: StrikeRule
    ratio: int = 1
    apart_from: int | None = None
    expiry_rule: ExpiryRule = "weekly"

    @property
    def signed_ratio(self) -> float:
        """Contracts a structure, negative where sold."""
        return float(self.ratio if self.side == "buy" else -self.ratio)


def _impossibility(leg: Leg, position: int) -> str | None:
    """Why a leg at that position cannot be, as a clause; None where it can."""
    rule = leg.strike_rule
    references = [getattr(rule, "leg", None), leg.apart_from]
    if leg.option_right not in get_args(OptionRight):
        return f"option_right {leg.option_right!r} is neither C nor P"
    if leg.side not in get_args(Side):
        return f"side {leg.side!r} is neither buy nor sell"
    if leg.ratio < 1:
        return f"ratio {leg.ratio} is below 1"
    if any(reference is not None and not 0 <= reference < position for reference in references):
        return f"{rule} or apart_from {leg.apart_from} names a leg not before it"
    if isinstance(rule, DeltaRule) and rule.role not in get_args(DeltaRole):
        return f"{rule} has a role that is none of {', '.join(get_args(DeltaRole))}"
    if isinstance(rule, TargetDeltaRule) and not 0.0 < rule.absolute_delta < 1.0:
        return f"{rule} is not between 0 and 1"
    if isinstance(rule, WidthRule) and (rule.width == 0.0 or not math.isfinite(rule.width)):
        return f"{rule} has no width"
    if isinstance(rule, WidthRule) and rule.unit not in get_args(WidthUnit):
        return f"{rule} has a unit that is none of {', '.join(get_args(WidthUnit))}"
    if isinstance(rule, SameStrikeRule) and rule.leg == leg.apart_from:
        return f"{rule} contradicts apart_from {leg.apart_from}"
    if isinstance(leg.expiry_rule, BackExpiryRule) and leg.expiry_rule.days_after_front < 1:
        return f"{leg.expiry_rule} is not after the front"
    return None


@dataclass(frozen=True)
class Structure:
    """A named tuple of legs, with shares of the underlying where it holds them.

    Attributes
    ----------
    name, legs : the name and the option legs.
    underlying_ratio : lots of shares a structure (one lot is one contract's multiplier), negative where
        sold short. Their price belongs to the premium: a covered call costs the shares less the call.
    is_cash_secured : the strikes of its short puts are held in cash, which margin rules read.

    Raises
    ------
    StructureError : for legs that cannot be: none, an unknown right or side, a ratio below 1, a rule that
        names a later leg or cannot be met. Names the structure, the leg and the rule.
    """

    name: str
    legs: tuple[Leg, ...]
    underlying_ratio: int = 0
    is_cash_secured: bool = False

    def __post_init__(self) -> None:
        if not self.legs:
            raise StructureError(f"structure {self.name!r} has no legs")
        for position, leg in enumerate(self.legs):
            if (reason := _impossibility(leg, position)) is not None:
                raise StructureError(f"structure {self.name!r}, leg {position}: {reason}")
        if not any(leg.expiry_rule == "weekly" for leg in self.legs):
            raise StructureError(f"structure {self.name!r} has no leg at the front expiration")

    @property
    def signed_ratios(self) -> FloatArray:
        """Contracts a structure by leg, negative where sold."""
        return np.array([leg.signed_ratio for leg in self.legs])

    @property
    def is_call(self) -> BoolArray:
        """True where the leg is a call."""
        return np.array([leg.option_right == "C" for leg in self.legs])

    @property
    def contracts_per_structure(self) -> int:
        """Option contracts in one structure, which is what fees count."""
        return sum(leg.ratio for leg in self.legs)

    @property
    def expires_together(self) -> bool:
        """All legs have one expiration, so that a payoff at expiration exists."""
        return len({leg.expiry_rule for leg in self.legs}) == 1

    @property
    def has_defined_risk(self) -> bool:
        """The loss at expiration is limited. False for naked short calls, whose ``maximum_loss`` is infinite.

        A short put's loss is limited by an underlying price of zero, which is far beyond its premium.

        Raises
        ------
        OptionPricingError : for legs that expire at different dates.
        """
        return _slope_beyond(self) >= 0


_LONG: Final = DeltaRule("long_leg")
_SHORT: Final = DeltaRule("short_leg")
_WING: Final = DeltaRule("wing")
_ATM: Final = AtTheMoneyRule()
_BOUGHT_STRANGLE: Final = TargetDeltaRule(0.30)
_BELOW: Final = WidthRule(0, -0.03, "spot_fraction")
_ABOVE: Final = WidthRule(0, 0.03, "spot_fraction")
_BACK: Final = BackExpiryRule()

STRUCTURES: Final[dict[str, Structure]] = {
    structure.name: structure
    for structure in (
        Structure("long_call", (Leg("C", "buy", _LONG),)),
        Structure("long_put", (Leg("P", "buy", _LONG),)),
        Structure("bull_call_spread", (Leg("C", "buy", _LONG), Leg("C", "sell", _SHORT, apart_from=0))),
        Structure("bear_put_spread", (Leg("P", "buy", _LONG), Leg("P", "sell", _SHORT, apart_from=0))),
        Structure("bull_put_spread", (Leg("P", "sell", _SHORT), Leg("P", "buy", _WING, apart_from=0))),
        Structure("bear_call_spread", (Leg("C", "sell", _SHORT), Leg("C", "buy", _WING, apart_from=0))),
        Structure(
            "iron_condor",
            (
                Leg("P", "sell", _SHORT),
                Leg("P", "buy", _WING, apart_from=0),
                Leg("C", "sell", _SHORT, apart_from=0),
                Leg("C", "buy", _WING, apart_from=2),
            ),
        ),
        Structure(
            "iron_butterfly",
            (
                Leg("P", "sell", _ATM),
                Leg("P", "buy", _BELOW),
                Leg("C", "sell", SameStrikeRule(0)),
                Leg("C", "buy", _ABOVE),
            ),
        ),
        Structure("long_straddle", (Leg("C", "buy", _ATM), Leg("P", "buy", SameStrikeRule(0)))),
        Structure("short_straddle", (Leg("C", "sell", _ATM), Leg("P", "sell", SameStrikeRule(0)))),
        Structure(
            "long_strangle", (Leg("P", "buy", _BOUGHT_STRANGLE), Leg("C", "buy", _BOUGHT_STRANGLE, apart_from=0))
        ),
        Structure("short_strangle", (Leg("P", "sell", _SHORT), Leg("C", "sell", _SHORT, apart_from=0))),
        Structure(
            "call_butterfly", (Leg("C", "sell", _ATM, ratio=2), Leg("C", "buy", _BELOW), Leg("C", "buy", _ABOVE))
        ),
        Structure("put_butterfly", (Leg("P", "sell", _ATM, ratio=2), Leg("P", "buy", _BELOW), Leg("P", "buy", _ABOVE))),
        Structure("calendar", (Leg("C", "sell", _ATM), Leg("C", "buy", SameStrikeRule(0), expiry_rule=_BACK))),
        Structure("put_calendar", (Leg("P", "sell", _ATM), Leg("P", "buy", SameStrikeRule(0), expiry_rule=_BACK))),
        Structure("covered_call", (Leg("C", "sell", _SHORT),), underlying_ratio=1),
        Structure("cash_secured_put", (Leg("P", "sell", _SHORT),), is_cash_secured=True),
    )
}


def structure_of(name: str, *, menu: Mapping[str, Structure] = STRUCTURES) -> Structure:
    """The structure of that name.

    Parameters
    ----------
    menu : what there is to choose from: the built-in structures, or those with a user's own.

    Raises
    ------
    OptionPricingError : for a name that is none.
    """
    try:
        return menu[name]
    except KeyError:
        raise OptionPricingError(f"unknown structure {name!r}; choose from {', '.join(menu)}") from None


def _slope_beyond(structure: Structure) -> float:
    """Slope of the payoff beyond the highest strike.

    Raises
    ------
    OptionPricingError : for legs that expire at different dates.
    """
    if not structure.expires_together:
        raise OptionPricingError(
            f"structure {structure.name!r} has legs that expire at different dates: it has no payoff at "
            "expiration, value it by model"
        )
    return float(structure.signed_ratios[structure.is_call].sum() + structure.underlying_ratio)


def _value_at_expiration(structure: Structure, strikes: FloatArray, prices: FloatArray) -> FloatArray:
    """Value at expiration of the legs and the shares, USD a share; strikes (n, legs), prices (n, m)."""
    sign = np.where(structure.is_call, 1.0, -1.0)
    intrinsic = np.maximum(sign * (prices[:, :, np.newaxis] - strikes[:, np.newaxis, :]), 0.0)
    value: FloatArray = intrinsic @ structure.signed_ratios
    # Without shares nothing is added: 0 times an infinite price would be NaN.
    return value + structure.underlying_ratio * prices if structure.underlying_ratio else value


def payoff(structure: Structure, strikes: ArrayLike, *, spot: ArrayLike) -> FloatArray:
    """Value at expiration, USD a share, before any premium; the shares of a covered call count at their price.

    Parameters
    ----------
    strikes : (n, legs).
    spot : (n,) one price a row, or (n, m) or (m,) several; broadcasts against the rows.

    Returns
    -------
    (n,) for one price a row, (n, m) for several.

    Raises
    ------
    OptionPricingError : for legs that expire at different dates.
    """
    _slope_beyond(structure)
    k = np.atleast_2d(np.asarray(strikes, dtype=np.float64))
    s = np.asarray(spot, dtype=np.float64)
    is_one_a_row = s.ndim == 0 or s.shape == (len(k),)
    prices = np.broadcast_to(s, (len(k),))[:, np.newaxis] if is_one_a_row else np.atleast_2d(s)
    paid = _value_at_expiration(structure, k, prices)
    result: FloatArray = paid[:, 0] if is_one_a_row else paid
    return result


@dataclass(frozen=True)
class PayoffBounds:
    """Least and greatest value at expiration, USD a share, each (n,); infinite where unlimited."""

    least: FloatArray
    greatest: FloatArray


def _knots(structure: Structure, strikes: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Where the payoff bends (0 and the strikes, ascending), its value there, and its slope beyond the last."""
    knots = np.concatenate([np.zeros((len(strikes), 1)), np.sort(strikes, axis=1)], axis=1)
    return knots, _value_at_expiration(structure, strikes, knots), _slope_beyond(structure)


def payoff_bounds(structure: Structure, strikes: ArrayLike) -> PayoffBounds:
    """Least and greatest value at expiration over every underlying price from 0.

    Raises
    ------
    OptionPricingError : for legs that expire at different dates; so do all functions below.
    """
    _, values, slope = _knots(structure, np.atleast_2d(np.asarray(strikes, dtype=np.float64)))
    least, greatest = values.min(axis=1), values.max(axis=1)
    return PayoffBounds(
        least=np.where(np.isnan(least), np.nan, -np.inf) if slope < 0 else least,
        greatest=np.where(np.isnan(greatest), np.nan, np.inf) if slope > 0 else greatest,
    )


def maximum_loss(structure: Structure, strikes: ArrayLike, *, premium: ArrayLike) -> FloatArray:
    """Greatest loss at expiration, USD a share, positive; infinite where short calls are naked.

    ``premium`` is what was paid (negative: received), the price of shares included.
    """
    loss: FloatArray = np.asarray(premium, dtype=np.float64) - payoff_bounds(structure, strikes).least
    return loss


def maximum_profit(structure: Structure, strikes: ArrayLike, *, premium: ArrayLike) -> FloatArray:
    """Greatest profit at expiration, USD a share; infinite where unlimited."""
    profit: FloatArray = payoff_bounds(structure, strikes).greatest - np.asarray(premium, dtype=np.float64)
    return profit


def breakevens(structure: Structure, strikes: ArrayLike, *, premium: ArrayLike) -> FloatArray:
    """Underlying prices at expiration where the profit changes its sign, ascending.

    Returns
    -------
    (n, legs + 1), one column a segment of the payoff, NaN where the segment has none. A segment that
    breaks even all along has none.
    """
    knots, values, slope = _knots(structure, np.atleast_2d(np.asarray(strikes, dtype=np.float64)))
    profit = values - np.broadcast_to(np.asarray(premium, dtype=np.float64), (len(knots),))[:, np.newaxis]
    is_loss = profit < 0
    with np.errstate(divide="ignore", invalid="ignore"):
        within = knots[:, :-1] - profit[:, :-1] * np.diff(knots, axis=1) / np.diff(profit, axis=1)
        beyond = knots[:, -1] - profit[:, -1] / slope if slope else np.full(len(knots), np.nan)
    crosses_beyond = (is_loss[:, -1] & (slope > 0)) | (~is_loss[:, -1] & (slope < 0))
    return np.column_stack(
        [np.where(is_loss[:, :-1] != is_loss[:, 1:], within, np.nan), np.where(crosses_beyond, beyond, np.nan)]
    )


def probability_of_profit(
    structure: Structure,
    strikes: ArrayLike,
    *,
    premium: ArrayLike,
    spot: ArrayLike,
    years: ArrayLike,
    surface: VolatilitySurface,
) -> FloatArray:
    """Risk-neutral probability of a profit at expiration, (n,).

    Each breakeven is passed with the probability that the surface's own option prices imply, slope of the
    skew included. It is a statement about the surface, not a forecast. NaN where strikes or
    premium are NaN.
    """
    k = np.atleast_2d(np.asarray(strikes, dtype=np.float64))
    cost = np.broadcast_to(np.asarray(premium, dtype=np.float64), (len(k),))
    points = breakevens(structure, k, premium=cost)
    exists = np.isfinite(points)
    above = surface.columns().probability_above(
        np.broadcast_to(np.asarray(spot, dtype=np.float64), (len(k),))[:, np.newaxis],
        np.where(exists, points, 1.0),
        np.broadcast_to(np.asarray(years, dtype=np.float64), (len(k),))[:, np.newaxis],
    )
    starts_in_profit = payoff(structure, k, spot=0.0) >= cost
    # Crossing the first breakeven upward enters profit if the lowest prices lose, and leaves it if they win.
    alternating = np.where(np.cumsum(exists, axis=1) % 2 == 1, 1.0, -1.0)
    crossed = np.where(exists, alternating * above, 0.0).sum(axis=1)
    probability = np.where(starts_in_profit, 1.0 - crossed, crossed)
    is_known = np.isfinite(k).all(axis=1) & np.isfinite(cost)
    return np.where(is_known, np.clip(probability, 0.0, 1.0), np.nan)
