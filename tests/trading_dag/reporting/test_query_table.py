"""The table of a query shows days as days, moments with their hours, and says how many rows it left out."""

from __future__ import annotations

import io

import pandas as pd
from rich.console import Console

from trading_dag.reporting.tables import plain_table


def printed(frame: pd.DataFrame, *, limit: int = 50) -> str:
    target = io.StringIO()
    Console(file=target, width=120).print(plain_table(frame, limit=limit))
    return target.getvalue()


def test_a_column_of_days_is_shown_without_hours_and_one_of_moments_with_them() -> None:
    days = pd.to_datetime(["2024-01-02", None, "2024-01-04"])
    moments = pd.to_datetime(["2024-01-02 00:00", "2024-01-03 16:00", "2024-01-04 00:00"])
    shown = printed(pd.DataFrame({"session": days, "known_at": moments}))
    assert "│ 2024-01-02 │ 2024-01-02 00:00:00 │" in shown
    assert "│ –          │ 2024-01-03 16:00:00 │" in shown


def test_two_columns_of_one_name_are_both_shown() -> None:
    assert "│ 1 │ 2 │" in printed(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_rows_that_are_left_out_are_counted() -> None:
    shown = printed(pd.DataFrame({"a name as wide as the sentence beneath it": [1, 2, 3]}), limit=2)
    assert "2 of 3 rows; --limit shows more" in shown
