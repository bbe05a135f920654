"""A query from a browser is a query and nothing else, and ends in time, in memory and in rows."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest

from resources.storage.bounded_query import bounded_query
from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.warehouse import Warehouse
from trading_dag.errors import StorageError
from trading_dag.schemas import VOLATILITY_INDEX


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    store = ParquetStore(tmp_path_factory.mktemp("bounded"))
    sessions = pd.bdate_range("2024-01-02", periods=3).as_unit("us")
    rows = pd.DataFrame({"ticker": "SPY", "session": sessions, "symbol": "VIX", "close": [14.0, 15.0, 16.0]})
    store.write(VOLATILITY_INDEX, SliceKey("SPY"), rows.reindex(columns=VOLATILITY_INDEX.column_names))
    return Warehouse(store)


def test_an_answer_has_the_rows_of_the_warehouse(warehouse: Warehouse) -> None:
    answer = bounded_query(warehouse, "SELECT close FROM raw.volatility_index ORDER BY session DESC")
    assert answer.rows["close"].tolist() == [16.0, 15.0, 14.0]
    assert not answer.is_cut
    empty = bounded_query(warehouse, "SELECT close FROM raw.volatility_index WHERE ticker = 'QQQ'").rows
    assert list(empty.columns) == ["close"]
    assert empty.empty


@pytest.mark.parametrize("rows", [1, 5_000])
def test_only_the_first_rows_are_given_and_it_is_said_that_there_are_more(warehouse: Warehouse, rows: int) -> None:
    answer = bounded_query(warehouse, "FROM range(1_000_000)", rows=rows)
    assert len(answer.rows) == rows
    assert answer.is_cut
    assert not bounded_query(warehouse, f"FROM range({rows})", rows=rows).is_cut


@pytest.mark.parametrize(
    "text",
    [
        "COPY raw.volatility_index TO '/tmp/stolen.csv'",
        "ATTACH '/tmp/other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "FROM read_csv('/etc/passwd')",
        "FROM read_text('/etc/hostname')",
        "SELECT getenv('HOME')",
        "CREATE TABLE memory.main.kept AS SELECT 1",
        "SET memory_limit = '100GB'",
        "SELECT 1; SELECT 2",
        "DELETE FROM raw.volatility_index",
        "",
        "selec nothing",
    ],
)
def test_what_writes_or_reads_elsewhere_is_refused_in_a_sentence(warehouse: Warehouse, text: str) -> None:
    with pytest.raises(StorageError) as refused:
        bounded_query(warehouse, text)
    assert "\n" not in str(refused.value)
    assert not Path("/tmp/stolen.csv").exists()


def test_a_query_without_an_end_is_stopped(warehouse: Warehouse) -> None:
    started = time.process_time()
    with pytest.raises(StorageError, match=r"stopped after 0\.3 seconds"):
        bounded_query(warehouse, "SELECT sum(a * b) FROM range(10_000_000) t(a), range(10_000_000) u(b)", seconds=0.3)
    assert time.process_time() - started < 60
    with pytest.raises(StorageError, match="stopped at 64MB of memory"):
        bounded_query(warehouse, "SELECT list(a) FROM range(100_000_000) t(a)", memory="64MB", seconds=60)
    assert bounded_query(warehouse, "SELECT 1 AS one").rows["one"].tolist() == [1]
