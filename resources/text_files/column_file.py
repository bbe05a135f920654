"""Rows of a user's Parquet or text file in the shape that a kind of data has, and errors that name column and place.

How the ``files`` source reads belongs here: finding the columns, choosing the rows of a key, refusing what cannot be
read and counting what is left out or assumed. How bytes become values is ``text_files.rows``' business, what the
columns mean is the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from resources.text_files.column_names import COLUMNS_VARIABLE, matching_columns
from resources.text_files.rows import KIND_IN_WORDS, NO_KEY, PARQUET, Kind, Rows, RowsFile, open_rows
from trading_dag.arrays import BoolArray, IntArray
from trading_dag.errors import SourceFormatError

if TYPE_CHECKING:
    from resources.text_files.values import DateOrder

ZONE_VARIABLE: Final = "TRADING_DAG_FILES_ZONE"
TEXT_SUFFIXES: Final = (".csv", ".csv.gz", ".txt", ".txt.gz", ".tsv")
SUFFIXES: Final = (PARQUET, *TEXT_SUFFIXES)
NO_ZONE: Final = "says no time zone"
_DATE_ONLY: Final = re.compile(r"'\d{4}-?\d{2}-?\d{2}' on|'\d{1,2}[/.]\d{1,2}[/.]\d{4}' on")
_NAMES_SHOWN: Final = 12
# What yfinance writes above the dates, and the last line of its header.
YFINANCE_HEAD: Final = "Price"
_SECOND_HEADER_ENDS: Final = 3
# The names that Yahoo gives to what the project calls otherwise.
_YAHOO_INDEX: Final = {"^GSPC": "SPX", "^IXIC": "COMP"}


@dataclass(frozen=True)
class FileShape:
    """The columns that a file must or may have.

    Attributes
    ----------
    required, optional : column and what it holds; optional ones are read where they are there.
    key : text column that says whose row it is; None where rows belong to nobody.
    time : date or moment column, by which rows are chosen and sorted.
    is_key_unique : whether a key has one row at a time.
    is_multiline : whether quoted texts may hold line breaks.
    """

    required: Mapping[str, Kind]
    time: str
    key: str | None = None
    optional: Mapping[str, Kind] = field(default_factory=dict)
    is_key_unique: bool = False
    is_multiline: bool = False

    @property
    def kinds(self) -> dict[str, Kind]:
        """Return every column with its kind."""
        return {**self.required, **self.optional}

    @property
    def in_words(self) -> str:
        """Return the required columns in words, for messages."""
        return ", ".join(f"{name} ({KIND_IN_WORDS[kind]})" for name, kind in self.required.items())


@dataclass(frozen=True)
class ReadingRules:
    """Holds what the user says about all files of the folder.

    Attributes
    ----------
    columns : own name by wanted name, by kind of file.
    zone : where the clocks of moments hang that say no time zone; None refuses them.
    date_order : of day and month in 01/02/2024.
    """

    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    zone: str | None = None
    date_order: DateOrder | None = None


@dataclass(frozen=True)
class FileRows:
    """Holds the rows of a file in the columns of its shape.

    Attributes
    ----------
    frame : by wanted names, ascending by key and time.
    lines : where each row stands, (n,).
    notes : what was left out or assumed, each with its count.
    keys : rows of the file by key as written.
    """

    frame: pd.DataFrame
    lines: IntArray
    notes: tuple[str, ...]
    keys: Mapping[str, int]

    def where(self, is_kept: BoolArray | pd.Series, note: str = "") -> FileRows:
        """Return the rows of a mask, with one more note where it is not empty."""
        mask = np.asarray(is_kept, dtype=np.bool_)
        notes = (*self.notes, note) if note else self.notes
        return replace(self, frame=self.frame[mask].reset_index(drop=True), lines=self.lines[mask], notes=notes)


@dataclass(frozen=True)
class ColumnFile:
    """Reads a file of a known shape.

    Attributes
    ----------
    path, kind, shape : where, of what kind (``prices_daily``), and what it holds.
    rules : what the user says about files.
    owner : whose rows the file holds, where its name says it; its key column may then be absent.
    """

    path: Path
    kind: str
    shape: FileShape
    rules: ReadingRules = ReadingRules()
    owner: str | None = None

    @cached_property
    def columns(self) -> dict[str, str]:
        """Return the file's own name of each column of the shape that it has.

        Raises
        ------
        SourceFormatError : for an unreadable file, or a column that is missing or ambiguous.
        """
        shape, names = self.shape, self._file.names
        try:
            matched = matching_columns(names, tuple(shape.kinds), said=self.rules.columns.get(self.kind))
        except ValueError as error:
            raise self.format_error(str(error)) from error
        if self.owner and shape.time not in matched and names[:1] == (YFINANCE_HEAD,):
            matched[shape.time] = YFINANCE_HEAD
        for name in shape.required:
            if name not in matched and not (self.owner and name == shape.key):
                hint = self._hint(name, matched)
                raise self.format_error(f"is missing; the file has {', '.join(names)}{hint}", name)
        return matched

    def read(self, keys: Iterable[str] | None = None, *, since: pd.Timestamp | None = None) -> FileRows:
        """Return the rows of some keys, or all, from a day on (inclusive), in the types of the shape.

        Raises
        ------
        SourceFormatError : for an unreadable file, a column that is missing or of another type, a value of the wanted
            rows that cannot be read, a time that is missing, or a repeated key where it must be unique.
        """
        columns, shape = self.columns, self.shape
        own = self._own_kinds
        key = columns.get(shape.key or "")
        wanted = None if keys is None or key is None else {canonical_key(name): name for name in keys}
        file_rows = self._file.read(
            own, key=key, is_wanted=None if wanted is None else lambda name: canonical_key(name) in wanted
        )
        self._refuse_other_owner(file_rows)
        file_rows, left_out = _without_second_header(file_rows, columns, shape, is_owned=self.owner is not None)
        if file_rows.unreadable.any():
            raise self._unreadable(file_rows)
        frame = pd.DataFrame({name: file_rows.frame[own_name] for name, own_name in columns.items()})
        self._refuse_missing_time(frame, file_rows)
        notes = list(file_rows.notes) + left_out
        if file_rows.keys and file_rows.keys.get(NO_KEY):
            notes.append(f"{file_rows.keys[NO_KEY]:,} rows without {shape.key} are left out")
        if wanted is not None and shape.key:
            frame = frame.assign(**{shape.key: frame[shape.key].map(lambda name: wanted[canonical_key(name)])})
            notes += self._respelt(file_rows.keys or {}, wanted)
        elif self.owner is not None and shape.key:
            frame = frame.assign(**{shape.key: self.owner})
        rows = FileRows(
            frame, file_rows.lines, tuple(f"{self.path.name}: {note}" for note in notes), file_rows.keys or {}
        )
        if since is not None:
            rows = rows.where(frame[shape.time] >= _like(since, frame[shape.time]))
        return self._sorted(rows)

    def check(self) -> str:
        """Return what the file's columns were taken for, after its header and first rows were read.

        Raises
        ------
        SourceFormatError : as ``read``, for what the first rows show.
        """
        own = self._own_kinds
        first = self._file.first(own)
        first, _ = _without_second_header(first, self.columns, self.shape, is_owned=self.owner is not None)
        if first.unreadable.any():
            raise self._unreadable(first)
        if first.frame.empty:
            raise self.format_error("has no rows")
        renamed = [f"{name} is {own_name!r}" for name, own_name in self.columns.items() if name != own_name]
        return f"{self.path} ({', '.join(renamed)})" if renamed else str(self.path)

    def has_key(self, key: str) -> bool:
        """Return whether the file has rows of a key."""
        return any(canonical_key(name) == canonical_key(key) for name in self.rows_by_key())

    def rows_by_key(self) -> dict[str, int]:
        """Return rows by key, as the file writes it; none where its name says whose it is."""
        own = self.columns.get(self.shape.key or "")
        return {} if own is None else dict(self._file.read({own: "text"}, key=own).keys or {})

    def require(self, is_right: pd.Series, rows: FileRows, column: str, expected: str) -> None:
        """Nothing is returned; rows that break a rule are refused by count, first place and value.

        Raises
        ------
        SourceFormatError : where some row is not right.
        """
        wrong = np.flatnonzero(~np.asarray(is_right, dtype=np.bool_))
        if len(wrong):
            value = rows.frame[column].iloc[wrong[0]]
            raise self.format_error(
                f"{len(wrong):,} values, the first {value} {self.place(rows, int(wrong[0]))}: {expected}", column
            )

    def place(self, rows: FileRows, position: int) -> str:
        """Return where a row stands, in words."""
        return f"{'on' if self._file.place == 'line' else 'in'} {self._file.place} {rows.lines[position]}"

    def refuse_future(self, rows: FileRows) -> None:
        """Nothing is returned; moments that have not come are refused.

        Raises
        ------
        SourceFormatError : naming the first.
        """
        moments = rows.frame[self.shape.time]
        late = np.flatnonzero((moments > pd.Timestamp.now("UTC")).to_numpy())
        if len(late):
            first, where = moments.iloc[late[0]], self.place(rows, int(late[0]))
            raise self.format_error(
                f"{len(late):,} rows lie in the future, the first at {first} {where}", self.shape.time
            )

    def format_error(self, problem: str, column: str | None = None) -> SourceFormatError:
        """Return the error that names the file, the column and what was expected."""
        own = self.rules.columns.get(self.kind, {}).get(column or "") if column else None
        name = f"{column} ({own!r})" if own else column
        return SourceFormatError(
            source="files",
            request=str(self.path),
            problem=f"column {name}: {problem}" if column else problem,
            remedy=f"Expected columns: {self.shape.in_words}.",
        )

    @property
    def _own_kinds(self) -> dict[str, Kind]:
        """What each column of the file that is read holds; one that the user names twice is read once."""
        return {self.columns[name]: kind for name, kind in self.shape.kinds.items() if name in self.columns}

    @cached_property
    def _file(self) -> RowsFile:
        return open_rows(
            self.path,
            refuse=self.format_error,
            remedy=f"Expected columns: {self.shape.in_words}.",
            zone=self.rules.zone,
            date_order=self.rules.date_order,
            is_multiline=self.shape.is_multiline,
        )

    def _hint(self, name: str, matched: Mapping[str, str]) -> str:
        if name == self.shape.key and self.kind == "prices_daily":
            return f"; without it name the file after its ticker, such as GLD{self.path.suffix}"
        if name == "adj_close" and "close" in matched:
            return (
                f"; where {matched['close']} is adjusted for dividends already, or none were paid, say so with "
                f'{COLUMNS_VARIABLE}=\'{{"{self.kind}": {{"adj_close": "{matched["close"]}"}}}}\''
            )
        return f'; another name is said with {COLUMNS_VARIABLE}=\'{{"{self.kind}": {{"{name}": "…"}}}}\''

    def _unreadable(self, rows: Rows) -> SourceFormatError:
        """Return the error of the first value that cannot be read, with the number of rows that have such values."""
        own, problem = self._file.problem(self._own_kinds, int(rows.lines[np.flatnonzero(rows.unreadable)[0]]))
        column = next(name for name, own_name in self.columns.items() if own_name == own)
        if _DATE_ONLY.search(problem) and self.shape.kinds[column] == "moment":
            problem += ", it is a date without a time of day; when in the day the row was is not told"
        elif NO_ZONE in problem:
            problem += f"; write 2024-11-15T14:30Z, or say where all clocks hang: {ZONE_VARIABLE}=America/New_York"
        return self.format_error(f"{problem} ({int(rows.unreadable.sum()):,} rows cannot be read)", column)

    def _refuse_other_owner(self, rows: Rows) -> None:
        column = self.columns.get(self.shape.key or "")
        if self.owner is None or column is None:
            return
        others = [name for name in rows.keys or {} if name and canonical_key(name) != canonical_key(self.owner)]
        if others:
            raise self.format_error(
                f"the file's name says {self.owner}, its rows say {', '.join(others[:_NAMES_SHOWN])}", self.shape.key
            )

    def _refuse_missing_time(self, frame: pd.DataFrame, rows: Rows) -> None:
        missing = np.flatnonzero(frame[self.shape.time].isna().to_numpy())
        if len(missing):
            where = f"{self._file.place} {rows.lines[missing[0]]}"
            raise self.format_error(f"is missing in {len(missing):,} rows, the first {where}", self.shape.time)

    def _respelt(self, keys: Mapping[str, int], wanted: Mapping[str, str]) -> list[str]:
        """Return a note for each key of the file that is written in another way than it was asked for."""
        return [
            f"{count:,} rows of {name!r} are taken as {wanted[canonical_key(name)]}"
            for name, count in keys.items()
            if canonical_key(name) in wanted and name.replace("-", ".") != wanted[canonical_key(name)].replace("-", ".")
        ]

    def _sorted(self, rows: FileRows) -> FileRows:
        shape = self.shape
        by = [*([shape.key] if shape.key else []), shape.time]
        if shape.is_key_unique:
            repeated = np.flatnonzero(rows.frame.duplicated(by).to_numpy())
            if len(repeated):
                first = rows.frame.iloc[repeated[0]]
                of = f"{first[shape.key]} " if shape.key else ""
                raise self.format_error(
                    f"{len(repeated):,} rows repeat {' and '.join(by)}, the first is {of}{first[shape.time]:%Y-%m-%d} "
                    f"{self.place(rows, int(repeated[0]))}"
                )
        order = rows.frame.sort_values(by, kind="stable").index.to_numpy()
        return replace(rows, frame=rows.frame.iloc[order].reset_index(drop=True), lines=rows.lines[order])


def canonical_key(name: str) -> str:
    """Return one spelling for the ways in which people write a symbol: ``spy``, ``^VIX``, ``BRK-B``, ``^GSPC``."""
    plain = name.strip().upper()
    return _YAHOO_INDEX.get(plain, plain).removeprefix("^").replace("-", ".")


def _without_second_header(
    rows: Rows, columns: Mapping[str, str], shape: FileShape, *, is_owned: bool
) -> tuple[Rows, list[str]]:
    """Return the rows without the two lines that yfinance writes below its header (``Ticker,GLD,…`` and
    ``Date,,…``).
    """
    is_extra = np.zeros(len(rows.lines), dtype=np.bool_)
    if is_owned and columns.get(shape.time) == YFINANCE_HEAD:
        is_extra = (rows.lines <= _SECOND_HEADER_ENDS) & rows.frame[YFINANCE_HEAD].isna().to_numpy()
    if not is_extra.any():
        return rows, []
    is_row = ~is_extra
    note = f"{int(is_extra.sum())} further lines of the header are no rows"
    return (
        replace(
            rows,
            frame=rows.frame[is_row].reset_index(drop=True),
            lines=rows.lines[is_row],
            unreadable=rows.unreadable[is_row],
        ),
        [note],
    )


def _like(day: pd.Timestamp, values: pd.Series) -> pd.Timestamp:
    """Return a day as the values are: with their time zone, or without one."""
    return day if values.dt.tz is None or day.tzinfo is not None else day.tz_localize("UTC")


def names_in_words(keys: Mapping[str, int]) -> str:
    """Return some of the names, and how many more there are."""
    names = sorted(keys)
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
