"""What a run tells first: a size, then an edge; what nobody can trade comes last."""

from __future__ import annotations

import pandas as pd

from trading_dag.reporting.summary_order import what_to_trade, worth_knowing_first

COLUMNS = ("ticker", "horizon", "position_size", "edge", "backtest", "strategy")


def frame(*rows: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS))


def slices(rows: pd.DataFrame) -> list[str]:
    return [f"{row.ticker} {row.horizon}" for row in rows.itertuples()]


SAMPLE = frame(
    ("COMP", "12h", 0.0, "no_edge", "horizon_before_entry", "long_call"),
    ("COMP", "24h", 0.0, "no_edge", "backtested", "long_call"),
    ("SPX", "12h", 0.0, "no_edge", "horizon_before_entry", "long_call"),
    ("SPX", "24h", 0.0, "no_edge", "backtested", "long_call"),
    ("SPX", "168h", 0.0, "iv", "backtested", "iron_condor"),
)


def test_what_nobody_can_trade_comes_last() -> None:
    assert slices(worth_knowing_first(SAMPLE)) == ["SPX 168h", "SPX 24h", "SPX 12h", "COMP 12h", "COMP 24h"]


def test_a_size_comes_before_an_edge() -> None:
    rows = pd.concat([SAMPLE, frame(("SPY", "48h", 0.5, "direction", "backtested", "long_put"))], ignore_index=True)
    assert slices(worth_knowing_first(rows))[:2] == ["SPY 48h", "SPX 168h"]
    assert what_to_trade(worth_knowing_first(rows)) == "A size stands at 1 of 6 slices: SPY 48h long put."


def test_without_a_size_the_sentence_says_so() -> None:
    assert what_to_trade(SAMPLE) == "Nothing to trade: none of 5 slices has a size."


def test_of_many_sizes_six_are_named() -> None:
    rows = frame(*(("SPY", f"{n}h", 1.0, "direction", "backtested", "long_call") for n in range(8)))
    assert what_to_trade(rows).endswith("SPY 5h long call and 2 more.")


def test_rows_of_older_runs_without_an_edge_or_a_backtest_are_told_too() -> None:
    rows = frame(("SPY", "24h", None, None, None, "long_call"), ("QQQ", "24h", 0.0, "no_edge", "backtested", "none"))
    assert len(worth_knowing_first(rows)) == 2
