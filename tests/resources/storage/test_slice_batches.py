"""Many slices judged at once: what is said of each is what is said of it alone."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from resources.storage import slice_batches
from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.slice_batches import problems_of_table
from resources.storage.slice_check import problem_of
from tests.resources.storage.test_parquet_store import bars
from trading_dag.schemas import PRICES_DAILY

TICKERS = ("SPY", "QQQ", "IWM", "SPX", "COMP")


@pytest.fixture
def store(tmp_path: Path) -> ParquetStore:
    store = ParquetStore(tmp_path)
    for number, ticker in enumerate(TICKERS):
        store.write(PRICES_DAILY, SliceKey(ticker), bars(3 + number, close=100.0 + number).assign(ticker=ticker))
    return store


def said(store: ParquetStore) -> dict[str, str]:
    return {path.parent.name: problem for path, problem in problems_of_table(store, PRICES_DAILY)}


def alone(store: ParquetStore) -> dict[str, str]:
    found = {f"ticker={ticker}": problem_of(store, PRICES_DAILY, SliceKey(ticker)) for ticker in TICKERS}
    return {name: problem for name, problem in found.items() if problem is not None}


def test_slices_that_are_as_they_were_stored_are_judged_at_once_and_none_by_itself(
    store: ParquetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slice_batches, "problem_of", lambda *_: pytest.fail("was judged by itself"))
    assert said(store) == {}


@pytest.mark.parametrize("most_rows", [1, 8, 1_000])
def test_a_damaged_an_altered_and_a_foreign_slice_are_named_as_each_would_be_alone(
    store: ParquetStore, monkeypatch: pytest.MonkeyPatch, most_rows: int
) -> None:
    monkeypatch.setattr(slice_batches, "BATCH_ROWS", most_rows)
    torn, altered, foreign = (store.path(PRICES_DAILY, SliceKey(ticker)) for ticker in ("QQQ", "IWM", "COMP"))
    torn.write_bytes(torn.read_bytes()[:-20])
    rows = pq.read_table(altered)
    higher = rows.set_column(rows.column_names.index("close"), "close", [[101.5] * len(rows)])
    pq.write_table(higher.replace_schema_metadata(rows.schema.metadata), altered, write_page_checksum=True)
    foreign.write_bytes(store.path(PRICES_DAILY, SliceKey("SPY")).read_bytes())
    assert said(store) == alone(store)
    assert set(said(store)) == {"ticker=QQQ", "ticker=IWM", "ticker=COMP"}


def test_a_row_that_breaks_the_schema_with_the_right_hash_is_named(
    store: ParquetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a version of the project that draws a bound closer."""
    from resources.storage import parquet_store

    monkeypatch.setattr(parquet_store, "conform", lambda frame, *_, **__: frame)
    bad = bars(3).assign(ticker="SPX", close=-1.0).astype({"ticker": "str"})
    store.write(PRICES_DAILY, SliceKey("SPX"), bad)
    monkeypatch.undo()
    assert list(said(store)) == ["ticker=SPX"]
    assert said(store) == alone(store)
