"""The shape of Yahoo's chart answer (v8), checked before yfinance reads it.

yfinance takes many failures for a symbol without prices: an error page, a renamed field, a refused request. Here
each becomes the error that it is. It also writes a volume of 0 where Yahoo says none, so that one is marked before.
Turning the answer into a frame is yfinance's part.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from resources.http.json_answer import is_moment, is_number, read_json, shown
from resources.http.message import HttpAnswer, HttpRequest
from resources.left_out import BadRecord
from trading_dag.errors import EmptySourceError, SourceFormatError, SourceUnavailableError

SOURCE: Final = "yahoo"
HOURLY: Final = "60m"
_META_FIELDS: Final = ("symbol", "currency", "instrumentType", "exchangeTimezoneName")
_QUOTE_FIELDS: Final = ("open", "high", "low", "close", "volume")
_EVENT_FIELDS: Final = {"dividends": ("amount", "date"), "splits": ("numerator", "denominator", "date")}
_NO_ROWS_PHRASES: Final = ("no data found", "data doesn't exist", "delisted")
_PRICES: Final = ("open", "high", "low", "close")
NO_PRICE: Final = "the bar has no price, or one that is no number"
# What stands for a volume that Yahoo does not say, until yfinance has read the answer: less than nothing, whatever
# volume yfinance adds to it, and exact as a double.
UNSAID_VOLUME: Final = -(2**53)
_FORMAT_REMEDY: Final = "Update yfinance; if the newest reads it no better, Yahoo has changed its answers."


def check_chart(request: HttpRequest, answer: HttpAnswer) -> None:
    """Accept a chart answer that yfinance will read right.

    Raises
    ------
    EmptySourceError : for an unknown or delisted symbol, or a period without prices.
    SourceUnavailableError : where Yahoo says that it refuses the request.
    SourceFormatError : for anything that is not a chart: a page, broken JSON, a missing or renamed field,
        columns of different lengths, another symbol than was asked for.
    """
    payload = read_payload(request, answer)
    chart = field_of(request, payload, "chart", dict)
    error = chart.get("error")
    if error:
        raise_stated_error(request, error)
    results = field_of(request, chart, "result", list)
    if not results:
        refuse(request, "chart.result is empty")
    result = results[0]
    meta = field_of(request, result, "meta", dict)
    for name in _META_FIELDS:
        if name not in meta:
            refuse(request, f"chart.result.meta.{name} is missing")
    asked = request.url.rpartition("/")[2].replace("%5E", "^")
    if str(meta["symbol"]).upper() != asked.upper():
        refuse(request, f"the answer is about {meta['symbol']}")
    _check_columns(request, result)
    _check_events(request, result)


def _check_columns(request: HttpRequest, result: dict[str, Any]) -> None:
    indicators = field_of(request, result, "indicators", dict)
    quotes = field_of(request, indicators, "quote", list)
    quote = quotes[0] if quotes else None
    if quote == {} and "timestamp" not in result:
        raise_empty(request, "Yahoo has no prices for the period")
    times = field_of(request, result, "timestamp", list)
    if not isinstance(quote, dict):
        refuse(request, "indicators.quote is empty")
    columns = {name: quote.get(name) for name in _QUOTE_FIELDS}
    if request.params.get("interval") != HOURLY:
        # Bars within a day have none.
        adjusted = field_of(request, indicators, "adjclose", list)
        columns["adjclose"] = adjusted[0].get("adjclose") if adjusted and isinstance(adjusted[0], dict) else None
    for name, values in columns.items():
        if not isinstance(values, list):
            refuse(request, f"column {name} is missing")
        if len(values) != len(times):
            refuse(request, f"column {name} has {len(values)} values for {len(times)} sessions")
        if 2 * sum(value is not None and not is_number(value) for value in values) >= max(len(values), 1):
            refuse(request, f"column {name} holds something else than numbers")
    if not all(is_moment(at) for at in times):
        refuse(request, "timestamp holds something else than moments")
    if not times:
        raise_empty(request, "Yahoo has no prices for the period")


def _check_events(request: HttpRequest, result: dict[str, Any]) -> None:
    events = field_of(request, {"events": result.get("events") or {}}, "events", dict)
    for kind, fields in _EVENT_FIELDS.items():
        for event in field_of(request, {kind: events.get(kind) or {}}, kind, dict).values():
            for name in fields:
                if not isinstance(event, dict) or not is_number(event.get(name)):
                    refuse(request, f"events.{kind}.{name} is missing or no number")


def readable_chart(_: HttpRequest, answer: HttpAnswer) -> tuple[bytes, tuple[BadRecord, ...]]:
    """Return a checked chart as yfinance reads it right.

    A bar with a price that is no number has no price, and is counted with those; a volume that is missing, or no
    count, is ``UNSAID_VOLUME``.
    """
    if answer.status != 200:
        return answer.body, ()
    payload = read_json(answer.body)
    result = payload["chart"]["result"][0]
    if not result.get("timestamp"):
        return answer.body, ()
    quote = result["indicators"]["quote"][0]
    adjusted = (result["indicators"].get("adjclose") or [{}])[0].get("adjclose")
    columns = [quote[name] for name in _PRICES] + ([adjusted] if isinstance(adjusted, list) else [])
    strange = [
        position
        for position, prices in enumerate(zip(*columns, strict=True))
        if any(price is not None and not is_number(price) for price in prices)
    ]
    for column in columns:
        for position in strange:
            column[position] = None
    volumes = quote["volume"]
    quote["volume"] = [one if is_number(one) and one >= 0 else UNSAID_VOLUME for one in volumes]
    is_changed = bool(strange) or quote["volume"] != volumes
    return json.dumps(payload).encode() if is_changed else answer.body, ()


def read_payload(request: HttpRequest, answer: HttpAnswer) -> Any:
    """Return what an answer of Yahoo says.

    Raises
    ------
    SourceFormatError : for what is no JSON.
    """
    try:
        return read_json(answer.body)
    except ValueError as error:
        problem = f"the answer is no JSON (status {answer.status}, begins with {answer.text[:40]!r})"
        raise format_error(request, problem) from error


def field_of(request: HttpRequest, holder: Any, name: str, kind: type) -> Any:
    """Return a field of an object of the answer.

    Raises
    ------
    SourceFormatError : where it is missing, or of another type.
    """
    value = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(value, kind):
        refuse(request, f"field {name} is missing or no {kind.__name__}")
    return value


def raise_stated_error(request: HttpRequest, error: Any) -> NoReturn:
    """Raise what Yahoo states as the error of an answer.

    Raises
    ------
    EmptySourceError : for an unknown symbol, or where there is nothing.
    SourceUnavailableError : for any other refusal.
    """
    code = str(error.get("code", "")) if isinstance(error, dict) else ""
    description = str(error.get("description", "")) if isinstance(error, dict) else str(error)
    if code == "Not Found" or any(phrase in description.lower() for phrase in _NO_ROWS_PHRASES):
        raise_empty(request, f"Yahoo says: {description or code}")
    raise SourceUnavailableError(
        source=SOURCE,
        request=str(request),
        problem=shown(f"Yahoo refuses the request: {description or code}"),
        remedy="Try again later, or update yfinance.",
    )


def raise_empty(request: HttpRequest, problem: str) -> NoReturn:
    """Raise the error of an answer without rows.

    Raises
    ------
    EmptySourceError : always.
    """
    raise EmptySourceError(
        source=SOURCE,
        request=str(request),
        problem=shown(problem),
        remedy="Check the symbol and the period; remove a delisted ticker from TRADING_DAG_UNIVERSE.",
    )


def refuse(request: HttpRequest, problem: str) -> NoReturn:
    """Raise the error of an answer in another shape.

    Raises
    ------
    SourceFormatError : always.
    """
    raise format_error(request, problem)


def format_error(request: HttpRequest, problem: str) -> SourceFormatError:
    """Return the error of an answer in another shape."""
    return SourceFormatError(source=SOURCE, request=str(request), problem=shown(problem), remedy=_FORMAT_REMEDY)
