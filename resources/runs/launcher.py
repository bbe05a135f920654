"""Dagster's default launcher, extended so that run monitoring can ask whether the process of a run still lives.

Without that, a run whose process was killed, alone or with its daemon, counts as under way for an hour, and occupies
one of the queue's places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster import DefaultRunLauncher

from resources.runs.dagster_private import CheckRunHealthResult, WorkerStatus
from resources.runs.owned_runs import PROCESS_IS_GONE, is_abandoned

if TYPE_CHECKING:
    from dagster import DagsterRun


class LocalRunLauncher(DefaultRunLauncher):
    """Launches runs as the default launcher does, and monitors every run of the instance, whoever launched it."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Return True: run monitoring may always ask."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return whether the process of a run lives; a run that an older version of the project started counts as
        living."""
        if is_abandoned(self._instance, run):
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, PROCESS_IS_GONE)
        return CheckRunHealthResult(WorkerStatus.RUNNING)
