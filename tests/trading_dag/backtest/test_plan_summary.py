"""Figures of a small plan against a calculation by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tests.trading_dag.backtest.plan_chains import chain_frame, small_market
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import AccountRules, ExpirationChoice, TargetDelta, TradePlan
from trading_dag.backtest.results.plan_summary import comparison, summarize
from trading_dag.backtest.runs.plan_runs import run_plan, run_plans
from trading_dag.backtest.trades.entries import entries_at
from trading_dag.options.structures.structure import structure_of

# A put bought at 2.00, 3.00, 1.00, 2.00 and sold the session after at 2.80, 0.80, 1.80.
QUOTES = [(1.8, 2.0), (2.8, 3.0), (0.8, 1.0), (1.8, 2.0)]
DAYS = ["2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07"]


def results(names=("one",)):
    chain = {day: (100.0, {("P", 100.0): (*quote, -0.5)}) for day, quote in zip(DAYS, QUOTES, strict=True)}
    market = small_market(chain_frame(chain, expiration="2024-03-15"))
    put, expiration = structure_of("long_put"), ExpirationChoice(9, 5, 20)
    plans = [
        TradePlan(name, put, (TargetDelta(0.5),), expiration, ExitRules(horizon_sessions=held))
        for held, name in enumerate(names, start=1)
    ]
    return run_plans(market, plans, entries=entries_at(market, [0, 1, 2, 3]))


def test_the_summary_is_that_of_a_calculation_by_hand():
    summary = summarize(results()[0])
    # 2,000/201.30 = 9 puts earn 80 − 1.30 each; 2,000/301.30 = 6 lose 220 + 1.30; 2,000/101.30 = 19 earn 78.70.
    gains, losses = 9 * 78.70 + 19 * 78.70, 6 * 221.30
    assert (summary.closed, summary.open_at_end, summary.skipped) == (3, 1, 0)
    assert summary.win_rate == pytest.approx(2 / 3)
    assert summary.profit_factor == pytest.approx(gains / losses)
    assert summary.total_usd == pytest.approx(gains - losses)
    assert summary.fees_usd == pytest.approx((9 + 6 + 19) * 1.30 + 9 * 0.65)
    assert summary.exposure == 1.0
    assert summary.profit_by_exit_reason == {"horizon": (3, pytest.approx(gains - losses))}
    assert summary.skip_reasons == {}
    # Equity at the closes: each entry pays its half spread and fee at once.
    first = 100_000 - 9 * (10 + 0.65)
    second = 100_000 + 9 * 78.70 - 6 * (10 + 0.65)
    third = 100_000 + 9 * 78.70 - 6 * 221.30 - 19 * (10 + 0.65)
    equity = results()[0].history.equity
    assert equity[:3].tolist() == pytest.approx([first, second, third])
    assert summary.statistics.max_drawdown == pytest.approx(1 - third / second)


def test_without_trades_nothing_is_judged():
    chain = chain_frame({day: (100.0, {("P", 100.0): (1.0, 1.1, -0.5)}) for day in DAYS}, expiration="2024-12-20")
    market = small_market(chain)
    plan = TradePlan("none", structure_of("long_put"), (TargetDelta(0.5),))
    summary = summarize(run_plan(market, plan, entries=entries_at(market, [0])))
    assert (summary.closed, summary.skipped, summary.skip_reasons) == (0, 1, {"no_expiration": 1})
    assert math.isnan(summary.win_rate)
    assert math.isnan(summary.profit_factor)
    assert math.isnan(summary.statistics.sharpe)


def test_plans_are_compared_best_first_and_deflated_by_how_many_were_tried():
    tried = results(("one session", "two sessions", "three sessions"))
    frame = comparison(tried)
    assert set(frame["plan"]) == {"one session", "two sessions", "three sessions"}
    assert frame["total_pnl_usd"].is_monotonic_decreasing
    worst_first = comparison(sorted(tried, key=lambda each: summarize(each).total_usd))
    assert worst_first["plan"].to_dict() == dict(enumerate(frame["plan"]))
    alone = {each.plan.name: summarize(each).deflated_sharpe for each in tried}
    deflated = frame.set_index("plan")["deflated_sharpe"]
    pd.testing.assert_index_equal(deflated.index.sort_values(), pd.Index(sorted(alone), name="plan"))
    assert all(deflated[name] < value for name, value in alone.items())


def test_interest_on_idle_cash_is_no_skill() -> None:
    # Over a weekend cash earns three times as much, so that without the rate its returns would have a ratio.
    days = ["2024-03-07", "2024-03-08", "2024-03-11", "2024-03-12"]
    chain = chain_frame({day: (100.0, {("P", 100.0): (1.0, 1.1, -0.5)}) for day in days}, expiration="2024-12-20")
    market = small_market(chain)
    plan = TradePlan(
        "none", structure_of("long_put"), (TargetDelta(0.5),), account=AccountRules(interest_rate=0.05)
    )  # fmt: skip
    summary = summarize(run_plan(market, plan, entries=entries_at(market, [0])))
    # Five nights of interest, and not a trade.
    assert summary.statistics.cagr == pytest.approx(np.exp(0.05 * 365.25 / 365) - 1)
    for ratio in (summary.statistics.sharpe, summary.statistics.sortino, summary.deflated_sharpe):
        assert math.isnan(ratio)


def test_the_sharpe_ratio_is_over_what_idle_cash_earns() -> None:
    chain = {day: (100.0, {("P", 100.0): (*quote, -0.5)}) for day, quote in zip(DAYS, QUOTES, strict=True)}
    market = small_market(chain_frame(chain, expiration="2024-03-15"))
    plan = TradePlan(
        "one", structure_of("long_put"), (TargetDelta(0.5),), ExpirationChoice(9, 5, 20),
        ExitRules(horizon_sessions=1), AccountRules(interest_rate=0.2),
    )  # fmt: skip
    result = run_plan(market, plan, entries=entries_at(market, [0, 1, 2, 3]))
    # From the starting cash on: three nights at the rate, and the first session's own return before any of them.
    equity = np.append(100_000.0, result.history.equity)
    excess = equity[1:] / equity[:-1] - 1 - math.expm1(0.2 / 365) * np.array([0, 1, 1, 1])
    expected = np.mean(excess) / np.std(excess, ddof=1) * math.sqrt(252)
    assert summarize(result).statistics.sharpe == pytest.approx(expected)
