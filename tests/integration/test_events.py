"""News, mentions, announcements, the calendar and hourly bars on their way into the feature table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from resources.sources.sample import SampleSource
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.conftest import Workspace
from trading_dag.schemas import (
    FEATURE_TABLE,
    NEWS,
    PREDICTIONS_REGIME,
    REGIME_HMM,
    SENTIMENT,
    SOCIAL_MENTIONS,
    TARGETS,
)
from trading_dag.sessions import session_close

LAST = pd.Timestamp("2018-12-31")
RUN = ("run", "--tickers", "SPX", "--horizons", "24h")
SPX = SliceKey("SPX")


def write_folder(folder: Path, *, first: str = "2014-01-02") -> None:
    """Five years of the sample's bars as a user's files, with headlines and one snapshot of mentions."""
    folder.mkdir()
    source, since = SampleSource(), pd.Timestamp(first)
    source.prices_daily("SPX", since=since).to_parquet(folder / "prices_daily.parquet")
    source.volatility_index("SPX", since=since).assign(symbol="VIX").to_parquet(folder / "volatility_index.parquet")
    write_news(folder, ["Stocks rally to a record high", "Markets plunge as fears of recession grow"])
    decisions = {"date": ["2018-12-19", "2019-01-30"], "event": "FOMC_decision"}
    pd.DataFrame(decisions).to_csv(folder / "fomc_dates.csv", index=False)
    moment = (session_close(LAST) - pd.Timedelta(hours=1)).isoformat()
    mentions = {"generated_at": [moment], "ticker": ["SPX"], "rank": [3], "mentions": [75], "mentions24hAgo": [50]}
    pd.DataFrame(mentions).to_parquet(folder / "apewisdom.parquet")


def write_news(folder: Path, headlines: list[str]) -> None:
    moments = [session_close(LAST) - pd.Timedelta(hours=2 * hours) for hours in range(1, len(headlines) + 1)]
    rows = {"ts": [moment.isoformat() for moment in moments], "headline": headlines, "publisher": "Wire"}
    pd.DataFrame(rows).to_parquet(folder / "news_headlines.parquet")


@pytest.mark.long
def test_events_reach_the_feature_table_are_never_lost_and_do_not_stop_what_does_not_need_them(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    write_folder(folder)
    home = tmp_path / "home"
    home.mkdir()
    work = Workspace(home, (("TRADING_DAG_SOURCE", "files"), ("TRADING_DAG_FILES", str(folder))))
    store = ParquetStore(home)

    done = work.run(*RUN)
    assert done.returncode == 0, done.stdout + done.stderr
    last = store.read(FEATURE_TABLE, SPX).set_index("session").loc[LAST]
    assert last["reddit_mentions"] == 75
    assert last["reddit_momentum"] == pytest.approx(0.5)
    assert last["high_social_attention"] == 1
    assert -1 <= last["sentiment_score"] <= 1
    assert last["days_to_fomc"] == 20  # 30 January 2019: 2 to 4, 7 to 11, 14 to 18, 22 to 25, 28 to 30 January
    models, states = store.read(REGIME_HMM, SPX), store.read(PREDICTIONS_REGIME, SPX)
    assert last["regime_probability_consolidation"] == states["probability_consolidation"].iloc[-1]

    # Another headline comes and an old one leaves the vendor's list: both are kept, and what was fitted stays.
    write_news(folder, ["Stocks rally to a record high", "A quiet session"])
    done = work.run(*RUN)
    assert done.returncode == 0, done.stdout + done.stderr
    news = store.read(NEWS, SPX)
    assert set(news["headline"]) == {
        "Stocks rally to a record high", "A quiet session", "Markets plunge as fears of recession grow",
    }  # fmt: skip
    pd.testing.assert_frame_equal(store.read(REGIME_HMM, SPX), models)

    # A file in another shape fails its table by name; the rest goes on with what is stored.
    pd.DataFrame({"text": ["no headline"]}).to_parquet(folder / "news_headlines.parquet")
    mentions = pd.read_parquet(folder / "apewisdom.parquet")
    later = mentions.assign(generated_at=session_close(LAST).isoformat(), mentions=90)
    pd.concat([mentions, later]).to_parquet(folder / "apewisdom.parquet")
    done = work.run(*RUN)
    assert done.returncode == 1
    assert "raw.news" in done.stdout
    assert "news_headlines.parquet" in done.stdout
    pd.testing.assert_frame_equal(store.read(NEWS, SPX), news)
    assert store.read(SOCIAL_MENTIONS, SPX)["mentions"].tolist() == [75, 90]
    assert store.read(SENTIMENT, SPX)["reddit_mentions"].iloc[-1] == 90
    assert store.exists(TARGETS, SliceKey("SPX", "24h"))


@pytest.mark.slow
def test_a_vendor_that_fails_before_anything_of_it_is_stored_stops_its_ticker_with_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    write_folder(folder, first="2016-01-04")
    pd.DataFrame({"text": ["no headline"]}).to_parquet(folder / "news_headlines.parquet")
    home = tmp_path / "home"
    home.mkdir()
    work = Workspace(home, (("TRADING_DAG_SOURCE", "files"), ("TRADING_DAG_FILES", str(folder))))
    done = work.run(*RUN)
    assert done.returncode == 1
    assert "raw.news" in done.stdout
    assert "SPX 24h" in done.stdout
    assert not ParquetStore(home).exists(FEATURE_TABLE, SPX)
