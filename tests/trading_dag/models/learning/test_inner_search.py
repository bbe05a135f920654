"""What a learner with candidates answers: skill that is there, climatology where there is none, and from which rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trading_dag.models.direction import direction_classifier
from trading_dag.models.direction.direction_learners import SHRUNK, XGBOOST
from trading_dag.models.estimators.clipped_scaler import ClippedScaler
from trading_dag.models.learning.calibration import calibrated, shrunk
from trading_dag.models.learning.fitted import FittedModel, fold_spec
from trading_dag.schemas import SAFE_FEATURES
from trading_dag.setting_groups import WalkForwardSettings

pytestmark = pytest.mark.usefixtures("few_candidates")

SETTINGS = WalkForwardSettings(evidence_sessions=60)


def _answers(model: FittedModel, learner: str) -> list[str]:
    return [fold.hyperparameters["answer"] for fold in model.folds_of(learner)]


def test_a_shrink_of_1_changes_nothing_0_gives_climatology_and_a_half_the_middle_of_the_log_odds() -> None:
    said = np.array([0.2, 0.5, 0.9])
    assert shrunk(said, climatology=0.55, shrink=1.0).tolist() == said.tolist()
    assert shrunk(said, climatology=0.55, shrink=0.0).tolist() == [0.55] * 3
    middle = np.sqrt(said / (1 - said) * 0.55 / 0.45)
    np.testing.assert_allclose(shrunk(said, climatology=0.55, shrink=0.5), middle / (1 + middle), rtol=1e-12)
    both = np.column_stack([1 - said, said])
    assert calibrated(both, {}) is both
    assert calibrated(both, {"climatology": 0.55, "shrink": 0.0})[:, 1].tolist() == [0.55] * 3


def test_a_column_that_hardly_moved_in_training_cannot_decide_a_forecast() -> None:
    column = np.full((500, 1), 1e-30)
    column[7] = 2e-30
    said = ClippedScaler().fit(column).transform(np.array([[1.0], [1e-30], [-1.0]]))
    assert said[[0, 2], 0].tolist() == [5.0, -5.0]
    assert abs(said[1, 0]) < 0.1


def test_a_strong_signal_is_answered_by_a_model_and_shuffled_labels_by_climatology(
    direction_model: FittedModel, slice_of: Callable[..., Any]
) -> None:
    assert "model" in _answers(direction_model, SHRUNK)
    assert "model" in _answers(direction_model, XGBOOST)
    noise = slice_of(700, seed=11, signal=0.0)
    model = direction_classifier.fit(noise.features, noise.targets, horizon=noise.horizon, settings=SETTINGS)
    said = direction_classifier.predict(
        model, noise.features, noise.targets, horizon=noise.horizon, prices=noise.prices
    )
    said = said[said["forward_return"].notna()]
    loss = ((said["probability_up"] - (said["forward_return"] > 0)) ** 2).groupby(said["model"]).mean()
    for learner in (SHRUNK, XGBOOST):
        assert _answers(model, learner).count("climatology") >= 4
        assert loss[learner] == pytest.approx(loss["climatology"], abs=5e-3)


def test_too_little_evidence_is_answered_by_climatology_whatever_it_says(research: Any) -> None:
    model = direction_classifier.fit(
        research.features, research.targets, horizon=research.horizon, settings=WalkForwardSettings()
    )
    for learner in (SHRUNK, XGBOOST):
        assert set(_answers(model, learner)) == {"climatology"}
        assert all(fold.features == () and fold.calibration["shrink"] == 0.0 for fold in model.folds_of(learner))
    said = direction_classifier.predict(
        model, research.features, research.targets, horizon=research.horizon, prices=research.prices
    ).pivot(index="session", columns="model", values="probability_up")
    assert (said[SHRUNK] == said["climatology"]).all()


def test_the_search_of_a_fold_sees_its_training_part_alone(research: Any, direction_model: FittedModel) -> None:
    third = direction_model.folds_of(SHRUNK)[2]
    features, targets = research.features.copy(), research.targets.copy()
    late = (features["session"] > third.train_last_session).to_numpy()
    generator = np.random.default_rng(3)
    features.loc[late, list(SAFE_FEATURES)] = generator.normal(0, 1e4, (int(late.sum()), len(SAFE_FEATURES)))
    unknown = (targets["session"] > third.train_last_session).to_numpy()
    targets.loc[unknown, "forward_return"] = generator.normal(0, 1, int(unknown.sum()))
    poisoned = direction_classifier.fit(features, targets, horizon=research.horizon, settings=SETTINGS)
    for learner in (SHRUNK, XGBOOST):
        for number in range(3):
            one, other = direction_model.folds_of(learner)[number], poisoned.folds_of(learner)[number]
            assert fold_spec(one) == fold_spec(other)
    assert fold_spec(direction_model.folds_of(SHRUNK)[5]) != fold_spec(poisoned.folds_of(SHRUNK)[5])


def test_one_class_or_constant_features_say_why_and_stop_nothing(slice_of: Callable[..., Any]) -> None:
    research = slice_of(300, seed=4)
    rises = research.targets.assign(forward_return=0.01)
    constant = research.features.assign(**dict.fromkeys(SAFE_FEATURES, 1.0))
    for changed, reason in (
        (replace(research, targets=rises), "0 of NO_RISE"),
        (replace(research, features=constant), "no feature is present often enough and varies"),
    ):
        model = direction_classifier.fit(changed.features, changed.targets, horizon=changed.horizon, settings=SETTINGS)
        for fold in model.folds_of(SHRUNK):
            assert fold.status == "insufficient_data"
            assert reason in str(fold.reason)
        direction_classifier.predict(
            model, changed.features, changed.targets, horizon=changed.horizon, prices=changed.prices
        )


def test_a_planted_future_return_is_found_at_once(slice_of: Callable[..., Any]) -> None:
    noise = slice_of(500, seed=6, signal=0.0)
    future = noise.targets.set_index("session")["forward_return"].reindex(noise.features["session"]).to_numpy()
    planted = noise.features.assign(returns_1d=future)
    model = direction_classifier.fit(planted, noise.targets, horizon=noise.horizon, settings=SETTINGS)
    said = direction_classifier.predict(model, planted, noise.targets, horizon=noise.horizon, prices=noise.prices)
    said = said[said["forward_return"].notna()]
    loss = pd.Series((said["probability_up"] - (said["forward_return"] > 0)) ** 2).groupby(said["model"]).mean()
    assert loss["climatology"] - loss[SHRUNK] > 0.02
    assert loss["climatology"] - loss[XGBOOST] > 0.05
