"""Who is running what: refuses to work on slices that another run works on, and buries runs whose process died."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from typing import Final

import dagster as dg
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES

from assets.partitions import partition_key
from resources.parquet_store import SliceKey
from trading_dag.errors import SliceBusyError

OWNER_PID_TAG: Final = "trading_dag/pid"
OWNER_STARTED_TAG: Final = "trading_dag/process_started"
OWNER_HOST_TAG: Final = "trading_dag/host"
PARTITION_TAG: Final = "dagster/partition"


def owner_tags() -> dict[str, str]:
    """Tags by which a later process can tell whether this one still lives."""
    import psutil

    process = psutil.Process()
    return {
        OWNER_PID_TAG: str(os.getpid()),
        OWNER_STARTED_TAG: f"{process.create_time():.2f}",
        OWNER_HOST_TAG: socket.gethostname(),
    }


def bury_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs as failed whose process on this machine is gone; return their ids."""
    buried = []
    for run in _runs_in_progress(instance):
        if OWNER_PID_TAG in run.tags and not _owner_lives(run.tags):
            instance.report_run_failed(run, "the process that executed this run was ended from outside")
            buried.append(run.run_id)
    return buried


def refuse_if_busy(instance: dg.DagsterInstance, keys: Iterable[SliceKey]) -> None:
    """Raise where a run that is queued or under way works on one of the slices.

    Raises
    ------
    SliceBusyError : naming the run, its job and its slice.
    """
    wanted = {str(partition) for partition in map(partition_key, keys) if partition is not None}
    for run in _runs_in_progress(instance):
        partition = run.tags.get(PARTITION_TAG)
        if partition in wanted:
            raise SliceBusyError(
                f"{partition} is being materialized by run {run.run_id[:8]} of job {run.job_name}; "
                "wait for it, or end it in the Dagster UI"
            )


def _runs_in_progress(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    statuses = [*IN_PROGRESS_RUN_STATUSES, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]
    return list(instance.get_runs(filters=dg.RunsFilter(statuses=statuses)))


def _owner_lives(tags: Mapping[str, str]) -> bool:
    import psutil

    if tags.get(OWNER_HOST_TAG) != socket.gethostname():
        return True
    try:
        started = psutil.Process(int(tags[OWNER_PID_TAG])).create_time()
    except psutil.NoSuchProcess:
        return False
    return f"{started:.2f}" == tags.get(OWNER_STARTED_TAG)
