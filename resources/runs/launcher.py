"""Dagster's default launcher, extended twice.

Runs are started as forks of a process that has imported everything (``warm_start``). And run monitoring can ask whether
the process of a run still lives: without that, a run whose process was killed, alone or with its daemon, counts as
under way for an hour, and occupies one of the queue's places.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import psutil
from dagster import DefaultRunLauncher

from resources.runs import warm_start
from resources.runs.dagster_private import CheckRunHealthResult, ManagedCodeServer, ModuleCodePointer, WorkerStatus
from resources.runs.owned_runs import PROCESS_IS_GONE, PROCESS_TAG, is_abandoned
from resources.runs.process_marks import number_of
from resources.runs.warm_start import RunServer
from trading_dag.errors import ServerError

if TYPE_CHECKING:
    from dagster import DagsterRun

    from resources.runs.dagster_private import LaunchRunContext


class LocalRunLauncher(DefaultRunLauncher):
    """Launches each run in a process of its own, and monitors every run of the instance, whoever launched it."""

    def __init__(self, inst_data: Any = None) -> None:
        super().__init__(inst_data)
        self._servers: dict[str, RunServer] = {}
        self._turn = threading.Lock()

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

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run. One of a code server that somebody else started is executed there, as Dagster does it: it may
        be in another container, from which a fork could not be told to stop."""
        module = _module_of(context.dagster_run)
        if module is None or context.workspace is None:
            super().launch_run(context)
            return
        run = context.dagster_run
        self._start(module, run.run_id)
        self._run_ids.add(run.run_id)

    def terminate(self, run_id: str) -> bool:
        """Ask the process of a run to stop, and return whether it could be asked."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        number = number_of(run.tags.get(PROCESS_TAG, ""))
        if number is None or not _is_fork(number) or is_abandoned(self._instance, run):
            return super().terminate(run_id)  # type: ignore[no-any-return,no-untyped-call]
        self._instance.report_run_canceling(run)
        os.kill(number, signal.SIGTERM)
        return True

    def dispose(self) -> None:
        """Let the processes that start runs end after their runs."""
        for server in self._servers.values():
            server.end()
        super().dispose()

    def _start(self, module: str, run_id: str) -> None:
        """Fork the run from the process that has imported its code, from a new one where the code or the settings have
        changed since.

        The daemon replaces its code servers every minute whether or not anything has changed, so which of them a run
        comes from says nothing.

        Raises
        ------
        ServerError : where the process cannot start, or what it imports goes on changing.
        """
        with self._turn:
            for _ in range(2):
                server = self._servers.get(module)
                if server is None or not server.lives:
                    server = self._servers[module] = RunServer(module)
                if server.start(run_id) is not None:
                    return
                self._servers.pop(module).end()
        raise ServerError("the code or the settings change faster than a process that starts runs can import them")


def _module_of(run: DagsterRun) -> str | None:
    """Return the module whose definitions the run belongs to; None where a fork of this Python could not execute it."""
    origin, location = run.job_code_origin, run.remote_job_origin
    if location is None or not isinstance(location.repository_origin.code_location_origin, ManagedCodeServer):
        return None
    if origin is None or origin.repository_origin.executable_path != sys.executable:
        return None
    pointer = origin.repository_origin.code_pointer
    return pointer.module if isinstance(pointer, ModuleCodePointer) else None


def _is_fork(number: int) -> bool:
    """Return whether a process is, or was forked from, one that starts runs."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return warm_start.MODULE in psutil.Process(number).cmdline()
    return False
