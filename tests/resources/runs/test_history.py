"""The event log with connections that stay open holds what Dagster's own would hold."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite.consolidated_sqlite_event_log import ConsolidatedSqliteEventLogStorage

from resources.runs.history import PooledEventLog, RunHistory

REPOSITORY = Path(__file__).resolve().parents[3]


@dg.asset
def thing() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"rows": 7})


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(REPOSITORY))
    monkeypatch.setenv("TRADING_DAG_STATE", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        yield instance


def test_the_instance_of_the_project_uses_it(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.event_log_storage, PooledEventLog)


def test_what_a_run_does_is_recorded(instance: dg.DagsterInstance) -> None:
    runs = [dg.materialize([thing], instance=instance).run_id for _ in range(3)]
    for run_id in runs:
        kinds = [record.event_log_entry.dagster_event_type for record in instance.get_records_for_run(run_id).records]
        assert kinds.count(dg.DagsterEventType.ASSET_MATERIALIZATION) == 1
        assert dg.DagsterEventType.RUN_SUCCESS in kinds
    assert len(instance.fetch_materializations(thing.key, limit=20).records) == len(runs)


# What has imported everything is four processes at once.
FOUR_AT_ONCE = """
import os, sys
from resources.runs.history import RunHistory
gate, opened = os.pipe()
def begin():
    os.close(opened)
    os.read(gate, 1)
    RunHistory.from_local(sys.argv[1])
def child():
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        begin()
        code = 0
    finally:
        os._exit(code)
children = [child() for _ in range(4)]
os.close(opened)
print([os.waitpid(process, 0)[1] for process in children])
"""


def test_processes_that_start_on_a_new_home_at_once_all_get_a_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FOUR_AT_ONCE, str(tmp_path / "home")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[0, 0, 0, 0]\n", "")


def test_dagsters_own_storage_reads_the_same_files(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run_id = dg.materialize([thing], instance=instance).run_id
    theirs = ConsolidatedSqliteEventLogStorage(str(tmp_path / "history"))
    assert theirs.all_asset_keys() == [thing.key]
    ours = instance.event_log_storage.get_records_for_run(run_id).records
    assert len(theirs.get_records_for_run(run_id).records) == len(ours) > 5


def test_threads_take_turns(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp() as reference:
        log = RunHistory.from_local(str(tmp_path / "ours")).event_log_storage
        log.register_instance(reference)
        entry = _entry_of(reference)
        threads = [threading.Thread(target=lambda: [log.store_event(entry) for _ in range(20)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(log.get_records_for_run(entry.run_id).records) == 80
        log.dispose()


def _entry_of(instance: dg.DagsterInstance) -> dg.EventLogEntry:
    run_id = dg.materialize([thing], instance=instance).run_id
    return instance.get_records_for_run(run_id).records[0].event_log_entry
