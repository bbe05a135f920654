"""Old runs go from Dagster's history; the last word on a slice, a check or a restatement stays."""

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from assets.run.retention import compact, remove_runs, superfluous_runs
from tests.conftest import Workspace

LATER = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
PARTITIONS = dg.StaticPartitionsDefinition(["SPY", "QQQ"])


@dg.asset(partitions_def=PARTITIONS, check_specs=[dg.AssetCheckSpec("fine", asset="prices")])
def prices(context: dg.AssetExecutionContext) -> Iterator[object]:
    restated = {"restatements": dg.MetadataValue.text("one")} if context.run.tags.get("restated") else {}
    yield dg.Output(1, metadata=restated)
    yield dg.AssetCheckResult(passed=True)


@dg.asset(partitions_def=PARTITIONS)
def broken() -> None:
    raise ValueError("for a test")


def run(instance: dg.DagsterInstance, ticker: str = "SPY", asset: object = prices, **tags: str) -> str:
    done = dg.materialize([asset], instance=instance, partition_key=ticker, tags=tags, raise_on_error=False)  # type: ignore[list-item]
    return done.run_id


def test_a_run_goes_when_a_later_one_has_made_all_of_its_slices(instance: dg.DagsterInstance) -> None:
    first, other, second = run(instance), run(instance, "QQQ"), run(instance)
    assert superfluous_runs(instance, before=LATER) == [first]
    remove_runs(instance, [first])
    assert {record.run_id for record in instance.get_runs()} == {other, second}
    assert instance.get_materialized_partitions(dg.AssetKey("prices")) == {"SPY", "QQQ"}
    assert superfluous_runs(instance, before=LATER) == []


def test_a_young_run_stays(instance: dg.DagsterInstance) -> None:
    run(instance), run(instance)
    assert superfluous_runs(instance, before=dt.datetime.now(dt.UTC) - dt.timedelta(days=1)) == []


def test_the_record_of_a_restatement_stays(instance: dg.DagsterInstance) -> None:
    kept, gone, _ = run(instance, restated="yes"), run(instance), run(instance)
    assert superfluous_runs(instance, before=LATER) == [gone]
    assert kept in {record.run_id for record in instance.get_runs()}


def test_what_a_sensor_asked_for_once_stays_so_that_it_does_not_ask_again(instance: dg.DagsterInstance) -> None:
    run(instance, **{"dagster/run_key": "drift-1", "dagster/sensor_name": "retrain_on_drift"})
    scheduled = run(instance, **{"dagster/run_key": "2025-06-02", "dagster/schedule_name": "daily"})
    run(instance)
    assert superfluous_runs(instance, before=LATER) == [scheduled]


def test_the_last_failure_of_a_slice_stays_as_long_as_it_is_the_last(instance: dg.DagsterInstance) -> None:
    first, second = run(instance, asset=broken), run(instance, asset=broken)
    assert second not in superfluous_runs(instance, before=LATER)
    assert first in superfluous_runs(instance, before=LATER)


def test_room_of_deleted_rows_is_given_back_unless_somebody_is_writing(tmp_path: Path) -> None:
    path = tmp_path / "history" / "event_log.db"
    path.parent.mkdir()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE events (text TEXT)")
    connection.execute("BEGIN")  # otherwise each row waits for the disk
    connection.executemany("INSERT INTO events VALUES (?)", [("x" * 1000,)] * 2000)
    connection.execute("DELETE FROM events")
    connection.execute("COMMIT")
    connection.execute("BEGIN IMMEDIATE")
    assert compact(tmp_path) == (0, False)
    connection.execute("ROLLBACK")
    connection.close()
    freed, is_complete = compact(tmp_path)
    assert (freed > 1_000_000, is_complete) == (True, True)


def test_the_command_says_what_would_go_and_removes_nothing_in_a_dry_run(tmp_path: Path) -> None:
    place = Workspace(tmp_path)
    done = place.run("clean-history", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["models"], told["runs"], told["dry_run"]) == ([], 0, True)
    assert "0 versions of models removed" in place.run("clean-history").stdout
