"""How Polygon is asked, the same for present chains and for those of earlier days: its access, and its pages.

What is asked, and what a page must look like, is in ``polygon.py`` and ``polygon_history.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from resources.http.json_answer import Records, Vendor
from resources.http.message import HttpAnswer, HttpRequest
from resources.left_out import BadRecord
from resources.vendors.chain_client import Access, KeyedChainClient
from resources.vendors.chain_snapshot import ChainQuestion
from trading_dag.settings import Settings

SOURCE: Final = "polygon"
KEY_VARIABLE: Final = "POLYGON_API_KEY"
VENDOR: Final = Vendor(SOURCE, "Polygon", KEY_VARIABLE)
# SPX lists some thirty thousand contracts.
MAXIMUM_PAGES: Final = 400
MAXIMUM_LINK_FIELDS: Final = 20
# Some of the vendor's links carry the key.
_KEY_PARAMETER: Final = "apiKey"


@dataclass(frozen=True)
class Page:
    """Holds one page: its records, and the link to the next page, None on the last."""

    records: Records
    following: str | None


PageReader = Callable[[HttpRequest, HttpAnswer], Page]


class PolygonPages(KeyedChainClient):
    """Asks Polygon, page by page where an answer has several."""

    _vendor = VENDOR

    @staticmethod
    def _access(settings: Settings) -> Access:
        return Access(
            settings.polygon_url,
            settings.polygon_api_key,
            settings.polygon_requests_per_minute,
            "TRADING_DAG_POLYGON_REQUESTS_PER_MINUTE",
        )

    def _pages(
        self, question: ChainQuestion, path: str, params: Mapping[str, str], *, read: PageReader
    ) -> tuple[list[dict[str, Any]], list[BadRecord]]:
        """Return every row of every page, and what cannot be read.

        Raises
        ------
        SourceFormatError : for pages that come round to one that was read, or do not end.
        """

        def check(asked: HttpRequest, answer: HttpAnswer) -> None:
            read(asked, answer)

        request = self._request(question, path, params)
        rows, bad = list[dict[str, Any]](), list[BadRecord]()
        seen: set[str] = set()
        while True:
            if str(request) in seen:
                raise VENDOR.format_error(request, "the pages go in a circle: next_url is a page that was read")
            if len(seen) >= MAXIMUM_PAGES:
                raise VENDOR.format_error(request, f"more than {MAXIMUM_PAGES} pages are no chain")
            seen.add(str(request))
            page = read(request, self._client.get(request, check=check))
            rows += page.records.rows
            bad += page.records.bad
            if not page.following:
                return rows, bad
            request = self._next(question, request, page.following, path=path)

    def _next(self, question: ChainQuestion, request: HttpRequest, following: str, *, path: str) -> HttpRequest:
        """Return the request for the next page, at our address whatever host the link names: the key goes nowhere
        else.
        """
        try:
            parts = urlsplit(following)
            params = dict(parse_qsl(parts.query, max_num_fields=MAXIMUM_LINK_FIELDS))
        except ValueError as error:
            raise VENDOR.format_error(request, f"next_url {following[:60]!r} is no address") from error
        if parts.path != path:
            raise VENDOR.format_error(request, f"next_url leads to {parts.path[:60]!r}")
        params.pop(_KEY_PARAMETER, None)
        return self._request(question, path, params)


def link_of(request: HttpRequest, page: Mapping[str, Any]) -> str | None:
    """Return the link to the next page, None on the last.

    Raises
    ------
    SourceFormatError : for what is no text.
    """
    link = {"next_url": page.get("next_url")}
    VENDOR.require_fields(request, link, {"next_url": "text or null"}, where="the page")
    return link["next_url"]
