"""Which candidates are valued: each structure with its strikes nearer, further and wider, at several expirations.

A candidate is a structure whose strike rules have been moved; its strikes are then chosen as any structure's are, on
the grid of listed strikes. Nothing here knows a price.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from trading_dag.options.structures.structure import (
    AtTheMoneyRule,
    DeltaRule,
    Leg,
    Structure,
    TargetDeltaRule,
    WidthRule,
)
from trading_dag.setting_groups import BacktestSettings

_AT_THE_MONEY_DELTA: Final = 0.5
_DELTA_BOUNDS: Final = (0.03, 0.97)
_DECIMALS: Final = 4


@dataclass(frozen=True)
class GridSize:
    """Says how far a grid reaches.

    Attributes
    ----------
    one_way : shifts in delta of the nearest strikes, where a structure has nothing else to vary.
    near : the same, where it has.
    far : factors on the distance of the other strikes: on the delta of bought wings, on widths, and on the delta of
        sold legs beyond bought ones.
    expirations : factors on ``days_to_expiration`` of the settings.
    """

    one_way: tuple[float, ...]
    near: tuple[float, ...]
    far: tuple[float, ...]
    expirations: tuple[float, ...]


# 50 of each structure: 10 choices of strikes at 5 expirations.
WHOLE_GRID: Final = GridSize(
    one_way=(-0.25, -0.20, -0.15, -0.10, -0.05, 0.0, 0.05, 0.10, 0.15, 0.20),
    near=(-0.10, -0.05, 0.0, 0.05, 0.10),
    far=(0.65, 1.0),
    expirations=(0.65, 1.0, 1.35, 1.65, 2.0),
)
# 6 of each structure, for every earlier session: what the wider grid adds there costs more than it tells.
HISTORY_GRID: Final = GridSize(
    one_way=(-0.10, 0.0, 0.10), near=(-0.10, 0.0, 0.10), far=(1.0,), expirations=(0.65, 1.35)
)


@dataclass(frozen=True)
class Candidate:
    """Describes one structure with its strike rules moved.

    Attributes
    ----------
    structure : under the name of the one it comes from.
    expiration : place among the expirations of the grid.
    """

    structure: Structure
    expiration: int


def candidates_of(menu: Mapping[str, Structure], size: GridSize, settings: BacktestSettings) -> tuple[Candidate, ...]:
    """Return every candidate of a grid, by structure; of equal ones the first."""
    return tuple(
        Candidate(variant, expiration)
        for structure in menu.values()
        for expiration in range(len(size.expirations))
        for variant in _variants(structure, size, settings)
    )


def days_of(size: GridSize, settings: BacktestSettings) -> tuple[int, ...]:
    """Return the least calendar days to each expiration of the grid, at least 8."""
    return tuple(max(round(factor * settings.days_to_expiration), 8) for factor in size.expirations)


def _variants(structure: Structure, size: GridSize, settings: BacktestSettings) -> Iterable[Structure]:
    has_far = any(_is_far(leg, structure) for leg in structure.legs)
    choices = [(shift, factor) for shift in size.near for factor in size.far] if has_far else []
    choices = choices or [(shift, 1.0) for shift in size.one_way]
    made: dict[tuple[Leg, ...], Structure] = {}
    for shift, factor in choices:
        legs = tuple(_moved(leg, structure, shift=shift, factor=factor, settings=settings) for leg in structure.legs)
        made.setdefault(legs, replace(structure, legs=legs))
    return made.values()


def _is_far(leg: Leg, structure: Structure) -> bool:
    """Whether the leg stands at a distance from another one that is varied; otherwise its own place is."""
    if isinstance(leg.strike_rule, WidthRule):
        return True
    of_same_right = leg.apart_from is not None and structure.legs[leg.apart_from].option_right == leg.option_right
    return isinstance(leg.strike_rule, DeltaRule | TargetDeltaRule) and of_same_right


def _moved(leg: Leg, structure: Structure, *, shift: float, factor: float, settings: BacktestSettings) -> Leg:
    rule = leg.strike_rule
    if isinstance(rule, WidthRule):
        return replace(leg, strike_rule=replace(rule, width=rule.width / factor))
    if isinstance(rule, AtTheMoneyRule):
        if shift == 0.0:
            return leg
        # A put's delta falls where a call's rises, so that both ways of writing the centre move it alike.
        signed = shift if leg.option_right == "C" else -shift
        return replace(leg, strike_rule=TargetDeltaRule(_bounded(_AT_THE_MONEY_DELTA + signed)))
    if not isinstance(rule, DeltaRule | TargetDeltaRule):
        return leg
    delta = getattr(settings, f"{rule.role}_delta") if isinstance(rule, DeltaRule) else rule.absolute_delta
    moved = delta * factor if _is_far(leg, structure) else delta + shift
    return replace(leg, strike_rule=TargetDeltaRule(_bounded(moved)))


def _bounded(delta: float) -> float:
    return round(min(max(delta, _DELTA_BOUNDS[0]), _DELTA_BOUNDS[1]), _DECIMALS)
