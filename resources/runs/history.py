"""Dagster's SQLite storage with one event log for all runs, whose connections stay open.

Dagster's default keeps a file per run and mirrors asset events into an index, and opens, checks and closes a file for
each statement. A research slice records about two hundred events; one log with open connections takes a quarter of the
time (``docs/decisions``), with the same schema.

Each run is tagged with the process that owns it (``owned_runs``). The same on Postgres is ``postgres_history``.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import create_engine, inspect
from sqlalchemy.event import listen

from resources.runs.dagster_private_storage import (
    ConsolidatedSqliteEventLogStorage,
    DagsterSqliteStorage,
    SqlEventLogStorageTable,
    SqliteRunStorage,
    SqliteScheduleStorage,
)
from resources.runs.owned_runs import OwnedRuns
from resources.runs.process_marks import ProcessMarks

if TYPE_CHECKING:
    from dagster import EventLogEntry
    from sqlalchemy import Connection, Engine

    from resources.runs.dagster_private import ConfigurableClassData

BUSY_SECONDS: Final = 60.0


class PooledEventLog(ConsolidatedSqliteEventLogStorage):
    """Keeps Dagster's event log of all runs in one file, with a pool of open connections."""

    _tables: frozenset[str] = frozenset()

    @cached_property
    def _engine(self) -> Engine:
        engine = create_engine(self._conn_string, connect_args={"timeout": BUSY_SECONDS})
        listen(engine, "connect", _flush_at_checkpoints)
        return engine

    @cached_property
    def _under_way(self) -> threading.local:
        """Return the transaction that this thread has open, as ``connection``."""
        return threading.local()

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        """Yield a transaction; if this thread has one open, yield that one."""
        outer: Connection | None = getattr(self._under_way, "connection", None)
        if outer is not None:
            yield outer
            return
        with self._engine.connect() as connection, connection.begin():
            self._under_way.connection = connection
            try:
                yield connection
            finally:
                self._under_way.connection = None

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event with everything that follows from it (the latest of its asset, its tags, its check), or
        nothing."""
        with self._connect():
            super().store_event(event)

    def has_table(self, table_name: str) -> bool:
        """Return whether a table exists. The answer is remembered, because every event asks and tables are never
        removed."""
        if table_name not in self._tables:
            with self._connect() as connection:
                self._tables = frozenset(inspect(connection).get_table_names())
        return table_name in self._tables

    def dispose(self) -> None:
        """Close the connections."""
        self._engine.dispose()
        super().dispose()  # type: ignore[no-untyped-call]


class OwnedRunStorage(OwnedRuns, SqliteRunStorage):
    """Keeps Dagster's runs in SQLite, each tagged with the mark of its process."""


def _flush_at_checkpoints(connection: sqlite3.Connection, _: object) -> None:
    """Wait for the disk when the write-ahead log is checkpointed, not after each event.

    A killed process loses nothing that way; a power failure can lose the last events, never the file. What is stale is
    told from slices and models, which are flushed one by one.
    """
    connection.execute("PRAGMA synchronous = NORMAL")


class RunHistory(DagsterSqliteStorage):
    """Keeps runs, events and schedules below one folder: ``history`` and ``schedules``."""

    _event_log_storage: Any

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        from filelock import FileLock

        super(DagsterSqliteStorage, self).__init__()  # type: ignore[no-untyped-call]  # the parent's makes other files
        self.base_dir = base_dir
        self._inst_data = inst_data
        root = Path(base_dir)
        with FileLock(root / ".history.lock"):  # processes that start on a new home make the tables one by one
            self._run_storage = OwnedRunStorage.from_local(str(root / "history"))
            self._run_storage.marks = ProcessMarks(root / "processes")
            self._run_storage.marks.own()  # so that a restore sees that the history is open
            self._event_log_storage = PooledEventLog(str(root / "history"))
            if not self._event_log_storage.has_table(SqlEventLogStorageTable.name):  # fails here where it is garbage
                self._event_log_storage._init_db()  # there, but empty
            self._schedule_storage = SqliteScheduleStorage.from_local(str(root / "schedules"))

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> RunHistory:
        """Return the history as ``dagster.yaml`` configures it."""
        return cls.from_local(inst_data=inst_data, **config_value)
