"""``predict`` says of given features what the live model says of the same session; ``fetch`` computes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from resources.storage.models.store import ModelStore
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.conftest import Workspace
from trading_dag.schemas import FEATURE_TABLE, PREDICTIONS_DIRECTION

KEY = SliceKey("SPX", "24h")
FEATURES = ("predict", "SPX", "--horizon", "24h", "--features")


@pytest.fixture(scope="module")
def served(sample_run: Workspace) -> tuple[pd.DataFrame, float]:
    """The features that the live model reads of the last session that it served, and what it had forecast of it."""
    store = ParquetStore(sample_run.home)
    said = store.read(PREDICTIONS_DIRECTION, KEY)
    last = said[said["model"] == "direction_shrunk"].iloc[-1]
    fold = ModelStore(sample_run.home / "models").load("direction_classifier", ticker="SPX", horizon="24h").folds_of(
        "direction_shrunk"
    )[-1]  # fmt: skip
    assert last["fold"] == fold.fold
    table = store.read(FEATURE_TABLE, SliceKey("SPX"))
    row = table.loc[table["session"] == last["session"], list(fold.features)]
    return row.astype("float64").reset_index(drop=True), float(last["probability_up"])


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_the_features_of_a_session_give_its_forecast_whatever_the_file(
    sample_run: Workspace, served, tmp_path: Path, ending: str
) -> None:
    row, probability = served
    path = tmp_path / f"given.{ending}"
    if ending == "csv":
        row.to_csv(path, index=False)
    elif ending == "json":
        path.write_text(row.to_json(orient="records", double_precision=15), encoding="utf-8")
    else:
        row.to_parquet(path)
    done = sample_run.run(*FEATURES, str(path), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["predictions"][0]["probability"] == pytest.approx(probability, abs=1e-9)
    assert told["model"]["fold"] == "live"
    assert "no out-of-sample forecast" in told["note"]


def test_columns_that_lack_or_are_unknown_are_named_and_counted(sample_run: Workspace, served, tmp_path: Path) -> None:
    row, _ = served
    path = tmp_path / "given.csv"
    row.assign(moon_phase=1.0).to_csv(path, index=False)
    done = sample_run.run(*FEATURES, str(path), "--json")
    assert json.loads(done.stdout)["unknown_columns"] == ["moon_phase"]
    assert "1 columns" in done.stderr
    row.iloc[:, 1:].to_csv(path, index=False)
    done = sample_run.run(*FEATURES, str(path))
    assert done.returncode == 1
    assert f"1 of {row.shape[1]} features]: no column for {row.columns[0]}" in done.stderr


def test_bad_dates_and_files_are_one_line(sample_run: Workspace, tmp_path: Path) -> None:
    done = sample_run.run("predict", "SPX", "--horizon", "24h", "--date", "2018-01-15")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no session of the exchange" in done.stderr
    broken = tmp_path / "given.json"
    broken.write_text("{", encoding="utf-8")
    for path, code in ((broken, 1), (tmp_path / "none.csv", 2)):
        done = sample_run.run(*FEATURES, str(path))
        assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr


def test_fetch_stores_the_chosen_kinds_and_computes_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    done = workspace.run("fetch", "--tickers", "SPX", "--kinds", "prices_daily,volatility_index", "--json")
    assert done.returncode == 0, done.stderr
    told = {entry["slice"]: entry["fetched"] for entry in json.loads(done.stdout)}
    assert told["macro"] == []
    assert sorted(told["SPX"]) == ["raw.prices_daily", "raw.volatility_index"]
    made = {str(path.parent.relative_to(tmp_path / "data")) for path in (tmp_path / "data").rglob("data.parquet")}
    assert made == {"raw/prices_daily/ticker=SPX", "raw/volatility_index/ticker=SPX"}


def test_a_kind_that_does_not_exist_is_bad_usage_and_those_that_do_are_named(tmp_path: Path) -> None:
    done = Workspace(tmp_path).run("fetch", "--tickers", "SPX", "--kinds", "moon")
    assert done.returncode == 2
    assert "no kind of raw data: moon; choose from prices_daily" in done.stderr
