"""Every name that the project takes from private modules of Dagster, so that an update has one place to look at.

Names of its storages stand in ``dagster_private_storage``: they load SQLAlchemy, which definitions do not need.

Dagster may rename or change these names in any version. ``tests/resources/runs/test_dagster_private.py`` fails if the
installed version is not the one for which they were checked, or if a name no longer fits its use. To move to
a new version: read what changed about each name, then raise ``WRITTEN_FOR`` and the pin in ``pyproject.toml``.
Other modules may not import private modules (ruff's ``TID251``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dagster._check import CheckError
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus, PartitionBackfill
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin as ManagedCodeServer
from dagster._core.storage.compute_log_manager import CapturedLogContext
from dagster._core.storage.dagster_run import FINISHED_STATUSES, IN_PROGRESS_RUN_STATUSES, NOT_FINISHED_STATUSES
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.tags import RUN_KEY_TAG, SENSOR_NAME_TAG
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._serdes import ConfigurableClassData
from dagster._utils.interrupts import capture_interrupts

if TYPE_CHECKING:
    from collections.abc import Callable

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
    "BulkActionStatus",
    "BulkActionsFilter",
    "CapturedLogContext",
    "CheckError",
    "CheckRunHealthResult",
    "ConfigurableClassData",
    "LaunchRunContext",
    "LocalComputeLogManager",
    "ManagedCodeServer",
    "ModuleCodePointer",
    "PartitionBackfill",
    "WorkerStatus",
    "WorkspaceFileTarget",
    "WorkspaceProcessContext",
    "capture_interrupts",
    "daemon_command",
    "executor_of_runs",
]


def daemon_command() -> Command:
    """Return Dagster's command ``dagster-daemon run``; the daemon is only loaded when it is asked for."""
    from dagster._daemon.cli import run_command

    return run_command


def executor_of_runs() -> Callable[..., int]:
    """Return what ``dagster api execute_run`` does in its process, given a run's id, the instance, what is done with
    each event, and ``set_exit_code_on_failure``; it is only loaded when it is asked for."""
    from dagster._cli.api import _execute_run_command_body

    return _execute_run_command_body
