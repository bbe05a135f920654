"""features.sentiment: tone and amount of news, and mentions on Reddit, as known at each session's close.

The only place that says which headlines and snapshots belong to a session. How a single headline is scored is in
``features.headline_tone``; fetching and keeping news is elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.features.event_distances import positions_of
from trading_dag.features.formulas import documents_features
from trading_dag.features.headline_tone import score_headlines
from trading_dag.features.technical.bars import flag
from trading_dag.frames import require_columns, require_sessions, table_frame, ticker_of
from trading_dag.schemas import NEWS_SENTIMENT, SENTIMENT, SENTIMENT_FEATURES
from trading_dag.sessions import all_sessions, session_bounds

BULLISH: Final = 0.15
EXTREME: Final = 0.35
HIGH_ATTENTION_MENTIONS: Final = 50
HIGH_IV_RANK: Final = 60.0
LOW_IV_RANK: Final = 30.0
BUZZ_SESSIONS: Final = 20
BUZZ_LEAST_SESSIONS: Final = 5
# A feed without a single headline for so long has ended: what is missing then is not "no news".
SILENT_SESSIONS: Final = 10
_DAY_US: Final = 86_400_000_000
_NEWS: Final = ("known_at", "scope", "headline", "sentiment")
_MENTIONS: Final = ("known_at", "mentions", "mentions_24h_ago")
_SCORES: Final = ("known_at", "company_score", "sector_score", "buzz", "articles_last_week")

Moments = IntArray


@dataclass(frozen=True)
class SessionTimes:
    """When sessions close, in microseconds since 1970, UTC; each (n,) int64.

    Attributes
    ----------
    close : the session's close.
    previous_close : the close of the session before.
    silent_close : the close of the session 10 sessions before.
    """

    close: Moments
    previous_close: Moments
    silent_close: Moments


@documents_features(SENTIMENT_FEATURES)
def build_sentiment(
    news: pd.DataFrame,
    social_mentions: pd.DataFrame,
    *,
    implied_volatility: pd.DataFrame,
    vendor_scores: pd.DataFrame | None = None,
    basis: Literal["headlines", "vendor"] = "headlines",
) -> pd.DataFrame:
    """Sentiment features of one ticker.

    Parameters
    ----------
    news : ``raw.news`` of the ticker, any order; zero rows where the source is off.
    social_mentions : ``raw.social_mentions`` of the ticker, any order; zero rows where the source is off.
    implied_volatility : ``features.implied_volatility`` of the ticker; its sessions are the rows, its ``iv_rank``
        enters the interactions.
    vendor_scores : ``raw.news_sentiment`` of the ticker, any order; None or zero rows where no vendor gives scores.
        ``vendor_tone_vs_sector`` comes from it, and from nothing else, on either basis.
    basis : where score, difference to the sector and buzz come from: ``vendor`` takes them from the snapshots and from
        nothing else, be there none, ``headlines`` from the headlines. A column of one table is never of both.

    Returns
    -------
    pd.DataFrame : ``features.sentiment``, one row per row of ``implied_volatility``.

    When it is known
    ----------------
    A headline or snapshot counts by its ``known_at``, never by when it says it was published. A session's headlines
    are those known after the previous session's close and not after its own: a weekend's news belong to Monday, and
    each headline to one session. Only buzz counts the 24 hours before the close, so that sessions compare. A snapshot,
    of mentions or of a vendor's scores, counts at the first close that is not before it, and at no other.

    NaN policy
    ----------
    No headline gives no score: NaN, and so are the flags. A count of 0 is given only where the feed runs, which is
    where it had a headline before the session's window began and one within the last 10 sessions; otherwise NaN. A
    session without any headline of the market was one on which nobody asked: no count of the market's.
    Counts and buzz are of the ticker's own headlines from the first of them on, and of the market's before. The
    score falls back to the market's headlines on sessions without an own one. A session without a snapshot has NaN. A
    vendor's score of no articles is no score: NaN, and so is the difference.

    Raises
    ------
    SchemaError : for missing columns, more than one ticker, sessions that do not ascend, or days that are no session.
    """
    table = "features.implied_volatility"
    sessions = require_sessions(implied_volatility, ("ticker", "iv_rank"), table=table)
    require_columns(news, "raw.news", columns=_NEWS)
    require_columns(social_mentions, "raw.social_mentions", columns=_MENTIONS)
    times = _session_times(sessions)
    iv_rank = implied_volatility["iv_rank"].to_numpy(dtype=float, na_value=np.nan)
    columns = {**_of_news(news, times), **_of_mentions(social_mentions, times)}
    of_vendor = _of_vendor(vendor_scores, times)
    if basis == "vendor":
        columns.update(of_vendor)
    score = columns["sentiment_score"]
    bullish, bearish = score > BULLISH, score < -BULLISH
    values = {
        "ticker": ticker_of(implied_volatility),
        "session": sessions,
        **columns,
        "sentiment_bullish": flag(bullish, score),
        "sentiment_bearish": flag(bearish, score),
        "sentiment_neutral": flag(~bullish & ~bearish, score),
        "sentiment_extreme_bullish": flag(score > EXTREME, score),
        "sentiment_extreme_bearish": flag(score < -EXTREME, score),
        "sentiment_bullish_high_iv": flag(bullish & (iv_rank > HIGH_IV_RANK), score, iv_rank),
        "sentiment_bearish_low_iv": flag(bearish & (iv_rank < LOW_IV_RANK), score, iv_rank),
        "vendor_tone_vs_sector": of_vendor["sentiment_vs_sector"],
        "sentiment_iv_divergence": (score + (iv_rank - 50.0) / 50.0).clip(-2.0, 2.0),
    }
    return table_frame(SENTIMENT, values, rows=len(sessions))


def _session_times(sessions: pd.DatetimeIndex) -> SessionTimes:
    positions = positions_of(sessions, table="features.implied_volatility")
    closes = _microseconds(session_bounds(all_sessions())[1])
    return SessionTimes(
        close=closes[positions],
        previous_close=closes[np.maximum(positions - 1, 0)],
        silent_close=closes[np.maximum(positions - SILENT_SESSIONS, 0)],
    )


def _microseconds(moments: pd.DatetimeIndex | pd.Series) -> Moments:
    index = pd.DatetimeIndex(moments)
    utc = index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")
    return np.asarray(utc.as_unit("us").asi8)


def _of_news(news: pd.DataFrame, times: SessionTimes) -> dict[str, FloatArray]:
    """Score, difference to the market, buzz and count."""
    known = _microseconds(news["known_at"])
    order = np.argsort(known, kind="stable")
    known, tone = known[order], _tone(news)[order]
    is_company = (news["scope"] == "company").to_numpy()[order]
    runs = _last_before(known, times.close) > times.silent_close
    company_count, company_tone, company_buzz = _tally(known[is_company], tone[is_company], times, runs)
    # The market has news every day. Vendors show the last hundred only, so a day without was a day without asking.
    was_asked = _last_before(known[~is_company], times.close) > times.previous_close
    market_count, market_tone, market_buzz = _tally(known[~is_company], tone[~is_company], times, runs & was_asked)
    own = times.previous_close >= (known[is_company][0] if is_company.any() else np.iinfo(np.int64).max)
    return {
        "sentiment_score": np.where(np.isnan(company_tone), market_tone, company_tone),
        "sentiment_vs_sector": company_tone - market_tone,
        "news_buzz_score": np.where(own, company_buzz, market_buzz),
        "news_article_count": np.where(own, company_count, market_count),
    }


def _tone(news: pd.DataFrame) -> FloatArray:
    """Return the vendor's score of each headline, the word list's where the vendor gives none."""
    tone = news["sentiment"].to_numpy(dtype=float, na_value=np.nan).clip(-1.0, 1.0)
    missing = np.isnan(tone)
    tone[missing] = score_headlines(news["headline"][missing])
    return tone


def _tally(
    known: Moments, tone: FloatArray, times: SessionTimes, runs: BoolArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Count, mean tone and buzz of one scope's headlines, which are ordered by when they were known."""
    first, last = (np.searchsorted(known, moment, side="right") for moment in (times.previous_close, times.close))
    day_before = np.searchsorted(known, times.close - _DAY_US, side="right")
    count, of_the_day = (last - first).astype(float), (last - day_before).astype(float)
    totals = np.concatenate(([0.0], np.cumsum(tone)))
    mean = np.divide(totals[last] - totals[first], count, out=np.full(len(count), np.nan), where=count > 0)
    begun = known[0] if len(known) else np.iinfo(np.int64).max
    of_the_day[~(runs & (np.minimum(times.previous_close, times.close - _DAY_US) >= begun))] = np.nan
    usual = pd.Series(of_the_day).shift().rolling(BUZZ_SESSIONS, min_periods=BUZZ_LEAST_SESSIONS).mean().to_numpy()
    both = of_the_day + usual
    buzz = np.divide(of_the_day, both, out=np.full(len(both), np.nan), where=both > 0)
    # Sums of tones differ in their last bits, and a mean must not leave the range of its terms by them.
    return np.where(runs & (times.previous_close >= begun), count, np.nan), mean.clip(-1.0, 1.0), buzz


def _of_mentions(social_mentions: pd.DataFrame, times: SessionTimes) -> dict[str, FloatArray]:
    """Mentions of the session's latest snapshot, their change, and whether they are many."""
    mentions, before = _latest(social_mentions, ("mentions", "mentions_24h_ago"), times)
    momentum = np.divide(mentions, before, out=np.full(len(mentions), np.nan), where=before > 0) - 1
    return {
        "reddit_mentions": mentions,
        "reddit_momentum": momentum,
        "high_social_attention": flag(mentions > HIGH_ATTENTION_MENTIONS, mentions),
    }


def _of_vendor(vendor_scores: pd.DataFrame | None, times: SessionTimes) -> dict[str, FloatArray]:
    """Score, difference to the sector and buzz of the session's latest snapshot, on the scales of the headlines."""
    nothing = table_frame(NEWS_SENTIMENT, {"known_at": pd.DatetimeIndex([], tz="UTC")}, rows=0)
    snapshots = nothing if vendor_scores is None else vendor_scores
    require_columns(snapshots, NEWS_SENTIMENT.qualified_name, columns=_SCORES)
    company, sector, buzz, articles = _latest(snapshots, _SCORES[1:], times)
    score = np.where(articles > 0, 2.0 * company - 1.0, np.nan)
    return {
        "sentiment_score": score,
        "sentiment_vs_sector": score - (2.0 * sector - 1.0),
        # The vendor's buzz is n / m of a week, so this is n / (n + m), as of the headlines.
        "news_buzz_score": buzz / (1.0 + buzz),
    }


def _latest(snapshots: pd.DataFrame, names: tuple[str, ...], times: SessionTimes) -> list[FloatArray]:
    """Columns of the latest snapshot that each session has of its own, NaN where it has none."""
    known = _microseconds(snapshots["known_at"])
    order = np.argsort(known, kind="stable")
    of_session = _last_before(known[order], times.close) > times.previous_close
    latest = np.searchsorted(known[order], times.close, side="right") - 1
    columns = []
    for name in names:
        stored = snapshots[name].to_numpy(dtype=float, na_value=np.nan)[order]
        column = np.full(len(latest), np.nan)
        column[of_session] = stored[latest[of_session]]
        columns.append(column)
    return columns


def _last_before(known: Moments, moments: Moments) -> Moments:
    """Return the latest entry of ``known``, which ascends, that is not after each moment; the smallest integer for
    none.
    """
    padded = np.concatenate(([np.iinfo(np.int64).min], known))
    return padded[np.searchsorted(known, moments, side="right")]
