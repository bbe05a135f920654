"""Positions that live through splits and special dividends: worth what they are in new shares throughout."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.trading_dag.backtest.plan_chains import chain_frame, fair_chain
from trading_dag.backtest.markets.chain_market import ChainMarket, chain_market
from trading_dag.backtest.markets.corporate_actions import (
    NO_ACTIONS,
    CorporateAction,
    CorporateActions,
    actions_of_prices,
)
from trading_dag.backtest.markets.dividends import Dividends
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import (
    AccountRules,
    ExpirationChoice,
    FillAssumptions,
    TargetDelta,
    TradePlan,
    Width,
)
from trading_dag.backtest.results.exposures import attribute_profit, greeks_through_time, position_greeks
from trading_dag.backtest.results.plan_results import PlanResult
from trading_dag.backtest.runs.plan_inputs import known_dividends
from trading_dag.backtest.runs.plan_runs import run_plan
from trading_dag.backtest.trades.entries import entries_every_session
from trading_dag.options.structures.structure import structure_of

SPLIT_AT, SESSIONS = 8, 20
# No rounding, so that a price in old shares is exactly so many in new ones.
SMOOTH = FillAssumptions(half_spread_fraction=0.0, half_spread_minimum_usd=0.0, price_tick_usd=1e-9)
DAYS = pd.bdate_range("2024-01-02", periods=SESSIONS)
PLANS = {
    "short_strangle": (TargetDelta(0.25), TargetDelta(0.25)),
    "bull_put_spread": (TargetDelta(0.30), TargetDelta(0.10)),
    "iron_condor": (TargetDelta(0.25), Width(0, 0.04, "spot_fraction"), TargetDelta(0.25),
                    Width(2, 0.04, "spot_fraction")),
    "covered_call": (TargetDelta(0.30),),
    "long_put": (TargetDelta(0.40),),
    "cash_secured_put": (TargetDelta(0.30),),
}  # fmt: skip
EXITS = {
    "expiration": ExitRules(),
    "target and stop": ExitRules(profit_target_fraction=0.3, stop_underlying_fraction=0.03),
    "premium": ExitRules(stop_premium_multiple=0.5, days_to_expiration=3),
    "rolls": ExitRules(roll_days_to_expiration=5, roll_short_delta=0.6),
    "horizon": ExitRules(horizon_sessions=4),
}


def new_shares(seed: int, *, holes: float = 0.05) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    frame = fair_chain(100.0 * np.exp(np.cumsum(generator.normal(0.0, 0.02, SESSIONS))), volatility=0.3)
    frame["strike"] = frame["strike"].round(2)
    return frame[generator.random(len(frame)) > holes].reset_index(drop=True)


def as_traded(frame: pd.DataFrame, ratio: float) -> pd.DataFrame:
    """The same quotes as they were before a split: each USD of old shares is so many of new ones."""
    is_old = frame["quote_date"] < DAYS[SPLIT_AT]
    columns = ("underlying_price", "strike", "bid", "ask")
    return frame.assign(**{name: np.where(is_old, frame[name] * ratio, frame[name]) for name in columns})


def split_of(ratio: float) -> CorporateActions:
    return CorporateActions((CorporateAction(day(SPLIT_AT), "the split", ratio),))


def day(place: int) -> int:
    return int(DAYS[place].to_datetime64().astype("datetime64[D]").astype(int))


def market_of(frame: pd.DataFrame, actions: CorporateActions = NO_ACTIONS) -> ChainMarket:
    return chain_market(frame, ticker="TEST", fills=SMOOTH, splits=actions)


def plan_of(name: str, exits: ExitRules, **account: float) -> TradePlan:
    rules = AccountRules(**{"account_usd": 1e9, "risk_fraction": 0.01, "fee_per_leg_contract_usd": 0.0, **account})
    return TradePlan(name, structure_of(name), PLANS[name], ExpirationChoice(10, 3, 25), exits, rules)


def run(market: ChainMarket, plan: TradePlan, dividends: Dividends | None = None) -> PlanResult:
    return run_plan(market, plan, entries=entries_every_session(market), dividends=dividends, rate=0.02)


def paid_on(place: int, amount: float, *, is_special: bool = False) -> Dividends:
    return Dividends(np.array([day(place)]).astype("datetime64[D]"), np.array([amount]), np.array([is_special]))


@pytest.mark.parametrize("exits", EXITS)
@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("ratio", [10.0, 3.0, 1.5, 0.125])
def test_a_split_changes_no_profit_no_exit_and_no_mark(name, exits, ratio):
    frame, plan = new_shares(7), plan_of(name, EXITS[exits])
    # Two dividends, one before and one after the split, in USD of their day and in new shares.
    old, new = (np.array([day(5), day(12)]).astype("datetime64[D]"), np.array([4.0 * ratio, 3.0])), np.array([4.0, 3.0])
    split = run(market_of(as_traded(frame, ratio), split_of(ratio)), plan, Dividends(*old))
    whole = run(market_of(frame), plan, Dividends(old[0], new))
    found, expected = split.trades(), whole.trades()
    assert found["status"].tolist() == expected["status"].tolist()
    assert found["exit_reason"].tolist() == expected["exit_reason"].tolist()
    assert found["exit_session"].equals(expected["exit_session"])
    is_old = (found["entry_session"] < DAYS[SPLIT_AT]).to_numpy()
    # A structure of before the split is on one old share, which is so many new ones.
    shares = np.where(is_old, ratio, 1.0)
    for name_of_column in ("pnl_usd", "mae_usd", "mfe_usd", "entry_cost_usd", "exit_value_usd", "dividend_received_usd",
                           "dividend_owed_usd"):  # fmt: skip
        one = found[name_of_column] / found["contracts"]
        of_whole = expected[name_of_column] / expected["contracts"]
        assert one.to_numpy() == pytest.approx(of_whole.to_numpy() * shares, rel=1e-7, abs=1e-3, nan_ok=True)
    lived = (found["adjusted_by"] == "the split").to_numpy()
    assert lived.any()
    assert not lived[~is_old].any()
    assert found.loc[lived, "exit_session"].dropna().ge(DAYS[SPLIT_AT]).all()
    assert split.paths.mark == pytest.approx(whole.paths.mark * shares[:, np.newaxis], rel=1e-7, abs=1e-4, nan_ok=True)


@pytest.mark.parametrize("ratio", [2.0, 5.0])
def test_a_whole_split_that_nobody_recorded_is_found_by_the_contracts_it_made(ratio):
    frame = as_traded(new_shares(3, holes=0.0), ratio)
    told, found = (market_of(frame, actions) for actions in (split_of(ratio), NO_ACTIONS))
    assert found.actions.names == (f"looks like {ratio:g} for 1 on {DAYS[SPLIT_AT]:%Y-%m-%d}",)
    plan = plan_of("short_strangle", ExitRules())
    assert run(found, plan).profit_usd.tolist() == pytest.approx(run(told, plan).profit_usd.tolist(), nan_ok=True)


def test_contracts_that_a_split_has_multiplied_pay_as_many_fees_to_leave():
    frame, plan = as_traded(new_shares(7), 10.0), plan_of("bull_put_spread", ExitRules(), fee_per_leg_contract_usd=1.0)
    trades = run(market_of(frame, split_of(10.0)), plan).trades()
    closed = trades[trades["status"] == "closed"]
    lived = closed["adjusted_by"] != ""
    assert lived.any()
    assert not lived.all()
    # Two legs: a dollar each in; ten contracts of each out.
    assert (closed["fees_usd"] / closed["contracts"]).tolist() == np.where(lived, 22.0, 4.0).tolist()
    # 150 shares a contract are one contract still.
    odd = run(market_of(as_traded(new_shares(7), 1.5), split_of(1.5)), plan).trades()
    closed = odd[odd["status"] == "closed"]
    assert (closed["fees_usd"] / closed["contracts"]).unique().tolist() == [4.0]


def special_chain(*, cash: float, are_adjusted: bool = True) -> pd.DataFrame:
    """A flat underlying that goes ex a special dividend on the third of five sessions, and its contracts with it."""
    sessions = {}
    for place, name in enumerate(["2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07", "2024-03-08"]):
        off = cash if place >= 2 else 0.0
        strike = 100.0 - off if are_adjusted else 100.0
        sessions[name] = (100.0 - off, {("C", strike): (5.0, 5.0, 0.50), ("P", strike): (5.0, 5.0, -0.50)})
    return chain_frame(sessions, expiration="2024-03-08")


@pytest.mark.parametrize(("name", "of_premium"), [("long_put", -5.0), ("long_call", -5.0), ("short_straddle", 10.0)])
def test_a_special_dividend_moves_strikes_with_the_underlying_so_that_nothing_is_earned_by_it(name, of_premium):
    ex = int(np.datetime64("2024-03-06", "D").astype(int))
    actions = CorporateActions((CorporateAction(ex, "special dividend of 8 USD on 2024-03-06", cash=8.0),))
    market = market_of(special_chain(cash=8.0), actions)
    legs = structure_of(name).legs
    plan = TradePlan(name, structure_of(name), (TargetDelta(0.5),) * len(legs), ExpirationChoice(4, 1, 12),
                     ExitRules(), AccountRules(1e6, 0.5, 0.0))  # fmt: skip
    paid = Dividends(np.array(["2024-03-06"], dtype="datetime64[D]"), np.array([8.0]), np.array([True]))
    trade = run(market, plan, paid).trades().iloc[0]
    # It settles at 92 on strikes of 92.
    assert trade["exit_reason"] == "expiration"
    assert trade["pnl_usd"] / trade["contracts"] == pytest.approx(100.0 * of_premium)
    assert trade["adjusted_by"] == "special dividend of 8 USD on 2024-03-06"
    assert trade["dividend_owed_usd"] == 0.0


def test_whoever_holds_shares_is_paid_a_special_dividend_and_nobody_calls_them_away_for_it():
    ex = int(np.datetime64("2024-03-06", "D").astype(int))
    actions = CorporateActions((CorporateAction(ex, "special", cash=8.0),))
    plan = TradePlan("covered_call", structure_of("covered_call"), (TargetDelta(0.5),), ExpirationChoice(4, 1, 12),
                     ExitRules(), AccountRules(1e6, 0.5, 0.0))  # fmt: skip
    paid = Dividends(np.array(["2024-03-06"], dtype="datetime64[D]"), np.array([8.0]), np.array([True]))
    trade = run(market_of(special_chain(cash=8.0), actions), plan, paid).trades().iloc[0]
    # 8 lost on the shares and received, 5 for the call that settles at its strike.
    assert trade["exit_reason"] == "expiration"
    assert trade["dividend_received_usd"] / trade["contracts"] == pytest.approx(800.0)
    assert trade["pnl_usd"] / trade["contracts"] == pytest.approx(500.0)


def test_a_special_dividend_is_no_move_against_anybody():
    ex = int(np.datetime64("2024-03-06", "D").astype(int))
    actions = CorporateActions((CorporateAction(ex, "special", cash=8.0),))
    plan = TradePlan("cash_secured_put", structure_of("cash_secured_put"), (TargetDelta(0.5),),
                     ExpirationChoice(4, 1, 12), ExitRules(stop_underlying_fraction=0.02),
                     AccountRules(1e6, 0.5, 0.0))  # fmt: skip
    assert run(market_of(special_chain(cash=8.0), actions), plan).trades()["exit_reason"].iloc[0] == "expiration"
    # A fall by 8 % is.
    fallen = market_of(special_chain(cash=8.0, are_adjusted=False))
    assert run(fallen, plan).trades()["exit_reason"].iloc[0] == "stop"


def history(
    amounts: dict[str, float], *, close: float = 100.0, factors: dict[str, float] | None = None
) -> pd.DataFrame:
    days = pd.bdate_range("2005-01-03", "2012-12-31").as_unit("us")
    paid, split = pd.Series(0.0, index=days), pd.Series(1.0, index=days)
    for name, amount in amounts.items():
        paid.iloc[days.searchsorted(pd.Timestamp(name))] = amount
    for name, factor in (factors or {}).items():
        split.iloc[days.searchsorted(pd.Timestamp(name))] = factor
    return pd.DataFrame({"session": days, "dividend": paid.to_numpy(), "split_factor": split.to_numpy(),
                         "close": close})  # fmt: skip


QUARTERLY = {f"{year}-{month}-15": 0.25 for year in (2009, 2010, 2011) for month in ("03", "06", "09", "12")}


@pytest.mark.parametrize(
    ("amounts", "names"),
    [
        # Seven dollars among quarters of a dollar.
        (QUARTERLY | {"2012-12-14": 7.0}, ["special dividend of 7 USD on 2012-12-14"]),
        # Not three times as much.
        (QUARTERLY | {"2012-03-15": 0.75}, []),
        (QUARTERLY | {"2012-03-15": 0.76}, ["special dividend of 0.76 USD on 2012-03-15"]),
        # Less than 12.50 USD a contract.
        (dict.fromkeys(QUARTERLY, 0.03) | {"2012-03-15": 0.12}, []),
        (dict.fromkeys(QUARTERLY, 0.03) | {"2012-03-15": 0.125}, ["special dividend of 0.125 USD on 2012-03-15"]),
        # Too few before it to know what is ordinary.
        ({"2011-09-15": 0.25, "2011-12-15": 0.25, "2012-03-15": 7.0}, []),
        # Before February 2009 a tenth of the price decided.
        ({"2008-03-14": 0.25, "2008-06-16": 10.5}, ["special dividend of 10.5 USD on 2008-06-16"]),
        ({"2007-03-15": 0.25, "2007-06-15": 0.25, "2007-09-14": 0.25, "2008-06-16": 10.0}, []),
        # A special one makes nothing after it ordinary.
        (QUARTERLY | {"2011-11-15": 7.0, "2012-02-15": 2.0},
         ["special dividend of 7 USD on 2011-11-15", "special dividend of 2 USD on 2012-02-15"]),
    ],
)  # fmt: skip
def test_a_dividend_is_special_by_its_size_beside_those_before(amounts, names):
    assert list(actions_of_prices(history(amounts)).names) == names


def test_a_special_dividend_is_in_dollars_of_its_day_and_named_among_what_is_assumed():
    # Stored in shares of after a split of 10 for 1: 0.70 is 7 USD as it was paid.
    frame = history({name: amount / 10 for name, amount in QUARTERLY.items()} | {"2012-03-14": 0.7},
                    factors={"2012-06-15": 10.0})  # fmt: skip
    assert actions_of_prices(frame).names == ("special dividend of 7 USD on 2012-03-14", "10 for 1 on 2012-06-15")
    sessions = pd.bdate_range("2012-03-01", "2012-03-30").to_numpy().astype("datetime64[D]")
    known = known_dividends(frame, sessions)
    assert known.dividends.is_special.tolist() == [True]
    assert "1 of them special" in known.assumption
    unclear = known_dividends(history({"2012-03-14": 7.0}), sessions)
    assert "1 large ones taken as ordinary" in unclear.assumption


def test_greeks_are_those_of_the_shares_there_are_and_a_split_explains_nothing():
    frame, plan = new_shares(7, holes=0.0), plan_of("short_strangle", ExitRules())
    split = run(market_of(as_traded(frame, 10.0), split_of(10.0)), plan)
    whole = run(market_of(frame), plan)
    of_split, of_whole = position_greeks(split), position_greeks(whole)
    assert of_split.delta == pytest.approx(of_whole.delta, rel=1e-6, abs=1e-6, nan_ok=True)
    # One structure alone, from before the split on one old share and on ten new ones.
    first = np.zeros(len(split.contracts), dtype=np.int64)
    first[np.flatnonzero(split.trades()["adjusted_by"] != "")[-1]] = 1
    found, expected = (
        greeks_through_time(one, position_greeks(one))
        for one in (replace(split, contracts=first), replace(whole, contracts=10 * first))
    )
    assert np.abs(expected.delta[SPLIT_AT]) > 0.0
    for name in ("delta", "gamma", "vega", "theta"):
        values, of_new = getattr(found, name), getattr(expected, name)
        assert values[SPLIT_AT:] == pytest.approx(of_new[SPLIT_AT:], rel=1e-6)
    # Before it, a dollar of an old share is a dime of a new one.
    assert found.delta[:SPLIT_AT] == pytest.approx(expected.delta[:SPLIT_AT] / 10.0, rel=1e-6)
    assert found.gamma[:SPLIT_AT] == pytest.approx(expected.gamma[:SPLIT_AT] / 100.0, rel=1e-6)
    shares = np.where(split.paths.positions.entry < SPLIT_AT, 10.0, 1.0)
    for name in ("delta", "gamma", "theta", "vega", "expiration", "residual"):
        cause, of_new = (getattr(attribute_profit(*each), name) / each[0].contracts
                         for each in ((split, of_split), (whole, of_whole)))  # fmt: skip
        assert cause == pytest.approx(of_new * shares, rel=1e-6, abs=1e-2, nan_ok=True)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    name=st.sampled_from(sorted(PLANS)),
    exits=st.sampled_from(sorted(EXITS)),
    ratios=st.lists(st.sampled_from([2.0, 10.0, 1.5, 0.2]), min_size=1, max_size=2),
    paid=st.sampled_from([0.0, 0.5, 6.0]),
    fee=st.sampled_from([0.0, 0.65]),
    places=st.none() | st.integers(1, 4),
)
def test_no_dollar_is_made_or_lost_by_any_sequence_of_fills_rolls_assignments_and_splits(
    seed, name, exits, ratios, paid, fee, places
):
    frame = new_shares(seed)
    actions = NO_ACTIONS
    for place, ratio in zip((12, 6), ratios, strict=False):
        columns = ["underlying_price", "strike", "bid", "ask"]
        is_old = frame["quote_date"] < DAYS[place]
        frame.loc[is_old, columns] = frame.loc[is_old, columns] * ratio
        actions = actions + CorporateActions((CorporateAction(day(place), f"{ratio:g}", ratio),))
    plan = plan_of(name, EXITS[exits], account_usd=5e6, risk_fraction=0.2, fee_per_leg_contract_usd=fee,
                   maximum_open_positions=places)  # fmt: skip
    market = market_of(frame, actions)
    result = run(market, plan, paid_on(9, paid))
    equity, trades = result.equity(), result.trades()
    lots, signs = plan.structure.underlying_ratio, plan.structure.signed_ratios
    cash, known = plan.account.account_usd, {action.day: action.ratio for action in market.actions.known}
    for row in equity.iloc[1:].itertuples():
        today = int(np.datetime64(row.session, "D").astype(int))
        spot = market.spot[market.days == today][0]
        for trade in trades[trades["status"] != "skipped"].itertuples():
            entry = int(np.datetime64(trade.entry_session, "D").astype(int))
            lived = [ratio for at, ratio in known.items() if entry < at <= today]
            shares, contracts = np.prod(lived), np.prod([ratio for ratio in lived if ratio in (2.0, 10.0)])
            size, fees = 100 * trade.contracts, trade.contracts * fee * np.abs(signs).sum()
            if trade.entry_session == row.session:
                cash -= size * (np.dot(signs, trade.entry_prices) + lots * spot) + fees
            is_held = trade.entry_session < row.session and not trade.exit_session < row.session
            if is_held and today == day(9):
                cash += size * lots * shares * paid
            if trade.exit_session == row.session:
                cash += size * (np.dot(signs, trade.exit_prices) + lots * shares * spot) - fees * contracts
                cash -= trade.dividend_owed_usd
        assert row.cash_usd == pytest.approx(cash, abs=1e-3)
        assert row.equity_usd == pytest.approx(row.cash_usd + row.marks_usd, abs=1e-6)
    assert row.open_positions > 0 or row.marks_usd == 0.0
    closed = trades[trades["status"] == "closed"]
    assert closed["pnl_usd"].sum() == pytest.approx(
        (closed["exit_value_usd"] - closed["entry_cost_usd"] - closed["fees_usd"]
         + closed["dividend_received_usd"]).sum(), abs=1e-3,
    )  # fmt: skip
