"""How many requests may come to a vendor within a period, counted where they arrive.

Requests that leave evenly do not arrive evenly: one that is held up on the way comes together with the next. So a
request takes one of a few slots, and a slot is free again only when a whole period has passed since its request was
answered. Whatever the way does, no more requests than slots arrive within a period. When each leaves is
``rate_limit.py``'s part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from time import sleep as sleep_seconds
from time import time
from typing import Final

from filelock import FileLock, Timeout

SLOTS: Final = 5
_POLL_SECONDS: Final = 0.01


class RequestSlots:
    """Allows at most ``SLOTS`` requests within any ``SLOTS / requests_per_second`` seconds, for all threads and
    processes.

    A slot is a file lock, which ends with its process, and a file that says when its last request ended.

    Parameters
    ----------
    folder : where the slots' files lie.
    requests_per_second : the rate.
    sleep, clock : how to wait for the end of a period and what time it is, in seconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        requests_per_second: float,
        sleep: Callable[[float], None] = sleep_seconds,
        clock: Callable[[], float] = time,
    ) -> None:
        self._paths = [folder / f"slot-{number}" for number in range(SLOTS)]
        self._period = SLOTS / requests_per_second
        self._sleep = sleep
        self._clock = clock

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold a slot while a request is sent and answered."""
        path, lock = self._taken()
        try:
            now = self._clock()
            # More than a period is a clock that was set back.
            wait = min(_ended_at(path) + self._period - now, self._period)
            if wait > 0.0:
                self._sleep(wait)
            # What a process that dies leaves behind: its request may have been sent.
            path.write_text(repr(self._clock()))
            try:
                yield
            finally:
                path.write_text(repr(self._clock()))
        finally:
            lock.release()

    def _taken(self) -> tuple[Path, FileLock]:
        """Return the slot that was free first, locked; waits while all are taken."""
        self._paths[0].parent.mkdir(parents=True, exist_ok=True)
        while True:
            now = self._clock()
            # One of a time to come first: used, it tells the time again; passed over, it would be lost for good.
            for path in sorted(self._paths, key=lambda path: (_ended_at(path) <= now, _ended_at(path))):
                lock = FileLock(path.with_name(f"{path.name}.lock"))
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    continue
                return path, lock
            # Never a stand-in: whoever waits here waits for another thread.
            sleep_seconds(_POLL_SECONDS)


def _ended_at(path: Path) -> float:
    """Return when the slot's last request ended; 0 where its file says no time."""
    try:
        ended = float(path.read_text())
    except (FileNotFoundError, ValueError):
        return 0.0
    return ended if isfinite(ended) else 0.0
