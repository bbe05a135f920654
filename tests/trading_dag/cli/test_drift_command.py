"""``trading-dag drift`` on reports that are stored, and where none is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.conftest import Workspace
from tests.trading_dag.drift.test_standing import reports, scores
from trading_dag.schemas import ACCURACY, DRIFT


@pytest.fixture
def home(tmp_path: Path) -> Workspace:
    store = ParquetStore(tmp_path)
    for horizon, shares in (("24h", [0.9, 0.9]), ("168h", [0.0])):
        named = {"ticker": "SPX", "horizon": horizon}
        store.write(DRIFT, SliceKey("SPX", horizon), reports(shares).assign(**named), source="sample")
        store.write(ACCURACY, SliceKey("SPX", horizon), scores([False, True]).assign(**named), source="sample")
    return Workspace(tmp_path)


def test_each_slice_is_a_row_with_what_moved_most_and_what_happens_next(home: Workspace) -> None:
    shown = home.run("drift", "SPX")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("price.interval_width") >= 2
    assert "90.0%" in shown.stdout
    assert "SPX 24h: below its band: direction brier_sign gain -0.0100" in shown.stdout


def test_json_says_the_same_slice_by_slice(home: Workspace) -> None:
    told = json.loads(home.run("drift", "SPX", "--horizons", "24h,168h", "--json").stdout)["slices"]
    assert [(slice["horizon"], slice["is_due"], slice["breached_reports_in_a_row"]) for slice in told] == [
        ("24h", True, 2), ("168h", False, 1),
    ]  # fmt: skip
    assert told[0]["forecasts_beyond"] == ["price.interval_width"]
    assert told[1]["next"].startswith("1 more breached report")


def test_without_a_report_the_command_fails_and_says_what_makes_one(tmp_path: Path) -> None:
    failed = Workspace(tmp_path).run("drift", "SPX")
    assert failed.returncode == 1
    assert "trading-dag run makes one" in failed.stderr
