"""Prices and dividends in the dollars of their day, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trading_dag.options.chains.quoted_closes import closes_as_quoted, dividends_as_paid, new_shares_since


def bars(factors: list[float], dividends: list[float], closes: list[float] | None = None) -> pd.DataFrame:
    return pd.DataFrame({
        "session": pd.date_range("2024-03-04", periods=len(factors)), "split_factor": factors, "dividend": dividends,
        "close": closes or [10.0] * len(factors),
    })  # fmt: skip


def test_a_dividend_is_paid_by_the_share_of_its_day_on_the_day_of_a_split_by_the_new_one():
    # NVIDIA, 10 for 1 in 2024: the 0.04 of March is stored as 0.004; a dividend on the day itself is of new shares.
    frame = bars([1.0, 1.0, 10.0, 1.0], [0.004, np.nan, 0.01, 0.01])
    assert dividends_as_paid(frame).tolist() == pytest.approx([0.04, np.nan, 0.01, 0.01], nan_ok=True)
    assert closes_as_quoted(frame).tolist() == [100.0, 100.0, 10.0, 10.0]


def test_later_splits_multiply_and_a_missing_factor_is_none():
    # 3 for 2, then 1 for 4: one share became 0.375.
    assert new_shares_since(bars([np.nan, 1.5, 0.25], [0.0] * 3)).tolist() == [0.375, 0.25, 1.0]
    assert new_shares_since(bars([], [])).tolist() == []
