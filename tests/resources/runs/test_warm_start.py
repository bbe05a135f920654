"""Runs are forks of a process that has imported everything, executed as Dagster would, and ended when told to."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import psutil
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from assets.jobs import REFRESH_RAW_JOB
from resources.runs.dagster_private import ManagedCodeServer
from resources.runs.launcher import LocalRunLauncher
from resources.runs.owned_runs import PROCESS_TAG, is_abandoned
from resources.runs.process_marks import number_of
from resources.runs.warm_start import RunServer
from tests.conftest import QUICK, REPOSITORY
from trading_dag.errors import ServerError

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(3_600)]
PATIENCE_SECONDS = 900.0


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """The project's own instance on a home of the sample."""
    (tmp_path / ".dagster").mkdir()
    told = {"TRADING_DAG_HOME": tmp_path, "TRADING_DAG_STATE": tmp_path / ".dagster", "DAGSTER_HOME": REPOSITORY}
    for name, value in {**QUICK, **told, "TRADING_DAG_SOURCE": "sample"}.items():
        monkeypatch.setenv(name, str(value))
    with dg.DagsterInstance.get() as instance:
        yield instance


def new_run(instance: dg.DagsterInstance, ticker: str) -> dg.DagsterRun:
    """A run that fetches a ticker, as the queue would hand it to a launcher."""
    repository = ReconstructableRepository.for_module("trading_dag.definitions", "defs")
    job = repository.get_reconstructable_job(REFRESH_RAW_JOB)
    return instance.create_run_for_job(
        job.get_definition(),
        tags={"dagster/partition": ticker},
        job_code_origin=job.get_python_origin(),
        status=dg.DagsterRunStatus.STARTING,
    )


def ended(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        now = instance.get_run_by_id(run.run_id)
        if now is not None and now.is_finished:
            return now
        time.sleep(0.1)
    pytest.fail("the run did not end")


def test_runs_are_executed_in_forks_that_own_them_and_can_be_killed(instance: dg.DagsterInstance) -> None:
    server = RunServer("trading_dag.definitions")
    try:
        for ticker in ("SPX", "COMP"):
            run = new_run(instance, ticker)
            number = server.start(run.run_id)
            done = ended(instance, run)
            assert done.status == dg.DagsterRunStatus.SUCCESS
            assert number_of(done.tags[PROCESS_TAG]) == number != os.getpid()
        killed = new_run(instance, "SPX")
        number = server.start(killed.run_id)
        os.kill(number, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while psutil.pid_exists(number):
            assert time.monotonic() < deadline, "the server leaves no dead process behind"
            time.sleep(0.1)
        assert server.lives
    finally:
        server.end()


def test_the_launcher_forks_and_tells_the_fork_to_stop(instance: dg.DagsterInstance) -> None:
    launcher = instance.run_launcher
    assert isinstance(launcher, LocalRunLauncher)
    run = new_run(instance, "SPX")
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name="trading_dag.definitions")
    location = ManagedCodeServer(loadable_target_origin=target, location_name="trading_dag")
    origin = SimpleNamespace(repository_origin=SimpleNamespace(code_location_origin=location))
    workspace = SimpleNamespace(get_code_location=lambda name: SimpleNamespace(server_id="one"))
    context = SimpleNamespace(
        workspace=workspace,
        dagster_run=SimpleNamespace(run_id=run.run_id, job_code_origin=run.job_code_origin, remote_job_origin=origin),
    )
    launcher.launch_run(context)  # type: ignore[arg-type]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (now := instance.get_run_by_id(run.run_id)) and number_of(now.tags[PROCESS_TAG]) == os.getpid():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert now is not None
    if not now.is_finished:
        assert not is_abandoned(instance, now)
        assert launcher.terminate(run.run_id)
    assert ended(instance, run).status in (dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.SUCCESS)
    assert not launcher.terminate(run.run_id), "what has ended is told nothing"
    launcher.dispose()


def test_a_server_that_cannot_start_says_so(instance: dg.DagsterInstance) -> None:
    with pytest.raises(ServerError, match="gave no answer"):
        RunServer("no.such.module")


def test_a_server_whose_settings_have_changed_starts_nothing(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    told.write_text("before")
    lines = ("from pathlib import Path", f"def current_settings():\n    return Path({str(told)!r}).read_text()")
    (tmp_path / "changing_definitions.py").write_text("\n".join(lines))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    server = RunServer("changing_definitions")
    try:
        run = new_run(instance, "SPX")
        assert server.start(run.run_id) is not None
        assert ended(instance, run).status == dg.DagsterRunStatus.SUCCESS
        told.write_text("after")
        refused = new_run(instance, "SPX")
        assert server.start(refused.run_id) is None
        assert instance.get_run_by_id(refused.run_id).status == dg.DagsterRunStatus.STARTING  # type: ignore[union-attr]
    finally:
        server.end()
