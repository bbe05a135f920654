"""The shape of FRED's answers, XML (with a key) and CSV (without), checked before they are read.

What is an unknown series, a rejected key, a page instead of data or a renamed field is decided here.
"""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree

from resources.http import HttpAnswer, HttpRequest
from trading_dag.errors import EmptySourceError, SourceError, SourceFormatError, SourceOffError, SourceUnavailableError

SOURCE: Final = "fred"
OBSERVATIONS_TAG: Final = "observations"
VINTAGES_TAG: Final = "vintage_dates"
_OBSERVATION_FIELDS: Final = ("date", "value", "realtime_start")
_DATE_HEADERS: Final = ("observation_date", "DATE")
_ISO_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_OK, _BAD_REQUEST, _NOT_FOUND = 200, 400, 404


def check_csv(request: HttpRequest, answer: HttpAnswer) -> None:
    """Accept a CSV of one series.

    Raises
    ------
    EmptySourceError : for an unknown series (404), or one without rows.
    SourceUnavailableError : for another refusal.
    SourceFormatError : for a page, or columns other than the date and the series.
    """
    if answer.status == _NOT_FOUND:
        raise _unknown_series(request, "FRED does not have the series (404)")
    if answer.status != _OK:
        raise _refusal(request, f"status {answer.status}")
    header, _, rows = answer.text.partition("\n")
    columns = [name.strip() for name in header.lstrip("\ufeff").split(",")]
    if len(columns) != 2 or columns[0] not in _DATE_HEADERS or columns[1] != request.params["id"]:
        raise format_error(request, f"expected columns observation_date,{request.params['id']}, found {header[:60]!r}")
    if not rows.strip():
        raise _unknown_series(request, "FRED gives no rows")


def check_xml(request: HttpRequest, answer: HttpAnswer, *, expected: str) -> None:
    """Accept an XML answer whose root is ``expected``.

    Raises
    ------
    EmptySourceError : for an unknown series.
    SourceOffError : for a rejected key.
    SourceUnavailableError : for another refusal.
    SourceFormatError : for broken XML, a page, a missing attribute, or an answer of several pages.
    """
    try:
        root = ElementTree.fromstring(answer.body)  # noqa: S314 (expat expands no external entities)
    except ElementTree.ParseError as error:
        problem = f"the answer is no XML (status {answer.status}, begins with {answer.text[:40]!r})"
        raise format_error(request, problem) from error
    if answer.status != _OK or root.tag == "error":
        raise _error_of(request, answer.status, root.get("message", ""))
    if root.tag != expected:
        raise format_error(request, f"expected <{expected}>, found <{root.tag}>")
    if int(root.get("count", "0")) > len(root):
        raise format_error(request, f"{root.get('count')} rows do not fit into one answer")
    if expected == OBSERVATIONS_TAG:
        for row in root:
            missing = [name for name in _OBSERVATION_FIELDS if row.get(name) is None]
            if missing:
                raise format_error(request, f"attribute {missing[0]} is missing from an observation")
            _require_number(request, str(row.get("value")))
            _require_dates(request, [str(row.get("date")), str(row.get("realtime_start"))])
    else:
        _require_dates(request, [str(row.text) for row in root])


def format_error(request: HttpRequest, problem: str) -> SourceFormatError:
    """The error of an answer in another shape."""
    return SourceFormatError(
        source=SOURCE,
        request=str(request),
        problem=problem,
        remedy="Try again later; if it stays, FRED has changed its answers.",
    )


def _require_number(request: HttpRequest, value: str) -> None:
    if value == ".":
        return
    try:
        float(value)
    except ValueError as error:
        raise format_error(request, f"the value {value[:20]!r} is no number") from error


def _require_dates(request: HttpRequest, values: list[str]) -> None:
    for value in values:
        if not _ISO_DATE.fullmatch(value):
            raise format_error(request, f"{value[:20]!r} is no date")


def _error_of(request: HttpRequest, status: int, message: str) -> SourceError:
    shown = message
    for secret in request.secrets.values():
        shown = shown.replace(secret, "***")
    if "api_key" in shown:
        return SourceOffError(
            source=SOURCE,
            request=str(request),
            problem=f"FRED rejects the key: {shown}",
            remedy="Set FRED_API_KEY to a valid key, or unset it to use the public CSV.",
        )
    if status in (_BAD_REQUEST, _NOT_FOUND) and "does not exist" in shown:
        return _unknown_series(request, f"FRED says: {shown}")
    return _refusal(request, f"{status}: {shown}")


def _unknown_series(request: HttpRequest, problem: str) -> EmptySourceError:
    return EmptySourceError(source=SOURCE, request=str(request), problem=problem, remedy="Check the series id.")


def _refusal(request: HttpRequest, problem: str) -> SourceUnavailableError:
    return SourceUnavailableError(
        source=SOURCE,
        request=str(request),
        problem=f"FRED refuses the request ({problem})",
        remedy="Try again later; nothing that is stored was changed.",
    )
