"""``doctor`` names slices that are not what was stored, and files that are no slices; readers refuse the first."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resources.chains.store import ChainStore
from resources.doctor.stored_state import damaged_slices, strange_files
from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.slice_check import check_pages, problem_of
from tests.resources.chains.test_store import chain_of
from tests.resources.storage.test_parquet_store import bars
from trading_dag.errors import StorageError
from trading_dag.schemas import MACRO, OPTION_CHAIN, PRICES_DAILY, TARGETS

SPY = SliceKey("SPY")


@pytest.fixture
def store(tmp_path: Path) -> ParquetStore:
    store = ParquetStore(tmp_path)
    noise = 100.0 + np.random.default_rng(1).random(60)
    store.write(PRICES_DAILY, SPY, bars(60).assign(adj_close=noise), source="files")
    return store


def rewritten(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Somebody reads a slice, changes it, and writes it with good pages and what the footer recorded."""
    arrow = pq.read_table(path)
    pq.write_table(change(arrow).replace_schema_metadata(arrow.schema.metadata), path)


def with_column(arrow: pa.Table, name: str, values: list[object], kind: pa.DataType) -> pa.Table:
    return arrow.set_column(arrow.schema.get_field_index(name), name, pa.array(values, kind))


def altered_close(arrow: pa.Table) -> pa.Table:
    values = arrow["close"].to_pylist()
    return with_column(arrow, "close", [*values[:3], values[3] * 1.01, *values[4:]], pa.float64())


def without_provenance(path: Path) -> None:
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)


def provenance_set(path: Path, value: bytes) -> None:
    arrow = pq.read_table(path)
    pq.write_table(arrow.replace_schema_metadata({b"trading_dag": value}), path)


ROWS: dict[str, Callable[[pa.Table], pa.Table]] = {
    "an altered close": altered_close,
    "repeated rows": lambda arrow: pa.concat_tables([arrow, arrow.slice(0, 2)]),
    "a missing row": lambda arrow: arrow.slice(1),
    "no rows": lambda arrow: arrow.slice(0, 0),
    "rows in another order": lambda arrow: arrow.take(list(range(len(arrow)))[::-1]),
    "another ticker": lambda arrow: with_column(arrow, "ticker", ["QQQ"] * len(arrow), pa.string()),
    "a row of another ticker": lambda arrow: with_column(arrow, "ticker", ["QQQ", *["SPY"] * 59], pa.string()),
    "a foreign column": lambda arrow: arrow.append_column("mine", pa.array([1] * len(arrow))),
    "a foreign first column": lambda arrow: arrow.add_column(0, "mine", pa.array([1] * len(arrow))),
    "a missing column": lambda arrow: arrow.drop_columns(["close"]),
    "a renamed column": lambda arrow: arrow.rename_columns(
        [name.replace("open", "opened") for name in arrow.column_names]
    ),
    "a doubled column": lambda arrow: arrow.append_column("close", arrow["close"]),
    "dates as moments": lambda arrow: arrow.set_column(1, "session", arrow["session"].cast(pa.timestamp("us"))),
    "prices as text": lambda arrow: arrow.set_column(5, "close", arrow["close"].cast(pa.string())),
    "prices in single precision": lambda arrow: arrow.set_column(5, "close", arrow["close"].cast(pa.float32())),
    "a NULL close": lambda arrow: with_column(arrow, "close", [None, *arrow["close"].to_pylist()[1:]], pa.float64()),
    "an infinite close": lambda arrow: with_column(
        arrow, "close", [float("inf"), *arrow["close"].to_pylist()[1:]], pa.float64()
    ),
}
FILES: dict[str, Callable[[Path], object]] = {
    "a truncated file": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "half a file": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "an empty file": lambda path: path.write_bytes(b""),
    "a text": lambda path: path.write_bytes(b"ticker,session\nSPY,2024-01-02\n"),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "a file without provenance": without_provenance,
    "written by hand": lambda path: bars().to_parquet(path),
    "a provenance that is no JSON": lambda path: provenance_set(path, b"{"),
    "a provenance that is no text": lambda path: provenance_set(path, b"\xff\xfe"),
    "a provenance of other fields": lambda path: provenance_set(path, b'{"mine": 1}'),
    "a provenance that is a list": lambda path: provenance_set(path, b"[1]"),
}


@pytest.mark.parametrize("kind", [*ROWS, *FILES])
def test_a_slice_that_is_not_what_was_stored_is_named_and_not_read(store: ParquetStore, kind: str) -> None:
    path = store.path(PRICES_DAILY, SPY)
    if kind in ROWS:
        rewritten(path, ROWS[kind])
    else:
        FILES[kind](path)
    with pytest.raises(StorageError, match=r"raw\.prices_daily \[ticker=SPY\].*--force"):
        store.read(PRICES_DAILY, SPY)
    assert problem_of(store, PRICES_DAILY, SPY) is not None
    assert [found for found, _ in damaged_slices(store, fast=False)] == [path]


def test_a_slice_that_is_what_was_stored_has_no_problem(store: ParquetStore) -> None:
    ChainStore(store.root).merge("SPY", 2024, chain_of(), source="files")
    assert problem_of(store, PRICES_DAILY, SPY) is None
    assert list(damaged_slices(store, fast=False)) == []
    assert list(damaged_slices(store, fast=True)) == []
    assert strange_files(store) == ([], [])


def test_no_flipped_bit_is_served_with_other_values(store: ParquetStore) -> None:
    path = store.path(PRICES_DAILY, SPY)
    good, whole = store.read(PRICES_DAILY, SPY), path.read_bytes()
    random = np.random.default_rng(7)
    noticed = 0
    for place, bit in zip(random.integers(0, len(whole), 150), random.integers(0, 8, 150), strict=True):
        content = bytearray(whole)
        content[place] ^= 1 << int(bit)
        path.write_bytes(content)
        try:
            found = store.read(PRICES_DAILY, SPY)
        except StorageError:
            noticed += 1
        else:
            pd.testing.assert_frame_equal(found, good)
    assert noticed > 75  # the others hit what says nothing of the rows: a good half of so small a file is footer


@pytest.mark.parametrize("place", [0.1, 0.3, 0.5, 0.7])
def test_a_flipped_bit_in_a_stored_chain_is_noticed(tmp_path: Path, place: float) -> None:
    chains, store = ChainStore(tmp_path), ParquetStore(tmp_path)
    chains.merge("SPY", 2024, chain_of(), source="files")
    path = chains.path("SPY", 2024)
    column = pq.ParquetFile(path).metadata.row_group(0).column(6)
    start = column.dictionary_page_offset or column.data_page_offset
    content = bytearray(path.read_bytes())
    content[start + 30 + int((column.total_compressed_size - 40) * place)] ^= 1
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"raw\.option_chain \[ticker=SPY\].*import"):
        check_pages(OPTION_CHAIN, SPY, path)
    assert [found for found, _ in damaged_slices(store, fast=False)] == [path]


def test_an_altered_row_of_a_chain_is_found_by_its_quote_date(tmp_path: Path) -> None:
    chains, store = ChainStore(tmp_path), ParquetStore(tmp_path)
    chains.merge("SPY", 2024, chain_of(), source="files")
    path = chains.path("SPY", 2024)
    rewritten(path, lambda arrow: with_column(arrow, "bid", [9.0, *arrow["bid"].to_pylist()[1:]], pa.float64()))
    ((found, problem),) = damaged_slices(store, fast=False)
    assert (found, "2024-01-02" in problem) == (path, True)
    shutil.copytree(path.parent, path.parent.with_name("year=2023"))
    assert len(list(damaged_slices(store, fast=False))) == 2


STRANGERS = (
    "raw/prices_daily/ticker=SPY.bak",
    "raw/prices_daily/ticker=spy",
    "raw/prices_daily/SPY",
    "raw/prices_daily/ticker=SPY/horizon=24h",
    "raw/prices_daily/ticker=SPY/data (1).parquet",
    "raw/prices_daily/ticker=SPY/data.csv",
    "raw/prices_daily/notes.txt",
    "labels/targets/ticker=SPY/horizon=25h",
    "labels/targets/ticker=SPY/data.parquet",
    "raw/option_chain/ticker=SPY/year=2024.bak",
    "raw/macro/ticker=SPY",
    "raw/mine",
    "mine",
    "notes.txt",
)


@pytest.mark.parametrize("name", STRANGERS)
def test_what_is_no_slice_is_named_by_its_path(store: ParquetStore, name: str) -> None:
    store.write(TARGETS, SliceKey("SPY", "24h"), store.read_or_empty(TARGETS, SliceKey("SPY", "24h")))
    store.write(MACRO, SliceKey(), store.read_or_empty(MACRO, SliceKey()))
    path = store.data / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if "." in path.name and not path.name.endswith(".bak"):
        path.write_bytes(b"x")
    else:
        shutil.copytree(store.slice_folder(PRICES_DAILY, SPY), path, ignore=shutil.ignore_patterns("horizon=*"))
    assert strange_files(store) == ([path], [])
    aside = store.set_aside(PRICES_DAILY, SPY)
    assert strange_files(store) == ([path], [aside])


def test_a_copy_under_the_name_of_another_ticker_is_damaged(store: ParquetStore) -> None:
    folder = store.slice_folder(PRICES_DAILY, SPY)
    shutil.copytree(folder, folder.with_name("ticker=SPY.OLD"))
    ((path, problem),) = damaged_slices(store, fast=True)
    assert (path.parent.name, "rows of ticker SPY" in problem) == ("ticker=SPY.OLD", True)


def test_doctor_names_damage_and_strangers_and_fails_for_damage_only(tmp_path: Path) -> None:
    from tests.conftest import Workspace

    store, place = ParquetStore(tmp_path), Workspace(tmp_path)
    store.write(PRICES_DAILY, SPY, bars(60), source="files")
    stranger = store.table_folder(PRICES_DAILY) / "ticker=SPY.bak"
    shutil.copytree(store.slice_folder(PRICES_DAILY, SPY), stranger)
    told = place.run("doctor", "--json")
    assert [found["subject"] for found in json.loads(told.stdout) if found["state"] == "strange"] == [str(stranger)]
    assert told.returncode == 0
    path = store.path(PRICES_DAILY, SPY)
    rewritten(path, altered_close)
    assert place.run("doctor", "--fast").returncode == 0
    told = place.run("doctor", "--json")
    assert [found["subject"] for found in json.loads(told.stdout) if found["state"] == "damaged"] == [str(path)]
    assert told.returncode == 1
