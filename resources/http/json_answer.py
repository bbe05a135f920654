"""JSON answers of vendors, checked before they are read: the status, that it is JSON, and each record on its own.

What is the same for all vendors of JSON belongs here. Which fields a record has is said by its client, and what became
of records that were left out by ``left_out.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import isfinite
from reprlib import Repr
from typing import Any, Final, Literal, NoReturn

from resources.http.message import HttpAnswer, HttpRequest
from resources.left_out import BadRecord
from trading_dag.errors import SourceFormatError, SourceOffError, SourceUnavailableError

# Prose may hold half of a pair of surrogates, as a text that was cut within a sign does; ``whole_text`` mends it.
FieldKind = Literal[
    "text", "prose", "prose or null", "text or null", "integer", "integer or null", "integer seconds", "number",
    "number or null", "date", "list",
]  # fmt: skip
Objection = Callable[[dict[str, Any]], str | None]
_OK: Final = 200
_REFUSED: Final = (401, 403)
_FIRST_YEAR, _LAST_YEAR = 1900, 2100
_LAST_SECOND: Final = 4_102_444_800  # the end of 2099
_DIGITS_OF_INTEGERS: Final = 19
_repr = Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 30


@dataclass(frozen=True)
class Records:
    """Holds the records of one answer.

    Attributes
    ----------
    rows : those of the right shape, with None where an optional field is missing.
    bad : the others, and why.
    """

    rows: list[dict[str, Any]]
    bad: tuple[BadRecord, ...] = ()

    @property
    def given(self) -> int:
        """Return how many records the vendor gave."""
        return len(self.rows) + len(self.bad)


@dataclass(frozen=True)
class Vendor:
    """Names the vendor that answers.

    Attributes
    ----------
    source : its name in errors.
    title : its name in sentences.
    key_variable : environment variable of its key; empty where there is none.
    """

    source: str
    title: str
    key_variable: str = ""

    def read(self, request: HttpRequest, answer: HttpAnswer) -> Any:
        """Return what the JSON says.

        Raises
        ------
        SourceOffError : for a refused key (401, 403).
        SourceUnavailableError : for another refusal.
        SourceFormatError : for what is no JSON: a page, half an answer, NaN, what is nested too deeply.
        """
        if answer.status in _REFUSED and self.key_variable:
            what = "refuses the key" if answer.status == _REFUSED[0] else "does not give this to the key's plan"
            raise SourceOffError(
                source=self.source,
                request=str(request),
                problem=f"{self.title} {what} ({answer.status}{_said(answer)})",
                remedy=f"Set {self.key_variable} to a valid key of a plan that has it, or unset it to switch this off.",
            )
        if answer.status != _OK:
            raise SourceUnavailableError(
                source=self.source,
                request=str(request),
                problem=f"{self.title} refuses the request (status {answer.status}{_said(answer)})",
                remedy="Try again later; nothing that is stored was changed.",
            )
        try:
            return read_json(answer.body)
        except ValueError as error:
            problem = f"the answer is no JSON (begins with {answer.text[:40]!r})"
            raise self.format_error(request, problem) from error

    def read_object(self, request: HttpRequest, answer: HttpAnswer) -> dict[str, Any]:
        """Return what the JSON says, if it is an object.

        Raises
        ------
        SourceOffError, SourceUnavailableError, SourceFormatError : as ``read``, or for something else.
        """
        body = self.read(request, answer)
        if not isinstance(body, dict):
            raise self.format_error(request, f"expected an object, found {type(body).__name__}")
        return body

    def records(
        self,
        request: HttpRequest,
        rows: object,
        fields: Mapping[str, FieldKind],
        *,
        objection: Objection | None = None,
    ) -> Records:
        """Return the rows of a list that are objects whose fields have the given kinds, and why the others have not.

        A field that may be null may also be missing of some rows. Other fields are ignored.

        Parameters
        ----------
        objection : why a row of the right shape cannot be taken all the same; None where it can.

        Raises
        ------
        SourceFormatError : for no list, a field that no row has, or half of the rows and more in another shape: then
            the vendor has changed its answers.
        """
        if not isinstance(rows, Sequence) or isinstance(rows, str):
            raise self.format_error(request, f"expected a list, found {type(rows).__name__}")
        objects = [row for row in rows if isinstance(row, dict)]
        for name in fields:
            if objects and not any(name in row for row in objects):
                raise self.format_error(request, f"in {len(objects)} rows field {name} is missing")
        optional = {name: None for name, kind in fields.items() if kind.endswith("or null")}
        good, bad = list[dict[str, Any]](), list[BadRecord]()
        for position, row in enumerate(rows):
            whole = {**optional, **row} if isinstance(row, dict) else row
            reason = _objection_of(whole, fields) or (objection(whole) if objection else None)
            if reason is None:
                good.append(whole)
            else:
                bad.append(BadRecord(f"row {position} of {_end_of(request)}", reason))
        if bad and len(bad) >= len(good):
            raise self.format_error(
                request, f"{bad[0].place.partition(' of ')[0]}: {bad[0].reason} ({len(bad)} of {len(rows)} are so)"
            )
        return Records(good, tuple(bad))

    def all_records(
        self,
        request: HttpRequest,
        rows: object,
        fields: Mapping[str, FieldKind],
        *,
        objection: Objection | None = None,
    ) -> list[dict[str, Any]]:
        """Return the rows of a list if every one can be taken: where a row that is missing says something, too.

        Raises
        ------
        SourceFormatError : as ``records``, and for the first row in another shape.
        """
        records = self.records(request, rows, fields, objection=objection)
        if records.bad:
            first = records.bad[0]
            raise self.format_error(request, f"{first.place.partition(' of ')[0]}: {first.reason}")
        return records.rows

    def require_fields(
        self, request: HttpRequest, row: Mapping[str, Any], fields: Mapping[str, FieldKind], *, where: str
    ) -> None:
        """Refuse an object without one of the fields, or with one of another kind.

        Raises
        ------
        SourceFormatError : naming the field.
        """
        reason = _objection_of(row, fields)
        if reason:
            raise self.format_error(request, f"{where}: {reason}")

    def format_error(self, request: HttpRequest, problem: str) -> SourceFormatError:
        """Return the error of an answer in another shape."""
        return SourceFormatError(
            source=self.source,
            request=str(request),
            problem=shown(problem),
            remedy=f"Try again later; if it stays, {self.title} has changed its answers.",
        )


def read_json(body: bytes) -> Any:
    """Return what JSON in UTF-8 says; a number beyond 64 bits is a float, and one that no float holds is infinite.

    Raises
    ------
    ValueError : for what is no JSON, and for what is nested more deeply than Python reads.
    """
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_no_constant, parse_int=_integer)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def objection_to(row: Mapping[str, Any], fields: Mapping[str, FieldKind], *, where: str) -> str | None:
    """Return why a part of a record is not of the given kinds, None where it is; a field that is missing is null."""
    reason = _objection_of({name: row.get(name) for name in fields}, fields)
    return f"{where}: {reason}" if reason else None


def is_number(value: object) -> bool:
    """Return whether a value of an answer is a number that a column can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def is_moment(value: object) -> bool:
    """Return whether a value is a moment in whole seconds since 1970, until the end of 2099."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _LAST_SECOND


def is_date(value: object) -> bool:
    """Return whether a value is an ISO date of the years 1900 to 2100."""
    try:
        return (
            isinstance(value, str)
            and len(value) == len("2024-11-15")
            and _FIRST_YEAR <= date.fromisoformat(value).year <= _LAST_YEAR
        )
    except ValueError:
        return False


def whole_text(text: str) -> str:
    """Return a text with halves of surrogate pairs replaced, as no file and no terminal takes them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def shown(text: str) -> str:
    """Return a text that any terminal takes: halves of surrogate pairs are written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _objection_of(row: object, fields: Mapping[str, FieldKind]) -> str | None:
    if not isinstance(row, Mapping):
        return f"expected an object, found {type(row).__name__}"
    for name, kind in fields.items():
        if name not in row:
            return f"field {name} is missing"
        if not _is_of_kind(row[name], kind):
            return shown(f"field {name}: expected {kind}, found {_repr.repr(row[name])[:40]}")
    return None


def _is_of_kind(value: object, kind: FieldKind) -> bool:
    name, _, null = kind.partition(" or ")
    return bool(null) if value is None else _KINDS[name](value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and whole_text(value) == value


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) < value < 2**63


_KINDS: Final[dict[str, Callable[[object], bool]]] = {
    "text": _is_text,
    "prose": lambda value: isinstance(value, str),
    "integer": _is_integer,
    "integer seconds": is_moment,
    "number": is_number,
    "date": is_date,
    "list": lambda value: isinstance(value, list),
}


def _end_of(request: HttpRequest) -> str:
    """Return the part of a request that tells it from the others, for the place of a record."""
    said = str(request).removeprefix("GET ")
    return said if len(said) <= 90 else f"…{said[-89:]}"


def _said(answer: HttpAnswer) -> str:
    try:
        body = read_json(answer.body)
        said = body["error"] if "error" in body else body["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return shown(f": {str(said)[:100] if isinstance(said, str | int | float) else _repr.repr(said)[:100]}")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS_OF_INTEGERS else float(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
