"""Bars: hours make days exactly, lie within the session, and carry dividends and splits as vendors do."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading_dag.simulation.conftest import market_of, path_of
from trading_dag.sessions import session_close, session_open
from trading_dag.simulation.bars import daily_bars, hourly_bars
from trading_dag.simulation.parameters import underlying_of
from trading_dag.simulation.simulation_settings import share_name
from trading_dag.simulation.timeline import split_session


def bars_of(market, path) -> tuple[pd.DataFrame, pd.DataFrame]:
    hourly = hourly_bars(market, path)
    return hourly, daily_bars(market, path, hourly)


def test_the_daily_bar_is_the_hourly_ones_put_together(market, share) -> None:
    hourly, daily = bars_of(market, share)
    for session, rows in list(hourly.groupby("session"))[::37]:
        day = daily[daily["session"] == session].iloc[0]
        assert day["open"] == rows["open"].iloc[0]
        assert day["close"] == rows["close"].iloc[-1]
        assert day["high"] == max(rows["high"])
        assert day["low"] == min(rows["low"])
        assert day["volume"] == sum(rows["volume"])
    assert len(daily) == len(market.times)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**31), ticker=st.sampled_from(["IWM", "SIMAD", "F"]))
def test_no_bar_contradicts_itself_and_one_begins_where_the_last_ended(seed: int, ticker: str) -> None:
    market = market_of(seed, years=1)
    hourly, daily = bars_of(market, path_of(market, ticker))
    for rows in (hourly, daily):
        assert (rows["high"] >= rows[["open", "close"]].max(axis=1)).all()
        assert (rows["low"] <= rows[["open", "close"]].min(axis=1)).all()
        assert (rows["low"] > 0.0).all()
        assert (rows["volume"] >= 0.0).all()
    inside = hourly["session"] == hourly["session"].shift()
    assert (hourly["open"] == hourly["close"].shift())[inside].all()


def test_bars_begin_at_the_open_and_end_by_the_close_on_half_days_too(market, share) -> None:
    hourly = hourly_bars(market, share)
    for day, count in (("2015-11-25", 7), ("2015-11-27", 4), ("2015-07-02", 7)):
        session = pd.Timestamp(day)
        starts = hourly.loc[hourly["session"] == session, "ts"]
        assert len(starts) == count
        assert starts.iloc[0] == session_open(session)
        assert session_close(session) - starts.iloc[-1] == pd.Timedelta(minutes=30)


def test_the_range_of_a_bar_is_that_of_a_brownian_path() -> None:
    """Parkinson (1980): the mean squared log range of a Brownian path is 4·ln 2 times its variance."""
    ratios = []
    for seed in range(12):
        market = market_of(seed, years=1)
        path = path_of(market, "SPY")
        hourly = hourly_bars(market, path)
        is_bar = market.times.shares[:, 1:] > 0.0
        variance = (path.scales[:, 1:] ** 2)[is_bar]
        quiet = (market.factor.jumps[:, 1:] == 0.0)[is_bar]
        log_range = np.log(hourly["high"] / hourly["low"]).to_numpy()
        ratios.append(float(np.mean((log_range**2 / variance)[quiet]) / (4.0 * np.log(2.0))))
    assert abs(np.mean(ratios) - 1.0) <= 4.0 * np.std(ratios, ddof=1) / np.sqrt(len(ratios)) + 0.005


def test_a_dividend_lowers_the_price_and_not_the_adjusted_one(market, fund) -> None:
    _, daily = bars_of(market, fund)
    paid = daily[daily["dividend"] > 0.0]
    # SPY pays on or after the third Friday of March, June, September and December: twelve times in three years.
    assert [f"{day:%Y-%m-%d}" for day in paid["session"][:4]] == [
        "2015-03-20",
        "2015-06-19",
        "2015-09-18",
        "2015-12-18",
    ]
    assert len(paid) == 12
    before = daily["close"].shift()[paid.index]
    np.testing.assert_allclose(paid["dividend"], 0.014 / 4.0 * before, rtol=1e-3)
    growth = (daily["adj_close"] / daily["close"]).pct_change()
    np.testing.assert_allclose(growth[paid.index], 1.0 / (1.0 - 0.0035) - 1.0, rtol=1e-6)
    assert (growth.drop(paid.index).abs().dropna() < 1e-9).all()


def test_a_later_dividend_changes_no_earlier_adjusted_close(market) -> None:
    whole = bars_of(market, path_of(market, "SPY"))[1]
    cut = market_of(42, last=pd.Timestamp("2015-06-18"))
    pd.testing.assert_frame_equal(bars_of(cut, path_of(cut, "SPY"))[1], whole.iloc[: len(cut.times)])


def test_a_split_shows_in_its_factor_and_in_no_price() -> None:
    market = market_of(42, years=10)
    found = [name for name in map(share_name, range(30)) if underlying_of(42, name, fair=False).split_ratio > 1.0]
    assert 2 <= len(found) <= 16
    path = path_of(market, found[0])
    _, daily = bars_of(market, path)
    split = split_session(path.underlying, market.settings)
    row = daily.index[daily["session"] == split]
    assert len(row) == 1
    assert daily["split_factor"].drop(row).eq(1.0).all()
    assert daily.loc[row[0], "split_factor"] == path.underlying.split_ratio
    assert abs(np.log(daily.loc[row[0], "close"] / daily.loc[row[0] - 1, "close"])) < 0.25
