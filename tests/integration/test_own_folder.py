"""A new user with one price history as Yahoo exports it, and nothing else, gets a result at the first try."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from assets.run.execution import SliceRunner, WorkItem
from resources.sources.sample import SampleSource
from resources.storage.parquet_store import SliceKey
from tests.conftest import Workspace
from trading_dag.definitions import build_definitions
from trading_dag.settings import Settings

YAHOO = {
    "session": "Date", "open": "Open", "high": "High", "low": "Low", "close": "Close", "adj_close": "Adj Close",
    "volume": "Volume",
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    """A folder with one GLD.csv, bars of the sample under that name, and an empty home."""
    folder, home = tmp_path / "folder", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    bars = SampleSource().prices_daily("SPX", since=pd.Timestamp("2012-01-03")).rename(columns=YAHOO)
    bars[list(YAHOO.values())].to_csv(folder / "GLD.csv", index=False, date_format="%Y-%m-%d")
    return Workspace(home, (("TRADING_DAG_SOURCE", "files"), ("TRADING_DAG_FILES", str(folder))))


def test_doctor_says_what_the_columns_were_taken_for_and_ends_with_0(place: Workspace) -> None:
    done = place.run("doctor", "--json")
    assert done.returncode == 0, done.stdout
    found = {finding["subject"]: finding for finding in json.loads(done.stdout)}
    prices = found["source files, prices_daily"]
    assert prices["state"] == "ok"
    assert "adj_close is 'Adj Close'" in prices["detail"]
    optional = {name: one["state"] for name, one in found.items() if name.startswith("source files,") and one != prices}
    assert set(optional.values()) == {"off"}
    assert len(optional) >= 9


def test_doctor_calls_a_file_with_wrong_columns_wrong_and_ends_with_1(place: Workspace) -> None:
    folder = Path(dict(place.variables)["TRADING_DAG_FILES"])
    (folder / "macro.csv").write_text("series_id,observation_date,wert\nDGS10,2024-01-02,4\n")
    (folder / "earnings.csv").write_text("date,ticker\nsoon,GLD\n")
    done = place.run("doctor")
    assert done.returncode == 1
    assert "column value: is missing; the file has series_id, observation_date, wert" in done.stdout
    assert "'soon' on line 2 is no date" in done.stdout


@pytest.mark.long
def test_the_command_of_the_readme_gives_a_result_and_says_what_its_absence_of_an_index_costs(place: Workspace) -> None:
    done = place.run("run", "--horizons", "24h")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "│ GLD" in done.stdout
    assert "raw.volatility_index is off" in done.stdout
    assert "no option structure" in done.stdout
    told = place.run("signal", "GLD", "--horizons", "24h", "--json")
    assert json.loads(told.stdout)[0]["direction"] in ("UP", "DOWN")


def test_what_a_source_left_out_is_told_by_the_outcome_and_is_metadata_of_the_slice(tmp_path: Path) -> None:
    (tmp_path / "macro.csv").write_text(
        "series_id,observation_date,value\nDGS10,2024-01-02,4.1\nDGS10,2024-01-03,.\nGDPC1,2024-01-01,1\n"
    )
    settings = Settings(_env_file=None, home=tmp_path, source="files", files=tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = SliceRunner(build_definitions(settings), instance, settings).bring_up_to_date(
            WorkItem("none", SliceKey(), "run")
        )
        event = instance.get_latest_materialization_event(dg.AssetKey(["raw", "macro"]))
    assert outcome.is_success, outcome.errors
    said = "macro.csv: 1 rows without value are left out"
    assert said in outcome.notes
    assert "macro.csv: 1 rows of other series (GDPC1) are not used" in outcome.notes
    assert event is not None
    assert event.asset_materialization is not None
    assert said in str(event.asset_materialization.metadata["left_out"].value)
