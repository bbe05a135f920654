"""A simulated market whose clock a test sets, and the service (web server and daemon) on it. No test."""

from __future__ import annotations

import contextlib
import glob
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil
import pytest

from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.conftest import Workspace
from tests.integration.processes import rows, start, wait_until
from trading_dag.schemas import PREDICTIONS_LOG
from trading_dag.sessions import NEW_YORK, all_sessions

# Debian's package libfaketime. What moves the clock of Python alone makes calls between Dagster's processes hang: they
# say until when they wait, and the other side has another clock.
LIBRARIES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1")
ENDING_SECONDS = 60.0
SERVING_SECONDS = 300.0


def moving_library() -> str:
    """The library that moves the clock of a process and of all that it starts; skips where there is none."""
    found = [path for pattern in LIBRARIES for path in glob.glob(pattern)]
    if not found:
        pytest.skip("libfaketime is not installed (apt-get install libfaketime)")
    return found[0]


@dataclass(frozen=True)
class Market:
    """A home on the simulated source, and commands on it at a chosen moment."""

    home: Path
    tickers: tuple[str, ...]
    horizons: tuple[str, ...]
    settings: tuple[tuple[str, str], ...] = ()

    def variables(self, moment: pd.Timestamp) -> tuple[tuple[str, str], ...]:
        """What a process is told so that it starts at a moment, New York time."""
        ahead = moment.tz_localize(NEW_YORK).timestamp() - time.time()
        return (
            ("TRADING_DAG_SOURCE", "simulated"),
            ("TRADING_DAG_SIMULATION__YEARS", "30"),
            ("TRADING_DAG_TICKERS", ",".join(self.tickers)),
            ("TRADING_DAG_HORIZONS", ",".join(self.horizons)),
            ("LD_PRELOAD", moving_library()),
            ("FAKETIME", f"{ahead:+.0f}s"),
            ("DONT_FAKE_MONOTONIC", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            *self.settings,
        )

    def run(self, moment: pd.Timestamp, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command at a moment."""
        return Workspace(self.home, self.variables(moment)).run_process(*arguments, timeout=3_600)

    @contextlib.contextmanager
    def served(self, moment: pd.Timestamp) -> Iterator[subprocess.Popen[str]]:
        """The web server and the daemon, with everything turned on, from a moment on."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        variables = (*self.variables(moment), ("TRADING_DAG_AUTOMATION", "true"))
        process = start(self.home, "ui", "--port", str(port), variables=variables)
        try:
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=ENDING_SECONDS)
            if process.poll() is None:
                os.killpg(process.pid, 9)

    @property
    def keys(self) -> list[SliceKey]:
        """Every slice that has a forecast."""
        return [SliceKey(ticker, horizon) for ticker in self.tickers for horizon in self.horizons]

    def recorded(self, session: pd.Timestamp) -> int:
        """The number of slices whose forecast of a session stands in the log."""
        store = ParquetStore(self.home)
        logs = [store.read_or_empty(PREDICTIONS_LOG, key) for key in self.keys]
        return sum(bool((log["session"] == session).any()) for log in logs)

    def is_at_rest(self) -> bool:
        """Whether no run waits or is under way."""
        unfinished = "select count(*) from runs where status not in ('SUCCESS', 'FAILURE', 'CANCELED')"
        return int(rows(self.home, unfinished)[0][0]) == 0

    def runs_since(self, number: int) -> pd.DataFrame:
        """Runs with a greater number: number, run_id, job, status, partition, purpose, assets."""
        found = rows(
            self.home,
            "select runs.id, runs.run_id, pipeline_name, status, "
            "(select value from run_tags t where t.run_id = runs.run_id and key = 'dagster/partition'), "
            "(select value from run_tags t where t.run_id = runs.run_id and key = 'trading_dag/purpose'), "
            f"run_body from runs where runs.id > {number} order by runs.id",
        )
        return pd.DataFrame(found, columns=["number", "run_id", "job", "status", "partition", "purpose", "body"])


def before_the_fetch(session: pd.Timestamp, seconds: float) -> pd.Timestamp:
    """Some seconds before the first fetch after a session's close, in New York."""
    from trading_dag.sessions import close_hours

    minutes = float(close_hours(pd.DatetimeIndex([session]))[0]) * 60.0 + 35.0
    return session + pd.Timedelta(minutes=minutes) - pd.Timedelta(seconds=seconds)


def sessions_from(day: str, count: int) -> list[pd.Timestamp]:
    """Some sessions in a row."""
    later = all_sessions()[all_sessions() >= pd.Timestamp(day)]
    return list(later[:count])


def processor_seconds(process: subprocess.Popen[str]) -> float:
    """Processor time of a service and all that it started and that has ended or lives."""
    whole = psutil.Process(process.pid)
    total = 0.0
    for part in (whole, *whole.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            spent = part.cpu_times()
            total += spent.user + spent.system + spent.children_user + spent.children_system
    return total


def wait_for(market: Market, session: pd.Timestamp, process: subprocess.Popen[str], patience: float) -> None:
    """Wait until every slice has its forecast of the session recorded."""
    wait_until(lambda: market.recorded(session) == len(market.keys), process, patience=patience)
