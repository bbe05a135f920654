"""Simulated news and mentions: what is written about an underlying after its price has moved.

The tone follows what the price did up to the session before, so nothing here knows the future. Headlines are made of
fixed phrases and say that they are simulated.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.simulation.paths import Path, SimulatedMarket
from trading_dag.simulation.rates import wandering
from trading_dag.simulation.streams import stream
from trading_dag.simulation.timeline import close_moments, moments

PUBLISHER: Final = "Simulated Wire"
_COMPANY_SLOTS: Final = 4
_MARKET_SLOTS: Final = 2
_FIRST_MINUTE: Final = 6 * 60
_LAST_MINUTE: Final = 15 * 60 + 30
_DELAY_MINUTES: Final = 5.0
_MENTIONS_MINUTE: Final = 12 * 60 + 30.0
_WEEK_US: Final = 7 * 86_400 * 1_000_000
_PHRASES: Final = {
    1: ("{name} climbs as buyers return", "{name} extends its gains", "Strong demand lifts {name}",
        "Optimism about {name} grows"),
    0: ("{name} little changed in quiet trading", "What to watch in {name} this week", "{name} holds its range",
        "Traders weigh the outlook for {name}"),
    -1: ("{name} falls as sellers take over", "Losses deepen at {name}", "Worries about {name} mount",
         "{name} slides on weak demand"),
}  # fmt: skip
_MARKET_NAME: Final = "the market"


def news_rows(market: SimulatedMarket, path: Path) -> pd.DataFrame:
    """Return headlines about the underlying and the market, by the close of the last session.

    Returns
    -------
    pd.DataFrame : columns of ``raw.news`` but ``url``. Market news have no score, company news have the publisher's.
        The news of the market are the same under every ticker.
    """
    closes = close_moments(market.times.sessions[-1:])[0]
    shared = _daily_tone(market.factor.diffusion.sum(axis=1) + market.factor.jumps.sum(axis=1))
    own = _daily_tone(np.diff(np.log(path.closes), prepend=path.start[:1]))
    parts = [
        _items(market, path.underlying.ticker, tone=own, slots=_COMPANY_SLOTS, scope="company"),
        _items(market, _MARKET_NAME, tone=shared, slots=_MARKET_SLOTS, scope="market"),
    ]
    rows = pd.concat(parts, ignore_index=True)
    return rows[rows["known_at"] <= closes].assign(ticker=path.underlying.ticker)


def mention_rows(market: SimulatedMarket, path: Path) -> pd.DataFrame:
    """Return mentions of the underlying, one snapshot per session, taken at 12:30 New York.

    Returns
    -------
    pd.DataFrame : columns of ``raw.social_mentions``. There are more after sessions in which the price moved; the
        count of the day before is the snapshot of the session before.
    """
    sessions, ticker = market.times.sessions, path.underlying.ticker
    n, seed = len(sessions), market.settings.seed
    moved = np.abs(_daily_tone(np.diff(np.log(path.closes), prepend=path.start[:1])))
    usual = np.log(path.underlying.daily_volume / 1e5)
    noise = 0.3 * stream(seed, ticker, "mentions").standard_normal(n)
    fashion = 0.5 * wandering(seed, ticker, "mentions", n=n, memory=0.97)
    mentions = np.floor(np.exp(usual + fashion + 0.35 * moved + noise))
    before = np.concatenate([[np.nan], mentions[:-1]])
    return pd.DataFrame({
        "ticker": ticker,
        "known_at": moments(sessions, _MENTIONS_MINUTE),
        "rank": 1 + np.floor(3_000.0 / (1.0 + mentions)).astype(np.int64),
        "mentions": mentions,
        "mentions_24h_ago": before,
        "upvotes": np.floor(mentions * (3.0 + stream(seed, ticker, "upvotes").random(n))),
    })  # fmt: skip


def sentiment_rows(market: SimulatedMarket, path: Path) -> pd.DataFrame:
    """Return a vendor's score of the simulated headlines, one snapshot a session from the second week on, at 12:30
    New York.

    Returns
    -------
    pd.DataFrame : columns of ``raw.news_sentiment``. The company's score is the mean of its headlines' scores of the
        seven days before, from −1…1 to 0…1, and 0 without any, as vendors give it; the sector's follows the market's
        tone of five sessions; buzz is the week's headlines over the weekly average of the year before.
    """
    sessions, ticker = market.times.sessions, path.underlying.ticker
    own = _daily_tone(np.diff(np.log(path.closes), prepend=path.start[:1]))
    written = _drawn(market, ticker, tone=own, slots=_COMPANY_SLOTS, scope="company")
    known = moments(sessions[written.session], written.minutes + _DELAY_MINUTES).asi8
    order = np.argsort(known, kind="stable")
    totals = np.concatenate([[0.0], np.cumsum(np.round(written.feeling, 3)[order])])
    asked = moments(sessions, _MENTIONS_MINUTE)
    begins = int(moments(sessions[:1], 0.0).asi8[0])
    last, week, year = (
        np.searchsorted(known[order], asked.asi8 - weeks * _WEEK_US, side="right") for weeks in (0, 1, 52)
    )
    articles = last - week
    mean = np.divide(totals[last] - totals[week], articles, out=np.full(len(last), -1.0), where=articles > 0)
    weeks = np.minimum((asked.asi8 - begins) / _WEEK_US, 52.0)
    usual = (last - year) / weeks
    shared = _daily_tone(market.factor.diffusion.sum(axis=1) + market.factor.jumps.sum(axis=1))
    tone = pd.Series(shared).rolling(5, min_periods=1).mean().to_numpy()
    rows: pd.DataFrame = pd.DataFrame({
        "ticker": ticker,
        "known_at": asked,
        "company_score": np.clip((1.0 + mean) / 2.0, 0.0, 1.0),
        "sector_score": np.clip(0.5 + tone / 6.0, 0.0, 1.0),
        "buzz": np.divide(articles, usual, out=np.zeros(len(last)), where=usual > 0),
        "articles_last_week": articles.astype(np.int64),
    })  # fmt: skip
    return rows.loc[weeks > 1.0]


def _daily_tone(returns: FloatArray) -> FloatArray:
    """Return the previous session's return in units of 1.5 %, at most ±3, (n,); 0 at the first session."""
    tone: FloatArray = np.clip(np.concatenate([[0.0], returns[:-1]]) / 0.015, -3.0, 3.0)
    return tone


class _Drawn(NamedTuple):
    """Holds items by session and slot: the minute of the day, the tone (−1 to 1), and the phrase."""

    session: IntArray
    slot: IntArray
    minutes: FloatArray
    feeling: FloatArray
    phrase: FloatArray


def _drawn(market: SimulatedMarket, name: str, *, tone: FloatArray, slots: int, scope: str) -> _Drawn:
    """Return up to ``slots`` items per session; the stronger the tone, the more items."""
    sessions, seed = market.times.sessions, market.settings.seed
    draws = stream(seed, name, "news", scope).random((len(sessions), slots, 4))
    session, slot = np.nonzero(draws[:, :, 0] < np.clip(0.25 + 0.2 * np.abs(tone), 0.0, 0.9)[:, np.newaxis])
    _, minute, mood, phrase = draws[session, slot].T
    feeling = np.clip(tone[session] / 1.5 + 1.6 * (mood - 0.5), -1.0, 1.0)
    minutes = _FIRST_MINUTE + np.floor(minute * (_LAST_MINUTE - _FIRST_MINUTE))
    return _Drawn(session, slot, minutes, feeling, phrase)


def _items(market: SimulatedMarket, name: str, *, tone: FloatArray, slots: int, scope: str) -> pd.DataFrame:
    """Return the items as rows of news, with a headline each."""
    session, slot, minutes, feeling, phrase = _drawn(market, name, tone=tone, slots=slots, scope=scope)
    sign = np.where(np.abs(feeling) < 0.3, 0, np.sign(feeling)).astype(np.int64)
    days = market.times.sessions[session]
    subject = "Simulated market" if scope == "market" else f"Simulated {name}"
    return pd.DataFrame({
        "news_id": _identifiers(name.replace(" ", "-"), days, slot),
        "published_at": moments(days, minutes),
        "known_at": moments(days, minutes + _DELAY_MINUTES),
        "scope": scope,
        "publisher": PUBLISHER,
        "headline": _headlines(subject, sign, phrase),
        "summary": "A made-up item of the market simulator; it reports nothing.",
        "sentiment": np.round(feeling, 3) if scope == "company" else np.nan,
    })  # fmt: skip


def _identifiers(name: str, days: pd.DatetimeIndex, slot: IntArray) -> list[str]:
    return [
        f"simulated-{name}-{day}-{number}" for day, number in zip(days.strftime("%Y%m%d"), slot.tolist(), strict=True)
    ]


def _headlines(subject: str, sign: IntArray, phrase: FloatArray) -> list[str]:
    return [
        _PHRASES[kind][int(part * len(_PHRASES[kind]))].format(name=subject)
        for kind, part in zip(sign.tolist(), phrase.tolist(), strict=True)
    ]
