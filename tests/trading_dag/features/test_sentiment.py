"""News and mentions count at the close at which they were known, and are never invented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.errors import SchemaError
from trading_dag.features.headline_tone import score_headlines
from trading_dag.features.sentiment import build_sentiment
from trading_dag.frames import table_frame
from trading_dag.schemas import NEWS, SENTIMENT, SENTIMENT_FEATURES, SOCIAL_MENTIONS
from trading_dag.sessions import session_close, sessions_between
from trading_dag.validation.lookahead import probe_lookahead

# Friday, Monday … Wednesday, (Thanksgiving), half day until 13:00, Monday … Closes: 21:00 UTC, on the half day 18:00.
FIRST, LAST = "2024-11-22", "2024-12-31"
MICROSECOND = pd.Timedelta(microseconds=1)


def ranks(first: str = FIRST, last: str = LAST, iv_rank: float = 50.0) -> pd.DataFrame:
    return pd.DataFrame({"ticker": "SPY", "session": sessions_between(first, last), "iv_rank": iv_rank})


def news(*rows: tuple[object, ...]) -> pd.DataFrame:
    """Rows of (known_at, scope, sentiment)."""
    known, scope, sentiment = zip(*rows, strict=True) if rows else ((), (), ())
    moments = pd.DatetimeIndex(pd.to_datetime(list(known), utc=True, format="mixed"))
    values = {
        "ticker": "SPY",
        "news_id": [str(n) for n in range(len(rows))],
        "published_at": moments - pd.Timedelta(days=3),
        "known_at": moments,
        "scope": list(scope),
        "headline": "Stocks rally",
        "sentiment": list(sentiment),
    }
    return table_frame(NEWS, values, rows=len(rows))


def mentions(*rows: tuple[str, float, float]) -> pd.DataFrame:
    """Rows of (known_at, mentions, mentions_24h_ago)."""
    known, now, before = zip(*rows, strict=True) if rows else ((), (), ())
    moments = pd.DatetimeIndex(pd.to_datetime(list(known), utc=True, format="mixed"))
    values = {"ticker": "SPY", "known_at": moments, "rank": 1, "mentions": now, "mentions_24h_ago": before}
    if not rows:
        values = {"ticker": "SPY", "known_at": moments, "mentions": list(now)}
    return table_frame(SOCIAL_MENTIONS, values, rows=len(rows))


def features(
    articles: pd.DataFrame, *, snapshots: pd.DataFrame | None = None, frame: pd.DataFrame | None = None
) -> pd.DataFrame:
    built = build_sentiment(
        articles,
        mentions() if snapshots is None else snapshots,
        implied_volatility=ranks() if frame is None else frame,
    )
    return built.set_index("session")


def test_a_headline_known_at_the_close_belongs_to_that_session_and_one_known_later_to_the_next() -> None:
    close = session_close(pd.Timestamp("2024-11-26"))
    rows = features(news((close, "company", 0.4), (close + MICROSECOND, "company", -0.2)))
    assert rows.loc["2024-11-26", "sentiment_score"] == pytest.approx(0.4)
    assert rows.loc["2024-11-27", "sentiment_score"] == pytest.approx(-0.2)
    assert rows["sentiment_score"].notna().sum() == 2


def test_after_an_early_close_a_headline_waits_for_the_next_session() -> None:
    rows = features(news(("2024-11-29T18:00Z", "company", 0.4), ("2024-11-29T18:30Z", "company", -0.2)))
    assert rows.loc["2024-11-29", "sentiment_score"] == pytest.approx(0.4)
    assert rows.loc["2024-12-02", "sentiment_score"] == pytest.approx(-0.2)


def test_the_news_of_a_weekend_and_a_holiday_belong_to_the_session_after() -> None:
    rows = features(news(("2024-11-23T12:00Z", "company", 0.1), ("2024-11-28T12:00Z", "company", 0.3)))
    assert rows.loc["2024-11-25", "sentiment_score"] == pytest.approx(0.1)
    assert rows.loc["2024-11-29", "sentiment_score"] == pytest.approx(0.3)


def test_the_score_is_the_mean_of_the_tickers_headlines_and_the_markets_only_in_their_absence() -> None:
    rows = features(
        news(
            ("2024-11-25T15:00Z", "company", 0.5),
            ("2024-11-25T16:00Z", "company", 0.1),
            ("2024-11-25T16:00Z", "market", -0.4),
            ("2024-11-26T16:00Z", "market", -0.6),
        )
    )
    assert rows.loc["2024-11-25", "sentiment_score"] == pytest.approx(0.3)
    assert rows.loc["2024-11-25", "sentiment_vs_sector"] == pytest.approx(0.3 - -0.4)
    assert rows.loc["2024-11-26", "sentiment_score"] == pytest.approx(-0.6)
    assert np.isnan(rows.loc["2024-11-26", "sentiment_vs_sector"])


def test_the_mean_of_the_kindest_headlines_does_not_exceed_them_by_rounding() -> None:
    before = [("2024-11-22T15:00Z", "company", 0.3)] * 10
    rows = features(news(*before, *[("2024-11-25T15:00Z", "company", 1.0)] * 2), frame=ranks(iv_rank=100.0))
    assert rows.loc["2024-11-25", "sentiment_score"] == 1.0
    assert rows.loc["2024-11-25", "sentiment_iv_divergence"] == 2.0


def test_a_headline_without_a_vendors_score_is_scored_by_its_words() -> None:
    rows = features(news(("2024-11-25T15:00Z", "company", np.nan), ("2024-11-25T15:30Z", "company", 0.0)))
    assert rows.loc["2024-11-25", "sentiment_score"] == pytest.approx(score_headlines(["Stocks rally"])[0] / 2)
    assert rows.loc["2024-11-25", "sentiment_score"] > 0.1


def test_a_count_of_zero_is_given_only_where_the_feed_runs() -> None:
    rows = features(news(("2024-11-25T15:00Z", "company", 0.2), ("2024-11-27T15:00Z", "company", 0.2)))
    counts = rows["news_article_count"]
    # The window of the 25th began on Friday, before the feed did: what it missed nobody knows.
    assert counts.loc[:"2024-11-25"].isna().all()
    assert counts.loc["2024-11-26":"2024-12-02"].tolist() == [0.0, 1.0, 0.0, 0.0]
    # The last headline came before the close of 27 November, which is ten sessions back on 12 December.
    assert counts.loc["2024-12-11"] == 0.0
    assert counts.loc["2024-12-12":].isna().all()


def test_market_headlines_are_counted_until_the_ticker_has_its_own() -> None:
    rows = features(
        news(
            ("2024-11-22T15:00Z", "market", 0.0),
            ("2024-11-25T15:00Z", "market", 0.0),
            ("2024-11-25T16:00Z", "market", 0.0),
            ("2024-11-26T15:00Z", "company", 0.0),
            ("2024-11-27T15:00Z", "company", 0.0),
            ("2024-11-27T15:00Z", "market", 0.0),
        )
    )
    np.testing.assert_array_equal(rows.loc["2024-11-25":"2024-11-27", "news_article_count"], [2.0, np.nan, 1.0])


def test_a_session_without_any_headline_of_the_market_was_not_asked_about_and_has_no_count_and_no_buzz() -> None:
    days = sessions_between("2024-11-01", "2024-11-27")
    every_day = [(f"{day:%Y-%m-%d}T{hour}:00Z", "market", 0.0) for day in days for hour in (15, 16)]
    frame = ranks("2024-11-01", "2024-11-27")
    whole = features(news(*every_day), frame=frame).loc["2024-11-18":"2024-11-27"]
    missed = features(news(*[row for row in every_day if not row[0].startswith("2024-11-20")]), frame=frame)
    assert whole["news_article_count"].tolist() == [2.0] * len(whole)
    of_news = ["news_article_count", "news_buzz_score", "sentiment_score"]
    assert missed.loc[["2024-11-20"], of_news].isna().all(axis=None)
    # The day that is missing is no quiet day either: it does not make the days after it look busy.
    assert missed.loc["2024-11-21":"2024-11-27", "news_buzz_score"].tolist() == pytest.approx(
        whole.loc["2024-11-21":"2024-11-27", "news_buzz_score"].tolist()
    )


def test_buzz_is_the_days_headlines_against_their_mean_before() -> None:
    days = sessions_between("2024-12-02", "2024-12-10")
    rows = [("2024-11-27T12:00Z", "company", 0.0)]
    for day in days[:-1]:
        rows += [(f"{day:%Y-%m-%d}T15:00Z", "company", 0.0), (f"{day:%Y-%m-%d}T16:00Z", "company", 0.0)]
    rows += [(f"{days[-1]:%Y-%m-%d}T{hour}:00Z", "company", 0.0) for hour in range(14, 20)]
    buzz = features(news(*rows))["news_buzz_score"]
    # Counts of 24 hours before the closes: 0 on 29 November, 2 on the six sessions of December, 6 on the last.
    assert buzz.loc[:"2024-12-05"].isna().all()
    assert buzz.loc["2024-12-06"] == pytest.approx(2 / (2 + (0 + 2 + 2 + 2 + 2) / 5))
    assert buzz.loc["2024-12-10"] == pytest.approx(6 / (6 + 12 / 7))
    assert buzz.loc["2024-12-11"] == 0.0


def test_a_weekends_headlines_do_not_swell_the_buzz_of_monday() -> None:
    daily = [(f"{day:%Y-%m-%d}T15:00Z", "company", 0.0) for day in pd.date_range("2024-11-20", "2024-12-31")]
    buzz = features(news(*daily))["news_buzz_score"]
    assert buzz.loc["2024-12-16"] == pytest.approx(0.5)
    assert buzz.loc["2024-12-17"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (0.15, "neutral"),
        (-0.15, "neutral"),
        (0.16, "bullish"),
        (-0.16, "bearish"),
        (0.35, "bullish"),
        (0.36, "bullish extreme_bullish"),
        (-0.36, "bearish extreme_bearish"),
    ],
)
def test_the_flags_keep_the_thresholds_of_the_contract(score: float, expected: str) -> None:
    row = features(news(("2024-11-25T15:00Z", "company", score))).loc["2024-11-25"]
    names = ("bullish", "bearish", "neutral", "extreme_bullish", "extreme_bearish")
    assert [name for name in names if row[f"sentiment_{name}"] == 1.0] == sorted(expected.split(), key=names.index)
    assert {row[f"sentiment_{name}"] for name in names} == {0.0, 1.0}


@pytest.mark.parametrize(
    ("score", "iv_rank", "bullish_high", "bearish_low", "divergence"),
    [
        (0.4, 80.0, 1.0, 0.0, 1.0),
        (0.4, 60.0, 0.0, 0.0, 0.6),
        (-0.4, 20.0, 0.0, 1.0, -1.0),
        (-0.4, 30.0, 0.0, 0.0, -0.8),
        (0.1, 90.0, 0.0, 0.0, 0.9),
    ],
)
def test_the_interactions_with_the_options_market(
    score: float, iv_rank: float, bullish_high: float, bearish_low: float, divergence: float
) -> None:
    row = features(news(("2024-11-25T15:00Z", "company", score)), frame=ranks(iv_rank=iv_rank)).loc["2024-11-25"]
    assert row["sentiment_bullish_high_iv"] == bullish_high
    assert row["sentiment_bearish_low_iv"] == bearish_low
    assert row["sentiment_iv_divergence"] == pytest.approx(divergence)


def test_an_unknown_iv_rank_leaves_only_the_interactions_open() -> None:
    row = features(news(("2024-11-25T15:00Z", "company", 0.4)), frame=ranks(iv_rank=np.nan)).loc["2024-11-25"]
    missing = {name for name in SENTIMENT_FEATURES if name.startswith("sentiment_") and np.isnan(row[name])}
    assert missing == {
        "sentiment_vs_sector", "sentiment_bullish_high_iv", "sentiment_bearish_low_iv", "sentiment_iv_divergence",
    }  # fmt: skip


def test_the_latest_snapshot_of_the_session_counts_and_an_older_one_does_not() -> None:
    rows = features(
        news(),
        snapshots=mentions(
            ("2024-11-25T12:00Z", 40.0, 80.0),
            ("2024-11-25T20:59Z", 60.0, 48.0),
            ("2024-11-25T23:30Z", 50.0, 0.0),
        ),
    )
    assert rows.loc["2024-11-25", ["reddit_mentions", "reddit_momentum", "high_social_attention"]].tolist() == [
        60.0, pytest.approx(0.25), 1.0,
    ]  # fmt: skip
    assert rows.loc["2024-11-26", ["reddit_mentions", "high_social_attention"]].tolist() == [50.0, 0.0]
    assert np.isnan(rows.loc["2024-11-26", "reddit_momentum"])
    assert rows.loc["2024-11-27":, "reddit_mentions"].isna().all()


def test_sources_that_are_off_give_the_columns_of_the_table_and_nothing_in_them() -> None:
    built = build_sentiment(news(), mentions(), implied_volatility=ranks())
    assert tuple(built.columns) == SENTIMENT.column_names
    assert built[list(SENTIMENT_FEATURES)].isna().all(axis=None)
    assert (built[list(SENTIMENT_FEATURES)].dtypes == "float64").all()
    assert len(build_sentiment(news(), mentions(), implied_volatility=ranks().iloc[:0])) == 0


def test_a_row_on_a_day_without_a_session_is_refused() -> None:
    with pytest.raises(SchemaError, match="2024-11-28"):
        features(news(), frame=pd.DataFrame({"ticker": "SPY", "session": [pd.Timestamp("2024-11-28")], "iv_rank": 1.0}))
    with pytest.raises(SchemaError, match="known_at"):
        features(news().drop(columns="known_at"))


@settings(max_examples=25)
@given(
    minutes=st.lists(st.integers(0, 45 * 1440), min_size=1, max_size=40),
    seed=st.integers(0, 99),
)
def test_whatever_the_order_of_rows_each_headline_counts_once_and_the_mean_is_that_of_a_filter(
    minutes: list[int], seed: int
) -> None:
    start = pd.Timestamp("2024-11-18T00:00Z")
    generator = np.random.default_rng(seed)
    tones = generator.uniform(-1, 1, len(minutes))
    moments = [start + pd.Timedelta(minutes=minute) for minute in minutes]
    articles = news(*((moment, "company", tone) for moment, tone in zip(moments, tones, strict=True)))
    frame = ranks("2024-11-18", "2025-01-10")
    rows = features(articles, frame=frame)
    shuffled = features(articles.sample(frac=1, random_state=seed), frame=frame)
    pd.testing.assert_frame_equal(rows, shuffled, rtol=1e-9)
    before = session_close(pd.Timestamp("2024-11-15"))
    for session, row in rows.iterrows():
        close = session_close(pd.Timestamp(session))
        inside = [tone for moment, tone in zip(articles["known_at"], tones, strict=True) if before < moment <= close]
        assert row["sentiment_score"] == pytest.approx(np.mean(inside) if inside else np.nan, abs=1e-12, nan_ok=True)
        assert np.isnan(row["news_article_count"]) or row["news_article_count"] == len(inside)
        before = close


@pytest.fixture(scope="module")
def real_news(real_data: Path) -> pd.DataFrame:
    found = pd.read_parquet(real_data / "news_headlines.parquet")
    moments = pd.DatetimeIndex(pd.to_datetime(found["ts"], utc=True))
    values = {
        "ticker": "SPY",
        "news_id": [str(n) for n in range(len(found))],
        "published_at": moments,
        "known_at": moments,
        # No ticker is said: headlines that name one of three companies stand for own ones, to have both scopes.
        "scope": np.where(found["headline"].str.contains("Apple|Nvidia|Tesla"), "company", "market"),
        "headline": found["headline"].astype("str"),
    }
    return table_frame(NEWS, values, rows=len(found))


@pytest.fixture(scope="module")
def real_mentions(real_data: Path) -> pd.DataFrame:
    found = pd.read_parquet(real_data / "apewisdom.parquet")
    found = found[found["ticker"] == "SPY"]
    values = {
        "ticker": "SPY",
        "known_at": pd.DatetimeIndex(pd.to_datetime(found["generated_at"], utc=True)),
        "rank": found["rank"].to_numpy(),
        "mentions": found["mentions"].to_numpy(dtype=float),
        "mentions_24h_ago": found["mentions24hAgo"].to_numpy(dtype=float),
    }
    return table_frame(SOCIAL_MENTIONS, values, rows=len(found))


@pytest.mark.files_data
def test_real_headlines_and_mentions_know_nothing_of_later_ones(
    real_news: pd.DataFrame, real_mentions: pd.DataFrame
) -> None:
    scored = real_news.assign(sentiment=score_headlines(real_news["headline"]))
    for articles, first, last in ((real_news, "2025-04-21", "2025-06-20"), (scored, "2025-04-21", "2026-07-08")):
        inputs = {
            "news": articles,
            "social_mentions": real_mentions,
            "implied_volatility": ranks(first, last, iv_rank=70.0),
        }
        times = {"news": "known_at", "social_mentions": "known_at", "implied_volatility": "session"}
        assert probe_lookahead(build_sentiment, inputs, time_columns=times, table="features.sentiment", cuts=6) == []


@pytest.mark.files_data
def test_headlines_dated_by_their_calendar_day_are_caught(real_news: pd.DataFrame, real_mentions: pd.DataFrame) -> None:
    def leaky(news: pd.DataFrame, social_mentions: pd.DataFrame, implied_volatility: pd.DataFrame) -> pd.DataFrame:
        early = news.assign(known_at=news["known_at"].dt.floor("D"))
        return build_sentiment(early, social_mentions, implied_volatility=implied_volatility)

    inputs = {
        "news": real_news,
        "social_mentions": real_mentions,
        "implied_volatility": ranks("2025-04-21", "2025-06-20", iv_rank=70.0),
    }
    times = {"news": "known_at", "social_mentions": "known_at", "implied_volatility": "session"}
    found = probe_lookahead(leaky, inputs, time_columns=times, table="features.sentiment", cuts=6)
    assert "sentiment_score" in {violation.feature for violation in found}


@pytest.mark.files_data
def test_the_snapshots_of_spy_show_at_the_next_close(real_mentions: pd.DataFrame) -> None:
    # As published: 324 → 357 mentions in the snapshot of 2026-07-01 02:05 UTC, the evening of 30 June in New York.
    rows = features(news(), snapshots=real_mentions, frame=ranks("2026-06-29", "2026-07-06"))
    assert rows.loc["2026-07-01", "reddit_mentions"] == 357.0
    assert rows.loc["2026-07-01", "reddit_momentum"] == pytest.approx(357 / 324 - 1)
    assert rows.loc["2026-07-02":, "reddit_mentions"].isna().all()
