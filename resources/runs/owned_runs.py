"""Runs that belong to processes: each is tagged with the mark of the one that has it in hand, whoever launched it.

So a run whose process is gone can be told from one that is under way. In which database the runs are kept is
``history``'s and ``postgres_history``'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dagster import DagsterEventType

if TYPE_CHECKING:
    from datetime import datetime

    from dagster import DagsterEvent, DagsterInstance, DagsterRun

    from resources.runs.dagster_private_storage import SqlRunStorage
    from resources.runs.process_marks import ProcessMarks

    _Base = SqlRunStorage
else:
    _Base = object

PROCESS_TAG: Final = "trading_dag/process"
PROCESS_IS_GONE: Final = "the process that executed this run was ended from outside"
# Whoever says this of a run has it in hand from now on: the daemon that launches it, then the process that executes it.
_TAKEN_OVER: Final = frozenset({DagsterEventType.RUN_STARTING, DagsterEventType.RUN_START})


class OwnedRuns(_Base):
    """Adds to a run storage of Dagster the mark of the process that made a run, launches it or executes it."""

    marks: ProcessMarks

    def add_run(self, dagster_run: DagsterRun) -> DagsterRun:
        """Store a new run as owned by this process."""
        return super().add_run(dagster_run.with_tags({**dagster_run.tags, PROCESS_TAG: self.marks.own()}))

    def handle_run_event(self, run_id: str, event: DagsterEvent, update_timestamp: datetime | None = None) -> None:
        """Follow an event of a run; this process becomes the owner before the run counts as launched or started."""
        if event.event_type in _TAKEN_OVER:
            run = self._get_run_by_id(run_id)
            if run is not None and run.tags.get(PROCESS_TAG) != self.marks.own():
                self.add_run_tags(run_id, {PROCESS_TAG: self.marks.own()})
        super().handle_run_event(run_id, event, update_timestamp)


def is_abandoned(instance: DagsterInstance, run: DagsterRun) -> bool:
    """Return whether the process that owned an unfinished run is gone; False where no owner was recorded."""
    storage, mark = instance.run_storage, run.tags.get(PROCESS_TAG)
    return isinstance(storage, OwnedRuns) and mark is not None and not storage.marks.lives(mark)


def sweep_marks(instance: DagsterInstance) -> None:
    """Remove the marks of processes that are gone."""
    if isinstance(instance.run_storage, OwnedRuns):
        instance.run_storage.marks.sweep()
