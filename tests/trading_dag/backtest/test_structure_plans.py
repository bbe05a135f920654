"""Structures and words become plans that say the same."""

from __future__ import annotations

import pytest

from trading_dag.backtest.plans.exit_rules import EXIT_WORDS, ExitRules
from trading_dag.backtest.plans.structure_plans import (
    exit_rules,
    fills_of,
    plan_of,
    settings_for_listed_contract,
)
from trading_dag.backtest.plans.trade_plan import TargetDelta, TradePlan, Width
from trading_dag.errors import ConfigurationError
from trading_dag.options.structures.structure import (
    BackExpiryRule,
    Leg,
    OffsetRule,
    Structure,
    TargetDeltaRule,
    structure_of,
)
from trading_dag.setting_groups import BacktestSettings

SETTINGS = BacktestSettings(account_usd=50_000, wing_delta=0.1)


def plan(name: str) -> TradePlan:
    return plan_of(structure_of(name), exits=ExitRules(), days_to_expiration=30, settings=SETTINGS)


def test_roles_become_the_deltas_of_the_settings() -> None:
    assert plan("iron_condor").strikes == (TargetDelta(0.3), TargetDelta(0.1), TargetDelta(0.3), TargetDelta(0.1))
    assert plan("long_call").strikes == (TargetDelta(0.45),)


def test_a_butterfly_has_its_body_at_the_money_and_wings_in_shares_of_the_price() -> None:
    body, wing = TargetDelta(0.5), Width(0, 0.03, "spot_fraction")
    assert plan("iron_butterfly").strikes == (body, wing, Width(0, 0.0), wing)
    assert plan("call_butterfly").strikes == (body, Width(0, -0.03, "spot_fraction"), wing)


def test_the_far_leg_of_a_calendar_has_the_strike_of_the_near_one() -> None:
    found = plan("calendar")
    assert found.strikes == (TargetDelta(0.5), Width(0, 0.0))
    assert [leg.expiry_rule for leg in found.structure.legs] == ["weekly", BackExpiryRule(28)]


def test_steps_of_a_grid_cannot_be_found_on_a_chain_and_that_is_said() -> None:
    stepped = Structure("stepped", (Leg("C", "buy", TargetDeltaRule(0.5)), Leg("C", "sell", OffsetRule(0, 2))))
    with pytest.raises(ConfigurationError, match=r"stepped.*leg 1"):
        plan_of(stepped, exits=ExitRules(), days_to_expiration=30, settings=SETTINGS)


def test_a_multiplier_that_is_set_is_used_and_otherwise_that_of_the_listed_contract() -> None:
    # Mini contracts of SPY (2013) had 10 shares; the cash indices' own setting is for modelled quotes.
    assert settings_for_listed_contract("SPY", BacktestSettings(multiplier=10)).multiplier == 10
    assert settings_for_listed_contract("SPX", BacktestSettings(index_multiplier=10)).multiplier == 100


def test_the_account_is_that_of_the_settings() -> None:
    found = plan("bull_put_spread")
    assert found.account.account_usd == 50_000
    assert found.account.fee_per_leg_contract_usd == SETTINGS.fee_per_leg_contract_usd
    assert (found.expiration.minimum_days, found.expiration.maximum_days) == (15, 60)
    assert fills_of(SETTINGS).half_spread_fraction == SETTINGS.half_spread_fraction


def test_exits_in_words_are_the_rules() -> None:
    assert exit_rules({"profit_target": 0.5, "stop_premium": 2.0, "days_to_expiration": 7}) == ExitRules(
        profit_target_fraction=0.5, stop_premium_multiple=2.0, days_to_expiration=7
    )
    assert exit_rules({}) == ExitRules()
    for word in EXIT_WORDS:
        assert exit_rules({word: 1.0}) != ExitRules()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"profits": 0.5}, "unknown exit 'profits'"),
        ({"days_to_expiration": 7.5}, "whole number"),
        ({"profit_target": -0.5}, "positive"),
        ({"days_to_expiration": float("inf")}, "finite"),
        ({"horizon": float("nan")}, "finite"),
    ],
)
def test_a_wrong_exit_is_a_typed_error(words: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        exit_rules(words)
