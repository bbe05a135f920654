"""A structure by name as a trade plan on a chain: its strike rules as choices among quoted strikes, exits from words.

Only the translation belongs here. What a trade plan may say is ``trade_plan``'s, how it is run ``plan_runs``'s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from trading_dag.backtest.plans.exit_rules import EXIT_DEFINITIONS, EXIT_WORDS, ExitRules
from trading_dag.backtest.plans.strike_terms import StrikeTerms
from trading_dag.backtest.plans.trade_plan import (
    AccountRules,
    ExpirationChoice,
    FillAssumptions,
    OwnRule,
    StrikeChoice,
    TargetDelta,
    TradePlan,
    Width,
)
from trading_dag.errors import ConfigurationError
from trading_dag.options.chains.contracts import terms_of
from trading_dag.options.structures.structure import (
    AtTheMoneyRule,
    DeltaRule,
    Leg,
    SameStrikeRule,
    Structure,
    TargetDeltaRule,
    WidthRule,
)
from trading_dag.setting_groups import BacktestSettings

AT_THE_MONEY_DELTA: Final = 0.5
_DAYS_TO_NEXT_EXPIRATION: Final = 14


def exit_rules(words: Mapping[str, float]) -> ExitRules:
    """Return the exits of a mapping such as ``{"profit_target": 0.5, "days_to_expiration": 7}``.

    Raises
    ------
    ConfigurationError : for a word that is none, or a number that a rule does not take.
    """
    rules: dict[str, float | int] = {}
    for word, value in words.items():
        if word not in EXIT_WORDS:
            raise ConfigurationError(f"unknown exit {word!r}; choose from {', '.join(EXIT_WORDS)}")
        if not math.isfinite(value):
            raise ConfigurationError(f"exit {word} takes a finite number, not {value}")
        name = EXIT_WORDS[word]
        is_whole = EXIT_DEFINITIONS[name].is_whole
        if is_whole and value != int(value):
            raise ConfigurationError(f"exit {word} takes a whole number, not {value:g}")
        rules[name] = int(value) if is_whole else value
    return ExitRules(**rules)  # type: ignore[arg-type]


def plan_of(
    structure: Structure,
    *,
    exits: ExitRules,
    days_to_expiration: int,
    settings: BacktestSettings,
    strikes: StrikeTerms | None = None,
) -> TradePlan:
    """Return the structure as a plan with the account, deltas and fees of the settings.

    Parameters
    ----------
    days_to_expiration : calendar days aimed at; half to twice as many are accepted.
    strikes : what is asked of them beside the structure's own rules; None for nothing.

    Raises
    ------
    ConfigurationError : for a strike rule that no choice among quoted strikes can express.
    """
    choices = strike_choices(structure, settings=settings)
    return TradePlan(
        name=structure.name,
        structure=structure,
        strikes=choices if strikes is None else strikes.applied(structure, choices),
        expiration=expiration_near(days_to_expiration),
        exits=exits,
        account=account_of(settings),
    )


def strike_choices(structure: Structure, *, settings: BacktestSettings) -> tuple[StrikeChoice, ...]:
    """Return the strike rules of a structure's legs as choices among quoted strikes.

    Raises
    ------
    ConfigurationError : for a strike rule that no choice among quoted strikes can express.
    """
    return tuple(_choice(structure, position, leg, settings=settings) for position, leg in enumerate(structure.legs))


def expiration_near(days: int) -> ExpirationChoice:
    """Return the choice of an expiration so many calendar days ahead; half to twice as many are accepted."""
    return ExpirationChoice(days, max(days // 2, 1), max(2 * days, days + 7))


def account_of(settings: BacktestSettings) -> AccountRules:
    """Return the size, fees and limits of the settings."""
    return AccountRules(
        account_usd=settings.account_usd,
        risk_fraction=settings.risk_fraction,
        fee_per_leg_contract_usd=settings.fee_per_leg_contract_usd,
        multiplier=settings.multiplier,
        maximum_open_positions=settings.maximum_open_positions,
        interest_rate=settings.interest_rate,
        maximum_delta=settings.maximum_delta,
        maximum_vega_usd=settings.maximum_vega_usd,
    )


def plan_on_grid(structure: Structure, *, exits: ExitRules, settings: BacktestSettings) -> TradePlan:
    """Return the structure as a plan on a modelled market: strikes by the rules of its legs on the strike grid.

    It expires at the first weekly expiration at least ``days_to_expiration`` days after the entry. Its cash earns
    nothing.
    """
    days = settings.days_to_expiration
    return TradePlan(
        name=structure.name,
        structure=structure,
        strikes=(OwnRule(),) * len(structure.legs),
        expiration=ExpirationChoice(days, days, days + _DAYS_TO_NEXT_EXPIRATION),
        exits=exits,
        account=replace(account_of(settings), interest_rate=0.0),
    )


def exits_of(settings: BacktestSettings) -> ExitRules:
    """Return the exits that the settings name; without any, a position is left at the horizon of its signal.

    Raises
    ------
    ConfigurationError : for a word that is none, or a number that a rule does not take.
    """
    return replace(exit_rules(settings.exits), on_signal_flip=settings.exit_on_signal_flip)


def settings_for_listed_contract(ticker: str, settings: BacktestSettings) -> BacktestSettings:
    """The settings with the multiplier that was set, otherwise that of the contracts a chain of that ticker quotes.

    Mini contracts (10 shares) are not told apart in a chain: who has a chain of them sets ``multiplier``.
    """
    if settings.multiplier != BacktestSettings.model_fields["multiplier"].default:
        return settings
    return settings.model_copy(update={"multiplier": terms_of(ticker).multiplier})


def fills_of(settings: BacktestSettings) -> FillAssumptions:
    """Return the spread around last trades, slippage, tick and limits of the settings."""
    return FillAssumptions(
        half_spread_fraction=settings.half_spread_fraction,
        half_spread_minimum_usd=settings.half_spread_minimum_usd,
        slippage_fraction=settings.slippage_fraction,
        price_tick_usd=settings.price_tick_usd,
        minimum_volume=settings.minimum_volume,
        minimum_open_interest=settings.minimum_open_interest,
        volume_share=settings.volume_share,
        open_interest_share=settings.open_interest_share,
        spread_share=settings.spread_share,
        liquid_volume=settings.liquid_volume,
        liquid_open_interest=settings.liquid_open_interest,
    )


def _choice(structure: Structure, position: int, leg: Leg, *, settings: BacktestSettings) -> StrikeChoice:
    rule = leg.strike_rule
    if isinstance(rule, DeltaRule):
        deltas = {
            "long_leg": settings.long_leg_delta,
            "short_leg": settings.short_leg_delta,
            "wing": settings.wing_delta,
        }
        return TargetDelta(deltas[rule.role])
    if isinstance(rule, TargetDeltaRule):
        return TargetDelta(rule.absolute_delta)
    if isinstance(rule, AtTheMoneyRule):
        return TargetDelta(AT_THE_MONEY_DELTA)
    if isinstance(rule, SameStrikeRule):
        return Width(rule.leg, 0.0)
    if isinstance(rule, WidthRule):
        outward = 1.0 if leg.option_right == "C" else -1.0
        return Width(rule.leg, outward * rule.width, rule.unit)
    raise ConfigurationError(
        f"structure {structure.name!r}, leg {position}: {rule} counts steps of a strike grid, and a chain has none"
    )
