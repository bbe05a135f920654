"""Trade plans on small chains against ledgers kept by hand, to the cent."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.trading_dag.backtest.plan_chains import EXACT, chain_frame, small_market
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.trade_plan import (
    AccountRules,
    ExpirationChoice,
    FillAssumptions,
    TargetDelta,
    TradePlan,
    Width,
)
from trading_dag.backtest.results.plan_results import PlanResult
from trading_dag.backtest.runs.plan_runs import run_plan
from trading_dag.backtest.trades.account import size_positions
from trading_dag.backtest.trades.entries import entries_at, entries_from_signals
from trading_dag.options.structures.structure import structure_of

FRIDAY = "2024-03-15"
# Monday's quotes; the underlying is at 100. (bid, ask, delta)
MONDAY = {
    ("P", 90.0): (0.30, 0.40, -0.10), ("P", 95.0): (1.00, 1.10, -0.30), ("P", 100.0): (3.00, 3.20, -0.50),
    ("C", 100.0): (3.10, 3.30, 0.50), ("C", 105.0): (1.20, 1.30, 0.30), ("C", 110.0): (0.40, 0.50, 0.10),
}  # fmt: skip
TUESDAY = {
    ("P", 90.0): (0.20, 0.30, -0.08), ("P", 95.0): (0.80, 0.90, -0.25), ("P", 100.0): (2.60, 2.80, -0.45),
    ("C", 100.0): (3.30, 3.50, 0.55), ("C", 105.0): (1.40, 1.50, 0.33), ("C", 110.0): (0.50, 0.60, 0.12),
}  # fmt: skip
LEGS = {
    "bull_put_spread": (TargetDelta(0.30), TargetDelta(0.10)),
    "bear_call_spread": (TargetDelta(0.30), TargetDelta(0.10)),
    "bull_call_spread": (TargetDelta(0.50), TargetDelta(0.30)),
    "bear_put_spread": (TargetDelta(0.50), TargetDelta(0.30)),
    "iron_condor": (TargetDelta(0.30), Width(0, 5.0), TargetDelta(0.30), Width(2, 5.0)),
    "iron_butterfly": (TargetDelta(0.50), Width(0, 10.0), Width(0, 0.0), Width(2, 10.0)),
    "call_butterfly": (TargetDelta(0.30), Width(0, -5.0), Width(0, 5.0)),
    "long_call": (TargetDelta(0.50),),
    "long_put": (TargetDelta(0.50),),
    "long_straddle": (TargetDelta(0.50), Width(0, 0.0)),
    "long_strangle": (TargetDelta(0.30), TargetDelta(0.30)),
    "short_strangle": (TargetDelta(0.30), TargetDelta(0.30)),
    "short_straddle": (TargetDelta(0.50), Width(0, 0.0)),
    "cash_secured_put": (TargetDelta(0.30),),
    "covered_call": (TargetDelta(0.30),),
}


def plan(name: str, exits: ExitRules | None = None, **account: float) -> TradePlan:
    rules = AccountRules(**{"account_usd": 100_000.0, "risk_fraction": 0.02, **account})
    return TradePlan(name, structure_of(name), LEGS[name], ExpirationChoice(11, 5, 20), exits or ExitRules(), rules)


def two_days(spot: float = 100.0, fills: FillAssumptions = EXACT):
    return small_market(
        chain_frame({"2024-03-04": (100.0, MONDAY), "2024-03-05": (spot, TUESDAY)}, expiration=FRIDAY), fills
    )


def run_first(market, wanted: TradePlan, **arguments: object) -> PlanResult:
    return run_plan(market, wanted, entries=entries_at(market, [0]), **arguments)


# Entry and exit premium a share by hand from the quotes above (bought at the ask, sold at the bid), the risk a share,
# structures within 2,000 USD with 0.65 a leg and contract both ways, and their profit after those fees.
@pytest.mark.parametrize(
    ("name", "paid", "received", "risk", "contracts", "profit"),
    [
        # 1.00 − 0.40 in; −0.90 + 0.20 out; risk 5 − 0.60; 2,000/442.60
        ("bull_put_spread", -0.60, -0.70, 4.40, 4, 4 * (-10.00 - 2.60)),
        # 1.20 − 0.50 in; −1.50 + 0.50 out; risk 5 − 0.70; 2,000/432.60
        ("bear_call_spread", -0.70, -1.00, 4.30, 4, 4 * (-30.00 - 2.60)),
        # −3.30 + 1.20 in; 3.30 − 1.50 out; 2,000/212.60
        ("bull_call_spread", 2.10, 1.80, 2.10, 9, 9 * (-30.00 - 2.60)),
        # −3.20 + 1.00 in; 2.60 − 0.90 out; 2,000/222.60
        ("bear_put_spread", 2.20, 1.70, 2.20, 8, 8 * (-50.00 - 2.60)),
        # both credit spreads: 1.30 in, 1.70 out; risk 5 − 1.30; 2,000/375.20
        ("iron_condor", -1.30, -1.70, 3.70, 5, 5 * (-40.00 - 5.20)),
        # 3.00 − 0.40 + 3.10 − 0.50 in; −2.80 + 0.20 − 3.50 + 0.50 out; risk 10 − 5.20; 2,000/485.20
        ("iron_butterfly", -5.20, -5.60, 4.80, 4, 4 * (-40.00 - 5.20)),
        # −3.30 + 2 · 1.20 − 0.50 in; 3.30 − 2 · 1.50 + 0.50 out; four contracts of fees; 2,000/145.20
        ("call_butterfly", 1.40, 0.80, 1.40, 13, 13 * (-60.00 - 5.20)),
        ("long_call", 3.30, 3.30, 3.30, 6, 6 * (0.00 - 1.30)),
        ("long_put", 3.20, 2.60, 3.20, 6, 6 * (-60.00 - 1.30)),
        # 3.30 + 3.20 in; 3.30 + 2.60 out; 2,000/652.60
        ("long_straddle", 6.50, 5.90, 6.50, 3, 3 * (-60.00 - 2.60)),
        # 1.10 + 1.30 in; 0.80 + 1.40 out; 2,000/242.60
        ("long_strangle", 2.40, 2.20, 2.40, 8, 8 * (-20.00 - 2.60)),
    ],
)
def test_a_structure_is_kept_to_the_cent_as_in_a_ledger_by_hand(name, paid, received, risk, contracts, profit):
    result = run_first(two_days(), plan(name, ExitRules(horizon_sessions=1)))
    trade = result.trades().iloc[0]
    assert (trade["status"], trade["exit_reason"], trade["quote_source"]) == ("closed", "horizon", "chain")
    assert trade["contracts"] == contracts
    assert trade["entry_cost_usd"] == pytest.approx(100 * contracts * paid, abs=1e-9)
    assert trade["exit_value_usd"] == pytest.approx(100 * contracts * received, abs=1e-9)
    assert trade["max_loss_usd"] == pytest.approx(100 * contracts * risk, abs=1e-9)
    assert trade["pnl_usd"] == pytest.approx(profit, abs=1e-9)
    assert result.equity()["equity_usd"].iloc[-1] == pytest.approx(100_000.0 + profit, abs=1e-9)


# Regulation T, a share: 20 % of the underlying less out of the money, at least 10 %; premiums as received.
@pytest.mark.parametrize(
    ("name", "margin", "risk_fraction", "contracts"),
    [
        # call: 20 − 5 = 15 > 10; put: 20 − 5 = 15 > 9.5; the premium of both is received and offsets itself
        ("short_strangle", 1_500.00, 0.05, 3),
        ("short_straddle", 2_000.00, 0.05, 2),
        # the strike in cash less the premium
        ("cash_secured_put", 9_400.00, 0.20, 2),
        # the shares at 100.00 less the call at 1.20
        ("covered_call", 9_880.00, 0.20, 2),
    ],
)
def test_margin_beyond_the_premium_is_that_of_a_calculation_by_hand(name, margin, risk_fraction, contracts):
    result = run_first(two_days(), plan(name, ExitRules(horizon_sessions=1), risk_fraction=risk_fraction))
    assert result.margin_usd[0] == pytest.approx(margin, abs=1e-9)
    assert result.contracts[0] == contracts


def test_shares_of_a_covered_call_rise_with_the_underlying_and_pay_no_option_fee():
    result = run_first(two_days(101.0), plan("covered_call", ExitRules(horizon_sessions=1), risk_fraction=0.1))
    # Shares 100 to 101, call sold at 1.20 and bought back at 1.50, one contract both ways.
    assert result.trades()["pnl_usd"].iloc[0] == pytest.approx(100.00 - 30.00 - 1.30, abs=1e-9)


def test_every_leg_and_contract_pays_its_fee_both_ways_not_the_spread_once():
    result = run_first(two_days(), plan("iron_condor", ExitRules(horizon_sessions=1)))
    assert result.trades()["fees_usd"].iloc[0] == pytest.approx(5 * 4 * 0.65 * 2, abs=1e-12)
    free = run_first(two_days(), plan("iron_condor", ExitRules(horizon_sessions=1), fee_per_leg_contract_usd=0.0))
    assert free.trades()["pnl_usd"].iloc[0] == pytest.approx(5 * -40.00, abs=1e-9)


def test_slippage_is_paid_on_every_leg_at_entry_and_at_exit_and_prices_are_rounded_against_the_trader():
    fills = FillAssumptions(slippage_fraction=0.02, price_tick_usd=0.05)
    trade = run_first(two_days(fills=fills), plan("bull_put_spread", ExitRules(horizon_sessions=1))).trades().iloc[0]
    # sold 1.00 · 0.98 = 0.98 → 0.95; bought 0.40 · 1.02 = 0.408 → 0.45; bought back 0.918 → 0.95; sold 0.196 → 0.15
    assert trade["entry_prices"] == pytest.approx([0.95, 0.45])
    assert trade["exit_prices"] == pytest.approx([0.95, 0.15])


def test_a_last_trade_stands_in_for_a_missing_quote_with_the_stated_half_spread():
    frame = chain_frame({"2024-03-04": (100.0, MONDAY), "2024-03-05": (100.0, TUESDAY)}, expiration=FRIDAY)
    frame["last"] = (frame["bid"] + frame["ask"]) / 2
    frame["volume"] = 10
    is_gone = (frame["strike"] == 95.0) & (frame["quote_date"] == pd.Timestamp("2024-03-05"))
    frame.loc[is_gone, ["bid", "ask"]] = float("nan")
    market = small_market(frame, FillAssumptions(half_spread_fraction=0.10))
    trade = run_first(market, plan("bull_put_spread", ExitRules(horizon_sessions=1))).trades().iloc[0]
    # 0.85 + 10 % = 0.935, rounded up to the cent.
    assert trade["exit_prices"] == pytest.approx([0.94, 0.20])
    assert trade["quote_source"] == "last"


def test_a_position_settles_at_intrinsic_value_and_pays_its_fees():
    frame = chain_frame(
        {"2024-03-04": (100.0, MONDAY), FRIDAY: (93.0, {("P", 95.0): (1.9, 2.2, -1.0)})}, expiration=FRIDAY
    )
    result = run_first(small_market(frame), plan("bull_put_spread"))
    trade = result.trades().iloc[0]
    # Credit 0.60; the 95 put pays 2.00 and the 90 put nothing: 4 · (60 − 200 − 2.60).
    assert trade["exit_reason"] == "expiration"
    assert trade["exit_prices"] == pytest.approx([2.0, 0.0])
    assert trade["pnl_usd"] == pytest.approx(4 * -142.60, abs=1e-9)
    assert result.equity()["marks_usd"].tolist()[-1] == 0.0


def test_a_saturday_expiration_settles_at_the_friday_before():
    frame = chain_frame({"2024-03-04": (100.0, MONDAY), FRIDAY: (93.0, MONDAY)}, expiration="2024-03-16")
    trade = run_first(small_market(frame), plan("bull_put_spread")).trades().iloc[0]
    assert (trade["exit_reason"], trade["exit_session"]) == ("expiration", pd.Timestamp(FRIDAY))


@pytest.mark.parametrize(
    ("entry", "settled", "dated"),
    # A Saturday whose Friday was Good Friday, and Good Friday itself, seen from data that end on their last session.
    [("2014-04-07", "2014-04-17", "2014-04-19"), ("2019-04-08", "2019-04-18", "2019-04-19")],
)
def test_an_expiration_on_or_after_a_holiday_settles_at_the_last_session_before(entry, settled, dated):
    frame = chain_frame({entry: (100.0, MONDAY), settled: (93.0, MONDAY)}, expiration=dated)
    trade = run_first(small_market(frame), plan("bull_put_spread")).trades().iloc[0]
    assert (trade["exit_reason"], trade["exit_session"]) == ("expiration", pd.Timestamp(settled))
    assert trade["exit_prices"] == pytest.approx([2.0, 0.0])


def test_cash_and_marks_follow_the_ledger_by_hand_session_by_session():
    three = {"2024-03-04": (100.0, MONDAY), "2024-03-05": (100.0, TUESDAY), "2024-03-06": (100.0, TUESDAY)}
    result = run_first(
        small_market(chain_frame(three, expiration=FRIDAY)), plan("bull_put_spread", ExitRules(horizon_sessions=2))
    )
    equity = result.equity()
    # In: 4 · 60 − 4 · 2 · 0.65 = 234.80; out: 4 · 70 + 5.20 = 285.20. Middles 1.05 − 0.35 and 0.85 − 0.25.
    assert equity["session"].iloc[0] == pd.Timestamp("2024-03-01")  # the Friday before
    assert equity["cash_usd"].tolist() == pytest.approx([100_000.0, 100_234.80, 100_234.80, 99_949.60], abs=1e-9)
    assert equity["marks_usd"].tolist() == pytest.approx([0.0, -280.0, -240.0, 0.0], abs=1e-9)
    assert equity["open_positions"].tolist() == [0, 1, 1, 0]


def test_excursions_are_the_worst_and_best_marks_while_held():
    worse = {**TUESDAY, ("P", 95.0): (2.00, 2.20, -0.5)}
    three = {"2024-03-04": (100.0, MONDAY), "2024-03-05": (97.0, worse), "2024-03-06": (100.0, TUESDAY)}
    result = run_first(
        small_market(chain_frame(three, expiration=FRIDAY)), plan("bull_put_spread", ExitRules(horizon_sessions=2))
    )
    trade = result.trades().iloc[0]
    # Tuesday's mark −(2.10 − 0.25) against −0.60; at the exit −0.70; never above the entry.
    assert trade["mae_usd"] == pytest.approx(-4 * 125.0, abs=1e-9)
    assert trade["mfe_usd"] == 0.0


def test_a_closing_beyond_the_defined_risk_is_paid_in_full_and_counted_while_its_marks_are_bounded():
    wild = {**TUESDAY, ("P", 95.0): (9.00, 9.50, -0.9), ("P", 90.0): (1.00, 3.00, -0.5)}
    three = {"2024-03-04": (100.0, MONDAY), "2024-03-05": (91.0, wild), "2024-03-06": (91.0, wild)}
    result = run_first(
        small_market(chain_frame(three, expiration=FRIDAY)), plan("bull_put_spread", ExitRules(horizon_sessions=2))
    )
    trade = result.trades().iloc[0]
    assert trade["pnl_usd"] == pytest.approx(4 * (60.0 - 850.0 - 2.60), abs=1e-9)
    assert result.loss_beyond_defined_risk.tolist() == [True]
    assert result.equity()["marks_usd"].iloc[2] == pytest.approx(-4 * 500.0)


def test_interest_is_paid_on_cash_over_calendar_days():
    days = {"2024-03-08": (100.0, MONDAY), "2024-03-11": (100.0, TUESDAY)}
    market = small_market(chain_frame(days, expiration="2024-03-22"))
    wanted = plan("bull_put_spread", ExitRules(horizon_sessions=1), interest_rate=0.05)
    # Three days from Friday to Monday on 100,000 + 240 − 5.20: 100,234.80 · (e^(0.05 · 3/365) − 1) = 41.2008.
    assert run_first(market, wanted).equity()["interest_usd"].tolist() == pytest.approx([0.0, 0.0, 41.2008], abs=1e-4)


def test_an_account_in_debt_earns_no_interest_and_is_charged_none():
    # One short straddle at 6.10; bought back at 40 more on Friday, it takes 3,392.60 USD from an account of 2,700.
    wild = {("P", 100.0): (0.01, 0.05, -0.01), ("C", 100.0): (39.90, 39.95, 0.99), ("P", 95.0): (0.01, 0.02, 0.0)}
    days = {"2024-03-07": (100.0, MONDAY), "2024-03-08": (140.0, wild), "2024-03-11": (140.0, wild),
            "2024-03-12": (140.0, wild)}  # fmt: skip
    market = small_market(chain_frame(days, expiration="2024-03-22"))
    account = {"account_usd": 2_700.0, "risk_fraction": 1.0, "interest_rate": 0.05}
    result = run_first(market, plan("short_straddle", ExitRules(horizon_sessions=1), **account))
    equity = result.equity()
    # 2,700 + 610 − 1.30 for a night: 3,308.70 · (e^(0.05/365) − 1) = 0.4533; then 4,000 + 1.30 are paid.
    assert equity["interest_usd"].tolist() == pytest.approx([0.0, 0.0, 0.4533, 0.0, 0.0], abs=1e-4)
    assert equity["cash_usd"].tolist()[2:] == pytest.approx([-692.1467] * 3, abs=1e-4)
    # A debt that grows would be interest of another kind; none is assumed.
    assert equity["cash_usd"].iloc[-1] < 0.0


def test_a_roll_closes_and_opens_on_one_quote_date_and_pays_all_fees():
    later = {(right, strike, "2024-03-28"): quote for (right, strike), quote in MONDAY.items()}
    first = {(right, strike, FRIDAY): quote for (right, strike), quote in MONDAY.items()}
    near = {(right, strike, FRIDAY): quote for (right, strike), quote in TUESDAY.items()}
    days = {
        "2024-03-04": (100.0, first),
        "2024-03-08": (100.0, {**near, **later}),
        "2024-03-11": (100.0, {**near, **later}),
    }
    market = small_market(chain_frame(days))
    result = run_first(market, TradePlan(
        "rolled", structure_of("bull_put_spread"), LEGS["bull_put_spread"], ExpirationChoice(14, 10, 21),
        ExitRules(roll_days_to_expiration=7),
    ))  # fmt: skip
    trades = result.trades()
    assert trades["exit_reason"].tolist() == ["roll", ""]
    assert trades["status"].tolist() == ["closed", "open"]
    assert trades["rolled_from"].tolist() == [-1, 0]
    assert trades["entry_session"].iloc[1] == trades["exit_session"].iloc[0] == pd.Timestamp("2024-03-08")
    assert trades["pnl_usd"].iloc[0] == pytest.approx(4 * (-10.00 - 2.60), abs=1e-9)
    # Out at 285.20, in again for 4 · 60 less 5.20.
    assert result.equity()["cash_usd"].tolist() == pytest.approx(
        [100_000.00, 100_234.80, 100_184.40, 100_184.40], abs=1e-9
    )


def test_what_was_never_taken_is_not_rolled():
    later = {(right, strike, "2024-03-28"): quote for (right, strike), quote in MONDAY.items()}
    first = {(right, strike, FRIDAY): quote for (right, strike), quote in MONDAY.items()}
    days = {day: (100.0, {**first, **later}) for day in ("2024-03-04", "2024-03-05", "2024-03-08")}
    market = small_market(chain_frame(days))
    rules = AccountRules(maximum_open_positions=1)
    wanted = TradePlan(
        "rolled", structure_of("bull_put_spread"), LEGS["bull_put_spread"], ExpirationChoice(11, 10, 21),
        ExitRules(roll_days_to_expiration=7), rules,
    )  # fmt: skip
    result = run_plan(market, wanted, entries=entries_at(market, [0, 1]))
    trades = result.trades()
    # Tuesday's finds the one place taken; on Friday both would roll, but only Monday's is there to be rolled.
    assert trades["exit_reason"].tolist() == ["roll", "position_limit", ""]
    assert trades["rolled_from"].tolist() == [-1, -1, 0]
    assert result.skip_reasons() == {"position_limit": 1}


def test_capital_of_open_positions_limits_new_ones_and_a_closing_frees_it_on_its_own_quote():
    days = {"2024-03-04": (100.0, MONDAY), "2024-03-05": (100.0, MONDAY), "2024-03-06": (100.0, MONDAY)}
    market = small_market(chain_frame(days, expiration=FRIDAY))
    wanted = plan("bull_put_spread", ExitRules(horizon_sessions=2), account_usd=500.0, risk_fraction=1.0)
    result = run_plan(market, wanted, entries=entries_at(market, [0, 1, 2]))
    # One needs 442.60 of 500; Tuesday's does not fit; Wednesday's does once 500 − 10 · 1 − 2.60 is free: 487.40.
    assert result.trades()["exit_reason"].tolist() == ["horizon", "capital_limit", ""]
    one = plan("bull_put_spread", ExitRules(horizon_sessions=2), maximum_open_positions=1)
    limited = run_plan(market, one, entries=entries_at(market, [0, 1, 2]))
    assert limited.skip_reasons() == {"position_limit": 1}


def test_shares_of_volume_and_open_interest_limit_the_contracts():
    frame = chain_frame({"2024-03-04": (100.0, MONDAY), "2024-03-05": (100.0, TUESDAY)}, expiration=FRIDAY)
    frame["volume"], frame["open_interest"] = 30, 1_000
    rules = plan("bull_put_spread", ExitRules(horizon_sessions=1))
    for fills, contracts in (
        (FillAssumptions(volume_share=0.1), 3),
        (FillAssumptions(open_interest_share=0.002), 2),
        (FillAssumptions(open_interest_share=0.0005), 0),
    ):
        result = run_first(small_market(frame, fills), rules)
        assert result.contracts.tolist() == [contracts]
        assert result.skip_reasons() == ({} if contracts else {"exceeds_volume_share": 1})
    unknown = frame.assign(volume=float("nan"))
    result = run_first(small_market(unknown, FillAssumptions(volume_share=0.1)), rules)
    assert result.skip_reasons() == {"exceeds_volume_share": 1}


def test_one_contract_is_enough_and_has_no_reason_to_be_skipped():
    # One needs 442.60.
    result = run_first(two_days(), plan("bull_put_spread", account_usd=442.60, risk_fraction=1.0))
    sized = size_positions(result.paths.positions, result.plan.account)
    assert (sized.contracts.tolist(), sized.skip_reason.tolist()) == ([1], [""])
    short = run_first(two_days(), plan("bull_put_spread", account_usd=442.59, risk_fraction=1.0))
    assert short.skip_reasons() == {"exceeds_risk_budget": 1}


def test_shares_of_a_covered_call_have_no_spread_that_costs():
    trade = run_first(two_days(), plan("covered_call", ExitRules(horizon_sessions=1), risk_fraction=1.0)).trades()
    # Sold at 1.20 of 1.25, bought back at 1.50 of 1.45.
    assert trade["spread_cost_usd"].tolist() == pytest.approx([trade["contracts"].iloc[0] * 100 * 0.10])
    assert trade["contracts"].iloc[0] > 0


def test_a_contract_must_have_the_least_volume_and_open_interest_to_be_opened():
    frame = chain_frame({"2024-03-04": (100.0, MONDAY), "2024-03-05": (100.0, TUESDAY)}, expiration=FRIDAY)
    frame["volume"], frame["open_interest"] = 30, 1_000
    rules = plan("bull_put_spread", ExitRules(horizon_sessions=1))
    for enough in (FillAssumptions(minimum_volume=30), FillAssumptions(minimum_open_interest=1_000)):
        assert run_first(small_market(frame, enough), rules).contracts.tolist() == [4]
    for thin in (FillAssumptions(minimum_volume=31), FillAssumptions(minimum_open_interest=1_001)):
        assert run_first(small_market(frame, thin), rules).skip_reasons() == {"missing_leg": 1}


def test_a_signal_enters_at_the_next_session_and_leaves_at_its_target():
    days = {"2024-03-04": (100.0, MONDAY), "2024-03-05": (100.0, MONDAY), "2024-03-06": (100.0, TUESDAY)}
    market = small_market(chain_frame(days, expiration=FRIDAY))
    entries = entries_from_signals(
        market, pd.to_datetime(["2024-03-01", "2024-03-04", "2024-03-05", "2024-03-06"]),
        targets=pd.to_datetime(["2024-03-04", "2024-03-06", "2024-03-05", "2024-03-08"]),
    )  # fmt: skip
    trades = run_plan(market, plan("bull_put_spread"), entries=entries).trades()
    assert trades["exit_reason"].tolist() == [
        "horizon_before_entry",
        "horizon",
        "horizon_before_entry",
        "entry_after_data",
    ]
    assert trades["entry_session"].iloc[1] == pd.Timestamp("2024-03-05")
    assert trades["exit_session"].iloc[1] == pd.Timestamp("2024-03-06")


def test_a_signals_own_target_takes_precedence_over_the_plans_horizon():
    days = {"2024-03-04": (100.0, MONDAY), "2024-03-05": (100.0, TUESDAY), "2024-03-06": (100.0, TUESDAY)}
    market = small_market(chain_frame(days, expiration=FRIDAY))
    signals = pd.to_datetime(["2024-03-01", "2024-03-02"])
    entries = entries_from_signals(market, signals, targets=pd.to_datetime(["2024-03-06", "NaT"]))
    trades = run_plan(market, plan("bull_put_spread", ExitRules(horizon_sessions=1)), entries=entries).trades()
    assert trades["entry_session"].tolist() == [pd.Timestamp("2024-03-04")] * 2
    assert trades["exit_session"].tolist() == [pd.Timestamp("2024-03-06"), pd.Timestamp("2024-03-05")]
