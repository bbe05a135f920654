"""Reading quotes by row group gives the rows that a plain filter of the whole file gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.chain_quotes import QuoteFilter, read_chain_quotes
from trading_dag.errors import SchemaError, StorageError


def chain(rows: int = 500, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    day = pd.Timestamp("2024-01-02") + pd.to_timedelta(np.sort(generator.integers(0, 20, rows)), unit="D")
    return pd.DataFrame({
        "quote_date": day.date,
        "ticker": generator.choice(["SPY", "QQQ"], rows),
        "expiration": (day + pd.to_timedelta(generator.integers(0, 60, rows), unit="D")).date,
        "option_right": generator.choice(["C", "P"], rows),
        "strike": generator.integers(50, 150, rows).astype(float),
        "underlying_price": 100.0,
        "bid": np.where(generator.random(rows) < 0.2, np.nan, generator.random(rows)),
        "volume": generator.integers(0, 9, rows).astype(np.int32),
    })  # fmt: skip


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    seed=st.integers(0, 999),
    rows=st.integers(0, 300),
    group=st.integers(1, 120),
    ticker=st.sampled_from([None, "SPY", "IWM"]),
    rights=st.sampled_from([("C", "P"), ("P",), ("C",)]),
    days=st.none() | st.integers(0, 60),
)
def test_the_kept_rows_are_those_of_a_filter_over_the_whole_frame(tmp_path, seed, rows, group, ticker, rights, days):
    frame = chain(rows, seed)
    path = tmp_path / "chain.parquet"
    frame.to_parquet(path, row_group_size=group)
    read = read_chain_quotes(path, keep=QuoteFilter(ticker, rights, days))
    life = (pd.to_datetime(frame["expiration"]) - pd.to_datetime(frame["quote_date"])).dt.days
    expected = frame[
        frame["option_right"].isin(rights)
        & ((frame["ticker"] == ticker) | (ticker is None))
        & ((life <= days) if days is not None else True)
    ]
    assert set(read) == {"quote_date", "expiration", "option_right", "strike", "underlying_price", "bid", "volume"}
    for name in ("strike", "underlying_price", "bid", "volume"):
        np.testing.assert_array_equal(read[name], expected[name].to_numpy(dtype=float))
    for name in ("quote_date", "expiration"):
        np.testing.assert_array_equal(read[name].astype("datetime64[D]"), expected[name].to_numpy("datetime64[D]"))
    np.testing.assert_array_equal(read["option_right"], expected["option_right"] == "C")


def test_a_vendors_name_of_the_right_and_nullable_numbers_are_read(tmp_path):
    frame = chain(50).rename(columns={"option_right": "right"})
    frame["volume"] = frame["volume"].astype("Int32").where(frame["volume"] > 2)
    frame.to_parquet(tmp_path / "chain.parquet")
    read = read_chain_quotes(tmp_path / "chain.parquet", columns=["volume", "delta"])
    np.testing.assert_array_equal(read["option_right"], frame["right"] == "C")
    np.testing.assert_array_equal(np.isnan(read["volume"]), frame["volume"].isna())
    assert "delta" not in read


def test_time_stamps_are_read_as_days(tmp_path):
    frame = chain(20).astype({"quote_date": "datetime64[us]", "expiration": "datetime64[us]"})
    frame.to_parquet(tmp_path / "chain.parquet")
    read = read_chain_quotes(tmp_path / "chain.parquet")
    np.testing.assert_array_equal(
        read["quote_date"].astype("datetime64[D]"), frame["quote_date"].to_numpy("datetime64[D]")
    )


def test_a_missing_or_broken_file_is_a_typed_error(tmp_path: Path):
    with pytest.raises(StorageError):
        read_chain_quotes(tmp_path / "absent.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"not a parquet file")
    with pytest.raises(StorageError):
        read_chain_quotes(tmp_path / "broken.parquet")


@pytest.mark.parametrize("name", ["strike", "option_right", "ticker"])
def test_a_missing_key_column_is_a_typed_error(tmp_path, name):
    chain().drop(columns=name).to_parquet(tmp_path / "chain.parquet")
    with pytest.raises(SchemaError, match=name):
        read_chain_quotes(tmp_path / "chain.parquet", keep=QuoteFilter(ticker="SPY"))
