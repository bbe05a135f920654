"""Rows of one key from a Parquet or CSV file with a text key, a date and numbers, and errors that name the column.

How the ``files`` source reads belongs here: projection and filter are done by Arrow, so that one ticker of a large
file costs one ticker. What the columns mean does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from trading_dag.errors import SourceFormatError
from trading_dag.sessions import TIME_UNIT

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds

_MISSING_TEXTS: Final = ["", "NA", "NaN", "nan", "null", "NULL", "."]


@dataclass(frozen=True)
class FileShape:
    """The columns that a file must or may have.

    Attributes
    ----------
    key : text column that says whose row it is.
    date : date column.
    numbers : number columns that must be there.
    optional_numbers, optional_texts : read where they are there.
    """

    key: str
    date: str
    numbers: tuple[str, ...]
    optional_numbers: tuple[str, ...] = ()
    optional_texts: tuple[str, ...] = ()

    @property
    def required(self) -> tuple[str, ...]:
        """Columns that must be there."""
        return (self.key, self.date, *self.numbers)


@dataclass(frozen=True)
class KeyFilter:
    """The rows to read: those of some keys, from a date on."""

    keys: tuple[str, ...]
    since: pd.Timestamp | None


@dataclass(frozen=True)
class ColumnFile:
    """A file of a known shape."""

    path: Path
    shape: FileShape
    source: str

    def read(self, rows: KeyFilter, *, is_key_unique: bool = True) -> pd.DataFrame:
        """The rows asked for: key as text, date as ``datetime64[us]``, numbers as ``float64``; ascending.

        Raises
        ------
        SourceFormatError : for an unreadable file, a missing column, a column of another type, a date that is
            missing or not a date, or a repeated (key, date) where it must be unique.
        """
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.dataset as ds

        try:
            dataset = self._dataset(ds)
            columns = self._columns(dataset.schema)
            table = dataset.to_table(columns=columns, filter=pc.field(self.shape.key).isin(list(rows.keys)))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, OSError) as error:
            raise self.format_error(f"cannot be read: {error}") from error
        frame = pd.DataFrame({name: self._converted(table, name) for name in columns})
        if rows.since is not None:
            frame = frame[frame[self.shape.date] >= rows.since]
        key = [self.shape.key, self.shape.date]
        repeated = frame[frame.duplicated(key)]
        if is_key_unique and len(repeated):
            first = repeated.iloc[0]
            raise self.format_error(
                f"{len(repeated)} rows repeat {self.shape.key} and {self.shape.date}, "
                f"the first is {first[key[0]]} {first[key[1]]:%Y-%m-%d}"
            )
        return frame.sort_values(key, ignore_index=True)

    def keys(self) -> frozenset[str]:
        """Every key that the file has, without reading the other columns.

        Raises
        ------
        SourceFormatError : for an unreadable file, or one without the key or in another shape.
        """
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.dataset as ds

        try:
            dataset = self._dataset(ds)
            self._columns(dataset.schema)
            found = dataset.to_table(columns=[self.shape.key]).column(self.shape.key)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, OSError) as error:
            raise self.format_error(f"cannot be read: {error}") from error
        return frozenset(str(key) for key in pc.unique(found.combine_chunks()).to_pylist() if key is not None)

    def format_error(self, problem: str, column: str | None = None) -> SourceFormatError:
        """The error that names the file, the column and what was expected."""
        return SourceFormatError(
            source=self.source,
            request=str(self.path),
            problem=f"column {column}: {problem}" if column else problem,
            remedy=f"Expected columns: {', '.join(self.shape.required)} "
            f"({self.shape.key} as text, {self.shape.date} as a date, the others as numbers).",
        )

    def _dataset(self, ds: ds) -> ds.Dataset:
        if self.path.suffix == ".parquet":
            return ds.dataset(self.path, format="parquet")
        import pyarrow as pa
        from pyarrow import csv

        texts = dict.fromkeys((self.shape.key, *self.shape.optional_texts), pa.string())
        options = csv.ConvertOptions(column_types=texts, null_values=_MISSING_TEXTS, strings_can_be_null=True)
        return ds.dataset(self.path, format=ds.CsvFileFormat(convert_options=options))

    def _columns(self, schema: pa.Schema) -> list[str]:
        import pyarrow as pa

        for name in self.shape.required:
            if name not in schema.names:
                raise self.format_error(f"is missing; the file has {', '.join(schema.names)}", name)
        optional = (*self.shape.optional_numbers, *self.shape.optional_texts)
        columns = [*self.shape.required, *(name for name in optional if name in schema.names)]
        for name in columns:
            found = schema.field(name).type
            if name == self.shape.date:
                is_right = pa.types.is_date(found) or (pa.types.is_timestamp(found) and found.tz is None)
                expected = "a date"
            elif name == self.shape.key or name in self.shape.optional_texts:
                is_right = (
                    pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found)
                )
                is_right = is_right or (pa.types.is_dictionary(found) and pa.types.is_string(found.value_type))
                expected = "text"
            else:
                is_right = pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_null(found)
                expected = "a number"
            if not is_right:
                raise self.format_error(f"expected {expected}, found {found}", name)
        return columns

    def _converted(self, table: pa.Table, name: str) -> pd.Series:
        values: pd.Series = table.column(name).to_pandas(date_as_object=False)
        if name == self.shape.key or name in self.shape.optional_texts:
            return pd.Series(values.astype("str"))
        if name != self.shape.date:
            return pd.Series(values.astype("float64"))
        if values.isna().any():
            raise self.format_error("is missing in some rows", name)
        dates = pd.Series(pd.DatetimeIndex(values).as_unit(TIME_UNIT))
        if (dates != dates.dt.normalize()).any():
            raise self.format_error("expected a date, found a time of day", name)
        return dates
