"""What is stored has the schema's columns, types and order, whatever the order it came in; anything else is refused."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.errors import SchemaError
from trading_dag.quality import conform, empty_frame, pandas_type
from trading_dag.schemas import PRICES_DAILY, SUMMARY, TABLES, TECHNICAL, TRADES, Table
from trading_dag.sessions import sessions_between

DAYS = sessions_between("2024-01-02", "2024-01-31")


def bars(rows: int = len(DAYS)) -> pd.DataFrame:
    close = 100.0 + np.arange(rows)
    return pd.DataFrame(
        {
            "ticker": "SPY",
            "session": DAYS[:rows],
            "open": close,
            "high": close + 1,
            "low": close - 1,
            "close": close,
            "adj_close": close,
            "volume": 1e6,
            "split_factor": np.nan,
            "dividend": np.nan,
        }
    )


def trades() -> pd.DataFrame:
    frame = empty_frame(TRADES).reindex(range(3))
    frame = frame.assign(
        ticker="SPY", horizon="24h", signal_session=DAYS[:3], structure="long_call", rule="matrix", roll=0
    )
    return frame.assign(status="skipped", exit_reason="no_edge", contracts=[1, None, 3])


@given(rows=st.permutations(range(12)), columns=st.permutations(range(10)))
@settings(max_examples=40, deadline=None)
def test_the_order_of_rows_and_columns_does_not_matter(rows: list[int], columns: list[int]) -> None:
    frame = bars(12)
    shuffled = frame.iloc[rows, columns]
    pd.testing.assert_frame_equal(
        conform(shuffled, PRICES_DAILY, slice_key="SPY"), conform(frame, PRICES_DAILY, slice_key="SPY")
    )


@given(
    values=st.lists(st.none() | st.floats(-1e9, 1e9, allow_nan=False), min_size=5, max_size=5),
    kind=st.sampled_from(["float64", "float32", "object"]),
)
@settings(max_examples=40, deadline=None)
def test_conforming_twice_changes_nothing(values: list[float | None], kind: str) -> None:
    frame = empty_frame(TECHNICAL).reindex(range(5)).assign(ticker="SPY", session=DAYS[:5])
    frame["returns_1d"] = pd.Series(values, dtype=kind)
    once = conform(frame, TECHNICAL, slice_key="SPY")
    pd.testing.assert_frame_equal(conform(once, TECHNICAL, slice_key="SPY"), once)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_an_empty_frame_has_every_type_of_the_schema_and_conforms(table: Table) -> None:
    frame = empty_frame(table)
    assert [str(dtype) for dtype in frame.dtypes] == [pandas_type(column) for column in table.columns]
    pd.testing.assert_frame_equal(conform(frame, table, slice_key="any"), frame)


def test_types_that_mean_the_same_are_cast() -> None:
    frame = bars().assign(
        ticker=pd.Series(["SPY"] * len(DAYS), dtype="object"),
        session=[day.date() for day in DAYS],
        volume=np.int64(1_000_000),
        dividend=None,
    )
    stored = conform(frame, PRICES_DAILY, slice_key="ticker=SPY")
    assert [str(dtype) for dtype in stored.dtypes] == ["str", "datetime64[us]", *["float64"] * 8]
    pd.testing.assert_frame_equal(stored, conform(bars(), PRICES_DAILY, slice_key="ticker=SPY"))


def test_a_nullable_integer_keeps_its_nulls_and_stays_an_integer() -> None:
    stored = conform(trades(), TRADES, slice_key="24h|SPY")
    assert str(stored["contracts"].dtype) == "Int64"
    assert stored["contracts"].tolist() == [1, pd.NA, 3]


def test_attributes_of_the_frame_survive() -> None:
    frame = bars()
    frame.attrs["source_off"] = "no key"
    assert conform(frame, PRICES_DAILY, slice_key="SPY").attrs == {"source_off": "no key"}


def test_the_frame_that_is_given_is_left_as_it_was() -> None:
    frame = bars().iloc[::-1]
    before = frame.copy()
    conform(frame, PRICES_DAILY, slice_key="SPY")
    pd.testing.assert_frame_equal(frame, before)


REFUSALS = {
    "close is missing": lambda f: f.drop(columns="close"),
    "vwap is not a column": lambda f: f.assign(vwap=1.0),
    "close occurs more than once": lambda f: pd.concat([f, f[["close"]]], axis=1),
    "close is str, expected a number": lambda f: f.assign(close="100.0"),
    "close is bool, expected a number": lambda f: f.assign(close=True),
    "session is str, expected a date": lambda f: f.assign(session=[f"{day:%Y-%m-%d}" for day in DAYS]),
    "session is datetime64[us, UTC], expected a date": lambda f: f.assign(session=f["session"].dt.tz_localize("UTC")),
    "session holds times of day": lambda f: f.assign(session=f["session"] + pd.Timedelta(hours=1)),
    "ticker is int64, expected text": lambda f: f.assign(ticker=1),
    "open: 1 NULL": lambda f: f.assign(open=f["open"].where(f.index != 3)),
    "open: 1 infinite": lambda f: f.assign(open=f["open"].where(f.index != 3, np.inf)),
    "open: 1 below 1e-06": lambda f: f.assign(open=f["open"].where(f.index != 3, -1.0)),
    "2 rows repeat a key": lambda f: pd.concat([f, f.iloc[[3, 4]]]),
    "rows of another slice: ticker QQQ": lambda f: f.assign(ticker="QQQ"),
    "rows of another slice: ticker SPY, QQQ": lambda f: f.assign(ticker=["SPY", *["QQQ"] * (len(f) - 1)]),
}


@pytest.mark.parametrize(("phrase", "spoil"), REFUSALS.items(), ids=REFUSALS)
def test_a_frame_that_does_not_fit_is_refused_by_table_key_and_rule(phrase: str, spoil) -> None:
    with pytest.raises(SchemaError) as refusal:
        conform(spoil(bars()), PRICES_DAILY, slice_key="ticker=SPY")
    assert refusal.value.table == "raw.prices_daily"
    assert "ticker=SPY" in refusal.value.key
    assert phrase in refusal.value.rule


def test_the_refusal_names_the_offending_row() -> None:
    frame = bars()
    frame.loc[3, "low"] = 0.0
    with pytest.raises(SchemaError, match="session=2024-01-05"):
        conform(frame, PRICES_DAILY, slice_key="SPY")


def test_a_text_outside_its_list_and_a_broken_integer_are_refused() -> None:
    with pytest.raises(SchemaError, match="'lost' not in closed, open, skipped"):
        conform(trades().assign(status="lost"), TRADES, slice_key="24h|SPY")
    with pytest.raises(SchemaError, match="contracts holds numbers that are not integers"):
        conform(trades().assign(contracts=1.5), TRADES, slice_key="24h|SPY")


def test_rows_of_another_horizon_are_refused() -> None:
    with pytest.raises(SchemaError, match="rows of another slice: horizon 24h"):
        conform(trades(), TRADES, slice_key="48h|SPY")


def test_a_missing_flag_is_refused() -> None:
    frame = (
        empty_frame(SUMMARY).reindex(range(1)).assign(ticker="SPY", horizon="24h", rule="matrix", status="no_trades")
    )
    frame = frame.assign(is_admissible=pd.array([None], dtype="boolean"), admissibility_reason="-", assumptions="{}")
    for column in SUMMARY.columns:
        if column.type == "int64":
            frame[column.name] = 0
        elif column.type == "string" and not column.nullable and frame[column.name].isna().all():
            frame[column.name] = "{}"
    with pytest.raises(SchemaError, match="is_admissible: 1 NULL"):
        conform(frame, SUMMARY, slice_key="24h|SPY")


def test_a_date_beyond_the_calendar_of_pandas_is_no_crash() -> None:
    frame = bars().assign(session=[dt.date(9999, 1, 1 + row) for row in range(len(DAYS))])
    assert conform(frame, PRICES_DAILY, slice_key="SPY")["session"].iloc[0] == pd.Timestamp(9999, 1, 1)
