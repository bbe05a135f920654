"""Runs of processes that are gone are buried, whoever launched them; what is under way is named and refused."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.definitions.events import AssetKeyPartitionKey
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.launcher import WorkerStatus
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._daemon.types import DaemonHeartbeat

from assets.jobs import MARKET_JOB
from assets.run.claims import LAUNCHING_DAEMON, bury_dead_runs, refuse_if_busy
from resources.runs.history import OwnedRunStorage
from resources.runs.owned_runs import PROCESS_TAG
from resources.storage.parquet_store import SliceKey
from trading_dag.definitions import build_definitions
from trading_dag.errors import SliceBusyError
from trading_dag.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[3]
SPX, COMP = SliceKey("SPX"), SliceKey("COMP")
# A process whose children bring a run of the instance they are told as far as they are told, and are killed there.
KILLED = """
import os, signal, sys
import dagster as dg
from dagster._core.events import DagsterEvent, DagsterEventType

@dg.op
def work(): pass

@dg.job
def market(): work()

def work_and_be_killed(state, *events):
    os.environ["TRADING_DAG_STATE"] = state
    with dg.DagsterInstance.get() as instance:
        run = instance.create_run_for_job(market, tags={"dagster/partition": "SPX"})
        for name in events:
            kind = DagsterEventType[name]
            instance.report_dagster_event(DagsterEvent(kind.value, "market"), run.run_id)
        os.kill(os.getpid(), signal.SIGKILL)

for line in sys.stdin:
    process = os.fork()
    if not process:
        try:
            work_and_be_killed(*line.split())
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """The instance as ``dagster.yaml`` configures it."""
    monkeypatch.setenv("DAGSTER_HOME", str(REPOSITORY))
    monkeypatch.setenv("TRADING_DAG_STATE", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        yield instance


RunAndBeKilled = Callable[..., None]


@pytest.fixture(scope="module")
def parent() -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "DAGSTER_HOME": str(REPOSITORY)}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


@pytest.fixture
def run_and_be_killed(parent: subprocess.Popen[str], tmp_path: Path) -> RunAndBeKilled:
    def run(*events: str) -> None:
        assert parent.stdin is not None
        assert parent.stdout is not None
        print(tmp_path, *events, file=parent.stdin, flush=True)
        assert parent.stdout.readline() == "-9\n"

    return run


def under_way(instance: dg.DagsterInstance, settings: Settings, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    return instance.create_run_for_job(
        build_definitions(settings).resolve_job_def(MARKET_JOB),
        tags={"dagster/partition": "SPX"},
        status=status,
        remote_job_origin=RemoteRepositoryOrigin(
            RegisteredCodeLocationOrigin("trading_dag"), "__repository__"
        ).get_job_origin(MARKET_JOB),
    )


def beat(instance: dg.DagsterInstance, *, seconds_ago: float) -> None:
    instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - seconds_ago, LAUNCHING_DAEMON, "daemon", errors=[]))


@pytest.mark.parametrize(
    ("events", "ended"),
    [
        ((), dg.DagsterRunStatus.FAILURE),
        (("RUN_STARTING",), dg.DagsterRunStatus.FAILURE),
        (("RUN_STARTING", "RUN_START"), dg.DagsterRunStatus.FAILURE),
        (("RUN_START", "RUN_CANCELING"), dg.DagsterRunStatus.CANCELED),
    ],
    ids=["created", "launched", "started", "cancelling"],
)
def test_a_run_whose_process_was_killed_at_any_stage_is_buried_and_blocks_nobody(
    instance: dg.DagsterInstance,
    run_and_be_killed: RunAndBeKilled,
    events: tuple[str, ...],
    ended: dg.DagsterRunStatus,
) -> None:
    run_and_be_killed(*events)
    with pytest.raises(SliceBusyError, match="SPX"):
        refuse_if_busy(instance, [SPX])
    (buried,) = bury_dead_runs(instance)
    refuse_if_busy(instance, [SPX])
    run = instance.get_run_by_id(buried)
    assert run is not None
    assert run.status == ended
    assert bury_dead_runs(instance) == []


def test_dagsters_run_monitoring_sees_it_too(
    instance: dg.DagsterInstance, settings: Settings, run_and_be_killed: RunAndBeKilled
) -> None:
    run_and_be_killed("RUN_START")
    alive = under_way(instance, settings, dg.DagsterRunStatus.STARTED)
    launcher = instance.run_launcher
    assert launcher.supports_check_run_worker_health
    states = {run.run_id: launcher.check_run_worker_health(run).status for run in instance.get_runs()}
    assert states.pop(alive.run_id) == WorkerStatus.RUNNING
    assert list(states.values()) == [WorkerStatus.NOT_FOUND]


def test_a_run_is_in_the_hands_of_whoever_executes_it(
    instance: dg.DagsterInstance, run_and_be_killed: RunAndBeKilled
) -> None:
    storage = instance.run_storage
    assert isinstance(storage, OwnedRunStorage)
    run_and_be_killed("RUN_STARTING")
    (run,) = instance.get_runs()
    assert not storage.marks.lives(run.tags[PROCESS_TAG])
    event = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "market")
    instance.report_dagster_event(event, run.run_id)
    (run,) = instance.get_runs()
    assert run.tags[PROCESS_TAG] == storage.marks.own()
    assert run.tags["dagster/partition"] == "SPX"
    assert bury_dead_runs(instance) == []


def test_a_run_under_way_on_the_same_slice_is_named_and_refused(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    run = under_way(instance, settings, dg.DagsterRunStatus.STARTED)
    assert bury_dead_runs(instance) == []
    with pytest.raises(SliceBusyError, match=run.run_id[:8]):
        refuse_if_busy(instance, [SPX, COMP])
    refuse_if_busy(instance, [COMP])


def test_a_queued_run_is_in_the_way_while_a_daemon_lives_that_will_launch_it(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    under_way(instance, settings, dg.DagsterRunStatus.QUEUED)
    refuse_if_busy(instance, [SPX])
    beat(instance, seconds_ago=61)
    refuse_if_busy(instance, [SPX])
    beat(instance, seconds_ago=1)
    with pytest.raises(SliceBusyError, match="SPX"):
        refuse_if_busy(instance, [SPX])
    assert bury_dead_runs(instance) == []


def test_a_backfill_under_way_counts_as_work_on_its_slices_between_two_of_its_runs(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    graph = build_definitions(settings).resolve_asset_graph()
    backfill = PartitionBackfill.from_asset_graph_subset(
        backfill_id="between",
        dynamic_partitions_store=instance,
        backfill_timestamp=0.0,
        asset_graph_subset=AssetGraphSubset.from_asset_partition_set(
            {AssetKeyPartitionKey(dg.AssetKey(["raw", "prices_daily"]), "SPX")}, graph
        ),
        tags={},
        title=None,
        description=None,
        run_config=None,
    )
    instance.add_backfill(backfill)
    refuse_if_busy(instance, [SPX])
    beat(instance, seconds_ago=1)
    with pytest.raises(SliceBusyError, match="between"):
        refuse_if_busy(instance, [SPX])
    refuse_if_busy(instance, [COMP])
