"""Columns of a Parquet or CSV file of events: texts, numbers, moments and days, and errors that name the column.

How such a file is read belongs here: projection and filter are done by Arrow, so that one ticker of a large file costs
one ticker. What the rows mean is in ``event_files.py``; tables of numbers by day are read by ``column_files.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from trading_dag.errors import SourceFormatError
from trading_dag.sessions import TIME_UNIT

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

Kind = Literal["text", "number", "moment", "date"]
Filter = tuple[str, Literal["in", ">="], Any]
# Columns that must be there, and those that are read where they are.
SHAPES: Final[dict[str, tuple[dict[str, Kind], dict[str, Kind]]]] = {
    "prices_hourly": (
        {"ticker": "text", "ts": "moment", **dict.fromkeys(("open", "high", "low", "close", "volume"), "number")},
        {},
    ),
    "news_headlines": (
        {"ts": "moment", "headline": "text"},
        dict.fromkeys(("publisher", "summary", "url"), "text"),
    ),
    "apewisdom": (
        {"generated_at": "moment", "ticker": "text", "rank": "number", "mentions": "number"},
        {"mentions24hAgo": "number", "upvotes": "number", "name": "text"},
    ),
    "news_sentiment": (
        {
            "ticker": "text",
            "known_at": "moment",
            **dict.fromkeys(("company_score", "sector_score", "buzz", "articles_last_week"), "number"),
        },
        {},
    ),
    "earnings": ({"date": "date", "ticker": "text"}, {"timing": "text"}),
    "fomc_dates": ({"date": "date", "event": "text"}, {}),
}


@dataclass(frozen=True)
class EventFile:
    """A file and the name of its shape."""

    path: Path
    shape: str

    def read(self, filters: list[Filter], *, only: tuple[str, ...] = ()) -> pd.DataFrame:
        """The rows that pass the filters, in the types of the shape, in the file's order.

        Raises
        ------
        SourceFormatError : for an unreadable file, or a column that is missing, of another type or empty.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        required, optional = SHAPES[self.shape]
        try:
            dataset = self._dataset({**required, **optional})
            names = dataset.schema.names
            for name in required:
                if name not in names:
                    raise self.format_error(f"is missing; the file has {', '.join(names)}", name)
            kinds = {name: kind for name, kind in {**required, **optional}.items() if name in names}
            for name, kind in kinds.items():
                self._require_type(dataset.schema.field(name), kind)
            condition = None
            for column, comparison, value in filters:
                one = self._condition(pc.field(column), dataset.schema.field(column), comparison, value)
                condition = one if condition is None else condition & one
            table = dataset.to_table(columns=list(only or kinds), filter=condition)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, OSError) as error:
            raise self.format_error(f"cannot be read: {error}") from error
        frame = {
            name: self._converted(table.column(name), name, kind)
            for name, kind in kinds.items()
            if name in table.column_names
        }
        for name in required:
            if name in frame and frame[name].isna().any() and required[name] in ("moment", "date"):
                raise self.format_error("is missing in some rows", name)
        return pd.DataFrame(frame)

    def refuse_future(self, rows: pd.DataFrame, column: str) -> None:
        """Refuse moments that have not come.

        Raises
        ------
        SourceFormatError : naming the first.
        """
        late = rows.loc[rows[column] > pd.Timestamp.now("UTC"), column]
        if len(late):
            raise self.format_error(f"{len(late)} rows lie in the future, the first at {late.min()}", column)

    def format_error(self, problem: str, column: str | None = None) -> SourceFormatError:
        """The error that names the file, the column and what was expected."""
        required = ", ".join(f"{name} ({kind})" for name, kind in SHAPES[self.shape][0].items())
        return SourceFormatError(
            source="files",
            request=str(self.path),
            problem=f"column {column}: {problem}" if column else problem,
            remedy=f"Expected columns: {required}.",
        )

    def _dataset(self, kinds: Mapping[str, Kind]) -> ds.Dataset:
        import pyarrow as pa
        import pyarrow.dataset as ds
        from pyarrow import csv

        if self.path.suffix == ".parquet":
            return ds.dataset(self.path, format="parquet")
        texts = {name: pa.string() for name, kind in kinds.items() if kind != "number"}
        # NA is a ticker, and nothing else is written for what is missing.
        options = csv.ConvertOptions(column_types=texts, null_values=["", "."], strings_can_be_null=True)
        return ds.dataset(self.path, format=ds.CsvFileFormat(convert_options=options))

    def _require_type(self, field: pa.Field, kind: Kind) -> None:
        import pyarrow as pa

        is_text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        is_null = pa.types.is_null(field.type)
        is_right = {
            "text": is_text or is_null,
            "number": pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or is_null,
            "moment": is_text or (pa.types.is_timestamp(field.type) and field.type.tz is not None),
            "date": is_text or pa.types.is_date(field.type) or pa.types.is_timestamp(field.type),
        }[kind]
        if not is_right:
            expected = {"moment": "a moment with a time zone", "date": "a date", "number": "a number", "text": "text"}
            raise self.format_error(f"expected {expected[kind]}, found {field.type}", field.name)

    @staticmethod
    def _condition(column: pc.Expression, field: pa.Field, comparison: str, value: Any) -> pc.Expression:
        import pyarrow as pa

        if comparison == "in":
            return column.isin(value)
        if pa.types.is_timestamp(field.type):
            zoned = value.tz_localize("UTC") if field.type.tz else value
            return column >= pa.scalar(zoned.to_pydatetime(), type=field.type)
        if pa.types.is_date(field.type):
            return column >= pa.scalar(value.date(), type=field.type)
        # ISO texts are in the order of time.
        return column >= f"{value:%Y-%m-%d}"

    def _converted(self, values: pa.ChunkedArray, name: str, kind: Kind) -> pd.Series:
        found: pd.Series = values.to_pandas(date_as_object=False)
        try:
            if kind == "text":
                return pd.Series(found.astype("object").where(found.notna(), np.nan).astype("str"))
            if kind == "number":
                return pd.Series(found.astype("float64"))
            if kind == "moment":
                moments = pd.to_datetime(found, utc=True, format=None if found.dtype.kind == "M" else "ISO8601")
                return pd.Series(moments.dt.as_unit(TIME_UNIT))
            days = pd.to_datetime(found, format=None if found.dtype.kind == "M" else "%Y-%m-%d")
            return pd.Series(days.dt.as_unit(TIME_UNIT))
        except (ValueError, TypeError) as error:
            raise self.format_error(f"is no {kind}: {error}", name) from error
