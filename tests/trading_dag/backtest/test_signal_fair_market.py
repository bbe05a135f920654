"""On a market whose prices are fair no rule of the signals has an edge; one that is priced wrong shows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.trading_dag.backtest.test_random_entry import FREE, fair_market
from trading_dag.backtest.runs.signal_backtest import run_backtest
from trading_dag.setting_groups import BacktestSettings
from trading_dag.slices import horizon_of

SEEDS, SESSIONS, EVERY = 40, 180, 6
EXITS: dict[str, dict[str, float]] = {
    "horizon": {},
    "stop and target": {"stop_underlying": 0.03, "profit_target": 0.6},
}


def returns_on_risk(settings: Any, structure: str, *, seed: int, exits: dict[str, float], index: float) -> np.ndarray:
    """Of trades that do not overlap, without costs, on a path whose volatility is 20."""
    prices, levels, rates = fair_market(seed, sessions=SESSIONS)
    book = BacktestSettings(random_entry_runs=100, account_usd=1e7, exits=exits, **FREE)
    signals = pd.DataFrame({
        "ticker": "SPY", "session": prices["session"], "overall_confidence": 0.6,
        "strategy": np.where(np.arange(SESSIONS) % EVERY == 0, structure, "no_trade"),
        "design_size": np.where(np.arange(SESSIONS) % EVERY == 0, "FULL", "NONE"),
    })  # fmt: skip
    result = run_backtest(
        signals, prices, levels.assign(open=index, close=index), rates=rates, horizon=horizon_of("168h"),
        settings=settings.model_copy(update={"backtest": book}),
    )  # fmt: skip
    closed = result.trades[result.trades["status"] == "closed"]
    return closed["return_on_risk"].to_numpy(dtype=np.float64)


@pytest.mark.parametrize("exits", EXITS.values(), ids=EXITS.keys())
def test_a_fair_market_gives_no_rule_an_edge_beyond_its_interval_in_95_percent_of_seeds(flat, exits):
    outside, means = 0, []
    for seed in range(SEEDS):
        returns = returns_on_risk(flat, "bull_call_spread", seed=seed, exits=exits, index=20.0)
        assert len(returns) >= 29
        reach = stats.t.ppf(0.975, len(returns) - 1) * returns.std(ddof=1) / math.sqrt(len(returns))
        outside += abs(returns.mean()) > reach
        means.append(returns.mean())
    # Of so many seeds at most as many lie outside as chance allows in 99 of 100 cases.
    assert outside <= stats.binom.ppf(0.99, SEEDS, 0.05)
    assert abs(np.mean(means)) <= 3.0 * np.std(means, ddof=1) / math.sqrt(SEEDS)


@pytest.mark.parametrize(("structure", "index"), [("iron_condor", 30.0), ("long_straddle", 13.0)])
def test_options_that_cost_too_much_or_too_little_are_found(flat, structure, index):
    returns = np.concatenate(
        [returns_on_risk(flat, structure, seed=seed, exits={}, index=index) for seed in range(8)]
    )  # fmt: skip
    assert returns.mean() > 4.0 * returns.std(ddof=1) / math.sqrt(len(returns))
