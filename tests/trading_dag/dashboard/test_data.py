"""The page of data counts what is stored, and what of it is missing."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.versioned_reader import VersionedReader
from trading_dag.dashboard.views import data_frames as frames
from trading_dag.schemas import TABLES, VOLATILITY_INDEX

# 2024-01-15 was a holiday; the 16th and the 18th are left out.
DAYS = pd.to_datetime(["2024-01-11", "2024-01-12", "2024-01-17", "2024-01-19"]).as_unit("us")


@pytest.fixture
def reader(tmp_path: Path) -> VersionedReader:
    store = ParquetStore(tmp_path)
    rows = pd.DataFrame({"ticker": "SPY", "session": DAYS, "symbol": "VIX", "close": [13.0, 14.0, 15.0, 16.0]})
    store.write(VOLATILITY_INDEX, SliceKey("SPY"), rows.reindex(columns=VOLATILITY_INDEX.column_names))
    return VersionedReader(store)


def test_every_table_is_listed_with_its_rows_and_sessions(reader: VersionedReader):
    tables = frames.tables_data(reader.slices()).set_index("table_name")
    assert list(tables.index) == list(TABLES)
    own = tables.loc["raw.volatility_index"]
    assert (own["slices"], own["rows"]) == (1, 4)
    assert (own["first_session"], own["last_session"]) == (DAYS[0], DAYS[-1])
    assert tables["rows"].sum() == 4
    ranges = frames.ranges_data(reader.slices(), "SPY")
    (drawn,) = frames.ranges_figure(ranges).data
    assert list(drawn.y) == ["raw.volatility_index"]
    assert list(drawn.x) == [8 * 86_400_000.0]
    assert frames.ranges_data(reader.slices(), "QQQ").empty


def test_gaps_are_sessions_of_the_exchange_without_a_row_and_holidays_are_none(reader: VersionedReader):
    gaps = frames.gaps_data(reader, "SPY")
    assert gaps["table_name"].tolist() == ["raw.volatility_index"]
    assert gaps[["sessions", "missing"]].iloc[0].tolist() == [6, 2]
    assert gaps["which"].iloc[0] == "2024-01-16, 2024-01-18"
    assert frames.gaps_data(reader, "QQQ").empty


def test_presence_is_drawn_in_percent(reader: VersionedReader):
    assert frames.presence_data(reader, "SPY").empty
    presence = pd.DataFrame({"technical: a (1)": [0.0, 1.0]}, index=DAYS[:2])
    (heat,) = frames.presence_figure(presence).data
    assert np.asarray(heat.z).tolist() == [[0.0, 100.0]]
    assert list(heat.y) == ["technical: a (1)"]


def test_every_example_runs(reader: VersionedReader):
    for text in frames.EXAMPLES.values():
        with reader.warehouse.connect() as connection:
            assert isinstance(connection.execute(text), duckdb.DuckDBPyConnection), text
