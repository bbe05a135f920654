"""How a slice looks as a Parquet file: types, provenance in the footer, checksums of pages; how files are replaced.

Which file it is stands in ``slices.paths``, when it is read or written in ``parquet_store``.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from resources.storage.durable import flush_folder
from resources.storage.slices.record import Provenance, SliceKey
from trading_dag.errors import StorageError
from trading_dag.quality.casting import pandas_type
from trading_dag.schemas import OPTION_CHAIN, Column, Table
from trading_dag.sessions import TIME_UNIT

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

METADATA_KEY: Final = b"trading_dag"


def arrow_schema(table: Table) -> pa.Schema:
    """Return the columns of a table in the types in which they are stored."""
    import pyarrow as pa

    types: dict[str, pa.DataType] = {
        "string": pa.string(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "float64": pa.float64(),
        "int64": pa.int64(),
        "bool": pa.bool_(),
    }
    return pa.schema([pa.field(column.name, types[column.type]) for column in table.columns])


def to_arrow(frame: pd.DataFrame, table: Table, provenance: Provenance) -> pa.Table:
    """Return a conformed frame in the types of its table, with its provenance in the metadata."""
    import pyarrow as pa

    arrow = pa.Table.from_pandas(frame, schema=arrow_schema(table), preserve_index=False)
    return arrow.replace_schema_metadata({METADATA_KEY: json.dumps(provenance.__dict__, sort_keys=True).encode()})


def to_pandas(arrow: pa.Table, table: Table) -> pd.DataFrame:
    """Return what was stored as a frame in the types of the project."""
    frame: pd.DataFrame = arrow.replace_schema_metadata(None).to_pandas(date_as_object=False)
    for name in frame.columns:
        column: Column = table.column(name)
        if column.type == "date":
            frame[name] = frame[name].dt.as_unit(TIME_UNIT)
        elif column.type == "int64" and column.nullable:
            frame[name] = frame[name].astype("Int64")
        elif column.type == "string":
            frame[name] = frame[name].astype("str")
    return frame


def with_later_columns(frame: pd.DataFrame, table: Table, columns: Sequence[str] | None) -> pd.DataFrame:
    """Return the frame with nullable columns, NULL throughout, that its table gained after the file was written."""
    wanted = [column for column in table.columns if columns is None or column.name in columns]
    missing = [column for column in wanted if column.nullable and column.name not in frame.columns]
    if not missing:
        return frame
    nulls = {column.name: pd.Series([None] * len(frame), dtype=pandas_type(column)) for column in missing}
    complete = frame.assign(**nulls)
    return complete[[column.name for column in wanted if column.name in complete.columns]]


def provenance_of(schema: pa.Schema, table: Table, key: SliceKey, path: Path) -> Provenance:
    """Return the provenance from a file's schema.

    Raises
    ------
    StorageError : where the provenance is missing (the file was not written here) or damaged.
    """
    raw = (schema.metadata or {}).get(METADATA_KEY)
    if raw is None:
        raise not_as_stored(table, key, path, "it carries no provenance, so it was not written here")
    try:
        return Provenance(**json.loads(raw))
    except (ValueError, TypeError) as error:
        raise not_as_stored(table, key, path, f"its provenance is damaged: {error}") from error


def check_columns(schema: pa.Schema, table: Table, key: SliceKey, path: Path) -> None:
    """Compare a file's columns with the table's: none foreign, doubled or of another type, none missing but later ones.

    Raises
    ------
    StorageError : naming the column.
    """
    expected = arrow_schema(table)
    for name in schema.names:
        if name not in expected.names:
            raise not_as_stored(table, key, path, f"column {name!r} does not belong to the table")
        if schema.names.count(name) > 1:
            raise not_as_stored(table, key, path, f"column {name!r} occurs more than once")
        if not schema.field(name).type.equals(expected.field(name).type):
            actual = f"{schema.field(name).type}, not {expected.field(name).type}"
            raise not_as_stored(table, key, path, f"column {name!r} is {actual}")
    missing = [column.name for column in table.columns if not column.nullable and column.name not in schema.names]
    if missing:
        raise not_as_stored(table, key, path, f"column {missing[0]!r} is missing")


def check_owner(file: pq.ParquetFile, table: Table, key: SliceKey, path: Path) -> None:
    """Check by the footer's statistics that the ticker and horizon of the rows are those of the slice.

    Raises
    ------
    StorageError : for rows of another slice, such as in a folder that was copied under another name.
    """
    for level, own in (("ticker", key.ticker), ("horizon", key.horizon)):
        place = file.schema_arrow.get_field_index(level)
        if own is None or place < 0:
            continue
        for group in range(file.num_row_groups):
            statistics = file.metadata.row_group(group).column(place).statistics
            others = (
                {statistics.min, statistics.max} - {own} if statistics is not None and statistics.has_min_max else set()
            )
            if others:
                raise not_as_stored(table, key, path, f"it holds rows of {level} {', '.join(sorted(others))}")


def open_parquet(path: Path) -> pq.ParquetFile:
    """Return the opened file; its pages are compared with their checksums when they are read."""
    import pyarrow.parquet as pq

    return pq.ParquetFile(path, page_checksum_verification=True)


def parquet_writer(arrow: pa.Table) -> Callable[[Path], None]:
    """Return a function that writes a table to a path, with a checksum for each page."""
    import pyarrow.parquet as pq

    return lambda path: pq.write_table(arrow, path, compression="zstd", write_page_checksum=True)


def replace_file(path: Path, write: Callable[..., Any]) -> None:
    """Write a temporary file beside ``path``, flush it to disk, rename it over ``path``, and flush the folder."""
    temporary = path.parent / f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp"
    try:
        write(temporary)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    flush_folder(path.parent)


@contextmanager
def readable(table: Table, key: SliceKey, path: Path) -> Iterator[None]:
    """Turn the exceptions that pyarrow raises on a damaged file into the project's error.

    Raises
    ------
    StorageError : naming slice, file, reason and remedy. A missing file still raises ``FileNotFoundError``.
    """
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise StorageError(
            f"{table.qualified_name} [{key}]: {path} is no readable Parquet file ({problem}). {remedy(table)}"
        ) from error


def not_as_stored(table: Table, key: SliceKey, path: Path, problem: str) -> StorageError:
    """Return the error for a readable file that is not what was stored: which slice, which file, why, and what to
    do."""
    return StorageError(f"{table.qualified_name} [{key}]: {path} is not as it was stored ({problem}). {remedy(table)}")


def remedy(table: Table) -> str:
    """Return what to do about a slice that is damaged."""
    if table.qualified_name == OPTION_CHAIN.qualified_name:
        return "Put back a copy; or take the file away, and import or fetch its chains again"
    return "Put back a copy, or make it again with trading-dag run --force"
