"""Figures of a backtest show its own numbers, and say so where there are none."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from trading_dag.frames import table_frame
from trading_dag.plots import payoff_of_last_trade, profit_against_random_entry
from trading_dag.schemas import TRADES


def words_of(figure) -> str:
    axes = [text.get_text() for one in figure.axes for text in (*one.texts, *one.get_legend().get_texts())]
    suptitle = figure.get_suptitle()
    return " ".join([suptitle, *(text.get_text() for text in figure.texts), *axes])


def legs_of(*legs: tuple[str, str, float, float]) -> str:
    names = ("option_right", "side", "strike", "entry_price")
    return json.dumps([dict(zip(names, leg, strict=True)) | {"ratio": 1} for leg in legs])


def trades_of(**last: object) -> pd.DataFrame:
    """An older trade, then the last one, out of order."""
    older = {
        "structure": "long_put", "entry_session": "2024-01-03", "legs": legs_of(("P", "buy", 90.0, 1.0)),
        "entry_spot": 100.0, "status": "closed",
    }  # fmt: skip
    rows = [older | last, older]
    columns = {name: [row[name] for row in rows] for name in older}
    columns["entry_session"] = pd.to_datetime(columns["entry_session"])
    head = {
        "ticker": "SPY", "horizon": "48h", "signal_session": pd.to_datetime(["2024-02-01", "2024-01-02"]),
        "exit_reason": "horizon", "rule": "matrix", "roll": 0,
    }  # fmt: skip
    return table_frame(TRADES, head | columns, rows=2)


def test_the_histogram_holds_every_run_and_marks_the_backtests_own_total() -> None:
    totals = np.random.default_rng(1).normal(-500.0, 2_000.0, 1_000)
    figure = profit_against_random_entry(totals, own_usd=3_456.0, p_value=0.031, summary_title="SPY 48h")
    (axes,) = figure.axes
    (steps,) = axes.patches
    heights, edges, _ = steps.get_data()
    assert heights.sum() == 1_000
    assert edges.min() == pytest.approx(totals.min() / 1_000)
    marked = sorted(float(line.get_xdata()[0]) for line in axes.lines)
    assert marked == pytest.approx(sorted([totals.mean() / 1_000, 3.456]))
    assert "p = 0.031" in words_of(figure)
    assert "+3,456 USD" in words_of(figure)


@pytest.mark.parametrize(("totals", "own"), [([], 10.0), ([1.0, 2.0], np.nan)])
def test_without_runs_or_a_total_the_histogram_says_so(totals: list[float], own: float) -> None:
    figure = profit_against_random_entry(totals, own_usd=own, p_value=0.5, summary_title="SPY 48h")
    assert not figure.axes
    assert "insufficient data" in " ".join(text.get_text() for text in figure.texts)


def test_the_payoff_is_that_of_the_last_trade_at_the_prices_of_its_entry() -> None:
    """A 100/105 call spread bought for 3.00 less 1.20: at worst −180 USD, at best +320, even at 101.80."""
    trades = trades_of(
        structure="bull_call_spread", entry_session="2024-02-02",
        legs=legs_of(("C", "buy", 100.0, 3.0), ("C", "sell", 105.0, 1.2)),
    )  # fmt: skip
    figure = payoff_of_last_trade(trades, multiplier=100.0, summary_title="SPY 48h")
    profit = np.asarray(figure.axes[0].lines[0].get_ydata())
    assert profit.min() == pytest.approx(-180.0)
    assert profit.max() == pytest.approx(320.0)
    words = words_of(figure)
    assert "bull call spread of 2024-02-02" in words
    assert "pays 180 USD, breakeven 101.80" in words


def test_the_shares_of_a_covered_call_belong_to_its_payoff() -> None:
    """Shares at 100 and a 105 call sold for 2.00: at most 105 − 98 = 7 a share."""
    trades = trades_of(structure="covered_call", entry_session="2024-02-02", legs=legs_of(("C", "sell", 105.0, 2.0)))
    figure = payoff_of_last_trade(trades, multiplier=10.0, summary_title="SPY 48h")
    assert np.asarray(figure.axes[0].lines[0].get_ydata()).max() == pytest.approx(70.0)


def test_without_a_trade_there_is_no_payoff_to_show() -> None:
    trades = trades_of().assign(status="skipped")
    figure = payoff_of_last_trade(trades, multiplier=100.0, summary_title="SPY 48h")
    assert not figure.axes
    assert "nothing was traded" in " ".join(text.get_text() for text in figure.texts)
