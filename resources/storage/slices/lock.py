"""One run per slice, whoever started it: a file lock that each run holds from its first step to its last.

Dagster's run queue keeps runs on one partition apart (``dagster.yaml``), but only those that go through it: a
command executes its runs itself, and so does anyone who executes a job by hand. The lock is a resource that every
asset requires, so Dagster takes it at the start of a run in whatever process; the kernel frees it with the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from trading_dag.errors import SliceBusyError

if TYPE_CHECKING:
    from dagster import InitResourceContext

PARTITION_TAG: Final = "dagster/partition"
UNPARTITIONED: Final = "unpartitioned"
# As long as any run may take (dagster/max_runtime of the jobs).
PATIENCE_SECONDS: Final = 3600.0


def lock_file(state: Path, partition: str | None) -> Path:
    """Return the file that is locked while a run works on a partition; everything unpartitioned shares one file."""
    return state / "slices" / f"{quote(partition or UNPARTITIONED, safe='')}.lock"


def held_slice(context: InitResourceContext, state: Path) -> Iterator[None]:
    """Hold the slice of the run that is being initialized for as long as the run lasts.

    If another run holds it, wait for that run; the event log says so.

    Parameters
    ----------
    state : the ``.dagster`` folder of the home.

    Raises
    ------
    SliceBusyError : where the other run lasts longer than any run may.
    """
    from filelock import FileLock, Timeout

    partition = context.run.tags.get(PARTITION_TAG) if context.run else None
    path = lock_file(state, partition)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if context.log:
            context.log.info("another run is working on %s; waiting for it", partition or UNPARTITIONED)
        try:
            lock.acquire(timeout=PATIENCE_SECONDS)
        except Timeout:
            raise SliceBusyError(f"another run has been working on {partition or UNPARTITIONED} for too long") from None
    try:
        yield
    finally:
        lock.release()
