"""Finnhub: news of companies and of the market, the earnings calendar, and the sentiment score of paid plans.

A thin client on ``http.py``: the key travels in a header and nowhere else, and the limiter keeps the free tier's
60 requests a minute. What the answers must look like and how they are cut into windows belong here; what is made of
them (scopes, known_at, tables) is in ``live.events.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from resources.http.client import HttpClient
from resources.http.json_answer import FieldKind, Records, Vendor, objection_to, whole_text
from resources.http.message import HttpAnswer, HttpRequest
from resources.left_out import BadRecord, LeftOut
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
    "datetime": "integer seconds",
    "headline": "prose",
    "source": "prose or null",
    "summary": "prose or null",
    "url": "prose or null",
}
_ANNOUNCED: Final[dict[str, FieldKind]] = {"date": "date", "symbol": "text"}
_FIGURES: Final[dict[str, FieldKind]] = {
    "hour": "text or null",
    "epsEstimate": "number or null",
    "epsActual": "number or null",
    "revenueEstimate": "number or null",
    "revenueActual": "number or null",
}
_TIMINGS: Final = {"bmo": "BMO", "amc": "AMC", "dmh": "DMH", "": None, None: None}
ARTICLE_COLUMNS: Final = ["news_id", "published_at", "publisher", "headline", "summary", "url"]
REPORT_COLUMNS: Final = [
    "company", "report_date", "timing", "eps_estimate", "eps_actual", "revenue_estimate", "revenue_actual",
]  # fmt: skip
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NewsSentiment:
    """Holds the vendor's own score of a company's recent news (paid plans).

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
            SOURCE,
            home=settings.home,
            http=settings.http.model_copy(update={"requests_per_second": rate}),
            rate_setting="TRADING_DAG_FINNHUB_REQUESTS_PER_MINUTE",
        )

    @property
    def has_key(self) -> bool:
        """Return whether Finnhub can be asked."""
        return self._key is not None

    def company_news(self, symbol: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return articles about a company or fund from a date (UTC) on; by default a year back, as far as the free tier
        reaches.

        The period is asked for a week at a time; a week whose answer may have been cut is asked for in halves, down
        to single days. An article that comes twice is taken once; one that cannot be read is left out and counted.

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
        start, articles, bad = first - pd.Timedelta(days=1), list[dict[str, Any]](), list[BadRecord]()
        while start <= last:
            end = min(start + pd.Timedelta(days=FIRST_WINDOW_DAYS - 1), last)
            for records in self._company_window(symbol, start, end):
                articles += records.rows
                bad += records.bad
            start = end + pd.Timedelta(days=1)
        return _articles(articles, bad, since=first, what=f"articles about {symbol}")

    def market_news(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return the latest general articles, about a hundred: the vendor has no more, so what is not asked for is
        lost.

        Raises
        ------
        EmptySourceError : where there is none at all.
        SourceOffError, SourceUnavailableError, SourceFormatError : as the answer is.
        """
        request = self._request("news", category="general")
        records = self._records(request, _articles_of)
        if not records.given:
            raise EmptySourceError(
                source=SOURCE,
                request=str(request),
                problem="Finnhub gives no market news",
                remedy="Try again later; nothing that is stored was changed.",
            )
        return _articles(records.rows, records.bad, since=since, what="articles about the market")

    def news_sentiment(self, symbol: str) -> NewsSentiment | None:
        """Return the vendor's score of a company's news, None where the key's plan has none (403).

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
        """Return announcements of a company from a date on (two years back by default) to a hundred days ahead.

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
        records = self._records(request, _reports_of)
        left_out = LeftOut(SOURCE, f"values of announcements of {symbol}")
        left_out.add(records.bad)
        rows = _reports(records.rows, symbol=symbol)
        return left_out.noted_on(rows[rows["report_date"] >= first].reset_index(drop=True))

    def _company_window(self, symbol: str, first: pd.Timestamp, last: pd.Timestamp) -> list[Records]:
        request = self._request(
            "company-news", symbol=symbol, **{"from": f"{first:%Y-%m-%d}", "to": f"{last:%Y-%m-%d}"}
        )
        records = self._records(request, _articles_of)
        if records.given < SUSPICIOUS_ROWS:
            return [records]
        if first == last:
            _logger.warning(
                "finnhub: %d articles about %s on %s, there may be more", records.given, symbol, f"{first:%F}"
            )
            return [records]
        middle = first + pd.Timedelta(days=(last - first).days // 2)
        # What cannot be read comes again with the halves, and is counted there.
        return [
            Records(records.rows),
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

    def _records(self, request: HttpRequest, read: Callable[[HttpRequest, HttpAnswer], Records]) -> Records:
        def check(asked: HttpRequest, answer: HttpAnswer) -> None:
            read(asked, answer)

        return read(request, self._client.get(request, check=check))

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


def _articles_of(request: HttpRequest, answer: HttpAnswer) -> Records:
    return _VENDOR.records(request, _VENDOR.read(request, answer), _ARTICLE)


def _reports_of(request: HttpRequest, answer: HttpAnswer) -> Records:
    body = _VENDOR.read(request, answer)
    if not isinstance(body, dict) or "earningsCalendar" not in body:
        raise _VENDOR.format_error(request, "field earningsCalendar is missing")

    # An announcement that is missing counts as taken back, so one whose day cannot be read costs the whole answer.
    rows = _VENDOR.all_records(request, body["earningsCalendar"], _ANNOUNCED)
    for name in _FIGURES:
        if rows and not any(name in row for row in rows):
            raise _VENDOR.format_error(request, f"field {name} is missing")
    mended = [_mended(row) for row in rows]
    bad = [record for _, of_row in mended for record in of_row]
    if bad and 2 * sum(bool(of_row) for _, of_row in mended) >= len(rows):
        raise _VENDOR.format_error(request, f"{bad[0].place}: {bad[0].reason}")
    return Records([row for row, _ in mended], tuple(bad))


def _mended(row: dict[str, Any]) -> tuple[dict[str, Any], list[BadRecord]]:
    """Return an announcement without what it says in no known way, and what that is."""
    place = f"{row['symbol']} on {row['date']}"
    reasons = {name: objection_to(row, {name: kind}, where="announcement") for name, kind in _FIGURES.items()}
    if reasons["hour"] is None and row.get("hour") not in _TIMINGS:
        reasons["hour"] = f"field hour: {row['hour'][:20]!r} is not known"
    whole = {**row, **{name: None if reasons[name] else row.get(name) for name in _FIGURES}}
    return whole, [BadRecord(place, reason) for reason in reasons.values() if reason]


def _articles(
    rows: Sequence[dict[str, Any]], bad: Sequence[BadRecord], *, since: pd.Timestamp | None, what: str
) -> pd.DataFrame:
    """Return articles with a headline, each once, ascending."""
    usable = {row["id"]: row for row in rows if row["headline"].strip()}
    left_out = LeftOut(SOURCE, what)
    left_out.add(bad)
    silent = {row["id"] for row in rows} - usable.keys()
    left_out.add(BadRecord(f"article {number}", "there is no headline") for number in sorted(silent))
    articles = list(usable.values())
    moments = pd.to_datetime(pd.Series([row["datetime"] for row in articles], dtype="int64"), unit="s", utc=True)
    frame = pd.DataFrame(
        {
            "news_id": pd.Series([str(row["id"]) for row in articles], dtype="str"),
            "published_at": moments.dt.as_unit(TIME_UNIT),
            **{
                column: pd.Series([_said(row[name]) for row in articles], dtype="str")
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
    return left_out.noted_on(frame.sort_values(["published_at", "news_id"], ignore_index=True))


def _said(text: str | None) -> str | None:
    """Return a text of an article, None where there is none."""
    return whole_text(text).strip() or None if text else None


def _reports(rows: Sequence[dict[str, Any]], *, symbol: str) -> pd.DataFrame:
    """One row a day of the company that was asked for; of two, the later in the answer."""
    own = {row["date"]: row for row in rows if row["symbol"] == symbol}
    reports = [own[day] for day in sorted(own)]
    columns = {
        "company": pd.Series([symbol] * len(reports), dtype="str"),
        "report_date": pd.Series(pd.DatetimeIndex([row["date"] for row in reports]).as_unit(TIME_UNIT)),
        "timing": pd.Series([_TIMINGS[row["hour"]] for row in reports], dtype="str"),
    }
    for column, name in zip(REPORT_COLUMNS[3:], list(_FIGURES)[1:], strict=True):
        columns[column] = pd.Series([row[name] for row in reports], dtype="float64")
    return pd.DataFrame(columns, columns=REPORT_COLUMNS)
