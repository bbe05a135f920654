"""The feature table: a join on the very same session, and nothing carried over."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from trading_dag.errors import SchemaError
from trading_dag.features.feature_table import build_feature_table
from trading_dag.features.implied_volatility import build_implied_volatility
from trading_dag.features.macro import build_macro
from trading_dag.features.technical import build_technical
from trading_dag.schemas import (
    ALL_FEATURES,
    IMPLIED_VOLATILITY_FEATURES,
    IV_RANK_LAGS,
    MACRO_FEATURES,
    TABLES,
    TECHNICAL_FEATURES,
)

Parts = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]
IMPLIED = [*IMPLIED_VOLATILITY_FEATURES, *IV_RANK_LAGS]


@pytest.fixture(scope="module")
def parts(make_prices: Callable[..., pd.DataFrame]) -> Parts:
    prices = make_prices(300)
    technical = build_technical(prices)
    index = prices[["ticker", "session"]].assign(close=15 + 5 * np.sin(np.arange(300) / 9), vix3m_close=19.0)
    sessions = pd.DatetimeIndex(prices["session"])
    macro = pd.DataFrame(
        {
            "series_id": "DGS10",
            "observation_date": sessions[99:199],
            "known_on": sessions[100:200],
            "value": np.arange(100.0),
            "vintage": "first_release",
        }
    )
    return technical, build_implied_volatility(index, technical), build_macro(macro)


def test_every_feature_stands_on_the_session_of_its_own_table(parts: Parts) -> None:
    technical, implied, macro = parts
    table = build_feature_table(*parts)
    assert tuple(table.columns) == TABLES["features.feature_table"].column_names
    assert table["session"].equals(technical["session"])
    pd.testing.assert_frame_equal(table[list(TECHNICAL_FEATURES)], technical[list(TECHNICAL_FEATURES)])
    pd.testing.assert_frame_equal(table[IMPLIED], implied[IMPLIED])
    by_session = macro.set_index("session")["treasury_10y"]
    for row in (100, 150, 199):
        assert table["treasury_10y"].iloc[row] == by_session[table["session"].iloc[row]]


def test_sessions_without_a_macro_row_know_nothing_of_macro(parts: Parts) -> None:
    table = build_feature_table(*parts)
    outside = table.iloc[[0, 99, 200, 299]]
    assert outside[list(MACRO_FEATURES)].isna().all(axis=None)
    assert outside["sma_20"].iloc[1:].notna().all()


def test_empty_tables_leave_typed_columns(parts: Parts) -> None:
    technical, implied, macro = parts
    table = build_feature_table(technical, implied.iloc[:0], macro.iloc[:0])
    assert len(table) == len(technical)
    assert table[[*IMPLIED, *MACRO_FEATURES]].isna().all(axis=None)
    assert (table[list(ALL_FEATURES)].dtypes == "float64").all()
    nothing = build_feature_table(technical.iloc[:0], implied.iloc[:0], macro.iloc[:0])
    assert len(nothing) == 0
    assert nothing.dtypes.equals(table.dtypes)


def test_two_tickers_are_never_joined(parts: Parts) -> None:
    technical, implied, macro = parts
    with pytest.raises(SchemaError, match="one ticker at a time"):
        build_feature_table(technical, implied.assign(ticker="QQQ"), macro)


def test_a_repeated_macro_session_is_refused(parts: Parts) -> None:
    technical, implied, macro = parts
    with pytest.raises(SchemaError, match="none is repeated"):
        build_feature_table(technical, implied, pd.concat([macro, macro.iloc[[-1]]]))
