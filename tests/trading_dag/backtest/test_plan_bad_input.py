"""Chains with holes and plans that cannot be: a typed error, or a skipped entry whose reason is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.trading_dag.backtest.plan_chains import chain_frame, small_market
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import (
    AccountRules,
    ExpirationChoice,
    FillAssumptions,
    TargetDelta,
    TradePlan,
    Width,
)
from trading_dag.backtest.runs.plan_runs import run_plan
from trading_dag.backtest.trades.entries import entries_at, entries_every_session, entries_from_signals
from trading_dag.errors import ConfigurationError, SchemaError
from trading_dag.options.structures.structure import (
    AtTheMoneyRule,
    BackExpiryRule,
    Leg,
    SameStrikeRule,
    Structure,
    structure_of,
)

FRIDAY = "2024-03-15"
QUOTES = {("P", 90.0): (0.30, 0.40, -0.10), ("P", 95.0): (1.00, 1.10, -0.30)}
SPREAD = TradePlan(
    "spread", structure_of("bull_put_spread"), (TargetDelta(0.30), TargetDelta(0.10)), ExpirationChoice(11, 5, 20)
)

SHORT_CALENDAR = Structure(
    "short calendar",
    (Leg("C", "buy", AtTheMoneyRule()), Leg("C", "sell", SameStrikeRule(0), expiry_rule=BackExpiryRule())),
)


def frame_of(quotes=QUOTES, *, expiration=FRIDAY, spot=100.0):
    return chain_frame({"2024-03-04": (spot, quotes), FRIDAY: (100.0, QUOTES)}, expiration=expiration)


def skips(frame: pd.DataFrame, plan: TradePlan = SPREAD, fills: FillAssumptions | None = None) -> dict[str, int]:
    market = small_market(frame, fills or FillAssumptions())
    result = run_plan(market, plan, entries=entries_at(market, [0]))
    assert np.isnan(result.trades()["pnl_usd"]).all()
    assert (result.history.equity == plan.account.account_usd).all()
    return result.skip_reasons()


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (frame_of({("P", 95.0): QUOTES["P", 95.0]}), "missing_leg"),
        (frame_of({("P", 90.0): (0.3, 0.4, -0.10), ("P", 95.0): (1.0, 1.1, np.nan)}), "missing_leg"),
        # crossed, zero and one-sided quotes are none
        (frame_of({**QUOTES, ("P", 95.0): (1.2, 1.1, -0.30)}), "missing_leg"),
        (frame_of({**QUOTES, ("P", 95.0): (0.0, 0.0, -0.30)}), "missing_leg"),
        (frame_of({**QUOTES, ("P", 90.0): (np.nan, 0.4, -0.10)}), "missing_leg"),
        (frame_of({**QUOTES, ("P", 90.0): (0.3, np.inf, -0.10)}), "missing_leg"),
        # a leg to sell that nobody bids for
        (frame_of({**QUOTES, ("P", 95.0): (0.0, 1.1, -0.30)}), "no_entry_price"),
        (frame_of({**QUOTES, ("P", 95.0): (0.2, 0.5, -0.30)}), "no_possible_profit"),
        (frame_of(spot=np.nan), "no_underlying_price"),
        # expired before the entry, expiring too soon, too far away
        (frame_of(expiration="2024-03-01"), "no_expiration"),
        (frame_of(expiration="2024-03-05"), "no_expiration"),
        (frame_of(expiration="2024-12-20"), "no_expiration"),
        # the data has sessions around this Wednesday but not itself
        (frame_of(expiration="2024-03-13"), "no_settlement_price"),
    ],
)
def test_an_entry_that_cannot_be_made_is_skipped_with_its_reason_and_earns_nothing(frame, reason):
    assert skips(frame) == {reason: 1}


def test_a_budget_below_one_structure_is_a_counted_skip():
    small = TradePlan(
        SPREAD.name, SPREAD.structure, SPREAD.strikes, SPREAD.expiration, account=AccountRules(account_usd=10_000.0)
    )
    assert skips(frame_of(), small) == {"exceeds_risk_budget": 1}


@pytest.mark.parametrize(
    ("last", "volume", "is_quote"),
    [(5.2, 3, True), (5.2, 0, False), (4.99, 3, False), (np.nan, 3, False), (0.0, 3, False)],
)
def test_a_last_trade_without_volume_or_below_intrinsic_value_is_no_quote(last, volume, is_quote):
    frame = frame_of({("P", 105.0): (0, 0, -0.30), ("P", 90.0): (0, 0, -0.10)}).drop(columns=["bid", "ask"])
    frame["last"], frame["volume"] = np.where(frame["strike"] == 105.0, last, 0.4), volume
    market = small_market(frame)
    row = market.rows_of(
        np.array([0]), np.array([19797]), is_call=np.array([False]), strike=np.array([105.0])
    )  # 2024-03-15
    assert row.tolist() == [1]
    assert bool(np.isfinite(market.mark(row))[0]) is is_quote


def test_an_implied_volatility_of_zero_takes_the_delta_away():
    frame = frame_of()
    frame["implied_volatility"] = np.where(frame["strike"] == 95.0, 0.0, 0.2)
    assert skips(frame) == {"missing_leg": 1}


def test_without_a_delta_column_that_of_the_implied_volatility_is_used():
    # N(d1) − 1 at 20 % and 11 days: d1(95) = ln(100/95)/0.034720 + 0.017360 = 1.4947; d1(100) = 0.01736.
    frame = frame_of({("P", 95.0): (1.0, 1.1, 0), ("P", 100.0): (2.0, 2.1, 0)}).drop(columns="delta")
    frame["implied_volatility"] = 0.2
    first = small_market(frame).delta[:2]
    assert first.tolist() == pytest.approx([-0.0675, -0.4931], abs=1e-4)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda frame: frame.drop(columns="strike"),
        lambda frame: frame.drop(columns="bid"),
        lambda frame: frame.iloc[:0],
        lambda frame: frame.iloc[::-1],
        lambda frame: pd.concat([frame, frame]).sort_values(["quote_date", "strike"]),
        lambda frame: frame.assign(strike=-frame["strike"]),
        lambda frame: frame.assign(strike=np.nan),
        lambda frame: frame.assign(option_right="X"),
        lambda frame: frame.assign(expiration=pd.NaT),
        lambda frame: frame.assign(expiration=pd.Timestamp("2199-01-01")),
        lambda frame: frame.assign(underlying_price=np.arange(len(frame)) + 1.0),
    ],
)
def test_a_malformed_chain_is_a_typed_error(spoil):
    with pytest.raises(SchemaError):
        small_market(spoil(frame_of()))


def test_signals_out_of_order_or_without_a_size_are_a_typed_error():
    market, days = small_market(frame_of()), pd.to_datetime(["2024-03-04", "2024-03-05"])
    with pytest.raises(SchemaError, match="ascending"):
        entries_from_signals(market, days[::-1])
    with pytest.raises(SchemaError, match="position_size"):
        entries_from_signals(market, days, sizes=[1.0, np.nan])
    with pytest.raises(SchemaError, match="position_size"):
        entries_from_signals(market, days, sizes=[1.0, -1.0])
    with pytest.raises(SchemaError, match="direction"):
        entries_from_signals(market, days, directions=[1, np.inf])


def test_a_signal_of_half_size_trades_half_the_budget_and_one_of_none_is_skipped():
    days = dict.fromkeys(("2024-03-01", "2024-03-04", "2024-03-05"), (100.0, QUOTES))
    market = small_market(chain_frame(days, expiration=FRIDAY))
    entries = entries_from_signals(
        market, pd.to_datetime(["2024-02-29", "2024-03-01", "2024-03-04"]), sizes=[1, 0.5, 0]
    )
    result = run_plan(market, SPREAD, entries=entries)
    # 440 + 2.60 within 2,000, 1,000 and nothing.
    assert result.contracts.tolist() == [4, 2, 0]
    assert result.skip_reasons() == {"exceeds_risk_budget": 1}


@pytest.mark.parametrize(
    "make",
    [
        lambda: TradePlan("short of a leg", structure_of("bull_put_spread"), (TargetDelta(0.3),)),
        lambda: TradePlan("forward", structure_of("bull_put_spread"), (Width(1, 5.0), TargetDelta(0.3))),
        lambda: TradePlan("short calendar", SHORT_CALENDAR, (TargetDelta(0.5), Width(0, 0.0))),
        lambda: TargetDelta(1.0),
        lambda: Width(0, float("nan")),
        lambda: ExpirationChoice(30, 31, 40),
        lambda: ExpirationChoice(30, 0, 40),
        lambda: ExitRules(profit_target_fraction=0.0),
        lambda: ExitRules(horizon_sessions=0),
        lambda: FillAssumptions(price_tick_usd=0.0),
        lambda: FillAssumptions(half_spread_fraction=-0.1),
        lambda: FillAssumptions(slippage_fraction=1.0),
        lambda: AccountRules(account_usd=0.0),
        lambda: AccountRules(fee_per_leg_contract_usd=-1.0),
        lambda: AccountRules(multiplier=0),
        lambda: AccountRules(risk_fraction=0.0),
        lambda: AccountRules(risk_fraction=1.01),
        lambda: AccountRules(interest_rate=-0.01),
        lambda: AccountRules(interest_rate=1.0),
    ],
)
def test_a_plan_that_cannot_be_is_a_typed_error(make):
    with pytest.raises(ConfigurationError):
        make()


def test_the_ends_of_what_an_account_may_be_are_allowed():
    ends = AccountRules(multiplier=1, risk_fraction=1.0, interest_rate=0.0, fee_per_leg_contract_usd=0.0)
    assert (ends.multiplier, ends.risk_fraction) == (1, 1.0)


def test_a_plan_without_entries_has_an_unchanged_account():
    market = small_market(frame_of())
    result = run_plan(market, SPREAD, entries=entries_at(market, []))
    assert len(result.trades()) == 0
    assert result.skip_reasons() == {}
    assert set(result.equity()["equity_usd"]) == {SPREAD.account.account_usd}


def test_a_chain_of_one_session_opens_and_reports_open():
    market = small_market(chain_frame({"2024-03-04": (100.0, QUOTES)}, expiration=FRIDAY))
    assert run_plan(market, SPREAD, entries=entries_every_session(market)).trades()["status"].tolist() == ["open"]


def test_entries_of_which_none_can_be_opened_are_skipped_wherever_they_stand() -> None:
    days = {f"2024-03-{day:02d}": (100.0, QUOTES) for day in (4, 5, 6, 7)}
    market = small_market(chain_frame(days, expiration=FRIDAY))
    far = TradePlan("far", SPREAD.structure, SPREAD.strikes, ExpirationChoice(300, 200, 400))
    result = run_plan(market, far, entries=entries_at(market, [2, 3]))
    assert sum(result.skip_reasons().values()) == 2
    assert (result.history.equity == far.account.account_usd).all()


@pytest.mark.parametrize(
    "build",
    [
        lambda: ExitRules(horizon_sessions=10**30),
        lambda: ExitRules(days_to_expiration=10**30),
        lambda: ExitRules(roll_days_to_expiration=10**30),
        lambda: ExitRules(profit_target_fraction=float("inf")),
        lambda: ExitRules(stop_premium_multiple=1e308),
        lambda: ExpirationChoice(10**23, 10**22, 10**24),
        lambda: AccountRules(account_usd=1e25),
        lambda: AccountRules(account_usd=float("inf")),
        lambda: AccountRules(fee_per_leg_contract_usd=float("inf")),
        lambda: AccountRules(interest_rate=float("nan")),
    ],
)
def test_numbers_beyond_any_desk_are_a_typed_error(build) -> None:
    with pytest.raises(ConfigurationError):
        build()


def test_a_margin_of_next_to_nothing_never_makes_a_negative_number_of_contracts() -> None:
    """The spread pays at most 5.00 and costs 2⁻⁵⁰ less: the account would hold more of them than integers count."""
    quotes = {("P", 90.0): (0.1, 0.5, -0.10), ("P", 95.0): (5.5 - 2.0**-50, 6.0, -0.30)}
    plan = replace(SPREAD, account=AccountRules(account_usd=1e12, risk_fraction=1.0, fee_per_leg_contract_usd=0.0))
    market = small_market(frame_of(quotes), FillAssumptions(price_tick_usd=2.0**-52))
    result = run_plan(market, plan, entries=entries_at(market, [0]))
    assert result.contracts.tolist() == [10**12]


@pytest.mark.parametrize(("roll_days", "is_refused"), [(10, False), (11, True), (12, True)])
def test_a_roll_with_as_many_days_left_as_are_aimed_at_is_refused(roll_days, is_refused) -> None:
    exits = ExitRules(roll_days_to_expiration=roll_days)
    if is_refused:
        with pytest.raises(ConfigurationError, match=f"roll with {roll_days} days left"):
            replace(SPREAD, exits=exits)
    else:
        assert replace(SPREAD, exits=exits).exits.rolls
