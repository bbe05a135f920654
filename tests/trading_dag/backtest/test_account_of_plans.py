"""Several plans in one account: alone as together where capital is ample, one after the other where it is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trading_dag.backtest.markets.market import build_market
from trading_dag.backtest.markets.modelled_market import ModelledMarket
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.structure_plans import plan_on_grid
from trading_dag.backtest.runs.plan_runs import PlannedEntries, run_account, run_plan
from trading_dag.backtest.trades.entries import entries_at
from trading_dag.options.structures.structure import structure_of

EXITS = ExitRules(profit_target_fraction=0.4, stop_underlying_fraction=0.03, horizon_sessions=6)
NAMES = ("bull_put_spread", "iron_condor", "long_call")


@pytest.fixture
def planned(random_frames, flat):
    """Three plans that enter at opens of their own, in a market of 60 sessions."""
    frames = random_frames(31, sessions=60)
    market = ModelledMarket(
        "SPY", build_market(frames.prices, frames.volatility_index, rates=frames.rates, settings=flat)
    )  # fmt: skip
    parts = [
        PlannedEntries(
            plan_on_grid(structure_of(name), exits=EXITS, settings=flat.backtest),
            entries_at(market, 2 * np.arange(1 + place, 50, 4)),
        )
        for place, name in enumerate(NAMES)
    ]
    return market, parts


def test_with_ample_capital_every_plan_trades_as_it_does_alone(planned):
    market, parts = planned
    together = run_account(market, parts, account=parts[0].plan.account)
    alone = [run_plan(market, part.plan, entries=part.entries) for part in parts]
    for one, shared in zip(alone, together.results, strict=True):
        assert one.contracts.tolist() == shared.contracts.tolist()
        np.testing.assert_allclose(one.profit_usd, shared.profit_usd)
    start = together.account.account_usd
    np.testing.assert_allclose(together.history.equity - start, sum(one.history.equity - start for one in alone))
    assert together.total_profit_usd == pytest.approx(sum(one.total_profit_usd for one in alone))


def test_plans_share_the_number_of_positions_in_the_order_of_time(planned):
    market, parts = planned
    account = replace(parts[0].plan.account, maximum_open_positions=1)
    result = run_account(market, parts, account=account)
    assert result.history.open_positions.max() == 1
    candidates = sorted(
        (int(entry), number, row)
        for number, one in enumerate(result.results)
        for row, entry in enumerate(one.paths.positions.entry)
    )
    free_from = 0
    for entry, number, row in candidates:
        one = result.results[number]
        is_taken = entry >= free_from
        assert bool(one.is_taken[row]) is is_taken
        assert one.skip_reason[row] == ("" if is_taken else "position_limit")
        if is_taken:
            free_from = int(one.exits.exit[row]) if one.exits.exit[row] >= 0 else len(market)


def test_a_weight_scales_the_risk_budget_of_a_plan(planned):
    market, parts = planned
    account = parts[0].plan.account
    whole = run_account(market, parts, account=account).results[0]
    half = run_account(market, [replace(parts[0], weight=0.5), *parts[1:]], account=account).results[0]
    risk = whole.margin_usd + 2 * 2 * account.fee_per_leg_contract_usd
    expected = np.floor(0.5 * account.account_usd * account.risk_fraction / risk + 1e-9)
    assert half.contracts.tolist() == expected.astype(int).tolist()
    assert (half.contracts < whole.contracts).all()
