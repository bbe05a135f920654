"""Slices on disk: whole or not at all, validated before they replace anything, with their provenance."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from resources.merging.event_history import merge_events
from resources.storage import parquet_store
from resources.storage.column_upgrade import ensure_schema_file
from resources.storage.parquet_store import ParquetStore, SliceKey, content_hash
from resources.storage.slices.paths import FILE_NAME
from resources.storage.warehouse import Warehouse
from trading_dag.errors import SchemaError, SliceNotFoundError, StorageError, UnknownTickerError
from trading_dag.schemas import EARNINGS, MACRO, PRICES_DAILY, TARGETS, Table
from trading_dag.sessions import sessions_between

SPY = SliceKey("SPY")


def bars(rows: int = 5, *, close: float = 100.0) -> pd.DataFrame:
    """Well-formed daily bars of SPY."""
    sessions = sessions_between("2024-01-02", "2024-12-31")[:rows]
    return pd.DataFrame(
        {
            "ticker": "SPY",
            "session": sessions,
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


@pytest.fixture
def store(tmp_path: Path) -> ParquetStore:
    return ParquetStore(tmp_path)


def test_a_written_slice_is_read_back_as_it_was(store: ParquetStore) -> None:
    store.write(PRICES_DAILY, SPY, bars(), source="sample", code_version="7", inputs={"a.b": "x"})
    frame = store.read(PRICES_DAILY, SPY)
    pd.testing.assert_frame_equal(frame, bars().astype({"ticker": "str"}), check_dtype=True)
    assert frame.attrs["source"] == "sample"


def test_provenance_says_where_a_slice_comes_from(store: ParquetStore) -> None:
    store.write(PRICES_DAILY, SPY, bars(), source="sample", code_version="7", inputs={"a.b": "x"})
    provenance = store.provenance(PRICES_DAILY, SPY)
    assert provenance is not None
    assert (provenance.source, provenance.code_version, provenance.rows) == ("sample", "7", 5)
    assert (provenance.first_session, provenance.last_session) == ("2024-01-02", "2024-01-08")
    assert provenance.inputs == {"a.b": "x"}


def test_only_the_columns_asked_for_are_read(store: ParquetStore) -> None:
    store.write(PRICES_DAILY, SPY, bars())
    assert list(store.read(PRICES_DAILY, SPY, columns=["session", "close"]).columns) == ["session", "close"]


def test_columns_with_a_value_are_told_by_the_footer(store: ParquetStore) -> None:
    assert store.present_columns(PRICES_DAILY, SPY) == frozenset()
    frame = bars()
    frame.loc[0, "dividend"] = 0.5
    store.write(PRICES_DAILY, SPY, frame.assign(volume=np.nan))
    assert store.present_columns(PRICES_DAILY, SPY) == set(PRICES_DAILY.column_names) - {"volume", "split_factor"}
    store.write(PRICES_DAILY, SPY, frame.iloc[:0])
    assert store.present_columns(PRICES_DAILY, SPY) == frozenset()
    store.path(PRICES_DAILY, SPY).write_bytes(b"PAR1")
    with pytest.raises(StorageError, match="no readable Parquet"):
        store.present_columns(PRICES_DAILY, SPY)


def test_dates_are_stored_as_dates_and_missing_values_as_null(store: ParquetStore) -> None:
    store.write(PRICES_DAILY, SPY, bars())
    arrow = pq.read_table(store.path(PRICES_DAILY, SPY))
    assert str(arrow.schema.field("session").type) == "date32[day]"
    assert arrow["dividend"].null_count == 5


def test_the_content_hash_ignores_when_and_notices_any_value(store: ParquetStore) -> None:
    first = store.write(PRICES_DAILY, SPY, bars()).content_hash
    assert store.write(PRICES_DAILY, SPY, bars(), code_version="other").content_hash == first
    changed = bars()
    changed.loc[3, "volume"] += 1
    assert store.write(PRICES_DAILY, SPY, changed).content_hash != first


def test_the_content_hash_notices_a_renamed_column() -> None:
    frame = pd.DataFrame({"a": [1.0]})
    assert content_hash(frame) != content_hash(frame.rename(columns={"a": "b"}))


def test_a_frame_that_breaks_the_schema_leaves_the_stored_slice_in_place(store: ParquetStore) -> None:
    store.write(PRICES_DAILY, SPY, bars())
    before = store.path(PRICES_DAILY, SPY).read_bytes()
    bad = bars()
    bad.loc[2, "close"] = -1.0
    with pytest.raises(SchemaError, match=r"raw\.prices_daily.*close"):
        store.write(PRICES_DAILY, SPY, bad)
    assert store.path(PRICES_DAILY, SPY).read_bytes() == before


def test_a_write_that_dies_half_way_leaves_the_stored_slice_and_no_litter(
    store: ParquetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(PRICES_DAILY, SPY, bars())
    before = store.path(PRICES_DAILY, SPY).read_bytes()

    def fail(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        store.write(PRICES_DAILY, SPY, bars(close=200.0))
    assert store.path(PRICES_DAILY, SPY).read_bytes() == before
    assert [path.name for path in store.slice_folder(PRICES_DAILY, SPY).iterdir() if path.suffix == ".tmp"] == []


def test_leftovers_of_a_killed_writer_are_removed_by_the_next_write(store: ParquetStore) -> None:
    store.write(PRICES_DAILY, SPY, bars())
    leftover = store.slice_folder(PRICES_DAILY, SPY) / f".{FILE_NAME}.1-dead.tmp"
    leftover.write_bytes(b"half")
    store.write(PRICES_DAILY, SPY, bars())
    assert not leftover.exists()


def test_a_missing_slice_says_which_and_what_to_do(store: ParquetStore) -> None:
    with pytest.raises(SliceNotFoundError, match=r"raw\.prices_daily \[ticker=SPY\].*materialize"):
        store.read(PRICES_DAILY, SPY)


def test_a_torn_file_is_a_typed_error(store: ParquetStore) -> None:
    store.write(PRICES_DAILY, SPY, bars())
    path = store.path(PRICES_DAILY, SPY)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StorageError, match="no readable Parquet"):
        store.read(PRICES_DAILY, SPY)


def test_a_file_without_provenance_was_not_written_here(store: ParquetStore) -> None:
    path = store.path(PRICES_DAILY, SPY)
    path.parent.mkdir(parents=True)
    bars().to_parquet(path)
    with pytest.raises(StorageError, match="no provenance"):
        store.read(PRICES_DAILY, SPY)


@pytest.mark.parametrize("ticker", ["../x", "'; drop", "spy", "", "A/B", "SPY\n"])
def test_a_ticker_that_is_no_ticker_never_becomes_a_path(ticker: str) -> None:
    with pytest.raises(UnknownTickerError):
        SliceKey(ticker)


def test_a_key_that_does_not_fit_the_tables_slicing_is_refused(store: ParquetStore) -> None:
    with pytest.raises(StorageError, match="sliced by ticker"):
        store.path(PRICES_DAILY, SliceKey("SPY", "24h"))
    with pytest.raises(StorageError, match="sliced by none"):
        store.path(MACRO, SPY)
    assert store.path(TARGETS, SliceKey("SPY", "24h")).parent.as_posix().endswith("ticker=SPY/horizon=24h")


def test_slices_are_listed_in_the_order_of_horizons(store: ParquetStore) -> None:
    for key in (SliceKey("SPY", "168h"), SliceKey("SPY", "12h"), SliceKey("QQQ", "24h")):
        store.write(TARGETS, key, parquet_store.empty_frame(TARGETS))
    expected = [SliceKey("QQQ", "24h"), SliceKey("SPY", "12h"), SliceKey("SPY", "168h")]
    assert store.slices(TARGETS) == expected


def test_the_lock_of_a_slice_is_reentrant_so_that_read_merge_write_is_one(store: ParquetStore) -> None:
    with store.lock(PRICES_DAILY, SPY):
        store.write(PRICES_DAILY, SPY, bars())
    assert store.exists(PRICES_DAILY, SPY)


def test_a_flipped_byte_in_the_middle_of_a_file_is_noticed_when_it_is_read(store: ParquetStore) -> None:
    closes = 100.0 + np.random.default_rng(1).random(200)
    store.write(PRICES_DAILY, SPY, bars(200).assign(adj_close=closes), source="sample")
    path = store.path(PRICES_DAILY, SPY)
    column = pq.ParquetFile(path).metadata.row_group(0).column(6)
    start = column.dictionary_page_offset or column.data_page_offset
    content = bytearray(path.read_bytes())
    content[start + column.total_compressed_size // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(StorageError, match="--force"):
        store.read(PRICES_DAILY, SPY)


@pytest.mark.parametrize("content", [b"", b"no parquet", b"PAR1"])
def test_a_file_that_is_no_parquet_is_a_typed_error_that_says_what_to_do(store: ParquetStore, content: bytes) -> None:
    store.write(PRICES_DAILY, SPY, bars(), source="sample")
    path = store.path(PRICES_DAILY, SPY)
    path.write_bytes(content)
    for attempt in (store.read, store.provenance):
        with pytest.raises(StorageError, match="--force"):
            attempt(PRICES_DAILY, SPY)
    assert store.set_aside(PRICES_DAILY, SPY).read_bytes() == content
    assert not store.exists(PRICES_DAILY, SPY)


def test_a_torn_schema_file_is_written_again(store: ParquetStore) -> None:
    ensure_schema_file(store, PRICES_DAILY)
    path = store.table_folder(PRICES_DAILY) / "schema.parquet"
    good = path.read_bytes()
    path.write_bytes(b"torn")
    ensure_schema_file(store, PRICES_DAILY)
    assert path.read_bytes() == good


def earlier_earnings() -> tuple[Table, pd.DataFrame]:
    """``raw.earnings`` as it was before rows could be cancelled, and a slice of then."""
    columns = tuple(column for column in EARNINGS.columns if column.name != "cancelled_at")
    row = {"ticker": "SPY", "company": "AAPL", "report_date": pd.Timestamp("2024-10-31"), "timing": "AMC"}
    seen = pd.DatetimeIndex(["2024-10-01T12:00Z"])
    frame = pd.DataFrame([row]).assign(
        known_at=seen, eps_estimate=1.5, eps_actual=np.nan, revenue_estimate=np.nan, revenue_actual=np.nan
    )
    return replace(EARNINGS, columns=columns, key=("ticker", "company", "report_date")), frame


def test_a_slice_written_before_its_table_got_a_column_is_read_with_that_column_null(store: ParquetStore) -> None:
    before, frame = earlier_earnings()
    store.write(before, SPY, frame, source="live")
    read = store.read(EARNINGS, SPY)
    assert list(read.columns) == list(EARNINGS.column_names)
    assert str(read["cancelled_at"].dtype) == "datetime64[us, UTC]"
    assert read["cancelled_at"].isna().all()
    assert (read["eps_estimate"].tolist(), read.attrs["source"]) == ([1.5], "live")
    assert list(store.read(EARNINGS, SPY, columns=["company", "cancelled_at"]).columns) == ["company", "cancelled_at"]
    moved = read.assign(report_date=pd.Timestamp("2024-11-07"), known_at=pd.Timestamp("2024-10-10", tz="UTC"))
    moved.attrs = {"source": "live"}
    asked = pd.Timestamp("2024-10-10", tz="UTC")
    merged = merge_events(read, moved, table=EARNINGS, asked_at=asked, asked_before=asked - pd.Timedelta(days=1))
    store.write(EARNINGS, SPY, merged.frame)
    assert store.read(EARNINGS, SPY)["cancelled_at"].tolist() == [asked, pd.NaT]


def test_views_see_slices_of_before_and_after_a_new_column(store: ParquetStore) -> None:
    before, frame = earlier_earnings()
    for ticker in ("IWM", "SPY"):
        store.write(before, SliceKey(ticker), frame.assign(ticker=ticker), source="live")
    Warehouse(store).ensure()
    found = Warehouse(store).query("select ticker, company, cancelled_at from raw.earnings order by ticker")
    assert found["ticker"].tolist() == ["IWM", "SPY"]
    assert found["cancelled_at"].isna().all()
    assert len(store.read(EARNINGS, SPY)) == 1


def test_a_slice_that_another_writer_holds_gets_its_new_column_from_that_writer(store: ParquetStore) -> None:
    before, frame = earlier_earnings()
    for ticker in ("IWM", "SPY"):
        store.write(before, SliceKey(ticker), frame.assign(ticker=ticker), source="live")
    folder = store.slice_folder(EARNINGS, SPY)
    with FileLock(folder / ".lock"):
        ensure_schema_file(store, EARNINGS)
        assert "cancelled_at" not in pq.read_schema(store.path(EARNINGS, SPY)).names
        assert "cancelled_at" in pq.read_schema(store.path(EARNINGS, SliceKey("IWM"))).names
    ensure_schema_file(store, EARNINGS)
    assert "cancelled_at" in pq.read_schema(store.path(EARNINGS, SPY)).names
