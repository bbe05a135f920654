"""What an operator does to a run: Ctrl-C, a killed worker, a second command, a home that cannot be written."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import Workspace

RUN = ("run", "--tickers", "SPX", "--horizons", "24h")


def start(home: Path) -> subprocess.Popen[str]:
    """The command as from a terminal: Ctrl-C reaches it, also where these tests run in the background of a script."""
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "trading_dag.cli", *RUN],
            cwd=home,
            env=Workspace(home).environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, inherited)


def descendants_of(process: subprocess.Popen[str]) -> dict[str, list[psutil.Process]]:
    """The server that workers are forked from, and the workers; the two look alike but for their parents."""
    found: dict[str, list[psutil.Process]] = {"server": [], "worker": []}
    for child in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # of which a zombie is one
            if "forkserver" in " ".join(child.cmdline()):
                found["server" if child.ppid() == process.pid else "worker"].append(child)
    return found


def wait_for(process: subprocess.Popen[str], kind: str) -> list[psutil.Process]:
    """Server or workers, as soon as there is one."""
    for _ in range(1200):
        assert process.poll() is None, process.communicate()[0]
        found = descendants_of(process)[kind]
        if found:
            return found
        time.sleep(0.05)
    pytest.fail(f"no {kind} was started")


def unfinished_runs(home: Path) -> int:
    database = home / ".dagster" / "history" / "runs.db"
    if not database.is_file():
        return 0
    with sqlite3.connect(database) as runs:
        query = "select count(*) from runs where status not in ('SUCCESS', 'FAILURE', 'CANCELED')"
        return int(runs.execute(query).fetchone()[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "seconds"),
    [("server", 2.5), ("worker", 0.1), ("worker", 7.0)],
    ids=["while the server imports", "while a worker starts", "while a slice is computed"],
)
def test_ctrl_c_ends_a_run_with_one_line_and_leaves_nothing_running(tmp_path: Path, kind: str, seconds: float) -> None:
    process = start(tmp_path)
    wait_for(process, kind)
    time.sleep(seconds)
    parts = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert "stopped" in output
    _, alive = psutil.wait_procs(parts, timeout=10)
    assert not alive
    assert unfinished_runs(tmp_path) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "seconds"), [("server", 2.5), ("worker", 4.0)])
def test_nothing_goes_on_after_a_command_that_was_killed(tmp_path: Path, kind: str, seconds: float) -> None:
    process = start(tmp_path)
    wait_for(process, kind)
    time.sleep(seconds)
    parts = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate(timeout=60)
    _, alive = psutil.wait_procs(parts, timeout=10)
    assert not alive


@pytest.mark.slow
def test_a_killed_worker_is_named_and_fails_the_command_without_a_traceback(tmp_path: Path) -> None:
    process = start(tmp_path)
    worker = wait_for(process, "worker")[0]
    time.sleep(5)
    worker.kill()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    assert "Traceback" not in output
    assert "worker process was ended" in output
    assert unfinished_runs(tmp_path) == 0


@pytest.mark.slow
def test_a_second_command_on_the_same_ticker_is_refused_before_the_first_has_made_a_run(tmp_path: Path) -> None:
    first = start(tmp_path)
    wait_for(first, "server")
    time.sleep(1.5)
    second = Workspace(tmp_path).run(*RUN)
    os.killpg(first.pid, signal.SIGINT)
    first.communicate(timeout=60)
    assert second.returncode == 1
    assert "another trading-dag command" in second.stderr
    assert "SPX" in second.stderr


def test_a_home_that_is_a_file_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "trading_dag.cli", *RUN],
        cwd=tmp_path,
        env=Workspace(home).environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(home) in done.stderr


def test_a_misspelt_variable_is_named_with_what_was_meant(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TRADING_DAG_WORKRS=1\n")
    done = Workspace(tmp_path, (("TRADING_DAG_SORCE", "live"), ("TRADING_DAG_HTTP__ATTEMPTS", "2"))).run("doctor")
    assert "TRADING_DAG_SORCE is no setting and changes nothing; did you mean TRADING_DAG_SOURCE?" in done.stderr
    assert "TRADING_DAG_WORKRS" in done.stderr
    assert done.stderr.count("warning") == 2


@pytest.mark.slow
def test_a_user_interface_that_a_script_started_in_the_background_ends_when_it_is_told_to(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what a shell does for a background job of a script
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "trading_dag.cli", "ui", "--port", str(port)],
            cwd=tmp_path,
            env=Workspace(tmp_path).environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    started = time.monotonic()
    while time.monotonic() - started < 90:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.5)
    parts = psutil.Process(process.pid).children(recursive=True)
    assert len(parts) >= 3
    process.terminate()
    try:
        process.wait(timeout=30)
        _, alive = psutil.wait_procs(parts, timeout=30)
        assert not alive
    finally:
        for part in parts:
            if part.is_running():
                part.kill()
        process.kill()
