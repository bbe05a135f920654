"""Figures of a small plan against a calculation by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

from tests.trading_dag.backtest.plan_chains import chain_frame, put_price, small_market
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


def test_margin_is_the_most_that_was_held_over_one_close_and_portfolio_margin_that_of_the_same_trades():
    result = results()[0]
    trades, summary = result.trades(), summarize(result)
    # One put at a time: 9 at 2.00, 6 at 3.00, 19 at 1.00, 9 at 2.00 again, each let go before the next is bought.
    held = [9 * 200.0, 6 * 300.0, 19 * 100.0, 9 * 200.0]
    assert trades["margin_usd"].tolist() == pytest.approx(held)
    assert summary.greatest_margin_usd == pytest.approx(max(held))
    # The worst is 15 % up, where a put that was worth its mark of 1.90, 2.90, 0.90 or 1.90 is next to nothing.
    marks = zip((9, 6, 19, 9), (1.90, 2.90, 0.90, 1.90), (11, 10, 9, 8), strict=True)
    lost = [100 * size * (mark - put_up_15_percent(mark, days=days)) for size, mark, days in marks]
    assert trades["portfolio_margin_usd"].tolist() == pytest.approx(lost, abs=0.01)
    assert summary.greatest_portfolio_margin_usd == pytest.approx(max(lost), abs=0.01)


def put_up_15_percent(mark: float, *, days: int) -> float:
    def put(spot: float, volatility: float) -> float:
        return float(put_price(np.array(spot), np.array(100.0), years=np.array(days / 365), volatility=volatility))

    return put(115.0, brentq(lambda volatility: put(100.0, volatility) - mark, 0.01, 3.0))


def test_margins_of_trades_that_are_held_together_add_up_and_one_that_is_unknown_leaves_no_sum():
    together = results(("one", "two"))[1]
    assert summarize(together).greatest_margin_usd == pytest.approx(6 * 300.0 + 19 * 100.0)
    assert together.greatest_held_usd(np.array([1.0, 2.0, 4.0, 8.0])) == 12.0
    assert np.isnan(together.greatest_held_usd(np.array([1.0, np.nan, 4.0, 8.0])))


def test_what_the_first_session_costs_is_in_every_statistic():
    # Nine puts bought at 2.00 at the chain's first close and sold at 0.80 at the next: 120 and two fees lost on each.
    quotes = [(1.8, 2.0), (0.8, 1.0), (0.8, 1.0)]
    chain = {day: (100.0, {("P", 100.0): (*quote, -0.5)}) for day, quote in zip(DAYS, quotes, strict=False)}
    market = small_market(chain_frame(chain, expiration="2024-03-15"))
    plan = TradePlan("one", structure_of("long_put"), (TargetDelta(0.5),), ExpirationChoice(9, 5, 20),
                     ExitRules(horizon_sessions=1))  # fmt: skip
    result = run_plan(market, plan, entries=entries_at(market, [0]))
    lost, statistics = 9 * 121.30 / 100_000, summarize(result).statistics
    assert statistics.max_drawdown == pytest.approx(lost)
    assert statistics.cagr == pytest.approx((1.0 - lost) ** (365.25 / 2) - 1.0)
    assert statistics.calmar == pytest.approx(statistics.cagr / lost)
    first = -9 * 10.65 / 100_000
    second = (1.0 - lost) / (1.0 + first) - 1.0
    returns = np.array([first, second, 0.0])
    assert statistics.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1) * np.sqrt(252))
    assert statistics.sortino == pytest.approx(returns.mean() / np.sqrt((returns**2).mean()) * np.sqrt(252))
    # The curve that is shown begins with the cash, on the session before.
    assert result.equity()["equity_usd"].tolist() == pytest.approx(100_000 * np.cumprod([1.0, *(1.0 + returns)]))
    assert result.equity()["session"].iloc[0] == pd.Timestamp("2024-03-01")


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
