"""The service with its parts killed at random moments: what is left is whole, and what was missed is made up for.

A killed part is killed as the kernel does it, with SIGKILL, while a run is under way. Afterwards the service is started
again, as systemd does it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import re
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from assets.jobs import MARKET_JOB
from resources.doctor.stored_state import damaged_slices
from resources.storage.parquet_store import ParquetStore
from tests.conftest import Workspace
from tests.integration.processes import assert_all_end, rows, unfinished_runs, wait_until
from tests.integration.test_ui import STARTING_SECONDS, Ui, launch, loaded, process_of, served, status_of
from trading_dag.sessions import NEW_YORK, all_sessions

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(3_600)]
RUN_SECONDS = 900.0  # a run of one ticker, on a busy machine
PARTS = ("worker", "code server", "daemon", "web server", "everything")
START = 'mutation { startSchedule(scheduleSelector: {repositoryLocationName: "trading_dag", repositoryName: \
"__repository__", scheduleName: "daily_prices"}) { __typename ... on PythonError { message } } }'


def kill(processes: list[psutil.Process]) -> None:
    """End them all at once, without a word."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGSTOP)  # so that none sees another one's end
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def processes_of(ui: Ui, part: str, run: str) -> list[psutil.Process]:
    """The processes that are a part of the service."""
    parts = ui.parts()
    if part == "everything":
        return [psutil.Process(ui.process.pid), *parts]
    if part == "worker":
        return [process_of(ui.home, run)]
    wanted = {"daemon": "ui_parts daemon", "web server": "ui_parts web", "code server": "grpc"}[part]
    return [process for process in parts if wanted in command_of(process)]


def assert_every_slice_is_whole(home: Path) -> None:
    assert list(damaged_slices(ParquetStore(home), fast=False)) == []


def command_of(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return " ".join(process.cmdline())
    return ""


def leftovers(home: Path) -> list[Path]:
    """Files that nobody finished writing, older than any run that could still be writing them."""
    return [path for path in (home / "data").rglob("*.tmp") if path.is_file()]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_killed_during_a_run_leaves_nothing_torn_and_no_run_that_counts_as_under_way(
    sample_run: Workspace, tmp_path: Path, part: str
) -> None:
    home, chance = tmp_path / "home", random.Random(part)
    shutil.copytree(sample_run.home, home, ignore=shutil.ignore_patterns("warehouse.duckdb"))
    with served(home) as ui:
        wait_until(lambda: loaded(ui), ui.process, patience=STARTING_SECONDS)
        run = launch(ui, MARKET_JOB, "SPX")
        time.sleep(chance.uniform(0.0, 20.0))
        killed = processes_of(ui, part, run)
        assert killed, part
        others = ui.parts()
        kill(killed)
        if part in ("daemon", "web server"):
            ui.process.wait(timeout=RUN_SECONDS)  # so that whoever watches the service starts it again
            assert ui.process.returncode not in (0, None)
            assert_all_end(others)
        elif part != "everything":
            wait_until(lambda: unfinished_runs(home) == 0, ui.process, patience=RUN_SECONDS)
    assert_every_slice_is_whole(home)
    with served(home) as ui:
        wait_until(lambda: loaded(ui), ui.process, patience=STARTING_SECONDS)
        wait_until(lambda: status_of(home, run) in ("FAILURE", "SUCCESS", "CANCELED"), ui.process, patience=RUN_SECONDS)
        again = launch(ui, MARKET_JOB, "SPX")
        wait_until(lambda: status_of(home, again) in ("FAILURE", "SUCCESS"), ui.process, patience=RUN_SECONDS)
        assert status_of(home, again) == "SUCCESS"
        wait_until(lambda: unfinished_runs(home) == 0, ui.process, patience=RUN_SECONDS)
    assert_every_slice_is_whole(home)
    assert leftovers(home) == []


def asked_for(home: Path) -> list[str]:
    """The run key of each run that the schedule asked for; attempts after a failure are not counted."""
    if not (home / ".dagster" / "history" / "runs.db").is_file():
        return []
    query = (
        "select k.value from run_tags k join run_tags s using (run_id) where k.key = 'dagster/run_key' "
        "and s.key = 'dagster/schedule_name' and run_id not in "
        "(select run_id from run_tags where key = 'dagster/parent_run_id')"
    )
    return sorted(str(value) for (value,) in rows(home, query))


def turn_on_since(home: Path, since: dt.datetime) -> None:
    """Make Dagster believe that its schedules have been on since a moment."""
    with closing(sqlite3.connect(home / ".dagster" / "schedules" / "schedules.db")) as database, database:
        for table, column in (("jobs", "job_body"), ("instigators", "instigator_body")):
            for identity, body in database.execute(f"select id, {column} from {table}").fetchall():
                moved = re.sub(r'("start_timestamp": )[0-9.]+', rf"\g<1>{since.timestamp()}", body)
                database.execute(f"update {table} set {column} = ? where id = ?", (moved, identity))


def sessions_missed(since: dt.datetime, until: dt.datetime) -> list[str]:
    """Sessions whose 18:30 in New York lies between two moments."""
    ticks = [session.tz_localize(NEW_YORK).replace(hour=18, minute=30) for session in all_sessions()[-1_000:]]
    return [f"{tick:%Y-%m-%d}" for tick in ticks if since < tick <= until]


@contextlib.contextmanager
def rebooted(home: Path, moment: float) -> Iterator[None]:
    """The service, all of which is killed at once so many seconds after the schedule first asked for a run."""
    with served(home) as ui:
        wait_until(lambda: asked_for(home), ui.process, patience=RUN_SECONDS)
        time.sleep(moment)
        kill([psutil.Process(ui.process.pid), *ui.parts()])
    yield


def test_a_machine_that_was_off_for_days_and_goes_down_again_makes_up_for_each_session_once(
    tmp_path: Path,
) -> None:
    home, now = tmp_path, dt.datetime.now(dt.UTC)
    since = now - dt.timedelta(days=5)
    (home / ".env").write_text("TRADING_DAG_TICKERS=SPX\n")
    with served(home, "--webserver-only") as ui:
        wait_until(lambda: loaded(ui), ui.process, patience=STARTING_SECONDS)
        assert ui.ask(START)["startSchedule"]["__typename"] == "ScheduleStateResult"
    turn_on_since(home, since)
    missed = sessions_missed(since, now)
    assert missed
    for moment in (0.1, random.Random(7).uniform(1.0, 10.0)):
        with rebooted(home, moment):
            assert_every_slice_is_whole(home)
    with served(home) as ui:
        wait_until(lambda: len(asked_for(home)) == len(missed), ui.process, patience=RUN_SECONDS)
        wait_until(lambda: unfinished_runs(home) == 0, ui.process, patience=RUN_SECONDS)
        time.sleep(5.0)
    keys = asked_for(home)
    assert len(keys) == len(set(keys)) == len(missed)
    for session in missed:
        assert sum(session in key for key in keys) == 1, (session, keys)
    assert_every_slice_is_whole(home)
