"""Events on their way into storage: what was changed is recorded, and when the vendor was asked is kept."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from assets.declare.declaration import Result, Slice
from assets.raw import RESTATEMENTS_SHOWN, load_events, load_incrementally
from resources.left_out import LEFT_OUT
from resources.raw_frames import raw_frame, switched_off
from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.schemas import NEWS, PRICES_DAILY
from trading_dag.settings import Settings

SPY = SliceKey("SPY")
EARLY = pd.Timestamp("2024-03-01 15:00", tz="UTC")


def articles(*headlines: str, source: str = "live", at: pd.Timestamp = EARLY) -> pd.DataFrame:
    rows = [
        {
            "ticker": "SPY",
            "news_id": str(number),
            "published_at": at,
            "known_at": at,
            "scope": "market",
            "headline": text,
        }
        for number, text in enumerate(headlines)
    ]
    frame = pd.DataFrame(rows)
    for name in ("published_at", "known_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    return raw_frame(frame, NEWS, source=source)


class Place:
    """A slice of news that a source of any name fills."""

    def __init__(self, home: Path, source: str) -> None:
        self.store = ParquetStore(home)
        self.at = Slice(
            key=SPY,
            settings=Settings(home=home, source="sample"),
            source=cast(Any, SimpleNamespace(name=source)),
            store=self.store,
        )

    def load(self, fresh: pd.DataFrame) -> Result:
        result = load_events(self.at, NEWS, lambda _: fresh)
        self.store.write(NEWS, SPY, result.frames["news"], source=self.at.source.name, source_off=result.source_off)
        return result

    @property
    def asked_at(self) -> str | None:
        recorded = self.store.provenance(NEWS, SPY)
        assert recorded is not None
        return recorded.asked_at


def test_restatements_are_listed_with_the_run_and_the_first_value_is_stored(tmp_path: Path) -> None:
    place = Place(tmp_path, "live")
    place.load(articles("Stocks fall", "Bonds rise"))
    result = place.load(articles("Stocks soar", "Bonds rise"))
    assert place.store.read(NEWS, SPY)["headline"].tolist() == ["Stocks fall", "Bonds rise"]
    assert result.metadata["restated values"] == 1
    (record,) = result.metadata["restatements"].records
    assert record.data == {
        "ticker": "SPY", "news_id": "0", "column": "headline", "old": "Stocks fall", "new": "Stocks soar",
        "outcome": "the first value stays",
    }  # fmt: skip


def test_what_the_source_left_out_is_metadata_of_the_slice(tmp_path: Path) -> None:
    place = Place(tmp_path, "live")
    told = "1 articles about the market were left out: field headline: expected prose, found None (1, first: row 3)"
    fresh = articles("Stocks fall")
    fresh.attrs[LEFT_OUT] = told
    assert place.load(fresh).metadata[LEFT_OUT] == told
    assert LEFT_OUT not in place.load(articles("Stocks fall")).metadata


def test_what_the_source_left_out_of_prices_is_metadata_of_the_slice(tmp_path: Path) -> None:
    place = Place(tmp_path, "live")
    rows = pd.DataFrame(
        {
            "ticker": "SPY",
            "session": pd.DatetimeIndex(["2024-03-01"]).as_unit("us"),
            **dict.fromkeys(("open", "high", "low", "close", "adj_close"), 500.0),
            "split_factor": 1.0,
            "dividend": 0.0,
        }
    )
    rows.attrs[LEFT_OUT] = "1 bars or volumes of SPY were left out: Yahoo says no volume (1, first: 2024-03-01)"
    fresh = raw_frame(rows, PRICES_DAILY, source="live")
    result = load_incrementally(place.at, PRICES_DAILY, lambda _: fresh)
    assert result.metadata[LEFT_OUT] == rows.attrs[LEFT_OUT]
    assert result.frames["prices_daily"].attrs == {"source": "live"}


def test_no_more_restatements_are_listed_than_are_read(tmp_path: Path) -> None:
    place = Place(tmp_path, "live")
    place.load(articles(*(f"old {number}" for number in range(80))))
    result = place.load(articles(*(f"new {number}" for number in range(80))))
    assert result.metadata["restated values"] == 80
    assert len(result.metadata["restatements"].records) == RESTATEMENTS_SHOWN


def test_what_the_live_source_did_not_have_when_it_was_asked_was_not_known_then(tmp_path: Path) -> None:
    place = Place(tmp_path, "live")
    place.load(articles("Stocks fall"))
    asked = pd.Timestamp(place.asked_at)
    place.load(articles("Stocks fall", "Bonds rise"))
    assert place.store.read(NEWS, SPY)["known_at"].tolist() == [EARLY, asked]
    assert pd.Timestamp(place.asked_at) > asked


@pytest.mark.parametrize("source", ["files", "simulated", "sample"])
def test_rows_of_other_sources_say_themselves_when_they_were_known(tmp_path: Path, source: str) -> None:
    place = Place(tmp_path, source)
    place.load(articles("Stocks fall", source=source))
    place.load(articles("Stocks fall", "Bonds rise", source=source))
    assert place.store.read(NEWS, SPY)["known_at"].tolist() == [EARLY, EARLY]


def test_a_source_that_is_off_was_not_asked(tmp_path: Path) -> None:
    place = Place(tmp_path, "live")
    place.load(articles("Stocks fall"))
    asked = place.asked_at
    result = place.load(switched_off(NEWS, source="live", reason="no key"))
    assert result.source_off is None
    assert place.asked_at == asked
    assert len(place.store.read(NEWS, SPY)) == 1


def test_a_slice_that_does_not_say_when_it_was_asked_for_was_asked_for_when_it_was_written(tmp_path: Path) -> None:
    place = Place(tmp_path, "live")
    place.store.write(NEWS, SPY, articles("Stocks fall"), source="live")
    written = place.store.provenance(NEWS, SPY)
    assert written is not None
    assert written.asked_at is None
    place.load(articles("Stocks fall", "Bonds rise"))
    assert place.store.read(NEWS, SPY)["known_at"].tolist() == [EARLY, pd.Timestamp(written.fetched_at)]
