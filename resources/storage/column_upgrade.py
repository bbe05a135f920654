"""Adds a column, NULL throughout, to slices that were written before their table got it.

A view reads all files of a table with the columns of one of them, the schema file beside the slices.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from resources.storage.objects.working_copy import HomeFiles
from resources.storage.slices.format import arrow_schema, parquet_writer, replace_file, to_arrow
from resources.storage.slices.paths import SCHEMA_FILE_NAME
from resources.storage.slices.record import Provenance, SliceKey, content_hash
from trading_dag.errors import StorageError
from trading_dag.schemas import Table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from filelock import BaseFileLock


class StoredSlices(Protocol):
    """Describes the parts of a store that are needed to add columns to its slices."""

    @property
    def home_files(self) -> HomeFiles: ...
    def table_folder(self, table: Table) -> Path: ...
    def slices(self, table: Table) -> list[SliceKey]: ...
    def path(self, table: Table, key: SliceKey) -> Path: ...
    def lock(self, table: Table, key: SliceKey) -> BaseFileLock: ...
    def provenance(self, table: Table, key: SliceKey) -> Provenance | None: ...
    def read(self, table: Table, key: SliceKey) -> pd.DataFrame: ...


def ensure_schema_file(store: StoredSlices, table: Table) -> None:
    """Write a file without rows beside the slices, so that a view over an empty table has its columns.

    If the table has gained columns since, they are added to its slices first. A slice that is just being written gets
    them anyway.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = store.table_folder(table) / SCHEMA_FILE_NAME
    expected = arrow_schema(table)
    try:
        if pq.read_schema(path).remove_metadata().equals(expected):
            return
    except (FileNotFoundError, pa.ArrowException, OSError):
        path.unlink(missing_ok=True)
    else:
        if table.slice != "ticker_year" and not _add_columns(store, table, expected):
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, parquet_writer(expected.empty_table()))


def _add_columns(store: StoredSlices, table: Table, expected: pa.Schema) -> bool:
    """Rewrite slices that lack columns of their table; return whether all are done. A locked slice is left out."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from filelock import Timeout

    is_done = True
    for key in store.slices(table):
        path = store.path(table, key)
        try:
            if set(expected.names) <= set(pq.read_schema(path).names):
                continue
            with store.lock(table, key).acquire(timeout=0):
                recorded, frame = store.provenance(table, key), store.read(table, key)
                if recorded is not None and set(frame.columns) == set(expected.names):
                    arrow = to_arrow(frame, table, replace(recorded, content_hash=content_hash(frame)))
                    store.home_files.replace(path, parquet_writer(arrow))
        except Timeout:
            is_done = False
        except (pa.ArrowException, OSError, StorageError):
            # Not this table's writer's concern: whoever reads that slice is told what is wrong with it.
            continue
    return is_done
