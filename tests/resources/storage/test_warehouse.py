"""The window of views: always typed, always current, never in a writer's way."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from resources.chains.store import ChainStore
from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.warehouse import CLOCK_STEP_SECONDS, Warehouse
from tests.resources.chains.test_store import chain_of
from tests.resources.storage.test_parquet_store import bars
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


COPIES = (
    "ticker=SPY.bak",
    "ticker=SPY (1)",
    "ticker=SPY copy",
    "ticker=SPY.BAK",
    "ticker=SPY-OLD",
    "ticker=QQQ",
    "ticker=spy",
    "ticker=",
    "SPY",
    "old/ticker=SPY",
    "ticker=SPY/old",
    "ticker=SPY/horizon=24h",
)


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """One that is built once, with bars of SPY; a test leaves it as it was."""
    window = Warehouse(ParquetStore(tmp_path_factory.mktemp("window")))
    window.store.write(PRICES_DAILY, SliceKey("SPY"), bars())
    window.ensure()
    return window


@pytest.mark.parametrize("copy", COPIES)
def test_rows_of_a_copied_folder_are_not_seen_twice(window: Warehouse, copy: str) -> None:
    store = window.store
    original, folder = store.slice_folder(PRICES_DAILY, SliceKey("SPY")), store.table_folder(PRICES_DAILY)
    shutil.copytree(original, folder / "aside")
    (folder / copy).parent.mkdir(parents=True, exist_ok=True)
    (folder / "aside").rename(folder / copy)
    try:
        rows = window.query("select ticker, count(*) as n from raw.prices_daily group by all", verify=False)
    finally:
        shutil.rmtree(folder / copy.split("/")[0] if copy.startswith("old/") else folder / copy)
    assert rows.values.tolist() == [["SPY", 5]]


@pytest.mark.parametrize(
    "name", ["data (1).parquet", "data copy.parquet", "old.parquet", "data.parquet.bak", "schema.parquet"]
)
def test_a_copied_file_is_not_seen_twice(warehouse: Warehouse, name: str) -> None:
    store = warehouse.store
    for ticker in ("SPY", "QQQ"):
        store.write(PRICES_DAILY, SliceKey(ticker), bars().assign(ticker=ticker))
    path = store.path(PRICES_DAILY, SliceKey("SPY"))
    shutil.copy(path, path.with_name(name))
    shutil.copy(path, store.table_folder(PRICES_DAILY) / ("x" + name))
    rows = warehouse.query("select ticker, count(*) as n from raw.prices_daily group by all order by all")
    assert rows.values.tolist() == [["QQQ", 5], ["SPY", 5]]
    assert warehouse.query("select count(*) as n from meta.slices")["n"].tolist() == [2]
    assert store.slices(PRICES_DAILY) == [SliceKey("QQQ"), SliceKey("SPY")]


def test_a_torn_copy_does_not_stop_the_views(warehouse: Warehouse) -> None:
    store = warehouse.store
    store.write(PRICES_DAILY, SliceKey("SPY"), bars())
    torn = store.table_folder(PRICES_DAILY) / "ticker=SPY.bak" / "data.parquet"
    torn.parent.mkdir()
    torn.write_bytes(b"torn")
    assert warehouse.query("select count(*) as n from raw.prices_daily")["n"].tolist() == [5]


def test_a_copied_year_of_chains_is_not_seen_twice(warehouse: Warehouse) -> None:
    chains = ChainStore(warehouse.store.root)
    chains.merge("SPY", 2024, chain_of(), source="files")
    folder = chains.path("SPY", 2024).parent
    for name in ("year=2024.bak", "year=24", "year=2025"):
        shutil.copytree(folder, folder.with_name(name))
    shutil.copytree(folder.parent, folder.parent.with_name("ticker=SPY.old"))
    rows = warehouse.query("select count(*) as n from raw.option_chain", verify=False)
    assert rows["n"].tolist() == [len(chain_of())]
    assert (chains.tickers(), chains.years("SPY")) == (["SPY"], [2024, 2025])


@pytest.mark.parametrize(
    "name", ["with space", "a[b]c", "a*b", "it's", "ünï", "ticker=SPY", "a{b,c}", "100%25", "$HOME"]
)
def test_any_name_of_the_home_will_do(tmp_path: Path, name: str) -> None:
    warehouse = Warehouse(ParquetStore(tmp_path / name))
    warehouse.store.write(PRICES_DAILY, SliceKey("QQQ"), bars().assign(ticker="QQQ"))
    assert warehouse.query("select distinct ticker from raw.prices_daily")["ticker"].tolist() == ["QQQ"]
    assert warehouse.query("select ticker from meta.slices")["ticker"].tolist() == ["QQQ"]
    assert warehouse.store.slices(PRICES_DAILY) == [SliceKey("QQQ")]


def test_a_schema_file_that_was_deleted_comes_back(warehouse: Warehouse) -> None:
    warehouse.ensure()
    (warehouse.store.table_folder(PRICES_DAILY) / "schema.parquet").unlink()
    assert warehouse.query("from raw.prices_daily").empty


def test_a_query_of_a_table_with_a_flipped_bit_names_the_slice_and_the_remedy(warehouse: Warehouse) -> None:
    store = warehouse.store
    for ticker in ("SPY", "QQQ"):
        store.write(PRICES_DAILY, SliceKey(ticker), bars().assign(ticker=ticker))
    path = store.path(PRICES_DAILY, SliceKey("SPY"))
    content = bytearray(path.read_bytes())
    content[content.index(b"SPY", 4)] ^= 1
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"raw\.prices_daily \[ticker=SPY\].*--force"):
        warehouse.query("select count(*) from raw.prices_daily")
    with pytest.raises(StorageError, match="ticker=SPY"):
        warehouse.query('select count(*) from "raw"."prices_daily"')
    assert len(warehouse.query("from raw.prices_daily where ticker = 'QQQ'", keys=[SliceKey("QQQ")])) == 5
    assert warehouse.query("from raw.macro").empty
