"""When a position is left, as data: each rule is defined here once, and nowhere else.

A rule's word on the command line, its bounds, the reason that a trade left by it carries and its meaning stand
beside its field; ``--help``, the words of ``--exit``, what is refused and docs/exits.md are read from there. On which
quotes a rule holds is computed in ``exits``. Nothing here imports a library, so that the command line may.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal

from trading_dag.errors import ConfigurationError

AdverseMove = Literal["down", "up", "either"]

STOP_EXIT: Final = "stop"
PROFIT_TARGET_EXIT: Final = "profit_target"
HORIZON_EXIT: Final = "horizon"
DAYS_TO_EXPIRATION_EXIT: Final = "days_to_expiration"
SIGNAL_FLIP_EXIT: Final = "signal_flip"
ROLL_EXIT: Final = "roll"
ASSIGNMENT_EXIT: Final = "assignment"
EXPIRATION_EXIT: Final = "expiration"
# Which reason wins where several rules hold on one quote.
EXIT_ORDER: Final = (
    STOP_EXIT,
    PROFIT_TARGET_EXIT,
    HORIZON_EXIT,
    DAYS_TO_EXPIRATION_EXIT,
    SIGNAL_FLIP_EXIT,
    ROLL_EXIT,
    ASSIGNMENT_EXIT,
    EXPIRATION_EXIT,
)
LONGEST_DAYS: Final = 3_660
"""Calendar days that any rule may count: ten years, beyond every listed expiration."""
LONGEST_SESSIONS: Final = 2_600
GREATEST_MULTIPLE: Final = 1_000.0
_DEFINITION: Final = "exit"


@dataclass(frozen=True)
class ExitDefinition:
    """Says what one rule is called, takes and means.

    Attributes
    ----------
    word : on the command line, ``--exit word=number``.
    reason : of ``EXIT_ORDER``, what the trade is said to have been left for.
    meaning : one clause.
    example : a number that it takes.
    least : the least whole number it takes; None where it takes any positive number.
    most : the greatest number it takes.
    """

    word: str
    reason: str
    meaning: str
    example: float
    most: float
    least: int | None = None

    @property
    def is_whole(self) -> bool:
        """Return whether the rule counts days or sessions."""
        return self.least is not None

    @property
    def takes(self) -> str:
        """The numbers it takes, in words."""
        return f"whole, {self.least} to {self.most:,}" if self.is_whole else f"above 0, at most {self.most:,g}"

    def refuse(self, name: str, value: float) -> None:
        """Raise ``ConfigurationError`` for a number that it does not take."""
        if self.least is None:
            if not 0.0 < value <= self.most:
                raise ConfigurationError(f"{name} must be positive and at most {self.most:g}, not {value}")
        elif not self.least <= value <= self.most:
            raise ConfigurationError(f"{name} must be at least {self.least} and at most {self.most}, not {value:g}")


def _rule(definition: ExitDefinition) -> Any:
    """A field of ``ExitRules`` that is off unless given."""
    return field(default=None, metadata={_DEFINITION: definition})


@dataclass(frozen=True)
class ExitRules:
    """Says when a position is left; None switches a rule off.

    Attributes
    ----------
    adverse_move : which way hurts; None takes it from the payoff (either way for a two-sided structure).
    on_signal_flip : at the first quote after the session of an opposite signal.

    The other fields mean what their definitions say; a signal's own target date takes precedence over
    ``horizon_sessions``. ``roll_…`` opens the same plan anew on the quote date on which it leaves.

    Raises
    ------
    ConfigurationError : for a number that a rule does not take.
    """

    profit_target_fraction: float | None = _rule(
        ExitDefinition(
            "profit_target",
            PROFIT_TARGET_EXIT,
            "gain as a share of the maximum profit, of the premium where the maximum is infinite; judged on what "
            "closing would pay, fees not counted",
            example=0.5,
            most=GREATEST_MULTIPLE,
        )
    )
    stop_underlying_fraction: float | None = _rule(
        ExitDefinition(
            "stop_underlying",
            STOP_EXIT,
            "adverse move of the underlying since the entry, as a share of its price then",
            example=0.02,
            most=GREATEST_MULTIPLE,
        )
    )
    stop_premium_multiple: float | None = _rule(
        ExitDefinition(
            "stop_premium",
            STOP_EXIT,
            "loss as a multiple of the premium received or paid, judged as the profit target is",
            example=2,
            most=GREATEST_MULTIPLE,
        )
    )
    adverse_move: AdverseMove | None = None
    horizon_sessions: int | None = _rule(
        ExitDefinition("horizon", HORIZON_EXIT, "sessions after the entry", example=5, most=LONGEST_SESSIONS, least=1)
    )
    days_to_expiration: int | None = _rule(
        ExitDefinition(
            "days_to_expiration",
            DAYS_TO_EXPIRATION_EXIT,
            "calendar days left to the front expiration, or fewer",
            example=7,
            most=LONGEST_DAYS,
            least=0,
        )
    )
    on_signal_flip: bool = False
    roll_days_to_expiration: int | None = _rule(
        ExitDefinition(
            "roll_days",
            ROLL_EXIT,
            "calendar days left at which the position is closed and the same one opened anew on that quote date",
            example=10,
            most=LONGEST_DAYS,
            least=0,
        )
    )
    roll_short_delta: float | None = _rule(
        ExitDefinition(
            "roll_delta",
            ROLL_EXIT,
            "absolute delta of a short leg at which the same is done (up or down, and out)",
            example=0.4,
            most=GREATEST_MULTIPLE,
        )
    )

    def __post_init__(self) -> None:
        for name, definition in EXIT_DEFINITIONS.items():
            value = getattr(self, name)
            if value is not None:
                definition.refuse(name, value)

    @property
    def rolls(self) -> bool:
        """A roll rule is on."""
        return self.roll_days_to_expiration is not None or self.roll_short_delta is not None


EXIT_DEFINITIONS: Final[dict[str, ExitDefinition]] = {
    rule.name: rule.metadata[_DEFINITION] for rule in fields(ExitRules) if _DEFINITION in rule.metadata
}
"""By field of ``ExitRules``."""
EXIT_WORDS: Final[dict[str, str]] = {definition.word: name for name, definition in EXIT_DEFINITIONS.items()}
"""Words of the command line, and the field that each sets."""


def exits_in_words(rules: ExitRules, *, last: str) -> str:
    """Return the rules that are on, with their numbers, and what ends a position at the latest."""
    words = [
        f"{definition.word} {getattr(rules, name):g}"
        for name, definition in EXIT_DEFINITIONS.items()
        if getattr(rules, name) is not None
    ]
    if rules.on_signal_flip:
        words.append(SIGNAL_FLIP_EXIT)
    return ", ".join([*words, last])


def exit_help() -> str:
    """Return every word with an example and its meaning, for ``--help``."""
    rules = "; ".join(f"{rule.word}={rule.example:g} ({rule.meaning})" for rule in EXIT_DEFINITIONS.values())
    return f"When a position is left, the first rule that holds; may be repeated: {rules}."
