"""The threshold grid against scikit-learn, and which rows an inner split may use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from trading_dag.models.direction import direction_classifier
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.learning.training import THRESHOLD_GRID, threshold_scores
from trading_dag.models.volatility import volatility_forecaster
from trading_dag.schemas import SAFE_FEATURES
from trading_dag.setting_groups import WalkForwardSettings
from trading_dag.validation.walk_forward import walk_forward_folds

pytestmark = pytest.mark.usefixtures("few_candidates")


def test_the_grid_runs_from_30_to_70_percent_by_one() -> None:
    assert THRESHOLD_GRID.tolist() == [number / 100 for number in range(30, 71)]


@pytest.mark.parametrize("rule", ["balanced_accuracy", "f1"])
def test_threshold_scores_are_those_of_scikit_learn(rule: str) -> None:
    generator = np.random.default_rng(8)
    codes = generator.integers(0, 2, 300)
    probabilities = np.round(np.clip(0.5 + 0.1 * (codes - 0.5) + generator.normal(0, 0.1, 300), 0, 1), 2)
    found = threshold_scores(probabilities, codes, rule=rule)
    for threshold, score in zip(THRESHOLD_GRID, found, strict=True):
        called = probabilities > threshold
        expected = balanced_accuracy_score(codes, called) if rule == "balanced_accuracy" else f1_score(codes, called)
        assert score == pytest.approx(expected, abs=1e-12)


def test_the_threshold_is_the_best_on_purged_inner_rows_of_the_training_part(
    research: Any, direction_model: FittedModel
) -> None:
    """Rebuilt here from scikit-learn parts alone, for one fold of the logistic regression."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from trading_dag.features.selection import PresenceRule, select_features

    fold = direction_model.folds_of("direction_logistic")[3]
    rows = research.targets.merge(research.features, on="session")
    rows = rows[rows["session"] <= fold.train_last_session].reset_index(drop=True)
    codes = rows["direction"].map({"DOWN": 0, "UP": 1, "AMBIGUOUS": -1}).to_numpy()
    probabilities, truth = [], []
    for inner in walk_forward_folds(len(rows), folds=3, gap=3):
        learnt = rows.iloc[inner.train][codes[inner.train] >= 0]
        chosen = select_features(
            rows.iloc[inner.train][list(SAFE_FEATURES)].to_numpy(),
            codes[inner.train],
            names=SAFE_FEATURES,
            presence=PresenceRule(0.8),
            top_features=40,
        )
        names = chosen.loc[chosen["selected"], "feature"].tolist()
        model = make_pipeline(
            SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(C=0.1, max_iter=1_000)
        ).fit(learnt[names].to_numpy(), codes[inner.train][codes[inner.train] >= 0])
        held_out = rows.iloc[inner.test][codes[inner.test] >= 0]
        probabilities.append(model.predict_proba(held_out[names].to_numpy())[:, 1])
        truth.append(codes[inner.test][codes[inner.test] >= 0])
    pooled, happened = np.concatenate(probabilities), np.concatenate(truth)
    scores = [balanced_accuracy_score(happened, pooled > threshold) for threshold in THRESHOLD_GRID]
    best = [number for number, score in enumerate(scores) if score == pytest.approx(max(scores), abs=1e-12)]
    nearest = min(best, key=lambda number: (abs(THRESHOLD_GRID[number] - 0.5), number))
    assert fold.threshold == THRESHOLD_GRID[nearest]
    assert fold.metrics["inner_balanced_accuracy"] == pytest.approx(max(scores), abs=1e-12)
    assert fold.metrics["inner_rows"] == len(happened)


def test_the_f1_rule_can_be_chosen(research: Any) -> None:
    settings = WalkForwardSettings(threshold_rule="f1")
    model = direction_classifier.fit(research.features, research.targets, horizon=research.horizon, settings=settings)
    assert all("inner_f1" in fold.metrics for fold in model.folds_of("direction_logistic"))


def test_the_log_tells_what_each_fold_has_learnt_from(research: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="trading_dag.models.learning.training")
    model = volatility_forecaster.fit(
        research.features, research.targets, horizon=research.horizon, settings=WalkForwardSettings()
    )
    assert len(caplog.messages) == len(model.folds)
    fold, told = model.folds[-1], caplog.messages[-1]
    assert f"{fold.model} of {model.ticker} {model.horizon}, fold {fold.fold}: fitted" in told
    assert f"{fold.n_train} rows from {fold.train_first_session:%Y-%m-%d} to {fold.train_last_session:%Y-%m-%d}" in told
    assert f"LOW {fold.class_counts['LOW']}" in told
    caplog.clear()
    volatility_forecaster.fit(
        research.features.iloc[:40], research.targets.iloc[:0], horizon=research.horizon, settings=WalkForwardSettings()
    )
    assert "too few labelled sessions" in caplog.messages[0]


def test_inputs_and_libraries_are_recorded(research: Any, direction_model: FittedModel) -> None:
    assert set(direction_model.inputs) == {"features", "targets"}
    assert {"scikit-learn", "xgboost", "numpy"} <= set(direction_model.libraries)
    changed = research.features.copy()
    changed.loc[0, "rsi_14"] += 1e-9
    other = direction_classifier.fit(
        changed, research.targets, horizon=research.horizon, settings=WalkForwardSettings()
    )
    assert other.inputs["features"] != direction_model.inputs["features"]
    assert other.inputs["targets"] == direction_model.inputs["targets"]
    assert other.content_hash() != direction_model.content_hash()
    assert isinstance(pd.Timestamp(direction_model.folds[0].fitted_through), pd.Timestamp)
