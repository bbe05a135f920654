"""The shape of Yahoo's answer about options (v7), checked before yfinance reads it.

yfinance takes an answer without options, an error and a page alike for nothing, and fills what was renamed with NaN.
Here each becomes the error that it is. Turning answers into rows is ``yahoo_chain.py``'s part.
"""

from __future__ import annotations

import json
from typing import Any, Final

from resources.http import HttpAnswer, HttpRequest
from resources.yahoo_chart import field_of, raise_empty, raise_stated_error, refuse

_REQUIRED_NUMBERS: Final = ("strike", "expiration")
_NUMBERS: Final = ("lastPrice", "bid", "ask", "volume", "openInterest", "impliedVolatility")
_UNDERLYING_NUMBERS: Final = ("regularMarketPrice", "regularMarketTime")


def check_options(request: HttpRequest, answer: HttpAnswer) -> None:
    """Accept an answer about options that yfinance will read right.

    Raises
    ------
    EmptySourceError : for an unknown symbol, or one without options.
    SourceUnavailableError : where Yahoo says that it refuses the request.
    SourceFormatError : for anything that is not about options: a page, broken JSON, a missing or renamed field,
        another symbol or expiration than was asked for.
    """
    try:
        payload = json.loads(answer.body)
    except ValueError:
        refuse(request, f"the answer is no JSON (status {answer.status}, begins with {answer.text[:40]!r})")
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
    if not all(_is_number(day) for day in days):
        refuse(request, "expirationDates holds something else than numbers")
    quote = field_of(request, result, "quote", dict)
    for name in _UNDERLYING_NUMBERS:
        if not _is_number(quote.get(name)):
            refuse(request, f"quote.{name} is missing or no number")
    for options in field_of(request, result, "options", list):
        for side in ("calls", "puts"):
            for position, contract in enumerate(field_of(request, options, side, list)):
                _check_contract(request, contract, where=f"{side}[{position}]")


def _check_contract(request: HttpRequest, contract: Any, *, where: str) -> None:
    if not isinstance(contract, dict) or not isinstance(contract.get("contractSymbol"), str):
        refuse(request, f"{where}.contractSymbol is missing or no text")
    for name in _REQUIRED_NUMBERS:
        if not _is_number(contract.get(name)):
            refuse(request, f"{where}.{name} is missing or no number")
    for name in _NUMBERS:
        # Yahoo leaves out what a contract does not have.
        if contract.get(name) is not None and not _is_number(contract[name]):
            refuse(request, f"{where}.{name} is no number")
    asked = request.params.get("date")
    if asked is not None and int(contract["expiration"]) != int(asked):
        refuse(request, f"{where} expires at {contract['expiration']}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
