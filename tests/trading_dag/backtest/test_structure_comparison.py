"""The comparison is each plan run by itself, says what it left out, and what the modelled surface decides."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from tests.trading_dag.backtest.plan_chains import fair_chain, put_price, small_market
from trading_dag.backtest.markets.dividends import Dividends
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.structure_plans import plan_of
from trading_dag.backtest.results.plan_summary import summarize
from trading_dag.backtest.runs.plan_runs import run_plan
from trading_dag.backtest.runs.structure_comparison import (
    DAYS_TO_EXPIRATION,
    compare_modelled,
    compare_structures,
    exits_of,
)
from trading_dag.backtest.trades.entries import entries_weekly
from trading_dag.options.structures.structure import STRUCTURES, structure_of
from trading_dag.schemas import COMPARISON
from trading_dag.setting_groups import BacktestSettings
from trading_dag.slices import HORIZONS, horizon_of
from trading_dag.validation.inference.overfitting import probability_of_overfitting

SETTINGS = BacktestSettings(risk_fraction=0.2)
HORIZON = horizon_of("48h")
EXITS = exits_of(HORIZON)


@pytest.fixture(scope="module")
def market():
    spots = 100.0 + np.cumsum(np.random.default_rng(5).normal(0.0, 0.7, 60))
    return small_market(fair_chain(spots, lives=35))


@pytest.fixture
def modelled(random_frames):
    """The comparison of a seeded market of 150 sessions."""
    frames = random_frames(11, sessions=150)

    def compare(settings, *, horizon: str = "48h", menu=STRUCTURES, frames=frames):
        return compare_modelled(
            frames.prices, frames.volatility_index, rates=frames.rates, ticker="SPY", menu=menu,
            horizon=horizon_of(horizon), settings=settings,
        )  # fmt: skip

    return compare


def test_every_structure_that_a_chain_can_show_has_a_row_for_every_exit(market) -> None:
    found = compare_structures(market, menu=STRUCTURES, horizon=HORIZON, settings=SETTINGS)
    kept = set(STRUCTURES) - set(found.left_out)
    assert kept >= set(STRUCTURES) - {"calendar", "put_calendar"}
    assert len(found.table) == len(kept) * len(EXITS)
    assert set(found.table["structure"]) == kept
    assert (found.table["programs_tried"] == len(found.table)).all()
    assert (found.table["horizon"] == "48h").all()
    assert (found.table["quote_source"] == "chain").all()
    assert found.table["total_pnl_usd"].is_monotonic_decreasing
    days = market.sessions.astype("datetime64[us]")
    assert (found.table["first_session"] == days[0]).all()
    assert (found.table["last_session"] == days[59]).all()
    assert (found.table["sessions"] == 60).all()


def test_a_menu_of_nothing_gives_the_table_without_rows(market) -> None:
    table = compare_structures(market, menu={}, horizon=HORIZON, settings=SETTINGS).table
    assert len(table) == 0
    assert tuple(table.columns) == COMPARISON.column_names


@pytest.mark.parametrize("name", ["bull_put_spread", "long_straddle"])
def test_a_row_is_the_plan_run_by_itself(market, name: str) -> None:
    table = compare_structures(market, menu=STRUCTURES, horizon=HORIZON, settings=SETTINGS).table
    for exits, rules in EXITS.items():
        plan = plan_of(
            structure_of(name), exits=rules, days_to_expiration=DAYS_TO_EXPIRATION,
            settings=SETTINGS,
        )  # fmt: skip
        alone = summarize(run_plan(market, plan, entries=entries_weekly(market)))
        row = table[(table["structure"] == name) & (table["exits"] == exits)].iloc[0]
        assert row["trades"] == alone.closed
        assert row["total_pnl_usd"] == pytest.approx(alone.total_usd)
        assert row["fees_usd"] == pytest.approx(alone.fees_usd)


def test_the_probability_of_overfitting_is_of_the_daily_profits_of_the_plans_that_traded(market) -> None:
    menu = {name: structure_of(name) for name in ("bull_put_spread", "long_straddle")}
    table = compare_structures(market, menu=menu, horizon=HORIZON, settings=SETTINGS).table
    plans = [
        plan_of(structure, exits=rules, days_to_expiration=DAYS_TO_EXPIRATION, settings=SETTINGS)
        for structure in menu.values()
        for rules in EXITS.values()
    ]
    runs = [run_plan(market, plan, entries=entries_weekly(market)) for plan in plans]
    daily = [np.diff(run.history.equity) for run in runs if run.is_closed.any()]
    expected = probability_of_overfitting(np.column_stack(daily)).probability
    assert 0.0 <= expected <= 1.0
    assert (table["probability_of_overfitting"] == expected).all()


def test_dividends_reach_every_plan(market) -> None:
    paid = Dividends(market.sessions[20:21], np.array([4.0]))
    menu = {"covered_call": STRUCTURES["covered_call"]}
    with_dividends = compare_structures(market, menu=menu, horizon=HORIZON, settings=SETTINGS, dividends=paid).table
    without = compare_structures(market, menu=menu, horizon=HORIZON, settings=SETTINGS).table
    plan = plan_of(
        menu["covered_call"], exits=EXITS["expiration"], days_to_expiration=DAYS_TO_EXPIRATION, settings=SETTINGS
    )
    alone = summarize(run_plan(market, plan, entries=entries_weekly(market), dividends=paid))
    totals = [table.set_index("exits").loc["expiration", "total_pnl_usd"] for table in (with_dividends, without)]
    assert totals[0] == pytest.approx(alone.total_usd)
    assert totals[0] != pytest.approx(totals[1])


def test_quotes_made_from_last_trades_are_named_where_a_trade_used_one(market) -> None:
    spots = 100.0 + np.cumsum(np.random.default_rng(5).normal(0.0, 0.7, 60))
    chain = fair_chain(spots, lives=35, half_spread=0.0)
    chain = chain.rename(columns={"ask": "last"}).drop(columns="bid").assign(volume=10.0)
    table = compare_structures(
        small_market(chain), menu={"long_call": STRUCTURES["long_call"]}, horizon=HORIZON, settings=SETTINGS
    ).table
    assert (table["quote_source"] == "last").all()
    assert (table["trades"] > 0).all()


def test_a_later_session_changes_no_earlier_entry() -> None:
    """Widths are shares of the price at each entry, not of a price of the whole period."""
    spots = 100.0 + np.cumsum(np.random.default_rng(7).normal(0.3, 0.8, 60))
    plan = plan_of(
        structure_of("iron_butterfly"), exits=ExitRules(horizon_sessions=5), days_to_expiration=21, settings=SETTINGS
    )
    trades = []
    for sessions in (30, 60):
        market = small_market(fair_chain(spots[:sessions], lives=35))
        found = run_plan(market, plan, entries=entries_weekly(market)).trades()
        trades.append(found[found["entry_session"] < "2024-02-01"][["entry_session", "strikes"]].astype(str))
    assert len(trades[0]) >= 4
    assert trades[0].equals(trades[1])


@pytest.mark.parametrize("horizon", HORIZONS.values(), ids=list(HORIZONS))
def test_the_horizon_is_one_of_the_exits_wherever_it_ends_at_a_close(horizon) -> None:
    exits = exits_of(horizon)
    assert ("horizon" in exits) is (horizon.key != "12h")
    if "horizon" in exits:
        assert exits["horizon"] == ExitRules(
            horizon_sessions={"24h": 1, "48h": 2, "72h": 3, "96h": 4, "168h": 5}[horizon.key]
        )


def test_the_twelve_hour_slice_says_why_it_has_no_horizon_exit(modelled, flat) -> None:
    found = modelled(flat, horizon="12h", menu={"long_put": STRUCTURES["long_put"]})
    assert "open" in found.left_out["horizon"]
    assert "horizon" not in set(found.table["exits"])
    assert len(found.table) == 4


def test_long_puts_left_after_two_sessions_earn_what_a_calculation_by_hand_says(modelled, flat, random_frames) -> None:
    """Strike, size, fills, fees and the total, with nothing of the engine but the settings."""
    frames = random_frames(11, sessions=150)
    frames = frames.changed(rates=frames.rates.assign(treasury_3m=0.0))
    menu = {"long_put": STRUCTURES["long_put"]}
    row = modelled(flat, menu=menu, frames=frames).table.set_index("exits").loc["horizon"]

    days = pd.DatetimeIndex(frames.prices["session"])
    close, level = frames.prices["close"].to_numpy(), frames.volatility_index["close"].to_numpy() / 100.0
    firsts = np.flatnonzero(~pd.Series(days).dt.to_period("W-SUN").duplicated().to_numpy())
    fee, total, trades = flat.backtest.fee_per_leg_contract_usd, 0.0, 0
    for entry in firsts[firsts + 2 < len(days)]:
        wanted = days[entry] + pd.Timedelta(days=30)
        friday = wanted + pd.Timedelta(days=(4 - wanted.day_of_week) % 7)
        if friday == pd.Timestamp("2019-04-19"):
            friday = pd.Timestamp("2019-04-18")  # Good Friday
        spot, volatility = close[entry], level[entry]
        years = (friday - days[entry]).days / 365.0
        tick = 0.5 if spot * 0.0025 < 1.0 else 1.0
        grid = np.arange(tick, 900.0, tick)
        deviation = volatility * np.sqrt(years)
        delta = 1.0 - ndtr(np.log(spot / grid) / deviation + 0.5 * deviation)
        strike = grid[np.abs(delta - 0.45).argmin()]
        paid, sold = (
            put_price(np.array(close[at]), np.array(strike), years=np.array(left), volatility=level[at]).item()
            for at, left in ((entry, years), (entry + 2, (friday - days[entry + 2]).days / 365.0))
        )
        ask = np.ceil((paid + max(0.02 * paid, 0.01)) * 100 - 1e-7) / 100
        bid = np.floor((sold - max(0.02 * sold, 0.01)) * 100 + 1e-7) / 100
        contracts = np.floor(2_000.0 / (ask * 100 + 2 * fee) + 1e-9)
        total += contracts * ((bid - ask) * 100 - 2 * fee)
        trades += int(contracts > 0)
    assert trades >= 20
    assert row["trades"] == trades
    assert row["total_pnl_usd"] == pytest.approx(total, abs=0.01)


def test_the_stressed_totals_are_those_of_a_surface_so_much_lower_and_higher(modelled, flat) -> None:
    base = modelled(flat).table.set_index(["structure", "exits"])
    traded = base[base["trades"] > 0]
    for column, shift in (("pnl_lower_volatility_usd", -0.02), ("pnl_higher_volatility_usd", 0.02)):
        surface = flat.surface.model_copy(update={"level_shift": shift})
        other = modelled(flat.model_copy(update={"surface": surface})).table.set_index(["structure", "exits"])
        expected = other["total_pnl_usd"].reindex(traded.index)
        np.testing.assert_allclose(traded[column], expected, atol=1e-6)
        assert (np.abs(traded[column] - traded["total_pnl_usd"]) > 1.0).mean() > 0.9


def test_a_row_is_inadmissible_exactly_where_its_total_changes_its_sign_or_nothing_was_traded(modelled, flat) -> None:
    table = modelled(flat).table
    totals = table[["pnl_lower_volatility_usd", "total_pnl_usd", "pnl_higher_volatility_usd"]]
    traded = table["trades"] > 0
    changes = np.sign(totals).nunique(axis=1) > 1
    assert table.loc[traded, "inadmissible_reason"].notna().equals(changes[traded])
    assert table.loc[traded & changes, "inadmissible_reason"].str.contains("within 2 volatility points").all()
    assert table.loc[~traded, "inadmissible_reason"].str.startswith("no trade was closed: ").all()
    assert (traded & changes).any()
    assert (traded & ~changes).any()
    assert (~traded).any()
    assert (table["quote_source"] == "modelled").all()


def test_a_market_without_an_index_gives_no_rows_and_the_reason(modelled, flat, random_frames) -> None:
    frames = random_frames(11, sessions=40)
    blind = frames.changed(volatility_index=frames.volatility_index.assign(close=np.nan))
    found = modelled(flat, frames=blind)
    assert found.table.empty
    assert "volatility index" in found.left_out["everything"]


def test_shares_of_a_modelled_covered_call_are_paid_the_stored_dividends(modelled, flat, random_frames) -> None:
    frames = random_frames(11, sessions=150)
    days = pd.DatetimeIndex(frames.prices["session"])
    entry = int(np.flatnonzero(~pd.Series(days).dt.to_period("W-SUN").duplicated().to_numpy())[12])
    # Every trade is left two sessions after its weekly entry, so only this one holds its shares over the ex-date.
    going_ex = np.arange(150) == entry + 1
    paying = frames.changed(prices=frames.prices.assign(dividend=np.where(going_ex, 0.25, 0.0)))
    menu = {"covered_call": STRUCTURES["covered_call"]}
    settings = flat.model_copy(
        update={"backtest": flat.backtest.model_copy(update={"account_usd": 1e6, "risk_fraction": 0.1})}
    )
    without, paid = (
        modelled(settings, menu=menu, frames=each).table.set_index("exits")["total_pnl_usd"]["horizon"]
        for each in (frames, paying)
    )
    lots = (paid - without) / (0.25 * 100)
    assert lots == pytest.approx(round(lots))
    # A tenth of the account pays for so many lots of shares, less a premium of under a tenth of their price.
    price = 100 * frames.prices["close"].iloc[entry]
    assert np.floor(100_000 / price) <= round(lots) <= np.floor(100_000 / (0.9 * price))
