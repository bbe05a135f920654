"""Option structures as data, and what they pay at expiration.

A structure is a tuple of legs; a leg is a right, a side, a ratio and rules for its strike and its
expiration. The arithmetic works for any such tuple whose legs expire together: rows are positions,
columns are legs. Choosing actual strikes and dates is ``strike_selection``'s work, quotes are ``quotes``'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike

from trading_dag.errors import OptionPricingError
from trading_dag.options.black_scholes import BoolArray, FloatArray
from trading_dag.options.surface import ModelledSurface

OptionRight = Literal["C", "P"]
Side = Literal["buy", "sell"]
DeltaRole = Literal["long_leg", "short_leg", "wing"]
ExpiryRule = Literal["weekly"]


@dataclass(frozen=True)
class DeltaRule:
    """Strike whose absolute delta is nearest to the setting of that role (``BacktestSettings.<role>_delta``)."""

    role: DeltaRole


@dataclass(frozen=True)
class OffsetRule:
    """Strike a number of grid steps above (negative: below) the strike of an earlier leg."""

    leg: int
    steps: int


@dataclass(frozen=True)
class Leg:
    """One leg.

    Attributes
    ----------
    option_right, side, ratio : C or P; buy or sell; contracts a structure.
    strike_rule : how the strike is chosen.
    apart_from : earlier leg from which the strike stays at least one grid step further out of the
        money (same right) or on its own side (other right); None for no such leg.
    expiry_rule : ``weekly`` is the first Friday expiration at or after the days of the settings.
    """

    option_right: OptionRight
    side: Side
    strike_rule: DeltaRule | OffsetRule
    ratio: int = 1
    apart_from: int | None = None
    expiry_rule: ExpiryRule = "weekly"

    @property
    def signed_ratio(self) -> float:
        """Contracts a structure, negative where sold."""
        return float(self.ratio if self.side == "buy" else -self.ratio)


@dataclass(frozen=True)
class Structure:
    """A named tuple of legs.

    Raises
    ------
    OptionPricingError : for legs that cannot be: none, a ratio below 1, a rule that names a later leg.
    """

    name: str
    legs: tuple[Leg, ...]

    def __post_init__(self) -> None:
        if not self.legs:
            raise OptionPricingError(f"structure {self.name!r} has no legs")
        for position, leg in enumerate(self.legs):
            references = [leg.apart_from] if leg.apart_from is not None else []
            if isinstance(leg.strike_rule, OffsetRule):
                references.append(leg.strike_rule.leg)
            if leg.ratio < 1:
                raise OptionPricingError(f"structure {self.name!r}, leg {position}: ratio {leg.ratio} is below 1")
            if any(not 0 <= reference < position for reference in references):
                raise OptionPricingError(f"structure {self.name!r}, leg {position}: rule names a leg not before it")

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


_LONG = DeltaRule("long_leg")
_SHORT = DeltaRule("short_leg")
_WING = DeltaRule("wing")

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
    )
}


def structure_of(name: str) -> Structure:
    """The structure of that name.

    Raises
    ------
    OptionPricingError : for a name that is none.
    """
    try:
        return STRUCTURES[name]
    except KeyError:
        raise OptionPricingError(f"unknown structure {name!r}; choose from {', '.join(STRUCTURES)}") from None


def payoff(structure: Structure, strikes: ArrayLike, *, spot: ArrayLike) -> FloatArray:
    """Value at expiration, USD a share, before any premium.

    Parameters
    ----------
    strikes : (n, legs).
    spot : (n,) one price a row, or (n, m) or (m,) several; broadcasts against the rows.

    Returns
    -------
    (n,) for one price a row, (n, m) for several.
    """
    k = np.atleast_2d(np.asarray(strikes, dtype=np.float64))
    s = np.asarray(spot, dtype=np.float64)
    is_one_a_row = s.ndim == 0 or s.shape == (len(k),)
    prices = np.broadcast_to(s, (len(k),))[:, np.newaxis] if is_one_a_row else np.atleast_2d(s)
    sign = np.where(structure.is_call, 1.0, -1.0)
    paid = np.maximum(sign * (prices[:, :, np.newaxis] - k[:, np.newaxis, :]), 0.0) @ structure.signed_ratios
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
    sign = np.where(structure.is_call, 1.0, -1.0)
    values = np.maximum(sign * (knots[:, :, np.newaxis] - strikes[:, np.newaxis, :]), 0.0) @ structure.signed_ratios
    return knots, values, float(structure.signed_ratios[structure.is_call].sum())


def payoff_bounds(structure: Structure, strikes: ArrayLike) -> PayoffBounds:
    """Least and greatest value at expiration over every underlying price from 0."""
    _, values, slope = _knots(structure, np.atleast_2d(np.asarray(strikes, dtype=np.float64)))
    least, greatest = values.min(axis=1), values.max(axis=1)
    return PayoffBounds(
        least=np.where(np.isnan(least), np.nan, -np.inf) if slope < 0 else least,
        greatest=np.where(np.isnan(greatest), np.nan, np.inf) if slope > 0 else greatest,
    )


def maximum_loss(structure: Structure, strikes: ArrayLike, *, premium: ArrayLike) -> FloatArray:
    """Defined risk at expiration, USD a share, positive; ``premium`` is what was paid (negative: received)."""
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
    (n, legs + 1), one column a segment of the payoff, NaN where the segment has none.
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
    surface: ModelledSurface,
) -> FloatArray:
    """Risk-neutral probability of a profit at expiration, (n,).

    Each breakeven is passed with the probability that the surface's own option prices imply, slope of the
    skew included. It is a statement about the modelled surface, not a forecast. NaN where strikes or
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
