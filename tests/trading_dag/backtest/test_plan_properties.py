"""What must hold for any chain and any sequence of trades: the ledger's identity, no look-ahead, defined risk."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.trading_dag.backtest.plan_chains import fair_chain, small_market
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import AccountRules, ExpirationChoice, FillAssumptions, TradePlan, Width
from trading_dag.backtest.plans.trade_plan import TargetDelta as Delta
from trading_dag.backtest.results import random_entry
from trading_dag.backtest.results.random_entry import random_entry_test
from trading_dag.backtest.runs.plan_runs import random_entry_runs, run_plan, run_plans
from trading_dag.backtest.trades.entries import entries_at, entries_every_session, entries_from_signals, entries_weekly
from trading_dag.options.structures.structure import structure_of

STRUCTURES = {
    "bull_put_spread": (Delta(0.30), Delta(0.10)),
    "iron_condor": (Delta(0.25), Width(0, 4.0), Delta(0.25), Width(2, 4.0)),
    "short_strangle": (Delta(0.20), Delta(0.20)),
    "long_straddle": (Delta(0.50, tolerance=0.3), Width(0, 0.0)),
    "covered_call": (Delta(0.30),),
    "call_butterfly": (Delta(0.50, tolerance=0.3), Width(0, -4.0), Width(0, 4.0)),
}
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def chain_of(seed: int, *, sessions: int = 25, holes: float = 0.1) -> pd.DataFrame:
    """A random walk of 2 % a session with some rows taken out."""
    generator = np.random.default_rng(seed)
    spots = 100.0 * np.exp(np.cumsum(generator.normal(0.0, 0.02, sessions)))
    frame = fair_chain(spots, volatility=0.3)
    return frame[generator.random(len(frame)) > holes].reset_index(drop=True)


@st.composite
def plans(draw: st.DrawFn) -> TradePlan:
    name = draw(st.sampled_from(sorted(STRUCTURES)))
    exits = ExitRules(
        profit_target_fraction=draw(st.none() | st.sampled_from([0.1, 0.5])),
        stop_underlying_fraction=draw(st.none() | st.just(0.03)),
        stop_premium_multiple=draw(st.none() | st.sampled_from([0.5, 2.0])),
        horizon_sessions=draw(st.none() | st.integers(1, 8)),
        days_to_expiration=draw(st.none() | st.integers(0, 6)),
        roll_days_to_expiration=draw(st.none() | st.integers(0, 8)),
        roll_short_delta=draw(st.none() | st.just(0.5)),
    )
    account = AccountRules(
        risk_fraction=draw(st.sampled_from([0.02, 0.2])),
        fee_per_leg_contract_usd=draw(st.sampled_from([0.0, 0.65])),
        interest_rate=draw(st.sampled_from([0.0, 0.04])),
        maximum_open_positions=draw(st.none() | st.integers(1, 3)),
    )
    return TradePlan(name, structure_of(name), STRUCTURES[name], ExpirationChoice(14, 3, 25), exits, account)


@settings(QUICK, max_examples=25)
@given(seed=st.integers(0, 10_000), plan=plans())
def test_cash_is_starting_cash_and_signed_fills_less_fees_and_equity_is_cash_and_marks(seed, plan):
    market = small_market(chain_of(seed), FillAssumptions(slippage_fraction=0.01))
    result = run_plan(market, plan, entries=entries_every_session(market))
    trades, equity = result.trades(), result.equity()
    taken = trades[trades["status"] != "skipped"]
    contracts_a_structure = sum(leg.ratio for leg in plan.structure.legs)
    signs = [leg.ratio if leg.side == "buy" else -leg.ratio for leg in plan.structure.legs]
    shares = plan.structure.underlying_ratio
    cash = plan.account.account_usd
    for row in equity.itertuples():
        for trade in taken.itertuples():
            size, fee = 100 * trade.contracts, plan.account.fee_per_leg_contract_usd * contracts_a_structure
            if trade.entry_session == row.session:
                paid = sum(s * p for s, p in zip(signs, trade.entry_prices, strict=True)) + shares * trade.entry_spot
                cash -= size * paid + trade.contracts * fee
            if trade.exit_session == row.session:
                got = sum(s * p for s, p in zip(signs, trade.exit_prices, strict=True)) + shares * trade.exit_spot
                cash += size * got - trade.contracts * fee
        cash += row.interest_usd
        assert row.cash_usd == pytest.approx(cash, abs=1e-6)
        assert row.equity_usd == pytest.approx(row.cash_usd + row.marks_usd, abs=1e-6)
    assert equity["interest_usd"].sum() >= 0.0
    closed = taken[taken["status"] == "closed"]
    fills = closed["exit_value_usd"] - closed["entry_cost_usd"]
    assert closed["pnl_usd"].tolist() == pytest.approx((fills - closed["fees_usd"]).tolist(), abs=1e-6)
    assert len(trades) == len(taken) + sum(result.skip_reasons().values())
    if closed.shape == taken.shape:
        earned = closed["pnl_usd"].sum() + equity["interest_usd"].sum()
        assert equity["equity_usd"].iloc[-1] == pytest.approx(plan.account.account_usd + earned, abs=1e-6)


@QUICK
@given(seed=st.integers(0, 10_000), cut=st.integers(3, 20), plan=plans())
def test_no_trade_reads_a_quote_of_its_signals_session_or_an_earlier_one(seed, cut, plan):
    frame = chain_of(seed)
    market = small_market(frame)
    signal = market.sessions[cut]
    is_known = frame["quote_date"] <= pd.Timestamp(signal)
    spoiled = frame.assign(
        underlying_price=np.where(is_known, frame["underlying_price"] * 1.5, frame["underlying_price"]),
        **{name: np.where(is_known, frame[name] * 0.3, frame[name]) for name in ("bid", "ask", "delta")},
    )
    results = [
        run_plan(market, plan, entries=entries_from_signals(market, [signal])).trades()
        for market in (market, small_market(spoiled))
    ]
    pd.testing.assert_frame_equal(*results)
    entered = results[0]["entry_session"].dropna()
    assert (entered > pd.Timestamp(signal)).all()


@QUICK
@given(seed=st.integers(0, 10_000), cut=st.integers(5, 20), plan=plans())
def test_trades_that_have_ended_do_not_change_with_what_comes_later(seed, cut, plan):
    frame = chain_of(seed)
    whole = small_market(frame)
    last = whole.sessions[cut]
    part = small_market(frame[frame["quote_date"] <= pd.Timestamp(last)].reset_index(drop=True))
    # Capital held until an exit in the future could differ; sizes are small enough for it never to bind here.
    wanted = TradePlan(plan.name, plan.structure, plan.strikes, plan.expiration, plan.exits,
                     AccountRules(account_usd=1e9, risk_fraction=1e-5))  # fmt: skip
    trades = [run_plan(market, wanted, entries=entries_every_session(market)).trades() for market in (whole, part)]
    ended = [each[each["exit_session"] <= pd.Timestamp(last)].drop(columns="rolled_from") for each in trades]
    pd.testing.assert_frame_equal(*[each.reset_index(drop=True) for each in ended])


@QUICK
@given(
    seed=st.integers(0, 10_000),
    name=st.sampled_from(["bull_put_spread", "iron_condor", "long_straddle", "call_butterfly"]),
)
def test_held_to_settlement_the_loss_is_at_most_the_defined_risk_and_fees(seed, name):
    market = small_market(chain_of(seed))
    plan = TradePlan(name, structure_of(name), STRUCTURES[name], ExpirationChoice(14, 3, 25))
    result = run_plan(market, plan, entries=entries_every_session(market))
    closed = result.trades().query("status == 'closed'")
    assert set(closed["exit_reason"]) <= {"expiration"}
    assert (closed["pnl_usd"] >= -(closed["max_loss_usd"] + closed["fees_usd"]) - 1e-6).all()
    assert not result.loss_beyond_defined_risk.any()


def test_plans_that_share_paths_give_what_each_gives_alone():
    market = small_market(chain_of(5, sessions=40))
    wanted = [
        TradePlan(f"{name} {target}", structure_of(name), STRUCTURES[name], ExpirationChoice(14, 3, 25),
                ExitRules(profit_target_fraction=target, horizon_sessions=5))
        for name in STRUCTURES for target in (0.1, 0.5)
    ]  # fmt: skip
    entries = entries_weekly(market)
    for plan, shared in zip(wanted, run_plans(market, wanted, entries=entries), strict=True):
        pd.testing.assert_frame_equal(shared.trades(), run_plan(market, plan, entries=entries).trades())
        assert shared.plan.name == plan.name


def test_random_entry_draws_the_plans_own_profits(monkeypatch):
    market = small_market(chain_of(11, sessions=60, holes=0.0))
    name = "bull_put_spread"
    plan = TradePlan(
        name, structure_of(name), STRUCTURES[name], ExpirationChoice(14, 3, 25),
        ExitRules(horizon_sessions=3, on_signal_flip=True),
    )  # fmt: skip
    drawn_from = []
    monkeypatch.setattr(
        random_entry, "random_entry_test",
        lambda profits, **drawn: (drawn_from.append(profits), random_entry_test(profits, **drawn))[1],
    )  # fmt: skip
    result = run_plan(market, plan, entries=entries_weekly(market))
    luck = random_entry_runs(market, result, runs=200, seed=3)
    ((profits,),) = drawn_from  # one kind: full size, without target or flip
    for session in range(len(market)):
        alone = run_plan(market, plan, entries=entries_at(market, [session])).profit_usd[0]
        assert profits[session] == pytest.approx(alone, abs=1e-9, nan_ok=True)
    trades = int(result.is_closed.sum())
    assert 0.0 < luck.p_value <= 1.0
    # The mean of the runs is near trades times the mean over sessions: blocks only reorder them.
    assert luck.mean_usd == pytest.approx(
        trades * np.nanmean(profits), abs=6 * np.nanstd(profits) * np.sqrt(trades / 200)
    )
    assert random_entry_runs(market, result, runs=200, seed=3) == luck
