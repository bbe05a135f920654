"""Recommendations are a narrow table of what, and sentences of why below it."""

from __future__ import annotations

import io
import json

import pandas as pd
from rich.console import Console

from trading_dag.reporting.signal_report import signal_report

ROW = {
    "ticker": "SPY", "horizon": "24h", "session": pd.Timestamp("2024-12-31"), "rule": "matrix", "is_served": True,
    "probability_up": 0.57, "usual_probability_up": 0.55, "direction": "UP", "strategy": "long_call",
    "strikes": "590", "expiration": pd.Timestamp("2025-01-24"), "position_size": 0.0, "edge": "no_edge",
    "contracts": 0, "max_loss_usd": 787.0, "max_profit_usd": None, "probability_of_profit": 0.35,
    "forecast_probability_of_profit": None, "expected_profit_usd": None, "reasoning": "UP and LOW select a call.",
    "evidence": json.dumps({"forecasts": [{"task": "direction", "model": "direction_shrunk", "version": "71ec8344",
                                           "score": "brier_sign", "baseline": "climatology", "difference": 0.0014,
                                           "n_outcomes": 6695}]}),
}  # fmt: skip


def printed(*rows: dict[str, object]) -> str:
    console = Console(file=io.StringIO(), width=170)
    console.print(signal_report(pd.DataFrame(list(rows))))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_each_row_of_the_table_is_one_line_and_its_sentence_stands_below() -> None:
    other = ROW | {"rule": "expected_value", "is_served": False, "strategy": "no_trade", "reasoning": "Nothing clears."}
    text = printed(ROW, other)
    assert len([line for line in text.splitlines() if line.startswith("│ SPY")]) == 2
    assert "SPY 24h: UP and LOW select a call." in text
    assert "SPY 24h, expected value: Nothing clears." in text


def test_what_the_models_have_gained_is_told_of_one_slice_and_of_several_how_to_see_it() -> None:
    gained = "direction: direction_shrunk 71ec8344, Brier score 0.0014 better than climatology on 6,695 outcomes"
    assert gained in printed(ROW)
    several = printed(ROW, ROW | {"horizon": "48h"})
    assert gained not in several
    assert "trading-dag signal SPY --horizons 24h" in several


def test_words_of_a_table_change_nothing_on_the_terminal() -> None:
    assert "\x1b" not in printed(ROW | {"reasoning": "\x1b[31mred[bold]"})
    assert "[bold]" in printed(ROW | {"reasoning": "\x1b[31mred[bold]"})
