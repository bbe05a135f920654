"""Parquet slices on disk: where a slice lies, how it is written so that nobody sees half of it, how it is read.

This is the truth of the project. No Dagster and no DuckDB here: the IO manager
(``parquet_io.py``) and the warehouse window (``warehouse.py``) build on it.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from trading_dag.errors import SliceNotFoundError, StorageError
from trading_dag.quality import conform, empty_frame
from trading_dag.quality.casting import pandas_type
from trading_dag.schemas import HORIZON_KEYS, Column, Table
from trading_dag.sessions import TIME_UNIT
from trading_dag.slices import horizon_of, validate_ticker

if TYPE_CHECKING:
    import pyarrow as pa
    from filelock import BaseFileLock

FILE_NAME: Final = "data.parquet"
SCHEMA_FILE_NAME: Final = "schema.parquet"
METADATA_KEY: Final = b"trading_dag"
ASKED_AT_ATTRIBUTE: Final = "asked_at"
LOCK_TIMEOUT_SECONDS: Final = 600.0


@dataclass(frozen=True, order=True)
class SliceKey:
    """Which part of a table: nothing, a ticker, or a ticker and a horizon. Validated, so safe in a path."""

    ticker: str | None = None
    horizon: str | None = None

    def __post_init__(self) -> None:
        if self.ticker is not None:
            validate_ticker(self.ticker)
        if self.horizon is not None:
            horizon_of(self.horizon)

    def __str__(self) -> str:
        parts = [f"ticker={self.ticker}" if self.ticker else "", f"horizon={self.horizon}" if self.horizon else ""]
        return "/".join(part for part in parts if part) or "all"


@dataclass(frozen=True)
class Provenance:
    """Where a stored slice comes from.

    Attributes
    ----------
    content_hash : SHA-256 of the values, independent of when and by whom they were fetched.
    source : name of the source, several joined by ``+``; None where nothing was fetched.
    source_off : why the source gave nothing, None where it did.
    fetched_at : ISO time of the write, UTC.
    code_version : of the asset that wrote it.
    rows, first_session, last_session : extent.
    inputs : content hash of each input slice by table name.
    asked_at : when the source was last asked for these rows, UTC, where that is not the time of the write.
    """

    content_hash: str
    source: str | None
    source_off: str | None
    fetched_at: str
    code_version: str | None
    rows: int
    first_session: str | None
    last_session: str | None
    inputs: dict[str, str]
    asked_at: str | None = None


@dataclass(frozen=True)
class PreparedSlice:
    """A frame that holds its schema, with what will be recorded of it: ready to be stored.

    Attributes
    ----------
    table, key : where it belongs.
    frame : conformed rows.
    provenance : as it will stand in the file.
    """

    table: Table
    key: SliceKey
    frame: pd.DataFrame
    provenance: Provenance


def content_hash(frame: pd.DataFrame) -> str:
    """SHA-256 of a conformed frame's column names and values, in row order."""
    digest = hashlib.sha256("\x1f".join(map(str, frame.columns)).encode())
    if len(frame):
        digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()


class ParquetStore:
    """Slices of every table below ``root/data``.

    A write goes to a temporary file which is flushed to disk and renamed, so a reader sees the
    old slice or the new one. Writers of different slices share nothing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"

    def table_folder(self, table: Table) -> Path:
        """Folder that holds every slice of a table."""
        return self.data / table.group / table.name

    def slice_folder(self, table: Table, key: SliceKey) -> Path:
        """Folder of one slice.

        Raises
        ------
        StorageError : where the key does not fit the table's slicing.
        """
        expected = {"none": (False, False), "ticker": (True, False), "ticker_horizon": (True, True)}[table.slice]
        if (key.ticker is not None, key.horizon is not None) != expected:
            raise StorageError(f"{table.qualified_name} is sliced by {table.slice}, not by {key}")
        folder = self.table_folder(table)
        return folder if table.slice == "none" else folder / str(key)

    def path(self, table: Table, key: SliceKey) -> Path:
        """File of one slice, whether or not it exists."""
        return self.slice_folder(table, key) / FILE_NAME

    def exists(self, table: Table, key: SliceKey) -> bool:
        """Whether the slice was ever written."""
        return self.path(table, key).is_file()

    def slices(self, table: Table) -> list[SliceKey]:
        """Keys of every stored slice, sorted."""
        keys = []
        for path in self.table_folder(table).glob(f"**/{FILE_NAME}"):
            parts = dict(part.split("=", 1) for part in path.parent.parts if "=" in part)
            keys.append(SliceKey(parts.get("ticker"), parts.get("horizon")))
        return sorted(keys, key=lambda key: (key.ticker or "", HORIZON_KEYS.index(key.horizon) if key.horizon else -1))

    def lock(self, table: Table, key: SliceKey) -> BaseFileLock:
        """Lock of one slice, held across read, merge and write. Reentrant; the kernel frees it when a holder dies."""
        from filelock import FileLock

        folder = self.slice_folder(table, key)
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / ".lock", timeout=LOCK_TIMEOUT_SECONDS, is_singleton=True)

    def prepare(
        self,
        table: Table,
        key: SliceKey,
        frame: pd.DataFrame,
        *,
        source: str | None = None,
        source_off: str | None = None,
        code_version: str | None = None,
        inputs: dict[str, str] | None = None,
    ) -> PreparedSlice:
        """Validate a frame against its schema, and put down what will be recorded of it.

        ``frame.attrs["asked_at"]``, an ISO time, is recorded where it is there.

        Raises
        ------
        SchemaError : where the frame breaks the schema.
        """
        conformed = conform(frame, table, slice_key=str(key))
        sessions = conformed[table.session_column] if table.session_column and len(conformed) else None
        provenance = Provenance(
            content_hash=content_hash(conformed),
            source=source,
            source_off=source_off,
            fetched_at=pd.Timestamp.now("UTC").isoformat(timespec="seconds"),
            code_version=code_version,
            rows=len(conformed),
            first_session=None if sessions is None else f"{sessions.min():%Y-%m-%d}",
            last_session=None if sessions is None else f"{sessions.max():%Y-%m-%d}",
            inputs=dict(inputs or {}),
            asked_at=frame.attrs.get(ASKED_AT_ATTRIBUTE),
        )
        return PreparedSlice(table, key, conformed, provenance)

    def put(self, prepared: PreparedSlice) -> Provenance:
        """Replace a slice by a prepared one, at once or not at all."""
        table, key = prepared.table, prepared.key
        arrow = to_arrow(prepared.frame, table, prepared.provenance)
        self.ensure_schema_file(table)
        with self.lock(table, key):
            folder = self.slice_folder(table, key)
            for leftover in folder.glob(f".{FILE_NAME}.*.tmp"):
                leftover.unlink(missing_ok=True)
            replace_file(folder / FILE_NAME, _writer_of(arrow))
        return prepared.provenance

    def write(self, table: Table, key: SliceKey, frame: pd.DataFrame, **recorded: Any) -> Provenance:
        """Prepare a frame (which see for the keywords) and replace the slice by it.

        Raises
        ------
        SchemaError : where the frame breaks the schema; the stored slice stays as it was.
        """
        return self.put(self.prepare(table, key, frame, **recorded))

    def read(self, table: Table, key: SliceKey, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """One slice, or some of its columns. ``attrs`` carry ``content_hash``, ``source`` and ``source_off``.

        Raises
        ------
        SliceNotFoundError : where the slice was never written.
        StorageError : where the file cannot be read.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.path(table, key)
        try:
            arrow = pq.ParquetFile(path, page_checksum_verification=True).read(
                columns=list(columns) if columns is not None else None
            )
        except FileNotFoundError:
            raise SliceNotFoundError(f"{table.qualified_name} [{key}] is not there yet: materialize it first") from None
        except (pa.ArrowException, OSError) as error:
            raise unreadable(table, key, path, error) from error
        frame = _with_later_columns(to_pandas(arrow, table), table, columns)
        provenance = provenance_of(arrow.schema, table, key)
        frame.attrs = {
            "content_hash": provenance.content_hash,
            "source": provenance.source,
            "source_off": provenance.source_off,
        }
        return frame

    def read_or_empty(self, table: Table, key: SliceKey) -> pd.DataFrame:
        """The slice, or a typed frame without rows where it was never written."""
        return self.read(table, key) if self.exists(table, key) else empty_frame(table)

    def provenance(self, table: Table, key: SliceKey) -> Provenance | None:
        """Provenance of a stored slice, read from the file's footer; None where there is none.

        Raises
        ------
        StorageError : where the file cannot be read, or was not written here.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.path(table, key)
        if not path.is_file():
            return None
        try:
            schema = pq.read_schema(path)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(table, key, path, error) from error
        return provenance_of(schema, table, key)

    def present_columns(self, table: Table, key: SliceKey) -> frozenset[str]:
        """Columns of a stored slice that have a value, read off the file's footer; none where there is no slice.

        Raises
        ------
        StorageError : where the file cannot be read.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.path(table, key)
        if not path.is_file():
            return frozenset()
        try:
            footer = pq.read_metadata(path)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(table, key, path, error) from error
        groups = (footer.row_group(number) for number in range(footer.num_row_groups))
        chunks = (group.column(number) for group in groups for number in range(footer.num_columns))
        return frozenset(
            chunk.path_in_schema
            for chunk in chunks
            if chunk.num_values > (chunk.statistics.null_count if chunk.statistics is not None else 0)
        )

    def set_aside(self, table: Table, key: SliceKey) -> Path:
        """Rename a file that cannot be read, so that the slice counts as never written; return where it lies now."""
        path = self.path(table, key)
        aside = path.with_name(f"{path.name}.unreadable")
        with self.lock(table, key):
            path.replace(aside)
        return aside

    def ensure_schema_file(self, table: Table) -> None:
        """Keep a file without rows beside the slices, so that a view over an empty table has its columns.

        Where the table has got columns since, they are added to its slices first, NULL throughout: a view reads all
        files by the columns of one. A slice that is being written gets them by that.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.table_folder(table) / SCHEMA_FILE_NAME
        expected = _arrow_schema(table)
        try:
            if pq.read_schema(path).remove_metadata().equals(expected):
                return
        except (FileNotFoundError, pa.ArrowInvalid):
            path.unlink(missing_ok=True)
        else:
            if table.slice != "ticker_year" and not self._add_columns(table, expected):
                return
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, lambda target: pq.write_table(expected.empty_table(), target))

    def _add_columns(self, table: Table, expected: pa.Schema) -> bool:
        """Write slices anew that lack columns of their table; whether all are done. One that is locked is left out."""
        import pyarrow as pa
        import pyarrow.parquet as pq
        from filelock import Timeout

        is_done = True
        for key in self.slices(table):
            path = self.path(table, key)
            try:
                if set(expected.names) <= set(pq.read_schema(path).names):
                    continue
                with self.lock(table, key).acquire(timeout=0):
                    recorded, frame = self.provenance(table, key), self.read(table, key)
                    if recorded is not None and set(frame.columns) == set(expected.names):
                        arrow = to_arrow(frame, table, replace(recorded, content_hash=content_hash(frame)))
                        replace_file(path, _writer_of(arrow))
            except Timeout:
                is_done = False
            except (pa.ArrowException, StorageError):
                # Not this table's writer's concern: whoever reads that slice is told what is wrong with it.
                continue
        return is_done


def _writer_of(arrow: pa.Table) -> Callable[[Path], None]:
    import pyarrow.parquet as pq

    return lambda path: pq.write_table(arrow, path, compression="zstd", write_page_checksum=True)


def replace_file(path: Path, write: Any) -> None:
    """Write a sibling, flush it to disk, rename it over ``path``, flush the folder."""
    temporary = path.parent / f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp"
    try:
        write(temporary)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unreadable(table: Table, key: SliceKey, path: Path, error: Exception) -> StorageError:
    """The error for a file that cannot be read: which slice, which file, why, and what to do."""
    problem = " ".join(str(error).split())
    return StorageError(
        f"{table.qualified_name} [{key}]: {path} is no readable Parquet file ({problem}). "
        "Put back a copy, or make it again with trading-dag run --force"
    )


def _arrow_schema(table: Table) -> pa.Schema:
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
    """A conformed frame in the types of its table, with its provenance in the metadata."""
    import pyarrow as pa

    arrow = pa.Table.from_pandas(frame, schema=_arrow_schema(table), preserve_index=False)
    return arrow.replace_schema_metadata({METADATA_KEY: json.dumps(provenance.__dict__, sort_keys=True).encode()})


def to_pandas(arrow: pa.Table, table: Table) -> pd.DataFrame:
    """What was stored as a frame in the types of the project."""
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


def _with_later_columns(frame: pd.DataFrame, table: Table, columns: Sequence[str] | None) -> pd.DataFrame:
    """The frame with the nullable columns that its table has got since the file was written, NULL throughout."""
    wanted = [column for column in table.columns if columns is None or column.name in columns]
    missing = [column for column in wanted if column.nullable and column.name not in frame.columns]
    if not missing:
        return frame
    nulls = {column.name: pd.Series([None] * len(frame), dtype=pandas_type(column)) for column in missing}
    complete = frame.assign(**nulls)
    return complete[[column.name for column in wanted if column.name in complete.columns]]


def provenance_of(schema: pa.Schema, table: Table, key: SliceKey) -> Provenance:
    """Provenance out of a file's schema.

    Raises
    ------
    StorageError : where the file carries none, so that it was not written here.
    """
    raw = (schema.metadata or {}).get(METADATA_KEY)
    if raw is None:
        raise StorageError(
            f"{table.qualified_name} [{key}]: the file carries no provenance, so it was not written here. "
            "Take it away, or make the slice again with trading-dag run --force"
        )
    return Provenance(**json.loads(raw))
