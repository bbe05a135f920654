"""A disk that becomes full under the alerts, or under the service: nothing is lost, nothing is done twice.

The disk is a file system of some megabytes in memory, which only root may mount.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from assets.jobs import MARKET_JOB
from assets.run.execution import SliceRunner, WorkItem
from resources.alerts.post import deliver
from resources.alerts.store import BookStore, folder_of
from resources.storage.parquet_store import SliceKey
from tests.integration.processes import unfinished_runs, wait_until
from tests.integration.test_recovery import RUN_SECONDS, assert_it_goes_on, stored_tables
from tests.integration.test_ui import STARTING_SECONDS, launch, loaded, process_of, served, status_of
from trading_dag.alert_settings import AlertSettings
from trading_dag.alerts.book import record
from trading_dag.alerts.cause import Cause
from trading_dag.definitions import build_definitions
from trading_dag.errors import StorageError
from trading_dag.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]
MEGABYTES = 8
ROOMY_MEGABYTES = 400
FULL_SECONDS = 60.0  # so that run monitoring looks at least twice while there is no room
ENDED_SECONDS = 120.0  # after there is room again
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


@pytest.fixture
def roomy(disk: Disk) -> Disk:
    """A disk with room for a home, in which the sample's macro series are stored, which every ticker's run reads."""
    subprocess.run(["mount", "-o", f"remount,size={ROOMY_MEGABYTES}m", str(disk.folder)], check=True)
    settings = Settings(_env_file=None, home=disk.folder, source="sample")
    with dg.DagsterInstance.ephemeral() as instance:
        runner = SliceRunner(build_definitions(settings), instance, settings)
        assert runner.bring_up_to_date(WorkItem("none", SliceKey(), "run")).errors == ()
    return disk


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


@pytest.mark.long
def test_a_run_under_which_the_disk_became_full_is_ended_when_there_is_room_again_and_the_service_goes_on(
    roomy: Disk,
) -> None:
    home = roomy.folder
    with served(home) as ui:
        wait_until(lambda: loaded(ui), ui.process, patience=STARTING_SECONDS)
        run = launch(ui, MARKET_JOB, "SPX")
        wait_until(lambda: stored_tables(home, run) >= 1, ui.process, patience=RUN_SECONDS)
        worker = process_of(home, run)
        roomy.fill()
        worker.wait(timeout=RUN_SECONDS)
        until = time.monotonic() + FULL_SECONDS
        wait_until(lambda: time.monotonic() > until, ui.process)  # the service itself lives on without room
        roomy.empty()
        stored = stored_tables(home, run)
        wait_until(lambda: unfinished_runs(home) == 0, ui.process, patience=ENDED_SECONDS)
        assert status_of(home, run) == "FAILURE"
        assert stored_tables(home, run) == stored, "nothing of the run goes on"
        assert_it_goes_on(ui)
        said = ui.process.said()  # SQLite has one word where a write finds no room, another where it cannot read
        assert "database or disk is full" in said or "disk I/O error" in said, "the service met a full disk"
