"""Real commands in processes of their own, and what tests wait for in them. No test."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from tests.conftest import Workspace

Seen = TypeVar("Seen")
TAIL = 20_000  # characters of what a service printed last, where a test fails
PATIENCE_SECONDS = 600.0  # of what ends as soon as it sees what it waits for


@contextlib.contextmanager
def answer_to_interrupts(answer: signal.Handlers) -> Iterator[None]:
    """What processes started within do at Ctrl-C until they say otherwise; a script's background job ignores it."""
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler if answer is signal.SIG_DFL else answer)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, inherited)


class Command(subprocess.Popen[str]):
    """A command that prints into a file: it never waits until somebody reads, however long it runs."""

    def __init__(self, arguments: list[str], *, cwd: Path, **options: Any) -> None:
        with tempfile.NamedTemporaryFile(
            "w", prefix="command-", suffix=".log", dir=cwd.parent, delete=False
        ) as printed:
            super().__init__(arguments, cwd=cwd, stdout=printed, stderr=subprocess.STDOUT, text=True, **options)
        self._printed = Path(printed.name)

    def said(self) -> str:
        """What it and its parts have printed so far, errors among it."""
        return self._printed.read_text(errors="replace")

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str, str]:
        """What it has printed until its end, errors among it."""
        assert input is None
        self.wait(timeout)
        return self.said(), ""


def start(
    home: Path, *arguments: str, module: str = "trading_dag.cli", variables: tuple[tuple[str, str], ...] = ()
) -> Command:
    """The command as from a terminal: Ctrl-C reaches it, also where these tests run in the background of a script."""
    with answer_to_interrupts(signal.SIG_DFL):
        return Command(
            [sys.executable, "-P", "-m", module, *arguments],
            cwd=home,
            env=Workspace(home, variables).environment,
            start_new_session=True,
        )


def wait_until(
    look: Callable[[], Seen], process: subprocess.Popen[str] | None = None, patience: float = PATIENCE_SECONDS
) -> Seen:
    """What ``look`` returns, as soon as that is something; the process must not end before."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        assert process is None or process.poll() is None, process.communicate()[0]
        with contextlib.suppress(psutil.NoSuchProcess):  # of which a zombie is one
            if seen := look():
                return seen
        time.sleep(0.02)
    said = process.said()[-TAIL:] if isinstance(process, Command) else ""
    pytest.fail(f"waited {patience:.0f} s in vain\n{said}")


@contextlib.contextmanager
def held_still(process: subprocess.Popen[str]) -> Iterator[None]:
    """The command and its parts do nothing meanwhile: what is seen of them is so until they go on."""
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGCONT)


def unfinished_runs(home: Path) -> int:
    if not (home / ".dagster" / "history" / "runs.db").is_file():
        return 0
    query = "select count(*) from runs where status not in ('SUCCESS', 'FAILURE', 'CANCELED')"
    return int(rows(home, query)[0][0])


def rows(home: Path, query: str) -> list[tuple[str, ...]]:
    address = f"file:{home / '.dagster' / 'history' / 'runs.db'}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as runs:
        return runs.execute(query).fetchall()


def assert_all_end(parts: list[psutil.Process]) -> None:
    """The server looks for its command when it has imported what it was about to."""
    _, alive = psutil.wait_procs(parts, timeout=PATIENCE_SECONDS)
    assert not alive
