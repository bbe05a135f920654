"""What rolls cost to find: the work grows with entries and trades, not with what might have been rolled."""

from __future__ import annotations

import numpy as np
import pytest

from tests.trading_dag.backtest.plan_chains import fair_chain, small_market
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import AccountRules, ExpirationChoice, TargetDelta, TradePlan
from trading_dag.backtest.results.plan_results import PlanResult
from trading_dag.backtest.runs import plan_runs as chain_plans
from trading_dag.backtest.runs.plan_runs import run_plan
from trading_dag.backtest.trades import rolls
from trading_dag.backtest.trades.entries import entries_every_session
from trading_dag.options.structures.structure import structure_of

ROLLED = TradePlan(
    "rolled",
    structure_of("bull_put_spread"),
    (TargetDelta(0.30), TargetDelta(0.10)),
    ExpirationChoice(18, 10, 27),
    ExitRules(roll_days_to_expiration=8),
    AccountRules(maximum_open_positions=3),
)


@pytest.fixture
def gathered(monkeypatch) -> list[int]:
    """How many positions were gathered, call by call."""
    counted: list[int] = []

    def counting(market, positions, **arguments):
        counted.append(len(positions.entry))
        return gather(market, positions, **arguments)

    gather = rolls.gather_paths
    monkeypatch.setattr(rolls, "gather_paths", counting)
    monkeypatch.setattr(chain_plans, "gather_paths", counting)
    return counted


def rolled(sessions: int) -> PlanResult:
    # Around 100 and back, so that the strikes that are listed at the start serve throughout.
    spots = 100.0 + 3.0 * np.sin(np.arange(sessions) / 5.0)
    market = small_market(fair_chain(spots, volatility=0.3))
    return run_plan(market, ROLLED, entries=entries_every_session(market))


def test_every_entry_and_every_real_roll_is_gathered_at_most_twice(gathered) -> None:
    for sessions in (50, 100, 200):
        gathered.clear()
        result = rolled(sessions)
        real = int((result.rolled_from >= 0).sum())
        assert real > sessions / 5
        assert len(result.contracts) == sessions + real
        assert sum(gathered) <= 2 * (sessions + real)
        # Rolls are looked up together, as many at a time as are open together.
        assert len(gathered) <= 2 + real


def test_twice_the_sessions_are_twice_the_work(gathered) -> None:
    work = []
    for sessions in (60, 120, 240):
        gathered.clear()
        rolled(sessions)
        work.append(sum(gathered))
    assert work[1] <= 2.2 * work[0]
    assert work[2] <= 2.2 * work[1]


def test_only_real_candidates_have_reasons() -> None:
    result = rolled(100)
    trades = result.trades()
    assert set(trades.loc[trades["rolled_from"] >= 0, "rolled_from"].map(trades["exit_reason"])) == {"roll"}
    assert set(trades.loc[trades["exit_reason"] == "roll"].index) == set(trades["rolled_from"]) - {-1}
    # Each rolled position has one successor, at the session of its exit.
    assert trades["rolled_from"][trades["rolled_from"] >= 0].is_unique
    successors = trades[trades["rolled_from"] >= 0]
    assert successors["entry_session"].tolist() == trades.loc[successors["rolled_from"], "exit_session"].tolist()
