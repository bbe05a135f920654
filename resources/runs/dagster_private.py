"""Every name that the project takes from private modules of Dagster, so that an update has one place to look at.

Dagster may rename or change these names in any version. ``tests/resources/runs/test_dagster_private.py`` fails if the
installed version is not the one for which they were checked, or if a name no longer fits its use. To move to
a new version: read what changed about each name, then raise ``WRITTEN_FOR`` and the pin in ``pyproject.toml``.
Other modules may not import private modules (ruff's ``TID251``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dagster._check import CheckError
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus, PartitionBackfill
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.dagster_run import FINISHED_STATUSES, IN_PROGRESS_RUN_STATUSES, NOT_FINISHED_STATUSES
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.consolidated_sqlite_event_log import ConsolidatedSqliteEventLogStorage
from dagster._core.storage.runs import SqliteRunStorage, SqlRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._core.storage.tags import RUN_KEY_TAG, SENSOR_NAME_TAG
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._serdes import ConfigurableClassData

if TYPE_CHECKING:
    from click import Command

WRITTEN_FOR: Final = "1.13.27"

__all__ = [
    "DATA_VERSION_TAG",
    "FINISHED_STATUSES",
    "IN_PROGRESS_RUN_STATUSES",
    "NOT_FINISHED_STATUSES",
    "RUN_KEY_TAG",
    "SENSOR_NAME_TAG",
    "WRITTEN_FOR",
    "AssetCheckEvaluationTargetMaterializationData",
    "AssetCheckExecutionsTable",
    "BulkActionStatus",
    "BulkActionsFilter",
    "CheckError",
    "CheckRunHealthResult",
    "ConfigurableClassData",
    "ConsolidatedSqliteEventLogStorage",
    "DagsterSqliteStorage",
    "PartitionBackfill",
    "SqlEventLogStorageTable",
    "SqlRunStorage",
    "SqliteRunStorage",
    "SqliteScheduleStorage",
    "WorkerStatus",
    "WorkspaceFileTarget",
    "WorkspaceProcessContext",
    "daemon_command",
]


def daemon_command() -> Command:
    """Return Dagster's command ``dagster-daemon run``; the daemon is only loaded when it is asked for."""
    from dagster._daemon.cli import run_command

    return run_command
