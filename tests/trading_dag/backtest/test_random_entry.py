"""Random entry is fair on a fair market, exact where it can be counted, and never a free lunch."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from trading_dag.backtest.markets.market import build_market
from trading_dag.backtest.markets.modelled_market import ModelledMarket
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.structure_plans import plan_on_grid
from trading_dag.backtest.results.random_entry import random_entry_test
from trading_dag.backtest.runs.signal_comparators import Pool
from trading_dag.backtest.trades.account import size_positions
from trading_dag.backtest.trades.entries import EntryTerms
from trading_dag.backtest.trades.exits import leave_positions
from trading_dag.options.structures.structure import structure_of
from trading_dag.sessions import all_sessions
from trading_dag.setting_groups import BacktestSettings

VOLATILITY = 0.2
SESSION_DAYS = 6.5 / 24
FREE = {"fee_per_leg_contract_usd": 0.0, "half_spread_fraction": 0.0, "half_spread_minimum_usd": 0.0,
        "price_tick_usd": 1e-9}  # fmt: skip


def fair_market(seed: int, *, sessions: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """A martingale in calendar time whose volatility is the index, so that every middle price is fair."""
    generator = np.random.default_rng(seed)
    start = int(all_sessions().searchsorted(pd.Timestamp("2022-01-03")))
    days = all_sessions()[start : start + sessions]
    elapsed = np.diff(days.to_numpy()) / np.timedelta64(1, "D")
    night = np.concatenate([[1.0], elapsed]) - SESSION_DAYS
    steps = np.column_stack([night, np.full(sessions, SESSION_DAYS)]).ravel() / 365
    moves = VOLATILITY * np.sqrt(steps) * generator.standard_normal(2 * sessions) - 0.5 * VOLATILITY**2 * steps
    path = 500.0 * np.exp(np.cumsum(moves)).reshape(sessions, 2)
    prices = pd.DataFrame(
        {"ticker": "SPY", "session": days, "open": path[:, 0], "close": path[:, 1], "adj_close": path[:, 1]}
    )
    index = pd.DataFrame({"ticker": "SPY", "session": days, "open": 100 * VOLATILITY, "close": 100 * VOLATILITY})
    return prices, index, pd.DataFrame({"session": days, "treasury_3m": 0.0})


def terms_of_size(size: float) -> EntryTerms:
    """One kind of entry: its size, the horizon of the pool, no flip."""
    return EntryTerms(np.array([size]), np.array([-1]), np.array([-1]))


@pytest.mark.parametrize("costs", [FREE, {}])
def test_random_entry_earns_minus_its_costs_on_a_fair_market(flat, costs):
    settings = flat.model_copy(update={"backtest": BacktestSettings(random_entry_runs=100, **costs)})
    book = settings.backtest
    kinds = [("iron_condor", 0.5), ("bull_call_spread", 1.0), ("long_put", 1.0)]
    errors = []
    for path in range(80):
        prices, index, rates = fair_market(path, sessions=50)
        market = ModelledMarket("SPY", build_market(prices, index, rates=rates, settings=settings))
        pool = Pool(market, np.arange(40), target_offset=5)
        plans = [plan_on_grid(structure_of(name), exits=ExitRules(), settings=book) for name, _ in kinds]
        profits = np.concatenate(
            [pool.profits(plan, terms_of_size(size)) for plan, (_, size) in zip(plans, kinds, strict=True)]
        )
        luck = random_entry_test(profits, kind=np.arange(3), at=np.arange(3), total_usd=0.0, runs=100, seed=path)
        # Costs of each trade, from its own fills: fees, and what each leg paid beyond the middle of its quote.
        expected = 0.0
        for plan, (_, size) in zip(plans, kinds, strict=True):
            paths = pool.paths(plan)
            positions = replace(
                paths.positions, entries=replace(paths.positions.entries, size=np.full(40, size))
            )  # fmt: skip
            exits = leave_positions(paths, plan.exits)
            strikes, is_call = positions.strikes, plan.structure.is_call
            first, last = (
                market.surface_at(at).columns().price(
                    market.spot[at][:, None], strikes,
                    years=market.years_to(positions.leg_expiration_day, at[:, None]), is_call=is_call,
                )
                for at in (positions.entry, exits.exit)
            )  # fmt: skip
            beyond = np.abs(positions.leg_prices - first) + np.abs(exits.leg_prices - last)
            cost = beyond.sum(axis=1) * 100 + 2 * book.fee_per_leg_contract_usd * len(plan.structure.legs)
            expected += float((cost * size_positions(positions, plan.account).contracts).mean())
        errors.append(luck.mean_usd + expected)
    standard_error = np.std(errors, ddof=1) / math.sqrt(len(errors))
    assert abs(np.mean(errors)) <= 4 * standard_error
    assert standard_error < 250.0


def test_the_p_value_counts_the_runs_that_did_at_least_as_well():
    profits = np.array([[0.0, 1.0, 2.0, 3.0]])
    luck = random_entry_test(profits, kind=np.array([0]), at=np.array([3]), total_usd=3.0, runs=4_000, seed=1)
    # One session in four reaches 3: (1 + k) / 4,001 with k binomial, four standard errors either way.
    assert luck.p_value == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 4_000))
    assert (
        random_entry_test(profits, kind=np.array([0]), at=np.array([3]), total_usd=3.5, runs=999, seed=1).p_value
        == 1 / 1_000
    )
    assert (
        random_entry_test(profits, kind=np.array([0]), at=np.array([3]), total_usd=-1.0, runs=999, seed=1).p_value
        == 1.0
    )


def test_sessions_are_drawn_without_replacement_so_a_full_calendar_leaves_nothing_to_chance():
    profits = np.array([[5.0, -3.0, 2.5, 0.125]])
    luck = random_entry_test(profits, kind=np.zeros(4, dtype=int), at=np.arange(4), total_usd=4.625, runs=500, seed=2)
    assert luck.p_value == 1.0
    assert luck.mean_usd == 4.625
    crowded = random_entry_test(
        profits, kind=np.zeros(5, dtype=int), at=np.array([0, 1, 2, 3, 3]), total_usd=4.625, runs=500, seed=2
    )
    assert crowded.is_with_replacement
    assert 0.0 < crowded.p_value < 1.0


def test_each_kind_keeps_its_own_profits_and_untradable_sessions_are_never_drawn():
    profits = np.array([[1.0, np.nan, 1.0], [10.0, 10.0, 10.0]])
    luck = random_entry_test(profits, kind=np.array([0, 1]), at=np.array([0, 1]), total_usd=11.0, runs=200, seed=3)
    assert luck.sessions == 2
    assert luck.mean_usd == 11.0
    assert luck.p_value == 1.0


def test_the_band_of_a_full_calendar_of_equal_profits_rises_by_one_of_them_each_session():
    luck = random_entry_test(
        np.full((1, 4), 2.5), kind=np.zeros(4, dtype=int), at=np.arange(4), total_usd=0.0, runs=50, seed=1,
        with_band=True,
    )  # fmt: skip
    assert luck.drawn.tolist() == [0, 1, 2, 3]
    assert luck.band_usd.tolist() == [[2.5, 5.0, 7.5, 10.0]] * 3


def test_the_band_ends_at_the_quantiles_of_the_totals_and_draws_no_other_runs():
    profits = np.random.default_rng(3).normal(size=(2, 200))
    profits[:, 50] = np.nan
    asked = {"kind": np.array([0, 1] * 20), "at": 4 * np.arange(40), "total_usd": 1.0, "runs": 300, "seed": 9}
    luck, without = (random_entry_test(profits, **asked, with_band=is_asked) for is_asked in (True, False))
    assert luck == without
    assert luck.totals_usd.tolist() == without.totals_usd.tolist()
    assert luck.band_usd[:, -1] == pytest.approx(np.quantile(luck.totals_usd, [0.05, 0.5, 0.95]), rel=1e-9)
    assert 50 not in luck.drawn
    assert luck.band_usd.shape == (3, 199)
    assert without.band_usd.size == 0


def test_without_skill_small_p_values_are_as_rare_as_they_say_although_trades_crowd_and_overlap():
    """The trades of a run of signals share most of their horizon; dealt out one by one p <= .05 came in 19 %."""
    generator = np.random.default_rng(12)
    p_values = []
    for seed in range(400):
        sessions, held = 400, 5
        moves = generator.normal(size=sessions + held)
        profits = np.convolve(moves, np.ones(held), mode="valid")[None, :sessions]
        mood = np.zeros(sessions)
        for session in range(1, sessions):
            mood[session] = 0.9 * mood[session - 1] + generator.normal()
        at = np.flatnonzero(mood > np.quantile(mood, 0.7))
        luck = random_entry_test(
            profits, kind=np.zeros(len(at), dtype=int), at=at, total_usd=float(profits[0, at].sum()), runs=99, seed=seed
        )
        p_values.append(luck.p_value)
    # Four standard errors of a share of 5 % among 400.
    for small in (np.array(p_values) <= 0.05, np.array(p_values) > 0.95):
        assert abs(small.mean() - 0.05) <= 4 * math.sqrt(0.05 * 0.95 / 400)


def test_without_trades_or_sessions_there_is_no_p_value():
    assert math.isnan(
        random_entry_test(
            np.ones((1, 5)), kind=np.empty(0, dtype=int), at=np.empty(0, dtype=int), total_usd=0, runs=10, seed=0
        ).p_value
    )
    nothing = np.full((1, 5), np.nan)
    assert math.isnan(
        random_entry_test(nothing, kind=np.array([0]), at=np.array([0]), total_usd=0, runs=10, seed=0).p_value
    )


def test_the_same_seed_draws_the_same_runs_and_another_seed_others():
    profits = np.random.default_rng(0).normal(size=(2, 300))
    kind = np.array([0, 1] * 20)
    first, again, other = (
        random_entry_test(profits, kind=kind, at=7 * np.arange(40), total_usd=5.0, runs=200, seed=seed)
        for seed in (7, 7, 8)
    )
    assert first == again
    assert first.mean_usd != other.mean_usd


def test_timing_that_knew_the_future_gets_the_smallest_p_value(random_frames, flat):
    frames = random_frames(11, sessions=200)
    history = build_market(frames.prices, frames.volatility_index, rates=frames.rates, settings=flat)
    pool = Pool(ModelledMarket("SPY", history), np.arange(190), target_offset=5)
    plan = plan_on_grid(structure_of("long_call"), exits=ExitRules(), settings=flat.backtest)
    profits = pool.profits(plan, terms_of_size(1.0))[0]
    best = np.argsort(np.nan_to_num(profits, nan=-1e9))[-20:]
    design_size = np.where(np.isin(np.arange(200), best), "FULL", "NONE")
    strategy = np.where(design_size == "FULL", "long_call", "no_trade")
    clairvoyant = frames.changed(signals=frames.signals.assign(strategy=strategy, design_size=design_size))
    result = clairvoyant.run("168h", flat)
    assert result.summary["trades"].tolist() == [20]
    assert result.summary["total_pnl_usd"].iloc[0] == pytest.approx(profits[best].sum())
    assert result.summary["random_entry_p_value"].tolist() == [1 / 1_001]
