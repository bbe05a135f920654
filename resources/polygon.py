"""Polygon: a present option chain, page by page, with quotes where the key's plan has them.

A thin client on ``http.py``: the key travels in a header, the limiter keeps the free tier's 5 requests a minute, and
the cache carries a fetch that was broken off. What the answers must look like belongs here; which session they are of
and what is stored is decided in ``chain_snapshot.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

import pandas as pd

from resources.chain_snapshot import (
    ENOUGH_CONTRACTS,
    ChainQuestion,
    ask_for_present_chain,
    chain_client,
    chain_rows,
    contract_frame,
    moments,
    new_york_day,
    require_fresh,
)
from resources.http import HttpAnswer, HttpRequest
from resources.json_answer import FieldKind, Vendor
from trading_dag.errors import SourceOffError
from trading_dag.settings import Settings

SOURCE: Final = "polygon"
KEY_VARIABLE: Final = "POLYGON_API_KEY"
PATH: Final = "/v3/snapshot/options/"
# What the vendor gives at most.
PAGE_ROWS: Final = 250
# SPX lists some thirty thousand contracts.
MAXIMUM_PAGES: Final = 400
SYMBOL_OF: Final = {"SPX": "I:SPX"}
_VENDOR: Final = Vendor(SOURCE, "Polygon", KEY_VARIABLE)
_DETAILS: Final[dict[str, FieldKind]] = {
    "ticker": "text",
    "contract_type": "text",
    "expiration_date": "date",
    "strike_price": "number",
}
# What a contract need not have: the vendor leaves it out, or writes null.
_QUOTE: Final[dict[str, FieldKind]] = {
    "bid": "number or null",
    "ask": "number or null",
    "last_updated": "integer or null",
}
_DAY: Final[dict[str, FieldKind]] = {
    "volume": "number or null",
    "close": "number or null",
    "last_updated": "integer or null",
}
_TRADE: Final[dict[str, FieldKind]] = {"price": "number or null"}
# The price of a share or fund; an index has a value.
_UNDERLYING: Final[dict[str, FieldKind]] = {"price": "number or null", "value": "number or null"}
_OF_ROW: Final[dict[str, FieldKind]] = {"open_interest": "number or null", "implied_volatility": "number or null"}
_OF_EVERY_PLAN: Final = ("day", "underlying_asset")
_ALWAYS: Final = ("last", "volume", "open_interest", "implied_volatility")
_QUOTES: Final = ("bid", "ask")
# Some of the vendor's links carry the key.
_KEY_PARAMETER: Final = "apiKey"
_logger = logging.getLogger(__name__)


class PolygonClient:
    """Asks Polygon for chains.

    Parameters
    ----------
    settings : ``polygon_api_key``, ``polygon_url``, ``polygon_requests_per_minute``, ``chain_days``,
        ``chain_cache_seconds``, ``home`` and ``http``.
    clock : the present moment, UTC.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], pd.Timestamp]) -> None:
        self._settings = settings
        self._url = settings.polygon_url.rstrip("/")
        self._key = settings.polygon_api_key
        self._clock = clock
        self._client = chain_client(SOURCE, settings, requests_per_minute=settings.polygon_requests_per_minute)

    @property
    def has_key(self) -> bool:
        """Whether anything can be asked."""
        return self._key is not None

    def chain(self, ticker: str, *, session: pd.Timestamp, source: str) -> pd.DataFrame:
        """Rows of ``raw.option_chain`` of the last closed session.

        ``last`` is the last trade where the plan has trades, otherwise the close of the contract's last day; the
        volume is 0 where that day is an earlier one. Without quotes in the plan bid and ask are NULL, and the log
        says so.

        Parameters
        ----------
        source : name for the provenance.

        Raises
        ------
        StaleSourceError : for another session, or a snapshot whose quotes are older than the close.
        SourceOffError : without a key, or where the key or its plan is refused.
        EmptySourceError : for an underlying without options.
        SourceUnavailableError, SourceFormatError : as the answer is.
        """
        question = ask_for_present_chain(SOURCE, ticker, session=session, now=self._clock(), settings=self._settings)
        rows = self._pages(question)
        if not rows:
            raise question.nothing("Polygon lists no contract within the period")
        contracts = _contracts(question, rows)
        has_quotes = any(row.get("last_quote") for row in rows)
        if has_quotes:
            require_fresh(question, contracts["quoted_at"].max(), what="the newest quote")
        else:
            _logger.warning("polygon: the key's plan has no quotes; bid and ask of %s are NULL", ticker)
            _require_trades_of_session(question, rows)
        return chain_rows(question, contracts, given=(*_ALWAYS, *(_QUOTES if has_quotes else ())), source=source)

    def _pages(self, question: ChainQuestion) -> list[dict[str, Any]]:
        """Every row of every page.

        Raises
        ------
        SourceFormatError : for pages that come round to one that was read, or do not end.
        """
        path = f"{PATH}{quote(SYMBOL_OF.get(question.ticker, question.ticker), safe=':')}"
        request = self._request(
            question,
            path,
            {
                "expiration_date.gte": f"{question.session:%Y-%m-%d}",
                "expiration_date.lte": f"{question.last_expiration:%Y-%m-%d}",
                "limit": str(PAGE_ROWS),
            },
        )
        rows: list[dict[str, Any]] = []
        read: set[str] = set()
        while True:
            if str(request) in read:
                raise _VENDOR.format_error(request, "the pages go in a circle: next_url is a page that was read")
            if len(read) >= MAXIMUM_PAGES:
                raise _VENDOR.format_error(request, f"more than {MAXIMUM_PAGES} pages are no chain")
            read.add(str(request))
            page = _page_of(request, self._client.get(request, check=_check))
            rows += page["results"]
            following = page.get("next_url")
            if not following:
                return rows
            request = self._next(question, request, following, path=path)

    def _next(self, question: ChainQuestion, request: HttpRequest, following: str, *, path: str) -> HttpRequest:
        """The request for the next page, at our address whatever host the link names: the key goes nowhere else."""
        parts = urlsplit(following)
        if parts.path != path:
            raise _VENDOR.format_error(request, f"next_url leads to {parts.path[:60]!r}")
        return self._request(
            question, path, {name: value for name, value in parse_qsl(parts.query) if name != _KEY_PARAMETER}
        )

    def _request(self, question: ChainQuestion, path: str, params: dict[str, str]) -> HttpRequest:
        if self._key is None:
            raise SourceOffError(
                source=SOURCE, request=str(question), problem="there is no key", remedy=f"Set {KEY_VARIABLE}."
            )
        return HttpRequest(
            SOURCE,
            f"{self._url}{path}",
            params,
            secret_headers={"Authorization": f"Bearer {self._key.get_secret_value()}"},
            # Quotes of another session are never served from the cache.
            edition=f"{question.session:%Y-%m-%d}",
        )


def _check(request: HttpRequest, answer: HttpAnswer) -> None:
    _page_of(request, answer)


def _page_of(request: HttpRequest, answer: HttpAnswer) -> dict[str, Any]:
    page = _VENDOR.read(request, answer)
    if not isinstance(page, dict):
        raise _VENDOR.format_error(request, f"expected an object, found {type(page).__name__}")
    if "results" not in page:
        raise _VENDOR.format_error(request, "field results is missing")
    rows = _VENDOR.require_rows(request, page["results"], {})
    for position, row in enumerate(rows):
        _part(request, row, "details", _DETAILS, where=f"row {position}", is_required=True)
        _require_kinds(request, row, _OF_ROW, where=f"row {position}")
    for name, fields, always in (
        ("underlying_asset", _UNDERLYING, ()),
        ("day", _DAY, tuple(_DAY)),
        ("last_quote", _QUOTE, tuple(_QUOTE)),
        ("last_trade", _TRADE, tuple(_TRADE)),
    ):
        _check_parts(request, rows, name, fields, always=always)
    if not isinstance(page.get("next_url", ""), str):
        raise _VENDOR.format_error(request, "field next_url: expected text")
    return {**page, "results": rows}


def _check_parts(
    request: HttpRequest,
    rows: list[dict[str, Any]],
    name: str,
    fields: dict[str, FieldKind],
    *,
    always: tuple[str, ...],
) -> None:
    """Refuse a part of contracts that holds something else than it should, or that was renamed.

    One contract may lack it or any of its fields. Where many contracts are, and none has a field of ``always``, the
    vendor has renamed it. The part itself may be missing of all where the key's plan does not have it.
    """
    parts = [_part(request, row, name, fields, where=f"row {position}") for position, row in enumerate(rows)]
    if len(rows) >= ENOUGH_CONTRACTS and name in _OF_EVERY_PLAN and not any(name in row for row in rows):
        raise _VENDOR.format_error(request, f"field {name} is missing")
    held = [part for part in parts if part]
    if len(held) >= ENOUGH_CONTRACTS:
        for field in always:
            if not any(field in part for part in held):
                raise _VENDOR.format_error(request, f"{name}: field {field} is missing")


def _part(
    request: HttpRequest,
    row: dict[str, Any],
    name: str,
    fields: dict[str, FieldKind],
    *,
    where: str,
    is_required: bool = False,
) -> dict[str, Any]:
    part = row.get(name)
    if part is None and not is_required:
        return {}
    if not isinstance(part, dict):
        raise _VENDOR.format_error(request, f"{where}: field {name} is missing or no object")
    if is_required:
        _VENDOR.require_fields(request, part, fields, where=f"{where}: {name}")
    else:
        _require_kinds(request, part, fields, where=f"{where}: {name}")
    return part


def _require_kinds(request: HttpRequest, part: dict[str, Any], fields: dict[str, FieldKind], *, where: str) -> None:
    """Refuse a field of another kind; one that is missing is null."""
    given = {name: part.get(name) for name in fields}
    _VENDOR.require_fields(request, given, fields, where=where)


def _contracts(question: ChainQuestion, rows: list[dict[str, Any]]) -> pd.DataFrame:
    quotes, days, trades = ([row.get(name) or {} for row in rows] for name in ("last_quote", "day", "last_trade"))
    traded_at = moments([day.get("last_updated") for day in days], unit="ns")
    is_earlier = [pd.notna(moment) and new_york_day(moment) < question.session for moment in traded_at]
    underlyings = [row.get("underlying_asset") or {} for row in rows]
    price = next((value for one in underlyings if (value := one.get("price") or one.get("value"))), None)
    columns = {
        "contract_id": [row["details"]["ticker"].removeprefix("O:") for row in rows],
        "underlying_price": price,
        "expiration": [row["details"]["expiration_date"] for row in rows],
        "strike": [row["details"]["strike_price"] for row in rows],
        "option_right": [row["details"]["contract_type"] for row in rows],
        "bid": [quote.get("bid") for quote in quotes],
        "ask": [quote.get("ask") for quote in quotes],
        "last": [_first(trade.get("price"), day.get("close")) for trade, day in zip(trades, days, strict=True)],
        "volume": [0.0 if old else day.get("volume") for day, old in zip(days, is_earlier, strict=True)],
        "open_interest": [row.get("open_interest") for row in rows],
        "implied_volatility": [row.get("implied_volatility") for row in rows],
        "quoted_at": moments([quote.get("last_updated") for quote in quotes], unit="ns"),
    }
    return contract_frame(columns)


def _first(*prices: float | None) -> float | None:
    return next((price for price in prices if price is not None), None)


def _require_trades_of_session(question: ChainQuestion, rows: list[dict[str, Any]]) -> None:
    """Without quotes, the newest day on which a contract traded says which session the snapshot is of."""
    newest = moments([(row.get("day") or {}).get("last_updated") for row in rows], unit="ns").max()
    if pd.isna(newest) or new_york_day(newest) < question.session:
        said = (
            "no contract has a day" if pd.isna(newest) else f"the newest trades are of {new_york_day(newest):%Y-%m-%d}"
        )
        raise question.stale(said, "Try again later; nothing that is stored was changed.")
