"""Marks of living processes: a file that a process keeps locked for as long as it lives.

The kernel frees the lock however the process ends: killed, out of memory, by a reboot, with its container. So a mark
tells a dead process from a living one without its process number, which may be reused, and without its host's name.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import uuid
from pathlib import Path
from typing import ClassVar, Final

# Set for the processes of the service, and inherited by the runs that they start: what these print is kept.
KEEPS_OUTPUT: Final = "TRADING_DAG_KEEPS_OUTPUT"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")


class ProcessMarks:
    """Manages the marks in one folder.

    Parameters
    ----------
    folder : folder of the marks; made when a process first takes one.
    """

    # By process and folder: a forked child has a mark of its own. Never closed, for that would free the lock.
    _held: ClassVar[dict[tuple[int, Path], str]] = {}

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def own(self) -> str:
        """Return the name of this process's mark, which is taken at the first call and held until the process ends."""
        where = (os.getpid(), self.folder)
        if where not in self._held:
            self._held[where] = self._take()
        return self._held[where]

    def lives(self, name: str) -> bool:
        """Return whether the process of that mark lives; False for a name that no process can have had."""
        if name == self._held.get((os.getpid(), self.folder)):
            return True
        return _NAME.fullmatch(name) is not None and _is_locked(self.folder / name)

    def living(self) -> list[str]:
        """Return the marks of the other processes that live, sorted."""
        own = self._held.get((os.getpid(), self.folder))
        names = sorted(path.name for path in self.folder.glob("*") if not path.name.startswith("."))
        return [name for name in names if name != own and self.lives(name)]

    def sweep(self) -> None:
        """Remove the marks of processes that are gone; a missing mark counts as dead, just as an unlocked one does."""
        for path in self.folder.glob("*"):
            if not self.lives(path.name) and not path.name.startswith("."):
                path.unlink(missing_ok=True)

    def _take(self) -> str:
        host = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname()).strip(".") or "host"
        name = f"{host}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        hidden = self.folder / f".{name}"
        descriptor = os.open(hidden, os.O_CREAT | os.O_RDWR, 0o644)  # not inherited by programs that are started
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        hidden.rename(self.folder / name)  # locked before anybody can find it free
        return name


def number_of(name: str) -> int | None:
    """Return the number of the process whose mark has that name; None for what is no such name."""
    parts = name.rsplit("-", 2)
    return int(parts[1]) if len(parts) == 3 and parts[1].isdecimal() else None


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared, so that two who look do not see each other
    except BlockingIOError:
        return True
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    return False
