"""Tradier: a present option chain, one expiration after the other, and the underlying's close.

A thin client on ``http.py``: the token travels in a header. What the answers must look like belongs here, with the
vendor's habit of writing a list of one as the thing itself and a list of none as null; which session a chain is of and
what is stored is decided in ``chain_snapshot.py``.
"""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from resources.http.json_answer import FieldKind, Records, Vendor, objection_to
from resources.http.message import HttpAnswer, HttpRequest
from resources.left_out import LeftOut
from resources.vendors.chain_client import Access, KeyedChainClient
from resources.vendors.chain_snapshot import ChainQuestion, chain_rows, contract_frame, moments, require_fresh
from trading_dag.errors import EmptySourceError
from trading_dag.settings import Settings

SOURCE: Final = "tradier"
KEY_VARIABLE: Final = "TRADIER_TOKEN"
PATH: Final = "/v1/markets/"
_VENDOR: Final = Vendor(SOURCE, "Tradier", KEY_VARIABLE)
_QUOTE: Final[dict[str, FieldKind]] = {
    "symbol": "text",
    "close": "number or null",
    "last": "number or null",
    "trade_date": "integer or null",
}
_CONTRACT: Final[dict[str, FieldKind]] = {
    "symbol": "text",
    "expiration_date": "date",
    "strike": "number",
    "option_type": "text",
    "bid": "number or null",
    "ask": "number or null",
    "last": "number or null",
    "volume": "number or null",
    "open_interest": "number or null",
    "bid_date": "integer or null",
    "ask_date": "integer or null",
}
_GREEKS: Final[dict[str, FieldKind]] = {"mid_iv": "number or null"}


class TradierClient(KeyedChainClient):
    """Asks Tradier for chains; ``tradier_url`` is production or sandbox."""

    _vendor = _VENDOR

    @staticmethod
    def _access(settings: Settings) -> Access:
        return Access(
            settings.tradier_url,
            settings.tradier_token,
            settings.tradier_requests_per_minute,
            "TRADING_DAG_TRADIER_REQUESTS_PER_MINUTE",
        )

    def chain(self, ticker: str, *, session: pd.Timestamp, source: str) -> pd.DataFrame:
        """Return rows of ``raw.option_chain`` of the last closed session; the volatility is the vendor's at the middle.

        An expiration that is listed and has no contract costs none of the others; it is named in the log. So does a
        contract that cannot be read.

        Parameters
        ----------
        source : name for the provenance.

        Raises
        ------
        StaleSourceError : for another session, or a snapshot whose quotes are older than the close.
        SourceOffError : without a token, or where it is refused.
        EmptySourceError : for an underlying without options.
        SourceUnavailableError, SourceFormatError : as the answer is.
        """
        question = self._question(ticker, session=session)
        left_out = LeftOut(SOURCE, f"contracts or expirations of the {question}")
        expirations = [day for day in self._expirations(question, left_out) if question.has(day)]
        if not expirations:
            raise question.nothing("Tradier lists no expiration within the period")
        price = self._underlying_price(question)
        by_day = {day: self._contracts_of(question, day, left_out) for day in expirations}
        rows = [row for listed in by_day.values() for row in listed]
        if not rows:
            raise question.nothing("Tradier gives no contract of the expirations that it lists")
        contracts = _contracts(rows, price)
        require_fresh(question, contracts["quoted_at"].max(), what="the newest quote")
        empty = [day for day, listed in by_day.items() if not listed]
        return chain_rows(question, contracts, given=(), source=source, empty=empty, left_out=left_out)

    def _expirations(self, question: ChainQuestion, left_out: LeftOut) -> list[pd.Timestamp]:
        asked = {"symbol": _symbol(question.ticker), "includeAllRoots": "true", "strikes": "false"}
        records = self._records(self._request(question, f"{PATH}options/expirations", asked), _days_of)
        left_out.add(records.bad)
        return [pd.Timestamp(row["date"]) for row in records.rows]

    def _underlying_price(self, question: ChainQuestion) -> float | None:
        """Return the underlying's close; where the vendor has none yet, its last trade."""
        symbol = _symbol(question.ticker)
        request = self._request(question, f"{PATH}quotes", {"symbols": symbol, "greeks": "false"})
        own = next((quote for quote in self._records(request, _quotes_of).rows if quote["symbol"] == symbol), None)
        if own is None:
            raise _VENDOR.format_error(request, f"there is no quote of {symbol}")
        require_fresh(question, moments([own["trade_date"]], unit="ms").iloc[0], what="the underlying's last trade")
        price: float | None = own["close"] if own["close"] is not None else own["last"]
        return price

    def _contracts_of(
        self, question: ChainQuestion, expiration: pd.Timestamp, left_out: LeftOut
    ) -> list[dict[str, Any]]:
        request = self._request(
            question,
            f"{PATH}options/chains",
            {"symbol": _symbol(question.ticker), "expiration": f"{expiration:%Y-%m-%d}", "greeks": "true"},
        )

        def some(asked: HttpRequest, answer: HttpAnswer) -> Records:
            records = _contracts_of(asked, answer)
            if not records.given:
                raise question.nothing(f"Tradier gives no contract of {expiration:%Y-%m-%d}")
            return records

        try:
            records = self._records(request, some)
        except EmptySourceError:
            # Not kept in the cache, so that asking again may find them.
            return []
        left_out.add(records.bad)
        return records.rows


def _symbol(ticker: str) -> str:
    return ticker.replace(".", "/")


def _days_of(request: HttpRequest, answer: HttpAnswer) -> Records:
    days = [{"date": day} for day in _list_of(request, answer, "expirations", "date")]
    return _VENDOR.records(request, days, {"date": "date"})


def _quotes_of(request: HttpRequest, answer: HttpAnswer) -> Records:
    return _VENDOR.records(request, _list_of(request, answer, "quotes", "quote"), _QUOTE)


def _contracts_of(request: HttpRequest, answer: HttpAnswer) -> Records:
    def objection(row: dict[str, Any]) -> str | None:
        if row["expiration_date"] != request.params["expiration"]:
            return f"the contract expires on {row['expiration_date']}"
        greeks = row.get("greeks") or {}
        return objection_to(greeks, _GREEKS, where="greeks") if isinstance(greeks, dict) else "greeks is no object"

    return _VENDOR.records(request, _list_of(request, answer, "options", "option"), _CONTRACT, objection=objection)


def _list_of(request: HttpRequest, answer: HttpAnswer, outer: str, inner: str) -> list[Any]:
    body = _VENDOR.read_object(request, answer)
    if outer not in body:
        raise _VENDOR.format_error(request, f"field {outer} is missing")
    holder = body[outer]
    if holder is None:
        return []
    if not isinstance(holder, dict) or inner not in holder:
        raise _VENDOR.format_error(request, f"field {outer}.{inner} is missing")
    entries = holder[inner]
    return entries if isinstance(entries, list) else [entries]


def _contracts(rows: list[dict[str, Any]], price: float | None) -> pd.DataFrame:
    columns = {
        "contract_id": [row["symbol"] for row in rows],
        "underlying_price": price,
        "expiration": [row["expiration_date"] for row in rows],
        "strike": [row["strike"] for row in rows],
        "option_right": [row["option_type"] for row in rows],
        **{name: [row[name] for row in rows] for name in ("bid", "ask", "last", "volume", "open_interest")},
        "implied_volatility": [(row.get("greeks") or {}).get("mid_iv") for row in rows],
        "quoted_at": moments([max(row["bid_date"] or 0, row["ask_date"] or 0) for row in rows], unit="ms"),
    }
    return contract_frame(columns)
