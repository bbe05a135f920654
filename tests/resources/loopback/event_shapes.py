"""Finnhub's, ApeWisdom's and FRED's JSON answers about events, invented, in the vendors' shapes and with their limits.

Finnhub wants its key in a header, gives at most 250 articles, the newest, and no sentiment to free plans. ApeWisdom
gives a hundred tickers a page, counts as text here and there, and names with HTML entities.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

FINNHUB: Final = "/api/v1/"
APEWISDOM: Final = "/api/v1.0/filter/all-stocks/page/"
RELEASE_DATES: Final = "/fred/release/dates"
FINNHUB_KEY: Final = "finnhub-key-0123456789"
NOW: Final = pd.Timestamp("2026-11-20 15:00", tz="UTC")
MAXIMUM_ARTICLES: Final = 250
MARKET_ARTICLES: Final = 100
PAGE: Final = 100
LISTED: Final = 230
NOT_SCORED: Final = ("IWM",)
BUSY_DAYS: Final = pd.date_range("2026-10-12", "2026-10-16")
RELEASES: Final = {10: ["2026-09-11", "2026-10-14", "2026-11-13", "2026-12-10"], 91: ["2026-10-23", "2026-11-20"]}


def _invented_articles() -> list[dict[str, Any]]:
    """Two a day for 420 days, 150 a day in one week, ascending; every fifth id is general news too."""
    generator = np.random.default_rng(11)
    articles = []
    for day in pd.date_range(NOW.tz_localize(None).normalize() - pd.Timedelta(days=420), NOW.tz_localize(None)):
        for second in np.sort(generator.choice(50_000, 150 if day in BUSY_DAYS else 2, replace=False)):
            moment = int(day.timestamp()) + int(second) + 1
            number = len(articles) + 1
            articles.append(
                {
                    "category": "company", "datetime": moment, "headline": f"Fund moves, part {number}",
                    "id": 7_000_000 + number, "image": "", "related": "SPY", "source": "Yahoo",
                    "summary": "", "url": f"https://news.test/{number}",
                }
            )  # fmt: skip
    return articles


ARTICLES: Final = _invented_articles()
ANNOUNCEMENTS: Final = [
    {"date": day, "symbol": symbol, "hour": hour, "epsEstimate": estimate, "epsActual": actual, "quarter": 3,
     "revenueEstimate": 1.0e11, "revenueActual": None if actual is None else 1.1e11, "year": 2026}
    for symbol, day, hour, estimate, actual in (
        ("AAPL", "2026-07-30", "amc", 1.43, 1.57), ("AAPL", "2026-10-29", "amc", 1.77, 1.85),
        ("AAPL", "2027-01-28", "", 2.6, None), ("JPM", "2026-10-13", "bmo", 4.8, 5.07),
        ("JPM", "2027-01-14", "bmo", 5.0, None), ("TSLA", "2026-10-21", "dmh", 0.5, 0.4),
    )
]  # fmt: skip


class EventVendor:
    """What the three vendors answer. ``has_premium`` lets Finnhub give its sentiment."""

    def __init__(self) -> None:
        self.has_premium = False
        self.articles = list(ARTICLES)
        self.announcements = list(ANNOUNCEMENTS)
        self.listed = [_listed(position) for position in range(1, LISTED + 1)]
        self.releases = {release: list(days) for release, days in RELEASES.items()}

    def answer(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str], *, is_empty: bool
    ) -> tuple[int, bytes] | None:
        """Status and body, None for a path that is not theirs."""
        if path.startswith(FINNHUB):
            if {name.lower(): value for name, value in headers.items()}.get("x-finnhub-token") != FINNHUB_KEY:
                return 401, b'{"error":"Invalid API key"}'
            status, body = self._finnhub(path.removeprefix(FINNHUB), query, is_empty=is_empty)
            return status, json.dumps(body).encode()
        if path.startswith(APEWISDOM):
            number = int(path.removeprefix(APEWISDOM))
            rows = [] if is_empty else self.listed[(number - 1) * PAGE : number * PAGE]
            pages = -(-len(self.listed) // PAGE)
            page = {"count": len(self.listed), "pages": pages, "current_page": number, "results": rows}
            return 200, json.dumps(page).encode()
        if path == RELEASE_DATES:
            if len(query.get("api_key", "")) != 32:
                return 400, b'{"error_code":400,"error_message":"Bad Request. The value for variable api_key is bad."}'
            release = int(query["release_id"])
            days = [] if is_empty else [day for day in self.releases[release] if day >= query["realtime_start"]]
            rows = [{"release_id": release, "date": day} for day in days]
            head = {"count": len(rows), "offset": 0, "limit": 10000, "release_dates": rows}
            return 200, json.dumps(head).encode()
        return None

    def _finnhub(self, endpoint: str, query: Mapping[str, str], *, is_empty: bool) -> tuple[int, Any]:
        if endpoint == "company-news":
            first = int(pd.Timestamp(query["from"]).timestamp())
            last = int(pd.Timestamp(query["to"]).timestamp()) + 86_400
            found = [one for one in self.articles if first <= one["datetime"] < last and query["symbol"] == "SPY"]
            return 200, [] if is_empty else found[::-1][:MAXIMUM_ARTICLES]
        if endpoint == "news":
            general = [{**one, "category": "top news", "related": ""} for one in self.articles[::5]]
            return 200, [] if is_empty else general[::-1][:MARKET_ARTICLES]
        if endpoint == "news-sentiment":
            if not self.has_premium:
                return 403, {"error": "You don't have access to this resource."}
            if is_empty or query["symbol"] in NOT_SCORED:
                return 200, {}
            buzz = {"articlesInLastWeek": 20, "buzz": 0.8888, "weeklyAverage": 22.5}
            score = 0.9166 if query["symbol"] == "SPY" else 0.25
            return 200, {
                "buzz": buzz, "companyNewsScore": score, "sectorAverageNewsScore": 0.5191,
                "sectorAverageBullishPercent": 0.6482, "sentiment": {"bearishPercent": 0, "bullishPercent": 1},
                "symbol": query["symbol"],
            }  # fmt: skip
        if endpoint == "calendar/earnings":
            found = [
                one
                for one in self.announcements
                if one["symbol"] == query["symbol"] and query["from"] <= one["date"] <= query["to"]
            ]
            return 200, {"earningsCalendar": [] if is_empty else found}
        return 404, {"error": "not found"}


def _listed(rank: int) -> dict[str, Any]:
    ticker = {3: "SPY", 105: "BRK-B"}.get(rank, f"T{rank}")
    name = "SPDR S&amp;P 500 ETF Trust" if ticker == "SPY" else f"Company {rank}"
    mentions: int | str = 1000 - rank
    return {
        "rank": rank, "ticker": ticker, "name": name, "mentions": str(mentions) if rank % 2 else mentions,
        "upvotes": 5 * rank, "rank_24h_ago": rank, "mentions_24h_ago": None if rank > 200 else 900 - rank,
    }  # fmt: skip
