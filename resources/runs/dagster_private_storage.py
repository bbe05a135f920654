"""The names of Dagster's storages that the project takes, which load SQLAlchemy: the other half of ``dagster_private``.

What that module says of versions holds here too, and the same test looks at both.
"""

from __future__ import annotations

from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    ConcurrencySlotsTable,
    PendingStepsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sqlite.consolidated_sqlite_event_log import ConsolidatedSqliteEventLogStorage
from dagster._core.storage.runs import SqliteRunStorage, SqlRunStorage
from dagster._core.storage.runs.schema import RunsTable, RunTagsTable
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage

__all__ = [
    "AssetCheckExecutionsTable",
    "AssetEventTagsTable",
    "ConcurrencySlotsTable",
    "ConsolidatedSqliteEventLogStorage",
    "DagsterSqliteStorage",
    "PendingStepsTable",
    "RunTagsTable",
    "RunsTable",
    "SqlEventLogStorageTable",
    "SqlRunStorage",
    "SqliteRunStorage",
    "SqliteScheduleStorage",
]
