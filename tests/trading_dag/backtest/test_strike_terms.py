"""A delta, a range of deltas and a width, whatever the structure."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trading_dag.backtest.plan_chains import chain_frame, small_market
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.strike_terms import StrikeTerms
from trading_dag.backtest.plans.structure_plans import plan_of
from trading_dag.backtest.plans.trade_plan import TargetDelta, TradePlan, Width
from trading_dag.backtest.trades.entries import entries_every_session
from trading_dag.backtest.trades.positions import open_positions
from trading_dag.errors import ConfigurationError
from trading_dag.options.structures.structure import structure_of
from trading_dag.setting_groups import BacktestSettings


def plan(name: str, **terms: Any) -> TradePlan:
    return plan_of(
        structure_of(name), exits=ExitRules(), days_to_expiration=14, settings=BacktestSettings(),
        strikes=StrikeTerms(**terms),
    )  # fmt: skip


def test_a_delta_is_that_of_the_sold_legs_of_a_condor_and_a_width_puts_the_bought_ones_further_out() -> None:
    found = plan("iron_condor", delta=0.2, width=5)
    assert found.strikes == (TargetDelta(0.2), Width(0, 5.0), TargetDelta(0.2), Width(2, 5.0))


def test_of_a_debit_spread_the_bought_leg_is_the_main_one() -> None:
    assert plan("bull_call_spread", delta=0.5, width=10).strikes == (TargetDelta(0.5), Width(0, 10.0))
    assert plan("bear_put_spread", delta=0.5).strikes == (TargetDelta(0.5), TargetDelta(0.3))


def test_a_butterfly_keeps_the_side_of_each_wing() -> None:
    assert plan("call_butterfly", width=5).strikes == (TargetDelta(0.5), Width(0, -5.0), Width(0, 5.0))
    of_spot = plan("iron_butterfly", width=0.02, width_unit="spot_fraction").strikes
    assert of_spot == (
        TargetDelta(0.5), Width(0, 0.02, "spot_fraction"), Width(0, 0.0), Width(0, 0.02, "spot_fraction"),
    )  # fmt: skip


def test_the_middle_of_a_range_is_aimed_at_unless_a_delta_is_given() -> None:
    assert plan("long_put", delta_range=(0.2, 0.4)).strikes == (TargetDelta(0.3, bounds=(0.2, 0.4)),)
    both = plan("short_strangle", delta=0.25, delta_range=(0.2, 0.4)).strikes
    assert both == (TargetDelta(0.25, bounds=(0.2, 0.4)),) * 2


@pytest.mark.parametrize(
    "terms",
    [
        {"delta": 0.0}, {"delta": 1.0}, {"delta": float("nan")}, {"delta_range": (0.4, 0.2)},
        {"delta_range": (0.2, 1.2)}, {"delta": 0.5, "delta_range": (0.2, 0.4)}, {"width": 0.0},
        {"width": float("inf")}, {"width": -5.0},
    ],
)  # fmt: skip
def test_terms_that_cannot_be_are_refused(terms: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        StrikeTerms(**terms)


def test_a_width_of_a_structure_without_a_second_leg_is_refused() -> None:
    for name in ("long_call", "short_strangle", "calendar"):
        with pytest.raises(ConfigurationError, match=name):
            plan(name, width=5)


def test_an_entry_without_a_strike_in_the_range_is_skipped_with_that_reason() -> None:
    def day(delta: float) -> Any:
        return (100.0, {("P", 95.0): (1.0, 1.1, -delta), ("P", 90.0): (0.4, 0.5, -0.05)})

    sessions = {"2024-01-02": day(0.30), "2024-01-03": day(0.36), "2024-01-04": day(0.35)}
    market = small_market(chain_frame(sessions, expiration="2024-01-19"))
    asked = plan("long_put", delta=0.3, delta_range=(0.25, 0.35))
    opened = open_positions(market, asked, entries=entries_every_session(market))
    # The expiration lies beyond the data, so even what has a strike could not be settled; the second has none.
    assert opened.skip_reason[1] == "outside_delta_range"
    assert "outside_delta_range" not in {opened.skip_reason[0], opened.skip_reason[2]}
    assert opened.strikes[[0, 2], 0].tolist() == [95.0, 95.0]
