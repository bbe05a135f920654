"""What Dagster's daemon takes from the queue under this project's ``dagster.yaml``: one run a slice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from assets.jobs import UNPARTITIONED
from tests.conftest import REPOSITORY

SPX = {"dagster/partition": "SPX"}
SPX_24H = {"dagster/partition": "24h|SPX", "dagster/partition/horizon": "24h", "dagster/partition/ticker": "SPX"}
COMP = {"dagster/partition": "COMP"}
pytestmark = pytest.mark.filterwarnings("ignore:Non-compliant tag keys:DeprecationWarning")  # Dagster's own tags


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """As ``dagster.yaml`` of the checkout configures it, on a state of its own."""
    monkeypatch.setenv("TRADING_DAG_STATE", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(REPOSITORY))
    with dg.DagsterInstance.get() as instance:
        yield instance


def run(instance: dg.DagsterInstance, tags: dict[str, str], status: dg.DagsterRunStatus) -> str:
    """A run in the history, as a launcher or a command leaves it there."""
    target = LoadableTargetOrigin(module_name="trading_dag.definitions")
    location = InProcessCodeLocationOrigin(target)
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), "research")
    made = dg.DagsterRun(job_name="research", status=status, tags=tags, remote_job_origin=origin)
    return instance.add_run(made).run_id


def queued(instance: dg.DagsterInstance, *tags: dict[str, str]) -> list[str]:
    return [run(instance, one, dg.DagsterRunStatus.QUEUED) for one in tags]


def taken(instance: dg.DagsterInstance) -> list[str]:
    """Ids of the runs that the daemon would launch now."""
    with QueuedRunCoordinatorDaemon(interval_seconds=1) as daemon:
        runs = daemon._get_runs_to_dequeue(instance, instance.get_concurrency_config(), fixed_iteration_time=None)
    return [one.run_id for one in runs]


def test_of_two_runs_on_one_slice_the_second_waits_in_the_queue(instance: dg.DagsterInstance) -> None:
    first, _, other = queued(instance, SPX, SPX, COMP)
    assert taken(instance) == [first, other]


def test_a_run_waits_while_a_command_works_on_its_slice_itself(instance: dg.DagsterInstance) -> None:
    run(instance, SPX_24H, dg.DagsterRunStatus.STARTED)
    _, other = queued(instance, SPX_24H, {**SPX_24H, "dagster/partition": "48h|SPX"})
    assert taken(instance) == [other]


def test_the_market_and_a_horizon_of_a_ticker_are_different_slices(instance: dg.DagsterInstance) -> None:
    both = queued(instance, SPX, SPX_24H)
    assert taken(instance) == both


def test_runs_without_a_partition_work_one_after_the_other(instance: dg.DagsterInstance) -> None:
    first, _ = queued(instance, dict(UNPARTITIONED), dict(UNPARTITIONED))
    assert taken(instance) == [first]


def test_runs_go_through_the_queue_without_a_coordinator_being_named(instance: dg.DagsterInstance) -> None:
    """It is Dagster's default; ``concurrency`` in ``dagster.yaml`` says how many runs it lets go at a time."""
    assert "run_coordinator" not in (REPOSITORY / "dagster.yaml").read_text()
    assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
    assert instance.get_concurrency_config().run_queue_config.max_concurrent_runs == 2
