"""A disk that becomes full under the alerts: none is lost, none is sent twice.

The disk is a file system of some megabytes in memory, which only root may mount.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from resources.alerts.post import deliver
from resources.alerts.store import BookStore, folder_of
from trading_dag.alert_settings import AlertSettings
from trading_dag.alerts.book import record
from trading_dag.alerts.cause import Cause
from trading_dag.errors import StorageError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]
MEGABYTES = 8
ALERTS = AlertSettings()


class Disk:
    """A small file system that can be filled."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._ballast = folder, folder / "ballast"

    def fill(self, leaving: int = 0) -> None:
        """Leave so many bytes free."""
        with self._ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while (room := self.free() - leaving) > 0:
                file.write(b"\0" * min(room, 1 << 20))

    def free(self) -> int:
        """How many bytes can be written."""
        state = os.statvfs(self.folder)
        return state.f_bavail * state.f_frsize

    def empty(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class FillingChannel:
    """A channel that takes its first message and finds the disk full then, as if somebody else had filled it."""

    name = "slack"

    def __init__(self, disk: Disk) -> None:
        self.disk, self.taken = disk, list[str]()

    def send(self, title: str, body: str) -> None:
        self.taken.append(f"{title}\n{body}")
        if len(self.taken) == 1:
            self.disk.fill()


def test_alerts_on_a_full_disk_are_neither_lost_nor_sent_twice(disk: Disk) -> None:
    books, now = BookStore(folder_of(disk.folder)), datetime(2026, 11, 30, 22, 0, tzinfo=UTC)

    def tell(title: str) -> None:
        cause = Cause("run_failed", title, title)
        books.change(lambda book: record(book, [cause], now=now, channels=("slack",), settings=ALERTS))

    tell("one")
    disk.fill()
    with pytest.raises((StorageError, OSError)):
        tell("two")
    channel = FillingChannel(disk)
    with pytest.raises((StorageError, OSError)):
        deliver(books, [channel], settings=ALERTS, clock=lambda: now)
    assert channel.taken == [], "what cannot be written down is not sent"
    disk.empty()
    tell("two")
    with pytest.raises((StorageError, OSError)):
        deliver(books, [channel], settings=ALERTS, clock=lambda: now)
    disk.empty()
    for _ in range(2):
        deliver(books, [channel], settings=ALERTS, clock=lambda: now)
    # It is not known of the first whether it arrived, so it is not repeated, and the next message says so.
    assert [message.split("\n")[0].split("] ")[-1] for message in channel.taken] == ["one", "two"]
    assert channel.taken[1].endswith("ended while it was sent: one")
