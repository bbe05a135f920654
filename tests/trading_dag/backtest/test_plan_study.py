"""What is shown of a trade plan adds up to its ledger, and Greeks and scenarios are those of textbook formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading_dag.backtest.plan_chains import fair_chain, put_delta, put_price, small_market
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import AccountRules, ExpirationChoice, TargetDelta, TradePlan
from trading_dag.backtest.results.plan_study import (
    ALL_EXITS,
    CAUSES,
    SPOT_MOVES,
    VOLATILITY_MOVES,
    PlanStudy,
    study_plan,
)
from trading_dag.backtest.runs.plan_runs import random_entry_runs, run_plan
from trading_dag.backtest.trades.entries import entries_at, entries_every_session, entries_weekly
from trading_dag.options.structures.structure import structure_of

VOLATILITY = 0.2


def spread(exits: ExitRules, *, account: AccountRules | None = None) -> TradePlan:
    return TradePlan(
        "bull_put_spread",
        structure_of("bull_put_spread"),
        (TargetDelta(0.3, 0.2), TargetDelta(0.1, 0.1)),
        ExpirationChoice(14, 7, 21),
        exits,
        account or AccountRules(),
    )


def studied(seed: int, exits: ExitRules, *, sessions: int = 40) -> PlanStudy:
    spots = 100.0 + np.cumsum(np.random.default_rng(seed).normal(0.0, 0.8, sessions))
    market = small_market(fair_chain(spots, volatility=VOLATILITY))
    return study_plan(run_plan(market, spread(exits), entries=entries_weekly(market)), luck=None)


@pytest.fixture(scope="module")
def study() -> PlanStudy:
    return studied(3, ExitRules(profit_target_fraction=0.5, stop_premium_multiple=1.0, days_to_expiration=3))


@settings(max_examples=40)
@given(seed=st.integers(0, 1_000), target=st.floats(0.2, 0.9), stop=st.floats(0.5, 3.0))
def test_exits_and_causes_add_up_to_the_profit(seed: int, target: float, stop: float) -> None:
    rules = ExitRules(profit_target_fraction=target, stop_premium_multiple=stop, days_to_expiration=2)
    one = studied(seed, rules, sessions=30)
    table = one.exits_table.set_index("exit_reason")
    parts = table.drop(index=ALL_EXITS)
    trades = one.result.trades()
    closed = trades[trades["status"] == "closed"]
    assert table.loc[ALL_EXITS, "trades"] == parts["trades"].sum() == len(closed)
    assert table.loc[ALL_EXITS, "pnl_usd"] == pytest.approx(closed["pnl_usd"].sum(), abs=1e-6)
    for column in ("pnl_usd", "fees_usd", *(f"{cause}_usd" for cause in CAUSES)):
        assert parts[column].sum() == pytest.approx(table.loc[ALL_EXITS, column], abs=1e-6)
    causes = table[[f"{cause}_usd" for cause in CAUSES]].sum(axis=1)
    assert causes.to_numpy() == pytest.approx((table["pnl_usd"] + table["fees_usd"]).to_numpy(), abs=1e-6)
    assert (table["mean_mae_usd"] <= 0).all()
    assert (table["mean_mfe_usd"] >= 0).all()


def test_each_row_of_exits_is_that_of_its_trades(study: PlanStudy) -> None:
    trades = study.result.trades()
    closed = trades[trades["status"] == "closed"]
    by_reason = closed.groupby("exit_reason")
    table = study.exits_table.set_index("exit_reason").drop(index=ALL_EXITS)
    assert len(table) > 1
    for reason, rows in by_reason:
        assert table.loc[reason, "win_rate"] == (rows["pnl_usd"] > 0).mean()
        assert table.loc[reason, "mean_mae_usd"] == pytest.approx(rows["mae_usd"].mean())
        assert table.loc[reason, "mean_mfe_usd"] == pytest.approx(rows["mfe_usd"].mean())


def held_legs(study: PlanStudy, session: int) -> list[tuple[float, float, float, float]]:
    """Strike, years, signed shares of every leg held over the close of a session, and the price of the underlying."""
    day = study.result.market.sessions[session]
    legs = []
    for trade in study.result.trades().to_dict("records"):
        entered, left = trade["entry_session"], trade["exit_session"]
        if trade["status"] == "skipped" or not entered <= day or (trade["status"] == "closed" and left <= day):
            continue
        years = (trade["expiration"] - np.datetime64(day, "s")).days / 365
        for strike, sign in zip(trade["strikes"], (-1.0, 1.0), strict=True):
            legs.append((strike, years, sign * 100 * trade["contracts"], study.result.market.spot[session]))
    return legs


def test_delta_of_the_account_is_the_textbook_delta_of_what_is_held(study: PlanStudy) -> None:
    table = study.greeks_table
    # A leg far out of the money may have no bid, and then no volatility.
    explained = np.flatnonzero(table["unexplained"] == 0)
    assert len(explained) >= 25
    for session in explained:
        legs = np.array(held_legs(study, session)).reshape(-1, 4)
        delta = put_delta(legs[:, 3], legs[:, 0], years=legs[:, 1], volatility=VOLATILITY) @ legs[:, 2]
        assert table["delta"].iloc[session] == pytest.approx(delta, abs=1e-6)
        shifted = [
            put_price(legs[:, 3], legs[:, 0], years=legs[:, 1] + days / 365, volatility=VOLATILITY + move) @ legs[:, 2]
            for days, move in ((0.0, 0.005), (0.0, -0.005), (-0.01, 0.0), (0.01, 0.0))
        ]
        # A point is 0.01 of volatility, theta is a calendar day's.
        assert table["vega_usd"].iloc[session] == pytest.approx(shifted[0] - shifted[1], rel=1e-3, abs=1e-6)
        assert table["theta_usd"].iloc[session] == pytest.approx((shifted[2] - shifted[3]) / 0.02, rel=1e-3, abs=1e-6)


def test_scenarios_of_what_is_open_at_the_end_are_repriced_by_the_textbook(study: PlanStudy) -> None:
    grid = study.scenarios
    assert grid is not None
    assert grid.is_of_open
    legs = np.array(held_legs(study, grid.session))
    assert (grid.session, grid.positions) == (39, len(legs) // 2)
    now = put_price(legs[:, 3], legs[:, 0], years=legs[:, 1], volatility=VOLATILITY) @ legs[:, 2]
    for row, column in ((0, 0), (1, 4), (6, 2), (4, 5)):
        then = put_price(
            legs[:, 3] * (1 + SPOT_MOVES[row]), legs[:, 0], years=legs[:, 1],
            volatility=VOLATILITY + VOLATILITY_MOVES[column],
        ) @ legs[:, 2]  # fmt: skip
        assert grid.profit_usd[row, column] == pytest.approx(then - now, abs=1e-6)
    assert grid.profit_usd[SPOT_MOVES.index(0.0), VOLATILITY_MOVES.index(0.0)] == pytest.approx(0.0, abs=1e-9)


def test_where_nothing_is_open_the_median_trade_is_valued_at_its_entry() -> None:
    spots = np.array([100.0] * 5 + [120.0] * 5 + [110.0] * 12)
    market = small_market(fair_chain(spots))
    plan = spread(ExitRules(horizon_sessions=2))
    result = run_plan(market, plan, entries=entries_at(market, [0, 5, 10]))
    one = study_plan(result, luck=None)
    grid = one.scenarios
    assert grid is not None
    trades = result.trades()
    assert (trades["status"] == "closed").all()
    typical = int(trades["margin_usd"].sort_values().index[1])
    assert (grid.is_of_open, grid.positions, one.typical_row) == (False, 1, typical)
    assert grid.session == [0, 5, 10][typical]


def test_a_plan_that_never_trades_has_nothing_to_show_and_no_error() -> None:
    market = small_market(fair_chain(np.full(20, 100.0)))
    plan = spread(ExitRules(), account=AccountRules(account_usd=1.0))
    one = study_plan(run_plan(market, plan, entries=entries_weekly(market)), luck=None)
    assert one.summary.closed == one.summary.open_at_end == 0
    assert one.exits_table.empty
    assert one.scenarios is None
    assert one.typical_row is None
    assert (one.greeks_table[["delta", "gamma", "vega_usd", "theta_usd"]] == 0.0).all(axis=None)


def test_a_plan_of_every_session_is_told_apart_from_one_that_chooses() -> None:
    spots = 100.0 + np.cumsum(np.random.default_rng(5).normal(0.0, 0.8, 45))
    market = small_market(fair_chain(spots))
    plan = spread(ExitRules(horizon_sessions=1), account=AccountRules(account_usd=1e6, risk_fraction=0.001))
    for entries, is_alike in ((entries_every_session(market), True), (entries_weekly(market), False)):
        result = run_plan(market, plan, entries=entries)
        luck = random_entry_runs(market, result, runs=100, seed=1)
        assert study_plan(result, luck=luck).random_runs_are_alike is is_alike
