"""How hyperparameters that a search has found reach folds and live model, and what the model keeps of them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from trading_dag.models.direction import direction_classifier
from trading_dag.models.estimators.tuned import ALL_ROWS, BEFORE_TESTS, Found, Tuned, tuned_from_table
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.volatility import volatility_forecaster
from trading_dag.setting_groups import WalkForwardSettings

pytestmark = pytest.mark.usefixtures("few_candidates")

FOUND = Tuned(
    {
        ("direction_xgboost", BEFORE_TESTS): Found({"max_depth": 1, "num_boost_round": 12}, "a" * 16),
        ("direction_xgboost", ALL_ROWS): Found({"max_depth": 2, "num_boost_round": 15}, "b" * 16),
        ("volatility_logistic", BEFORE_TESTS): Found({"C": 0.01}, "c" * 16),
    }
)


def test_folds_use_what_was_found_before_the_tests_and_the_live_model_what_was_found_on_all_rows(
    research: Any, direction_model: FittedModel
) -> None:
    tuned = direction_classifier.fit(
        research.features,
        research.targets,
        horizon=research.horizon,
        settings=WalkForwardSettings(evidence_sessions=60),
        tuned=FOUND,
    )
    *folds, live = tuned.folds_of("direction_xgboost")
    assert {fold.hyperparameters["max_depth"] for fold in folds} == {1}
    assert {fold.estimator.num_boosted_rounds() for fold in folds} == {12}
    assert live.hyperparameters["max_depth"] == 2
    assert live.estimator.num_boosted_rounds() == 15
    assert {fold.hyperparameters["eta"] for fold in (*folds, live)} == {0.05}, "what was not found stays"
    one, other = (
        [fold.hyperparameters for fold in model.folds_of("direction_logistic")] for model in (tuned, direction_model)
    )
    assert one == other, "a learner that was not tuned is as it was"
    assert tuned.training["tuned"] == {"direction_xgboost": {BEFORE_TESTS: "a" * 16, ALL_ROWS: "b" * 16}}
    assert "tuned" not in direction_model.training
    assert tuned.content_hash() != direction_model.content_hash()


def test_a_window_without_a_search_keeps_the_learners_own_values(research: Any) -> None:
    model = volatility_forecaster.fit(
        research.features, research.targets, horizon=research.horizon, settings=WalkForwardSettings(), tuned=FOUND
    )
    *folds, live = model.folds_of("volatility_logistic")
    assert {fold.hyperparameters["C"] for fold in folds} == {0.01}
    assert {fold.estimator[-1].C for fold in folds} == {0.01}
    assert live.hyperparameters["C"] == 0.1
    assert model.training["tuned"] == {"volatility_logistic": {BEFORE_TESTS: "c" * 16}}


def test_the_table_of_the_best_says_what_a_fit_is_told() -> None:
    table = pd.DataFrame(
        {
            "family": ["volatility_logistic"],
            "study_window": [BEFORE_TESTS],
            "parameters": ['{"C": 0.01}'],
            "study": ["c" * 16],
        }
    )
    assert tuned_from_table(table).of_window(BEFORE_TESTS) == {"volatility_logistic": {"C": 0.01}}
    assert tuned_from_table(table).of_window(ALL_ROWS) == {}
    assert tuned_from_table(table.iloc[:0]).found == {}
