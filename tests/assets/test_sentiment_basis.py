"""Whose tone the sentiment features hold is a setting, and stored features notice when it is another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from assets.declare.declaration import Result, Slice
from assets.features import sentiment
from assets.raw import news_sentiment
from assets.run.staleness import Staleness
from resources.sources.live.source import build_live_source
from resources.sources.sample import SampleSource
from resources.storage.models.store import ModelStore
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.resources.loopback.event_shapes import FINNHUB_KEY
from tests.resources.loopback.server import LoopbackVendor
from trading_dag.quality import empty_frame
from trading_dag.schemas import IMPLIED_VOLATILITY, NEWS_SENTIMENT, SENTIMENT
from trading_dag.sessions import session_close
from trading_dag.settings import Settings

SPY = SliceKey("SPY")
DAY = pd.Timestamp("2024-11-26")


def settings_with(home: Path, basis: str) -> Settings:
    return Settings(_env_file=None, home=home, sentiment_basis=basis)


def is_stale(store: ParquetStore, settings: Settings) -> bool:
    staleness = Staleness(store, ModelStore(store.root / "models"), settings)
    found = staleness.stale("ticker", SPY, refit=False, groups=frozenset({"features"}), needs_inputs=True)
    return sentiment in found


def store_sentiment(store: ParquetStore, settings: Settings) -> None:
    hashes = {}
    for read in sentiment.reads.values():
        assert read.table is not None
        hashes[read.table.qualified_name] = store.write(read.table, SPY, empty_frame(read.table)).content_hash
    recorded = {**hashes, **sentiment.fingerprint(settings)}
    store.write(SENTIMENT, SPY, empty_frame(SENTIMENT), inputs=recorded)


def test_headlines_are_the_default_and_nothing_else_than_the_two_is_taken(tmp_path: Path) -> None:
    assert Settings(_env_file=None, home=tmp_path).sentiment_basis == "headlines"
    with pytest.raises(ValueError, match="sentiment_basis"):
        settings_with(tmp_path, "both")


def test_stored_features_are_stale_when_the_basis_is_another_and_not_otherwise(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    store_sentiment(store, settings_with(tmp_path, "headlines"))
    assert not is_stale(store, settings_with(tmp_path, "headlines"))
    assert is_stale(store, settings_with(tmp_path, "vendor"))


def test_a_new_snapshot_makes_them_stale(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    settings = settings_with(tmp_path, "vendor")
    store_sentiment(store, settings)
    store.write(NEWS_SENTIMENT, SPY, snapshot())
    assert is_stale(store, settings)


def snapshot() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ticker": ["SPY"],
            "known_at": pd.DatetimeIndex([session_close(DAY)]).as_unit("us"),
            "company_score": [0.75],
            "sector_score": [0.5],
            "buzz": [1.0],
            "articles_last_week": [9],
        }
    )


def test_the_asset_reads_the_snapshots_only_where_they_are_asked_for(tmp_path: Path) -> None:
    inputs = {name: empty_frame(read.table) for name, read in sentiment.reads.items() if read.table is not None}
    volatility = empty_frame(IMPLIED_VOLATILITY).reindex(range(1)).assign(ticker="SPY", session=DAY, iv_rank=50.0)
    inputs |= {"news_sentiment": snapshot(), "implied_volatility": volatility}
    store = ParquetStore(tmp_path)
    found = {
        basis: sentiment.function(Slice(SPY, settings_with(tmp_path, basis), SampleSource(), store), **inputs)
        for basis in ("headlines", "vendor")
    }
    assert np.isnan(found["headlines"]["sentiment_score"].iloc[0])
    assert found["vendor"]["sentiment_score"].iloc[0] == 0.5


def fetch(vendor: LoopbackVendor, home: Path, now: pd.Timestamp) -> Result:
    """One fetch of the asset, stored as its run would store it."""
    settings, store = vendor.settings(home, finnhub_api_key=FINNHUB_KEY), ParquetStore(home)
    result: Result = news_sentiment.function(
        Slice(SPY, settings, build_live_source(settings, clock=lambda: now), store)
    )
    store.write(NEWS_SENTIMENT, SPY, result.frames["news_sentiment"], source="live", source_off=result.source_off)
    return result


def test_snapshots_are_kept_when_the_plan_ends_and_go_on_when_it_begins_again(tmp_path: Path) -> None:
    moments = [session_close(DAY) + pd.Timedelta(days=days) for days in range(4)]
    with LoopbackVendor(sessions=30) as vendor:
        assert "plan" in (fetch(vendor, tmp_path, moments[0]).source_off or "")
        for moment, has_premium in zip(moments[1:], (True, False, True), strict=True):
            vendor.events.has_premium = has_premium
            assert fetch(vendor, tmp_path, moment).source_off is None
    stored = ParquetStore(tmp_path).read(NEWS_SENTIMENT, SPY)
    assert stored["known_at"].tolist() == [moments[1], moments[3]]
    assert stored["articles_last_week"].tolist() == [20, 20]
