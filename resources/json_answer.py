"""JSON answers of vendors, checked before they are read: the status, that it is JSON, and the type of each field.

What is the same for all vendors of JSON belongs here. Which fields an answer has is said by its client.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal, NoReturn

from resources.http import HttpAnswer, HttpRequest, bare_secrets
from trading_dag.errors import SourceFormatError, SourceOffError, SourceUnavailableError

FieldKind = Literal["text", "integer", "integer or null", "number", "number or null", "date", "list"]
_OK: Final = 200
_REFUSED: Final = (401, 403)


@dataclass(frozen=True)
class Vendor:
    """Who answers.

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
        """What the JSON says.

        Raises
        ------
        SourceOffError : for a refused key (401, 403).
        SourceUnavailableError : for another refusal.
        SourceFormatError : for what is no JSON: a page, half an answer, NaN.
        """
        if answer.status in _REFUSED and self.key_variable:
            what = "refuses the key" if answer.status == _REFUSED[0] else "does not give this to the key's plan"
            raise SourceOffError(
                source=self.source,
                request=str(request),
                problem=f"{self.title} {what} ({answer.status}{_said(request, answer)})",
                remedy=f"Set {self.key_variable} to a valid key of a plan that has it, or unset it to switch this off.",
            )
        if answer.status != _OK:
            raise SourceUnavailableError(
                source=self.source,
                request=str(request),
                problem=f"{self.title} refuses the request (status {answer.status}{_said(request, answer)})",
                remedy="Try again later; nothing that is stored was changed.",
            )
        try:
            return json.loads(answer.body, parse_constant=_no_constant)
        except ValueError as error:
            problem = f"the answer is no JSON (begins with {_shown(request, answer.text[:40])!r})"
            raise self.format_error(request, problem) from error

    def require_rows(self, request: HttpRequest, rows: object, fields: Mapping[str, FieldKind]) -> list[dict[str, Any]]:
        """The rows, if they are a list of objects whose fields have the given kinds. Other fields are ignored.

        Raises
        ------
        SourceFormatError : naming the row and the field.
        """
        if not isinstance(rows, Sequence) or isinstance(rows, str):
            raise self.format_error(request, f"expected a list, found {type(rows).__name__}")
        for position, row in enumerate(rows):
            if not isinstance(row, dict):
                raise self.format_error(request, f"row {position}: expected an object, found {type(row).__name__}")
            self.require_fields(request, row, fields, where=f"row {position}")
        return list(rows)

    def require_fields(
        self, request: HttpRequest, row: Mapping[str, Any], fields: Mapping[str, FieldKind], *, where: str
    ) -> None:
        """Refuse an object without one of the fields, or with one of another kind.

        Raises
        ------
        SourceFormatError : naming the field.
        """
        for name, kind in fields.items():
            if name not in row:
                raise self.format_error(request, f"{where}: field {name} is missing")
            if not _is_of_kind(row[name], kind):
                found = _shown(request, repr(row[name])[:30])
                raise self.format_error(request, f"{where}: field {name}: expected {kind}, found {found}")

    def format_error(self, request: HttpRequest, problem: str) -> SourceFormatError:
        """The error of an answer in another shape."""
        return SourceFormatError(
            source=self.source,
            request=str(request),
            problem=problem,
            remedy=f"Try again later; if it stays, {self.title} has changed its answers.",
        )


def _is_of_kind(value: object, kind: FieldKind) -> bool:
    if kind == "text":
        return isinstance(value, str)
    if kind == "list":
        return isinstance(value, list)
    if kind == "date":
        return isinstance(value, str) and _is_date(value)
    if value is None:
        return kind.endswith("or null")
    if isinstance(value, bool):
        return False
    return isinstance(value, int) if kind.startswith("integer") else isinstance(value, int | float)


def _is_date(value: str) -> bool:
    try:
        return len(value) == len("2024-11-15") and bool(date.fromisoformat(value))
    except ValueError:
        return False


def _said(request: HttpRequest, answer: HttpAnswer) -> str:
    try:
        body = json.loads(answer.body)
        said = body["error"] if "error" in body else body["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f": {_shown(request, str(said)[:100])}"


def _shown(request: HttpRequest, text: str) -> str:
    for secret in bare_secrets(request):
        text = text.replace(secret, "***")
    return text


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
