"""Polygon: a present option chain, page by page, with quotes where the key's plan has them.

A thin client on ``http.py``: the key travels in a header, the limiter keeps the free tier's 5 requests a minute, and
the cache carries a fetch that was broken off. What the answers must look like belongs here; which session they are of
and what is stored is decided in ``chain_snapshot.py``.
"""

from __future__ import annotations

import logging
from typing import Any, Final
from urllib.parse import quote

import pandas as pd

from resources.http.json_answer import FieldKind, objection_to
from resources.http.message import HttpAnswer, HttpRequest
from resources.left_out import BadRecord, LeftOut
from resources.vendors.chain_snapshot import (
    ENOUGH_CONTRACTS,
    ChainQuestion,
    chain_rows,
    contract_frame,
    moments,
    new_york_day,
    require_fresh,
)
from resources.vendors.polygon_access import SOURCE, VENDOR, Page, PolygonPages, link_of

PATH: Final = "/v3/snapshot/options/"
# What the vendor gives at most.
PAGE_ROWS: Final = 250
SYMBOL_OF: Final = {"SPX": "I:SPX"}
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
_PARTS: Final = {
    "details": _DETAILS,
    "underlying_asset": _UNDERLYING,
    "day": _DAY,
    "last_quote": _QUOTE,
    "last_trade": _TRADE,
}
_OF_EVERY_PLAN: Final = ("day", "underlying_asset")
_logger = logging.getLogger(__name__)


class PolygonClient(PolygonPages):
    """Asks Polygon for chains."""

    def chain(self, ticker: str, *, session: pd.Timestamp, source: str) -> pd.DataFrame:
        """Return rows of ``raw.option_chain`` of the last closed session.

        ``last`` is the last trade where the plan has trades, otherwise the close of the contract's last day; the
        volume is 0 where that day is an earlier one. Without quotes in the plan bid and ask are NULL, and the log
        says so. A contract that cannot be read costs no other.

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
        question = self._question(ticker, session=session)
        rows, bad = self._present_contracts(question)
        left_out = LeftOut(SOURCE, f"contracts of the {question}")
        left_out.add(bad)
        if not rows:
            raise question.nothing("Polygon lists no contract within the period")
        _require_open_interest(question, rows)
        contracts = _contracts(question, rows)
        if any(row.get("last_quote") for row in rows):
            require_fresh(question, contracts["quoted_at"].max(), what="the newest quote")
        else:
            _logger.warning("polygon: the key's plan has no quotes; bid and ask of %s are NULL", ticker)
            _require_trades_of_session(question, rows)
        return chain_rows(question, contracts, given=(), source=source, left_out=left_out)

    def _present_contracts(self, question: ChainQuestion) -> tuple[list[dict[str, Any]], list[BadRecord]]:
        path = f"{PATH}{quote(SYMBOL_OF.get(question.ticker, question.ticker), safe=':')}"
        params = {
            "expiration_date.gte": f"{question.session:%Y-%m-%d}",
            "expiration_date.lte": f"{question.last_expiration:%Y-%m-%d}",
            "limit": str(PAGE_ROWS),
        }
        return self._pages(question, path, params, read=_page_of)


def _page_of(request: HttpRequest, answer: HttpAnswer) -> Page:
    page = VENDOR.read_object(request, answer)
    if "results" not in page:
        raise VENDOR.format_error(request, "field results is missing")
    records = VENDOR.records(request, page["results"], {}, objection=_objection_to)
    for name, always in (("underlying_asset", ()), ("day", tuple(_DAY)), ("last_quote", tuple(_QUOTE)),
                         ("last_trade", tuple(_TRADE))):  # fmt: skip
        _require_fields_somewhere(request, records.rows, name, always=always)
    return Page(records, link_of(request, page))


def _objection_to(row: dict[str, Any]) -> str | None:
    """Return why a contract cannot be read; it may lack any part but its details, and any field of a part."""
    details = row.get("details")
    if not isinstance(details, dict):
        return "field details is missing or no object"
    missing = next((name for name in _DETAILS if name not in details), None)
    if missing:
        return f"details: field {missing} is missing"
    for name, fields in _PARTS.items():
        part = row.get(name)
        if part is not None and not isinstance(part, dict):
            return f"field {name} is no object"
        reason = objection_to(part or {}, fields, where=name)
        if reason:
            return reason
    return objection_to(row, _OF_ROW, where="the contract")


def _require_fields_somewhere(
    request: HttpRequest, rows: list[dict[str, Any]], name: str, *, always: tuple[str, ...]
) -> None:
    """Refuse a page of many contracts none of which has a field of ``always``: the vendor has renamed it.

    The part itself may be missing of all where the key's plan does not have it.
    """
    if len(rows) >= ENOUGH_CONTRACTS and name in _OF_EVERY_PLAN and not any(name in row for row in rows):
        raise VENDOR.format_error(request, f"field {name} is missing")
    values = [row[name] for row in rows if row.get(name)]
    if len(values) >= ENOUGH_CONTRACTS:
        for field in always:
            if not any(field in part for part in values):
                raise VENDOR.format_error(request, f"{name}: field {field} is missing")


def _require_open_interest(question: ChainQuestion, rows: list[dict[str, Any]]) -> None:
    """Refuse a chain of many contracts none of which has the field; null everywhere is what the vendor says."""
    if len(rows) >= ENOUGH_CONTRACTS and not any("open_interest" in row for row in rows):
        raise question.strange(f"none of {len(rows)} contracts has open_interest")


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
