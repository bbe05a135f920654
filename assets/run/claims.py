"""Who is working on what: claims tickers for a command, refuses slices that automation works on, and closes the runs of
processes that died."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import dagster as dg

from assets.partitions import partition_key
from resources.runs.dagster_private import (
    IN_PROGRESS_RUN_STATUSES,
    BulkActionsFilter,
    BulkActionStatus,
    PartitionBackfill,
)
from resources.runs.owned_runs import PROCESS_IS_GONE, is_abandoned, sweep_marks
from resources.storage.parquet_store import SliceKey
from trading_dag.errors import SliceBusyError

PARTITION_TAG: Final = "dagster/partition"
LAUNCHING_DAEMON: Final = "QUEUED_RUN_COORDINATOR"
HEARTBEAT_SECONDS: Final = 60.0
# A process has them in hand: it made them, launches them, executes them or ends them.
IN_HAND: Final = [*IN_PROGRESS_RUN_STATUSES, dg.DagsterRunStatus.NOT_STARTED]
BACKFILL_UNDER_WAY: Final = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING]


@contextmanager
def claim(state: Path, tickers: Iterable[str]) -> Iterator[None]:
    """Hold tickers for the length of one command, even before it has made a run that others could see.

    The kernel releases them if the command is killed.

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


def bury_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs whose process is gone as failed (or as cancelled where that was requested), whoever launched them.

    Returns
    -------
    Their ids.
    """
    buried = []
    for run in _runs_in(instance, IN_HAND):
        if is_abandoned(instance, run):
            if run.status == dg.DagsterRunStatus.CANCELING:
                instance.report_run_canceled(run, PROCESS_IS_GONE)
            else:
                instance.report_run_failed(run, PROCESS_IS_GONE)
            buried.append(run.run_id)
    sweep_marks(instance)
    return buried


def refuse_if_busy(instance: dg.DagsterInstance, keys: Iterable[SliceKey]) -> None:
    """Raise where a run or a backfill that is queued or under way works on one of the slices.

    A queued run waits for a daemon; where none lives, nobody will work on it now, so it is ignored.

    Raises
    ------
    SliceBusyError : naming the run or backfill and its slice.
    """
    wanted = {str(partition) for partition in map(partition_key, keys) if partition is not None}
    has_daemon = _daemon_lives(instance)
    for run in _runs_in(instance, [*IN_HAND, *([dg.DagsterRunStatus.QUEUED] if has_daemon else [])]):
        partition = run.tags.get(PARTITION_TAG)
        if partition in wanted:
            raise SliceBusyError(
                f"{partition} is being materialized by run {run.run_id[:8]} of job {run.job_name}; "
                "wait for it, or end it in the Dagster UI"
            )

    if not has_daemon:
        return
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


def _runs_in(instance: dg.DagsterInstance, statuses: list[dg.DagsterRunStatus]) -> list[dg.DagsterRun]:
    return list(instance.get_runs(filters=dg.RunsFilter(statuses=statuses)))


def _daemon_lives(instance: dg.DagsterInstance) -> bool:
    """Return whether a daemon that launches runs sent a heartbeat within the last minute; it sends one every half
    minute."""
    heartbeat = instance.get_daemon_heartbeats().get(LAUNCHING_DAEMON)
    return heartbeat is not None and time.time() - heartbeat.timestamp < HEARTBEAT_SECONDS
