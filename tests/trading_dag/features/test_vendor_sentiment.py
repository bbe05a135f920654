"""Tone and buzz of a vendor's snapshots: point in time, on the scales of the headlines, and never mixed with them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_dag.errors import SchemaError
from trading_dag.features.sentiment import build_sentiment
from trading_dag.frames import table_frame
from trading_dag.schemas import NEWS, NEWS_SENTIMENT, SENTIMENT, SOCIAL_MENTIONS
from trading_dag.sessions import session_close, sessions_between
from trading_dag.validation.lookahead import probe_lookahead

MICROSECOND = pd.Timedelta(microseconds=1)
DAY = pd.Timestamp("2024-11-26")
NEXT = pd.Timestamp("2024-11-27")
VENDORS = ["sentiment_score", "sentiment_vs_sector", "news_buzz_score"]


def ranks(last: str = "2024-12-31") -> pd.DataFrame:
    return pd.DataFrame({"ticker": "SPY", "session": sessions_between("2024-11-22", last), "iv_rank": 50.0})


def scores(*rows: tuple[object, float, float, float, float]) -> pd.DataFrame:
    """Rows of (known_at, company_score, sector_score, buzz, articles_last_week)."""
    known, company, sector, buzz, articles = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    values = {
        "ticker": "SPY",
        "known_at": pd.DatetimeIndex(pd.to_datetime(list(known), utc=True, format="mixed")),
        "company_score": list(company),
        "sector_score": list(sector),
        "buzz": list(buzz),
        "articles_last_week": list(articles),
    }
    return table_frame(NEWS_SENTIMENT, values, rows=len(rows))


def headlines(known_at: str = "2024-11-26T15:00Z") -> pd.DataFrame:
    moments = pd.DatetimeIndex([pd.Timestamp(known_at)])
    values = {
        "ticker": "SPY", "news_id": ["1"], "published_at": moments, "known_at": moments, "scope": ["company"],
        "headline": ["Stocks rally"], "sentiment": [-0.4],
    }  # fmt: skip
    return table_frame(NEWS, values, rows=1)


def mentions() -> pd.DataFrame:
    known = pd.DatetimeIndex([], tz="UTC")
    return table_frame(SOCIAL_MENTIONS, {"ticker": "SPY", "known_at": known, "mentions": []}, rows=0)


def features(
    vendor_scores: pd.DataFrame | None,
    news: pd.DataFrame | None = None,
    basis: Literal["headlines", "vendor"] = "vendor",
) -> pd.DataFrame:
    built = build_sentiment(
        headlines() if news is None else news,
        mentions(),
        implied_volatility=ranks(),
        vendor_scores=vendor_scores,
        basis=basis,
    )
    return built.set_index("session")


def test_scores_and_buzz_are_put_on_the_scales_of_the_headlines() -> None:
    row = features(scores((session_close(DAY), 0.75, 0.5, 3.0, 20))).loc[DAY]
    assert row["sentiment_score"] == 0.5  # 2 · 0.75 − 1
    assert row["sentiment_vs_sector"] == 0.5  # 0.5 − (2 · 0.5 − 1)
    assert row["news_buzz_score"] == 0.75  # 3 / (1 + 3)
    assert row["sentiment_extreme_bullish"] == 1.0


@pytest.mark.parametrize(("buzz", "expected"), [(0.0, 0.0), (1.0, 0.5)])
def test_no_buzz_is_0_and_the_usual_is_a_half_as_of_headlines(buzz: float, expected: float) -> None:
    assert features(scores((session_close(DAY), 0.5, 0.5, buzz, 1))).loc[DAY, "news_buzz_score"] == expected


def test_a_snapshot_at_the_close_belongs_to_the_session_and_a_microsecond_later_to_the_next() -> None:
    at_close = features(scores((session_close(DAY), 0.75, 0.5, 1.0, 9)))["sentiment_score"]
    assert at_close[DAY] == 0.5
    assert at_close.notna().sum() == 1
    later = features(scores((session_close(DAY) + MICROSECOND, 0.75, 0.5, 1.0, 9)))["sentiment_score"]
    assert np.isnan(later[DAY])
    assert later[NEXT] == 0.5
    assert later.notna().sum() == 1


def test_of_two_snapshots_of_a_session_the_latest_counts() -> None:
    close = session_close(DAY)
    row = features(scores((close - MICROSECOND, 0.25, 0.5, 1.0, 9), (close - pd.Timedelta(hours=1), 0.75, 0.5, 1.0, 9)))
    assert row.loc[DAY, "sentiment_score"] == -0.5


def test_without_articles_a_score_is_none_and_not_the_worst() -> None:
    row = features(scores((session_close(DAY), 0.0, 0.5, 0.0, 0))).loc[DAY]
    assert np.isnan(row["sentiment_score"])
    assert np.isnan(row["sentiment_vs_sector"])
    assert np.isnan(row["sentiment_bearish"])
    assert row["news_buzz_score"] == 0.0


def test_a_session_without_a_snapshot_takes_nothing_from_headlines() -> None:
    by_headlines, by_vendor = features(None, basis="headlines"), features(scores())
    assert by_headlines.loc[DAY, "sentiment_score"] == pytest.approx(-0.4)
    assert by_vendor[VENDORS].isna().all(axis=None)
    # What is not the vendor's is the same in both.
    pd.testing.assert_series_equal(by_vendor["news_article_count"], by_headlines["news_article_count"])
    assert tuple(by_vendor.reset_index().columns[:1]) == ("session",)


def test_the_vendors_columns_do_not_depend_on_any_headline() -> None:
    given = scores((session_close(DAY), 0.75, 0.5, 1.0, 9))
    one, other = features(given), features(given, headlines("2024-11-22T15:00Z").assign(sentiment=1.0))
    pd.testing.assert_frame_equal(one[VENDORS], other[VENDORS])


def test_tone_against_the_sector_is_the_vendors_whatever_the_rest_is_made_of() -> None:
    snapshots = scores(("2024-11-26T15:00Z", 0.7, 0.55, 1.0, 12.0))
    by_headlines, by_vendor = features(snapshots, basis="headlines"), features(snapshots)
    for built in (by_headlines, by_vendor):
        assert built.loc[DAY, "vendor_tone_vs_sector"] == pytest.approx(2 * (0.7 - 0.55))
        assert built.loc[built.index != DAY, "vendor_tone_vs_sector"].isna().all()
    assert by_headlines.loc[DAY, "sentiment_score"] == pytest.approx(-0.4)
    assert np.isnan(by_headlines.loc[DAY, "sentiment_vs_sector"])
    assert by_vendor.loc[DAY, "sentiment_vs_sector"] == by_vendor.loc[DAY, "vendor_tone_vs_sector"]


@pytest.mark.parametrize("nothing", [None, scores()], ids=["no vendor", "no snapshot"])
def test_without_a_vendors_snapshots_tone_against_the_sector_is_a_typed_null(nothing: pd.DataFrame | None) -> None:
    column = features(nothing, basis="headlines")["vendor_tone_vs_sector"]
    assert column.isna().all()
    assert column.dtype == "float64"


def test_a_frame_without_a_column_is_refused() -> None:
    with pytest.raises(SchemaError, match="buzz"):
        features(scores().drop(columns="buzz"))


@given(
    minutes=st.lists(st.integers(0, 45 * 1440), min_size=1, max_size=30, unique=True),
    seed=st.integers(0, 2**16),
)
def test_whatever_the_snapshots_a_session_has_its_latest_and_stays_in_the_bounds(minutes: list[int], seed: int) -> None:
    start = pd.Timestamp("2024-11-18T00:00Z")
    generator = np.random.default_rng(seed)
    rows = [
        (start + pd.Timedelta(minutes=minute), *generator.uniform(0, 1, 2), float(generator.exponential()), 5)
        for minute in minutes
    ]
    built = features(scores(*rows))
    sessions = built.index
    for position, session in enumerate(sessions[1:], start=1):
        begins, ends = session_close(sessions[position - 1]), session_close(session)
        own = [row for row in rows if begins < row[0] <= ends]
        if not own:
            assert built.loc[session, VENDORS].isna().all()
            continue
        _, company, sector, buzz, _ = max(own)
        assert built.loc[session, "sentiment_score"] == pytest.approx(2 * company - 1)
        assert built.loc[session, "sentiment_vs_sector"] == pytest.approx(2 * (company - sector))
        assert built.loc[session, "news_buzz_score"] == pytest.approx(1 - 1 / (1 + buzz))
    for name in VENDORS:
        column = SENTIMENT.column(name)
        assert column.minimum is not None
        assert column.maximum is not None
        assert built[name].dropna().between(column.minimum, column.maximum).all()


def test_later_snapshots_change_no_earlier_row() -> None:
    generator = np.random.default_rng(2)
    rows = [
        (
            session_close(session) + pd.Timedelta(minutes=int(generator.integers(-90, 90))),
            *generator.uniform(0, 1, 3),
            4,
        )
        for session in sessions_between("2024-11-22", "2024-12-30")
    ]
    found = probe_lookahead(
        lambda vendor_scores: features(vendor_scores).reset_index(),
        {"vendor_scores": scores(*rows)}, time_columns={"vendor_scores": "known_at"}, table="features.sentiment",
    )  # fmt: skip
    assert found == []
