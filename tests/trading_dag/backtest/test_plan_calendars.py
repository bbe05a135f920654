"""Calendars on chains: two expirations, one quote date for all legs, out no later than the near one expires."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.chain_quotes import QuoteFilter, read_chain_quotes
from tests.trading_dag.backtest.plan_chains import chain_frame, fair_chain, small_market
from trading_dag.backtest.markets.chain_market import chain_market
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import (
    AccountRules,
    ExpirationChoice,
    FillAssumptions,
    TargetDelta,
    TradePlan,
    Width,
)
from trading_dag.backtest.results.exposures import attribute_profit, position_greeks, scenario_profit
from trading_dag.backtest.runs.plan_runs import run_plan
from trading_dag.backtest.trades.entries import entries_at, entries_every_session
from trading_dag.options.structures.payoff import adverse_moves
from trading_dag.options.structures.structure import (
    AtTheMoneyRule,
    BackExpiryRule,
    Leg,
    Structure,
    TargetDeltaRule,
    structure_of,
)

NEAR, FAR = "2024-03-15", "2024-04-12"
CALENDAR = TradePlan(
    "calendar", structure_of("calendar"), (TargetDelta(0.50), Width(0, 0.0)), ExpirationChoice(11, 5, 20)
)


def day(near: tuple[float, float], far: tuple[float, float] | None):
    quotes = {("C", 100.0, NEAR): (*near, 0.50)}
    # A nearer expiration than four weeks after the front, and another strike, are not what the rule asks for.
    quotes |= {("C", 100.0, "2024-04-05"): (3.90, 4.10, 0.52), ("C", 105.0, FAR): (2.00, 2.10, 0.35)}
    return quotes | ({("C", 100.0, FAR): (*far, 0.53)} if far else {})


PATH = {
    "2024-03-04": (100.0, day((1.90, 2.00), (4.40, 4.60))),
    "2024-03-05": (101.0, day((2.20, 2.30), (4.90, 5.10))),
    "2024-03-06": (100.5, day((1.80, 1.90), (4.60, 4.80))),
    NEAR: (101.0, day((0.95, 1.05), (4.00, 4.20))),
    "2024-03-18": (101.5, day((0.00, 0.00), (4.10, 4.30))),
}


def first_of(path=PATH, plan: TradePlan = CALENDAR):
    market = small_market(chain_frame(path))
    return run_plan(market, plan, entries=entries_at(market, [0]))


def test_a_calendar_is_kept_to_the_cent_as_in_a_ledger_by_hand() -> None:
    result = first_of(plan=replace(CALENDAR, exits=ExitRules(horizon_sessions=2)))
    trade = result.trades().iloc[0]
    # Sold at 1.90, bought at 4.60: 2.70 a share, the risk; 2,000/272.60 is 7. Out at 4.60 − 1.90.
    assert trade["leg_expirations"] == [NEAR, FAR]
    assert trade["expiration"] == pd.Timestamp(NEAR)
    assert trade["strikes"] == [100.0, 100.0]
    assert trade["contracts"] == 7
    assert trade["max_loss_usd"] == pytest.approx(7 * 270.0)
    assert result.margin_usd[0] == pytest.approx(270.0)
    assert trade["pnl_usd"] == pytest.approx(7 * (-270.0 + 270.0 - 2.60), abs=1e-9)
    # Middles 4.50 − 1.95 and 5.00 − 2.25.
    assert result.equity()["marks_usd"].tolist()[1:4] == pytest.approx([7 * 255.0, 7 * 275.0, 0.0])


def test_at_the_near_expiration_the_near_leg_settles_and_the_far_one_is_sold_at_its_quote() -> None:
    trade = first_of().trades().iloc[0]
    assert (trade["exit_reason"], trade["exit_session"]) == ("expiration", pd.Timestamp(NEAR))
    # The near call pays 1.00, the far one is sold at 4.00.
    assert trade["exit_prices"] == pytest.approx([1.00, 4.00])
    assert trade["pnl_usd"] == pytest.approx(7 * (-270.0 + 300.0 - 2.60), abs=1e-9)
    # In: 4.60 and 1.90 against middles 4.50 and 1.95; out: 4.00 against 4.10; settling has no spread.
    assert trade["spread_cost_usd"] == pytest.approx(7 * (15.0 + 10.0))


def test_a_far_leg_without_a_quote_is_sold_at_the_first_later_one_while_the_near_keeps_its_settlement() -> None:
    path = {**PATH, NEAR: (101.0, day((0.95, 1.05), None))}
    result = first_of(path)
    trade = result.trades().iloc[0]
    assert (trade["exit_reason"], trade["exit_session"]) == ("expiration", pd.Timestamp("2024-03-18"))
    assert trade["exit_prices"] == pytest.approx([1.00, 4.10])
    assert trade["exit_spot"] == 101.5
    assert result.history.open_positions.tolist() == [1, 1, 1, 1, 0]
    # No rule but the expiration's is judged after it.
    late = replace(CALENDAR, exits=ExitRules(stop_underlying_fraction=0.012))
    assert first_of(path, late).trades()["exit_reason"].iloc[0] == "expiration"


def test_a_far_leg_that_waits_for_a_quote_is_marked_by_the_put_beside_what_the_near_settled_at() -> None:
    put = {("P", 100.0, FAR): (2.90, 3.10, -0.47)}
    path = {
        **PATH,
        NEAR: (101.0, {**day((0.95, 1.05), None), **put}),
        "2024-03-18": (101.5, {**day((0.00, 0.00), None), **put}),
    }
    # By parity 3.00 + 1.00 less the near call's 1.00, then 3.00 + 1.50 less the 1.00 that it settled at.
    assert first_of(path).history.marks[3:].tolist() == pytest.approx([7 * 300.0, 7 * 350.0])


def test_without_any_later_quote_it_is_reported_as_open() -> None:
    path = {**PATH, NEAR: (101.0, day((0.95, 1.05), None)), "2024-03-18": (101.5, day((0.0, 0.0), None))}
    result = first_of(path)
    assert result.trades()["status"].iloc[0] == "open"
    assert result.history.open_positions.tolist() == [1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("exits", "reason", "session"),
    [
        # A cost of 2.70; 4.60 − 1.90 on Wednesday, 4.90 − 2.30 = 2.60 on Tuesday: a loss of 3.7 % of it.
        (ExitRules(stop_premium_multiple=0.03), "stop", "2024-03-05"),
        (ExitRules(stop_underlying_fraction=0.01), "stop", "2024-03-05"),
        (ExitRules(days_to_expiration=9), "days_to_expiration", "2024-03-06"),
        # Without a bound on the profit the target is of the premium: 4.00 − 1.05 = 2.95 on Friday, 9.3 %.
        (ExitRules(profit_target_fraction=0.09), "profit_target", NEAR),
    ],
)
def test_rules_close_both_legs_on_one_quote(exits, reason, session) -> None:
    trade = first_of(plan=replace(CALENDAR, exits=exits)).trades().iloc[0]
    assert (trade["exit_reason"], trade["exit_session"]) == (reason, pd.Timestamp(session))


def test_a_move_either_way_hurts_a_calendar() -> None:
    positions = first_of().paths.positions
    assert adverse_moves(positions.plan.structure, positions.strikes).tolist() == [0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({("C", 100.0, FAR): None}, "missing_leg"),
        ({("C", 100.0, FAR): None, ("C", 105.0, FAR): None}, "no_expiration"),
        # listed, but 58 days after the front and not 28 to 56
        (
            {("C", 100.0, FAR): None, ("C", 105.0, FAR): None, ("C", 100.0, "2024-05-12"): (6.0, 6.2, 0.55)},
            "no_expiration",
        ),
        ({("C", 100.0, FAR): (1.70, 1.80, 0.53)}, "costs_nothing"),
    ],
)
def test_a_calendar_that_cannot_be_opened_is_skipped_with_its_reason(change, reason) -> None:
    quotes = {key: quote for key, quote in {**PATH["2024-03-04"][1], **change}.items() if quote is not None}
    assert first_of({**PATH, "2024-03-04": (100.0, quotes)}).skip_reasons() == {reason: 1}


@pytest.mark.parametrize(("expiration", "is_near_enough"), [("2024-05-10", True), ("2024-05-11", False)])
def test_a_far_leg_expires_at_most_twice_as_long_after_the_front_as_the_rule_asks(expiration, is_near_enough) -> None:
    # The front expires on 2024-03-15; 28 days are asked for, 56 are the most.
    quotes = {key: quote for key, quote in PATH["2024-03-04"][1].items() if key[2] != FAR}
    quotes[("C", 100.0, expiration)] = (4.40, 4.60, 0.53)
    result = first_of({**PATH, "2024-03-04": (100.0, quotes)})
    assert result.skip_reasons() == ({} if is_near_enough else {"no_expiration": 1})


def test_a_diagonal_needs_its_debit_less_what_exercise_of_both_pays_at_worst() -> None:
    diagonal = Structure(
        "diagonal",
        (Leg("C", "sell", TargetDeltaRule(0.5)), Leg("C", "buy", AtTheMoneyRule(), expiry_rule=BackExpiryRule())),
    )
    wanted = TradePlan("diagonal", diagonal, (TargetDelta(0.5), Width(0, 5.0)), ExpirationChoice(11, 5, 20))
    result = first_of(plan=wanted)
    # 2.10 − 1.90 paid, and above 105 the far call at 105 pays 5 less than the near one at 100 costs.
    assert result.margin_usd[0] == pytest.approx(100 * (0.20 + 5.00))
    positions = result.paths.positions
    assert adverse_moves(positions.plan.structure, positions.strikes).tolist() == [1]


def test_greeks_and_scenarios_value_each_leg_to_its_own_expiration() -> None:
    market = small_market(fair_chain(np.array([100.0, 100.0, 101.0]), volatility=0.3, half_spread=0.0, lives=45))
    wanted = TradePlan(
        "calendar", structure_of("put_calendar"), (TargetDelta(0.5), Width(0, 0.0)), ExpirationChoice(11, 5, 14),
        ExitRules(horizon_sessions=2),
    )  # fmt: skip
    result = run_plan(market, wanted, entries=entries_at(market, [0]))
    held = position_greeks(result)
    # Quotes are those of one volatility: every leg implies it again, whatever its expiration.
    assert held.volatility[0] == pytest.approx(np.full((3, 2), 0.3), abs=1e-9)
    parts = attribute_profit(result, held)
    total = parts.delta + parts.gamma + parts.theta + parts.vega + parts.residual
    assert total[0] == pytest.approx(result.profit_usd[0] + result.fees_usd[0])
    grid = scenario_profit(result, held, session=0, spot_moves=[0.0], volatility_moves=[0.0, 0.01])
    assert grid[0, 0] == 0.0
    # The far leg has more vega: a calendar gains from volatility.
    assert grid[0, 1] > 0.0


def assert_equal_to_a_loop(
    trades, quotes, spots, *, listed, right: str, held: int | None, rolls: int | None
) -> set[str]:
    """Follow each trade through {(session, expiration, strike): (bid, ask)}; returns the reasons that were met."""
    sessions = sorted(spots)
    met = set()
    for trade in trades[trades["status"] != "skipped"].itertuples():
        near, far = (pd.Timestamp(text) for text in trade.leg_expirations)
        assert far == min(date for date in listed[trade.entry_session] if (date - near).days >= 28)
        strike, start = trade.strikes[0], sessions.index(trade.entry_session)
        assert trade.strikes[1] == strike
        cost = quotes[sessions[start], far, strike][1] - quotes[sessions[start], near, strike][0]
        reason, ended, received, settled = "", None, math.nan, None
        for elapsed, today in enumerate(sessions[start + 1 :], start=1):
            sells, buys = quotes.get((today, far, strike)), quotes.get((today, near, strike))
            if today <= near and sells and buys:
                if held is not None and elapsed >= held:
                    reason, received = "horizon", sells[0] - buys[1]
                elif rolls is not None and (near - today).days <= rolls:
                    reason, received = "roll", sells[0] - buys[1]
            if today == near:
                settled = max(spots[today] - strike if right == "C" else strike - spots[today], 0.0)
            if not reason and settled is not None and sells:
                reason, received = "expiration", sells[0] - settled
            if reason:
                ended = today
                break
        assert trade.exit_reason == reason
        met.add(reason)
        if reason:
            assert trade.exit_session == ended
            gross = 100 * (received - cost) - 2 * 2 * 0.65
            assert trade.pnl_usd == pytest.approx(trade.contracts * gross, abs=1e-6)
            assert trade.max_loss_usd == pytest.approx(100 * trade.contracts * cost)
    return met


def in_cents(bid: float, ask: float) -> tuple[float, float]:
    return max(math.floor(bid * 100 + 1e-7), 0) / 100, math.ceil(ask * 100 - 1e-7) / 100


def without_limits(name: str, choice: ExpirationChoice, *, held: int | None, rolls: int | None) -> TradePlan:
    exits = ExitRules(horizon_sessions=held, roll_days_to_expiration=rolls)
    account = AccountRules(account_usd=1e9, risk_fraction=2e-6)
    return TradePlan(name, structure_of(name), (TargetDelta(0.5), Width(0, 0.0)), choice, exits, account)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    name=st.sampled_from(["calendar", "put_calendar"]),
    held=st.none() | st.integers(1, 8),
    rolls=st.none() | st.integers(1, 6),
)
def test_on_simulated_quotes_a_loop_over_rows_comes_to_the_same_trades(seed, name, held, rolls) -> None:
    generator = np.random.default_rng(seed)
    path = 100.0 * np.exp(np.cumsum(generator.normal(0.0, 0.012, 30)))
    frame = fair_chain(path, volatility=0.3, lives=45)
    frame = frame[generator.random(len(frame)) > 0.1].reset_index(drop=True)
    market = small_market(frame)
    wanted = without_limits(name, ExpirationChoice(10, 6, 14), held=held, rolls=rolls)
    trades = run_plan(market, wanted, entries=entries_every_session(market)).trades()
    right = "C" if name == "calendar" else "P"
    listed = frame.groupby("quote_date")["expiration"].unique().to_dict()
    frame = frame[(frame["option_right"] == right) & (frame["bid"] >= 0) & (frame["ask"] > 0)]
    quotes = {(row.quote_date, row.expiration, row.strike): in_cents(row.bid, row.ask) for row in frame.itertuples()}
    spots = dict(zip((pd.Timestamp(session) for session in market.sessions), path.tolist(), strict=True))
    assert assert_equal_to_a_loop(trades, quotes, spots, listed=listed, right=right, held=held, rolls=rolls)


@pytest.mark.files_data
@pytest.mark.parametrize("name", ["calendar", "put_calendar"])
def test_on_real_last_trades_a_loop_over_rows_comes_to_the_same_trades(real_data: Path, name: str) -> None:
    path = real_data / "option_chain_eod.parquet"
    market = chain_market(
        read_chain_quotes(path, keep=QuoteFilter(ticker="SPY")), ticker="SPY", fills=FillAssumptions()
    )  # fmt: skip
    right = "C" if name == "calendar" else "P"
    frame = pd.read_parquet(path).query("ticker == 'SPY'")
    frame = frame.assign(quote_date=pd.to_datetime(frame["quote_date"]), expiration=pd.to_datetime(frame["expiration"]))
    listed = frame.groupby("quote_date")["expiration"].unique().to_dict()
    frame = frame[frame["right"] == right]
    spots = frame.groupby("quote_date")["underlying_price"].first().to_dict()
    depth = np.maximum((frame["underlying_price"] - frame["strike"]) * (1 if right == "C" else -1), 0.0)
    half = np.maximum(0.01 * frame["last"], 0.01)
    frame = frame[(frame["volume"] > 0) & (frame["last"] > 0) & (frame["last"] >= depth - half - 1e-7)]
    half = half[frame.index]
    keys = zip(frame["quote_date"], frame["expiration"], frame["strike"], strict=True)
    sides = zip(frame["last"] - half, frame["last"] + half, strict=True)
    quotes = {key: in_cents(*side) for key, side in zip(keys, sides, strict=True)}
    met = set()
    for held, rolls in ((None, None), (4, None)):
        wanted = without_limits(name, ExpirationChoice(10, 7, 14), held=held, rolls=rolls)
        trades = run_plan(market, wanted, entries=entries_every_session(market)).trades()
        assert (trades["status"] == "closed").sum() >= 10
        met |= assert_equal_to_a_loop(trades, quotes, spots, listed=listed, right=right, held=held, rolls=rolls)
    assert {"expiration", "horizon"} <= met
