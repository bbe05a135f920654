"""Values of text files: what a number, a date or a moment may look like, and what is said where one does not.

Pure functions from one text to one value belong here, and what a whole file says about its decimal mark and the order
of day and month. Files and columns are ``text_files.reader``'.

Everything that is read other than as written plainly (15,000 as 15000, ``--`` as missing, 01/19/2024 as 19 January) is
an assumption and carries its name, so that the reader can count it. What may mean two things is no value.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

DecimalMark = Literal[".", ","]
DateOrder = Literal["month_first", "day_first"]

# What people and programs write where there is no value. In a column of text only the blank is: NA is a ticker.
MISSING_MARKS: Final = frozenset({
    "-", "--", "---", "\u2013", "\u2014", ".", "na", "n/a", "#n/a", "#na", "n.a.", "nan", "-nan", "nat", "null", "none",
    "\\n",
})  # fmt: skip
TWO_ORDERS: Final = "may be month/day or day/month: no value of the file says which"
_PLAIN: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_GROUPED: Final[dict[DecimalMark, re.Pattern[str]]] = {
    ".": re.compile(r"([+-]?[1-9][0-9]{0,2}(?:[,\u00a0\u202f][0-9]{3})+)(\.[0-9]*)?"),
    ",": re.compile(r"([+-]?[1-9][0-9]{0,2}(?:[.\u00a0\u202f][0-9]{3})+)(,[0-9]*)?"),
}
_COMMA_DECIMAL: Final = re.compile(r"[+-]?[0-9]*,[0-9]+")
_THOUSANDS: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:[.,][0-9]{3})+")
_DECORATED: Final = re.compile(
    r"(?P<sign>[+-]?)(?P<currency>\$?)\s*(?P<number>[+-]?[0-9.,\u00a0\u202f]+(?:e[+-]?[0-9]{1,3})?)\s*(?P<unit>[KMB%]?)",
    re.IGNORECASE,
)
_UNITS: Final = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}

_ISO_DATE: Final = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})|(\d{4})/(\d{1,2})/(\d{1,2})|(\d{4})(\d{2})(\d{2})", re.ASCII
)
_MIDNIGHT: Final = re.compile(r"(?:[T ]\s*)(\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(Z|UTC|[+-]\d{2}:?\d{2})?", re.ASCII)
_TWO_ORDERS: Final = re.compile(r"(\d{1,2})([/-])(\d{1,2})\2(\d{4})", re.ASCII)
_DOTTED: Final = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", re.ASCII)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_NAMES: Final = {
    name: number + 1
    for number, names in enumerate(
        zip(
            _MONTHS, ("uary", "ruary", "ch", "il", "", "e", "y", "ust", "tember", "ober", "ember", "ember"), strict=True
        )
    )
    for name in (names[0], "".join(names))
} | {"sept": 9}
_DAY_NAME_YEAR: Final = re.compile(r"(\d{1,2})[- ]([a-z]{3,9})[- ,]\s*(\d{4})", re.IGNORECASE | re.ASCII)
_NAME_DAY_YEAR: Final = re.compile(r"([a-z]{3,9})\.?[- ](\d{1,2}),?\s+(\d{4})", re.IGNORECASE | re.ASCII)
_ZONED: Final = re.compile(r"[T ]\s*\d{1,2}(?::?\d{2}){0,2}(?:[.,]\d+)?\s*(?:Z|[+-]\d{2}(?::?\d{2})?)$", re.IGNORECASE)


@dataclass(frozen=True)
class Value:
    """Holds what a text was read as.

    Attributes
    ----------
    value : a float, a ``datetime.date`` or a ``datetime.datetime`` in UTC; None where it is missing or unreadable.
    assumed : what the reader took for granted, such as "a thousands separator"; empty where it is written plainly.
    problem : why it could not be read; empty where it could.
    """

    value: Any = None
    assumed: str = ""
    problem: str = ""


def is_missing_mark(text: str) -> bool:
    """Return whether a trimmed text stands for no value in a column of numbers, dates or moments, such as ``--`` or
    N/A.
    """
    return text.lower() in MISSING_MARKS


def unquoted(text: str) -> str:
    """Return a text without the blanks and the pair of quotes around it, which a blank after the delimiter leaves
    there.
    """
    trimmed = text.strip()
    return trimmed[1:-1].strip() if len(trimmed) > 1 and trimmed[0] == trimmed[-1] == '"' else trimmed


def number_of(text: str, *, mark: DecimalMark | None = ".", is_fraction: bool = False) -> Value:
    """Return a number as people and programs show it.

    Parameters
    ----------
    mark : what separates decimals in this file; None where nobody knows, which refuses 1,234 and 1.234.
    is_fraction : whether 16.85% may be written for 0.1685.

    Returns
    -------
    Value : of 1234.5, 1.2e3, 1,234.5, $585.75, 75.99M (with mark ``.``) or 1.234,5 (with mark ``,``); missing for the
        marks of ``MISSING_MARKS``. Unreadable is everything else, infinite numbers too.
    """
    trimmed = unquoted(text).replace("\u2212", "-")
    if not trimmed:
        return Value()
    if is_missing_mark(trimmed):
        return Value(assumed="missing")
    shown = _DECORATED.fullmatch(trimmed)
    if shown is None:
        return Value(problem="is no number")
    unit = shown["unit"].lower()
    inner = _written(shown["sign"] + shown["number"], mark)
    if inner.problem or not (shown["currency"] or unit):
        return inner
    if unit == "%":
        if not is_fraction:
            return Value(problem="is a percentage, expected a number")
        return Value(inner.value / 100.0, assumed="a percentage, as its hundredth")
    return _finite(inner.value * _UNITS[unit], "a unit (K, M, B), as multiplied" if unit else "a currency sign")


def decimal_mark(texts: Iterable[str], *, is_semicolon: bool) -> DecimalMark | None:
    """Return the decimal mark that values of a file prove; without a proof the point, unless semicolons separate its
    fields.

    Where commas separate fields, points are decimal marks as soon as one value proves it: 37,59 then is no number.

    Raises
    ------
    ValueError : where semicolons do, and some values prove the one and some the other, with the first of each.
    """
    examples: dict[DecimalMark, str] = {}
    for text in texts:
        trimmed = unquoted(text)
        if _THOUSANDS.fullmatch(trimmed):
            continue
        if _COMMA_DECIMAL.fullmatch(trimmed) or (("." in trimmed) and _GROUPED[","].fullmatch(trimmed)):
            examples.setdefault(",", trimmed)
        elif "." in trimmed and (_PLAIN.fullmatch(trimmed) or _GROUPED["."].fullmatch(trimmed)):
            examples.setdefault(".", trimmed)
    if len(examples) > 1 and not is_semicolon:
        return "."
    if len(examples) > 1:
        raise ValueError(f"decimals are written {examples['.']} here and {examples[',']} there")
    return next(iter(examples), None if is_semicolon else ".")


def date_of(text: str, *, order: DateOrder | None = None) -> Value:
    """Return a day: 2024-01-19, 20240119, 2024/01/19, 19.01.2024, 19-Jan-2024, Jan 19, 2024, or 01/19/2024 by the
    order.

    Parameters
    ----------
    order : of day and month in 01/02/2024; None where nobody knows, which refuses it.

    Returns
    -------
    Value : a date. A time of day is allowed where it is midnight; any other makes the text unreadable, for nobody knows
        whose day it belongs to.
    """
    trimmed = unquoted(text)
    if not trimmed:
        return Value()
    if is_missing_mark(trimmed):
        return Value(assumed="missing")
    day, assumed, rest = _split_day(trimmed, order)
    if day is None:
        is_open = order is None and _TWO_ORDERS.match(trimmed) is not None
        return Value(problem=TWO_ORDERS if is_open else "is no date")
    if rest:
        clock = _MIDNIGHT.fullmatch(rest)
        if clock is None:
            return Value(problem="is no date")
        if set(clock[1]) - set("0:."):
            return Value(problem="has a time of day, expected a date")
    try:
        return Value(dt.date(*day), assumed=assumed)
    except ValueError:
        return Value(problem="is no day of the calendar")


def date_order(texts: Iterable[str]) -> tuple[DateOrder | None, str]:
    """Return the order of day and month that dates like 01/19/2024 of a file prove, and the first that leaves it open.

    Returns
    -------
    (order, first) : None and an empty text where no value is written so.

    Raises
    ------
    ValueError : where some values prove the one and some the other, with the first of each.
    """
    proofs: dict[DateOrder, str] = {}
    first = ""
    for text in texts:
        match = _TWO_ORDERS.match(unquoted(text))
        if match is None:
            continue
        first = first or unquoted(text)
        left, right = int(match[1]), int(match[3])
        if left > 12 >= right:
            proofs.setdefault("day_first", unquoted(text))
        elif right > 12 >= left:
            proofs.setdefault("month_first", unquoted(text))
    if len(proofs) > 1:
        raise ValueError(f"{proofs['month_first']} begins with the month and {proofs['day_first']} with the day")
    return next(iter(proofs), None), first


def is_zoned(text: str) -> bool:
    """Return whether a moment says its time zone."""
    return _ZONED.search(unquoted(text)) is not None


def moment_of(text: str, *, zone: str | None = None) -> Value:
    """Return a moment in UTC, from ISO text with a time zone.

    Parameters
    ----------
    zone : where clocks are taken to hang whose text says none, such as ``UTC`` or ``America/New_York``; None refuses
        such a text.
    """
    trimmed = unquoted(text)
    if not trimmed:
        return Value()
    if is_missing_mark(trimmed):
        return Value(assumed="missing")
    if not is_zoned(trimmed) and zone is None:
        return Value(problem="says no time zone")
    try:
        moment = dt.datetime.fromisoformat(trimmed.replace(" +", "+").replace(" Z", "Z"))
        if moment.tzinfo is not None:
            return Value(moment.astimezone(dt.UTC))
        local = moment.replace(tzinfo=ZoneInfo(str(zone)))
        if local.utcoffset() != local.replace(fold=1).utcoffset():
            return Value(problem=f"comes twice or never in {zone}, where the clocks are set")
        return Value(local.astimezone(dt.UTC), assumed=f"{zone}, where no time zone is said")
    except (ValueError, OverflowError):
        return Value(problem="is no moment")


def _finite(value: float, assumed: str = "") -> Value:
    return Value(value, assumed=assumed) if abs(value) != float("inf") else Value(problem="is no finite number")


def _written(text: str, mark: DecimalMark | None) -> Value:
    """Return a number in digits, separators and an exponent."""
    if mark is None and _THOUSANDS.fullmatch(text):
        return Value(problem="may be decimals or thousands: no other value of the file says which")
    if _PLAIN.fullmatch(text) and (mark != "," or "." not in text):
        return _finite(float(text))
    if mark == "," and _COMMA_DECIMAL.fullmatch(text):
        return _finite(float(text.replace(",", ".")), "a decimal comma")
    grouped = None if mark is None else _GROUPED[mark].fullmatch(text)
    separators = set(grouped[1]) - set("+-0123456789") if grouped else set()
    if grouped is None or len(separators) > 1:
        return Value(problem="is no number")
    digits = grouped[1].replace(separators.pop(), "")
    return _finite(float(digits + (grouped[2] or "").replace(",", ".")), "a thousands separator")


def _split_day(text: str, order: DateOrder | None) -> tuple[tuple[int, int, int] | None, str, str]:
    """Year, month, day at the beginning of a text; what was assumed; and the rest of the text."""
    iso = _ISO_DATE.match(text)
    if iso is not None and not text[iso.end() : iso.end() + 1].isdigit():
        year, month, day = (int(part) for part in iso.groups() if part is not None)
        return (year, month, day), "", text[iso.end() :]
    two = _TWO_ORDERS.match(text)
    if two is not None and order is not None:
        left, right, year = int(two[1]), int(two[3]), int(two[4])
        month, day = (left, right) if order == "month_first" else (right, left)
        return (year, month, day), order.replace("_", " "), text[two.end() :]
    dotted = _DOTTED.match(text)
    if dotted is not None:
        return (int(dotted[3]), int(dotted[2]), int(dotted[1])), "day first, as points say", text[dotted.end() :]
    for pattern, places in ((_DAY_NAME_YEAR, (3, 2, 1)), (_NAME_DAY_YEAR, (3, 1, 2))):
        named = pattern.match(text)
        if named is not None:
            named_year, name, named_day = (named[place] for place in places)
            whole = (int(named_year), _MONTH_NAMES.get(name.lower(), 0), int(named_day))
            return whole, "", text[named.end() :]
    return None, "", ""
