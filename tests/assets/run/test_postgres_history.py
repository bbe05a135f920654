"""Dagster's history on a real Postgres: runs belong to processes there too, and old ones can be told."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from assets.run.claims import bury_dead_runs
from assets.run.retention import remove_runs, superfluous_runs

pytest.importorskip("dagster_postgres", reason="the extra scale is not installed")
REPOSITORY = Path(__file__).resolve().parents[3]
BINARIES = next(
    (path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)),
    Path(found).parent if (found := shutil.which("initdb")) else None,
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BINARIES is None, reason="no Postgres on this machine (apt-get install postgresql)"),
]
KILLED = """
import os, signal
import dagster as dg
with dg.DagsterInstance.from_config(os.environ["DAGSTER_HOME"]) as instance:
    run = dg.DagsterRun(job_name="market", status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": "SPX"})
    instance.add_run(run)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A private cluster on a free port of 127.0.0.1; its owner may not be root, so root hands it to somebody else."""
    assert BINARIES is not None
    folder = tmp_path_factory.mktemp("postgres")
    owner = "postgres" if os.geteuid() == 0 else None
    if owner is not None:
        for above in (folder, *folder.parents[:3]):
            above.chmod(above.stat().st_mode | 0o011)
        shutil.chown(folder, owner)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def work(program: str, *arguments: str) -> None:
        subprocess.run(
            [BINARIES / program, *arguments], user=owner, cwd="/", check=True, stdout=subprocess.DEVNULL, timeout=600
        )

    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    work("initdb", "--pgdata", f"{folder}/data", "--auth", "trust", "--username", "dagster", "--no-sync")
    work("pg_ctl", "--pgdata", f"{folder}/data", "--wait", "--log", f"{folder}/log", "--options", options, "start")
    try:
        work("createdb", "--host", "127.0.0.1", "--port", str(port), "--username", "dagster", "dagster")
        yield f"postgresql+psycopg2://dagster@127.0.0.1:{port}/dagster"
    finally:
        work("pg_ctl", "--pgdata", f"{folder}/data", "--mode", "immediate", "stop")


@pytest.fixture
def home(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(REPOSITORY / "deploy" / "dagster.postgres.yaml", tmp_path / "dagster.yaml")
    for name in ("DAGSTER_HOME", "TRADING_DAG_STATE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", address)
    return tmp_path


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@dg.asset
def prices() -> int:
    return 1


def test_a_run_whose_process_was_killed_is_buried_on_postgres_as_on_sqlite(
    home: Path, instance: dg.DagsterInstance
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED], cwd=REPOSITORY, env={**os.environ}, check=False, timeout=600
    )
    assert killed.returncode == -9
    living = dg.DagsterRun(job_name="market", status=dg.DagsterRunStatus.STARTED)
    instance.add_run(living)
    (dead,) = instance.get_runs(filters=dg.RunsFilter(tags={"dagster/partition": "SPX"}))
    assert bury_dead_runs(instance) == [dead.run_id]
    status = {run.run_id: run.status for run in instance.get_runs()}
    assert status[dead.run_id] == dg.DagsterRunStatus.FAILURE
    assert status[living.run_id] == dg.DagsterRunStatus.STARTED


def test_what_a_run_made_and_which_old_runs_may_go_is_known_on_postgres(instance: dg.DagsterInstance) -> None:
    first, second = (dg.materialize([prices], instance=instance).run_id for _ in range(2))
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    assert first in superfluous_runs(instance, before=later)
    assert second not in superfluous_runs(instance, before=later)
    remove_runs(instance, [first])
    event = instance.get_latest_materialization_event(dg.AssetKey("prices"))
    assert event is not None
    assert event.run_id == second
