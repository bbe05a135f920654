"""The shape of FRED's answers, XML (with a key) and CSV (without), checked before they are read.

What is an unknown series, a rejected key, a page instead of data or a renamed field is decided here, and which
observations cannot be read: they cost no other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final
from xml.etree import ElementTree

from resources.http.json_answer import is_date, shown
from resources.http.message import HttpAnswer, HttpRequest
from resources.left_out import BadRecord
from trading_dag.errors import EmptySourceError, SourceError, SourceFormatError, SourceOffError, SourceUnavailableError

SOURCE: Final = "fred"
OBSERVATIONS_TAG: Final = "observations"
VINTAGES_TAG: Final = "vintage_dates"
MISSING: Final = "."
_OBSERVATION_FIELDS: Final = ("date", "value", "realtime_start")
_DATE_HEADERS: Final = ("observation_date", "DATE")
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_OK, _BAD_REQUEST, _NOT_FOUND = 200, 400, 404


@dataclass(frozen=True)
class CsvRows:
    """Holds the rows of a CSV of one series: dates and values as text, and those that cannot be read."""

    dates: list[str]
    values: list[str]
    bad: tuple[BadRecord, ...]


@dataclass(frozen=True)
class XmlRows:
    """Holds the rows of an XML answer.

    Attributes
    ----------
    root : holds those that can be read.
    bad : the others.
    spoiled : observation dates of the others. Without one of its releases nobody knows which was an observation's
        first, so none of them is among the rows.
    """

    root: ElementTree.Element
    bad: tuple[BadRecord, ...]
    spoiled: frozenset[str]


def check_csv(request: HttpRequest, answer: HttpAnswer) -> None:
    """Accept a CSV of one series.

    Raises
    ------
    SourceError : as ``read_csv``.
    """
    read_csv(request, answer)


def read_csv(request: HttpRequest, answer: HttpAnswer) -> CsvRows:
    """Return the rows of a CSV of one series; an empty value is a missing one.

    Raises
    ------
    EmptySourceError : for an unknown series (404), or one without rows.
    SourceUnavailableError : for another refusal.
    SourceFormatError : for a page, columns other than the date and the series, or half of the rows and more that are
        no date and number.
    """
    if answer.status == _NOT_FOUND:
        raise _unknown_series(request, "FRED does not have the series (404)")
    if answer.status != _OK:
        raise _refusal(request, f"status {answer.status}")
    header, *lines = answer.text.splitlines() or [""]
    columns = [name.strip() for name in header.lstrip("\ufeff").split(",")]
    if len(columns) != 2 or columns[0] not in _DATE_HEADERS or columns[1] != request.params["id"]:
        raise format_error(request, f"expected columns observation_date,{request.params['id']}, found {header[:60]!r}")
    rows = [(number, line.split(",")) for number, line in enumerate(lines, start=2) if line.strip()]
    if not rows:
        raise _unknown_series(request, "FRED gives no rows")
    dates, values, bad = list[str](), list[str](), list[BadRecord]()
    for number, fields in rows:
        date, value = (fields[0].strip(), fields[1].strip() or MISSING) if len(fields) == 2 else ("", "")
        if is_date(date) and _is_value(value):
            dates.append(date)
            values.append(value)
        else:
            bad.append(BadRecord(f"{request.params['id']}, line {number}", _unlike_row(",".join(fields))))
    _require_most(request, bad, len(rows))
    return CsvRows(dates, values, tuple(bad))


def read_xml(request: HttpRequest, answer: HttpAnswer, *, expected: str) -> XmlRows:
    """Return an XML answer whose root is ``expected``, without the rows that cannot be read, and those rows.

    Raises
    ------
    EmptySourceError : for an unknown series.
    SourceOffError : for a rejected key.
    SourceUnavailableError : for another refusal.
    SourceFormatError : for broken XML, a page, an answer of several pages, or half of the rows and more in another
        shape.
    """
    try:
        root = ElementTree.fromstring(answer.body)  # noqa: S314 (expat expands no external entities)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        problem = f"the answer is no XML (status {answer.status}, begins with {answer.text[:40]!r})"
        raise format_error(request, problem) from error
    if answer.status != _OK or root.tag == "error":
        raise _error_of(request, answer.status, root.get("message", ""))
    if root.tag != expected:
        raise format_error(request, f"expected <{expected}>, found <{root.tag[:40]}>")
    count = root.get("count", "0")
    if not (count.isascii() and count.isdigit() and len(count) <= 9):
        raise format_error(request, f"count {count[:20]!r} is no number")
    rows = list(root)
    if int(count) > len(rows):
        raise format_error(request, f"{count} rows do not fit into one answer")
    objection = _objection_to_observation if expected == OBSERVATIONS_TAG else _objection_to_vintage
    reasons = [objection(row) for row in rows]
    bad = [
        BadRecord(f"{request.params.get('series_id', expected)}, row {position}", reason)
        for position, reason in enumerate(reasons)
        if reason
    ]
    _require_most(request, bad, len(rows))
    spoiled = {row.get("date", "") for row, reason in zip(rows, reasons, strict=True) if reason}
    if expected == OBSERVATIONS_TAG and not all(is_date(date) for date in spoiled):
        raise format_error(request, f"{bad[0].place}: {bad[0].reason}")
    root[:] = [row for row, reason in zip(rows, reasons, strict=True) if not reason and row.get("date") not in spoiled]
    return XmlRows(root, tuple(bad), frozenset(spoiled))


def _objection_to_observation(row: ElementTree.Element) -> str | None:
    missing = next((name for name in _OBSERVATION_FIELDS if row.get(name) is None), None)
    if missing:
        return f"attribute {missing} is missing from an observation"
    if not _is_value(str(row.get("value"))):
        return f"the value {str(row.get('value'))[:20]!r} is no number"
    strange = next((name for name in ("date", "realtime_start") if not is_date(row.get(name))), None)
    return f"{strange} {str(row.get(strange))[:20]!r} is no date" if strange else None


def _objection_to_vintage(row: ElementTree.Element) -> str | None:
    return None if is_date(row.text) else f"the vintage {str(row.text)[:20]!r} is no date"


def _require_most(request: HttpRequest, bad: Sequence[BadRecord], rows: int) -> None:
    if bad and 2 * len(bad) >= rows:
        raise format_error(request, f"{bad[0].place}: {bad[0].reason} ({len(bad)} of {rows} are so)")


def _unlike_row(line: str) -> str:
    return f"{line[:30]!r} is no date and number"


def _is_value(value: str) -> bool:
    return value == MISSING or (len(value) <= 40 and bool(_NUMBER.fullmatch(value)) and isfinite(float(value)))


def format_error(request: HttpRequest, problem: str) -> SourceFormatError:
    """Return the error of an answer in another shape."""
    return SourceFormatError(
        source=SOURCE,
        request=str(request),
        problem=shown(problem),
        remedy="Try again later; if it stays, FRED has changed its answers.",
    )


def _error_of(request: HttpRequest, status: int, message: str) -> SourceError:
    text = shown(message[:300])
    if "api_key" in text:
        return SourceOffError(
            source=SOURCE,
            request=str(request),
            problem=f"FRED rejects the key: {text}",
            remedy="Set FRED_API_KEY to a valid key, or unset it to use the public CSV.",
        )
    if status in (_BAD_REQUEST, _NOT_FOUND) and "does not exist" in text:
        return _unknown_series(request, f"FRED says: {text}")
    return _refusal(request, f"{status}: {text}")


def _unknown_series(request: HttpRequest, problem: str) -> EmptySourceError:
    return EmptySourceError(source=SOURCE, request=str(request), problem=problem, remedy="Check the series id.")


def _refusal(request: HttpRequest, problem: str) -> SourceUnavailableError:
    return SourceUnavailableError(
        source=SOURCE,
        request=str(request),
        problem=f"FRED refuses the request ({problem})",
        remedy="Try again later; nothing that is stored was changed.",
    )
