"""``tune``: what it searches and stores, what uses it, how it is stopped, and what it refuses."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from assets.jobs import RESEARCH_JOB, TUNE_JOB
from assets.partitions import partition_key
from resources.storage.models.store import ModelStore
from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.tuning.stored import journals_of, read_studies
from tests.conftest import QUICK_GROUPS, Workspace
from tests.integration.processes import start, wait_until
from trading_dag.definitions import build_definitions
from trading_dag.models.estimators.tuned import ALL_ROWS, BEFORE_TESTS
from trading_dag.models.learning.inner_search import MODEL_ANSWER
from trading_dag.schemas import BEST_HYPERPARAMETERS, FEATURE_TABLE, HYPERPARAMETERS
from trading_dag.setting_groups import TuningSettings
from trading_dag.settings import Settings

SPX_24H = SliceKey("SPX", "24h")
CHOSEN = ("--tickers", "SPX", "--horizons", "24h")


def copy_of(sample_run: Workspace, folder: Path) -> Workspace:
    home = folder / "home"
    shutil.copytree(sample_run.home, home, ignore=shutil.ignore_patterns("warehouse.duckdb"))
    return Workspace(home, sample_run.variables)


@pytest.fixture(scope="module")
def tuned(sample_run: Workspace, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, object]]:
    """A copy of the sample's run in which trees were tuned with four trials a search, and what was told."""
    place = copy_of(sample_run, tmp_path_factory.mktemp("tuned"))
    done = place.run("tune", *CHOSEN, "--family", "direction_xgboost", "--trials", "4", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return place, json.loads(done.stdout)


def trials_of(home: Path) -> pd.DataFrame:
    return ParquetStore(home).read(HYPERPARAMETERS, SPX_24H)


def test_every_trial_is_a_row_with_its_rows_and_the_best_is_told(tuned: tuple[Workspace, dict[str, object]]) -> None:
    place, told = tuned
    trials = trials_of(place.home)
    assert len(trials) == 8
    assert set(trials["study_window"]) == {BEFORE_TESTS, ALL_ROWS}
    assert all(sorted(rows["trial"]) == [0, 1, 2, 3] for _, rows in trials.groupby("study_window"))
    used = trials[trials["is_used"]].set_index("study_window")
    complete = trials[trials["state"] == "complete"].groupby("study_window")["value"].min()
    assert used["value"].to_dict() == complete.to_dict()
    sessions = ParquetStore(place.home).read(FEATURE_TABLE, SliceKey("SPX"))["session"]
    assert used["last_session"][BEFORE_TESTS] < sessions.quantile(1 / 4) < used["last_session"][ALL_ROWS]
    assert told["failures"] == []
    assert {row["study_window"]: row["value"] for row in told["found"]} == pytest.approx(  # type: ignore[attr-defined]
        complete.to_dict()
    )
    found = place.run("sql", "select count(*) as n from models.hyperparameters where state = 'complete'", "--json")
    assert json.loads(found.stdout)[0]["n"] >= 2


@pytest.mark.long
def test_nothing_is_refitted_by_the_search_and_the_next_run_uses_what_it_found(
    sample_run: Workspace, tuned: tuple[Workspace, dict[str, object]], tmp_path: Path
) -> None:
    place = copy_of(tuned[0], tmp_path)
    one, other = (ModelStore(each.home / "models") for each in (sample_run, place))
    before = one.load("direction_classifier", ticker="SPX", horizon="24h").content_hash()
    assert other.load("direction_classifier", ticker="SPX", horizon="24h").content_hash() == before
    done = place.run("run", *CHOSEN)
    assert done.returncode == 0, done.stdout + done.stderr
    fitted = other.load("direction_classifier", ticker="SPX", horizon="24h")
    best = ParquetStore(place.home).read(BEST_HYPERPARAMETERS, SPX_24H).set_index("study_window")
    *folds, live = fitted.folds_of("direction_xgboost")
    for fold, window in (*((fold, BEFORE_TESTS) for fold in folds), (live, ALL_ROWS)):
        # A fold in which trees show no skill answers with climatology, and then fits none.
        used = json.loads(best["parameters"][window]).items() <= fold.hyperparameters.items()
        assert used == (fold.hyperparameters["answer"] == MODEL_ANSWER)
    assert fitted.training["tuned"] == {"direction_xgboost": best["study"].to_dict()}
    # Trials that change no best are no news to a model: here the search is asked for what it has.
    version = other.latest_version("direction_classifier", ticker="SPX", horizon="24h")
    assert place.run("tune", *CHOSEN, "--family", "direction_xgboost", "--trials", "4").returncode == 0
    assert place.run("run", *CHOSEN).returncode == 0
    assert other.latest_version("direction_classifier", ticker="SPX", horizon="24h") == version
    assert len(trials_of(place.home)) == 8


@pytest.mark.filterwarnings("ignore:Non-compliant tag keys:DeprecationWarning")  # Dagster's own partition tags
def test_the_job_of_the_schedule_searches_within_the_budget_of_the_settings_and_no_other_run_does(
    tuned: tuple[Workspace, dict[str, object]], tmp_path: Path
) -> None:
    place = copy_of(tuned[0], tmp_path)
    settings = Settings(
        _env_file=None, home=place.home, source="sample", **QUICK_GROUPS,
        tuning=TuningSettings(trials=5, families=("direction_xgboost",)),
    )  # fmt: skip
    definitions = build_definitions(settings)
    keys = [dg.AssetKey(["models", table.name]) for table in (HYPERPARAMETERS, BEST_HYPERPARAMETERS)]
    counts = []
    with dg.DagsterInstance.ephemeral() as instance:
        for name in (RESEARCH_JOB, TUNE_JOB):
            job = definitions.resolve_job_def(name)
            done = job.execute_in_process(instance=instance, partition_key=partition_key(SPX_24H), asset_selection=keys)
            assert done.success
            counts.append(len(trials_of(place.home)))
    assert counts == [8, 10]


def test_a_search_that_is_stopped_keeps_its_trials_and_goes_on(sample_run: Workspace, tmp_path: Path) -> None:
    place = copy_of(sample_run, tmp_path)
    arguments = ("tune", *CHOSEN, "--family", "direction_xgboost", "--trials", "200")
    process = start(place.home, *arguments)
    try:
        finished = wait_until(lambda: _finished(place.home), process)
        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=600)[0]
    finally:
        process.kill()
    assert process.returncode == 143, told
    assert "the same command goes on from here" in told
    assert "Traceback" not in told
    kept = _finished(place.home)
    assert kept >= finished
    done = place.run("tune", *CHOSEN, "--family", "direction_xgboost", "--trials", str(kept + 2), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    studies = read_studies(place.home, ticker="SPX", horizon="24h")
    for study in studies:
        assert [trial.number for trial in study.trials] == list(range(len(study.trials)))
        assert "running" not in {trial.state for trial in study.trials}


def _finished(home: Path) -> int:
    studies = read_studies(home, ticker="SPX", horizon="24h")
    return max((sum(trial.state != "running" for trial in study.trials) for study in studies), default=0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--family", "lstm"), "'lstm' is no family that can be tuned; choose from direction_logistic"),
        (("--trials", "0"), "at least one trial"),
        (("--minutes", "0"), "more than zero minutes"),
        (("--horizons", "25h"), "25h"),
    ],
)
def test_what_does_not_exist_is_refused(sample_run: Workspace, arguments: tuple[str, ...], words: str) -> None:
    done = sample_run.run("tune", "--tickers", "SPX", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_damaged_journal_fails_its_search_and_is_named(
    tuned: tuple[Workspace, dict[str, object]], tmp_path: Path
) -> None:
    place = copy_of(tuned[0], tmp_path)
    damaged = next(path for path in journals_of(place.home, ticker="SPX", horizon="24h") if ALL_ROWS in path.name)
    damaged.write_text("{}\n" + damaged.read_text())
    done = place.run("tune", *CHOSEN, "--family", "direction_xgboost", "--trials", "5", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert any(str(damaged) in failure["problem"] for failure in told["failures"])
    assert len(trials_of(place.home)) == 8, "the slice that was stored stays"


def test_a_slice_without_features_says_what_makes_them(tmp_path: Path) -> None:
    done = Workspace(tmp_path).run("tune", *CHOSEN, "--trials", "2", "--json")
    assert done.returncode == 1
    assert "features.feature_table" in json.loads(done.stdout)["failures"][0]["problem"]
