"""Who is working on what: claims tickers for a command, refuses slices that automation works on, buries dead runs."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus, PartitionBackfill
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES

from assets.partitions import partition_key
from resources.parquet_store import SliceKey
from trading_dag.errors import SliceBusyError

OWNER_PID_TAG: Final = "trading_dag/pid"
OWNER_STARTED_TAG: Final = "trading_dag/process_started"
OWNER_HOST_TAG: Final = "trading_dag/host"
PARTITION_TAG: Final = "dagster/partition"
BACKFILL_UNDER_WAY: Final = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING]


@contextmanager
def claim(state: Path, tickers: Iterable[str]) -> Iterator[None]:
    """Hold tickers for the length of one command, also before it has made a run that others could see.

    The kernel frees what a killed command held.

    Parameters
    ----------
    state : the ``.dagster`` folder of the home.

    Raises
    ------
    SliceBusyError : at once, where another command holds one of them.
    """
    from filelock import FileLock, Timeout

    folder = state / "claims"
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        for ticker in sorted(set(tickers)):
            try:
                held.enter_context(FileLock(folder / f"{ticker}.lock", timeout=0))
            except Timeout:
                raise SliceBusyError(
                    f"another trading-dag command on this home is working on {ticker}; wait for it, or end it"
                ) from None
        yield


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
    """Raise where a run or a backfill that is queued or under way works on one of the slices.

    Raises
    ------
    SliceBusyError : naming the run or backfill and its slice.
    """
    wanted = {str(partition) for partition in map(partition_key, keys) if partition is not None}
    for run in _runs_in_progress(instance):
        partition = run.tags.get(PARTITION_TAG)
        if partition in wanted:
            raise SliceBusyError(
                f"{partition} is being materialized by run {run.run_id[:8]} of job {run.job_name}; "
                "wait for it, or end it in the Dagster UI"
            )

    # Between two of its runs only the backfill itself says that more will follow.
    for backfill in instance.get_backfills(filters=BulkActionsFilter(statuses=BACKFILL_UNDER_WAY)):
        common = sorted(wanted & _partitions_of(backfill))
        if common:
            raise SliceBusyError(
                f"{common[0]} is part of backfill {backfill.backfill_id}, which is under way; "
                "wait for it, or end it in the Dagster UI"
            )


def _partitions_of(backfill: PartitionBackfill) -> set[str]:
    if backfill.asset_backfill_data is None:
        return set(backfill.partition_names or ())
    targets = backfill.asset_backfill_data.target_subset.iterate_asset_partitions()
    return {str(target.partition_key) for target in targets if target.partition_key is not None}


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
