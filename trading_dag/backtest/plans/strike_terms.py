"""What a user asks of strikes, whatever the structure: a delta, a range of deltas, a width.

Which legs each of them is about is decided here, once; how a leg finds its strike on a chain is ``positions``' work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from trading_dag.backtest.plans.trade_plan import StrikeChoice, TargetDelta, Width
from trading_dag.errors import ConfigurationError
from trading_dag.options.structures.structure import (
    AtTheMoneyRule,
    DeltaRule,
    Structure,
    TargetDeltaRule,
    WidthRule,
    WidthUnit,
)

_BY_DELTA = (DeltaRule, TargetDeltaRule, AtTheMoneyRule)


@dataclass(frozen=True)
class StrikeTerms:
    """Says at which strikes a structure is entered; what is None stays as the structure and the settings have it.

    Attributes
    ----------
    delta : absolute delta of the main legs: the first leg, and every other leg of its side that is chosen by delta
        (both sold legs of an iron condor, the bought leg of a bull call spread).
    delta_range : least and greatest absolute delta of the main legs; where no quoted strike lies within, the entry is
        skipped with ``outside_delta_range``. Without ``delta`` its middle is aimed at.
    width : distance of the other legs from the main leg of their right, positive; a delta of theirs then counts for
        nothing.
    width_unit : USD, or a share of the underlying price at each entry.

    Raises
    ------
    ConfigurationError : for a delta not within 0 and 1 or outside its range, or a width that is not positive.
    """

    delta: float | None = None
    delta_range: tuple[float, float] | None = None
    width: float | None = None
    width_unit: WidthUnit = "usd"

    def __post_init__(self) -> None:
        if self.delta is not None and not 0.0 < self.delta < 1.0:
            raise ConfigurationError(f"a delta lies within 0 and 1, not at {self.delta:g}")
        if self.delta_range is not None:
            low, high = self.delta_range
            if not 0.0 <= low < high <= 1.0:
                raise ConfigurationError(f"a range of deltas ascends within 0 and 1, not {low:g} to {high:g}")
            if self.delta is not None and not low <= self.delta <= high:
                raise ConfigurationError(f"delta {self.delta:g} lies outside its range, {low:g} to {high:g}")
        if self.width is not None and not (self.width > 0.0 and math.isfinite(self.width)):
            raise ConfigurationError(f"a width is positive and finite, not {self.width:g}")

    def applied(self, structure: Structure, choices: tuple[StrikeChoice, ...]) -> tuple[StrikeChoice, ...]:
        """Return the choices of the structure's legs with these terms in the place of what they replace.

        Raises
        ------
        ConfigurationError : for terms that are about no leg of the structure.
        """
        main = main_legs(structure)
        changed = list(choices)
        if self.delta is not None or self.delta_range is not None:
            for position in main:
                changed[position] = self._main_choice()
        if self.width is not None:
            others = [
                position
                for position, leg in enumerate(structure.legs)
                if position not in main and isinstance(leg.strike_rule, (*_BY_DELTA, WidthRule))
            ]
            if not others:
                raise ConfigurationError(f"{structure.name} has no leg at a width from another one")
            for position in others:
                changed[position] = self._width_choice(structure, position, main=main)
        return tuple(changed)

    def _main_choice(self) -> TargetDelta:
        if self.delta_range is None:
            return TargetDelta(float(self.delta or 0.0))
        middle = round(0.5 * sum(self.delta_range), 12)
        return TargetDelta(middle if self.delta is None else self.delta, bounds=self.delta_range)

    def _width_choice(self, structure: Structure, position: int, *, main: tuple[int, ...]) -> Width:
        leg, width = structure.legs[position], float(self.width or 0.0)
        if isinstance(leg.strike_rule, WidthRule):
            outward = 1.0 if leg.option_right == "C" else -1.0
            sign = math.copysign(1.0, outward * leg.strike_rule.width)
            return Width(leg.strike_rule.leg, sign * width, self.width_unit)
        from_leg = next(
            (other for other in main if other < position and structure.legs[other].option_right == leg.option_right),
            None,
        )
        if from_leg is None:
            raise ConfigurationError(
                f"{structure.name}, leg {position}: there is no main leg of its right before it to be at a width from"
            )
        return Width(from_leg, width, self.width_unit)


def main_legs(structure: Structure) -> tuple[int, ...]:
    """Return the positions of the legs that a delta is about: the first, and those of its side chosen by delta."""
    first = structure.legs[0]
    return tuple(
        position
        for position, leg in enumerate(structure.legs)
        if leg.side == first.side and isinstance(leg.strike_rule, _BY_DELTA)
    )
