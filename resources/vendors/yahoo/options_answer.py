"""The shape of Yahoo's answer about options (v7), checked before yfinance reads it.

yfinance takes an answer without options, an error and a page alike for nothing, and fills what was renamed with NaN.
Here each becomes the error that it is, and a contract that cannot be read is taken out and costs no other. Turning
answers into rows is ``yahoo.chain.py``'s part.
"""

from __future__ import annotations

import json
from typing import Any, Final

from resources.http.json_answer import is_moment, is_number, read_json
from resources.http.message import HttpAnswer, HttpRequest
from resources.left_out import BadRecord
from resources.vendors.yahoo.chart_answer import field_of, raise_empty, raise_stated_error, read_payload, refuse

_REQUIRED_NUMBERS: Final = ("strike", "expiration")
_NUMBERS: Final = ("lastPrice", "bid", "ask", "volume", "openInterest", "impliedVolatility")
_SIDES: Final = ("calls", "puts")


def check_options(request: HttpRequest, answer: HttpAnswer) -> None:
    """Accept an answer about options that yfinance will read right, but for single contracts.

    Raises
    ------
    EmptySourceError : for an unknown symbol, or one without options.
    SourceUnavailableError : where Yahoo says that it refuses the request.
    SourceFormatError : for anything that is not about options: a page, broken JSON, a missing or renamed field,
        another symbol or expiration than was asked for, half of the contracts and more in another shape.
    """
    payload = read_payload(request, answer)
    chain = field_of(request, payload, "optionChain", dict)
    if chain.get("error"):
        raise_stated_error(request, chain["error"])
    results = field_of(request, chain, "result", list)
    if not results:
        raise_empty(request, "Yahoo knows no options of the symbol")
    result = results[0]
    asked = request.url.rpartition("/")[2].replace("%5E", "^")
    if str(field_of(request, result, "underlyingSymbol", str)).upper() != asked.upper():
        refuse(request, f"the answer is about {result['underlyingSymbol']}")
    days = field_of(request, result, "expirationDates", list)
    if not days:
        raise_empty(request, "Yahoo lists no expiration")
    if not all(is_moment(day) for day in days):
        refuse(request, "expirationDates holds something else than moments")
    quote = field_of(request, result, "quote", dict)
    for name, is_right in (("regularMarketPrice", is_number), ("regularMarketTime", is_moment)):
        if not is_right(quote.get(name)):
            refuse(request, f"quote.{name} is missing or no number")
    for options in field_of(request, result, "options", list):
        contracts = [one for side in _SIDES for one in field_of(request, options, side, list)]
        bad = _bad_contracts(request, options)
        if bad and 2 * len(bad) >= len(contracts):
            refuse(request, f"{bad[0].place}: {bad[0].reason} ({len(bad)} of {len(contracts)} contracts are so)")


def readable_options(request: HttpRequest, answer: HttpAnswer) -> tuple[bytes, tuple[BadRecord, ...]]:
    """Return a checked answer without the contracts that cannot be read, and those contracts."""
    if answer.status != 200:
        return answer.body, ()
    payload = read_json(answer.body)
    bad = list[BadRecord]()
    for options in payload["optionChain"]["result"][0]["options"]:
        of_expiration = _bad_contracts(request, options)
        if of_expiration:
            for side in _SIDES:
                options[side] = [one for one in options[side] if _objection_to(request, one) is None]
        bad += of_expiration
    return json.dumps(payload).encode() if bad else answer.body, tuple(bad)


def _bad_contracts(request: HttpRequest, options: dict[str, Any]) -> list[BadRecord]:
    return [
        BadRecord(f"{side}[{position}] of date={request.params.get('date', 'the first')}", reason)
        for side in _SIDES
        for position, contract in enumerate(options[side])
        if (reason := _objection_to(request, contract)) is not None
    ]


def _objection_to(request: HttpRequest, contract: Any) -> str | None:
    if not isinstance(contract, dict) or not isinstance(contract.get("contractSymbol"), str):
        return "contractSymbol is missing or no text"
    for name in _REQUIRED_NUMBERS:
        if not is_number(contract.get(name)):
            return f"{name} is missing or no number"
    for name in _NUMBERS:
        # Yahoo leaves out what a contract does not have.
        if contract.get(name) is not None and not is_number(contract[name]):
            return f"{name} is no number"
    asked = request.params.get("date")
    if asked is not None and str(contract["expiration"]) != asked:
        return f"the contract expires at {contract['expiration']}"
    if contract.get("lastTradeDate") is not None and not is_moment(contract["lastTradeDate"]):
        return "lastTradeDate is no moment"
    return None
