"""Dagster's default launcher, which knows whether the process of a run still lives, so that run monitoring asks it.

Without that a run whose process was killed, alone or with its daemon, counts as under way for an hour, and takes one of
the queue's places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster import DefaultRunLauncher

from resources.runs.dagster_private import CheckRunHealthResult, WorkerStatus
from resources.runs.history import PROCESS_IS_GONE, is_abandoned

if TYPE_CHECKING:
    from dagster import DagsterRun


class LocalRunLauncher(DefaultRunLauncher):
    """Launches runs as the default launcher does, and looks after every run of the instance, whoever launched it."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether run monitoring may ask: always."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return whether the process of a run lives; one that an older version of the project began counts as
        living.
        """
        if is_abandoned(self._instance, run):
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, PROCESS_IS_GONE)
        return CheckRunHealthResult(WorkerStatus.RUNNING)
