"""``train`` with choices: what it refits, what it leaves, what it records, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from resources.storage.models.store import ModelStore
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.conftest import Workspace
from trading_dag.feature_choice import choose_features
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.schemas import INPUTS, PREDICTIONS_DIRECTION, REGISTRY

SPX_24H = SliceKey("SPX", "24h")


@pytest.fixture(scope="module")
def trained(sample_run: Workspace, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, object]]:
    """A copy of the sample's run in which one model was fitted again, on a choice, and what was told."""
    home = tmp_path_factory.mktemp("trained") / "home"
    shutil.copytree(sample_run.home, home)
    place = Workspace(home, sample_run.variables)
    done = place.run(
        "train", "--ticker", "SPX", "--horizons", "24h", "--model", "direction_classifier", "--since", "5y",
        "--features", "essential,iv", "--n-features", "10", "--no-optimize-threshold", "--no-follow-up", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return place, json.loads(done.stdout)


def latest(home: Path, name: str) -> FittedModel:
    return ModelStore(home / "models").load(name, ticker="SPX", horizon="24h")


def test_the_named_model_is_refitted_on_the_choice_and_the_other_is_left(
    sample_run: Workspace, trained: tuple[Workspace, dict[str, object]]
) -> None:
    home = trained[0].home
    model = latest(home, "direction_classifier")
    read = {len(fold.features) for fold in model.folds_of("direction_logistic") if fold.status == "fitted"}
    assert read == {10}
    assert all(len(fold.features) <= 10 for fold in model.folds)  # one that answers climatology reads none
    assert set(model.candidates) <= (choose_features(["essential", "iv"]) or set())
    assert model.training == {
        "since": "5y", "features": ["essential", "iv"], "safe_features": True, "top_features": 10,
        "optimize_threshold": False,
    }  # fmt: skip
    for fold in model.folds:
        assert fold.train_first_session is not None
        assert fold.train_last_session is not None
        assert (fold.train_last_session - fold.train_first_session).days <= 5 * 366
    assert (
        latest(home, "volatility_forecaster").content_hash()
        == latest(sample_run.home, "volatility_forecaster").content_hash()
    )


def test_the_tables_that_describe_it_follow_and_forecasts_wait_to_be_asked_for(
    sample_run: Workspace, trained: tuple[Workspace, dict[str, object]]
) -> None:
    before, after = ParquetStore(sample_run.home), ParquetStore(trained[0].home)
    registry = after.read(REGISTRY, SPX_24H).set_index("model")
    assert {json.loads(text)["since"] for text in registry.loc["direction_logistic", "training"]} == {"5y"}
    inputs = after.read(INPUTS, SPX_24H)
    assert "not_chosen" in set(inputs.loc[inputs["model"] == "direction_xgboost", "reason"])
    one, other = (store.provenance(PREDICTIONS_DIRECTION, SPX_24H) for store in (before, after))
    assert one is not None
    assert other is not None
    assert one.content_hash == other.content_hash


def test_it_is_told_what_was_fitted_and_that_the_choice_is_no_setting(
    trained: tuple[Workspace, dict[str, object]],
) -> None:
    told = trained[1]
    assert told["failures"] == []
    rows = {row["model"]: row for row in told["slices"]}  # type: ignore[attr-defined]
    of_regime = {"volatility_logistic", "volatility_har", "volatility_ordered", "volatility_blend"}
    assert {"direction_logistic", "direction_shrunk", "direction_xgboost"} | of_regime <= set(rows)
    assert rows["direction_logistic"]["n_features"] == 10
    assert any("--since, --features, --n-features, --optimize-threshold" in note for note in told["notes"])  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model", "lstm"), "'lstm' is no model; choose from direction_classifier, volatility_forecaster"),
        (("--features", "tecnical"), "'tecnical' is no group of features and no feature; did you mean technical"),
        (("--since", "5 years"), "no start of the training data: all, a number of years such as 5y, or a date"),
        (("--n-features", "0"), "--n-features"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_choices(
    sample_run: Workspace, arguments: tuple[str, ...], words: str
) -> None:
    done = sample_run.run_process("train", "--ticker", "SPX", *arguments)
    assert done.returncode == 2
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
