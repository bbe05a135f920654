"""Dividends in plans against ledgers kept by hand: early assignment, shares held over the ex-date, cash."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.trading_dag.backtest.plan_chains import EXACT, chain_frame, fair_chain, small_market
from trading_dag.backtest.markets.chain_market import chain_market
from trading_dag.backtest.markets.dividends import Dividends
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import AccountRules, ExpirationChoice, TargetDelta, TradePlan
from trading_dag.backtest.results.exposures import attribute_profit, position_greeks
from trading_dag.backtest.runs.plan_runs import run_plan
from trading_dag.backtest.trades.entries import entries_at, entries_every_session
from trading_dag.errors import SchemaError
from trading_dag.options.structures.structure import Leg, Structure, TargetDeltaRule, structure_of

FRIDAY = "2024-03-15"
MONDAY = {
    ("P", 95.0): (1.00, 1.10, -0.30), ("C", 105.0): (1.20, 1.30, 0.30), ("C", 110.0): (0.40, 0.50, 0.10),
}  # fmt: skip
# The underlying has risen to 113: 8.00 and 3.00 of intrinsic value.
DEEP = {("C", 105.0): (7.90, 8.10, 0.97), ("C", 110.0): (3.40, 3.60, 0.80)}
AROUND = {("C", 105.0): (1.00, 1.10, 0.28), ("C", 110.0): (0.30, 0.40, 0.08)}
SPREAD = (TargetDelta(0.30), TargetDelta(0.10))


def paid(day: str, amount: float) -> Dividends:
    return Dividends(np.array([day], dtype="datetime64[D]"), np.array([amount]))


def plan(name: str, exits: ExitRules | None = None, **account: float) -> TradePlan:
    strikes = SPREAD[: len(structure_of(name).legs)]
    return TradePlan(
        name, structure_of(name), strikes, ExpirationChoice(11, 5, 20), exits or ExitRules(), AccountRules(**account)
    )  # fmt: skip


def market_of(days, *, ticker: str = "TEST"):
    return chain_market(chain_frame(days, expiration=FRIDAY), ticker=ticker, fills=EXACT)


def risen(ticker: str = "TEST", quotes=DEEP):
    return market_of(
        {"2024-03-04": (100.0, MONDAY), "2024-03-05": (113.0, quotes), "2024-03-06": (111.5, quotes)}, ticker=ticker
    )


def run_first(market, wanted: TradePlan, dividends: Dividends, **arguments: float):
    return run_plan(market, wanted, entries=entries_at(market, [0]), dividends=dividends, **arguments)


def test_an_assigned_call_costs_its_intrinsic_value_of_which_the_dividend_is_a_part() -> None:
    trade = run_first(risen(), plan("bear_call_spread"), paid("2024-03-06", 1.50)).trades().iloc[0]
    # Extrinsic 8.10 − 8.00 < 1.50. The shares sold at 105 are bought back ex dividend at 113 − 1.50: 6.50 more than
    # the strike, and 1.50 are owed: 8.00. The long call is sold at 3.40; 0.70 was received.
    assert (trade["exit_reason"], trade["exit_session"]) == ("assignment", pd.Timestamp("2024-03-05"))
    assert trade["exit_prices"] == pytest.approx([6.50, 3.40])
    assert trade["dividend_owed_usd"] == pytest.approx(4 * 150.0)
    assert trade["exit_value_usd"] == pytest.approx(4 * (-650.0 - 150.0 + 340.0))
    assert trade["pnl_usd"] == pytest.approx(4 * (70.0 - 800.0 + 340.0 - 2.60), abs=1e-9)
    # Middles 1.25 − 0.45 in and 3.50 for the long call out: 0.10 and 0.10 a share; being assigned costs no spread.
    assert trade["spread_cost_usd"] == pytest.approx(4 * (10.0 + 10.0))


@pytest.mark.parametrize(("amount", "day"), [(0.05, "2024-03-06"), (1.50, "2024-03-05"), (1.50, "2024-03-07")])
def test_without_a_dividend_above_the_extrinsic_value_before_the_next_session_nothing_is_assigned(amount, day) -> None:
    assert run_first(risen(), plan("bear_call_spread"), paid(day, amount)).trades()["status"].iloc[0] == "open"


@pytest.mark.parametrize(
    ("ask", "spot", "day"),
    [(7.80, 113.0, "2024-03-07"), (1.00, 104.0, "2024-03-06"), (9.50, 113.0, "2024-03-06")],
    ids=["below exercise, no dividend due", "out of the money", "worth exactly the dividend above exercise"],
)
def test_a_call_is_assigned_only_where_a_dividend_is_due_it_is_in_the_money_and_worth_less_above_exercise(
    ask: float, spot: float, day: str
) -> None:
    quotes = {**DEEP, ("C", 105.0): (ask - 0.20, ask, 0.97)}
    market = market_of({"2024-03-04": (100.0, MONDAY), "2024-03-05": (spot, quotes), "2024-03-06": (spot, quotes)})
    assert run_first(market, plan("bear_call_spread"), paid(day, 1.50)).trades()["status"].iloc[0] == "open"


def test_contracts_of_european_exercise_are_never_assigned() -> None:
    market = risen(ticker="XSP")
    assert run_first(market, plan("bear_call_spread"), paid("2024-03-06", 1.50)).trades()["status"].iloc[0] == "open"


def test_a_covered_call_delivers_its_shares_the_session_before_and_neither_receives_nor_owes_the_dividend() -> None:
    result = run_first(risen(), plan("covered_call", risk_fraction=0.1), paid("2024-03-06", 1.50))
    trade = result.trades().iloc[0]
    # Shares bought at 100.00 and delivered at 105.00, 1.20 received for the call.
    assert (trade["exit_reason"], trade["exit_session"]) == ("assignment", pd.Timestamp("2024-03-05"))
    assert trade["exit_prices"] == pytest.approx([8.00])
    assert (trade["dividend_owed_usd"], trade["dividend_received_usd"]) == (0.0, 0.0)
    assert trade["pnl_usd"] == pytest.approx(500.0 + 120.0 - 1.30, abs=1e-9)
    assert result.history.cash[-1] == pytest.approx(100_000.0 + 618.70)


HELD = {
    "2024-03-04": (100.0, MONDAY),
    "2024-03-05": (101.0, AROUND),
    "2024-03-06": (99.5, AROUND),
    "2024-03-08": (99.5, AROUND),
}


@pytest.mark.parametrize(
    ("day", "sessions", "received", "at"),
    [
        # bought at the close of the ex-date: not held over the night before it
        ("2024-03-04", 3, 0.0, None),
        ("2024-03-06", 3, 150.0, 2),
        # left at the close of the ex-date itself
        ("2024-03-06", 2, 150.0, 2),
        ("2024-03-06", 1, 0.0, None),
        # no quotes on that Thursday: it is seen on Friday
        ("2024-03-07", 3, 150.0, 3),
        ("2024-03-11", 3, 0.0, None),
    ],
)
def test_shares_held_over_the_ex_date_are_paid_the_dividend_on_it(day, sessions, received, at) -> None:
    market = market_of(HELD)
    wanted = plan("covered_call", ExitRules(horizon_sessions=sessions), risk_fraction=0.1)
    result = run_first(market, wanted, paid(day, 1.50))
    without = run_plan(market, wanted, entries=entries_at(market, [0]))
    trade = result.trades().iloc[0]
    assert trade["dividend_received_usd"] == pytest.approx(received)
    # 120.00 for the call, 110.00 to buy it back, and the shares.
    shares = 100.0 * (list(HELD.values())[sessions][0] - 100.0)
    assert trade["pnl_usd"] == pytest.approx(shares + 120.0 - 110.0 - 1.30 + received, abs=1e-9)
    steps = np.diff(result.history.cash - without.history.cash, prepend=0.0)
    assert steps.tolist() == pytest.approx([received if session == at else 0.0 for session in range(4)])


def test_a_dividend_counts_in_excursions_in_targets_and_in_the_residual_of_the_profit() -> None:
    market = market_of(HELD)
    wanted = plan("covered_call", ExitRules(horizon_sessions=3), risk_fraction=0.1)
    result = run_first(market, wanted, paid("2024-03-06", 1.50))
    trade = result.trades().iloc[0]
    # At the closes 101 − 1.05 on Tuesday, 99.50 − 1.05 + 1.50 on Wednesday, against 100 − 1.20.
    assert trade["mfe_usd"] == pytest.approx(115.0)
    parts = attribute_profit(result, position_greeks(result))
    explained = parts.delta + parts.gamma + parts.theta + parts.vega + parts.residual
    assert explained[0] == pytest.approx(trade["pnl_usd"] + trade["fees_usd"])
    # The maximum is 105 − 98.80 = 6.20. With the dividend 99.50 − 1.10 + 1.50 is 1.10 above the 98.80 paid: 17.7 %.
    targeted = plan("covered_call", ExitRules(profit_target_fraction=0.177), risk_fraction=0.1)
    first = {name: quotes for name, quotes in HELD.items() if name != "2024-03-05"}
    with_it = run_first(market_of(first), targeted, paid("2024-03-06", 1.50)).trades().iloc[0]
    assert (with_it["exit_reason"], with_it["exit_session"]) == ("profit_target", pd.Timestamp("2024-03-06"))
    assert run_first(market_of(first), targeted, paid("2024-03-20", 1.50)).trades()["status"].iloc[0] == "open"


def test_a_call_without_a_quote_is_assigned_on_the_price_that_the_put_at_its_strike_implies() -> None:
    # Only the long call is quoted. The put at 105 is at 0.02: the call is worth its intrinsic value and hardly more.
    quotes = {("C", 110.0): (3.40, 3.60, 0.80), ("P", 105.0): (0.01, 0.03, -0.01)}
    result = run_first(risen(quotes=quotes), plan("bear_call_spread"), paid("2024-03-06", 1.50))
    trade = result.trades().iloc[0]
    assert (trade["exit_reason"], trade["exit_session"]) == ("assignment", pd.Timestamp("2024-03-05"))
    assert trade["pnl_usd"] == pytest.approx(4 * (70.0 - 800.0 + 340.0 - 2.60), abs=1e-9)
    # By parity a put at 2.00 leaves the call 8.00 − 0.40 + 2.00: more above exercise than the dividend of 0.40.
    dear = {**quotes, ("P", 105.0): (1.95, 2.05, -0.30)}
    small = paid("2024-03-06", 0.40)
    assert run_first(risen(quotes=dear), plan("bear_call_spread"), small).trades()["status"].iloc[0] == "open"


def test_a_dividend_on_shares_sold_short_is_paid_by_the_seller() -> None:
    structure = Structure("hedged", (Leg("C", "buy", TargetDeltaRule(0.3)),), underlying_ratio=-1)
    wanted = TradePlan(
        "hedged", structure, (TargetDelta(0.30),), ExpirationChoice(11, 5, 20), ExitRules(horizon_sessions=3)
    )  # fmt: skip
    paths = run_first(market_of(HELD), wanted, paid("2024-03-06", 1.50)).paths
    assert paths.dividends_received[0].tolist() == [0.0, 0.0, -1.50, -1.50]


@pytest.mark.parametrize(
    ("dates", "amounts"),
    [
        (["2024-03-06", "2024-03-05"], [1.0, 1.0]),
        (["NaT"], [1.0]),
        (["2024-03-06"], [-1.0]),
        (["2024-03-06"], [np.nan]),
        (["2024-03-06"], [1.0, 1.0]),
    ],
)
def test_dividends_that_cannot_be_are_a_typed_error(dates, amounts) -> None:
    with pytest.raises(SchemaError, match="dividends"):
        Dividends(np.array(dates, dtype="datetime64[D]"), np.array(amounts))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    name=st.sampled_from(["covered_call", "bear_call_spread", "short_strangle", "bull_put_spread"]),
    ex_days=st.lists(st.integers(0, 40), min_size=1, max_size=3, unique=True),
    amount=st.floats(0.01, 3.0),
    held=st.none() | st.integers(1, 8),
)
def test_cash_is_fills_less_fees_and_dividends_counted_once(seed, name, ex_days, amount, held) -> None:
    generator = np.random.default_rng(seed)
    spots = 100.0 * np.exp(np.cumsum(generator.normal(0.0, 0.02, 25)))
    frame = fair_chain(spots, volatility=0.3)
    market = small_market(frame[generator.random(len(frame)) > 0.1].reset_index(drop=True))
    legs = len(structure_of(name).legs)
    wanted = TradePlan(
        name, structure_of(name), (TargetDelta(0.30), TargetDelta(0.10))[:legs], ExpirationChoice(14, 3, 25),
        ExitRules(horizon_sessions=held), AccountRules(risk_fraction=0.2),
    )  # fmt: skip
    ex = np.sort(np.datetime64("2024-01-02") + np.array(ex_days))
    result = run_plan(
        market, wanted, entries=entries_every_session(market), dividends=Dividends(ex, np.full(len(ex), amount))
    )
    taken = result.trades().query("status != 'skipped'")
    shares, signs = wanted.structure.underlying_ratio, wanted.structure.signed_ratios
    cash = wanted.account.account_usd
    for row in result.equity().itertuples():
        for trade in taken.itertuples():
            size, fees = 100 * trade.contracts, 0.65 * legs * trade.contracts
            if trade.entry_session == row.session:
                cash -= size * (float(signs @ np.array(trade.entry_prices)) + shares * trade.entry_spot) + fees
            if trade.exit_session == row.session:
                cash += size * (float(signs @ np.array(trade.exit_prices)) + shares * trade.exit_spot) - fees
                cash -= trade.dividend_owed_usd
        # Whoever has shares at the close before the ex-date is paid at the first session from it on.
        for day in pd.DatetimeIndex(ex):
            is_first = day <= row.session and not ((market.sessions >= ex[ex == day][0])
                                                   & (market.sessions < np.datetime64(row.session))).any()  # fmt: skip
            for trade in taken.itertuples():
                ended = pd.isna(trade.exit_session) or trade.exit_session >= row.session
                if is_first and trade.entry_session < row.session and ended:
                    cash += 100 * trade.contracts * shares * amount
        assert row.cash_usd == pytest.approx(cash, abs=1e-6)
    closed = taken.query("status == 'closed'")
    parts = closed["exit_value_usd"] - closed["entry_cost_usd"] + closed["dividend_received_usd"] - closed["fees_usd"]
    assert closed["pnl_usd"].tolist() == pytest.approx(parts.tolist(), abs=1e-6)
    called = closed.query("exit_reason == 'assignment'")
    assert (called["dividend_received_usd"] * called["dividend_owed_usd"] == 0.0).all()


def test_cash_at_the_end_is_that_of_the_trades_also_where_a_covered_call_is_still_open() -> None:
    """Starting cash, less entry costs and fees, with exit values and dividends received so far."""
    days = dict.fromkeys(("2024-03-04", "2024-03-05", "2024-03-06"), (100.0, MONDAY))
    result = run_first(
        market_of(days), plan("covered_call", account_usd=100_000, risk_fraction=0.5), paid("2024-03-06", 1.50)
    )
    trade = result.trades().iloc[0]
    assert (trade["status"], trade["contracts"]) == ("open", 5)
    # Five lots of shares at 100.00 less the call at 1.20, a fee of 0.65 each, and 1.50 a share.
    assert trade["dividend_received_usd"] == pytest.approx(750.0)
    assert np.isnan(trade["pnl_usd"])
    assert result.history.cash[-1] == pytest.approx(100_000 - 5 * 9_880 - 5 * 0.65 + 750)
    assert result.history.cash[-1] == pytest.approx(
        100_000 - trade["entry_cost_usd"] - trade["fees_usd"] + trade["dividend_received_usd"]
    )
