"""A modelled chain is the surface's own prices, lists what the menu wants, and knows no later session."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.trading_dag.backtest.plan_chains import put_delta, put_price
from trading_dag.backtest.markets.chain_market import ChainMarket
from trading_dag.backtest.markets.market import Market, build_market
from trading_dag.backtest.markets.modelled_chain import first_quoted_position, modelled_chain
from trading_dag.backtest.plans.exit_rules import ExitRules
from trading_dag.backtest.plans.structure_plans import plan_of
from trading_dag.backtest.runs.plan_runs import run_plan
from trading_dag.backtest.trades.entries import entries_weekly
from trading_dag.errors import InsufficientDataError
from trading_dag.options.structures.structure import STRUCTURES, Structure, structure_of

SESSIONS = 60
DAYS = 30


def market_of(frames, settings, sessions: int = SESSIONS) -> Market:
    return build_market(
        frames.prices.iloc[:sessions], frames.volatility_index.iloc[:sessions], rates=frames.rates.iloc[:sessions],
        settings=settings,
    )  # fmt: skip


def chain_of(market: Market, menu: list[Structure] | None = None) -> ChainMarket:
    return modelled_chain(market, menu or list(STRUCTURES.values()), days_to_expiration=DAYS, first=0)


@pytest.fixture
def zero_rate(random_frames):
    frames = random_frames(3, sessions=SESSIONS)
    return frames.changed(rates=frames.rates.assign(treasury_3m=0.0))


def columns_of(chain: ChainMarket) -> pd.DataFrame:
    session = np.repeat(np.arange(len(chain)), np.diff(chain.first_row))
    return pd.DataFrame({
        "session": chain.sessions[session], "spot": chain.spot[session],
        "days": chain.expiration_day - chain.days[session], "expiration": chain.expiration_day,
        "is_call": ((chain.key >> 30) & 1) == 0, "strike": chain.strike, "bid": chain.bid, "ask": chain.ask,
        "delta": chain.delta,
    })  # fmt: skip


def test_quotes_lie_around_black_scholes_of_the_closes_own_index_level(zero_rate, flat) -> None:
    rows = columns_of(chain_of(market_of(zero_rate, flat)))
    level = zero_rate.volatility_index.set_index("session")["close"].reindex(rows["session"]).to_numpy() / 100.0
    years = rows["days"].to_numpy() / 365.0
    strike, spot, is_call = rows["strike"].to_numpy(), rows["spot"].to_numpy(), rows["is_call"].to_numpy()
    put = put_price(spot, strike, years=years, volatility=level)
    fair = np.where(is_call, put + spot - strike, put)
    half = np.maximum(0.02 * fair, 0.01)
    # rounding is to the cent, away from the middle
    assert ((fair - half) - rows["bid"]).between(-1e-6, 0.01 + 1e-6).where(fair > half, other=True).all()
    assert (rows["ask"] - (fair + half)).between(-1e-6, 0.01 + 1e-6).all()
    known = rows["delta"].notna()
    expected = put_delta(spot, strike, years=years, volatility=level) + is_call
    np.testing.assert_allclose(rows["delta"][known], expected[known], atol=1e-9)


def test_deltas_are_known_at_the_first_session_of_each_week_and_at_no_other(zero_rate, flat) -> None:
    rows = columns_of(chain_of(market_of(zero_rate, flat)))
    weeks = pd.Series(rows["session"].unique()).dt.to_period("W-SUN")
    first_of_week = pd.Series(rows["session"].unique())[~weeks.duplicated().to_numpy()]
    assert set(rows.loc[rows["delta"].notna(), "session"]) == set(first_of_week)


def test_the_strike_of_a_delta_is_the_nearest_on_the_grid(zero_rate, flat) -> None:
    chain = chain_of(market_of(zero_rate, flat), [structure_of("cash_secured_put")])
    rows = columns_of(chain)
    opened = rows[rows["delta"].notna() & ~rows["is_call"]].drop_duplicates("expiration")
    level = zero_rate.volatility_index.set_index("session")["close"].reindex(opened["session"]).to_numpy() / 100.0
    assert len(opened) >= 10
    for (_, row), volatility in zip(opened.iterrows(), level, strict=True):
        grid = np.arange(0.5, 600.0, 0.5)  # 0.25 % of 300 USD is between the ticks 0.50 and 1.00
        miss = np.abs(np.abs(put_delta(row["spot"], grid, years=row["days"] / 365.0, volatility=volatility)) - 0.30)
        assert row["strike"] == grid[miss.argmin()]


def test_expirations_are_the_first_fridays_at_least_thirty_days_on(zero_rate, flat) -> None:
    rows = columns_of(chain_of(market_of(zero_rate, flat), [structure_of("long_call")]))
    first = rows.groupby("expiration")["session"].min()
    for expiration, session in first.items():
        day = pd.Timestamp(session) + pd.Timedelta(days=DAYS)
        friday = day + pd.Timedelta(days=(4 - day.day_of_week) % 7)
        listed = pd.Timestamp(int(expiration), unit="D")
        assert listed in (friday, friday - pd.Timedelta(days=1))  # the session before where the Friday is a holiday
    lives = rows.groupby("expiration")["days"].min()
    assert (lives >= 1).all()


@pytest.mark.parametrize("sessions", [20, 37, 55])
def test_data_that_ends_earlier_gives_the_same_quotes_up_to_its_end(zero_rate, flat, sessions: int) -> None:
    whole, cut = (columns_of(chain_of(market_of(zero_rate, flat, count))) for count in (SESSIONS, sessions))
    before = whole[whole["session"] <= cut["session"].max()].reset_index(drop=True)
    pd.testing.assert_frame_equal(before, cut)


def test_what_is_held_to_expiration_settles_at_its_intrinsic_value_by_the_close(zero_rate, flat) -> None:
    chain = chain_of(market_of(zero_rate, flat))
    book = flat.backtest
    plan = plan_of(structure_of("bull_put_spread"), exits=ExitRules(), days_to_expiration=DAYS, settings=book)
    trades = run_plan(chain, plan, entries=entries_weekly(chain)).trades()
    closed = trades[trades["status"] == "closed"]
    assert len(closed) >= 5
    close = zero_rate.prices.set_index("session")["close"]
    for _, trade in closed.iterrows():
        at_expiration = close[trade["expiration"]]
        short, long = (max(strike - at_expiration, 0.0) for strike in trade["strikes"])
        assert trade["exit_value_usd"] == pytest.approx((long - short) * 100 * trade["contracts"])


def test_a_session_without_an_index_level_has_no_quote_and_opens_nothing(zero_rate, flat) -> None:
    index = zero_rate.volatility_index.copy()
    monday = next(row for row in range(10, SESSIONS) if index["session"].iloc[row].day_of_week == 0)
    index.loc[monday, "close"] = np.nan
    chain = chain_of(market_of(zero_rate.changed(volatility_index=index), flat))
    rows = columns_of(chain)
    of_day = rows[rows["session"] == index["session"].iloc[monday]]
    assert len(of_day) > 0
    assert of_day["ask"].isna().all()
    plan = plan_of(structure_of("long_call"), exits=ExitRules(), days_to_expiration=DAYS, settings=flat.backtest)
    trades = run_plan(chain, plan, entries=entries_weekly(chain)).trades()
    assert trades.loc[trades["entry_session"] == index["session"].iloc[monday], "status"].tolist() == ["skipped"]


def test_data_without_an_index_is_refused(zero_rate, flat) -> None:
    index = zero_rate.volatility_index.assign(close=np.nan)
    market = market_of(zero_rate.changed(volatility_index=index), flat)
    with pytest.raises(InsufficientDataError, match="volatility index"):
        first_quoted_position(market, years=5.0)
    with pytest.raises(InsufficientDataError, match="volatility index"):
        chain_of(market)


def test_the_first_position_is_quoted_and_within_the_years(zero_rate, flat) -> None:
    index = zero_rate.volatility_index.copy()
    index.loc[:6, "close"] = np.nan
    market = market_of(zero_rate.changed(volatility_index=index), flat)
    assert first_quoted_position(market, years=5.0) == 7
    days = 30 / 365.0
    late = first_quoted_position(market, years=days)
    assert market.sessions[late] >= market.sessions[-1] - pd.Timedelta(days=30)
    assert market.sessions[late - 1] < market.sessions[-1] - pd.Timedelta(days=30)
