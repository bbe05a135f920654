"""A user's own structures, read from settings.

What a structure looks like in JSON, and the way from there to ``structures.Structure``. What structures mean
and which are built in is not here.

A structure in ten lines, in a ``.json`` file that ``TRADING_DAG_STRUCTURES`` names, or as its value::

    [{"name": "jade_lizard", "legs": [
        {"option_right": "P", "side": "sell", "delta": "short_leg"},
        {"option_right": "C", "side": "sell", "delta": 0.25, "apart_from": 0},
        {"option_right": "C", "side": "buy", "width_usd": 5, "from_leg": 1}
    ]}]
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trading_dag.errors import StructureError
from trading_dag.options.structures.structure import (
    STRUCTURES,
    AtTheMoneyRule,
    BackExpiryRule,
    DeltaRole,
    DeltaRule,
    Leg,
    OffsetRule,
    OptionRight,
    SameStrikeRule,
    Side,
    StrikeRule,
    Structure,
    TargetDeltaRule,
    WidthRule,
)

# Far beyond what is listed or traded; they keep every count within an integer.
_MOST_LOTS: Final = 1_000
_LONGEST_DAYS: Final = 3_660
_MOST_STEPS: Final = 100_000
_WIDEST_USD: Final = 1e6
_WIDEST_SPOT_FRACTION: Final = 100.0


class LegSettings(BaseModel):
    """Describes one leg: right, side, ratio, exactly one strike rule, and where needed ``apart_from`` and a back
    expiry.

    ``steps``, ``width_usd`` and ``width_spot_fraction`` count from ``from_leg``, negative means below.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    option_right: OptionRight
    side: Side
    ratio: int = Field(1, le=_MOST_LOTS)
    delta: float | DeltaRole | None = Field(None, description="absolute delta, or long_leg, short_leg, wing")
    at_the_money: Literal[True] | None = None
    same_strike_as: int | None = Field(None, description="earlier leg, counted from 0")
    steps: int | None = Field(None, ge=-_MOST_STEPS, le=_MOST_STEPS, description="steps of the strike grid")
    width_usd: float | None = Field(None, ge=-_WIDEST_USD, le=_WIDEST_USD)
    width_spot_fraction: float | None = Field(None, ge=-_WIDEST_SPOT_FRACTION, le=_WIDEST_SPOT_FRACTION)
    from_leg: int | None = Field(None, description="earlier leg that steps and widths count from")
    apart_from: int | None = Field(None, description="earlier leg whose strike must stay nearer to the money")
    days_after_front: int | None = Field(
        None, le=_LONGEST_DAYS, description="calendar days from the front to a back expiration"
    )

    def leg(self) -> Leg:
        """Return the leg it describes.

        Raises
        ------
        StructureError : for none or several strike rules, or a rule without the leg that it counts from.
        """
        return Leg(
            option_right=self.option_right,
            side=self.side,
            strike_rule=self._strike_rule(),
            ratio=self.ratio,
            apart_from=self.apart_from,
            expiry_rule="weekly" if self.days_after_front is None else BackExpiryRule(self.days_after_front),
        )

    def _strike_rule(self) -> StrikeRule:
        names = ("delta", "at_the_money", "same_strike_as", "steps", "width_usd", "width_spot_fraction")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            raise StructureError(f"needs exactly one strike rule of {', '.join(names)}; given: {given or 'none'}")
        counts_from = given[0] in {"steps", "width_usd", "width_spot_fraction"}
        if counts_from != (self.from_leg is not None):
            raise StructureError(f"rule {given[0]} {'needs from_leg' if counts_from else 'takes no from_leg'}")
        return self._relative_rule(self.from_leg) if self.from_leg is not None else self._own_rule()

    def _own_rule(self) -> StrikeRule:
        if self.same_strike_as is not None:
            return SameStrikeRule(self.same_strike_as)
        if isinstance(self.delta, float):
            return TargetDeltaRule(self.delta)
        return AtTheMoneyRule() if self.delta is None else DeltaRule(self.delta)

    def _relative_rule(self, leg: int) -> StrikeRule:
        if self.steps is not None:
            return OffsetRule(leg, self.steps)
        if self.width_usd is not None:
            return WidthRule(leg, self.width_usd, "usd")
        return WidthRule(leg, self.width_spot_fraction or 0.0, "spot_fraction")


class StructureSettings(BaseModel):
    """Describes a structure of the user: a name, its legs in order, and lots of shares where it holds them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    legs: tuple[LegSettings, ...]
    underlying_ratio: int = Field(
        0, ge=-_MOST_LOTS, le=_MOST_LOTS, description="lots of shares a structure, one lot is one contract's multiplier"
    )
    is_cash_secured: bool = False

    def structure(self) -> Structure:
        """Return the structure it describes.

        Raises
        ------
        StructureError : for legs or rules that cannot be; names the structure, the leg and the rule.
        """
        legs = []
        for position, leg in enumerate(self.legs):
            try:
                legs.append(leg.leg())
            except StructureError as error:
                raise StructureError(f"structure {self.name!r}, leg {position}: {error}") from None
        return Structure(
            self.name, tuple(legs), underlying_ratio=self.underlying_ratio, is_cash_secured=self.is_cash_secured
        )


def parse_structures(value: object) -> tuple[StructureSettings, ...]:
    """Return the structures from JSON text or from what it decodes to; each of them is possible.

    Raises
    ------
    StructureError : for text that is no JSON list, for a field that is wrong, for legs or rules that cannot
        be, and for a name that is built in or given twice. Names the structure, the leg and the rule.
    """
    decoded = _decoded(value) if isinstance(value, str) else value
    if not isinstance(decoded, list | tuple):
        raise StructureError("structures: a JSON list of structures is needed")
    parsed = tuple(_parse_one(item, position) for position, item in enumerate(decoded))
    structures_by_name(parsed)
    return parsed


def structures_by_name(structures: Iterable[StructureSettings]) -> Mapping[str, Structure]:
    """Return the built-in structures and these, by name.

    Raises
    ------
    StructureError : for a name that is built in or given twice, and for legs or rules that cannot be.
    """
    menu = dict(STRUCTURES)
    for given in structures:
        if given.name in menu:
            raise StructureError(f"structure {given.name!r} is built in or given twice; choose another name")
        menu[given.name] = given.structure()
    return menu


def _decoded(text: str) -> object:
    if not text.strip():
        return []
    try:
        decoded: object = json.loads(text)
    except json.JSONDecodeError as error:
        raise StructureError(f"structures: no JSON ({error})") from None
    return decoded


def _parse_one(item: object, position: int) -> StructureSettings:
    if isinstance(item, StructureSettings):
        return item
    try:
        return StructureSettings.model_validate(item)
    except ValidationError as error:
        name = item.get("name", position) if isinstance(item, Mapping) else position
        raise StructureError(f"structure {name!r}{_problems(error)}") from None


def _problems(error: ValidationError) -> str:
    """``, leg 1: option_right 'X': Input should be 'C' or 'P'`` for each thing that pydantic found."""
    sentences = []
    for problem in error.errors():
        place = list(problem["loc"])
        leg = f", leg {place[1]}" if len(place) > 1 and place[0] == "legs" else ""
        field = str(place[2] if leg and len(place) > 2 else place[0]) if place else ""
        given = "" if problem["type"] == "missing" else f" {problem['input']!r}"
        sentences.append(f"{leg}: {field}{given}: {problem['msg']}")
    return "".join(sentences)
