"""On a market where every option costs what it is worth, a trade plan earns nothing but its costs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.trading_dag.backtest.plan_chains import fair_chain, small_market
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import AccountRules, ExpirationChoice, TargetDelta, TradePlan, Width
from trading_dag.backtest.runs.plan_runs import run_plan
from trading_dag.backtest.trades.entries import entries_at
from trading_dag.options.structures.structure import structure_of

# Ten paths of five weeks follow one another in a market: their prices do not move on from one to the next, and no
# trade lasts so long.
MARKETS, PATHS_EACH, SESSIONS = 60, 10, 25
PATHS = MARKETS * PATHS_EACH
VOLATILITY = 0.2
PLANS = [
    TradePlan(name, structure_of(name), strikes, ExpirationChoice(21, 15, 27), exits, AccountRules(account_usd=1e6))
    for name, strikes, exits in (
        ("bull_put_spread", (TargetDelta(0.30), TargetDelta(0.10)), ExitRules()),
        (
            "bull_put_spread",
            (TargetDelta(0.30), TargetDelta(0.10)),
            ExitRules(profit_target_fraction=0.5, stop_premium_multiple=2.0, days_to_expiration=7),
        ),
        (
            "iron_condor",
            (TargetDelta(0.25), Width(0, 4.0), TargetDelta(0.25), Width(2, 4.0)),
            ExitRules(profit_target_fraction=0.5, stop_underlying_fraction=0.03, horizon_sessions=8),
        ),
        ("long_straddle", (TargetDelta(0.50), Width(0, 0.0)), ExitRules(horizon_sessions=6)),
    )
]


@pytest.fixture(scope="module")
def outcomes() -> list[tuple[np.ndarray, np.ndarray]]:
    """Profit and costs, USD a structure, of every plan on independent paths without drift, rate or dividend."""
    generator = np.random.default_rng(20240102)
    results: list[tuple[list[float], list[float]]] = [([], []) for _ in PLANS]
    days = pd.bdate_range("2024-01-02", periods=SESSIONS)
    gaps = np.diff(days) / np.timedelta64(365, "D")
    # The entry is drawn before the path is seen: the second session of each.
    entered = (np.arange(PATHS_EACH) * SESSIONS + 1).tolist()
    for _ in range(MARKETS):
        normal = generator.normal(size=(PATHS_EACH, SESSIONS - 1))
        steps = normal * VOLATILITY * np.sqrt(gaps) - 0.5 * VOLATILITY**2 * gaps
        spots = 100.0 * np.exp(np.pad(np.cumsum(steps, axis=1), ((0, 0), (1, 0))))
        market = small_market(fair_chain(spots.ravel(), volatility=VOLATILITY, half_spread=0.005))
        for plan, (profits, costs) in zip(PLANS, results, strict=True):
            trades = run_plan(market, plan, entries=entries_at(market, entered)).trades()
            trades = trades[trades["status"] == "closed"]
            profits.extend(trades["pnl_usd"] / trades["contracts"])
            costs.extend((trades["fees_usd"] + trades["spread_cost_usd"]) / trades["contracts"])
    return [(np.array(profits), np.array(costs)) for profits, costs in results]


@pytest.mark.parametrize("which", range(len(PLANS)))
def test_the_mean_profit_is_minus_the_costs_within_four_standard_errors(outcomes, which):
    profits, costs = outcomes[which]
    assert len(profits) == PATHS
    error = (profits + costs).std(ddof=1) / np.sqrt(PATHS)
    assert abs((profits + costs).mean()) <= 4.0 * error
    # A plan that takes half a USD a share too much or too little would be seen.
    assert 4.0 * error < 50.0
    assert (costs > 0.0).all()
