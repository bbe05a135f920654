"""The schemas say what the contract says: names, keys, slices, and that every column can be checked."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from trading_dag.schemas import (
    ALL_FEATURES,
    FEATURE_TABLE,
    FLAG_FEATURES,
    HORIZON_KEYS,
    HULL_FEATURES,
    LEVEL_FEATURES,
    PRICES_DAILY,
    SAFE_FEATURES,
    TABLES,
    VOLATILITY_FORECASTER_FEATURES,
    Table,
    feature_column,
    table_of,
)
from trading_dag.slices import HORIZONS

DUCKDB_RESERVED = {"right", "left", "order", "group", "end", "primary", "references", "table", "when", "window"}


def test_no_feature_is_named_twice_and_the_feature_table_holds_them_all() -> None:
    assert len(set(ALL_FEATURES)) == len(ALL_FEATURES)
    assert FEATURE_TABLE.column_names == ("ticker", "session", *ALL_FEATURES)


def test_the_safe_features_are_those_without_a_level() -> None:
    assert set(ALL_FEATURES) >= LEVEL_FEATURES
    assert set(ALL_FEATURES) >= FLAG_FEATURES
    assert set(SAFE_FEATURES) == set(ALL_FEATURES) - LEVEL_FEATURES
    assert set(VOLATILITY_FORECASTER_FEATURES) <= set(SAFE_FEATURES)
    assert not {"sma_20", "obv", "dollar_volume_20", "bb_upper"} & set(SAFE_FEATURES)


def test_prices_have_the_columns_of_the_contract() -> None:
    assert PRICES_DAILY.column_names == tuple(
        "ticker session open high low close adj_close volume split_factor dividend".split()
    )


def test_horizons_of_tables_and_of_the_calendar_are_the_same() -> None:
    assert tuple(HORIZONS) == HORIZON_KEYS


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_is_whole(table: Table) -> None:
    names = table.column_names
    assert len(names) == len(table.columns) == len(set(names))
    assert set(table.key) <= set(names)
    # The first version of a row may not say since when it was known; it is the only one without.
    assert all(not table.column(name).nullable for name in table.key if name != "known_at")
    assert table.session_column is None or table.column(table.session_column).type == "date"
    assert table.description.endswith(".")
    assert set(table.slice_columns) <= set(table.key)
    assert table_of(table.qualified_name) is table


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_column_is_described_bounded_sensibly_and_no_reserved_word(table: Table) -> None:
    for column in table.columns:
        # The competition's features keep the publisher's names.
        assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name) or column.name in HULL_FEATURES
        assert column.name not in DUCKDB_RESERVED
        assert column.description
        assert not column.allowed or column.type == "string"
        if column.minimum is not None or column.maximum is not None:
            assert column.type in ("float64", "int64")
        if column.minimum is not None and column.maximum is not None:
            assert column.minimum < column.maximum


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("rsi_14", 0, 100),
        ("williams_r_14", -100, 0),
        ("iv_premium", 0, 1),
        ("hv_20", 0, None),
        ("returns_1d", None, None),
    ],
)
def test_a_feature_is_bounded_where_its_formula_bounds_it(name: str, low: float | None, high: float | None) -> None:
    column = feature_column(name)
    assert column.nullable
    assert column.minimum == (None if low is None else pytest.approx(low, abs=1e-5))
    assert column.maximum == (None if high is None else pytest.approx(high, abs=1e-5))


def test_a_table_that_does_not_exist_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        table_of("raw.nothing")


def test_a_schema_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        PRICES_DAILY.name = "other"  # type: ignore[misc]


def test_reading_the_schemas_imports_no_pandas() -> None:
    code = "import sys, trading_dag.schemas; assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
