"""Kept connections see every slice that is stored, are as confined as new ones, and go with the file they are of."""

from __future__ import annotations

import threading
from pathlib import Path

import pandas as pd
import pytest

from resources.storage import connection_pool
from resources.storage.connection_pool import KEPT
from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.warehouse import Warehouse
from tests.resources.storage.test_versioned_reader import index
from trading_dag.errors import StorageError
from trading_dag.schemas import VOLATILITY_INDEX

SQL = "SELECT close FROM raw.volatility_index WHERE ticker = ? ORDER BY session"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The paths that connections were opened on."""
    seen: list[Path] = []
    connect = connection_pool.connect_read_only

    def counted(path: Path, **named: object) -> object:
        seen.append(path)
        return connect(path, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(connection_pool, "connect_read_only", counted)
    return seen


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    store = ParquetStore(tmp_path)
    store.write(VOLATILITY_INDEX, SliceKey("SPY"), index(14.0, 15.0))
    return Warehouse(store, keeps_connections=True)


def closes(warehouse: Warehouse) -> list[float]:
    return list(warehouse.query(SQL, ["SPY"], verify=False)["close"])


def test_one_connection_serves_query_after_query_and_sees_what_is_replaced(
    warehouse: Warehouse, opened: list[Path]
) -> None:
    assert closes(warehouse) == [14.0, 15.0]
    for last in (16.0, 17.0, 18.0):
        warehouse.store.write(VOLATILITY_INDEX, SliceKey("SPY"), index(14.0, last))
        assert closes(warehouse) == [14.0, last]
    assert len(opened) == 1


def test_a_kept_connection_reads_nothing_else_and_changes_nothing(warehouse: Warehouse) -> None:
    assert closes(warehouse)
    for text in ("FROM read_csv('/etc/passwd')", "COPY raw.volatility_index TO 'x.csv'", "SET threads = 1"):
        with pytest.raises(StorageError):
            warehouse.query(text, verify=False)
    assert closes(warehouse) == [14.0, 15.0]


def test_a_connection_that_failed_is_not_lent_again(warehouse: Warehouse, opened: list[Path]) -> None:
    closes(warehouse)
    with pytest.raises(StorageError):
        warehouse.query("SELECT no_such_column FROM raw.volatility_index", verify=False)
    closes(warehouse)
    assert len(opened) == 2


def test_another_file_of_views_is_opened_anew(warehouse: Warehouse, opened: list[Path]) -> None:
    closes(warehouse)
    warehouse.path.unlink()
    assert closes(warehouse) == [14.0, 15.0]
    assert len(opened) == 2


def test_threads_have_connections_of_their_own_and_few_are_kept(warehouse: Warehouse, opened: list[Path]) -> None:
    pool = warehouse._pool
    assert pool is not None
    together, found = threading.Barrier(KEPT + 2), []

    def ask() -> None:
        with pool.lent() as connection:
            together.wait(60)
            found.append(connection.execute(SQL, ["SPY"]).df()["close"].tolist())

    threads = [threading.Thread(target=ask) for _ in range(KEPT + 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [[14.0, 15.0]] * (KEPT + 2)
    assert len(pool._free) == KEPT
    pool.close()
    assert pool._free == []


def test_an_answer_is_as_without_a_pool(warehouse: Warehouse) -> None:
    pd.testing.assert_frame_equal(
        warehouse.query(SQL, ["SPY"]), Warehouse(warehouse.store).query(SQL, ["SPY"])
    )  # fmt: skip
