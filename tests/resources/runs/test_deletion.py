"""Deleting many runs at once leaves what Dagster's own deletion, one by one, would leave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.events import StepMaterializationData

from resources.runs import dagster_private_storage as storages
from resources.runs import deletion
from resources.runs.deletion import delete_runs

ASSET = dg.AssetKey("prices")
EVENTS = (
    storages.SqlEventLogStorageTable,
    storages.AssetEventTagsTable,
    storages.PendingStepsTable,
)
RUNS = (storages.RunsTable, storages.RunTagsTable)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A real history in files, as the project keeps it."""
    history = {"module": "resources.runs.history", "class": "RunHistory", "config": {"base_dir": str(tmp_path)}}
    configuration = {"storage": {"custom": history}, "telemetry": {"enabled": False}}
    (tmp_path / "dagster.yaml").write_text(json.dumps(configuration))
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


def recorded(instance: dg.DagsterInstance) -> str:
    """A finished run with a tag, two events of its own and a materialization with a tag."""
    run = dg.DagsterRun(job_name="research", status=dg.DagsterRunStatus.SUCCESS, tags={"a": "tag"})
    instance.add_run(run)
    instance.report_engine_event("began", run)
    made = dg.AssetMaterialization(ASSET, tags={"dagster/data_version": run.run_id})
    event = dg.DagsterEvent("ASSET_MATERIALIZATION", "research", event_specific_data=StepMaterializationData(made, []))
    instance.report_dagster_event(event, run.run_id)
    return run.run_id


def counts(instance: dg.DagsterInstance) -> dict[str, int]:
    events: Any = instance.event_log_storage
    runs: Any = instance.run_storage
    found = {}
    for connect, tables in ((events.index_connection, EVENTS), (runs.connect, RUNS)):
        with connect() as connection:
            for table in tables:
                found[table.name] = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    return found


def test_nothing_of_a_deleted_run_is_left_and_everything_of_the_others(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "BATCH", 2)
    kept = recorded(instance)
    alone = counts(instance)
    assert min(value for name, value in alone.items() if name != "pending_steps") > 0
    delete_runs(instance, [recorded(instance) for _ in range(5)])
    assert counts(instance) == alone
    assert [run.run_id for run in instance.get_runs()] == [kept]
    assert len(instance.all_logs(kept)) == 2


def test_many_at_once_leave_what_dagsters_own_deletion_leaves(instance: dg.DagsterInstance) -> None:
    recorded(instance)
    one, two = recorded(instance), recorded(instance)
    delete_runs(instance, [one])
    ours = counts(instance)
    one = recorded(instance)
    instance.delete_run(two)
    assert counts(instance) == ours
    assert {run.run_id for run in instance.get_runs()} >= {one}


def test_a_place_in_a_pool_that_a_deleted_run_still_holds_is_free_again(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    storage.set_concurrency_slots("vendors", 1)
    run = recorded(instance)
    assert storage.claim_concurrency_slot("vendors", run, "fetch").is_claimed
    delete_runs(instance, [run])
    assert storage.get_concurrency_info("vendors").active_slot_count == 0
    assert storage.claim_concurrency_slot("vendors", recorded(instance), "fetch").is_claimed


def test_a_deletion_that_is_cut_off_between_a_runs_events_and_the_run_can_be_done_again(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recorded(instance)

    def end() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(instance.run_storage, "connect", end)
        with pytest.raises(KeyboardInterrupt):
            delete_runs(instance, [run])
    assert instance.all_logs(run) == []
    assert [one.run_id for one in instance.get_runs()] == [run]
    delete_runs(instance, [run])
    assert instance.get_runs() == []
