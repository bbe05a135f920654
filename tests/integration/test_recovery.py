"""The service with its parts killed in the middle of runs: what is left is whole, and what was missed is made up for.

A killed part is killed as the kernel does it, with SIGKILL, while a run is under way. Where the service has ended by
that, it is started again, as systemd does it. No moment is a time: what is waited for is what has been stored.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg
import pandas as pd
import psutil
import pytest

from assets.jobs import MARKET_JOB, REFRESH_RAW_JOB
from assets.run.execution import SliceRunner, WorkItem
from resources.doctor.stored_state import damaged_slices
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.integration.processes import assert_all_end, rows, unfinished_runs, wait_until
from tests.integration.test_ui import STARTING_SECONDS, Ui, launch, loaded, process_of, served, status_of
from trading_dag.definitions import build_definitions
from trading_dag.schemas import PRICES_DAILY
from trading_dag.sessions import last_settled_session, sessions_between
from trading_dag.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(3_600)]
RUN_SECONDS = 1_200.0  # a run of one ticker, and the daemon's look after it, on a busy machine
TABLES = 12  # of the tables of a ticker, so many are waited for at most
ENDED = ("FAILURE", "SUCCESS", "CANCELED")
START = 'mutation { startSchedule(scheduleSelector: {repositoryLocationName: "trading_dag", repositoryName: \
"__repository__", scheduleName: "daily_prices"}) { __typename ... on PythonError { message } } }'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The sample's macro series alone, which every ticker's run reads; without any history of runs."""
    settings = Settings(_env_file=None, home=tmp_path, source="sample")
    with dg.DagsterInstance.ephemeral() as instance:
        runner = SliceRunner(build_definitions(settings), instance, settings)
        assert runner.bring_up_to_date(WorkItem("none", SliceKey(), "run")).errors == ()
    return tmp_path


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
    """Files that nobody finished writing."""
    return [path for path in (home / "data").rglob("*.tmp") if path.is_file()]


def stored_tables(home: Path, run: str) -> int:
    """How many tables a run has stored so far."""
    address = f"file:{home / '.dagster' / 'history' / 'event_log.db'}?mode=ro"
    query = "select count(*) from event_logs where run_id = ? and dagster_event_type = 'ASSET_MATERIALIZATION'"
    with closing(sqlite3.connect(address, uri=True)) as events:
        return int(events.execute(query, (run,)).fetchone()[0])


def kill_during_a_run(ui: Ui, part: str, chance: random.Random) -> tuple[str, list[psutil.Process]]:
    """Kill a part of the service in the middle of a run; the run, and every process that there was."""
    run, tables = launch(ui, MARKET_JOB, "SPX"), chance.randint(0, TABLES)
    wait_until(lambda: stored_tables(ui.home, run) >= tables, ui.process, patience=RUN_SECONDS)
    killed, everything = processes_of(ui, part, run), ui.parts()
    assert killed, part
    assert status_of(ui.home, run) == "STARTED"
    kill(killed)
    return run, everything


def assert_it_goes_on(ui: Ui) -> None:
    """The same run can be made now, and nothing is left of those before."""
    wait_until(lambda: loaded(ui), ui.process, patience=STARTING_SECONDS)
    run = launch(ui, MARKET_JOB, "SPX")
    wait_until(lambda: status_of(ui.home, run) in ENDED, ui.process, patience=RUN_SECONDS)
    assert status_of(ui.home, run) == "SUCCESS"
    wait_until(lambda: unfinished_runs(ui.home) == 0, ui.process, patience=RUN_SECONDS)
    assert_every_slice_is_whole(ui.home)
    assert leftovers(ui.home) == []


def test_the_service_goes_on_by_itself_after_a_worker_and_a_code_server_were_killed_during_a_run(home: Path) -> None:
    chance = random.Random(1)
    with served(home) as ui:
        wait_until(lambda: loaded(ui), ui.process, patience=STARTING_SECONDS)
        for part in ("worker", "code server"):
            run, _ = kill_during_a_run(ui, part, chance)
            wait_until(
                lambda run=run: status_of(home, run) in ENDED and unfinished_runs(home) == 0,  # type: ignore[misc]
                ui.process, patience=RUN_SECONDS,
            )  # fmt: skip
            assert_every_slice_is_whole(home)
        assert_it_goes_on(ui)


@pytest.mark.parametrize("part", ["daemon", "web server", "everything"])
def test_a_service_that_is_killed_during_a_run_goes_on_when_it_is_started_again(home: Path, part: str) -> None:
    with served(home) as ui:
        wait_until(lambda: loaded(ui), ui.process, patience=STARTING_SECONDS)
        run, everything = kill_during_a_run(ui, part, random.Random(part))
        ui.process.wait(timeout=RUN_SECONDS)  # so that whoever watches the service starts it again
        assert ui.process.returncode not in (0, None)
        assert_all_end(everything)
    assert_every_slice_is_whole(home)
    with served(home) as ui:
        wait_until(lambda: status_of(home, run) in ENDED, ui.process, patience=RUN_SECONDS)
        assert_it_goes_on(ui)


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


def stored_sessions(home: Path) -> list[pd.Timestamp]:
    return list(ParquetStore(home).read(PRICES_DAILY, SliceKey("SPY"))["session"])


def market(home: Path, *, years: int) -> None:
    """The simulated market of the home's commands: the longer one goes on where the shorter one ends."""
    first = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=2 * 365 + 9)
    (home / ".env").write_text(
        f"TRADING_DAG_SOURCE=simulated\nTRADING_DAG_TICKERS=SPY\nTRADING_DAG_SIMULATION__FIRST_SESSION={first}\n"
        f"TRADING_DAG_SIMULATION__YEARS={years}\n"
    )


def rebooted(home: Path, *, tables: int) -> None:
    """Start the service, and kill all of it at once when its runs have stored so many tables more."""
    with served(home) as ui:
        wait_until(lambda: asked_for(home), ui.process, patience=RUN_SECONDS)
        run = str(rows(home, "select run_id from runs order by id desc limit 1")[0][0])
        wait_until(lambda: stored_tables(home, run) >= tables, ui.process, patience=RUN_SECONDS)
        kill([psutil.Process(ui.process.pid), *ui.parts()])
    assert_every_slice_is_whole(home)


def test_a_machine_that_was_off_for_days_and_goes_down_twice_more_makes_up_for_each_session_once(
    tmp_path: Path,
) -> None:
    """A schedule that was missed for several sessions asks once, for all of them."""
    home = tmp_path
    market(home, years=2)
    settings = Settings(_env_file=home / ".env", home=home)
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_definitions(settings).resolve_job_def(REFRESH_RAW_JOB)
        assert job.execute_in_process(partition_key="SPY", instance=instance).success
    before = stored_sessions(home)
    market(home, years=3)
    since = last_settled_session(pd.Timestamp.now("UTC"))
    missed = sessions_between(before[-1], since)[1:]
    assert len(missed) >= 4
    with served(home, "--webserver-only") as ui:
        wait_until(lambda: loaded(ui), ui.process, patience=STARTING_SECONDS)
        assert ui.ask(START)["startSchedule"]["__typename"] == "ScheduleStateResult"
    turn_on_since(home, before[-1].tz_localize("UTC").to_pydatetime())
    for tables in (0, 1):
        rebooted(home, tables=tables)
    with served(home) as ui:
        wait_until(lambda: stored_sessions(home)[-1] >= since, ui.process, patience=RUN_SECONDS)
        wait_until(lambda: unfinished_runs(home) == 0, ui.process, patience=RUN_SECONDS)
    keys = asked_for(home)
    assert len(keys) == len(set(keys))
    assert f"SPY-{since:%Y-%m-%d}" in keys
    last = {f"SPY-{last_settled_session(pd.Timestamp.now('UTC')):%Y-%m-%d}{look}" for look in ("", "-again")}
    assert set(keys) <= {f"SPY-{since:%Y-%m-%d}"} | last, "a session may have ended meanwhile"
    stored = stored_sessions(home)
    assert stored == sorted(set(stored))
    assert stored[: len(before)] == before
    assert stored[len(before) :][: len(missed)] == list(missed)
    assert_every_slice_is_whole(home)
    assert leftovers(home) == []
