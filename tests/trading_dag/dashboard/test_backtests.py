"""The page of backtests shows the numbers of the warehouse: its frames are rows of tables, its figures draw frames."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.versioned_reader import VersionedReader
from trading_dag.dashboard.views import backtest_charts as charts
from trading_dag.dashboard.views import backtest_data as data
from trading_dag.frames import table_frame
from trading_dag.schemas import COMPARISON, EQUITY, TRADES

SLICE = {"ticker": "SPY", "horizon": "24h"}
KEY = SliceKey("SPY", "24h")
DAYS = pd.to_datetime(["2023-12-28", "2023-12-29", "2024-01-02", "2024-01-31", "2024-02-01"]).as_unit("us")
LEGS = json.dumps(
    [
        {"option_right": "P", "side": "sell", "ratio": 1, "strike": 97.5, "entry_price": 0.96, "exit_price": 0.37},
        {"option_right": "P", "side": "buy", "ratio": 2, "strike": 95.0, "entry_price": 0.41, "exit_price": None},
    ]
)


@pytest.fixture
def reader(tmp_path: Path) -> VersionedReader:
    store = ParquetStore(tmp_path)
    equity = {
        **SLICE, "session": DAYS, "rule": "matrix", "cash_usd": 0.0, "marks_usd": 0.0, "drawdown": 0.0,
        "equity_usd": [100.0, 110.0, 99.0, 99.0, 0.0], "open_positions": 0,
        "random_low_usd": [100.0, 90.0, 80.0, 80.0, 80.0],
        "random_median_usd": 100.0, "random_high_usd": 120.0, "benchmark_usd": [100.0, 200.0, 150.0, 150.0, 250.0],
    }  # fmt: skip
    store.write(EQUITY, KEY, table_frame(EQUITY, equity, rows=5))
    trades = {
        **SLICE, "signal_session": DAYS[:4], "rule": "matrix", "roll": 0, "structure": "bull_put_spread",
        "status": ["closed", "skipped", "closed", "open"], "exit_reason": ["horizon", "no_trade", "horizon", "open"],
        "entry_session": [DAYS[1], pd.NaT, DAYS[3], DAYS[4]], "exit_session": [DAYS[2], pd.NaT, DAYS[4], pd.NaT],
        "entry_spot": [100.0, np.nan, 101.0, 102.0], "exit_spot": [102.0, np.nan, 99.0, np.nan], "legs": LEGS,
        "contracts": 3, "pnl_usd": [234.5, np.nan, -10.0, np.nan],
    }  # fmt: skip
    store.write(TRADES, KEY, table_frame(TRADES, trades, rows=4))
    compared = {
        **SLICE, "structure": ["long_call", "long_call", "iron_condor"], "exits": ["horizon", "expiration", "horizon"],
        "quote_source": "modelled", "first_session": DAYS[0], "last_session": DAYS[4], "sessions": 5,
        "programs_tried": 3, "trades": 1, "open": 0, "skipped": 0, "total_pnl_usd": [1_500.0, -2_000.0, 3_000.0],
        "losses_beyond_defined_risk": 0,
    }  # fmt: skip
    store.write(COMPARISON, KEY, table_frame(COMPARISON, compared, rows=3).sort_values(["structure", "exits"]))
    return VersionedReader(store)


def test_equity_is_the_tables_and_is_drawn_in_thousands_beside_holding_and_random_entry(reader: VersionedReader):
    equity = data.equity_data(reader, "SPY", "24h", "matrix")
    assert equity["equity_usd"].tolist() == [100.0, 110.0, 99.0, 99.0, 0.0]
    assert equity["benchmark_drawdown"].tolist() == [0.0, 0.0, 0.25, 0.25, 0.0]
    drawn = {(trace.name, trace.yaxis): list(trace.y) for trace in charts.equity_figure(equity).data}
    assert drawn["account", None] == [0.1, 0.11, 0.099, 0.099, 0.0]
    assert drawn["buy and hold", None] == [0.1, 0.2, 0.15, 0.15, 0.25]
    assert drawn["5% of random entries", "y2"] == [0.1, 0.09, 0.08, 0.08, 0.08]
    assert drawn["buy and hold below its high", "y3"] == [0.0, 0.0, -25.0, -25.0, 0.0]
    without = charts.equity_figure(equity.assign(random_low_usd=np.nan))
    assert not any("random" in trace.name for trace in without.data)


def test_months_start_from_the_last_of_the_month_before_and_end_where_nothing_is_left(reader: VersionedReader):
    months = data.monthly_returns(data.equity_data(reader, "SPY", "24h", "matrix"))
    assert months.loc[2023, "Dec"] == pytest.approx(0.10)
    assert months.loc[2024, "Jan"] == pytest.approx(-0.10)
    assert months.loc[2024, "Feb"] == -1.0
    assert months.loc[2024, "whole year"] == -1.0
    assert np.isnan(months.loc[2024, "Mar"])
    figure = charts.monthly_figure(months)
    assert figure.data[0].text[1][0] == "-10.0"
    assert data.monthly_returns(pd.DataFrame({"session": [], "equity_usd": []})).empty
    gone = pd.DataFrame(
        {"session": pd.to_datetime(["2024-01-31", "2024-02-29", "2024-03-28"]), "equity_usd": [5, 0, 0]}
    )
    assert np.isnan(data.monthly_returns(gone).loc[2024, "Mar"])


def test_trades_of_a_year_are_drawn_with_their_strikes_and_told_with_their_fills(reader: VersionedReader):
    assert data.trade_years(reader, "SPY", "24h", "matrix") == [2024, 2023]
    trades = data.trades_data(reader, "SPY", "24h", "matrix", 2024)
    assert trades["pnl_usd"].tolist()[0] == -10.0
    assert trades["status"].tolist() == ["closed", "open"]
    assert trades["legs_text"].iloc[0] == "sold 97.5 put at 0.96 → 0.37, bought 2 × 95 put at 0.41"
    prices = pd.DataFrame({"session": DAYS, "close": [100.0, 101.0, 102.0, 99.0, 98.0]})
    figure = charts.trades_figure(prices, trades.assign(structure="<b>x</b>"), ticker="SPY")
    drawn = {trace.name: trace for trace in figure.data}
    assert list(drawn["close"].y) == [100.0, 101.0, 102.0, 99.0, 98.0]
    assert list(drawn["lost"].y) == [99.0]
    assert list(drawn["open"].y) == [102.0]
    assert "earned" not in drawn
    assert "&lt;b&gt;" in drawn["lost"].customdata[0]
    assert "profit after fees -10.00 USD" in drawn["lost"].customdata[0]
    assert set(pd.Series(drawn["strike sold"].y).dropna()) == {97.5}
    assert set(pd.Series(drawn["strike bought"].y).dropna()) == {95.0}


def test_structures_are_compared_by_what_the_table_says_the_best_first(reader: VersionedReader):
    compared = data.comparison_data(reader, "SPY", "24h")
    assert compared["total_pnl_usd"].tolist() == [3_000.0, 1_500.0, -2_000.0]
    heat = charts.comparison_figure(compared).data[0]
    assert list(heat.y) == ["iron condor", "long call"]
    assert heat.z[list(heat.y).index("long call")][list(heat.x).index("expiration")] == -2.0
    assert np.isnan(heat.z[0][list(heat.x).index("expiration")])


def test_rules_are_drawn_with_the_range_of_a_surface_lower_and_higher():
    summaries = pd.DataFrame(
        {
            "horizon": ["24h", "48h", "24h"], "rule": ["matrix", "matrix", "expected_value"],
            "status": ["backtested", "no_trades", "backtested"], "trades": 7, "total_pnl_usd": [1_000.0, 0.0, -500.0],
            "pnl_lower_volatility_usd": [-2_000.0, np.nan, 0.0], "pnl_higher_volatility_usd": [3_000.0, np.nan, 0.0],
            "random_entry_mean_usd": [100.0, np.nan, np.nan], "always_pnl_usd": [50.0, np.nan, np.nan],
        }
    )  # fmt: skip
    figure = charts.rules_figure(summaries, ["24h", "48h"])
    drawn = {trace.name: trace for trace in figure.data if trace.name}
    assert list(drawn["rule matrix"].x) == [1.0]
    assert list(drawn["rule matrix"].customdata[0][:2]) == [-2.0, 3.0]
    assert list(drawn["rule expected value"].x) == [-0.5]


def test_assumptions_and_skipped_signals_are_words():
    summary = pd.Series(
        {
            "assumptions": json.dumps(
                {"dividends": "a continuous yield", "backtest_settings": {"account_usd": 1e5, "exit": None}}
            ),
            "skip_reasons": json.dumps({"no_trade": 3, "capital_limit": 12}),
        }
    )
    assumed = data.assumptions_data(summary).set_index("assumption")["meaning"]
    assert assumed["dividends"] == "a continuous yield"
    assert assumed["backtest settings"] == "account usd 100,000"
    assert data.skipped_data(summary).to_numpy().tolist() == [["capital limit", 12], ["no trade", 3]]
