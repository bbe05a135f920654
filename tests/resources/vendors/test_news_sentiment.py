"""Snapshots of a vendor's score of news: from Finnhub, from a user's file, and kept for ever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from resources.merging.event_history import keep_recent, merge_events
from resources.sources.files.source import FilesSource
from resources.sources.live.source import LiveSource, build_live_source
from resources.sources.sample import SampleSource
from tests.resources.loopback import server as loopback
from tests.resources.loopback.event_shapes import FINNHUB_KEY, NOW
from tests.resources.loopback.server import LoopbackVendor
from trading_dag.errors import SourceFormatError, SourceOffError, SourceUnavailableError
from trading_dag.quality.conformance import conform
from trading_dag.schemas import NEWS_SENTIMENT

SENTIMENT = "/news-sentiment"
VALUES = ["company_score", "sector_score", "buzz", "articles_last_week"]


@pytest.fixture
def vendor(vendor: LoopbackVendor) -> Iterator[LoopbackVendor]:
    vendor.events.has_premium = True
    yield vendor
    vendor.events.has_premium = False


def live(
    vendor: LoopbackVendor, home: Path, *, key: str | None = FINNHUB_KEY, now: pd.Timestamp = NOW, **http: float
) -> LiveSource:
    given = loopback.FAST_HTTP.model_copy(update=http)
    return build_live_source(vendor.settings(home, finnhub_api_key=key, http=given), clock=lambda: now)


def snapshots() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ticker": ["SPY", "SPY", "BRK-B"],
            "known_at": ["2024-11-25T15:00:00-05:00", "2024-11-26T20:00:00+00:00", "2024-11-26T20:00:00+00:00"],
            "company_score": [0.75, 0.5, 0.9],
            "sector_score": [0.5, 0.5, 0.4],
            "buzz": [1.0, 3.0, 0.5],
            "articles_last_week": [20, 60, 5],
            "note": "ignored",
        }
    )


def write(rows: pd.DataFrame, folder: Path, suffix: str) -> Path:
    path = folder / f"news_sentiment.{suffix}"
    rows.to_csv(path, index=False) if suffix == "csv" else rows.to_parquet(path, index=False)
    return path


def test_a_snapshot_is_one_row_of_the_moment_at_which_the_vendor_was_asked(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    row = conform(live(vendor, tmp_path).news_sentiment("SPY"), NEWS_SENTIMENT, slice_key="SPY")
    assert row["known_at"].tolist() == [NOW]
    assert row[VALUES].to_numpy().tolist() == [[0.9166, 0.5191, 0.8888, 20]]
    assert row["ticker"].tolist() == ["SPY"]


def test_a_fund_is_asked_about_as_itself_and_not_by_its_holdings(vendor: LoopbackVendor, tmp_path: Path) -> None:
    row = live(vendor, tmp_path).news_sentiment("QQQ")
    assert row["company_score"].tolist() == [0.25]
    assert [request.query["symbol"] for request in vendor.asked(SENTIMENT)] == ["QQQ"]


def test_a_plan_without_scores_switches_them_off_with_that_reason_said_once(
    vendor: LoopbackVendor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.events.has_premium = False
    source = live(vendor, tmp_path)
    for ticker in ("SPY", "QQQ"):
        rows = source.news_sentiment(ticker)
        assert rows.empty
        assert "plan" in rows.attrs["source_off"]
        assert "403" in rows.attrs["source_off"]
    assert caplog.text.count("paid plans") == 1
    assert FINNHUB_KEY not in caplog.text


def test_without_a_key_and_for_an_index_nothing_is_asked(vendor: LoopbackVendor, tmp_path: Path) -> None:
    assert "FINNHUB_API_KEY" in live(vendor, tmp_path, key=None).news_sentiment("SPY").attrs["source_off"]
    assert "SPX is an index" in live(vendor, tmp_path).news_sentiment("SPX").attrs["source_off"]
    assert vendor.requests == []


def test_a_symbol_that_the_vendor_does_not_score_is_off_and_no_error(vendor: LoopbackVendor, tmp_path: Path) -> None:
    rows = live(vendor, tmp_path).news_sentiment("IWM")
    assert rows.empty
    assert "does not score" in rows.attrs["source_off"]


@pytest.mark.parametrize(
    "fault", [loopback.too_many_requests("0"), loopback.server_error(502), loopback.hang_up(), loopback.slow(60.0)]
)
def test_a_passing_failure_is_asked_again(vendor: LoopbackVendor, tmp_path: Path, fault: loopback.Fault) -> None:
    vendor.inject(SENTIMENT, fault)
    patience = {"timeout_seconds": 3.0} if fault.delay_seconds else {}
    assert len(live(vendor, tmp_path, **patience).news_sentiment("SPY")) == 1
    assert len(vendor.asked(SENTIMENT)) == 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (loopback.server_error(503), SourceUnavailableError),
        (loopback.truncated(), SourceFormatError),
        (loopback.error_page(), SourceFormatError),
        (loopback.renamed("sectorAverageNewsScore", "score"), SourceFormatError),
        (loopback.renamed("articlesInLastWeek", "articles"), SourceFormatError),
        (loopback.renamed("0.9166", '"high"'), SourceFormatError),
        (loopback.Fault(status=401), SourceOffError),
    ],
)
def test_a_lasting_failure_is_a_typed_error_and_no_row(
    vendor: LoopbackVendor, tmp_path: Path, fault: loopback.Fault, error: type[Exception]
) -> None:
    vendor.inject(SENTIMENT, fault, times=None)
    with pytest.raises(error) as caught:
        live(vendor, tmp_path).news_sentiment("SPY")
    assert FINNHUB_KEY not in str(caught.value)


def test_doctor_is_told_what_the_score_needs(vendor: LoopbackVendor, tmp_path: Path) -> None:
    with_key, without = (
        {status.kind: status for status in live(vendor, tmp_path, key=key).describe()}["news_sentiment"]
        for key in (FINNHUB_KEY, None)
    )
    assert (with_key.state, without.state) == ("on", "off")
    assert "FINNHUB_API_KEY" in without.remedy
    assert SampleSource().news_sentiment("SPX").attrs["source_off"]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_file_gives_the_tickers_own_snapshots_in_utc(tmp_path: Path, suffix: str) -> None:
    write(snapshots(), tmp_path, suffix)
    rows = conform(FilesSource(tmp_path).news_sentiment("SPY"), NEWS_SENTIMENT, slice_key="SPY")
    assert rows["known_at"].tolist() == [
        pd.Timestamp("2024-11-25T20:00Z"), pd.Timestamp("2024-11-26T20:00Z"),
    ]  # fmt: skip
    assert rows[VALUES].to_numpy().tolist() == [[0.75, 0.5, 1.0, 20], [0.5, 0.5, 3.0, 60]]
    berkshire = conform(FilesSource(tmp_path).news_sentiment("BRK.B"), NEWS_SENTIMENT, slice_key="BRK.B")
    assert berkshire["company_score"].tolist() == [0.9]
    assert "no scores of QQQ" in FilesSource(tmp_path).news_sentiment("QQQ").attrs["source_off"]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda rows: rows.drop(columns="buzz"), "column buzz: is missing"),
        (lambda rows: rows.assign(company_score="good"), "column company_score: expected a number"),
        (lambda rows: rows.assign(known_at="2999-01-01T00:00Z"), "in the future"),
        (lambda rows: rows.assign(known_at="2024-11-25T20:00Z"), "two snapshots of SPY have the same moment"),
        (lambda rows: rows.assign(articles_last_week=1.5), "expected whole numbers"),
    ],
    ids=["missing", "text", "future", "twice", "half an article"],
)
def test_a_file_in_another_shape_is_refused_with_its_column(tmp_path: Path, change, named: str, suffix: str) -> None:
    write(change(snapshots()), tmp_path, suffix)
    with pytest.raises(SourceFormatError, match=named):
        FilesSource(tmp_path).news_sentiment("SPY")


def test_snapshots_add_up_stay_as_first_seen_and_are_dropped_by_age_only_where_asked(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    later = NOW + pd.Timedelta(days=1)
    first, second = (live(vendor, tmp_path, now=moment).news_sentiment("SPY") for moment in (NOW, later))
    merged = merge_events(first, second, table=NEWS_SENTIMENT, asked_at=later, asked_before=NOW)
    assert merged.frame["known_at"].tolist() == [NOW, later]
    again = merge_events(merged.frame, second, table=NEWS_SENTIMENT, asked_at=later, asked_before=later)
    pd.testing.assert_frame_equal(again.frame, merged.frame)
    altered = second.assign(company_score=0.1)
    kept = merge_events(merged.frame, altered, table=NEWS_SENTIMENT, asked_at=later, asked_before=later)
    assert kept.frame["company_score"].tolist() == [0.9166, 0.9166]
    assert len(kept.restated) == 1
    conform(kept.frame, NEWS_SENTIMENT, slice_key="SPY")
    now = NOW + pd.Timedelta(days=31)
    assert keep_recent(merged.frame, NEWS_SENTIMENT, days=None, now=now).equals(merged.frame)
    assert keep_recent(merged.frame, NEWS_SENTIMENT, days=30, now=now)["known_at"].tolist() == [later]
