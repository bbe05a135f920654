"""Which of Dagster's runs may be deleted: those that ended long ago and that no current state depends on.

Dagster reads from its event log what each slice holds, whether its checks passed, and whether a sensor has already
asked for something. A run that holds the last event on any of that is kept, however old, and so is the record of a
restatement.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from pathlib import Path
from typing import Final

import dagster as dg
from sqlalchemy import func, select

from resources.runs.dagster_private import FINISHED_STATUSES, RUN_KEY_TAG, SENSOR_NAME_TAG
from resources.runs.dagster_private_storage import AssetCheckExecutionsTable, SqlEventLogStorageTable
from resources.runs.deletion import delete_runs

# A slice that was planned after it was made last has failed since: the run that planned it says so.
_LAST_WORDS: Final = (
    "ASSET_MATERIALIZATION",
    "ASSET_MATERIALIZATION_PLANNED",
    "ASSET_OBSERVATION",
    "ASSET_FAILED_TO_MATERIALIZE",
)
COMPACTING_WAITS_SECONDS: Final = 1.0


def superfluous_runs(instance: dg.DagsterInstance, *, before: dt.datetime) -> list[str]:
    """Return the ids of the runs that ended before a moment and may be deleted, oldest first."""
    records = instance.get_run_records(
        filters=dg.RunsFilter(statuses=list(FINISHED_STATUSES), updated_before=before), ascending=True
    )
    needed = _last_words(instance)
    return [
        record.dagster_run.run_id
        for record in records
        if record.dagster_run.run_id not in needed
        and not {RUN_KEY_TAG, SENSOR_NAME_TAG} <= record.dagster_run.tags.keys()
    ]


def remove_runs(instance: dg.DagsterInstance, run_ids: list[str]) -> None:
    """Delete runs together with their events and what they printed."""
    for run_id in run_ids:
        instance.compute_log_manager.delete_logs(prefix=[run_id])
    delete_runs(instance, run_ids)


def compact(state: Path) -> tuple[int, bool]:
    """Return to the disk the space that deleted rows have left in Dagster's SQLite files.

    Returns
    -------
    Bytes given back, and whether all files were compacted: one that is being written keeps its size, and uses the room.
    """
    freed, is_complete = 0, True
    for path in sorted(state.glob("history/*.db")):
        before = path.stat().st_size
        connection = sqlite3.connect(path, timeout=COMPACTING_WAITS_SECONDS, isolation_level=None)
        try:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError:
            is_complete = False
        finally:
            connection.close()
        freed += before - path.stat().st_size
    return max(freed, 0), is_complete


def _last_words(instance: dg.DagsterInstance) -> set[str]:
    """Return the runs with the newest event of its kind for an asset or check and partition, or with a restatement."""
    events, checks = SqlEventLogStorageTable, AssetCheckExecutionsTable
    newest = (
        select(func.max(events.c.id))
        .where(events.c.asset_key.is_not(None), events.c.dagster_event_type.in_(_LAST_WORDS))
        .group_by(events.c.asset_key, events.c.partition, events.c.dagster_event_type)
    )
    verdicts = select(func.max(checks.c.id)).group_by(checks.c.asset_key, checks.c.check_name, checks.c.partition)
    wanted = (
        select(events.c.run_id).where(events.c.id.in_(newest)),
        select(checks.c.run_id).where(checks.c.id.in_(verdicts)),
        select(events.c.run_id).where(
            events.c.dagster_event_type == "ASSET_MATERIALIZATION", events.c.event.contains('"restatements"')
        ),
    )
    storage = instance.event_log_storage
    with storage.index_connection() as connection:  # type: ignore[attr-defined]  # of every SQL storage
        return {str(run_id) for query in wanted for (run_id,) in connection.execute(query.distinct())}
