"""Coefficients are those of the estimators, and only a feature that tells something is missed when it is shuffled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from trading_dag.models.direction import direction_classifier
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.learning.importance import learnt_coefficients
from trading_dag.models.volatility import volatility_forecaster
from trading_dag.quality import conform
from trading_dag.schemas import COEFFICIENTS, FEATURE_GROUPS, IMPORTANCE, IV_REGIMES
from trading_dag.setting_groups import BootstrapSettings

pytestmark = pytest.mark.usefixtures("few_candidates")

SETTINGS = BootstrapSettings(draws=200)


@pytest.fixture(scope="module")
def direction_importance(research: Any, direction_model: FittedModel) -> pd.DataFrame:
    return direction_classifier.importance(
        direction_model, research.features, research.targets, horizon=research.horizon, settings=SETTINGS
    )


def test_the_coefficients_are_a_valid_table_of_the_estimators_own_numbers(
    direction_model: FittedModel, volatility_model: FittedModel
) -> None:
    table = pd.concat([learnt_coefficients(direction_model), learnt_coefficients(volatility_model)], ignore_index=True)
    conform(table, COEFFICIENTS, slice_key="72h|SPY")
    rows = table.set_index(["model", "fold", "class_name", "feature"])
    for fold in direction_model.folds_of("direction_logistic"):
        expected = fold.estimator.named_steps["classify"].coef_[0]
        found = [rows.loc[(fold.model, fold.fold, "UP", name), "coefficient"] for name in fold.columns]
        np.testing.assert_array_equal(found, expected)
    for fold in volatility_model.folds_of("volatility_logistic"):
        for code, regime in enumerate(IV_REGIMES):
            found = [rows.loc[(fold.model, fold.fold, regime, name), "coefficient"] for name in fold.columns]
            np.testing.assert_array_equal(found, fold.estimator.named_steps["classify"].coef_[code])


def test_trees_have_gains_and_no_coefficients(direction_model: FittedModel) -> None:
    table = learnt_coefficients(direction_model)
    trees = table[table["model"] == "direction_xgboost"]
    assert trees["coefficient"].isna().all()
    assert (trees["gain"] >= 0.0).all()
    best = trees[trees["fold"] == 6].sort_values("gain", ascending=False)["feature"].head(2)
    assert set(best) == {"rsi_14", "roc_5"}


def test_the_two_features_that_tell_something_are_missed_most_and_the_others_hardly(
    direction_importance: pd.DataFrame,
) -> None:
    conform(direction_importance, IMPORTANCE, slice_key="72h|SPY")
    for _, rows in direction_importance[direction_importance["kind"] == "feature"].groupby("model"):
        ordered = rows.sort_values("importance", ascending=False)
        assert list(ordered["feature"].head(2)) == ["rsi_14", "roc_5"]
        assert (ordered["ci_low"].head(2) > 0.0).all()
        rest = ordered.iloc[2:]
        # The others are drawn apart from everything, so a shuffle exchanges like for like and what is lost is 0 on
        # average, whatever weight a model has given them. The largest of so many such losses stays, in 95 of 100
        # cases, within the bound of Bonferroni, in standard errors; the shares of the two are no part of it.
        error = (rest["ci_high"] - rest["ci_low"]) / (2 * norm.ppf(0.975))
        assert (rest["importance"].abs() <= norm.ppf(1 - 0.05 / (2 * len(rest))) * error).all()


def test_a_group_is_missed_more_than_any_of_its_features(direction_importance: pd.DataFrame) -> None:
    for _, rows in direction_importance.groupby("model"):
        group = rows.set_index(["kind", "feature"])["importance"]
        assert group["group", "technical"] > group["feature"].reindex(FEATURE_GROUPS["technical"]).max()


def test_the_importance_of_a_feature_is_that_of_scikit_learn(research: Any, volatility_model: FittedModel) -> None:
    from sklearn.inspection import permutation_importance

    found = volatility_forecaster.importance(
        volatility_model, research.features, research.targets, horizon=research.horizon, settings=SETTINGS
    ).set_index(["kind", "feature"])

    truth = research.targets.set_index("session")["iv_regime"]
    features = research.features.set_index("session")
    expected = pd.Series(0.0, index=list(volatility_model.folds[0].columns))
    variance = pd.Series(0.0, index=expected.index)
    scored = 0
    forecasts = volatility_forecaster.predict(
        volatility_model, research.features, research.targets, horizon=research.horizon
    )
    folds = volatility_model.folds_of("volatility_logistic")
    found = found[found["model"] == "volatility_logistic"]
    own = forecasts[(forecasts["model"] == "volatility_logistic") & forecasts["y_true"].notna()]
    for fold in folds:
        sessions = own.loc[own["fold"] == fold.fold, "session"]
        if sessions.empty:
            continue
        outcome = np.eye(3)[pd.Index(IV_REGIMES).get_indexer(pd.Index(truth.loc[sessions], dtype="object"))]

        def score(estimator: Any, values: Any, outcome: Any) -> float:
            return -float(((estimator.predict_proba(values) - outcome) ** 2).sum(axis=1).mean())

        values = features.loc[sessions, list(fold.columns)].to_numpy(dtype="float64")
        theirs = permutation_importance(fold.estimator, values, outcome, scoring=score, n_repeats=30, random_state=1)
        expected += theirs.importances_mean * len(sessions)
        variance += theirs.importances.var(axis=1, ddof=1) * len(sessions) ** 2
        scored += len(sessions)
    ours = found.loc["feature", "importance"].reindex(expected.index)
    assert found["n"].unique().tolist() == [scored]
    # Ours is one shuffle, theirs the mean of thirty: within four of the standard errors that this leaves.
    error = np.sqrt(variance * (1.0 + 1.0 / 30.0)) / scored
    assert ((ours - expected / scored).abs() <= 4.0 * error + 1e-12).all()
    assert ours.max() > 5.0 * error.max()


def test_shuffling_again_gives_the_same_table(
    research: Any, direction_model: FittedModel, direction_importance: pd.DataFrame
) -> None:
    again = direction_classifier.importance(
        direction_model, research.features, research.targets, horizon=research.horizon, settings=SETTINGS
    )
    pd.testing.assert_frame_equal(again, direction_importance)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_changes_no_bit(research: Any, volatility_model: FittedModel, threads: int) -> None:
    from threadpoolctl import threadpool_limits

    given = {"horizon": research.horizon, "settings": SETTINGS}
    with threadpool_limits(limits=1):
        expected = volatility_forecaster.importance(volatility_model, research.features, research.targets, **given)
    with threadpool_limits(limits=threads):
        found = volatility_forecaster.importance(volatility_model, research.features, research.targets, **given)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_without_an_outcome_there_are_no_rows(research: Any, direction_model: FittedModel) -> None:
    none = direction_classifier.importance(
        direction_model, research.features, research.targets.iloc[:0], horizon=research.horizon, settings=SETTINGS
    )
    assert none.empty
    assert tuple(none.columns) == IMPORTANCE.column_names
