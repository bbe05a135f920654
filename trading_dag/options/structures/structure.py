"""Option structures as data.

A structure is a tuple of legs, with shares of the underlying where it needs them; a leg is a right, a side, a ratio and
rules for its strike and its expiration. What a structure pays is in ``payoff``, actual strikes and dates are chosen by
``strike_selection``, prices come from ``quotes``, and a user's own structures are read by ``user_structures``. Margin
is not decided here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.errors import OptionPricingError, StructureError

OptionRight = Literal["C", "P"]
Side = Literal["buy", "sell"]
DeltaRole = Literal["long_leg", "short_leg", "wing"]
WidthUnit = Literal["usd", "spot_fraction"]


@dataclass(frozen=True)
class DeltaRule:
    """Picks the strike whose absolute delta is nearest to the setting of that role
    (``BacktestSettings.<role>_delta``)."""

    role: DeltaRole


@dataclass(frozen=True)
class TargetDeltaRule:
    """Picks the strike whose absolute delta is nearest to this one, between 0 and 1."""

    absolute_delta: float


@dataclass(frozen=True)
class AtTheMoneyRule:
    """Picks the strike nearest to the underlying price; the lower of two equally near."""


@dataclass(frozen=True)
class SameStrikeRule:
    """Picks the strike of an earlier leg."""

    leg: int


@dataclass(frozen=True)
class OffsetRule:
    """Picks the strike a number of grid steps above (negative: below) the strike of an earlier leg."""

    leg: int
    steps: int


@dataclass(frozen=True)
class WidthRule:
    """Picks the strike at a distance above (negative: below) that of an earlier leg, in USD or as a share of spot.

    Rounded to the grid, and at least one step of it.
    """

    leg: int
    width: float
    unit: WidthUnit = "usd"


@dataclass(frozen=True)
class BackExpiryRule:
    """Picks the first weekly expiration at least so many calendar days after the front one."""

    days_after_front: int = 28


StrikeRule = DeltaRule | TargetDeltaRule | AtTheMoneyRule | SameStrikeRule | OffsetRule | WidthRule
ExpiryRule = Literal["weekly"] | BackExpiryRule


@dataclass(frozen=True)
class Leg:
    """Describes one leg.

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
        """Return the contracts per structure, negative where sold."""
        return float(self.ratio if self.side == "buy" else -self.ratio)


def _impossibility(leg: Leg, position: int) -> str | None:
    """Return why a leg at that position cannot be, as a clause; None where it can."""
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
    """Names a tuple of legs, with shares of the underlying where it holds them.

    Attributes
    ----------
    name, legs : the name and the option legs.
    underlying_ratio : lots of shares a structure (one lot is one contract's multiplier), negative where
        sold short. Their price belongs to the premium: a covered call costs the shares less the call.
    is_cash_secured : the strikes of its short puts are held in cash, which margin rules read.

    Raises
    ------
    StructureError : for impossible legs: none, an unknown right or side, a ratio below 1, a rule that
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
        """Return the contracts per structure by leg, negative where sold."""
        return np.array([leg.signed_ratio for leg in self.legs])

    @property
    def is_call(self) -> BoolArray:
        """Return True where the leg is a call."""
        return np.array([leg.option_right == "C" for leg in self.legs])

    @property
    def contracts_per_structure(self) -> int:
        """Return the number of option contracts in one structure, which is what fees count."""
        return sum(leg.ratio for leg in self.legs)

    @property
    def expires_together(self) -> bool:
        """Return whether all legs have one expiration, so that a payoff at expiration exists."""
        return len({leg.expiry_rule for leg in self.legs}) == 1


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
    """Return the structure of that name.

    Parameters
    ----------
    menu : the structures to choose from: the built-in ones, or those with a user's own.

    Raises
    ------
    OptionPricingError : for an unknown name.
    """
    try:
        return menu[name]
    except KeyError:
        raise OptionPricingError(f"unknown structure {name!r}; choose from {', '.join(menu)}") from None


def at_front_expiration(structure: Structure) -> Structure:
    """Return the structure with every leg at the front expiration, where a later leg counts at what exercise pays."""
    return replace(structure, legs=tuple(replace(leg, expiry_rule="weekly") for leg in structure.legs))
