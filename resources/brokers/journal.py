"""A journal: one event a line, appended and flushed to disk before anybody relies on it.

Each line begins with a checksum of the rest. A last line that is cut off was being written when its process ended: it
never counted, and the next append removes it. Any other line that is not as it was written stops the account.
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Protocol

from resources.storage.durable import flush_folder
from trading_dag.errors import JournalError
from trading_dag.paper.events import Event


class Journal(Protocol):
    """Keeps events in their order."""

    @property
    def events(self) -> list[Event]:
        """Return every event so far."""

    def append(self, event: Event) -> None:
        """Keep one more event; once this returns, it is kept for good."""


class FileJournal:
    """Keeps events in a file. Only one process may write at a time: the account's lock sees to it.

    Parameters
    ----------
    path : of the file, which need not exist.

    Raises
    ------
    JournalError : for a line that is not as it was written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._whole = 0
        self._events = list(self._read())

    @property
    def events(self) -> list[Event]:
        """Return every event so far."""
        return list(self._events)

    def append(self, event: Event) -> None:
        """Write and flush one line."""
        text = json.dumps(event, sort_keys=True, allow_nan=False)
        line = f"{_checksum(text)} {text}\n".encode()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.exists()
        with self.path.open("ab") as file:
            if file.tell() != self._whole:
                file.truncate(self._whole)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            flush_folder(self.path.parent)
        self._whole += len(line)
        self._events.append(event)

    def _read(self) -> list[Event]:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise JournalError(f"{self.path} cannot be read: {error.strerror or error}") from error
        lines = data.splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        self._whole = sum(len(line) for line in lines)
        return [self._event(number, line) for number, line in enumerate(lines, start=1)]

    def _event(self, number: int, line: bytes) -> Event:
        try:
            checksum, _, text = line.decode().rstrip("\n").partition(" ")
            if checksum != _checksum(text):
                raise ValueError("its checksum is another")
            event: Event = json.loads(text)
        except ValueError as error:
            raise JournalError(
                f"{self.path}, line {number}, is not as it was written ({error}). Nothing is traded until the file is "
                "put back from a backup"
            ) from None
        return event


class MemoryJournal:
    """Keeps events for as long as it lives, for replays.

    Parameters
    ----------
    events : what happened before.
    """

    def __init__(self, events: list[Event] | None = None) -> None:
        self._events = list(events or [])

    @property
    def events(self) -> list[Event]:
        """Return every event so far."""
        return list(self._events)

    def append(self, event: Event) -> None:
        """Keep one more event."""
        self._events.append(event)


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
