"""A rate limit that all threads and processes of one home share.

Each request reserves the next free moment in a small file, under a file lock, and sleeps until then: no daemon,
no burst, and a vendor's ``Retry-After`` holds everybody back. Retrying is elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import sleep as sleep_seconds
from time import time
from typing import Final

from filelock import FileLock

LONGEST_WAIT_SECONDS: Final = 3600.0


class RateLimiter:
    """Allows at most ``requests_per_second``, evenly spaced.

    Parameters
    ----------
    path : file that holds the next free moment (seconds since the epoch); its lock lies beside it.
    requests_per_second : the rate.
    sleep, clock : how to wait and what time it is, in seconds.
    """

    def __init__(
        self,
        path: Path,
        *,
        requests_per_second: float,
        sleep: Callable[[float], None] = sleep_seconds,
        clock: Callable[[], float] = time,
    ) -> None:
        self._path = path
        self._interval = 1.0 / requests_per_second
        self._sleep = sleep
        self._clock = clock

    def wait(self) -> None:
        """Return when it is this request's turn."""
        with self._lock():
            now = self._clock()
            turn = max(now, self._next_turn(now))
            self._path.write_text(repr(turn + self._interval))
        if turn > now:
            self._sleep(turn - now)

    def postpone(self, seconds: float) -> None:
        """Let no request begin within the next ``seconds``, in no process."""
        with self._lock():
            now = self._clock()
            self._path.write_text(repr(max(now + seconds, self._next_turn(now))))

    def _lock(self) -> FileLock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self._path.with_name(f"{self._path.name}.lock"))

    def _next_turn(self, now: float) -> float:
        try:
            turn = float(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return now
        # A moment far ahead is a clock that was set back, not a queue.
        return turn if turn - now <= LONGEST_WAIT_SECONDS else now
