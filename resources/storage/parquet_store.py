"""Parquet slices on disk: where a slice lies, how it is written so that nobody sees half of it, how it is read.

These files are the project's source of truth. No Dagster and no DuckDB here: the IO manager
(``io_managers.tables.py``) and the warehouse window (``warehouse.py``) build on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from resources.storage.append_only import keep_copy, refuse_to_alter
from resources.storage.column_upgrade import ensure_schema_file
from resources.storage.objects.working_copy import files_of
from resources.storage.slices.format import (
    check_columns,
    check_owner,
    not_as_stored,
    open_parquet,
    parquet_writer,
    provenance_of,
    readable,
    to_arrow,
    to_pandas,
    with_later_columns,
)
from resources.storage.slices.paths import ASIDE, FILE_NAME, path_of, slice_parts
from resources.storage.slices.record import PreparedSlice, Provenance, SliceKey, content_hash
from trading_dag.errors import SliceNotFoundError, StorageError
from trading_dag.quality import conform, empty_frame
from trading_dag.schemas import HORIZON_KEYS, Table

if TYPE_CHECKING:
    from filelock import BaseFileLock

ASKED_AT_ATTRIBUTE: Final = "asked_at"
WARNINGS_ATTRIBUTE: Final = "warnings"
ACCEPTED_ATTRIBUTE: Final = "accepted"
KNOWN_INPUTS_ATTRIBUTE: Final = "known_inputs"
LOCK_TIMEOUT_SECONDS: Final = 600.0

__all__ = [
    "ASKED_AT_ATTRIBUTE",
    "ParquetStore",
    "PreparedSlice",
    "Provenance",
    "SliceKey",
    "content_hash",
]


Stamp = tuple[int, int, int]


class ParquetStore:
    """Keeps the slices of every table below ``root/data``.

    A write goes to a temporary file which is flushed to disk and renamed, so a reader sees the
    old slice or the new one. Writers of different slices share nothing. In a home that is a working copy
    (``objects.working_copy``) the slices are objects, and the files are fetched where they are not up to date.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.home_files = files_of(root)

    def table_folder(self, table: Table) -> Path:
        """Return the folder that holds every slice of a table."""
        return self.data / table.group / table.name

    def slice_folder(self, table: Table, key: SliceKey) -> Path:
        """Return the folder of one slice.

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
        """Return the file of one slice, whether or not it exists."""
        return self.slice_folder(table, key) / FILE_NAME

    def exists(self, table: Table, key: SliceKey) -> bool:
        """Return whether the slice was ever written."""
        self._refresh(table, key)
        return self.path(table, key).is_file()

    def stamp(self, table: Table, key: SliceKey) -> Stamp | None:
        """Return what changes with every write of a slice, without opening it; None where there is none."""
        self._refresh(table, key)
        try:
            found = self.path(table, key).stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def refresh(self, table: Table) -> None:
        """Bring every slice of a table up to date, before somebody reads its files by their paths."""
        self.home_files.refresh_folder(self.table_folder(table))

    def _refresh(self, table: Table, key: SliceKey) -> None:
        """Bring a slice up to date. Under its lock it is what it was when that was taken, so that what is written is
        what was read, changed."""
        if self.home_files.when_locked(self.slice_folder(table, key)) and not self.lock(table, key).is_locked:
            self.home_files.refresh(self.path(table, key))

    def slices(self, table: Table) -> list[SliceKey]:
        """Return the keys of every stored slice, sorted; for a table that is sliced by year, a key for each year."""
        keys = [key for key, _ in self.files(table)]
        return sorted(keys, key=lambda key: (key.ticker or "", HORIZON_KEYS.index(key.horizon) if key.horizon else -1))

    def files(self, table: Table) -> list[tuple[SliceKey, Path]]:
        """Return key and file of every stored slice, sorted by path; for a table that is sliced by year, a file for
        each."""
        folder = self.table_folder(table)
        self.refresh(table)
        return sorted(
            (
                (SliceKey(parts.get("ticker"), parts.get("horizon")), path_of(table, folder, parts))
                for parts in slice_parts(table, folder)
            ),
            key=lambda found: found[1],
        )

    def lock(self, table: Table, key: SliceKey) -> BaseFileLock:
        """Return the lock of one slice, to hold across read, merge and write. It is reentrant; the kernel frees it when
        a holder dies."""
        from filelock import FileLock

        folder = self.slice_folder(table, key)
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(
            folder / ".lock",
            timeout=LOCK_TIMEOUT_SECONDS,
            is_singleton=True,
            on_acquired=self.home_files.when_locked(folder),
        )

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
        data_through: pd.Timestamp | None = None,
    ) -> PreparedSlice:
        """Validate a frame against its schema, and collect what will be recorded about it.

        ``frame.attrs["asked_at"]``, an ISO time, is recorded if present, and so are ``warnings``, ``accepted`` and
        ``known_inputs``.

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
            warnings=frame.attrs.get(WARNINGS_ATTRIBUTE, []),
            accepted=frame.attrs.get(ACCEPTED_ATTRIBUTE, {}),
            data_through=None if data_through is None else f"{data_through:%Y-%m-%d}",
            known_inputs=frame.attrs.get(KNOWN_INPUTS_ATTRIBUTE),
        )
        return PreparedSlice(table, key, conformed, provenance)

    def put(self, prepared: PreparedSlice) -> Provenance:
        """Replace a slice by a prepared one, in one step or not at all.

        Raises
        ------
        StorageError : where the table is append-only and a stored row would be lost or altered.
        SliceBusyError : where the slice is an object that was written from elsewhere since it was read here.
        """
        table, key = prepared.table, prepared.key
        arrow = to_arrow(prepared.frame, table, prepared.provenance)
        ensure_schema_file(self, table)
        with self.lock(table, key):
            folder = self.slice_folder(table, key)
            for leftover in folder.glob(f".{FILE_NAME}.*.tmp"):
                leftover.unlink(missing_ok=True)
            if table.is_append_only:
                refuse_to_alter(self, table, key, prepared.frame)
            self.home_files.replace(folder / FILE_NAME, parquet_writer(arrow))
            if table.is_append_only:
                keep_copy(self, table, key)
        return prepared.provenance

    def write(self, table: Table, key: SliceKey, frame: pd.DataFrame, **recorded: Any) -> Provenance:
        """Prepare a frame (see ``prepare`` for the keywords) and replace the slice by it.

        Raises
        ------
        SchemaError : where the frame breaks the schema; the stored slice stays as it was.
        """
        return self.put(self.prepare(table, key, frame, **recorded))

    def read(self, table: Table, key: SliceKey, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return one slice, or some of its columns. ``attrs`` carry ``content_hash``, ``source`` and ``source_off``.

        Pages are compared with their checksums; a whole slice is also compared with the hash of its values and its key.

        Raises
        ------
        SliceNotFoundError : where the slice was never written.
        StorageError : where the file cannot be read, or is not what was stored.
        """
        path = self.path(table, key)
        self._refresh(table, key)
        try:
            with readable(table, key, path):
                file = open_parquet(path)
                schema = file.schema_arrow
                provenance = provenance_of(schema, table, key, path)
                check_columns(schema, table, key, path)
                check_owner(file, table, key, path)
                arrow = file.read(columns=list(columns) if columns is not None else None)
        except FileNotFoundError:
            raise SliceNotFoundError(f"{table.qualified_name} [{key}] is not there yet: materialize it first") from None
        frame = to_pandas(arrow, table)
        if columns is None and content_hash(frame) != provenance.content_hash:
            raise not_as_stored(table, key, path, "its values differ from the hash that is recorded of them")
        frame = with_later_columns(frame, table, columns)
        frame.attrs = {
            "content_hash": provenance.content_hash,
            "source": provenance.source,
            "source_off": provenance.source_off,
        }
        return frame

    def read_or_empty(self, table: Table, key: SliceKey) -> pd.DataFrame:
        """Return the slice, or a typed frame without rows where it was never written."""
        return self.read(table, key) if self.exists(table, key) else empty_frame(table)

    def provenance(self, table: Table, key: SliceKey) -> Provenance | None:
        """Return the provenance of a stored slice, read from the file's footer; None where there is no slice.

        Raises
        ------
        StorageError : where the file cannot be read, or was not written here.
        """
        import pyarrow.parquet as pq

        path = self.path(table, key)
        self._refresh(table, key)
        if not path.is_file():
            return None
        with readable(table, key, path):
            return provenance_of(pq.read_schema(path), table, key, path)

    def present_columns(self, table: Table, key: SliceKey) -> frozenset[str]:
        """Return the columns of a stored slice that have a value, read from the file's footer; none where there is no
        slice.

        Raises
        ------
        StorageError : where the file cannot be read.
        """
        import pyarrow.parquet as pq

        path = self.path(table, key)
        self._refresh(table, key)
        if not path.is_file():
            return frozenset()
        with readable(table, key, path):
            footer = pq.read_metadata(path)
        groups = (footer.row_group(number) for number in range(footer.num_row_groups))
        chunks = (group.column(number) for group in groups for number in range(footer.num_columns))
        return frozenset(
            chunk.path_in_schema
            for chunk in chunks
            if chunk.num_values > (chunk.statistics.null_count if chunk.statistics is not None else 0)
        )

    def set_aside(self, table: Table, key: SliceKey) -> Path:
        """Rename a damaged file, so that its slice counts as never written; return its new path."""
        path = self.path(table, key)
        with self.lock(table, key):
            aside = path.with_name(f"{FILE_NAME}{ASIDE}{pd.Timestamp.now('UTC'):%Y%m%dT%H%M%S%fZ}")
            self.home_files.set_aside(path, aside)
        return aside
