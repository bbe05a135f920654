"""Two runs do not work on one slice at a time, however they were started."""

from __future__ import annotations

import threading
from pathlib import Path

import dagster as dg
import pytest
from filelock import FileLock

from resources.storage.slices import lock as slice_lock
from resources.storage.slices.lock import held_slice, lock_file

TICKERS = dg.StaticPartitionsDefinition(["SPX", "COMP"])
SECONDS = 300.0


def definitions(state: Path) -> dg.Definitions:
    """A partitioned and an unpartitioned asset that demand the lock, as every asset of the project does."""

    @dg.asset(partitions_def=TICKERS, required_resource_keys={"slice_lock"})
    def prices() -> None: ...

    @dg.asset(required_resource_keys={"slice_lock"})
    def macro() -> None: ...

    jobs = [dg.define_asset_job(asset.key.path[-1] + "_job", selection=[asset]) for asset in (prices, macro)]
    lock = dg.ResourceDefinition(lambda context: held_slice(context, state))
    return dg.Definitions(assets=[prices, macro], jobs=jobs, resources={"slice_lock": lock})


def started(
    loaded: dg.Definitions, instance: dg.DagsterInstance, job: str, partition: str | None
) -> tuple[threading.Thread, list[bool]]:
    """A run in a thread of its own, and whether it succeeded once it is over."""
    over: list[bool] = []

    def run() -> None:
        done = loaded.resolve_job_def(job).execute_in_process(
            instance=instance, partition_key=partition, raise_on_error=False
        )
        over.append(done.success)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, over


def waits(instance: dg.DagsterInstance) -> bool:
    """Whether the only run has said that it waits."""
    runs = instance.get_runs()
    return any("waiting for it" in entry.user_message for run in runs for entry in instance.all_logs(run.run_id))


@pytest.mark.parametrize(("job", "partition"), [("prices_job", "SPX"), ("macro_job", None)])
def test_a_run_waits_for_the_run_that_holds_its_slice_and_says_so(
    tmp_path: Path, instance: dg.DagsterInstance, job: str, partition: str | None
) -> None:
    path = lock_file(tmp_path, partition)
    path.parent.mkdir(parents=True)
    with FileLock(path):
        thread, over = started(definitions(tmp_path), instance, job, partition)
        poll = threading.Event()
        for _ in range(int(SECONDS / 0.1)):
            if waits(instance):
                break
            poll.wait(0.1)
        assert waits(instance)
        assert over == []
        assert instance.get_runs()[0].status == dg.DagsterRunStatus.STARTED
    thread.join(SECONDS)
    assert over == [True]


def test_a_run_on_another_slice_does_not_wait_and_frees_its_own(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    path = lock_file(tmp_path, "SPX")
    path.parent.mkdir(parents=True)
    with FileLock(path):
        thread, over = started(definitions(tmp_path), instance, "prices_job", "COMP")
        thread.join(SECONDS)
        assert over == [True]
    assert not waits(instance)
    with FileLock(lock_file(tmp_path, "COMP"), timeout=0):
        pass


def test_a_slice_that_is_never_freed_fails_the_run_with_the_reason(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slice_lock, "PATIENCE_SECONDS", 0.2)
    path = lock_file(tmp_path, "SPX")
    path.parent.mkdir(parents=True)
    with FileLock(path):
        thread, over = started(definitions(tmp_path), instance, "prices_job", "SPX")
        thread.join(SECONDS)
    assert over == [False]
    logs = instance.all_logs(instance.get_runs()[0].run_id)
    assert any("SliceBusyError" in str(entry.to_json()) for entry in logs)


def test_a_partition_key_is_one_file_name_whatever_it_holds(tmp_path: Path) -> None:
    names = [lock_file(tmp_path, key) for key in ("24h|SPX", "../../x", "2024-11-15|BRK.B")]
    assert {path.parent for path in names} == {tmp_path / "slices"}
    assert len(set(names)) == 3
