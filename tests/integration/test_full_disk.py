"""A disk that becomes full under the service and its commands: nothing is torn, and all goes on once there is room.

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
import psutil
import pytest

from assets.jobs import MARKET_JOB
from assets.run.execution import SliceRunner, WorkItem
from resources.alerts.post import deliver
from resources.alerts.store import BookStore, folder_of
from resources.storage.parquet_store import SliceKey
from tests.integration.paper_steps import SESSIONS, account_of, forks, outcome, step
from tests.integration.processes import start, unfinished_runs, wait_until
from tests.integration.test_recovery import (
    RUN_SECONDS,
    assert_every_slice_is_whole,
    assert_it_goes_on,
    leftovers,
    stored_tables,
)
from tests.integration.test_ui import STARTING_SECONDS, launch, loaded, process_of, served
from trading_dag.alert_settings import AlertSettings
from trading_dag.alerts.book import record
from trading_dag.alerts.cause import Cause
from trading_dag.definitions import build_definitions
from trading_dag.errors import StorageError
from trading_dag.paper.tables import ledger_frame, ledger_objection
from trading_dag.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]
MEGABYTES = 96
FULL_SECONDS = 40.0  # how long the service has to do without room: some looks of its daemon
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


@pytest.mark.long
def test_the_paper_account_on_a_disk_that_is_full_again_and_again_is_the_one_that_always_had_room(
    disk: Disk, tmp_path: Path
) -> None:
    context, whole, refused = forks(), tmp_path / "whole", 0
    for number in range(SESSIONS):
        assert step(context, whole, number)[0] == 0
        for leaving in (0, 1 << 12, 1 << 14, 1 << 16):
            disk.fill(leaving)
            code, answer = step(context, disk.folder, number)
            refused += code != 0 or answer[0] != ()
            disk.empty()
        code, answer = step(context, disk.folder, number)
        assert (code, answer[0]) == (0, ())
    assert refused >= 2 * SESSIONS
    assert outcome(disk.folder) == outcome(whole)
    account = account_of(disk.folder)
    assert ledger_objection(ledger_frame(account), cash_cents=account.cash_cents) is None
    assert_every_slice_is_whole(disk.folder)
    assert leftovers(disk.folder) == []


@pytest.mark.long
def test_the_service_goes_on_when_there_is_room_again(disk: Disk) -> None:
    home = disk.folder
    settings = Settings(_env_file=None, home=home, source="sample")
    with dg.DagsterInstance.ephemeral() as instance:
        runner = SliceRunner(build_definitions(settings), instance, settings)
        assert runner.bring_up_to_date(WorkItem("none", SliceKey(), "run")).errors == ()
    with served(home) as ui:
        wait_until(lambda: loaded(ui), ui.process, patience=STARTING_SECONDS)
        run = launch(ui, MARKET_JOB, "SPX")
        wait_until(lambda: stored_tables(home, run) >= 2, ui.process, patience=RUN_SECONDS)
        worker = process_of(home, run)
        disk.fill()
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.wait(timeout=RUN_SECONDS)
        time.sleep(FULL_SECONDS)
        lives = ui.process.poll() is None
        disk.empty()
        assert_every_slice_is_whole(home)
        if lives:
            wait_until(lambda: unfinished_runs(home) == 0, ui.process, patience=RUN_SECONDS)
            assert_it_goes_on(ui)
            return
        assert ui.process.returncode not in (0, None)
    with served(home) as ui:  # as systemd does it
        assert_it_goes_on(ui)


@pytest.mark.long
def test_a_refresh_that_the_disk_ended_says_so_and_goes_on_when_there_is_room(disk: Disk) -> None:
    home, asked = disk.folder, ("refresh", "--tickers", "SPX", "--horizons", "24h")
    process = start(home, *asked)
    wait_until(lambda: list(home.glob("data/features/**/data.parquet")), process, patience=RUN_SECONDS)
    disk.fill()
    told, _ = process.communicate(timeout=RUN_SECONDS)
    assert process.returncode == 1, told
    assert "Traceback" not in told
    assert "no space left" in told.lower() or "disk is full" in told.lower(), told
    disk.empty()
    assert_every_slice_is_whole(home)
    again = start(home, *asked)
    told, _ = again.communicate(timeout=RUN_SECONDS)
    assert again.returncode == 0, told
    assert unfinished_runs(home) == 0
    assert_every_slice_is_whole(home)
    assert leftovers(home) == []
