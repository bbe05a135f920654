"""Marks of legs in the money that the chain does not quote, against parity, a tree and quotes that were taken away."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.trading_dag.backtest.plan_chains import EXACT, chain_frame, fair_chain, small_market
from tests.trading_dag.options.pricing.test_american import tree_price
from trading_dag.backtest.markets.chain_market import chain_market
from trading_dag.backtest.markets.dividends import Dividends
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import AccountRules, ExpirationChoice, TargetDelta, TradePlan
from trading_dag.backtest.runs.plan_runs import run_plan
from trading_dag.backtest.trades.entries import entries_at, entries_every_session
from trading_dag.options.pricing.black_scholes import price
from trading_dag.options.structures.structure import structure_of

FRIDAY = "2024-03-15"
MONDAY = {("P", 100.0): (3.00, 3.20, -0.50), ("C", 100.0): (3.00, 3.20, 0.50)}
ONE = (TargetDelta(0.50),)


def second_mark(name: str, spot: float, quotes, *, ticker: str = "TEST", **arguments) -> float:
    """Mark of one contract at the second session, ten days before its expiration, USD a share."""
    days = {"2024-03-04": (100.0, MONDAY), "2024-03-05": (spot, quotes), "2024-03-06": (spot, quotes)}
    market = chain_market(chain_frame(days, expiration=FRIDAY), ticker=ticker, fills=EXACT)
    plan = TradePlan(name, structure_of(name), ONE, ExpirationChoice(11, 5, 20))
    result = run_plan(market, plan, entries=entries_at(market, [0]), **arguments)
    assert result.contracts[0] > 0
    return float(result.history.marks[1] / (100 * result.contracts[0]))


def option(*, spot: float, volatility: float, is_call: bool, rate: float = 0.0, strike: float = 100.0) -> float:
    return float(
        price(
            spot=spot, strike=strike, years=10 / 365, rate=rate, dividend_yield=0.0, volatility=volatility,
            is_call=is_call,
        )
    )  # fmt: skip


def around(right: str, middle: float):
    return {(right, 100.0): (middle - 0.01, middle + 0.01, 0.1)}


@pytest.mark.parametrize(("name", "right", "spot"), [("long_call", "P", 108.0), ("long_put", "C", 93.0)])
def test_without_rate_and_dividends_it_is_put_call_parity(name, right, spot) -> None:
    mark = second_mark(name, spot, around(right, 0.30))
    assert mark == pytest.approx(abs(spot - 100.0) + 0.30, abs=1e-9)


def test_it_is_carried_over_where_the_other_right_is_not_quoted_either_or_the_leg_is_out_of_the_money() -> None:
    elsewhere = {("P", 90.0): (0.10, 0.12, -0.02)}
    assert second_mark("long_call", 102.0, elsewhere) == pytest.approx(3.10)
    assert second_mark("long_call", 99.0, around("P", 4.0)) == pytest.approx(3.10)


def test_a_mark_below_what_exercise_pays_is_not_carried_over() -> None:
    elsewhere = {("P", 90.0): (0.10, 0.12, -0.02)}
    assert second_mark("long_call", 108.0, elsewhere) == pytest.approx(8.00)
    assert second_mark("long_call", 108.0, elsewhere, ticker="XSP") == pytest.approx(3.10)


def test_a_quoted_leg_keeps_its_own_mark() -> None:
    quotes = {("C", 100.0): (8.20, 8.40, 0.9), ("P", 100.0): (0.95, 1.05, -0.1)}
    assert second_mark("long_call", 108.0, quotes) == pytest.approx(8.30)


def test_a_put_is_worth_its_exercise_where_interest_makes_waiting_dear() -> None:
    # A call that is far out of the money: waiting ten days for 20.00 costs 8 % of interest and buys hardly anything.
    call = option(spot=80.0, volatility=0.20, is_call=True, rate=0.08)
    mark = second_mark("long_put", 80.0, around("C", max(call, 0.011)), rate=0.08)
    assert mark == pytest.approx(20.0, abs=1e-6)
    waiting = option(spot=93.0, volatility=0.30, is_call=False, rate=0.08)
    held = second_mark(
        "long_put", 93.0, around("C", option(spot=93.0, volatility=0.30, is_call=True, rate=0.08)), rate=0.08
    )
    fine = tree_price(93.0, 100.0, years=10 / 365, rate=0.08, volatility=0.30, is_call=False, steps=2000)
    assert waiting < 7.0 < fine
    assert held == pytest.approx(fine, abs=0.003)


def test_a_call_the_session_before_a_dividend_is_worth_at_least_its_exercise() -> None:
    dividends = Dividends(np.array(["2024-03-06"], dtype="datetime64[D]"), np.array([2.0]))
    escrowed = 108.0 - 2.0
    put = option(spot=escrowed, volatility=0.30, is_call=False)
    mark = second_mark("long_call", 108.0, around("P", put), dividends=dividends)
    fine = tree_price(
        108.0, 100.0, years=10 / 365, rate=0.0, volatility=0.30, is_call=True, steps=2000, dividends=((1 / 365, 2.0),)
    )
    assert fine > 8.0 > option(spot=escrowed, volatility=0.30, is_call=True)
    assert mark == pytest.approx(fine, abs=0.005)


@pytest.mark.parametrize("name", ["long_call", "long_put"])
def test_a_mark_does_not_know_a_dividend_before_the_session_before_its_ex_date(name) -> None:
    right, spot = ("P", 108.0) if name == "long_call" else ("C", 93.0)
    later = Dividends(np.array(["2024-03-08"], dtype="datetime64[D]"), np.array([2.0]))
    next_session = Dividends(np.array(["2024-03-06"], dtype="datetime64[D]"), np.array([2.0]))
    without, unknown, known = (
        second_mark(name, spot, around(right, 0.30), dividends=dividends) for dividends in (None, later, next_session)
    )
    assert unknown == without
    assert known != without


def test_contracts_of_european_exercise_are_worth_no_more_than_waiting_gives() -> None:
    call = option(spot=93.0, volatility=0.30, is_call=True, rate=0.08)
    mark = second_mark("long_put", 93.0, around("C", call), ticker="XSP", rate=0.08)
    assert mark == pytest.approx(call + 100.0 * math.exp(-0.08 * 10 / 365) - 93.0, abs=1e-9)


def test_quotes_that_are_taken_away_in_the_money_are_marked_as_they_were() -> None:
    """On a fair chain the model gives back the middle that the missing quote had, wherever the other right is bid."""
    spots = 100.0 * np.exp(np.cumsum(np.random.default_rng(3).normal(0.0, 0.015, 25)))
    frame = fair_chain(spots, volatility=0.3)
    deep = np.where(frame["option_right"] == "C", 1, -1) * (frame["underlying_price"] - frame["strike"]) > 2.0
    is_missing = deep & (frame["quote_date"] > frame["quote_date"].min())
    marks = []
    for kept in (frame, frame[~is_missing].reset_index(drop=True)):
        market = small_market(kept)
        plan = TradePlan(
            "put", structure_of("long_put"), (TargetDelta(0.4),), ExpirationChoice(20, 10, 26),
            ExitRules(), AccountRules(risk_fraction=0.001),
        )  # fmt: skip
        marks.append(run_plan(market, plan, entries=entries_at(market, [0])))
    positions = marks[1].paths.positions
    calls = marks[1].market.rows_of(
        marks[1].paths.at, positions.leg_expiration_day, is_call=np.array([True]), strike=positions.strikes
    )  # fmt: skip
    is_missing = np.isnan(marks[1].paths.leg_prices[0, :, 0]) & np.isfinite(marks[1].market.mark(calls))[0]
    assert is_missing.sum() >= 3
    np.testing.assert_allclose(marks[1].paths.mark[0, is_missing], marks[0].paths.mark[0, is_missing], atol=1e-9)


def test_trades_read_no_model_without_dividends() -> None:
    spots = 100.0 * np.exp(np.cumsum(np.random.default_rng(3).normal(0.0, 0.015, 25)))
    frame = fair_chain(spots, volatility=0.3)
    frame = frame[np.random.default_rng(4).random(len(frame)) > 0.2].reset_index(drop=True)
    market = small_market(frame)
    plan = TradePlan("put", structure_of("long_put"), (TargetDelta(0.4),), ExpirationChoice(14, 5, 26))
    profits = [
        run_plan(market, plan, entries=entries_every_session(market), rate=rate).profit_usd for rate in (0.0, 0.08)
    ]
    np.testing.assert_array_equal(*profits)


def test_the_rate_of_a_session_is_the_one_known_then_and_not_another_ones() -> None:
    call = option(spot=80.0, volatility=0.20, is_call=True, rate=0.08)
    quotes = around("C", max(call, 0.011))
    flat = second_mark("long_put", 80.0, quotes, rate=0.08)
    assert second_mark("long_put", 80.0, quotes, rate=[0.0, 0.08, 0.5]) == flat
    assert second_mark("long_put", 80.0, quotes, rate=[0.08, 0.0, 0.08]) != flat
