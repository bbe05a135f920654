"""ApeWisdom: how often tickers are mentioned on Reddit within 24 hours. No key, and no past: only the present list.

The list comes in pages of a hundred and is made anew about twice an hour. It is read whole, so that a ticker that is
not on it is known not to be on it, and read again where it changed between two pages. Which ticker is wanted, and
what absence means, is in ``live.events.py``.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from resources.http.client import HttpClient
from resources.http.json_answer import FieldKind, Vendor, shown, whole_text
from resources.http.message import HttpAnswer, HttpRequest
from resources.left_out import BadRecord, LeftOut
from trading_dag.errors import EmptySourceError, SourceUnavailableError
from trading_dag.settings import Settings

SOURCE: Final = "apewisdom"
LIST: Final = "/api/v1.0/filter/all-stocks/page/"
# More than this is no list of stocks.
MAXIMUM_PAGES: Final = 100
READINGS: Final = 3
_VENDOR: Final = Vendor(SOURCE, "ApeWisdom")
_PAGE: Final[dict[str, FieldKind]] = {"count": "integer", "pages": "integer", "results": "list"}
_NUMBERS: Final = ("rank", "mentions", "upvotes", "mentions_24h_ago")
_REQUIRED_NUMBERS: Final = ("rank", "mentions")
_MENTION_TEXTS: Final[dict[str, FieldKind]] = {"ticker": "text", "name": "prose or null"}
_MOST_DIGITS: Final = 15
COLUMNS: Final = ["ticker", "rank", "mentions", "mentions_24h_ago", "upvotes", "name"]


@dataclass(frozen=True)
class MentionList:
    """Holds the whole list at one moment.

    Attributes
    ----------
    rows : ticker (share classes with a point), rank, mentions, mentions_24h_ago, upvotes, name; ascending by rank.
    known_at : when the last page had been read, UTC.
    unreadable : tickers that are on the list, with counts that cannot be read.
    nameless : how many places of the list have no readable ticker, so that it may be any.
    """

    rows: pd.DataFrame
    known_at: pd.Timestamp
    unreadable: frozenset[str] = frozenset()
    nameless: int = 0

    def may_list(self, ticker: str) -> bool:
        """Return whether a ticker without a row here may have been mentioned all the same."""
        return ticker in self.unreadable or self.nameless > 0


@dataclass(frozen=True)
class _Page:
    """One page: how long the whole list is, its rows, and what cannot be read."""

    count: int
    pages: int
    rows: list[dict[str, Any]]
    bad: tuple[BadRecord, ...]
    tickers: list[str]


class ApeWisdomClient:
    """Asks ApeWisdom.

    Parameters
    ----------
    settings : ``apewisdom_url``, ``home`` and ``http``.
    clock : the present moment, UTC.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], pd.Timestamp]) -> None:
        self._url = f"{settings.apewisdom_url.rstrip('/')}{LIST}"
        self._clock = clock
        self._client = HttpClient(SOURCE, home=settings.home, http=settings.http)

    def mentions(self) -> MentionList:
        """Return all tickers that are mentioned, with their counts. A young list is taken from the cache.

        Raises
        ------
        EmptySourceError : for an empty list.
        SourceUnavailableError : network, refusals, or a list that changes during each of three readings.
        SourceFormatError : for an answer of another shape.
        """
        for reading in range(READINGS):
            # Another edition of a request is not served from the cache of the last reading.
            pages = self._read_list(edition="" if reading == 0 else f"{self._clock().isoformat()} {reading}")
            if pages is not None:
                return _mention_list(pages, self._clock())
        raise SourceUnavailableError(
            source=SOURCE,
            request=f"GET {self._url}1 and the pages after it",
            problem=f"the list changed while it was read, {READINGS} times",
            remedy="Try again in a few minutes; nothing that is stored was changed.",
        )

    def _read_list(self, *, edition: str) -> list[_Page] | None:
        """Return the whole list; None where it changed between two pages, so that a ticker may be lost or doubled."""
        pages = [self._page(1, edition=edition)]
        while len(pages) < pages[0].pages:
            pages.append(self._page(len(pages) + 1, edition=edition))
            if (pages[-1].count, pages[-1].pages) != (pages[0].count, pages[0].pages):
                return None
        tickers = [ticker for page in pages for ticker in page.tickers]
        return pages if len(set(tickers)) == len(tickers) else None

    def _page(self, number: int, *, edition: str) -> _Page:
        request = HttpRequest(SOURCE, f"{self._url}{number}", edition=edition)

        def check(asked: HttpRequest, answer: HttpAnswer) -> None:
            _page_of(asked, answer)

        return _page_of(request, self._client.get(request, check=check))


def _page_of(request: HttpRequest, answer: HttpAnswer) -> _Page:
    page = _VENDOR.read_object(request, answer)
    _VENDOR.require_fields(request, page, _PAGE, where="the page")
    if not page["results"]:
        raise EmptySourceError(
            source=SOURCE,
            request=str(request),
            problem="the page lists no ticker",
            remedy="Try again later; nothing that is stored was changed.",
        )
    if page["pages"] > MAXIMUM_PAGES:
        raise _VENDOR.format_error(request, f"{page['pages']} pages are no list of stocks")
    records = _VENDOR.records(request, page["results"], _MENTION_TEXTS, objection=_objection_to)
    tickers = [row["ticker"] for row in page["results"] if isinstance(row, dict) and isinstance(row.get("ticker"), str)]
    return _Page(page["count"], page["pages"], records.rows, records.bad, tickers)


def _mention_list(pages: list[_Page], known_at: pd.Timestamp) -> MentionList:
    rows = _frame([row for page in pages for row in page.rows])
    left_out = LeftOut(SOURCE, "tickers of the list")
    for page in pages:
        left_out.add(page.bad)
    listed = {dotted(ticker) for page in pages for ticker in page.tickers}
    places = sum(len(page.rows) + len(page.bad) for page in pages)
    named = sum(len(page.tickers) for page in pages)
    return MentionList(left_out.noted_on(rows), known_at, frozenset(listed - set(rows["ticker"])), places - named)


def _objection_to(row: dict[str, Any]) -> str | None:
    """Return why the counts of a ticker cannot be read; the vendor writes some as text."""
    for name in _NUMBERS:
        if name not in row:
            return f"field {name} is missing"
        if _count(row[name]) is None and not (row[name] is None and name not in _REQUIRED_NUMBERS):
            return shown(f"field {name}: expected a count, found {str(row[name])[:30]!r}")
    return None


def _count(value: object) -> float | None:
    """Return a count, None for what is none."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= _MOST_DIGITS:
        return float(value)
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**_MOST_DIGITS
    return float(value) if is_count else None  # type: ignore[arg-type]


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "ticker": pd.Series([dotted(row["ticker"]) for row in rows], dtype="str"),
            "rank": pd.Series([int(_count(row["rank"]) or 0) for row in rows], dtype="Int64"),
            **{
                # None where the vendor has no count for the day before.
                name: pd.Series([_count(row[name]) for row in rows], dtype="float64")
                for name in ("mentions", "mentions_24h_ago", "upvotes")
            },
            "name": pd.Series([_unescaped(row["name"]) for row in rows], dtype="str"),
        },
        columns=COLUMNS,
    )
    return frame.sort_values("rank", ignore_index=True)


def _unescaped(name: str | None) -> str | None:
    return None if name is None else whole_text(html.unescape(name))


def dotted(symbol: str) -> str:
    """Return a symbol as this project writes it: share classes with a point, BRK.B."""
    return symbol.replace("-", ".").replace("/", ".")
