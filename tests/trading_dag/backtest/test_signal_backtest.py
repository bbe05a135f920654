"""The backtest of signals against a hand-kept ledger, and the promises that hold for any sequence of trades."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trading_dag.backtest.markets.market import build_market
from trading_dag.backtest.markets.modelled_market import ModelledMarket
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.structure_plans import plan_on_grid
from trading_dag.backtest.runs.signal_backtest import run_backtest
from trading_dag.backtest.trades.entries import entries_at
from trading_dag.backtest.trades.paths import gather_paths
from trading_dag.backtest.trades.positions import open_positions
from trading_dag.errors import SchemaError
from trading_dag.options.structures.structure import structure_of
from trading_dag.schemas import EQUITY, SUMMARY, TRADES, Table
from trading_dag.sessions import shift_sessions
from trading_dag.setting_groups import BacktestSettings, SurfaceSettings
from trading_dag.slices import horizon_of

# Signal on Monday 2024-03-04, entry at Tuesday's open (100, index 20), exit at Wednesday's close (102, index 18).
# Tuesday + 21 days is 2024-03-26; that Friday is Good Friday, so the legs expire on Thursday 2024-03-28.
# Black-Scholes without carry on the 0.50 grid, years (23 + 6.5/24)/365 at entry and 22/365 at exit:
#          |delta|  entry middle  bid   ask    exit middle  bid   ask
# P 97.5    0.299    0.984076    0.96  1.01    0.352648    0.34  0.37
# P 95.0    0.149    0.397883    0.38  0.41    0.099003    0.08  0.11
# C 103.0   0.288    0.885136    0.86  0.91    1.350757    1.32  1.38
# C 105.5   0.150    0.384752    0.37  0.40    0.587358    0.57  0.60
MARKET = {
    "first": "2024-03-04",
    "opens": [99.0, 100.0, 101.0],
    "closes": [99.5, 101.0, 102.0],
    "index_opens": [21.0, 20.0, 19.0],
    "index_closes": [21.0, 19.0, 18.0],
}


SIGNED = ("total_pnl_usd", "pnl_lower_volatility_usd", "pnl_higher_volatility_usd")


def assert_is_of_table(frame: pd.DataFrame, table: Table) -> None:
    assert tuple(frame.columns) == table.column_names
    for column in table.columns:
        values = frame[column.name]
        if not column.nullable:
            assert values.notna().all(), column.name
        if column.allowed:
            assert set(values.dropna()) <= set(column.allowed), column.name
        if column.minimum is not None:
            assert (values.dropna() >= column.minimum).all(), column.name
        if column.maximum is not None:
            assert (values.dropna() <= column.maximum).all(), column.name
    assert not frame.duplicated(subset=list(table.key)).any()


def test_a_trade_names_the_models_that_its_signal_follows(make_frames, flat):
    frames = make_frames(**MARKET, signals={0: ("bull_put_spread", "FULL")})
    direction = [f"{number:08x}" for number in range(len(frames.signals))]
    named = frames.signals.assign(model_version=direction, volatility_model_version=None)
    trades = frames.changed(signals=named).run("48h", flat).trades
    assert trades["status"].iloc[0] == "closed"
    assert trades["model_version"].tolist() == direction
    assert trades["volatility_model_version"].isna().all()
    assert_is_of_table(trades, TRADES)


def test_a_vertical_is_kept_to_the_cent_as_in_a_ledger_by_hand(make_frames, flat):
    frames = make_frames(**MARKET, signals={0: ("bull_put_spread", "FULL")})
    result = frames.run("48h", flat, gate=(True, "models pass"))
    trade = result.trades.iloc[0]
    # Credit 0.96 − 0.41 = 0.55; risk 2.50 − 0.55 = 195 USD; fees 2 legs · 0.65 · 2 ways = 2.60.
    # 2,000 / 197.60 = 10.1, so 10 structures: 550.00 received, 100 · 10 · (0.37 − 0.08) = 290.00 paid, 26.00 fees.
    assert trade["status"] == "closed"
    assert trade["exit_reason"] == "horizon"
    assert trade["quote_source"] == "modelled"
    assert trade["contracts"] == 10
    assert trade["entry_session"] == pd.Timestamp("2024-03-05")
    assert trade["exit_session"] == pd.Timestamp("2024-03-06")
    assert trade["expiration"] == pd.Timestamp("2024-03-28")
    assert trade["entry_spot"] == 100.0
    assert trade["exit_spot"] == 102.0
    assert trade["entry_cost_usd"] == pytest.approx(-550.00, abs=1e-9)
    assert trade["exit_value_usd"] == pytest.approx(-290.00, abs=1e-9)
    assert trade["fees_usd"] == pytest.approx(26.00, abs=1e-9)
    assert trade["pnl_usd"] == pytest.approx(234.00, abs=1e-9)
    assert trade["max_loss_usd"] == pytest.approx(1_950.00, abs=1e-9)
    assert trade["margin_usd"] == pytest.approx(1_950.00, abs=1e-9)
    # A fund on a large index falls by 8 % at most: less than all of the risk, more than 37.50 USD for each contract.
    assert 2 * 10 * 37.50 < trade["portfolio_margin_usd"] < 1_950.00
    assert trade["return_on_risk"] == pytest.approx(0.12)
    legs = json.loads(trade["legs"])
    assert [
        (leg["option_right"], leg["side"], leg["strike"], leg["entry_price"], leg["exit_price"]) for leg in legs
    ] == [
        ("P", "sell", 97.5, 0.96, 0.37),
        ("P", "buy", 95.0, 0.41, 0.08),
    ]
    assert result.equity["cash_usd"].tolist() == pytest.approx([100_000.0, 100_537.0, 100_234.0], abs=1e-8)
    # Tuesday's close, spot 101, index 19, 23 days: middles of the two puts by the same formula.
    assert result.equity["marks_usd"].tolist() == pytest.approx(
        [0.0, -10 * 100 * (put(101, 97.5, 23, 0.19) - put(101, 95.0, 23, 0.19)), 0.0], abs=1e-8
    )
    assert result.equity["open_positions"].tolist() == [0, 1, 0]
    assert result.equity["benchmark_usd"].tolist() == pytest.approx([1e5, 1e5 * 101 / 99.5, 1e5 * 102 / 99.5])
    summary = result.summary.iloc[0]
    assert summary["status"] == "backtested"
    assert summary["total_pnl_usd"] == pytest.approx(234.00, abs=1e-9)
    assert summary["win_rate"] == 1.0
    assert summary["exposure"] == pytest.approx(2 / 3)
    assert bool(summary["is_admissible"]) is True


def test_the_band_of_random_entry_starts_at_the_cash_and_ends_at_the_quantiles_of_its_totals(make_frames, flat):
    frames = make_frames(
        "2024-03-04", opens=[100.0, 99.0, 101.0, 100.5, 102.0, 99.5], closes=[100.0, 101.0, 99.0, 102.0, 101.0, 100.0],
        index_opens=[20.0] * 6, index_closes=[20.0] * 6,
        signals={0: ("bull_put_spread", "FULL"), **dict.fromkeys((1, 2, 3), ("no_trade", "NONE"))},
    )  # fmt: skip
    result = frames.run("24h", flat)
    band = result.equity[["random_low_usd", "random_median_usd", "random_high_usd"]].to_numpy()
    # At the first signal's close nothing is entered yet.
    assert band[0].tolist() == [100_000.0] * 3
    assert (np.diff(band, axis=1) >= 0).all()
    totals = result.luck["matrix"].totals_usd
    assert band[-1] == pytest.approx(100_000.0 + np.quantile(totals, [0.05, 0.5, 0.95]), abs=1e-6)
    assert len(np.unique(totals)) > 1
    nothing = make_frames(**MARKET, signals={}).run("48h", flat)
    assert nothing.equity["random_low_usd"].isna().all()


def test_exposure_ends_with_each_trade(make_frames, flat):
    frames = make_frames(
        "2024-03-04", opens=[100.0] * 6, closes=[100.0] * 6, index_opens=[20.0] * 6, index_closes=[20.0] * 6,
        signals={0: ("bull_put_spread", "FULL"), 3: ("bull_put_spread", "FULL")},
    )  # fmt: skip
    result = frames.run("24h", flat)
    assert result.trades["exit_session"].tolist() == [pd.Timestamp("2024-03-05"), pd.Timestamp("2024-03-08")]
    # Held on the second and on the fifth of the five sessions from the first signal to the last exit.
    assert len(result.equity) == 5
    assert result.summary["exposure"].iloc[0] == pytest.approx(2 / 5)


def put(spot: float, strike: float, days: float, volatility: float) -> float:
    deviation = volatility * math.sqrt(days / 365)
    d1 = math.log(spot / strike) / deviation + 0.5 * deviation

    def normal(x: float) -> float:
        return 0.5 * math.erfc(-x / math.sqrt(2.0))

    return strike * normal(deviation - d1) - spot * normal(-d1)


def test_a_condor_is_kept_to_the_cent_as_in_a_ledger_by_hand(make_frames, flat):
    frames = make_frames(**MARKET, signals={0: ("iron_condor", "HALF")})
    result = frames.run("48h", flat)
    trade = result.trades.iloc[0]
    # Credit 0.96 − 0.41 + 0.86 − 0.40 = 1.01; risk 2.50 − 1.01 = 149 USD; fees 4 legs · 0.65 · 2 ways = 5.20.
    # 1,000 / 154.20 = 6.5, so 6 structures: 606.00 received; closing costs 0.37 − 0.08 + 1.38 − 0.57 = 1.10, 660.00.
    assert trade["contracts"] == 6
    assert trade["entry_cost_usd"] == pytest.approx(-606.00, abs=1e-9)
    assert trade["exit_value_usd"] == pytest.approx(-660.00, abs=1e-9)
    assert trade["fees_usd"] == pytest.approx(31.20, abs=1e-9)
    assert trade["pnl_usd"] == pytest.approx(-85.20, abs=1e-9)
    assert trade["max_loss_usd"] == pytest.approx(894.00, abs=1e-9)
    # Of the spreads on either side only one can lose.
    assert trade["margin_usd"] == pytest.approx(894.00, abs=1e-9)
    # So narrow a condor loses less over 8 % than the least that is asked, 37.50 USD a contract.
    assert trade["portfolio_margin_usd"] == pytest.approx(4 * 6 * 37.50)
    assert result.equity["cash_usd"].tolist() == pytest.approx([100_000.0, 100_590.4, 99_914.8], abs=1e-8)
    assert bool(result.summary["is_admissible"].iloc[0]) is False


def test_a_cash_index_pays_ten_dollars_a_point_and_says_so(make_frames, flat):
    frames = make_frames(**MARKET, signals={0: ("bull_put_spread", "FULL")})
    frames = frames.changed(signals=frames.signals.assign(ticker="SPX"), prices=frames.prices.assign(ticker="SPX"))
    result = frames.run("48h", flat)
    # The vertical above at a tenth: risk 19.50 and fees 2.60, 2,000 / 22.10 = 90.5 structures of 0.26 · 10 less 2.60.
    assert result.trades["contracts"].tolist() == [90]
    assert result.trades["pnl_usd"].iloc[0] == pytest.approx(90 * (2.60 - 2.60), abs=1e-9)
    assert json.loads(result.summary["assumptions"].iloc[0])["backtest_settings"]["multiplier"] == 10


def test_a_24h_trade_opens_and_closes_in_the_session_after_its_signal(make_frames, flat):
    frames = make_frames(**MARKET, signals={0: ("long_call", "FULL")})
    trade = frames.run("24h", flat).trades.iloc[0]
    assert trade["entry_session"] == trade["exit_session"] == pd.Timestamp("2024-03-05")
    assert trade["exit_spot"] == 101.0


def test_the_12h_horizon_ends_at_its_entry_and_every_row_says_so(make_frames, flat):
    frames = make_frames(**MARKET, signals={0: ("bull_put_spread", "FULL"), 1: ("no_trade", "NONE")})
    result = frames.run("12h", flat, gate=(True, "models pass"))
    assert result.trades["status"].tolist() == ["skipped", "skipped"]
    assert set(result.trades["exit_reason"]) == {"horizon_before_entry"}
    assert len(result.equity) == 0
    summary = result.summary.iloc[0]
    assert (summary["status"], summary["trades"], summary["skipped"]) == ("horizon_before_entry", 0, 2)
    assert bool(summary["is_admissible"]) is False
    for frame, table in ((result.trades, TRADES), (result.equity, EQUITY), (result.summary, SUMMARY)):
        assert_is_of_table(frame, table)


def test_a_design_size_trades_whatever_the_edge_and_the_gate_alone_decides_admissibility(make_frames, flat):
    frames = make_frames(**MARKET, signals={0: ("bull_put_spread", "FULL")})
    for edge in ("no_edge", "skilled"):
        run = frames.changed(signals=frames.signals.assign(edge=edge, position_size=0.0, contracts=0))
        assert run.run("48h", flat, gate=(False, "no skill")).trades["status"].tolist() == ["closed"]
    summary = frames.run("48h", flat, gate=(False, "no skill")).summary.iloc[0]
    assert bool(summary["is_admissible"]) is False
    assert summary["admissibility_reason"] == "no skill"


def test_the_stress_is_the_backtest_with_the_index_two_points_lower_and_higher(random_frames, flat):
    # On a flat surface at the index level, two points on every volatility are two points on the index.
    frames = random_frames(11, sessions=60)
    summary = frames.run("72h", flat).summary.iloc[0]
    for points, name in ((-2.0, "pnl_lower_volatility_usd"), (2.0, "pnl_higher_volatility_usd")):
        index = frames.volatility_index.assign(
            open=frames.volatility_index["open"] + points, close=frames.volatility_index["close"] + points
        )
        moved = frames.changed(volatility_index=index).run("72h", flat).summary.iloc[0]
        assert summary[name] == pytest.approx(moved["total_pnl_usd"], abs=0.01)
    assert summary["pnl_lower_volatility_usd"] != summary["pnl_higher_volatility_usd"]


def test_a_profit_whose_sign_the_surface_decides_is_inadmissible_and_says_so(random_frames, flat):
    wide = flat.model_copy(update={"backtest": flat.backtest.model_copy(update={"stress_volatility": 0.1})})
    kinds = set()
    for seed in range(6):
        summary = random_frames(seed, sessions=40).run("48h", wide, gate=(True, "the models pass")).summary.iloc[0]
        signs = {np.sign(summary[name]) for name in SIGNED}
        kinds.add(len(signs) == 1)
        assert bool(summary["is_admissible"]) is (len(signs) == 1)
        assert ("changes its sign within 10 volatility points" in summary["admissibility_reason"]) is (len(signs) > 1)
    assert kinds == {True, False}


def test_without_an_index_open_the_entry_uses_the_index_close_of_the_signals_session(make_frames, flat):
    closes_only = {**MARKET, "index_opens": [np.nan] * 3, "index_closes": [20.0, 19.0, 18.0]}
    with_open = make_frames(**MARKET, signals={0: ("bull_put_spread", "FULL")}).run("48h", flat).trades
    without = make_frames(**closes_only, signals={0: ("bull_put_spread", "FULL")}).run("48h", flat).trades
    pd.testing.assert_frame_equal(with_open, without)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"index_opens": [np.nan] * 3, "index_closes": [np.nan, 19.0, 18.0]}, "no_volatility_index"),
        ({"opens": [99.0, np.nan, 101.0]}, "no_underlying_price"),
        ({"account": 5_000.0}, "exceeds_risk_budget"),
        # The sold put is worth 0.98: at a half spread of 0.90 the structure costs what it may pay, at 2.00 nobody bids.
        ({"spread": 0.9}, "no_possible_profit"),
        ({"spread": 2.0}, "no_entry_price"),
    ],
)
def test_a_signal_that_cannot_be_traded_is_skipped_with_its_reason(make_frames, flat, change, reason):
    market = {**MARKET, **{name: value for name, value in change.items() if name in MARKET}}
    frames = make_frames(**market, signals={0: ("bull_put_spread", "FULL")})
    missing = frames.prices["open"].notna()
    frames = frames.changed(prices=frames.prices[missing].reset_index(drop=True))
    book = BacktestSettings(
        account_usd=change.get("account", 100_000.0), half_spread_minimum_usd=change.get("spread", 0.01)
    )
    result = frames.run("48h", flat.model_copy(update={"backtest": book}))
    assert result.trades["exit_reason"].tolist() == [reason]
    assert result.trades["status"].tolist() == ["skipped"]
    assert result.summary["status"].tolist() == ["no_trades"]
    assert json.loads(result.summary["skip_reasons"].iloc[0]) == {reason: 1}
    assert set(result.equity["equity_usd"]) == {book.account_usd}
    assert_is_of_table(result.trades, TRADES)
    assert_is_of_table(result.summary, SUMMARY)


def test_a_signal_on_the_last_session_waits_for_its_entry(make_frames, flat):
    result = make_frames(**MARKET, signals={2: ("long_call", "FULL")}).run("24h", flat)
    assert result.trades["exit_reason"].tolist() == ["entry_after_data"]


def test_a_position_whose_target_is_beyond_the_data_is_open_and_marked(make_frames, flat):
    result = make_frames(**MARKET, signals={1: ("long_call", "FULL")}).run("168h", flat)
    trade = result.trades.iloc[0]
    assert (trade["status"], trade["exit_reason"]) == ("open", "open_at_end_of_data")
    assert pd.isna(trade["exit_session"])
    assert np.isnan(trade["pnl_usd"])
    assert trade["fees_usd"] == pytest.approx(0.65 * trade["contracts"])
    assert json.loads(trade["legs"])[0]["exit_price"] is None
    last = result.equity.iloc[-1]
    assert last["open_positions"] == 1
    assert last["marks_usd"] > 0
    assert last["cash_usd"] == pytest.approx(100_000 - trade["entry_cost_usd"] - trade["fees_usd"])
    assert result.summary[["status", "trades", "open_trades"]].iloc[0].tolist() == ["no_trades", 0, 1]


def test_a_missing_exit_quote_moves_the_exit_to_the_first_later_close_that_has_one(make_frames, flat):
    market = {name: [*values, values[-1]] for name, values in MARKET.items() if name != "first"}
    market["index_closes"] = [21.0, np.nan, np.nan, 18.0]
    result = make_frames("2024-03-04", **market, signals={0: ("bull_put_spread", "FULL")}).run("24h", flat)
    assert result.trades["exit_session"].tolist() == [pd.Timestamp("2024-03-07")]
    assert result.trades["exit_reason"].tolist() == ["horizon"]


@pytest.mark.parametrize(("final", "per_structure"), [(110.0, 0.55), (96.0, -0.95), (60.0, -1.95)])
def test_held_to_expiration_the_legs_settle_at_intrinsic_value_and_lose_at_most_the_defined_risk(
    make_frames, flat, final, per_structure
):
    # No index after the entry: nothing to quote from until the legs expire on 2024-03-28, 18 sessions after the signal.
    n = 22
    frames = make_frames(
        "2024-03-04",
        opens=[99.0, 100.0, *[final] * (n - 2)],
        closes=[99.5, 101.0, *[final] * (n - 2)],
        index_opens=[21.0, 20.0, *[np.nan] * (n - 2)],
        index_closes=[21.0, *[np.nan] * (n - 1)],
        signals={0: ("bull_put_spread", "FULL")},
    )
    result = frames.run("48h", flat)
    trade = result.trades.iloc[0]
    assert trade["exit_reason"] == "expiration"
    assert trade["exit_session"] == trade["expiration"] == pd.Timestamp("2024-03-28")
    # Strikes 97.5/95, credit 0.55, ten structures, 26.00 of fees.
    assert trade["pnl_usd"] == pytest.approx(1_000 * per_structure - 26.00, abs=1e-9)
    assert trade["pnl_usd"] >= -trade["max_loss_usd"] - trade["fees_usd"] - 1e-9
    assert result.summary["losses_beyond_defined_risk"].tolist() == [0]


def test_an_early_close_at_the_natural_price_may_lose_more_than_the_defined_risk_and_is_counted(make_frames, flat):
    # Deep in the money the spread is worth its width, and both legs' half spreads come on top.
    market = {**MARKET, "closes": [99.5, 101.0, 40.0], "opens": [99.0, 100.0, 40.0]}
    result = make_frames(**market, signals={0: ("bull_put_spread", "FULL")}).run("48h", flat)
    trade = result.trades.iloc[0]
    assert trade["pnl_usd"] < -trade["max_loss_usd"] - trade["fees_usd"]
    assert result.summary["losses_beyond_defined_risk"].tolist() == [1]


def test_marks_stay_within_the_arbitrage_bounds_of_the_structure_where_the_surface_does_not(make_frames, flat):
    # So steep a skew makes the lower put dearer than the higher one: the surface alone gives a debit spread away.
    steep = flat.model_copy(update={"surface": flat.surface.model_copy(update={"skew": -1.5})})
    frames = make_frames(**MARKET, signals={0: ("bear_put_spread", "FULL")})
    history = build_market(frames.prices, frames.volatility_index, rates=frames.rates, settings=steep)
    market = ModelledMarket("SPY", history)
    plan = plan_on_grid(structure_of("bear_put_spread"), exits=ExitRules(), settings=steep.backtest)
    # Bought at the first open that has a quote, so that whatever the surface says later is only a mark.
    opened = open_positions(market, plan, entries=entries_at(market, [2]))
    paths = gather_paths(market, replace(opened, strikes=np.array([[98.0, 96.0]]), skip_reason=np.array([""])))
    surface = market.surface_at(np.array([3])).columns()
    higher, lower = surface.price(101.0, np.array([[98.0, 96.0]]), years=23 / 365, is_call=False)[0]
    assert higher < lower
    assert paths.mark[0, 1] == 0.0


def test_open_risk_never_exceeds_the_account(make_frames, flat):
    n = 12
    frames = make_frames(
        "2024-03-04", opens=[100.0] * n, closes=[100.0] * n, index_opens=[20.0] * n, index_closes=[20.0] * n,
        signals=dict.fromkeys((0, 1, 2, 4, 5), ("bull_put_spread", "FULL")),
    )  # fmt: skip
    greedy = flat.model_copy(update={"backtest": BacktestSettings(risk_fraction=0.4)})
    trades = frames.run("168h", greedy).trades
    # Two positions of 40 % fit, a third does not. The first is closed at session 5's close, which is after the open
    # at which the signal of session 4 would enter, and before that of session 5.
    assert trades["status"].tolist() == ["closed", "closed", "skipped", "skipped", "closed"]
    assert trades["exit_reason"].tolist()[2:4] == ["capital_limit"] * 2


def test_the_entry_is_discounted_at_the_rate_known_before_its_open(make_frames, flat):
    frames = make_frames(**MARKET, signals={0: ("long_call", "FULL")})
    costs = []
    for session in (None, 0, 1):
        rates = frames.rates.copy()
        if session is not None:
            rates.loc[session, "treasury_3m"] = 10.0
        costs.append(frames.changed(rates=rates).run("48h", flat).trades["legs"].iloc[0].split("exit_price")[0])
    assert costs[0] == costs[2] != costs[1]


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(seed=st.integers(0, 10_000), horizon=st.sampled_from(["24h", "72h", "168h"]), holes=st.booleans())
def test_cash_is_fills_less_fees_and_equity_is_cash_and_marks_for_any_sequence(
    random_frames, flat, seed, horizon, holes
):
    frames = random_frames(seed, sessions=60)
    generator = np.random.default_rng(seed)
    if holes:
        kept = generator.random(60) > 0.15
        kept[0] = True
        frames = frames.changed(volatility_index=frames.volatility_index[kept].reset_index(drop=True))
    book = flat.backtest.model_copy(update={"random_entry_runs": 100})
    realistic = flat.model_copy(update={"surface": SurfaceSettings(), "backtest": book})
    result = frames.run(horizon, realistic)
    trades, equity = result.trades, result.equity
    for frame, table in ((trades, TRADES), (equity, EQUITY), (result.summary, SUMMARY)):
        assert_is_of_table(frame, table)
    assert len(trades) == len(frames.signals)
    traded = trades[trades["status"] != "skipped"]
    assert len(traded) > 5

    flows: dict[pd.Timestamp, float] = {}
    for trade in traded.to_dict("records"):
        legs = json.loads(trade["legs"])
        one_way = 0.65 * trade["contracts"] * sum(leg["ratio"] for leg in legs)
        sign = {"buy": 1, "sell": -1}
        paid = sum(sign[leg["side"]] * leg["ratio"] * leg["entry_price"] for leg in legs) * 100 * trade["contracts"]
        assert trade["entry_cost_usd"] == pytest.approx(paid, abs=1e-6)
        flows[trade["entry_session"]] = flows.get(trade["entry_session"], 0.0) - paid - one_way
        if trade["status"] == "closed":
            back = sum(sign[leg["side"]] * leg["ratio"] * leg["exit_price"] for leg in legs) * 100 * trade["contracts"]
            flows[trade["exit_session"]] = flows.get(trade["exit_session"], 0.0) + back - one_way
            assert trade["fees_usd"] == pytest.approx(2 * one_way)
            assert trade["pnl_usd"] == pytest.approx(back - paid - 2 * one_way, abs=1e-6)
    cash = 100_000.0
    for row in equity.to_dict("records"):
        cash += flows.pop(row["session"], 0.0)
        assert row["cash_usd"] == pytest.approx(cash, abs=1e-5)
        assert row["equity_usd"] == pytest.approx(row["cash_usd"] + row["marks_usd"], abs=1e-9)
        held = (traded["entry_session"] <= row["session"]) & ~(traded["exit_session"] <= row["session"])
        assert row["open_positions"] == held.sum()
        if not held.any():
            assert row["marks_usd"] == 0.0
    assert not flows


@settings(
    deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(seed=st.integers(0, 10_000), cut=st.integers(5, 40), horizon=st.sampled_from(["24h", "168h"]))
def test_no_trade_uses_a_price_of_its_signals_session_or_earlier_or_after_its_exit(
    random_frames, flat, seed, cut, horizon
):
    rich = flat.model_copy(
        update={"backtest": BacktestSettings(account_usd=1e9, risk_fraction=1e-4, random_entry_runs=100)}
    )
    frames = random_frames(seed, sessions=60)
    strategy = frames.signals["strategy"].mask(frames.signals.index == cut, "iron_condor")
    signals = frames.signals.assign(strategy=strategy, design_size=np.where(strategy == "no_trade", "NONE", "FULL"))
    frames = frames.changed(signals=signals)
    trade = frames.run(horizon, rich).trades.iloc[cut]
    assert trade["status"] == "closed"

    before, after = frames.prices.index <= cut, frames.prices["session"] > trade["exit_session"]
    bent = frames.prices.copy()
    bent.loc[before, ["open", "high", "low", "close", "adj_close"]] *= 1.37
    bent.loc[after, ["open", "high", "low", "close", "adj_close"]] *= 0.7
    index = frames.volatility_index.copy()
    index.loc[after, ["open", "close"]] *= 2.0
    elsewhere = frames.changed(prices=bent, volatility_index=index).run(horizon, rich).trades.iloc[cut]
    pd.testing.assert_series_equal(elsewhere, trade)

    entry = frames.prices["session"] == trade["entry_session"]
    bent = frames.prices.copy()
    bent.loc[entry, "open"] *= 1.1
    assert frames.changed(prices=bent).run(horizon, rich).trades.iloc[cut]["entry_cost_usd"] != trade["entry_cost_usd"]


def test_an_index_that_starts_late_skips_what_came_before_it(random_frames, flat):
    frames = random_frames(1, sessions=80)
    late = frames.volatility_index.iloc[40:].reset_index(drop=True)
    result = frames.changed(volatility_index=late.assign(open=np.nan)).run("48h", flat)
    early = result.trades.iloc[:40]
    assert set(early["exit_reason"]) <= {"no_volatility_index", "no_trade"}
    assert (result.trades.iloc[40:70]["status"] == "closed").any()
    assert result.equity["equity_usd"].notna().all()
    assert (result.equity["equity_usd"].iloc[:40] == 100_000.0).all()


def test_no_signals_and_no_prices_give_typed_tables_and_no_crash(random_frames, flat):
    frames = random_frames(2, sessions=30)
    no_signals = frames.changed(signals=frames.signals.iloc[:0]).run("24h", flat)
    assert no_signals.summary["status"].tolist() == ["insufficient_data"]
    assert no_signals.summary["ticker"].tolist() == ["SPY"]
    no_prices = frames.changed(prices=frames.prices.iloc[:0]).run("24h", flat)
    assert no_prices.summary["status"].tolist() == ["insufficient_data"]
    assert set(no_prices.trades["exit_reason"]) == {"entry_after_data", "no_trade"}
    nothing = frames.changed(
        signals=frames.signals.iloc[:0], prices=frames.prices.iloc[:0],
        volatility_index=frames.volatility_index.iloc[:0], rates=frames.rates.iloc[:0],
    ).run("24h", flat)  # fmt: skip
    assert [len(frame) for frame in (nothing.trades, nothing.equity, nothing.summary)] == [0, 0, 0]
    no_index = frames.changed(volatility_index=frames.volatility_index.iloc[:0]).run("24h", flat)
    assert no_index.summary["status"].tolist() == ["no_trades"]
    for result in (no_signals, no_prices, nothing, no_index):
        for frame, table in ((result.trades, TRADES), (result.equity, EQUITY), (result.summary, SUMMARY)):
            assert_is_of_table(frame, table)


def test_signals_outside_the_prices_are_skipped_and_counted(random_frames, flat):
    frames = random_frames(3, sessions=40)
    inner = frames.prices.iloc[10:30].reset_index(drop=True)
    result = frames.changed(prices=inner).run("24h", flat)
    reasons = result.trades["exit_reason"]
    assert set(reasons.iloc[:10]) <= {"no_quote_next_session", "no_volatility_index", "no_trade"}
    assert set(reasons.iloc[29:]) <= {"entry_after_data", "no_trade"}
    counted = json.loads(result.summary["skip_reasons"].iloc[0])
    assert sum(counted.values()) == result.summary["skipped"].iloc[0] == (result.trades["status"] == "skipped").sum()


def test_a_missing_column_a_repeated_session_or_a_negative_price_is_a_typed_error(random_frames, flat):
    frames = random_frames(4, sessions=20)
    with pytest.raises(SchemaError, match=r"signals\.recommendation"):
        frames.changed(signals=frames.signals.drop(columns="design_size")).run("24h", flat)
    with pytest.raises(SchemaError, match=r"raw\.volatility_index"):
        frames.changed(volatility_index=pd.concat([frames.volatility_index] * 2, ignore_index=True)).run("24h", flat)
    with pytest.raises(SchemaError, match=r"raw\.prices_daily"):
        frames.changed(prices=frames.prices.assign(open=-1.0)).run("24h", flat)


def test_the_result_is_the_same_for_the_same_seed_and_prints_what_it_assumed(random_frames, flat):
    frames = random_frames(5, sessions=60)
    first, second = frames.run("72h", flat), frames.run("72h", flat)
    for name in ("trades", "equity", "summary"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name))
    assumed = json.loads(first.summary["assumptions"].iloc[0])
    assert assumed["surface_settings"] == flat.surface.model_dump()
    assert assumed["backtest_settings"] == flat.backtest.model_dump()
    assert assumed["share_of_sessions"]["with_fallback_rate"] == 0.0
    assert "drawn without replacement" in assumed["random_entry"]


def test_statistics_and_random_entry_begin_where_both_forecasts_do(random_frames, flat):
    frames = random_frames(5, sessions=60)
    waiting = frames.signals.copy()
    waiting.loc[:19, ["strategy", "design_size"]] = ["no_trade", "NONE"]
    waiting.loc[:19, "overall_confidence"] = np.nan
    whole = frames.changed(signals=waiting).run("72h", flat)
    late = frames.changed(signals=waiting.iloc[20:].reset_index(drop=True)).run("72h", flat)
    assert whole.equity["session"].iloc[0] == waiting["session"].iloc[20]
    pd.testing.assert_frame_equal(whole.equity, late.equity)
    same = [name for name in whole.summary.columns if name not in ("skipped", "skip_reasons")]
    pd.testing.assert_frame_equal(whole.summary[same], late.summary[same])
    assert whole.summary["skipped"].iloc[0] == late.summary["skipped"].iloc[0] + 20


@pytest.mark.files_data
def test_a_plan_on_fifteen_years_of_real_spy_prices_balances(real_data, flat):
    def read(name: str, column: str, value: str) -> pd.DataFrame:
        frame = pd.read_parquet(real_data / name, filters=[(column, "==", value)])
        sessions = pd.DatetimeIndex(frame["session"]).as_unit("us")
        return frame.assign(session=sessions)[sessions >= "2010-01-04"].reset_index(drop=True)

    prices = read("prices_daily.parquet", "ticker", "SPY")
    index = read("volatility_index.parquet", "symbol", "VIX")
    index = index[index["session"].isin(prices["session"])].reset_index(drop=True)
    signals = pd.DataFrame({
        "ticker": "SPY", "session": prices["session"], "design_size": "HALF", "overall_confidence": 0.6,
        "strategy": np.resize(["bull_put_spread", "iron_condor", "long_call", "bear_put_spread"], len(prices)),
    })  # fmt: skip
    real = flat.model_copy(update={"surface": SurfaceSettings()})
    result = run_backtest(
        signals, prices, index, rates=prices[["session"]].assign(treasury_3m=np.nan), horizon=horizon_of("168h"),
        settings=real,
    )  # fmt: skip
    trades, equity = result.trades, result.equity
    closed = trades[trades["status"] == "closed"]
    assert len(closed) > 500
    assert (closed["entry_session"] == shift_sessions(pd.DatetimeIndex(closed["signal_session"]), 1)).all()
    assert (closed["exit_session"] >= shift_sessions(pd.DatetimeIndex(closed["signal_session"]), 5)).all()
    cash = 100_000 - trades["entry_cost_usd"].sum() + closed["exit_value_usd"].sum() - trades["fees_usd"].sum()
    assert equity["cash_usd"].iloc[-1] == pytest.approx(cash, abs=1e-4)
    assert (closed["pnl_usd"] >= -1.3 * (closed["max_loss_usd"] + closed["fees_usd"])).all()
    assert json.loads(result.summary["assumptions"].iloc[0])["share_of_sessions"]["with_fallback_rate"] == 1.0


@pytest.mark.parametrize(("first", "status"), [("2005-01-07", "options_not_listed_yet"), ("2005-01-10", "horizon")])
def test_no_option_is_traded_before_it_was_listed(make_frames, flat, first, status):
    """Options on SPY were first listed on Monday 2005-01-10."""
    frames = make_frames(**{**MARKET, "first": first}, signals={0: ("bull_put_spread", "FULL")})
    result = frames.run("48h", flat, gate=(True, "models pass"))
    assert result.trades["exit_reason"].tolist() == [status]


def test_the_equity_of_a_backtest_begins_with_the_listing_of_its_options(random_frames, flat):
    frames = random_frames(3, sessions=60, first="2004-12-01")
    result = frames.run("48h", flat)
    assert result.equity["session"].min() == pd.Timestamp("2005-01-10")
    assert result.summary["first_session"].iloc[0] == pd.Timestamp("2005-01-10")
    waiting = frames.signals["session"] < "2005-01-10"
    traded = frames.signals["strategy"] != "no_trade"
    skipped = json.loads(result.summary["skip_reasons"].iloc[0])
    assert skipped["options_not_listed_yet"] == int((waiting & traded).sum())
    alone = frames.changed(signals=frames.signals[~waiting].reset_index(drop=True)).run("48h", flat)
    same = ["total_pnl_usd", "pnl_lower_volatility_usd", "sharpe", "random_entry_p_value", "random_entry_mean_usd"]
    pd.testing.assert_frame_equal(alone.summary[same], result.summary[same])


def test_a_backtest_priced_off_the_index_of_other_options_is_inadmissible_with_that_reason(make_frames, flat):
    frames = make_frames(**MARKET, signals={0: ("bull_put_spread", "FULL")})
    own = frames.changed(volatility_index=frames.volatility_index.assign(symbol="VIX"))
    assert bool(own.run("48h", flat, gate=(True, "models pass")).summary["is_admissible"].iloc[0])
    other = frames.changed(volatility_index=frames.volatility_index.assign(symbol="VXN"))
    summary = other.run("48h", flat, gate=(True, "models pass")).summary.iloc[0]
    assert not summary["is_admissible"]
    assert summary["admissibility_reason"].startswith("option prices of SPY are modelled from VXN, its own is VIX")


def test_the_profit_stands_beside_random_days_and_holding(random_frames, flat):
    result = random_frames(5, sessions=80).run("48h", flat)
    summary = result.summary.iloc[0]
    assert summary["random_entry_mean_usd"] == pytest.approx(result.luck["matrix"].mean_usd)
    held = result.equity["benchmark_usd"]
    assert summary["benchmark_pnl_usd"] == pytest.approx(held.iloc[-1] - 100_000.0)
