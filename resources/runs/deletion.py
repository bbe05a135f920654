"""Deleting many of Dagster's runs at a time. Which ones may go is not decided here.

Dagster's own ``delete_run`` deletes one: six transactions, each of which waits for the disk. A year's runs are
thousands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, select

from resources.runs.dagster_private_storage import (
    AssetEventTagsTable,
    ConcurrencySlotsTable,
    PendingStepsTable,
    RunsTable,
    RunTagsTable,
    SqlEventLogStorageTable,
)

if TYPE_CHECKING:
    import dagster as dg

BATCH: Final = 200  # some thousand events: a transaction that no writer has to wait for long


def delete_runs(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> None:
    """Delete finished runs, their tags and their events, and free what they still hold of a pool.

    A run's events go before the run: whatever ends this process in between, the run is still there to be deleted.
    """
    events: Any = instance.event_log_storage
    runs: Any = instance.run_storage
    for first in range(0, len(run_ids), BATCH):
        some = run_ids[first : first + BATCH]
        _free_slots(events, some)
        _delete_events(events, some)
        with runs.connect() as connection:
            connection.execute(delete(RunTagsTable).where(RunTagsTable.c.run_id.in_(some)))
            connection.execute(delete(RunsTable).where(RunsTable.c.run_id.in_(some)))


def _delete_events(storage: Any, run_ids: Sequence[str]) -> None:
    log = SqlEventLogStorageTable
    their = select(log.c.id).where(log.c.run_id.in_(run_ids))
    with storage.index_connection() as connection:
        connection.execute(delete(AssetEventTagsTable).where(AssetEventTagsTable.c.event_id.in_(their)))
        connection.execute(delete(log).where(log.c.run_id.in_(run_ids)))


def _free_slots(storage: Any, run_ids: Sequence[str]) -> None:
    if not storage.supports_global_concurrency_limits:
        return
    with storage.index_connection() as connection:
        holding = {
            str(run_id)
            for table in (ConcurrencySlotsTable, PendingStepsTable)
            for (run_id,) in connection.execute(select(table.c.run_id).where(table.c.run_id.in_(run_ids)).distinct())
        }
    for run_id in sorted(holding):
        storage.free_concurrency_slots_for_run(run_id)
