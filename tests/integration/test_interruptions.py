"""What an operator does to a run: Ctrl-C, a killed worker, a second command, a home that cannot be written."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.conftest import Workspace
from tests.integration.processes import (
    PATIENCE_SECONDS,
    answer_to_interrupts,
    assert_all_end,
    held_still,
    rows,
    start,
    unfinished_runs,
    wait_until,
)

RUN = ("run", "--tickers", "SPX", "--horizons", "24h")
# The command, interrupted within the import of Dagster. It ends before it needs workers, so they are not prepared.
INTERRUPTED_IMPORT = """
import signal, sys
import assets.run.workers
assets.run.workers.start_server = lambda: None

class Library:
    def find_spec(self, name, path=None, target=None):
        if name == "dagster":
            {consequence}

sys.meta_path.insert(0, Library())
from trading_dag.cli import main
main()
"""
CONSEQUENCES = {
    "swallowed by a library that tries and goes on": """
            try:
                signal.raise_signal(signal.SIGINT)
            except BaseException:
                pass""",
    "in code made of text, as in that of a dataclass": "exec('signal.raise_signal(signal.SIGINT)')",
}
START_OF_PYTHON_SECONDS = 0.3  # of the processor, at most; the imports then take some seconds of it


def importing_server(process: subprocess.Popen[str]) -> psutil.Process | None:
    """The server that workers are forked from, when it has begun to import."""
    for child in psutil.Process(process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "forkserver" in " ".join(child.cmdline()) and child.cpu_times().user > START_OF_PYTHON_SECONDS:
                return child
    return None


def worker(process: subprocess.Popen[str]) -> psutil.Process | None:
    """A worker that has begun: it watches the command in a thread.

    While the server imports, a library has it start a program, and that looks like a worker until it is executed.
    """
    server = importing_server(process)
    for child in server.children() if server else []:
        with contextlib.suppress(psutil.NoSuchProcess):
            if "forkserver" in " ".join(child.cmdline()) and child.num_threads() > 1:
                return child
    return None


def computing_worker(home: Path) -> psutil.Process | None:
    """The process of a run that is under way on SPX."""
    query = """
        select owner.value from runs
        join run_tags slice on slice.run_id = runs.run_id and slice.key = 'dagster/partition' and slice.value = 'SPX'
        join run_tags owner on owner.run_id = runs.run_id and owner.key = 'trading_dag/process'
        where runs.status = 'STARTED'
    """
    with contextlib.suppress(sqlite3.OperationalError):  # no file or no table yet
        found = rows(home, query)
        return psutil.Process(int(found[0][0].split("-")[-2])) if found else None
    return None


MOMENTS: dict[str, Callable[[subprocess.Popen[str], Path], psutil.Process | None]] = {
    "while the server imports": lambda process, _: importing_server(process),
    "while a worker starts": lambda process, _: worker(process),
    "while a slice is computed": lambda _, home: computing_worker(home),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("while a slice is computed", signal.SIGINT),
        pytest.param("while the server imports", signal.SIGINT, marks=pytest.mark.long),
        pytest.param("while a worker starts", signal.SIGINT, marks=pytest.mark.long),
        pytest.param("while a worker starts", signal.SIGTERM, marks=pytest.mark.long),
        pytest.param("while a slice is computed", signal.SIGTERM, marks=pytest.mark.long),
    ],
)
def test_a_signal_ends_a_run_with_one_line_and_leaves_nothing_running(
    tmp_path: Path, moment: str, number: signal.Signals
) -> None:
    process = start(tmp_path, *RUN)
    wait_until(lambda: MOMENTS[moment](process, tmp_path), process)
    parts = psutil.Process(process.pid).children(recursive=True)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 128 + number, output
    assert "Traceback" not in output
    assert output.count("stopped") == 1
    assert_all_end(parts)
    assert unfinished_runs(tmp_path) == 0


@pytest.mark.parametrize("consequence", list(CONSEQUENCES))
def test_ctrl_c_within_an_import_is_not_lost_and_ends_the_run_as_ever(tmp_path: Path, consequence: str) -> None:
    (tmp_path / "interrupted.py").write_text(INTERRUPTED_IMPORT.format(consequence=CONSEQUENCES[consequence]))
    process = start(tmp_path, *RUN, module="interrupted", variables=(("PYTHONPATH", str(tmp_path)),))
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert "stopped" in output


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment", [pytest.param("while the server imports", marks=pytest.mark.long), "while a slice is computed"]
)
def test_nothing_goes_on_after_a_command_that_was_killed(tmp_path: Path, moment: str) -> None:
    process = start(tmp_path, *RUN)
    wait_until(lambda: MOMENTS[moment](process, tmp_path), process)
    parts = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate(timeout=PATIENCE_SECONDS)
    assert_all_end(parts)


@pytest.mark.slow
def test_a_killed_worker_is_named_and_fails_the_command_without_a_traceback(tmp_path: Path) -> None:
    process = start(tmp_path, *RUN)
    wait_until(lambda: computing_worker(tmp_path), process).kill()
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1, output
    assert "Traceback" not in output
    assert "worker process was ended" in output
    assert unfinished_runs(tmp_path) == 0


@pytest.mark.long
def test_a_second_command_on_the_same_ticker_is_refused_before_the_first_has_made_a_run(tmp_path: Path) -> None:
    first = start(tmp_path, *RUN)
    wait_until((tmp_path / ".dagster" / "claims" / "SPX.lock").is_file, first)
    with held_still(first):
        second = Workspace(tmp_path).run(*RUN)
        os.killpg(first.pid, signal.SIGINT)
    first.communicate(timeout=PATIENCE_SECONDS)
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
        timeout=600,
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


@pytest.mark.long
def test_a_user_interface_that_a_script_started_in_the_background_ends_when_it_is_told_to(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with answer_to_interrupts(signal.SIG_IGN):  # what a shell does for a background job of a script
        process = subprocess.Popen(
            [sys.executable, "-m", "trading_dag.cli", "ui", "--port", str(port)],
            cwd=tmp_path,
            env=Workspace(tmp_path).environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def parts_that_serve() -> list[psutil.Process]:
        with socket.socket() as probe:
            is_open = probe.connect_ex(("127.0.0.1", port)) == 0
        children = psutil.Process(process.pid).children(recursive=True)
        return children if is_open and len(children) >= 3 else []

    parts: list[psutil.Process] = []
    try:
        parts = wait_until(parts_that_serve)
        process.terminate()
        process.wait(timeout=PATIENCE_SECONDS)
        assert_all_end(parts)
    finally:
        for part in parts:
            if part.is_running():
                part.kill()
        process.kill()
        process.wait()
