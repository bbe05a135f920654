"""Each exit rule alone on paths written by hand, and which one wins where several hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.trading_dag.backtest.plan_chains import chain_frame, small_market
from trading_dag.backtest.plans.exit_rules import EXIT_DEFINITIONS, EXIT_WORDS, ExitRules
from trading_dag.backtest.plans.structure_plans import exit_rules
from trading_dag.backtest.plans.trade_plan import ExpirationChoice, TargetDelta, TradePlan, Width
from trading_dag.backtest.runs.plan_runs import run_plan
from trading_dag.backtest.trades.entries import entries_at, entries_from_signals, entries_weekly
from trading_dag.backtest.trades.positions import open_positions
from trading_dag.options.structures.payoff import adverse_moves
from trading_dag.options.structures.structure import structure_of

FRIDAY = "2024-03-15"
# Put spread 95/90 sold for 1.00 − 0.40 = 0.60 on Monday. Closing costs, Tuesday to Friday and Monday the 11th:
# 0.90 − 0.20 = 0.70, 0.50 − 0.15 = 0.35, 0.40 − 0.10 = 0.30, 1.90 − 0.10 = 1.80, 0.10 − 0.05 = 0.05.
PATH = {
    "2024-03-04": (100.0, {("P", 90.0): (0.30, 0.40, -0.10), ("P", 95.0): (1.00, 1.10, -0.30)}),
    "2024-03-05": (99.0, {("P", 90.0): (0.20, 0.30, -0.09), ("P", 95.0): (0.80, 0.90, -0.28)}),
    "2024-03-06": (101.5, {("P", 90.0): (0.15, 0.25, -0.05), ("P", 95.0): (0.45, 0.50, -0.15)}),
    "2024-03-07": (102.5, {("P", 90.0): (0.10, 0.20, -0.04), ("P", 95.0): (0.35, 0.40, -0.12)}),
    "2024-03-08": (97.9, {("P", 90.0): (0.10, 0.30, -0.12), ("P", 95.0): (1.80, 1.90, -0.42)}),
    "2024-03-11": (104.0, {("P", 90.0): (0.05, 0.10, -0.01), ("P", 95.0): (0.05, 0.10, -0.02)}),
    FRIDAY: (104.0, {("P", 90.0): (0.00, 0.01, 0.00), ("P", 95.0): (0.00, 0.01, 0.00)}),
}
COST = {
    "2024-03-05": 0.70,
    "2024-03-06": 0.35,
    "2024-03-07": 0.30,
    "2024-03-08": 1.80,
    "2024-03-11": 0.05,
    FRIDAY: 0.01,
}


def market_of(path=PATH):
    return small_market(chain_frame(path, expiration=FRIDAY))


def spread(exits: ExitRules, name: str = "bull_put_spread") -> TradePlan:
    return TradePlan(
        "spread", structure_of(name), (TargetDelta(0.30), TargetDelta(0.10)), ExpirationChoice(11, 5, 20), exits
    )  # fmt: skip


@pytest.mark.parametrize(
    ("exits", "reason", "session"),
    [
        (ExitRules(), "expiration", FRIDAY),
        (ExitRules(profit_target_fraction=0.40), "profit_target", "2024-03-06"),
        (ExitRules(profit_target_fraction=0.50), "profit_target", "2024-03-07"),
        (ExitRules(profit_target_fraction=0.51), "profit_target", "2024-03-11"),
        (ExitRules(stop_premium_multiple=2.0), "stop", "2024-03-08"),
        (ExitRules(stop_premium_multiple=0.15), "stop", "2024-03-05"),
        (ExitRules(stop_underlying_fraction=0.02), "stop", "2024-03-08"),
        (ExitRules(stop_underlying_fraction=0.01), "stop", "2024-03-05"),
        (ExitRules(stop_underlying_fraction=0.02, adverse_move="up"), "stop", "2024-03-07"),
        (ExitRules(stop_underlying_fraction=0.02, adverse_move="either"), "stop", "2024-03-07"),
        (ExitRules(horizon_sessions=3), "horizon", "2024-03-07"),
        (ExitRules(days_to_expiration=9), "days_to_expiration", "2024-03-06"),
        (ExitRules(days_to_expiration=6), "days_to_expiration", "2024-03-11"),
        (ExitRules(days_to_expiration=0), "days_to_expiration", FRIDAY),
        (ExitRules(roll_days_to_expiration=8), "roll", "2024-03-07"),
        (ExitRules(roll_short_delta=0.40), "roll", "2024-03-08"),
        # the first to trigger wins
        (ExitRules(profit_target_fraction=0.50, stop_premium_multiple=2.0), "profit_target", "2024-03-07"),
        (ExitRules(profit_target_fraction=0.51, stop_premium_multiple=2.0), "stop", "2024-03-08"),
        # on one quote: stop, profit target, horizon, days to expiration, roll, expiration
        (ExitRules(stop_underlying_fraction=0.02, adverse_move="up", profit_target_fraction=0.5), "stop", "2024-03-07"),
        (ExitRules(profit_target_fraction=0.50, horizon_sessions=3), "profit_target", "2024-03-07"),
        (ExitRules(horizon_sessions=3, days_to_expiration=8), "horizon", "2024-03-07"),
        (ExitRules(days_to_expiration=8, roll_days_to_expiration=8), "days_to_expiration", "2024-03-07"),
    ],
)
def test_a_rule_closes_at_the_first_quote_on_which_it_holds(exits, reason, session):
    market = market_of()
    trade = run_plan(market, spread(exits), entries=entries_at(market, [0])).trades().iloc[0]
    assert (trade["exit_reason"], trade["exit_session"]) == (reason, pd.Timestamp(session))
    # Risk 440 and fees 2.60 within 2,000: 4 spreads; 0.60 received. Closing on Friday costs a cent, settling nothing.
    cost = 0.0 if reason == "expiration" else COST[session]
    assert trade["pnl_usd"] == pytest.approx(4 * (100 * (0.60 - cost) - 2.60), abs=1e-9)


def test_a_position_is_left_at_the_quote_after_an_opposite_signal():
    market = market_of()
    entries = entries_from_signals(
        market, pd.to_datetime(["2024-03-01", "2024-03-05", "2024-03-06"]), directions=[1, 0, -1]
    )
    trades = run_plan(market, spread(ExitRules(on_signal_flip=True)), entries=entries).trades()
    assert trades["exit_reason"].iloc[0] == "signal_flip"
    assert trades["exit_session"].iloc[0] == pd.Timestamp("2024-03-07")
    assert entries.flip.tolist() == [3, len(market), len(market)]


def test_all_legs_leave_on_one_quote_date_and_a_rule_waits_for_it():
    path = dict(PATH)
    path["2024-03-07"] = (102.5, {("P", 95.0): (0.35, 0.40, -0.12)})
    market = market_of(path)
    trade = run_plan(market, spread(ExitRules(horizon_sessions=3)), entries=entries_at(market, [0])).trades().iloc[0]
    assert trade["exit_session"] == pd.Timestamp("2024-03-08")
    assert trade["exit_prices"] == pytest.approx([1.90, 0.10])


def test_a_mark_is_carried_over_a_session_without_quotes_of_a_leg():
    path = dict(PATH)
    path["2024-03-06"] = (101.5, {("P", 95.0): (0.45, 0.50, -0.15)})
    market = market_of(path)
    marks = run_plan(market, spread(ExitRules(horizon_sessions=3)), entries=entries_at(market, [0])).history.marks
    # Tuesday's 0.85 − 0.25 stands on Wednesday too.
    assert marks[:4].tolist() == pytest.approx([-4 * 70.0, -4 * 60.0, -4 * 60.0, 0.0])


def test_a_position_that_outlives_the_data_is_reported_as_open_and_its_cash_is_the_entrys():
    path = {day: quotes for day, quotes in PATH.items() if day != FRIDAY}
    market = market_of(path)
    result = run_plan(market, spread(ExitRules()), entries=entries_at(market, [0]))
    trade = result.trades().iloc[0]
    assert (trade["status"], trade["exit_reason"]) == ("open", "")
    assert np.isnan(trade["pnl_usd"])
    assert result.is_open.tolist() == [True]
    assert trade["fees_usd"] == pytest.approx(4 * 2 * 0.65)
    assert result.history.cash[-1] == pytest.approx(100_000 + 240.0 - 5.20)


@pytest.mark.parametrize(
    ("name", "strikes", "sign"),
    [
        ("bull_put_spread", (TargetDelta(0.3), TargetDelta(0.1)), -1),
        ("bear_call_spread", (TargetDelta(0.3), TargetDelta(0.1)), 1),
        ("long_call", (TargetDelta(0.3),), -1),
        ("long_put", (TargetDelta(0.3),), 1),
        ("covered_call", (TargetDelta(0.3),), -1),
        ("cash_secured_put", (TargetDelta(0.3),), -1),
        ("iron_condor", (TargetDelta(0.3), Width(0, 5), TargetDelta(0.3), Width(2, 5)), 0),
        ("short_strangle", (TargetDelta(0.3), TargetDelta(0.3)), 0),
        ("long_strangle", (TargetDelta(0.3), TargetDelta(0.3)), 0),
    ],
)
def test_the_payoff_tells_which_move_hurts(name, strikes, sign):
    quotes = {
        (right, strike): (1.0 + 0.1 * depth, 1.1 + 0.1 * depth, delta)
        for right, grid in (("P", (95.0, 90.0)), ("C", (105.0, 110.0)))
        for depth, (strike, delta) in enumerate(zip(grid, (0.3, 0.1), strict=True))
    }
    market = market_of({"2024-03-04": (100.0, quotes), FRIDAY: (100.0, quotes)})
    plan = TradePlan("one", structure_of(name), strikes, ExpirationChoice(11, 5, 20))
    positions = open_positions(market, plan, entries=entries_at(market, [0]))
    assert adverse_moves(plan.structure, positions.strikes).tolist() == [sign]


def test_weekly_entries_are_the_first_sessions_of_their_weeks():
    days = ["2024-03-28", "2024-04-01", "2024-04-02", "2024-04-09", "2024-04-12", "2024-04-15"]
    market = small_market(chain_frame(dict.fromkeys(days, PATH["2024-03-04"]), expiration="2024-04-26"))
    weekly = market.sessions[entries_weekly(market).entry]
    assert weekly.astype(str).tolist() == ["2024-03-28", "2024-04-01", "2024-04-09", "2024-04-15"]


# A number for each word with which the path above is left before it expires. A new exit gets one too.
LEAVES_WITH = {
    "profit_target": 0.40,
    "stop_underlying": 0.02,
    "stop_premium": 2.0,
    "horizon": 3,
    "days_to_expiration": 9,
    "roll_days": 8,
    "roll_delta": 0.40,
}


@pytest.mark.parametrize("word", EXIT_WORDS)
def test_each_word_leaves_for_the_reason_of_its_definition(word: str) -> None:
    market = market_of()
    plan = spread(exit_rules({word: LEAVES_WITH[word]}))
    trade = run_plan(market, plan, entries=entries_at(market, [0])).trades().iloc[0]
    assert trade["exit_reason"] == EXIT_DEFINITIONS[EXIT_WORDS[word]].reason
    assert trade["exit_session"] < pd.Timestamp(FRIDAY)
