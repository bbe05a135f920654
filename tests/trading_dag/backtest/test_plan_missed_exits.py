"""Exits on last-trade chains: a trade a little below intrinsic value is a quote, what could not be left is counted."""

from __future__ import annotations

import numpy as np
import pytest

from tests.trading_dag.backtest.plan_chains import chain_frame
from trading_dag.backtest.markets.chain_market import chain_market
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import (
    AccountRules,
    ExpirationChoice,
    FillAssumptions,
    TargetDelta,
    TradePlan,
)
from trading_dag.backtest.results.plan_results import PlanResult
from trading_dag.backtest.results.plan_summary import summarize
from trading_dag.backtest.runs.plan_runs import run_plan
from trading_dag.backtest.trades.entries import entries_at
from trading_dag.options.structures.structure import structure_of

FRIDAY = "2024-03-15"
MONDAY = {("P", 95.0): (1.00, 1.10, -0.30)}
ONE_PERCENT = FillAssumptions(half_spread_fraction=0.01, half_spread_minimum_usd=0.01)
# Of the put at 95 from the second session on: what the last trade was, where nobody quoted it.
Last = float | None


def short_put(spots: list[float], lasts: list[Last], rules: ExitRules, *, expires: str = FRIDAY) -> PlanResult:
    """A put sold at 1.00 on Monday with the underlying at 100; later sessions have a last trade or nothing."""
    days = ["2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07", "2024-03-08", "2024-03-11"][: len(spots) + 1]
    # A far put is always quoted, so that every session exists.
    far = {("P", 50.0): (0.01, 0.02, -0.01)}
    quotes = [MONDAY, *({("P", 95.0): (np.nan, np.nan, np.nan)} for _ in spots)]
    frame = chain_frame(
        {day: (spot, {**quote, **far}) for day, spot, quote in zip(days, [100.0, *spots], quotes, strict=True)},
        expiration=expires,
    )
    frame["last"], frame["volume"] = np.nan, 5.0
    for day, last in zip(days[1:], lasts, strict=True):
        frame.loc[(frame["quote_date"] == day) & (frame["strike"] == 95.0), "last"] = np.nan if last is None else last
    market = chain_market(frame, ticker="TEST", fills=ONE_PERCENT)
    put = structure_of("cash_secured_put")
    plan = TradePlan("put", put, (TargetDelta(0.30),), ExpirationChoice(11, 3, 20), rules, AccountRules(1e6, 0.1))
    return run_plan(market, plan, entries=entries_at(market, [0]))


def outcome(result: PlanResult) -> tuple[str, int]:
    trade = result.trades().iloc[0]
    return str(trade["exit_reason"]), int(trade["missed_exits"])


STOP = ExitRules(stop_underlying_fraction=0.05)


# The put is 10.00 in the money; half a spread is 1 % of the last trade.
@pytest.mark.parametrize(
    ("last", "paid"), [(10.00, 10.10), (9.95, 10.05), (9.91, 10.01), (9.9010, 10.01)]
)  # fmt: skip
def test_a_short_put_is_bought_back_at_a_last_trade_up_to_half_a_spread_below_intrinsic_value(last, paid):
    result = short_put([85.0, 85.0], [last, last], STOP)
    assert outcome(result) == ("stop", 0)
    assert result.trades()["exit_prices"].iloc[0] == pytest.approx([paid])
    assert paid >= 10.0
    assert result.trades()["quote_source"].iloc[0] == "last"


@pytest.mark.parametrize("last", [9.89, 5.0, 0.01, 0.0, -3.0, None, np.inf])
def test_a_last_trade_further_below_intrinsic_value_is_no_quote_and_the_missed_exit_is_counted(last):
    result = short_put([85.0, 85.0, 85.0], [last, last, 10.2], STOP)
    assert outcome(result) == ("stop", 2)
    summary = summarize(result)
    assert (summary.delayed_exits, summary.delayed_to_expiration) == (1, 0)


def test_what_no_later_quote_lets_go_is_counted_as_held_to_expiration():
    result = short_put([85.0, 85.0, 85.0, 85.0], [None] * 4, STOP, expires="2024-03-08")
    # Three sessions on which the stop held; on the fourth it settles and needs no quote.
    assert outcome(result) == ("expiration", 3)
    assert (summarize(result).delayed_exits, summarize(result).delayed_to_expiration) == (1, 1)


@pytest.mark.parametrize(
    ("rules", "missed"),
    [
        # Exercise pays 10.00, which the mark cannot be below: a loss of 9 times the premium.
        (ExitRules(stop_premium_multiple=2.0), 1),
        (ExitRules(stop_premium_multiple=12.0), 0),
        (ExitRules(horizon_sessions=1), 1),
        (ExitRules(horizon_sessions=2), 0),
        (ExitRules(days_to_expiration=10), 1),
        (ExitRules(days_to_expiration=9), 0),
    ],
)
def test_each_rule_that_would_have_left_is_counted_and_no_other(rules, missed):
    result = short_put([85.0, 85.0], [None, 10.2], rules)
    assert outcome(result)[1] == missed


def test_a_position_that_was_never_opened_missed_nothing():
    result = short_put([85.0], [None], STOP, expires="2024-12-20")
    assert result.skip_reasons() == {"no_expiration": 1}
    assert summarize(result).delayed_exits == 0
