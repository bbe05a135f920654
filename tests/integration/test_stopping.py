"""Ctrl-C and SIGTERM end every command where it is: their exit code, one line, nothing torn, nothing begun after.

The commands that compute in worker processes are ``test_interruptions``'.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from resources.chains.store import ChainStore
from resources.storage.parquet_store import content_hash
from tests.conftest import Workspace
from tests.integration.processes import PATIENCE_SECONDS, held_still, rows, start, unfinished_runs, wait_until

SIGNALS = [signal.SIGINT, signal.SIGTERM]
# Where a command is in the middle of much work, the second signal takes the way of the first.
SIGNALS_AT_WORK = [
    pytest.param(signal.SIGINT, id="ctrl-c"), pytest.param(signal.SIGTERM, id="sigterm", marks=pytest.mark.long),
]  # fmt: skip
LINE = "stopped: every stored slice is whole, and the same command goes on from here\n"
PUT_OFF = (f"swallowed\nready\n{LINE}", f"swallowed\n{LINE}")
SIMULATED = (("TRADING_DAG_SOURCE", "simulated"), ("TRADING_DAG_SIMULATION__YEARS", "1"))
GRACE_SECONDS = 5.0  # enough for a busy machine to get into the loop below; round it, it need not come
# A command's main thread that a library keeps from ending, and how patient the project is with it here.
STUCK = """
import sys, time
import assets.run.stopping as stopping
stopping.GRACE_SECONDS, stopping.SECOND_SIGNAL_SECONDS = {grace}, 0.1
with stopping.answering_signals():
    while True:
        try:
            print("ready", flush=True)
            time.sleep(60)
        except BaseException:
            print("swallowed", flush=True)
"""


@pytest.fixture(params=SIGNALS, ids=["ctrl-c", "sigterm"])
def number(request: pytest.FixtureRequest) -> signal.Signals:
    return request.param  # type: ignore[no-any-return]


def stop(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """Send the signal and return what the process had said when it ended."""
    process.send_signal(number)
    return ended(process, number)


def ended(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """What a process had said that ended because of the signal."""
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 128 + number, output
    assert output.endswith(LINE), output
    assert "Traceback" not in output
    assert "failed" not in output
    return output


def stored_sessions(home: Path) -> list[pd.Timestamp]:
    chains = ChainStore(home).read("SPY", columns=["quote_date"])
    return sorted(chains["quote_date"].unique())


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS_AT_WORK)
def test_a_fetch_of_chains_stops_at_once_and_the_same_command_goes_on_from_there(
    tmp_path: Path, number: signal.Signals
) -> None:
    asked = ("fetch-chains", "--tickers", "SPY", "--no-analyse", "--from", "2015-03-02", "--to", "2015-03-20")
    process = start(tmp_path, *asked, variables=SIMULATED)
    wait_until(lambda: list(tmp_path.glob("data/raw/option_chain/**/data.parquet")), process)
    with held_still(process):
        before = len(stored_sessions(tmp_path))
        process.send_signal(number)
    output = ended(process, number)
    assert output.count("stopped") == 1
    after = stored_sessions(tmp_path)
    assert before <= len(after) <= before + 1, "the one that was being stored"
    assert len(after) < 15
    assert unfinished_runs(tmp_path) == 0
    done = Workspace(tmp_path, SIMULATED).run(*asked)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(stored_sessions(tmp_path)) == 15


def chain_file(path: Path, *, sessions: int) -> None:
    """A user's file of chains, long enough to be read and merged for some seconds."""
    days = pd.bdate_range("2024-06-03", periods=sessions)
    strikes = np.arange(200.0, 800.0, 1.0)
    grid = pd.MultiIndex.from_product(
        [days, pd.DatetimeIndex(["2025-12-19", "2026-01-16"]), strikes, ["C", "P"]],
        names=["quote_date", "expiration", "strike", "right"],
    ).to_frame(index=False)
    is_call = grid["right"] == "C"
    intrinsic = np.where(is_call, 500.0 - grid["strike"], grid["strike"] - 500.0).clip(0.0)
    grid.assign(
        ticker="SPY", underlying_price=500.0, bid=intrinsic + 40.0, ask=intrinsic + 40.2, last=intrinsic + 40.1,
        volume=10, open_interest=100, implied_volatility=0.2,
    ).to_csv(path, index=False)  # fmt: skip


def has_begun(home: Path) -> bool:
    """Whether a run of the command is under way."""
    with contextlib.suppress(sqlite3.OperationalError):  # no file or no table yet
        return bool(rows(home, "select 1 from runs where status = 'STARTED'"))
    return False


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS_AT_WORK)
def test_an_import_stops_at_once_and_what_it_stored_is_whole(tmp_path: Path, number: signal.Signals) -> None:
    chain_file(tmp_path / "chains.csv", sessions=60)
    process = start(tmp_path, "import-chains", "chains.csv", "--no-analyse")
    wait_until(lambda: has_begun(tmp_path), process)
    output = stop(process, number)
    assert "imported" not in output
    assert unfinished_runs(tmp_path) == 0
    store = ChainStore(tmp_path)
    for year in store.years("SPY"):
        provenance = store.provenance("SPY", year)
        assert provenance is not None
        of_year = store.read("SPY", first=f"{year}-01-01", last=f"{year}-12-31")
        assert content_hash(of_year) == provenance.content_hash


@pytest.mark.parametrize("number", SIGNALS_AT_WORK)
def test_a_query_that_would_take_hours_stops_at_once(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, "sql", "select sum(range) from range(1000000000000)")
    wait_until((tmp_path / "warehouse.duckdb").is_file, process)
    # There is nothing left to do but the query.
    before = psutil.Process(process.pid).cpu_times().user
    wait_until(lambda: psutil.Process(process.pid).cpu_times().user > before + 1.0, process)
    assert stop(process, number) == LINE


def test_a_command_that_has_hardly_begun_stops_like_any_other(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, "doctor")
    wait_until(lambda: psutil.Process(process.pid).num_threads() > 1)  # the thread that hears of signals
    assert stop(process, number) == LINE


def started(script: str) -> subprocess.Popen[str]:
    """The script, ready for signals."""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


# The signal comes at the worst moment: while the pool closes a connection, which logs what is raised then.
CLOSING = """
import os, signal
from sqlalchemy import create_engine, text
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.pool import NullPool
from assets.run.stopping import answering_signals, leave_if_stopped

def close(_, connection):
    os.kill(os.getpid(), {number})
    connection.close()

SQLiteDialect_pysqlite.do_close = close
with answering_signals():
    try:
        with create_engine("sqlite://", poolclass=NullPool).connect() as connection:
            connection.execute(text("select 1"))
    finally:
        leave_if_stopped()
"""
# The same, while the thread that hears of signals is started.
STARTING = """
import os, signal, threading
from trading_dag.cli.entry import main
start = threading.Thread.start

def started(thread):
    start(thread)
    if thread.name == "signals":
        os.kill(os.getpid(), {number})

threading.Thread.start = started
main()
"""
# The same, in the middle of an import of compiled code, which reports what is raised there as its own crash.
IMPORTING = """
import os, signal, sys

class Compiled:
    def find_spec(self, name, path, target=None):
        if name == "pydantic_core._pydantic_core":
            try:
                os.kill(os.getpid(), {number})
            except BaseException as error:
                print("crashed", repr(error))

sys.meta_path.insert(0, Compiled())
from trading_dag.cli.entry import main
main()
"""


@pytest.mark.parametrize(
    "script", [CLOSING, STARTING, IMPORTING], ids=["closing a connection", "starting to hear", "importing"]
)
def test_a_signal_at_the_worst_moment_is_one_line_all_the_same(number: signal.Signals, script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script.format(number=int(number))],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stderr, done.stdout) == (128 + number, LINE, "")


def test_a_library_that_swallows_the_signal_only_puts_the_end_off(number: signal.Signals) -> None:
    process = started(STUCK.format(grace=GRACE_SECONDS))
    assert stop(process, number) in PUT_OFF


def test_who_asks_twice_does_not_wait(number: signal.Signals) -> None:
    process = started(STUCK.format(grace=3_600.0))
    process.send_signal(number)
    assert process.stdout is not None
    assert process.stdout.readline() == "swallowed\n"
    wait_until(lambda: repeated(process, number))
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 128 + number
    assert output.endswith(LINE)


def repeated(process: subprocess.Popen[str], number: signal.Signals) -> bool:
    """Whether it has ended after yet another signal."""
    if process.poll() is None:
        process.send_signal(number)
    return process.poll() is not None


def test_what_a_command_was_told_to_ignore_stays_ignored(tmp_path: Path) -> None:
    script = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + STUCK.format(grace=GRACE_SECONDS)
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGHUP)  # as a closed terminal sends it to a command under nohup
    process.terminate()
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 143
    assert output in PUT_OFF
