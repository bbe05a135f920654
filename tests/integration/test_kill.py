"""``kill -9`` at random moments: no torn file, no lost slice, and the next run completes.

Three kills by default, one of each kind; ``TRADING_DAG_KILLS=50`` for the long version.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from resources.storage.models.store import ModelStore
from resources.storage.parquet_store import ParquetStore, SliceKey, content_hash
from tests.conftest import Workspace
from trading_dag.schemas import PREDICTIONS_DIRECTION, PREDICTIONS_VOLATILITY, TABLES

KILLS = int(os.environ.get("TRADING_DAG_KILLS", "3"))
LONGEST_SECONDS = 14.0
KEY = SliceKey("SPX", "24h")
RUN = ("run", "--tickers", "SPX", "--horizons", "24h")


def stored_slices(home: Path) -> dict[str, set[SliceKey]]:
    store = ParquetStore(home)
    return {name: set(store.slices(table)) for name, table in TABLES.items()}


def assert_every_slice_is_whole(home: Path) -> None:
    store = ParquetStore(home)
    for name, keys in stored_slices(home).items():
        for key in keys:
            provenance = store.provenance(TABLES[name], key)
            assert provenance is not None
            assert content_hash(store.read(TABLES[name], key)) == provenance.content_hash, (name, key)
    models = ModelStore(home / "models")
    for model in ("direction_classifier", "volatility_forecaster"):
        if models.latest_version(model, ticker="SPX", horizon="24h") is not None:
            assert models.load(model, ticker="SPX", horizon="24h").folds


@pytest.mark.long
@pytest.mark.timeout(1_200 + KILLS * 300)  # the stored run that it is compared with may be made first
def test_a_kill_at_any_moment_tears_nothing_loses_nothing_and_the_next_run_completes(
    tmp_path: Path, sample_run: Workspace
) -> None:
    workspace, chance = Workspace(tmp_path), random.Random(42)
    before: dict[str, set[SliceKey]] = {}
    for number in range(KILLS):
        command = [sys.executable, "-m", "trading_dag.cli", *RUN, *(["--force"] if number % 2 else [])]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=workspace.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(chance.uniform(1.0, LONGEST_SECONDS))
        if number % 3 == 2:
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert_every_slice_is_whole(tmp_path)
        after = stored_slices(tmp_path)
        for name, keys in before.items():
            assert keys <= after[name], name
        before = after
    time.sleep(1.5)
    done = workspace.run(*RUN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_every_slice_is_whole(tmp_path)
    for table in (PREDICTIONS_DIRECTION, PREDICTIONS_VOLATILITY):
        undisturbed = ParquetStore(sample_run.home).provenance(table, KEY)
        killed = ParquetStore(tmp_path).provenance(table, KEY)
        assert undisturbed is not None
        assert killed is not None
        assert killed.content_hash == undisturbed.content_hash
