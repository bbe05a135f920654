"""ApeWisdom: how often tickers are mentioned on Reddit within 24 hours. No key, and no past: only the present list.

The list comes in pages of a hundred and is made anew about twice an hour. It is read whole, so that a ticker that is
not on it is known not to be on it, and read again where it changed between two pages. Which ticker is wanted, and
what absence means, is in ``live_events.py``.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from resources.http import HttpAnswer, HttpClient, HttpRequest
from resources.json_answer import FieldKind, Vendor
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
_MENTION_TEXTS: Final[dict[str, FieldKind]] = {"ticker": "text", "name": "text"}
COLUMNS: Final = ["ticker", "rank", "mentions", "mentions_24h_ago", "upvotes", "name"]


@dataclass(frozen=True)
class MentionList:
    """The whole list at one moment.

    Attributes
    ----------
    rows : ticker (share classes with a point), rank, mentions, mentions_24h_ago, upvotes, name; ascending by rank.
    known_at : when the last page had been read, UTC.
    """

    rows: pd.DataFrame
    known_at: pd.Timestamp


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
        """All tickers that are mentioned, with their counts. A young list is taken from the cache.

        Raises
        ------
        EmptySourceError : for an empty list.
        SourceUnavailableError : network, refusals, or a list that changes during each of three readings.
        SourceFormatError : for an answer of another shape.
        """
        for reading in range(READINGS):
            # Another edition of a request is not served from the cache of the last reading.
            rows = self._read_list(edition="" if reading == 0 else f"{self._clock().isoformat()} {reading}")
            if rows is not None:
                return MentionList(_frame(rows), self._clock())
        raise SourceUnavailableError(
            source=SOURCE,
            request=f"GET {self._url}1 and the pages after it",
            problem=f"the list changed while it was read, {READINGS} times",
            remedy="Try again in a few minutes; nothing that is stored was changed.",
        )

    def _read_list(self, *, edition: str) -> list[dict[str, Any]] | None:
        """Every row of the list; None where it changed between two pages, so that a ticker may be lost or doubled."""
        rows: list[dict[str, Any]] = []
        head, number = self._page(1, edition=edition), 1
        page = head
        while True:
            if (page["count"], page["pages"]) != (head["count"], head["pages"]):
                return None
            rows += page["results"]
            if number >= head["pages"]:
                break
            number += 1
            page = self._page(number, edition=edition)
        return rows if len({row["ticker"] for row in rows}) == len(rows) else None

    def _page(self, number: int, *, edition: str) -> dict[str, Any]:
        request = HttpRequest(SOURCE, f"{self._url}{number}", edition=edition)

        def check(asked: HttpRequest, answer: HttpAnswer) -> None:
            _page_of(asked, answer)

        return _page_of(request, self._client.get(request, check=check))


def _page_of(request: HttpRequest, answer: HttpAnswer) -> dict[str, Any]:
    page = _VENDOR.read(request, answer)
    if not isinstance(page, dict):
        raise _VENDOR.format_error(request, f"expected an object, found {type(page).__name__}")
    _VENDOR.require_fields(request, page, _PAGE, where="the page")
    rows = _VENDOR.require_rows(request, page["results"], _MENTION_TEXTS)
    if not rows:
        raise EmptySourceError(
            source=SOURCE,
            request=str(request),
            problem="the page lists no ticker",
            remedy="Try again later; nothing that is stored was changed.",
        )
    if page["pages"] > MAXIMUM_PAGES:
        raise _VENDOR.format_error(request, f"{page['pages']} pages are no list of stocks")
    read = [
        {**row, **{name: _number(request, row, name, where=f"row {position}") for name in _NUMBERS}}
        for position, row in enumerate(rows)
    ]
    return {**page, "results": read}


def _number(request: HttpRequest, row: dict[str, Any], name: str, *, where: str) -> float | None:
    """A count; the vendor writes some as text. NULL where it has none for the day before."""
    value = row.get(name)
    if name not in row:
        raise _VENDOR.format_error(request, f"{where}: field {name} is missing")
    if value is None and name not in _REQUIRED_NUMBERS:
        return None
    if isinstance(value, str) and value.isdecimal():
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _VENDOR.format_error(request, f"{where}: field {name}: expected a count, found {str(value)[:30]!r}")
    return float(value)


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "ticker": pd.Series([dotted(row["ticker"]) for row in rows], dtype="str"),
            "rank": pd.Series([int(row["rank"]) for row in rows], dtype="Int64"),
            **{
                name: pd.Series([row[name] for row in rows], dtype="float64")
                for name in ("mentions", "mentions_24h_ago", "upvotes")
            },
            "name": pd.Series([html.unescape(row["name"]) for row in rows], dtype="str"),
        },
        columns=COLUMNS,
    )
    return frame.sort_values("rank", ignore_index=True)


def dotted(symbol: str) -> str:
    """A symbol as this project writes it: share classes with a point, BRK.B."""
    return symbol.replace("-", ".").replace("/", ".")
