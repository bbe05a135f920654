"""What ``backtest --structure`` is asked for, in the user's words, and the plan and settings that they mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trading_dag.errors import ConfigurationError, OptionPricingError

if TYPE_CHECKING:
    from datetime import datetime

    from trading_dag.backtest.plans.strike_terms import StrikeTerms
    from trading_dag.backtest.plans.trade_plan import TradePlan
    from trading_dag.cli.context import CommandContext
    from trading_dag.options.structures.structure import Structure
    from trading_dag.setting_groups import BacktestSettings

WEEKLY: Final = "weekly"
DAILY: Final = "daily"
SIGNALS: Final = "signals"
ENTRY_RULES: Final = (WEEKLY, DAILY, SIGNALS)
# What a plan on a chain reads of the backtest settings; the others would be accepted and change nothing.
PLAN_SETTINGS: Final = (
    "account_usd", "risk_fraction", "maximum_open_positions", "maximum_delta", "maximum_vega_usd",
    "interest_rate", "fee_per_leg_contract_usd",
    "slippage_fraction", "half_spread_fraction", "half_spread_minimum_usd", "price_tick_usd", "minimum_volume",
    "minimum_open_interest", "volume_share", "open_interest_share", "spread_share", "liquid_volume",
    "liquid_open_interest", "long_leg_delta", "short_leg_delta", "wing_delta",
    "multiplier", "random_entry_runs", "seed",
)  # fmt: skip


@dataclass(frozen=True)
class PlanRequest:
    """Holds what the command line asks for, still in the user's words.

    Attributes
    ----------
    structure : name of the structure.
    quotes : file of quotes to trade; None for the stored chains.
    first, last : sessions, inclusive; None for all.
    entries : ``weekly``, ``daily`` or ``signals``.
    entries_sql : a query whose sessions are entered after; empty for none. It takes the place of ``entries``.
    horizon : horizon of the signals; empty where none is asked for.
    days : desired calendar days to expiration.
    strikes : what is asked of strikes beside the structure's own rules.
    exits : ``name=number`` each.
    changes : ``name=value`` each, of the backtest settings.
    by_delta : show the results by days and delta too.
    """

    structure: str
    quotes: Path | None
    first: datetime | None
    last: datetime | None
    entries: str
    entries_sql: str
    horizon: str
    days: int
    strikes: StrikeTerms
    exits: tuple[str, ...]
    changes: tuple[str, ...]
    by_delta: bool = False

    def __post_init__(self) -> None:
        if self.entries not in ENTRY_RULES:
            raise ConfigurationError(f"unknown entry rule {self.entries!r}; choose from {', '.join(ENTRY_RULES)}")
        if self.entries_sql and self.entries != WEEKLY:
            raise ConfigurationError(f"--entries-sql says when to enter, and so does --entries {self.entries}")
        if (self.entries == SIGNALS) != bool(self.horizon):
            raise ConfigurationError(
                "--entries signals and --horizon go together, such as --entries signals --horizon 24h"
            )
        if self.first is not None and self.last is not None and self.first > self.last:
            raise ConfigurationError(f"--from {self.first:%Y-%m-%d} is after --to {self.last:%Y-%m-%d}")

    def plan(self, context: CommandContext, *, book: BacktestSettings) -> TradePlan:
        """Return the plan that the words mean.

        Raises
        ------
        ConfigurationError : for a word that names no structure or exit, or terms that contradict each other.
        """
        from trading_dag.backtest.plans.structure_plans import exit_rules, plan_of

        return plan_of(
            named_structure(context, self.structure), exits=exit_rules(dict(_exit(word) for word in self.exits)),
            days_to_expiration=self.days, settings=book, strikes=self.strikes,
        )  # fmt: skip


def named_structure(context: CommandContext, name: str) -> Structure:
    """Return the structure of that name, built in or the user's own.

    Raises
    ------
    ConfigurationError : for an unknown name; it lists all known ones.
    """
    from trading_dag.options.structures.structure import structure_of
    from trading_dag.options.structures.user_structures import structures_by_name

    try:
        return structure_of(name, menu=structures_by_name(context.settings.structures))
    except OptionPricingError as error:
        raise ConfigurationError(str(error)) from None


def changed_settings(settings: BacktestSettings, changes: tuple[str, ...]) -> BacktestSettings:
    """Return the settings changed by ``name=value`` words; an empty value switches a limit off.

    Raises
    ------
    ConfigurationError : for a word of another form, or a name that is no setting of a plan.
    ValidationError : for a value that a setting does not accept.
    """
    given: dict[str, str | None] = {}
    for word in changes:
        name, separator, value = (part.strip() for part in word.partition("="))
        if not separator:
            raise ConfigurationError(f"--set {word!r} is not of the form name=value, such as slippage_fraction=0.01")
        if name not in PLAN_SETTINGS:
            names = ", ".join(PLAN_SETTINGS)
            raise ConfigurationError(f"--set {name!r} is no setting of a trade plan; choose from {names}")
        given[name] = value or None
    return type(settings).model_validate({**settings.model_dump(), **given})


def _exit(word: str) -> tuple[str, float]:
    name, _, number = word.partition("=")
    try:
        return name.strip(), float(number)
    except ValueError:
        raise ConfigurationError(f"exit {word!r} is not of the form name=number, such as profit_target=0.5") from None
