"""Columns of text as typed columns, with a remark for whatever could not be read or was read by an assumption.

A column is converted by its distinct values, so that millions of rows with a few dates cost a few conversions; plain
numbers are cast by Arrow. What one value may look like is ``text_files.values``'.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from resources.text_files.values import DateOrder, DecimalMark, Value, date_of, moment_of, number_of, unquoted
from trading_dag.arrays import BoolArray, IntArray
from trading_dag.reporting.visible_text import visible
from trading_dag.sessions import TIME_UNIT

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["text", "number", "fraction", "date", "moment"]
FEWER_FIELDS: Final = "fewer_fields"
MORE_FIELDS: Final = "more_fields"
UNREADABLE: Final = "unreadable"
ASSUMED: Final = "assumed"
SHOWN_CHARACTERS: Final = 60
Lines = IntArray


@dataclass(frozen=True)
class Remark:
    """Describes something in a file that was left out, or read by an assumption.

    Attributes
    ----------
    reason : lines of ``fewer_fields`` or ``more_fields`` than the header are left out; an ``unreadable`` value counts
        as missing; an ``assumed`` one was read. Whoever takes out rows of their own adds reasons of their own.
    count : how often.
    line, value : the first place and what stands there.
    column : whose value; None for whole lines.
    detail : why, or what was assumed.
    """

    reason: str
    count: int
    line: int
    value: str
    column: str | None = None
    detail: str = ""

    def __str__(self) -> str:
        where = f"column {self.column}: " if self.column is not None else ""
        what = f"{self.count:,} {self.reason.replace('_', ' ')}" + (f" ({self.detail})" if self.detail else "")
        return f"{where}{what}, first on line {self.line}" + (f": {self.value}" if self.value else "")


@dataclass(frozen=True)
class Column:
    """Says how a column is read.

    Attributes
    ----------
    name, kind : of the file, and what it holds.
    mark, order, zone : as ``number_of``, ``date_of`` and ``moment_of`` take them.
    """

    name: str
    kind: Kind
    mark: DecimalMark | None = "."
    order: DateOrder | None = None
    zone: str | None = None

    @property
    def is_number(self) -> bool:
        """Return whether the column holds numbers."""
        return self.kind in ("number", "fraction")

    def value(self, text: str) -> Value:
        """Return one text read as the column's kind; an empty text is missing."""
        if self.kind == "text":
            return Value(unquoted(text) or None)
        if self.kind == "date":
            return date_of(text, order=self.order)
        if self.kind == "moment":
            return moment_of(text, zone=self.zone)
        return number_of(text, mark=self.mark, is_fraction=self.kind == "fraction")


@dataclass(frozen=True)
class TypedColumn:
    """Holds a converted column.

    Attributes
    ----------
    values : ``float64``, ``datetime64[us]``, ``datetime64[us, UTC]`` or ``str``, missing where nothing could be read.
    unreadable : where something stands that could not be read, (n,).
    remarks : on unreadable and assumed values.
    """

    values: pd.Series
    unreadable: BoolArray
    remarks: tuple[Remark, ...]


def typed_column(values: pa.ChunkedArray, column: Column, *, lines: Lines) -> TypedColumn:
    """Return the column's texts, or the numbers that Arrow read, in its type; ``lines`` are those of the file, (n,)."""
    import pyarrow as pa

    plain = values if pa.types.is_floating(values.type) else None
    if plain is None and column.is_number and column.mark == ".":
        plain = _plain_numbers(values)
    if plain is None:
        return _by_distinct_value(values, column, lines)
    return TypedColumn(pd.Series(plain.to_numpy().astype(np.float64)), np.zeros(len(lines), dtype=np.bool_), ())


def merged_remarks(remarks: Iterable[Remark]) -> tuple[Remark, ...]:
    """Return one remark for each reason, column and detail, in the order of their first lines."""
    merged: dict[tuple[str, str | None, str], Remark] = {}
    for remark in remarks:
        key = (remark.reason, remark.column, remark.detail)
        known = merged.get(key)
        if known is None:
            merged[key] = remark
        else:
            first = min(known, remark, key=lambda one: one.line)
            merged[key] = replace(first, count=known.count + remark.count)
    return tuple(sorted(merged.values(), key=lambda remark: (remark.line, remark.column or "", remark.detail)))


def shown(text: str) -> str:
    """Return a text of a file as it is quoted in a message: on one line, control characters shown, cut where it is
    long.
    """
    line = visible(" ".join(text[:1000].split()))
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}…"


def _plain_numbers(texts: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Return the numbers of a column in which each value is empty or a plain finite one; None for any other column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.ascii_trim_whitespace(texts)
    is_empty = pc.equal(trimmed, "")
    try:
        numbers = pc.cast(pc.if_else(is_empty, pa.scalar(None, pa.string()), trimmed), pa.float64())
    except pa.ArrowInvalid:
        return None
    # "inf" and "nan" are cast too, and are no plain numbers.
    return numbers if int(np.isfinite(numbers.to_numpy()).sum()) == len(numbers) - numbers.null_count else None


def _by_distinct_value(texts: pa.ChunkedArray, column: Column, lines: Lines) -> TypedColumn:
    encoded = texts.combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy().astype(np.int64)
    written = encoded.dictionary.to_pylist()
    read = [column.value(text) for text in written]
    values = _series([one.value for one in read], column.kind).take(codes).reset_index(drop=True)
    unreadable = np.array([bool(one.problem) for one in read], dtype=np.bool_)[codes] if read else _none(codes)
    notes = [(one.problem or one.assumed) for one in read]
    return TypedColumn(values, unreadable, tuple(_remarks(column, codes, written, notes, read, lines)))


def _remarks(
    column: Column, codes: Lines, written: list[str], notes: list[str], read: list[Value], lines: Lines
) -> Iterable[Remark]:
    kinds = list(dict.fromkeys((one.problem != "", note) for one, note in zip(read, notes, strict=True) if note))
    number = {kind: place for place, kind in enumerate(kinds)}
    of_distinct = np.array(
        [number.get((one.problem != "", note), -1) for one, note in zip(read, notes, strict=True)], dtype=np.int64
    )
    of_row = of_distinct[codes] if len(codes) else codes
    for place, (is_problem, note) in enumerate(kinds):
        rows = np.flatnonzero(of_row == place)
        yield Remark(
            UNREADABLE if is_problem else ASSUMED,
            len(rows),
            int(lines[rows[0]]),
            shown(written[codes[rows[0]]]),
            column=column.name,
            detail=note,
        )


def _series(values: list[object], kind: Kind) -> pd.Series:
    if kind == "text":
        return pd.Series(values, dtype="str")
    if kind == "date":
        return pd.Series(np.array(values, dtype="datetime64[D]").astype(f"datetime64[{TIME_UNIT}]"))
    if kind == "moment":
        return pd.Series(values, dtype=f"datetime64[{TIME_UNIT}, UTC]")
    return pd.Series(values, dtype="float64")


def _none(codes: Lines) -> BoolArray:
    return np.zeros(len(codes), dtype=np.bool_)
