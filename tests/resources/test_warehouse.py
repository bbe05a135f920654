"""The window of views: always typed, always current, never in a writer's way."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from resources.chain_store import ChainStore
from resources.parquet_store import ParquetStore, SliceKey
from resources.warehouse import CLOCK_STEP_SECONDS, Warehouse
from tests.resources.test_chain_store import chain_of
from tests.resources.test_parquet_store import bars
from trading_dag.errors import StorageError
from trading_dag.quality import empty_frame
from trading_dag.schemas import PRICES_DAILY, TABLES


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(ParquetStore(tmp_path))


def test_a_table_without_slices_gives_typed_columns_and_no_rows(warehouse: Warehouse) -> None:
    for table in TABLES.values():
        frame = warehouse.query(f"from {table.qualified_name}")
        assert list(frame.columns) == list(table.column_names)
        assert frame.empty


def test_a_slice_written_after_the_views_were_built_is_seen_at_once(warehouse: Warehouse) -> None:
    warehouse.ensure()
    warehouse.store.write(PRICES_DAILY, SliceKey("SPY"), bars())
    assert warehouse.query("select count(*) as n from raw.prices_daily where ticker = 'SPY'")["n"].tolist() == [5]


def test_the_views_work_from_any_current_directory(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.store.write(PRICES_DAILY, SliceKey("SPY"), bars())
    script = f"import duckdb; c = duckdb.connect({str(warehouse.ensure())!r}, read_only=True); "
    script += "print(c.sql('select count(*) from raw.prices_daily').fetchall()[0][0])"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shown = subprocess.run([sys.executable, "-c", script], cwd=elsewhere, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "5"


def test_the_file_is_rebuilt_where_the_folder_was_moved(tmp_path: Path) -> None:
    first = Warehouse(ParquetStore(tmp_path / "a"))
    first.store.write(PRICES_DAILY, SliceKey("SPY"), bars())
    first.ensure()
    shutil.move(tmp_path / "a", tmp_path / "b")
    moved = Warehouse(ParquetStore(tmp_path / "b"))
    assert moved.query("select count(*) as n from raw.prices_daily")["n"].tolist() == [5]


def test_it_is_not_rebuilt_where_it_is_current(warehouse: Warehouse) -> None:
    before = warehouse.ensure().stat().st_ino
    assert warehouse.ensure().stat().st_ino == before


def test_the_records_of_every_slice_can_be_asked_for(warehouse: Warehouse) -> None:
    assert warehouse.query("from meta.slices").empty
    spy = warehouse.store.write(PRICES_DAILY, SliceKey("SPY"), bars(), source="files", code_version="7")
    warehouse.store.write(PRICES_DAILY, SliceKey("QQQ"), empty_frame(PRICES_DAILY), source_off="no such file")
    ChainStore(warehouse.store.root).merge("SPY", 2024, chain_of(), source="simulated")
    staged = warehouse.store.data / ".imports" / "ticker=SPY" / "data.parquet"
    staged.parent.mkdir(parents=True)
    shutil.copy(warehouse.store.path(PRICES_DAILY, SliceKey("SPY")), staged)

    found = warehouse.query("from meta.slices order by table_name, ticker").set_index(["table_name", "ticker"])
    assert list(found.index) == [("raw.option_chain", "SPY"), ("raw.prices_daily", "QQQ"), ("raw.prices_daily", "SPY")]
    row = found.loc[("raw.prices_daily", "SPY")]
    assert (row["source"], row["row_count"], row["code_version"]) == ("files", 5, "7")
    assert row["content_hash"] == spy.content_hash
    assert row["stored_at"].isoformat() == spy.fetched_at.removesuffix("+00:00")
    assert f"{row['last_session']:%Y-%m-%d}" == spy.last_session
    off = found.loc[("raw.prices_daily", "QQQ")]
    assert (off["row_count"], off["source_off"]) == (0, "no such file")
    assert (found["year"].iloc[0], found["source"].iloc[0]) == (2024, "simulated")


def test_nobody_can_write_through_the_window(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection, pytest.raises(duckdb.Error):
        connection.execute("create table raw.mine (a int)")


def test_a_wrong_query_is_a_typed_error_with_duckdbs_reason(warehouse: Warehouse) -> None:
    with pytest.raises(StorageError, match="nothing"):
        warehouse.query("from raw.nothing")


def test_a_torn_window_is_built_again_because_it_holds_no_data(warehouse: Warehouse) -> None:
    warehouse.ensure().write_bytes(b"no database")
    assert warehouse.query("select 1 as one")["one"].tolist() == [1]


def test_a_slice_that_looks_torn_because_it_is_being_replaced_is_read_again(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.store.write(PRICES_DAILY, SliceKey("SPY"), bars())
    path = warehouse.store.path(PRICES_DAILY, SliceKey("SPY"))
    whole = path.read_bytes()
    length = int.from_bytes(whole[-8:-4], "little")
    torn = whole[: -8 - length] + bytes(length) + whole[-8:]
    connect, contents = warehouse.connect, [torn, torn, whole]

    def connect_to_the_next() -> duckdb.DuckDBPyConnection:
        path.write_bytes(contents.pop(0))
        return connect()

    monkeypatch.setattr(warehouse, "connect", connect_to_the_next)
    assert warehouse.query("select count(*) as n from raw.prices_daily")["n"].tolist() == [5]
    contents[:] = [torn, torn, torn]
    with pytest.raises(StorageError, match="TProtocolException"):
        warehouse.query("select count(*) as n from raw.prices_daily")
    assert contents == []


def test_a_mistake_is_told_at_once_where_nothing_is_being_written(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = warehouse.store.path(PRICES_DAILY, SliceKey("SPY"))
    warehouse.store.write(PRICES_DAILY, SliceKey("SPY"), bars())
    path.write_bytes(b"not a Parquet file")
    warehouse.ensure()
    time.sleep(2 * CLOCK_STEP_SECONDS)
    connect, tries = warehouse.connect, []
    monkeypatch.setattr(warehouse, "connect", lambda: (tries.append(1), connect())[1])
    with pytest.raises(StorageError):
        warehouse.query("select count(*) as n from raw.prices_daily")
    assert len(tries) == 1
