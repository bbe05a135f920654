"""models.inputs: every feature of every fold, used or not and why; and models that are learnt from a choice."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trading_dag.models.direction import direction_classifier, direction_learners
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.volatility import volatility_forecaster
from trading_dag.quality import conform
from trading_dag.schemas import (
    ALL_FEATURES,
    FEATURE_GROUPS,
    INPUTS,
    LEVEL_FEATURES,
    OPTION_CHAIN_FEATURES,
    REGISTRY,
    SAFE_FEATURES,
)
from trading_dag.setting_groups import WalkForwardSettings
from trading_dag.validation.inference.selection_stability import selection_stability

pytestmark = pytest.mark.usefixtures("few_candidates")

VERSION = "20240101T000000000000Z-00000000"


@pytest.fixture(scope="module")
def model(slice_of: Callable[..., Any]) -> FittedModel:
    """A direction model of whose inputs some are of every kind."""
    research = slice_of(1_000, seed=11)
    features = research.features
    features["hv_5"] = 1.0
    features["hv_10"] = np.nan
    chain = [name for name in OPTION_CHAIN_FEATURES if name in SAFE_FEATURES]
    features.loc[:599, chain] = np.nan
    ahead = research.targets.set_index("session")["forward_return"].reindex(features["session"]).to_numpy()
    features[chain[0]] += 3.0 * np.sign(np.nan_to_num(ahead))
    return fit(research, features=features, chosen=tuple(FEATURE_GROUPS)[:-1])


def fit(research: Any, *, features: pd.DataFrame | None = None, **given: Any) -> FittedModel:
    settings = given.pop("settings", WalkForwardSettings(evidence_sessions=60))
    frame = research.features if features is None else features
    return direction_classifier.fit(frame, research.targets, horizon=research.horizon, settings=settings, **given)


def live_of(model: FittedModel, learner: str) -> pd.DataFrame:
    table = model.input_table()
    return table[(table["fold"] == 6) & (table["model"] == learner)].set_index("feature")


def test_every_feature_has_a_row_in_every_fold_with_the_reason(model: FittedModel) -> None:
    table = model.input_table()
    in_order = table.sort_values(list(INPUTS.key), ignore_index=True)
    pd.testing.assert_frame_equal(conform(table, INPUTS, slice_key="72h|SPY"), in_order)
    is_feature = table["reason"] != "indicator"
    by_fold = table[is_feature].groupby(["model", "fold"])["feature"]
    assert by_fold.nunique().eq(len(ALL_FEATURES)).all()
    assert by_fold.size().eq(len(ALL_FEATURES)).all()
    live = live_of(model, direction_learners.XGBOOST)
    assert live.loc["hv_5", "reason"] == "constant"
    assert live.loc["hv_10", ["reason", "presence_fraction"]].tolist() == ["below_presence", 0.0]
    last_group = list(FEATURE_GROUPS.values())[-1]
    assert set(live.loc[list(last_group), "reason"]) == {"not_chosen"}
    levels = [name for name in LEVEL_FEATURES if name not in last_group]
    assert set(live.loc[levels, "reason"]) == {"not_safe"}
    assert {"used", "below_top_k"} <= set(live["reason"])


def test_what_is_used_is_what_the_estimator_reads_in_number_and_name(model: FittedModel) -> None:
    for fold in model.folds:
        table = model.input_table()
        rows = table[(table["model"] == fold.model) & (table["fold"] == fold.fold)]
        assert set(rows.loc[rows["is_used"], "feature"]) == set(fold.columns)
        read = fold.estimator.num_features() if fold.model.endswith("xgboost") else fold.estimator.n_features_in_
        assert rows["is_used"].sum() == read


def test_it_says_how_gaps_reach_the_estimator(model: FittedModel) -> None:
    linear = live_of(model, direction_learners.LOGISTIC)
    trees = live_of(model, direction_learners.XGBOOST)
    late = OPTION_CHAIN_FEATURES[0]
    assert linear.loc[late, ["gaps", "begins_late"]].tolist() == ["median_and_indicator", True]
    assert linear.loc["missing_option_chain", ["reason", "feature_group"]].tolist() == ["indicator", "option_chain"]
    assert linear.loc["rsi_14", "gaps"] == "median"
    assert trees.loc[late, "gaps"] == "as_gaps"
    assert "missing_option_chain" not in trees.index
    assert linear.loc[~linear["is_used"], "gaps"].isna().all()


def test_folds_that_were_not_fitted_use_nothing(slice_of: Callable[..., Any]) -> None:
    research = slice_of(600, seed=2)
    targets = research.targets.copy()
    downs = targets.index[(targets["direction"] == "DOWN") & (targets.index < 190)]
    targets.loc[downs[10:], "direction"] = "AMBIGUOUS"
    model = direction_classifier.fit(
        research.features, targets, horizon=research.horizon, settings=WalkForwardSettings()
    )
    by_fold = model.input_table().groupby(["model", "fold"])["is_used"].sum()
    unfitted = [(fold.model, fold.fold) for fold in model.folds if fold.status != "fitted"]
    assert unfitted
    assert by_fold.loc[unfitted].eq(0).all()
    # A fold that answers climatology is fitted and reads nothing.
    reads_nothing = [(fold.model, fold.fold) for fold in model.folds if not fold.features]
    assert by_fold.loc[reads_nothing].eq(0).all()
    assert by_fold.drop(reads_nothing).gt(0).all()


def test_stability_is_that_of_the_candidates_alone(model: FittedModel, research: Any) -> None:
    stability = selection_stability(model.input_table(), live_fold=6)
    assert set(stability["feature"]) == set(model.candidates)
    assert set(model.candidates) < set(SAFE_FEATURES)


def test_a_model_of_chosen_features_reads_no_other_and_forecasts_every_session(research: Any) -> None:
    model = fit(research, chosen=("essential",), settings=WalkForwardSettings(top_features=10, evidence_sessions=60))
    for learner in (direction_learners.LOGISTIC, direction_learners.XGBOOST):
        assert live_of(model, learner)["is_used"].sum() == 10, learner
    changed = research.features.copy()
    others = [name for name in ALL_FEATURES if name not in model.candidates]
    changed[others] = np.nan
    predict = direction_classifier.predict
    given = {"horizon": research.horizon, "prices": research.prices}
    pd.testing.assert_frame_equal(
        predict(model, research.features, research.targets, **given), predict(model, changed, research.targets, **given)
    )


def test_the_forecaster_without_the_iv_rank_among_its_inputs_still_knows_the_current_regime(research: Any) -> None:
    model = volatility_forecaster.fit(
        research.features,
        research.targets,
        horizon=research.horizon,
        settings=WalkForwardSettings(),
        chosen=("technical", "iv_percentile"),
    )
    of_regression = model.folds_of(volatility_forecaster.LOGISTIC)
    assert "iv_rank" not in model.candidates
    assert "iv_percentile" in of_regression[-1].features
    forecasts = volatility_forecaster.predict(model, research.features, research.targets, horizon=research.horizon)
    assert forecasts["current_regime"].notna().all()
    assert len(forecasts)


@pytest.mark.usefixtures("published_only")
def test_levels_can_be_read_where_that_is_asked_for(research: Any) -> None:
    settings = WalkForwardSettings(safe_features=False, top_features=500)
    model = fit(research, settings=settings)
    assert set(live_of(model, direction_learners.LOGISTIC).query("is_used").index) == set(ALL_FEATURES)


@pytest.mark.usefixtures("published_only")
def test_without_tuning_the_threshold_is_a_half_and_no_inner_fold_is_fitted_for_it(research: Any) -> None:
    model = fit(research, settings=WalkForwardSettings(optimize_threshold=False))
    assert {fold.threshold for fold in model.folds} == {None}
    assert all(not fold.metrics for fold in model.folds_of(direction_learners.LOGISTIC))
    forecasts = direction_classifier.predict(
        model, research.features, research.targets, horizon=research.horizon, prices=research.prices
    )
    assert set(forecasts["threshold"]) == {0.5}


@pytest.mark.usefixtures("published_only")
def test_the_registry_says_what_was_chosen_and_a_choice_makes_another_model(research: Any) -> None:
    plain = fit(research)
    chosen = fit(research, chosen=("technical", "iv"))
    registry = chosen.registry(VERSION)
    pd.testing.assert_frame_equal(conform(registry, REGISTRY, slice_key="72h|SPY"), registry)
    assert json.loads(registry["training"].iloc[0]) == {
        "since": "all",
        "features": ["technical", "iv"],
        "safe_features": True,
        "top_features": 40,
        "optimize_threshold": True,
    }
    assert json.loads(plain.registry(VERSION)["training"].iloc[0])["features"] == []
    assert plain.model_version != chosen.model_version
