"""Answers about slices are kept until a slice is replaced, and nobody's change of a frame reaches another reader."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.versioned_reader import VersionedReader
from trading_dag.errors import StorageError
from trading_dag.schemas import VOLATILITY_INDEX

SQL = "SELECT close FROM raw.volatility_index WHERE ticker = ? ORDER BY session"


def index(*closes: float) -> pd.DataFrame:
    sessions = pd.bdate_range("2024-01-02", periods=len(closes)).as_unit("us")
    return pd.DataFrame({"ticker": "SPY", "session": sessions, "symbol": "VIX", "close": closes}).assign(
        open=float("nan"), high=float("nan"), low=float("nan"), vix3m_close=float("nan")
    )


@pytest.fixture
def store(tmp_path: Path) -> ParquetStore:
    store = ParquetStore(tmp_path)
    store.write(VOLATILITY_INDEX, SliceKey("SPY"), index(14.0, 15.0))
    return store


def test_an_answer_is_kept_until_its_slice_is_replaced(store: ParquetStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = VersionedReader(store)
    asked: list[str] = []
    query = reader.warehouse.query

    def counted(sql: str, *given: object, **named: object) -> pd.DataFrame:
        asked.append(sql)
        return query(sql, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(reader.warehouse, "query", counted)
    assert [list(reader.query(SQL, ["SPY"])["close"]) for _ in range(3)] == [[14.0, 15.0]] * 3
    assert len(asked) == 1
    store.write(VOLATILITY_INDEX, SliceKey("SPY"), index(14.0, 15.0, 16.0))
    assert list(reader.query(SQL, ["SPY"])["close"]) == [14.0, 15.0, 16.0]
    assert list(reader.query(SQL, ["QQQ"])["close"]) == []
    assert len(asked) == 3


def test_who_changes_an_answer_changes_nobody_elses(store: ParquetStore) -> None:
    reader = VersionedReader(store)
    mine = reader.query(SQL, ["SPY"])
    mine["close"] = 0.0
    mine.loc[0, "close"] = 99.0
    assert list(reader.query(SQL, ["SPY"])["close"]) == [14.0, 15.0]


def test_it_reads_a_slice_with_what_is_recorded_of_it(store: ParquetStore) -> None:
    reader = VersionedReader(store)
    assert list(reader.read(VOLATILITY_INDEX, SliceKey("SPY"))["close"]) == [14.0, 15.0]
    assert reader.read(VOLATILITY_INDEX, SliceKey("QQQ")).empty
    assert list(reader.slices()["table_name"]) == ["raw.volatility_index"]


def test_what_writes_is_refused(store: ParquetStore, tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        VersionedReader(store).query(f"COPY (SELECT 1) TO '{tmp_path / 'x.csv'}'")


def test_what_was_not_asked_for_longest_is_dropped(store: ParquetStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.storage.versioned_reader.KEPT_ANSWERS", 2)
    reader = VersionedReader(store)
    made: list[int] = []
    for name in (1, 2, 1, 3, 1, 2):
        reader.kept(name, lambda name=name: made.append(name), tables=[])  # type: ignore[misc]
    assert made == [1, 2, 3, 2]
