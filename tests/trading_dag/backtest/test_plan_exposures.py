"""Profit by cause, Greeks and scenarios of plans, against formulas written out here."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from tests.trading_dag.backtest.plan_chains import fair_chain, put_price, small_market
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import AccountRules, ExpirationChoice, TargetDelta, TradePlan
from trading_dag.backtest.results.exposures import (
    attribute_profit,
    greeks_through_time,
    position_greeks,
    scenario_profit,
)
from trading_dag.backtest.runs.plan_runs import run_plan
from trading_dag.backtest.trades.entries import entries_at, entries_every_session
from trading_dag.options.structures.structure import structure_of

VOLATILITY = 0.3
SPREAD = TradePlan(
    "spread",
    structure_of("bull_put_spread"),
    (TargetDelta(0.30), TargetDelta(0.10)),
    ExpirationChoice(21, 15, 27),
    ExitRules(horizon_sessions=1),
)


def one_step(spot: float):
    """Tuesday 2024-01-02 at 100 and Wednesday at the given price; expiration on Friday the 26th."""
    market = small_market(fair_chain(np.array([100.0, spot]), volatility=VOLATILITY, half_spread=0.0))
    return run_plan(market, SPREAD, entries=entries_at(market, [0]))


def put_greeks(strike: float, *, spot: float = 100.0, days: int = 24) -> tuple[float, float, float, float]:
    """Delta, gamma, vega and theta without carry, from the textbook."""
    years = days / 365
    deviation = VOLATILITY * np.sqrt(years)
    d1 = np.log(spot / strike) / deviation + deviation / 2
    density = norm.pdf(d1)
    return (
        norm.cdf(d1) - 1,
        density / (spot * deviation),
        spot * density * np.sqrt(years),
        -spot * density * VOLATILITY / (2 * np.sqrt(years)),
    )


def test_profit_is_split_by_the_greeks_of_the_entry_and_the_parts_add_up_to_it():
    result = one_step(101.0)
    trade = result.trades().iloc[0]
    parts = attribute_profit(result, position_greeks(result))
    sold, bought = (put_greeks(strike) for strike in trade["strikes"])
    size = 100 * trade["contracts"]
    # Prices were rounded to the cent against the trader; implied volatility comes from the exact middles.
    assert parts.delta[0] == pytest.approx(size * (bought[0] - sold[0]) * 1.0, rel=1e-6)
    assert parts.gamma[0] == pytest.approx(size * 0.5 * (bought[1] - sold[1]), rel=1e-6)
    assert parts.theta[0] == pytest.approx(size * (bought[3] - sold[3]) / 365, rel=1e-6)
    assert parts.vega[0] == pytest.approx(0.0, abs=1e-6)
    total = parts.delta[0] + parts.gamma[0] + parts.theta[0] + parts.vega[0] + parts.residual[0]
    assert total == pytest.approx(trade["pnl_usd"] + trade["fees_usd"], abs=1e-9)
    assert abs(parts.residual[0] + trade["spread_cost_usd"]) < 0.05 * abs(parts.delta[0])


def test_a_change_of_volatility_alone_is_vega():
    frame = fair_chain(np.array([100.0, 100.0]), volatility=VOLATILITY, half_spread=0.0)
    later = fair_chain(np.array([100.0, 100.0]), volatility=VOLATILITY + 0.01, half_spread=0.0)
    is_wednesday = frame["quote_date"] == frame["quote_date"].max()
    frame.loc[is_wednesday, ["bid", "ask"]] = later.loc[is_wednesday, ["bid", "ask"]]
    market = small_market(frame)
    result = run_plan(market, SPREAD, entries=entries_at(market, [0]))
    trade = result.trades().iloc[0]
    sold, bought = (put_greeks(strike) for strike in trade["strikes"])
    parts = attribute_profit(result, position_greeks(result))
    assert parts.vega[0] == pytest.approx(100 * trade["contracts"] * (bought[2] - sold[2]) * 0.01, rel=1e-5)
    assert parts.delta[0] == 0.0


def test_greeks_through_time_are_those_of_the_positions_held_over_the_close():
    result = one_step(101.0)
    trade = result.trades().iloc[0]
    sold, bought = (put_greeks(strike) for strike in trade["strikes"])
    size = 100 * trade["contracts"]
    account = greeks_through_time(result, position_greeks(result))
    for name, place in (("delta", 0), ("gamma", 1), ("vega", 2), ("theta", 3)):
        assert getattr(account, name).tolist() == pytest.approx([size * (bought[place] - sold[place]), 0.0], rel=1e-6)
    assert account.unexplained.tolist() == [0, 0]


def test_a_scenario_reprices_every_leg_at_the_moved_spot_and_volatility():
    result = one_step(101.0)
    trade = result.trades().iloc[0]
    grid = scenario_profit(
        result, position_greeks(result), session=0, spot_moves=[-0.1, 0.0, 0.05], volatility_moves=[-0.05, 0.0, 0.1]
    )
    years = np.array(24 / 365)
    strikes = np.array(trade["strikes"])

    def value(spot: float, volatility: float) -> float:
        legs = put_price(np.array(spot), strikes, years=years, volatility=volatility)
        return 100 * trade["contracts"] * (legs[1] - legs[0])

    expected = [
        [value(100 * (1 + move), VOLATILITY + shift) - value(100, VOLATILITY) for shift in (-0.05, 0.0, 0.1)]
        for move in (-0.1, 0.0, 0.05)
    ]
    np.testing.assert_allclose(grid, expected, rtol=1e-6, atol=1e-6)
    assert grid[1, 1] == 0.0
    after = scenario_profit(result, position_greeks(result), session=1, spot_moves=[0.1], volatility_moves=[0.0])
    assert after.tolist() == [[0.0]]


@pytest.mark.parametrize("name", ["bull_put_spread", "covered_call", "short_strangle"])
def test_the_parts_add_up_for_every_closed_trade_and_are_missing_for_the_others(name):
    generator = np.random.default_rng(4)
    spots = 100.0 * np.exp(np.cumsum(generator.normal(0.0, 0.015, 40)))
    market = small_market(fair_chain(spots, volatility=VOLATILITY))
    strikes = (TargetDelta(0.25),) * len(structure_of(name).legs)
    if name == "bull_put_spread":
        strikes = SPREAD.strikes
    plan = TradePlan(name, structure_of(name), strikes, ExpirationChoice(14, 5, 25), account=AccountRules(1e7))
    result = run_plan(market, plan, entries=entries_every_session(market))
    parts = attribute_profit(result, position_greeks(result))
    total = parts.delta + parts.gamma + parts.theta + parts.vega + parts.expiration + parts.residual
    trades = result.trades()
    is_closed = (trades["status"] == "closed").to_numpy()
    assert 10 < is_closed.sum() < len(trades)
    gross = (trades["pnl_usd"] + trades["fees_usd"]).to_numpy()
    np.testing.assert_allclose(total[is_closed], gross[is_closed], atol=1e-6)
    assert np.isnan(total[~is_closed]).all()
    # Sold options alone earn time and pay for moves; a spread may do either.
    if name != "bull_put_spread":
        assert (parts.theta[is_closed] > 0).all()
        assert (parts.gamma[is_closed] < 0).all()


def test_greeks_of_each_session_have_the_rate_that_was_known_then():
    result = one_step(101.0)
    by_session = position_greeks(result, rate=[0.02, 0.06])
    for session, rate in ((0, 0.02), (1, 0.06)):
        flat = position_greeks(result, rate=rate)
        assert by_session.volatility[:, session] == pytest.approx(flat.volatility[:, session])
        assert by_session.theta[:, session] == pytest.approx(flat.theta[:, session])
    moves = {"spot_moves": [0.05], "volatility_moves": [0.0]}
    expected = scenario_profit(result, position_greeks(result, rate=0.02), session=0, rate=0.02, **moves)
    assert scenario_profit(result, by_session, session=0, rate=[0.02, 0.06], **moves) == pytest.approx(expected)


def test_what_settlement_pays_beyond_the_marks_of_the_session_before_is_expiration():
    # Entered on Tuesday the 2nd, three days before the expiration, 4 in the money at the end.
    market = small_market(fair_chain(np.array([100.0, 100.0, 97.0, 91.0]), volatility=VOLATILITY, half_spread=0.0))
    put = TradePlan("put", structure_of("long_put"), (TargetDelta(0.5),), ExpirationChoice(3, 1, 4))
    result = run_plan(market, put, entries=entries_at(market, [0]))
    trade = result.trades().iloc[0]
    assert trade["exit_reason"] == "expiration"
    parts = attribute_profit(result, position_greeks(result))
    size, strike = 100 * trade["contracts"], trade["strikes"][0]
    before = float(put_price(np.array(97.0), np.array(strike), years=np.array(1 / 365), volatility=VOLATILITY))
    assert parts.expiration[0] == pytest.approx(size * (max(strike - 91.0, 0.0) - before), rel=1e-6)
    # The Greeks explain the two sessions before it, and no third.
    steps = [
        sum(size * part for part in (delta * move + gamma / 2 * move**2 + theta / 365,))
        for spot, days, move in ((100.0, 3, 0.0), (100.0, 2, -3.0))
        for delta, gamma, _, theta in [put_greeks(strike, spot=spot, days=days)]
    ]
    explained = parts.delta[0] + parts.gamma[0] + parts.theta[0]
    assert explained == pytest.approx(sum(steps), rel=1e-5)
    whole = explained + parts.vega[0] + parts.expiration[0] + parts.residual[0]
    assert whole == pytest.approx(trade["pnl_usd"] + trade["fees_usd"], abs=1e-9)


def test_a_trade_that_was_left_before_has_no_part_of_expiration():
    assert attribute_profit(one_step(101.0), position_greeks(one_step(101.0))).expiration.tolist() == [0.0]
