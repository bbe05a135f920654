"""Rows of a Parquet or text file in the types that are asked for, each with the place at which it stands.

The two ways of reading meet here: text by ``text_files.reader``, Parquet by Arrow with its own types. What columns are
called, which rows are wanted and what is refused is ``text_files.column_file``' business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol

import numpy as np
import pandas as pd

from resources.text_files.columns import Column, Remark, TypedColumn, merged_remarks, shown, typed_column
from resources.text_files.reader import TextFile, open_text_file
from trading_dag.arrays import BoolArray, IntArray
from trading_dag.errors import SourceFormatError
from trading_dag.sessions import NEW_YORK, TIME_UNIT

if TYPE_CHECKING:
    import pyarrow as pa

    from resources.text_files.values import DateOrder

Kind = Literal["text", "number", "date", "moment"]
KIND_IN_WORDS: Final[dict[Kind, str]] = {
    "text": "text", "number": "a number", "date": "a date", "moment": "a moment with a time zone",
}  # fmt: skip
PARQUET: Final = ".parquet"
FIRST_ROWS: Final = 100
NO_KEY: Final = ""
TIME_OF_DAY: Final = "has a time of day, expected a date"


@dataclass(frozen=True)
class Rows:
    """Rows as they were read.

    Attributes
    ----------
    frame : the wanted columns by the file's own names, on a plain index.
    lines : the line (of a text file) or row (of Parquet), counted from 1, on which each stands, (n,).
    unreadable : whether some value of the row could not be read, (n,).
    notes : what was left out or assumed, in words, with its count and first place.
    keys : rows of the file by key, wanted or not, those without one under ``NO_KEY``; empty where no key was asked for.
    """

    frame: pd.DataFrame
    lines: IntArray
    unreadable: BoolArray
    notes: tuple[str, ...] = ()
    keys: Mapping[str, int] | None = None


class RowsFile(Protocol):
    """Describes a file that gives rows."""

    @property
    def place(self) -> str: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    def read(
        self, kinds: Mapping[str, Kind], *, key: str | None = None, is_wanted: Callable[[str], bool] | None = None
    ) -> Rows:
        """Return the rows whose key is wanted, or all."""

    def first(self, kinds: Mapping[str, Kind]) -> Rows:
        """Return some rows from the beginning."""

    def problem(self, kinds: Mapping[str, Kind], line: int) -> tuple[str, str]:
        """Return the column of the first value of a line that cannot be read, and what is wrong with it."""


@dataclass(frozen=True)
class TextRowsFile:
    """Reads a text file as rows.

    Attributes
    ----------
    text : the opened file.
    zone : of moments that say none; None refuses them.
    """

    text: TextFile
    zone: str | None = None
    place: str = "line"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the file's columns."""
        return self.text.names

    def read(
        self, kinds: Mapping[str, Kind], *, key: str | None = None, is_wanted: Callable[[str], bool] | None = None
    ) -> Rows:
        """Return the rows whose key is wanted; what the reader left out or assumed is counted for the whole file."""
        frames, lines, unreadable, remarks = [], [], [], []
        keys: dict[str, int] = {}
        for piece in self.text.pieces(kinds, zone=self.zone):
            is_kept = np.ones(len(piece.frame), dtype=np.bool_)
            if key is not None:
                for name, count in piece.frame[key].value_counts(dropna=False).items():
                    known = _key_name(name)
                    keys[known] = keys.get(known, 0) + int(count)
                if is_wanted is not None:
                    is_kept = piece.frame[key].isin([name for name in keys if is_wanted(name)]).to_numpy()
            frames.append(piece.frame[is_kept])
            lines.append(piece.lines[is_kept])
            unreadable.append(piece.unreadable[is_kept])
            remarks += [remark for remark in piece.remarks if remark.reason != "unreadable"]
        return Rows(
            pd.concat(frames, ignore_index=True),
            np.concatenate(lines),
            np.concatenate(unreadable),
            tuple(str(remark) for remark in merged_remarks(remarks)),
            keys,
        )

    def first(self, kinds: Mapping[str, Kind]) -> Rows:
        """Return the first rows, and nothing of the others where the first settle what is ambiguous."""
        pieces = self.text.pieces(kinds, rows=FIRST_ROWS, zone=self.zone)
        piece = next(pieces)
        return Rows(piece.frame, piece.lines, piece.unreadable)

    def problem(self, kinds: Mapping[str, Kind], line: int) -> tuple[str, str]:
        """Return the column and what is wrong with its value, in the reader's words."""
        texts = self.text.read(dict.fromkeys(kinds, "text"))
        typed = self.text.read(kinds, zone=self.zone)
        row, at = (int(np.flatnonzero(rows.lines == line)[0]) for rows in (texts, typed))
        for name, kind in kinds.items():
            value = texts.frame[name].iloc[row]
            if kind == "text" or pd.isna(value) or not pd.isna(typed.frame[name].iloc[at]):
                continue
            details = [one.detail for one in typed.remarks if one.column == name and one.reason == "unreadable"]
            if details:
                return name, f"expected {KIND_IN_WORDS[kind]}; {shown(value)!r} on line {line} {details[0]}"
        return next(iter(kinds)), f"line {line} cannot be read"


@dataclass(frozen=True)
class ParquetRowsFile:
    """Reads a Parquet file as rows.

    Attributes
    ----------
    path : where it is.
    refuse : makes the error of a problem and a column.
    zone : of moments that say none; None refuses them.
    """

    path: Path
    refuse: Callable[[str, str | None], SourceFormatError]
    zone: str | None = None
    place: str = "row"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the file's columns."""
        return tuple(self._schema.names)

    def read(
        self, kinds: Mapping[str, Kind], *, key: str | None = None, is_wanted: Callable[[str], bool] | None = None
    ) -> Rows:
        """Return the rows whose key is wanted; Arrow reads no others where it can tell."""
        import pyarrow as pa
        import pyarrow.compute as pc

        self._require_types(kinds)
        if key is None:
            return self._typed(self._table(list(kinds), None), kinds, lines=None, keys={})
        of_row = self._table([key], None).column(key).cast("string").combine_chunks()
        counts = {_key_name(one["values"]): int(one["counts"]) for one in pc.value_counts(of_row).to_pylist()}
        if is_wanted is None:
            return self._typed(self._table(list(kinds), None), kinds, lines=None, keys=counts)
        chosen = [name for name in counts if is_wanted(name)]
        lines = np.flatnonzero(of_row.to_pandas().isin(chosen).to_numpy()) + 1
        table = self._table(list(kinds), pc.field(key).cast("string").isin(pa.array(chosen, pa.string())))
        return self._typed(table, kinds, lines=lines, keys=counts)

    def first(self, kinds: Mapping[str, Kind]) -> Rows:
        """Return the first rows."""
        self._require_types(kinds)
        with self._reading():
            import pyarrow.dataset as ds

            head = ds.dataset(self.path, format="parquet").head(FIRST_ROWS, columns=list(kinds))
        return self._typed(head, kinds, lines=None, keys={})

    def problem(self, kinds: Mapping[str, Kind], line: int) -> tuple[str, str]:
        """Return the column and the value on that row."""
        table = self._table(list(kinds), None).slice(line - 1, 1)
        for name, kind in kinds.items():
            typed = self._column(table.column(name), name, kind, lines=np.array([line]))
            if typed.unreadable.any():
                value = shown(str(table.column(name)[0].as_py()))
                detail = typed.remarks[0].detail if typed.remarks else "cannot be read"
                return name, f"expected {KIND_IN_WORDS[kind]}; {value!r} in row {line} {detail}"
        return next(iter(kinds)), f"row {line} cannot be read"

    @cached_property
    def _schema(self) -> pa.Schema:
        import pyarrow.dataset as ds

        with self._reading():
            return ds.dataset(self.path, format="parquet").schema

    def _table(self, names: list[str], condition: object) -> pa.Table:
        import pyarrow.dataset as ds

        with self._reading():
            return ds.dataset(self.path, format="parquet").to_table(columns=names, filter=condition)

    def _reading(self) -> _ArrowErrors:
        return _ArrowErrors(self.refuse)

    def _require_types(self, kinds: Mapping[str, Kind]) -> None:
        import pyarrow.types as of

        for name, kind in kinds.items():
            actual = self._schema.field(name).type
            inner = actual.value_type if of.is_dictionary(actual) else actual
            is_text = of.is_string(inner) or of.is_large_string(inner) or of.is_string_view(inner)
            is_right = (
                of.is_null(actual)
                or {
                    "text": is_text,
                    "number": of.is_integer(actual) or of.is_floating(actual) or of.is_decimal(actual),
                    "moment": is_text or of.is_timestamp(actual),
                    "date": is_text or of.is_date(actual) or of.is_timestamp(actual),
                }[kind]
            )
            if not is_right:
                raise self.refuse(f"expected {KIND_IN_WORDS[kind]}, found {actual}", name)
            if kind == "moment" and of.is_timestamp(actual) and actual.tz is None and self.zone is None:
                raise self.refuse(f"expected {KIND_IN_WORDS[kind]}, found {actual}", name)

    def _typed(
        self, table: pa.Table, kinds: Mapping[str, Kind], *, lines: IntArray | None, keys: Mapping[str, int]
    ) -> Rows:
        where = np.arange(1, len(table) + 1) if lines is None else lines
        with self._reading():
            typed = {name: self._column(table.column(name), name, kind, lines=where) for name, kind in kinds.items()}
        unreadable = np.zeros(len(table), dtype=np.bool_)
        for column in typed.values():
            unreadable |= column.unreadable
        remarks = chain.from_iterable(column.remarks for column in typed.values())
        notes = tuple(str(one) for one in remarks if one.reason != "unreadable")
        return Rows(pd.DataFrame({name: one.values for name, one in typed.items()}), where, unreadable, notes, keys)

    def _column(self, values: pa.ChunkedArray, name: str, kind: Kind, *, lines: IntArray) -> TypedColumn:
        import pyarrow as pa
        import pyarrow.types as of

        if of.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        readable = np.zeros(len(values), dtype=np.bool_)
        if of.is_null(values.type):
            empty = {"text": "str", "number": "float64", "date": f"datetime64[{TIME_UNIT}]"}
            dtype = empty.get(kind, f"datetime64[{TIME_UNIT}, UTC]")
            return TypedColumn(pd.Series([None] * len(values), dtype=dtype), readable, ())
        if not (of.is_timestamp(values.type) or of.is_date(values.type)) and kind in ("date", "moment"):
            texts = values.cast(pa.string()).fill_null("")
            return typed_column(texts, Column(name, kind, zone=self.zone), lines=lines)
        column: pd.Series = values.to_pandas(date_as_object=False)
        if kind == "text":
            return TypedColumn(
                pd.Series(column.astype("object").where(column.notna(), np.nan).astype("str")), readable, ()
            )
        if kind == "number":
            return TypedColumn(pd.Series(column.astype("float64")), readable, ())
        if kind == "moment":
            zoned = (
                column
                if column.dt.tz is not None
                else column.dt.tz_localize(self.zone, ambiguous="NaT", nonexistent="NaT")
            )
            unclear = (zoned.isna() & column.notna()).to_numpy()
            return TypedColumn(pd.Series(zoned.dt.tz_convert("UTC").dt.as_unit(TIME_UNIT)), unclear, ())
        return _as_dates(column, name, lines)


def _key_name(name: object) -> str:
    """Return a key as text; NO_KEY for a missing one."""
    return NO_KEY if name is None or pd.isna(name) else str(name)  # type: ignore[call-overload]


def _as_dates(column: pd.Series, name: str, lines: IntArray) -> TypedColumn:
    """Midnights as dates, those of the column's own time zone or of New York; any other time of day is unreadable."""
    days = column
    if column.dt.tz is not None:
        days = column.dt.tz_localize(None)
        if (days.dropna() != days.dropna().dt.normalize()).any():
            days = column.dt.tz_convert(NEW_YORK).dt.tz_localize(None)
    has_time = (days.notna() & (days != days.dt.normalize())).to_numpy()
    remarks: tuple[Remark, ...] = ()
    if has_time.any():
        first = int(np.flatnonzero(has_time)[0])
        remarks = (
            Remark("unreadable", int(has_time.sum()), int(lines[first]), str(column.iloc[first]), name, TIME_OF_DAY),
        )
    return TypedColumn(pd.Series(days.dt.as_unit(TIME_UNIT)), has_time, remarks)


class _ArrowErrors:
    """Turns Arrow's errors about a file into the project's."""

    def __init__(self, refuse: Callable[[str, str | None], SourceFormatError]) -> None:
        self._refuse = refuse

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # Arrow's own errors are ValueError, OSError, TypeError or NotImplementedError.
        if isinstance(error, ValueError | OSError | TypeError | NotImplementedError):
            raise self._refuse(f"cannot be read: {error}", None) from error


def open_rows(
    path: Path,
    *,
    refuse: Callable[[str, str | None], SourceFormatError],
    remedy: str,
    zone: str | None = None,
    date_order: DateOrder | None = None,
    is_multiline: bool = False,
) -> RowsFile:
    """Return the file as rows: Parquet where its name says so, otherwise text.

    Parameters
    ----------
    refuse : makes the error of a problem and a column.
    remedy : what to do about an error of a text file.
    zone : of moments that say none; None refuses them.
    date_order, is_multiline : as ``open_text_file`` takes them.

    Raises
    ------
    SourceFormatError : for a file that cannot be read.
    """
    if path.name.endswith(PARQUET):
        return ParquetRowsFile(path, refuse, zone)
    text = open_text_file(path, source="files", remedy=remedy, date_order=date_order, is_multiline=is_multiline)
    return TextRowsFile(text, zone)
