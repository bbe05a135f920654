"""The one reader of text files: delimited text of any common dialect as typed columns, with what was left out.

``open_text_file`` finds out how a file is written (compression, encoding, delimiter, header) and says which columns it
has. ``TextFile.pieces`` and ``TextFile.read`` give the wanted ones in the types that are asked for::

    file = open_text_file(path, source="files", remedy="Expected columns: ticker, session, close.")
    found = file.read({"ticker": "text", "session": "date", "close": "number"})
    found.frame      # those columns, by the file's own names; NaN or NaT where missing or unreadable
    found.lines      # the line of the file that each row stands on
    found.remarks    # what was left out or assumed: reason, column, how often, first line and value

Types come from the caller, never from the first rows: numbers are ``float64``, dates ``datetime64[us]``, moments
``datetime64[us, UTC]``, texts ``str``. A line with fewer or more fields than the header is left out and counted, and so
is every value that cannot be read, and every one that is read other than as plainly written (15,000 as 15000, ``--`` as
missing). What may mean two things (1,234 among semicolons, 01/02/2024) is decided by other values of the file, or is
refused.

Parsing is Arrow's, piece by piece, so a file of any size is read in bounded memory. How a file is written is
``text_files.dialect``'s, how a column is converted ``text_files.columns``', a single value ``text_files.values``'; what
columns mean is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from resources.text_files.columns import (
    ASSUMED,
    FEWER_FIELDS,
    MORE_FIELDS,
    Column,
    Kind,
    Remark,
    merged_remarks,
    shown,
    typed_column,
)
from resources.text_files.dialect import CountedLines, Dialect, find_dialect, line_of_open_quote
from resources.text_files.values import DateOrder, DecimalMark, date_order, decimal_mark
from trading_dag.arrays import BoolArray, IntArray
from trading_dag.errors import SourceFormatError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

PIECE_ROWS: Final = 500_000
BLOCK_BYTES: Final = 1 << 22


@dataclass(frozen=True)
class TextRows:
    """Holds rows of a text file.

    Attributes
    ----------
    frame : the wanted columns in the order asked for, by the file's own names, on a plain index.
    lines : the line of the file that each row stands on, (n,); the record where values hold line breaks.
    unreadable_in : of each column that has a value which could not be read, the rows that have one, (n,).
    remarks : what was left out or assumed.
    """

    frame: pd.DataFrame
    lines: IntArray
    unreadable_in: dict[str, BoolArray] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()

    @property
    def unreadable(self) -> BoolArray:
        """Return whether a row has a value in any wanted column that could not be read, (n,)."""
        flags = np.zeros(len(self.lines), dtype=np.bool_)
        for mask in self.unreadable_in.values():
            flags |= mask
        return flags


@dataclass(frozen=True)
class TextFile:
    """Reads a text file whose dialect is known.

    Attributes
    ----------
    path, dialect : where it is and how it is written.
    source, remedy : who asks, and what to do about an error.
    date_order : of day and month in 01/02/2024, where the user says it.
    is_multiline : whether quoted values may hold line breaks.
    """

    path: Path
    dialect: Dialect
    source: str
    remedy: str
    date_order: DateOrder | None = None
    is_multiline: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns as the header gives them, without surrounding blanks."""
        return self.dialect.names

    def read(self, columns: Mapping[str, Kind], *, zone: str | None = None) -> TextRows:
        """Return every row at once, with the arguments and errors of ``pieces``."""
        pieces = list(self.pieces(columns, zone=zone))
        return TextRows(
            pd.concat([piece.frame for piece in pieces], ignore_index=True),
            np.concatenate([piece.lines for piece in pieces]),
            {
                name: np.concatenate([piece.unreadable_in.get(name, piece.lines < 0) for piece in pieces])
                for name in columns
                if any(name in piece.unreadable_in for piece in pieces)
            },
            merged_remarks(remark for piece in pieces for remark in piece.remarks),
        )

    def pieces(
        self, columns: Mapping[str, Kind], *, rows: int = PIECE_ROWS, zone: str | None = None
    ) -> Iterator[TextRows]:
        """Return the rows in order, at most so many at a time; at least one piece, which may have no rows.

        Lines on which every wanted column is empty are no rows.

        Parameters
        ----------
        columns : the wanted ones of ``names`` and what each holds. A fraction is a number that may be written as a
            percentage (16.85% is 0.1685).
        zone : of moments that say none, such as ``UTC``; None refuses them.

        Raises
        ------
        SourceFormatError : for a wanted column that is absent or there twice, text that is not in the encoding, quotes
            that do not close, or decimal marks or dates that contradict each other.
        """
        for name in columns:
            if self.names.count(name) != 1:
                often = "is missing" if name not in self.names else f"is there {self.names.count(name)} times"
                raise self.format_error(f"{often}; the file has {', '.join(self.names)}", column=name)
        try:
            mark, order = self._decimal_mark(columns), self._date_order(columns)
            wanted = [Column(name, kind, mark=mark, order=order, zone=zone) for name, kind in columns.items()]
            yield from self._typed_pieces(wanted, rows)
        except (ValueError, OSError, EOFError) as error:
            # Arrow's errors are ValueError or OSError, those of gzip OSError or EOFError, those of codecs ValueError.
            raise self._reading_error(error) from error

    def format_error(self, problem: str, *, column: str | None = None) -> SourceFormatError:
        """Return the error that names the file, the column and what to do."""
        text = f"column {column}: {problem}" if column else problem
        return SourceFormatError(
            source=self.source, request=str(self.path), problem=" ".join(text.split()), remedy=self.remedy
        )

    def _typed_pieces(self, wanted: list[Column], rows: int) -> Iterator[TextRows]:
        """Pieces with plain numbers as fast as Arrow reads them; from the first other value on, as text."""
        rows_before = 0
        if all(column.mark == "." for column in wanted):
            try:
                for piece in self._read_pieces(wanted, rows, as_numbers=True, rows_before=0):
                    yield piece
                    rows_before += rows
                return
            except ValueError:
                pass  # a number is not plain, or there is something wrong, which then is said
        yield from self._read_pieces(wanted, rows, as_numbers=False, rows_before=rows_before)

    def _read_pieces(
        self, wanted: list[Column], rows: int, *, as_numbers: bool, rows_before: int
    ) -> Iterator[TextRows]:
        """Return the pieces after ``rows_before`` rows, a multiple of ``rows``."""
        import pyarrow as pa

        numbers = [column.name for column in wanted if column.is_number and as_numbers]
        held = pa.table(
            {column.name: pa.array([], pa.float64() if column.name in numbers else pa.string()) for column in wanted}
        )
        refused, seen = _RefusedLines(), 0
        with CountedLines(self.path, self.dialect) as stream:
            for batch in self._batches(stream, [column.name for column in wanted], refused, numbers=numbers):
                held = pa.concat_tables([held, pa.Table.from_batches([batch])])
                while len(held) > rows:
                    piece, held = held.slice(0, rows), held.slice(rows)
                    if seen >= rows_before:
                        yield self._typed(piece, wanted, refused, first=seen)
                    seen += rows
            records = self.dialect.header_lines + seen + len(held) + len(refused.numbers)
            if not self.is_multiline and records < stream.lines:
                raise ValueError("quotes that do not close join lines")
        yield self._typed(held, wanted, refused, first=seen, remarks=(*self._assumed(), *refused.remarks()))

    def _assumed(self) -> Iterator[Remark]:
        if self.dialect.encoding == "cp1252":
            yield Remark(ASSUMED, 1, 1, self.path.name, detail="the encoding Windows-1252, since it is not UTF-8")

    def _typed(
        self,
        table: pa.Table,
        wanted: list[Column],
        refused: _RefusedLines,
        *,
        first: int,
        remarks: tuple[Remark, ...] = (),
    ) -> TextRows:
        """Return a piece in its types; ``first`` is the number of rows before it."""
        import pyarrow as pa
        import pyarrow.compute as pc

        lines = refused.lines_of(np.arange(first, first + len(table)), header_lines=self.dialect.header_lines)
        is_blank = np.ones(len(table), dtype=np.bool_)
        for values in table.columns:
            if is_blank.any():
                blank = pc.is_null(values) if pa.types.is_floating(values.type) else pc.equal(values, "")
                is_blank &= blank.to_numpy()
        if is_blank.any():
            table, lines = table.filter(pa.array(~is_blank)), lines[~is_blank]
        typed = [typed_column(table.column(column.name), column, lines=lines) for column in wanted]
        named = {column.name: one for column, one in zip(wanted, typed, strict=True)}
        return TextRows(
            pd.DataFrame({name: one.values for name, one in named.items()}),
            lines,
            {name: one.unreadable for name, one in named.items() if one.unreadable.any()},
            (*remarks, *(remark for one in typed for remark in one.remarks)),
        )

    def _batches(
        self, stream: CountedLines, wanted: Iterable[str], refused: _RefusedLines, *, numbers: Iterable[str] = ()
    ) -> Iterator[pa.RecordBatch]:
        """Return the wanted columns as text, some as plain finite numbers, batch by batch.

        Raises
        ------
        ValueError : for lines that cannot be split, or where one of the numbers is none.
        """
        import pyarrow as pa
        import pyarrow.csv as arrow_csv

        # By position, since names that nobody wants may be there twice.
        places = {name: str(self.names.index(name)) for name in wanted}
        keys = [str(place) for place in range(len(self.names))]
        types = dict.fromkeys(keys, pa.string()) | {places[name]: pa.float64() for name in numbers}
        convert = arrow_csv.ConvertOptions(
            column_types=types, include_columns=list(places.values()), null_values=["", " "], strings_can_be_null=False
        )
        parse = arrow_csv.ParseOptions(
            delimiter=self.dialect.delimiter,
            ignore_empty_lines=False,
            newlines_in_values=self.is_multiline,
            invalid_row_handler=refused,
        )
        # One thread, because with several the lines that are left out have no number.
        read = arrow_csv.ReadOptions(
            column_names=keys, skip_rows=self.dialect.header_lines, block_size=BLOCK_BYTES, use_threads=False
        )
        if self.dialect.has_rows:
            source = pa.PythonFile(stream, mode="r")
            for batch in arrow_csv.open_csv(source, read_options=read, parse_options=parse, convert_options=convert):
                named = batch.rename_columns(list(places))
                for name in numbers:
                    values = named.column(name)
                    # "nan" and "inf" are numbers to Arrow.
                    if np.isfinite(values.to_numpy(zero_copy_only=False)).sum() < len(values) - values.null_count:
                        raise ValueError(f"{name} has a value that is no finite number")
                yield named

    def _decimal_mark(self, columns: Mapping[str, Kind]) -> DecimalMark | None:
        numbers = [name for name, kind in columns.items() if kind in ("number", "fraction")]
        return decimal_mark(self._first_values(numbers), is_semicolon=self.dialect.delimiter == ";")

    def _date_order(self, columns: Mapping[str, Kind]) -> DateOrder | None:
        """Return the order of day and month that the user says, or all the dates of the file prove together."""
        dates = [name for name, kind in columns.items() if kind == "date"]
        if self.date_order is not None or not dates:
            return self.date_order
        # Files that write no such date on their first lines are not read twice for it.
        _, first = date_order(self._first_values(dates))
        return date_order(self._distinct(dates))[0] if first else None

    def _first_values(self, columns: list[str]) -> Iterator[str]:
        places = [self.names.index(name) for name in columns]
        return (fields[place] for fields in self.dialect.rows for place in places)

    def _distinct(self, columns: list[str]) -> Iterator[str]:
        """Return the different values of some columns of the whole file."""
        import pyarrow.compute as pc

        with CountedLines(self.path, self.dialect) as stream:
            for batch in self._batches(stream, columns, _RefusedLines()):
                for name in columns:
                    yield from pc.unique(batch.column(name)).to_pylist()

    def _reading_error(self, error: Exception) -> SourceFormatError:
        if isinstance(error, UnicodeError):
            return self.format_error(f"is not text in {self.dialect.encoding}: {error}; save it as UTF-8")
        can_be_quotes = isinstance(error, ValueError) and not self.is_multiline
        line = line_of_open_quote(self.path, self.dialect) if can_be_quotes else None
        if line is not None:
            return self.format_error(f"line {line}: a quote does not close on its line")
        return self.format_error(f"cannot be read: {error}")


def open_text_file(
    path: Path, *, source: str, remedy: str, date_order: DateOrder | None = None, is_multiline: bool = False
) -> TextFile:
    """Return a text file with its dialect, as ``find_dialect`` finds it, and so the names of its columns.

    Parameters
    ----------
    source, remedy : who asks, and what to do about an error.
    date_order : of day and month in 01/02/2024, where the user says it.
    is_multiline : whether quoted values may hold line breaks, as headlines do; otherwise a quote closes on its line,
        and one that does not is an error that names the line.

    Raises
    ------
    SourceFormatError : for a file that is absent, empty or no text, or a header that two delimiters split alike.
    """
    try:
        return TextFile(path, find_dialect(path), source, remedy, date_order, is_multiline)
    except (ValueError, OSError, EOFError) as error:
        problem = " ".join(f"cannot be read: {error}".split())
        raise SourceFormatError(source=source, request=str(path), problem=problem, remedy=remedy) from error


class _RefusedLines:
    """Takes the lines that Arrow cannot split into as many fields as the header has.

    Attributes
    ----------
    numbers : of those lines in the file, ascending.
    """

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._firsts: dict[str, Remark] = {}

    def __call__(self, row: arrow_csv.InvalidRow) -> str:
        self.numbers.append(int(row.number))
        reason = FEWER_FIELDS if row.actual_columns < row.expected_columns else MORE_FIELDS
        detail = f"not the header's {row.expected_columns}"
        first = self._firsts.get(reason)
        count = 1 if first is None else first.count + 1
        kept = first or Remark(
            reason, 1, int(row.number), f"{row.actual_columns} fields: {shown(row.text)}", detail=detail
        )
        self._firsts[reason] = Remark(reason, count, kept.line, kept.value, detail=kept.detail)
        return "skip"

    def remarks(self) -> Iterable[Remark]:
        """One for lines with fewer and one for lines with more fields."""
        return self._firsts.values()

    def lines_of(self, rows: IntArray, *, header_lines: int) -> IntArray:
        """Return the line of the file of each row that was not left out, by its number among those, from 0; (n,)."""
        # The k-th line that was left out comes before every row whose number is at least its line − header − 1 − k.
        before = np.array(self.numbers, dtype=np.int64) - header_lines - 1 - np.arange(len(self.numbers))
        return rows + header_lines + 1 + np.searchsorted(before, rows, side="right")
