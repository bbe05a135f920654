"""Finnhub: news of companies and of the market, the earnings calendar, and the sentiment score of paid plans.

A thin client on ``http.py``: the key travels in a header and nowhere else, and the limiter keeps the free tier's
60 requests a minute. What the answers must look like and how they are cut into windows belong here; what is made of
them (scopes, known_at, tables) is in ``live_events.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from resources.http import HttpAnswer, HttpClient, HttpRequest
from resources.json_answer import FieldKind, Vendor
from trading_dag.errors import EmptySourceError, SourceOffError
from trading_dag.sessions import NEW_YORK, TIME_UNIT
from trading_dag.settings import Settings

SOURCE: Final = "finnhub"
KEY_VARIABLE: Final = "FINNHUB_API_KEY"
# The vendor gives at most some 250 articles an answer, the newest; from this many on an answer may be cut.
SUSPICIOUS_ROWS: Final = 200
FIRST_WINDOW_DAYS: Final = 7
# What free accounts reach back.
NEWS_HISTORY_DAYS: Final = 365
EARNINGS_HISTORY_DAYS: Final = 730
EARNINGS_AHEAD_DAYS: Final = 100
_FORBIDDEN: Final = 403
_VENDOR: Final = Vendor(SOURCE, "Finnhub", KEY_VARIABLE)
_ARTICLE: Final[dict[str, FieldKind]] = {
    "id": "integer",
    "datetime": "integer",
    "headline": "text",
    "source": "text",
    "summary": "text",
    "url": "text",
}
_REPORT: Final[dict[str, FieldKind]] = {
    "date": "date",
    "symbol": "text",
    "hour": "text",
    "epsEstimate": "number or null",
    "epsActual": "number or null",
    "revenueEstimate": "number or null",
    "revenueActual": "number or null",
}
_TIMINGS: Final = {"bmo": "BMO", "amc": "AMC", "dmh": "DMH", "": None}
ARTICLE_COLUMNS: Final = ["news_id", "published_at", "publisher", "headline", "summary", "url"]
REPORT_COLUMNS: Final = [
    "company", "report_date", "timing", "eps_estimate", "eps_actual", "revenue_estimate", "revenue_actual",
]  # fmt: skip
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NewsSentiment:
    """The vendor's own score of a company's recent news (paid plans).

    Attributes
    ----------
    company_score, sector_score : 0 to 1.
    buzz : this week's articles over the weekly average.
    articles_last_week : count.
    known_at : when the vendor was asked, UTC.
    """

    company_score: float
    sector_score: float
    buzz: float
    articles_last_week: int
    known_at: pd.Timestamp


class FinnhubClient:
    """Asks Finnhub.

    Parameters
    ----------
    settings : ``finnhub_api_key``, ``finnhub_url``, ``finnhub_requests_per_minute``, ``home`` and ``http``.
    clock : the present moment, UTC.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], pd.Timestamp]) -> None:
        self._url = f"{settings.finnhub_url.rstrip('/')}/api/v1"
        self._key = settings.finnhub_api_key
        self._clock = clock
        rate = settings.finnhub_requests_per_minute / 60.0
        self._client = HttpClient(
            SOURCE, home=settings.home, http=settings.http.model_copy(update={"requests_per_second": rate})
        )

    @property
    def has_key(self) -> bool:
        """Whether anything can be asked."""
        return self._key is not None

    def company_news(self, symbol: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Articles about a company or fund from a date (UTC) on; by default a year back, the free tier's reach.

        The period is asked for a week at a time; a week whose answer may have been cut is asked for in halves, down
        to single days. An article that comes twice is taken once.

        Returns
        -------
        pd.DataFrame : news_id, published_at (UTC), publisher, headline, summary, url; none is no error.

        Raises
        ------
        SourceOffError, SourceUnavailableError, SourceFormatError : as the answers are.
        """
        # The vendor's days may end by another clock than ours, so a day is asked for on either side.
        first = self._today() - pd.Timedelta(days=NEWS_HISTORY_DAYS) if since is None else since.normalize()
        last = self._today() + pd.Timedelta(days=1)
        start, articles = first - pd.Timedelta(days=1), list[dict[str, Any]]()
        while start <= last:
            end = min(start + pd.Timedelta(days=FIRST_WINDOW_DAYS - 1), last)
            articles += self._company_window(symbol, start, end)
            start = end + pd.Timedelta(days=1)
        return _articles(articles, since=first)

    def market_news(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """The latest general articles, about a hundred: the vendor has no more, so what is not asked for is lost.

        Raises
        ------
        EmptySourceError : where there is none at all.
        SourceOffError, SourceUnavailableError, SourceFormatError : as the answer is.
        """
        request = self._request("news", category="general")
        rows = self._rows(request, _ARTICLE)
        if not rows:
            raise EmptySourceError(
                source=SOURCE,
                request=str(request),
                problem="Finnhub gives no market news",
                remedy="Try again later; nothing that is stored was changed.",
            )
        return _articles(rows, since=since)

    def news_sentiment(self, symbol: str) -> NewsSentiment | None:
        """The vendor's score of a company's news, None where the key's plan has none (403).

        Raises
        ------
        EmptySourceError : for a symbol that the vendor does not score, which it answers with nothing.
        SourceOffError : for a refused key.
        SourceUnavailableError, SourceFormatError : as the answer is.
        """
        request = self._request("news-sentiment", symbol=symbol)

        def check(asked: HttpRequest, answer: HttpAnswer) -> None:
            if answer.status != _FORBIDDEN:
                self._sentiment(asked, answer)

        answer = self._client.get(request, check=check)
        if answer.status == _FORBIDDEN:
            return None
        return self._sentiment(request, answer)

    def earnings(self, symbol: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Announcements of a company from a date on (two years back by default) to a hundred days ahead.

        Returns
        -------
        pd.DataFrame : company, report_date, timing (BMO, AMC, DMH or NULL), eps_estimate, eps_actual,
            revenue_estimate, revenue_actual; none is no error.

        Raises
        ------
        SourceOffError, SourceUnavailableError, SourceFormatError : as the answer is.
        """
        first = self._today() - pd.Timedelta(days=EARNINGS_HISTORY_DAYS) if since is None else since.normalize()
        last = self._today() + pd.Timedelta(days=EARNINGS_AHEAD_DAYS)
        request = self._request(
            "calendar/earnings", symbol=symbol, **{"from": f"{first:%Y-%m-%d}", "to": f"{last:%Y-%m-%d}"}
        )
        rows = _reports(self._rows(request, _REPORT, inside="earningsCalendar"), symbol=symbol)
        return rows[rows["report_date"] >= first].reset_index(drop=True)

    def _company_window(self, symbol: str, first: pd.Timestamp, last: pd.Timestamp) -> list[dict[str, Any]]:
        request = self._request(
            "company-news", symbol=symbol, **{"from": f"{first:%Y-%m-%d}", "to": f"{last:%Y-%m-%d}"}
        )
        rows = self._rows(request, _ARTICLE)
        if len(rows) < SUSPICIOUS_ROWS:
            return rows
        if first == last:
            _logger.warning("finnhub: %d articles about %s on %s, there may be more", len(rows), symbol, f"{first:%F}")
            return rows
        middle = first + pd.Timedelta(days=(last - first).days // 2)
        return [
            *rows,
            *self._company_window(symbol, first, middle),
            *self._company_window(symbol, middle + pd.Timedelta(days=1), last),
        ]

    def _request(self, path: str, **params: str) -> HttpRequest:
        if self._key is None:
            raise SourceOffError(
                source=SOURCE, request=path, problem="there is no key", remedy=f"Set {KEY_VARIABLE} (free)."
            )
        secret = {"X-Finnhub-Token": self._key.get_secret_value()}
        return HttpRequest(SOURCE, f"{self._url}/{path}", params, secret_headers=secret)

    def _rows(self, request: HttpRequest, fields: dict[str, FieldKind], *, inside: str = "") -> list[dict[str, Any]]:
        def check(asked: HttpRequest, answer: HttpAnswer) -> None:
            _rows_of(asked, answer, fields, inside=inside)

        return _rows_of(request, self._client.get(request, check=check), fields, inside=inside)

    def _sentiment(self, request: HttpRequest, answer: HttpAnswer) -> NewsSentiment:
        body = _VENDOR.read(request, answer)
        if body == {}:
            raise EmptySourceError(
                source=SOURCE,
                request=str(request),
                problem="Finnhub does not score the news of this symbol",
                remedy="Nothing to do; the ticker's other features are not touched by it.",
            )
        if not isinstance(body, dict) or not isinstance(body.get("buzz"), dict):
            raise _VENDOR.format_error(request, "field buzz is missing")
        _VENDOR.require_fields(
            request, body, {"companyNewsScore": "number", "sectorAverageNewsScore": "number"}, where="the answer"
        )
        _VENDOR.require_fields(request, body["buzz"], {"buzz": "number", "articlesInLastWeek": "integer"}, where="buzz")
        return NewsSentiment(
            company_score=float(body["companyNewsScore"]),
            sector_score=float(body["sectorAverageNewsScore"]),
            buzz=float(body["buzz"]["buzz"]),
            articles_last_week=int(body["buzz"]["articlesInLastWeek"]),
            known_at=self._clock(),
        )

    def _today(self) -> pd.Timestamp:
        return self._clock().tz_convert(NEW_YORK).tz_localize(None).normalize()


def _rows_of(
    request: HttpRequest, answer: HttpAnswer, fields: dict[str, FieldKind], *, inside: str
) -> list[dict[str, Any]]:
    body = _VENDOR.read(request, answer)
    if inside:
        if not isinstance(body, dict) or inside not in body:
            raise _VENDOR.format_error(request, f"field {inside} is missing")
        body = body[inside]
    rows = _VENDOR.require_rows(request, body, fields)
    for position, row in enumerate(rows):
        if "hour" in fields and row["hour"] not in _TIMINGS:
            raise _VENDOR.format_error(request, f"row {position}: field hour: {row['hour'][:20]!r} is not known")
    return rows


def _articles(rows: list[dict[str, Any]], *, since: pd.Timestamp | None) -> pd.DataFrame:
    """Articles with a headline and a moment, each once, ascending."""
    usable = {row["id"]: row for row in rows if row["headline"].strip() and row["datetime"] > 0}
    if len(usable) < len({row["id"] for row in rows}):
        _logger.warning("finnhub: articles without headline or moment were left out")
    found = list(usable.values())
    moments = pd.to_datetime(pd.Series([row["datetime"] for row in found], dtype="int64"), unit="s", utc=True)
    frame = pd.DataFrame(
        {
            "news_id": pd.Series([str(row["id"]) for row in found], dtype="str"),
            "published_at": moments.dt.as_unit(TIME_UNIT),
            **{
                column: pd.Series([row[name].strip() or None for row in found], dtype="str")
                for column, name in (
                    ("publisher", "source"),
                    ("headline", "headline"),
                    ("summary", "summary"),
                    ("url", "url"),
                )
            },
        },
        columns=ARTICLE_COLUMNS,
    )
    if since is not None:
        frame = frame[frame["published_at"] >= since.tz_localize("UTC")]
    return frame.sort_values(["published_at", "news_id"], ignore_index=True)


def _reports(rows: list[dict[str, Any]], *, symbol: str) -> pd.DataFrame:
    """One row a day of the company that was asked for; of two, the later in the answer."""
    own = {row["date"]: row for row in rows if row["symbol"] == symbol}
    found = [own[day] for day in sorted(own)]
    columns = {
        "company": pd.Series([symbol] * len(found), dtype="str"),
        "report_date": pd.Series(pd.DatetimeIndex([row["date"] for row in found]).as_unit(TIME_UNIT)),
        "timing": pd.Series([_TIMINGS[row["hour"]] for row in found], dtype="str"),
    }
    for column, name in zip(REPORT_COLUMNS[3:], list(_REPORT)[3:], strict=True):
        columns[column] = pd.Series([row[name] for row in found], dtype="float64")
    return pd.DataFrame(columns, columns=REPORT_COLUMNS)
