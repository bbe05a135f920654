"""Direction classifier: what the folds may see, what a forecast row promises, and what thin data do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from trading_dag.errors import SchemaError
from trading_dag.features.selection import PresenceRule, select_features
from trading_dag.models.direction import direction_classifier, direction_learners
from trading_dag.models.estimators.learners import fit_logistic_pipeline
from trading_dag.models.learning.fitted import FittedFold, FittedModel, fold_spec
from trading_dag.quality import conform
from trading_dag.schemas import INPUTS, PREDICTIONS_DIRECTION, REGISTRY, SAFE_FEATURES
from trading_dag.sessions import target_sessions
from trading_dag.setting_groups import BootstrapSettings, WalkForwardSettings
from trading_dag.slices import horizon_of
from trading_dag.validation.verdicts.evaluation import evaluate
from trading_dag.validation.walk_forward import walk_forward_folds

pytestmark = pytest.mark.usefixtures("few_candidates")

SETTINGS = WalkForwardSettings(evidence_sessions=60)
MODELS = (direction_learners.LOGISTIC, direction_learners.SHRUNK, direction_learners.XGBOOST)
SHUFFLES = 6  # the mean of so many scores has a standard error of 0.015, and the leak is 0.1


def _fit(research: Any, **changed: Any) -> FittedModel:
    frames = {"features": research.features, "targets": research.targets} | changed
    return direction_classifier.fit(frames["features"], frames["targets"], horizon=research.horizon, settings=SETTINGS)


def _predict(model: FittedModel, research: Any, **changed: Any) -> pd.DataFrame:
    frames = {"features": research.features, "targets": research.targets} | changed
    return direction_classifier.predict(
        model, frames["features"], frames["targets"], horizon=research.horizon, prices=research.prices
    )


def _artefacts(fold: FittedFold) -> list[Any]:
    """Everything a fold has learnt, in a form that compares bit by bit."""
    selection = fold.selection.astype(object).where(fold.selection.notna(), None)  # a NaN equals none
    learnt: list[Any] = [fold_spec(fold), selection.to_dict(orient="list")]
    if hasattr(fold.estimator, "save_raw"):
        return [*learnt, bytes(fold.estimator.save_raw(raw_format="ubj"))]
    arrays = [
        (name, attribute, value.tobytes())
        for name, step in fold.estimator.steps
        for attribute, value in sorted(vars(step).items())
        if isinstance(value, np.ndarray)
    ]
    assert len(arrays) > 1
    return [*learnt, *arrays]


def test_poisoning_the_test_part_changes_no_training_artefact_and_poisoning_the_training_part_does(
    research: Any, direction_model: FittedModel
) -> None:
    third = direction_model.folds_of(direction_learners.LOGISTIC)[2]
    features, targets = research.features.copy(), research.targets.copy()
    late = (features["session"] >= third.serves_from).to_numpy()
    generator = np.random.default_rng(99)
    features.loc[late, list(SAFE_FEATURES)] = generator.normal(1e3, 1e4, (int(late.sum()), len(SAFE_FEATURES)))
    late_labels = (targets["session"] >= third.serves_from).to_numpy()
    targets.loc[late_labels, "direction"] = generator.choice(["UP", "DOWN"], int(late_labels.sum()))
    poisoned = _fit(research, features=features, targets=targets)
    for model in MODELS:
        for clean, dirty in zip(direction_model.folds_of(model), poisoned.folds_of(model), strict=True):
            same = _artefacts(clean)[1:] == _artefacts(dirty)[1:] and fold_spec(clean) == fold_spec(dirty)
            assert same == (clean.fold <= 3), (model, clean.fold)


def test_every_forecast_comes_from_the_newest_fold_in_service_and_knows_nothing_later(
    research: Any, direction_model: FittedModel, direction_forecasts: pd.DataFrame
) -> None:
    assert (direction_forecasts["fitted_through"] <= direction_forecasts["session"]).all()
    assert direction_forecasts["is_out_of_sample"].all()
    labelled = research.targets["session"]
    splits = walk_forward_folds(len(labelled), folds=5, gap=3)
    rows = direction_forecasts[direction_forecasts["model"] == direction_learners.LOGISTIC].set_index("session")
    assert rows.index.min() == labelled.iloc[splits[0].test[0]]
    for fold, split in zip(direction_model.folds_of(direction_learners.LOGISTIC), splits, strict=False):
        assert fold.serves_from == labelled.iloc[split.test[0]]
        assert fold.train_last_session == labelled.iloc[split.train[-1]]
        assert fold.fitted_through == target_sessions(pd.DatetimeIndex([fold.train_last_session]), research.horizon)[0]
        assert (rows.loc[labelled.iloc[split.test], "fold"] == split.number).all()
    last = research.features["session"].iloc[-1]
    assert direction_model.folds_of(direction_learners.LOGISTIC)[5].fitted_through == last
    assert rows["fold"].iloc[-3:].tolist() == [5, 5, 6]


def test_the_forecasts_are_a_valid_table_with_baselines_on_the_models_sessions(
    direction_forecasts: pd.DataFrame, direction_model: FittedModel
) -> None:
    assert tuple(direction_forecasts.columns) == PREDICTIONS_DIRECTION.column_names
    pd.testing.assert_frame_equal(
        conform(direction_forecasts, PREDICTIONS_DIRECTION, slice_key="72h|SPY"), direction_forecasts
    )
    by_model = direction_forecasts.groupby("model")
    baselines = {"class_prior", "climatology", "previous_direction", "running_climatology"}
    assert set(by_model.groups) == {*MODELS, "direction_online", *baselines}
    assert {"direction_logistic", "direction_xgboost"} <= set(MODELS)
    assert by_model["session"].apply(tuple).nunique() == 1
    assert by_model["is_baseline"].first().to_dict() == {
        **dict.fromkeys(baselines, True),
        **dict.fromkeys((*MODELS, "direction_online"), False),
    }
    called_up = direction_forecasts["y_pred"] == "UP"
    assert (called_up == (direction_forecasts["probability_up"] > direction_forecasts["threshold"])).all()
    expected = direction_forecasts["probability_up"].where(called_up, 1 - direction_forecasts["probability_up"])
    pd.testing.assert_series_equal(direction_forecasts["confidence"], expected, check_names=False)
    prior = direction_forecasts[direction_forecasts["model"] == "class_prior"]
    for fold in direction_model.folds_of(direction_learners.LOGISTIC):
        counts = fold.class_counts
        share = counts["UP"] / (counts["UP"] + counts["DOWN"])
        assert (prior.loc[prior["fold"] == fold.fold, "probability_up"] == share).all()


def test_climatology_is_the_share_of_rises_among_all_training_rows_of_the_fold(
    research: Any, direction_forecasts: pd.DataFrame, direction_model: FittedModel
) -> None:
    stated = direction_forecasts[direction_forecasts["model"] == "climatology"].groupby("fold")["probability_up"]
    targets = research.targets
    for fold in direction_model.folds_of(direction_learners.LOGISTIC):
        rows = targets[targets["target_session"] <= fold.fitted_through]
        rises = (rows["forward_return"] > 0).mean()
        assert fold.train_first_session == targets["session"].iloc[0]
        assert stated.get_group(fold.fold).unique().tolist() == [rises]


def test_every_forecast_names_its_model_and_a_baseline_names_none(
    direction_forecasts: pd.DataFrame, direction_model: FittedModel
) -> None:
    version = direction_model.content_hash()[:8]
    is_baseline = direction_forecasts["is_baseline"]
    assert set(direction_forecasts.loc[~is_baseline, "model_version"]) == {version}
    assert direction_forecasts.loc[is_baseline, "model_version"].isna().all()
    assert set(direction_model.registry("20241231T213000123456Z-" + version)["model_version"]) == {version}


def test_sessions_without_a_future_are_forecast_and_have_no_outcome(
    research: Any, direction_forecasts: pd.DataFrame
) -> None:
    ahead = direction_forecasts[~direction_forecasts["session"].isin(research.targets["session"])]
    assert ahead["session"].nunique() == 3
    assert ahead["y_true"].isna().all()
    assert ahead["forward_return"].isna().all()
    assert (ahead["target_session"] > research.features["session"].iloc[-1]).all()
    known = direction_forecasts.drop(index=ahead.index).merge(research.targets, on="session", suffixes=("", "_label"))
    assert (known["y_true"] == known["direction"]).all()
    assert (known["forward_return"] == known["forward_return_label"]).all()
    assert (known["target_session"] == known["target_session_label"]).all()


def test_ambiguous_rows_are_forecast_but_not_learnt_from(
    research: Any, direction_model: FittedModel, direction_forecasts: pd.DataFrame
) -> None:
    assert (direction_forecasts["y_true"] == "AMBIGUOUS").sum() > 100
    for fold in direction_model.folds_of(direction_learners.LOGISTIC):
        part = research.targets[research.targets["session"] <= fold.train_last_session]
        clear = part["direction"].isin(["UP", "DOWN"])
        assert fold.n_train == clear.sum()
        assert fold.fitted_through == part["target_session"].max()


def test_sessions_that_arrive_later_are_forecast_by_the_live_model_without_a_new_fit(
    slice_of: Callable[..., Any],
) -> None:
    whole = slice_of(700, seed=3)
    cut = whole.features["session"].iloc[639]
    early = replace(
        whole,
        features=whole.features.iloc[:640].copy(),
        targets=whole.targets[whole.targets["target_session"] <= cut].copy(),
    )
    model = _fit(early)
    then, now = _predict(model, early), _predict(model, whole)
    old = now[now["session"] <= cut].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        old.drop(columns=["y_true", "forward_return"]), then.drop(columns=["y_true", "forward_return"]), rtol=1e-12
    )
    new = now[now["session"] > cut]
    assert new["session"].nunique() == 60
    assert (new["fold"] == 6).all()
    learns_on = new["model"].isin(("direction_online", "running_climatology"))
    assert (new.loc[~learns_on, "fitted_through"] == cut).all()
    assert (new.loc[learns_on, "fitted_through"] >= cut).all()


@pytest.mark.usefixtures("published_only")
def test_shuffled_labels_score_half_inside_the_folds_and_more_where_selection_saw_the_test_part(
    slice_of: Callable[..., Any],
) -> None:
    inside, outside = [], []
    for seed in range(SHUFFLES):
        drawn = slice_of(300, seed=seed, horizon="24h", signal=0.0)
        flags = drawn.features.assign(**{name: (drawn.features[name] > 0).astype(float) for name in SAFE_FEATURES})
        noise = replace(drawn, features=flags)
        model = direction_classifier.fit(
            noise.features, noise.targets, horizon=noise.horizon, settings=WalkForwardSettings(top_features=10)
        )
        forecasts = _predict(model, noise)
        clear = forecasts[
            (forecasts["model"] == direction_learners.LOGISTIC) & forecasts["y_true"].isin(["UP", "DOWN"])
        ]
        inside.append(roc_auc_score(clear["y_true"] == "UP", clear["probability_up"]))
        outside.append(_auc_with_selection_outside_the_folds(noise))
    assert np.mean(inside) == pytest.approx(0.5, abs=0.04)
    assert np.mean(outside) > 0.57


def _auc_with_selection_outside_the_folds(noise: Any) -> float:
    """The same protocol, but the 10 features are chosen once, on all rows: the leak that folds must not have."""
    rows = noise.targets[noise.targets["direction"] != "AMBIGUOUS"].merge(noise.features, on="session")
    values, codes = rows[list(SAFE_FEATURES)].to_numpy(), (rows["direction"] == "UP").to_numpy().astype(np.int64)
    chosen = select_features(values, codes, names=SAFE_FEATURES, presence=PresenceRule(0.8), top_features=10)[
        "selected"
    ]
    values = values[:, chosen.to_numpy()]
    scores, truth = [], []
    for fold in walk_forward_folds(len(rows), folds=5, gap=1):
        model = fit_logistic_pipeline(values[fold.train], codes[fold.train], C=0.1, max_iter=1_000)
        scores.append(model.predict_proba(values[fold.test])[:, 1])
        truth.append(codes[fold.test])
    return float(roc_auc_score(np.concatenate(truth), np.concatenate(scores)))


@pytest.mark.usefixtures("published_only")
def test_a_planted_leak_stands_out_of_the_evaluation(slice_of: Callable[..., Any]) -> None:
    noise = slice_of(700, seed=5, signal=0.0)
    honest = _predict(_fit(noise), noise)
    leaking = noise.features.copy()
    future = noise.targets.set_index("session")["forward_return"].reindex(leaking["session"]).to_numpy()
    leaking["returns_1d"] = future
    planted = _predict(_fit(noise, features=leaking), noise, features=leaking)
    scores = {}
    for name, forecasts in (("honest", honest), ("planted", planted)):
        metrics = evaluate({"direction": forecasts}, horizon=noise.horizon, settings=BootstrapSettings(draws=200))
        row = metrics[
            (metrics["model"] == direction_learners.LOGISTIC)
            & (metrics["metric"] == "auc_conditional")
            & (metrics["baseline"] == "class_prior")
        ].iloc[0]
        scores[name] = (row["value"], row["difference"], row["verdict"])
    assert scores["planted"][0] > 0.95
    assert scores["planted"][1] > 0.4
    assert scores["planted"][2] == "skilled"
    assert scores["honest"][0] < 0.6


def test_a_real_signal_is_found_by_all_learners(direction_forecasts: pd.DataFrame) -> None:
    for model in MODELS:
        clear = direction_forecasts[
            (direction_forecasts["model"] == model) & direction_forecasts["y_true"].isin(["UP", "DOWN"])
        ]
        assert roc_auc_score(clear["y_true"] == "UP", clear["probability_up"]) > 0.8


def test_the_same_input_gives_the_same_bits_whatever_the_number_of_threads(
    research: Any, direction_model: FittedModel, direction_forecasts: pd.DataFrame
) -> None:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=2):
        again = _fit(research)
        pd.testing.assert_frame_equal(_predict(again, research), direction_forecasts, check_exact=True)
    assert again.content_hash() == direction_model.content_hash()


@pytest.mark.usefixtures("published_only")
def test_a_feature_that_is_often_missing_is_dropped_by_the_fold_and_recorded(slice_of: Callable[..., Any]) -> None:
    research = slice_of(500, seed=1)
    features = research.features.copy()
    features.loc[:299, "vix_term_slope"] = np.nan
    model = _fit(research, features=features)
    table = model.input_table()
    assert tuple(table.columns) == INPUTS.column_names
    rows = table[(table["feature"] == "vix_term_slope") & (table["model"] == direction_learners.LOGISTIC)].set_index(
        "fold"
    )
    assert (rows["reason"] == "below_presence").tolist() == [True] * 6
    assert rows["presence_fraction"].iloc[0] == 0.0
    assert rows["presence_fraction"].iloc[5] == pytest.approx((497 - 300) / 497)
    assert not any("vix_term_slope" in fold.features for fold in model.folds)
    used = table[table["is_used"] & (table["model"] == direction_learners.LOGISTIC)]
    assert (used.groupby("fold").size() == SETTINGS.top_features).all()


def test_a_row_without_most_of_the_features_is_not_forecast_and_a_row_with_a_few_gaps_is(
    research: Any, direction_model: FittedModel
) -> None:
    features = research.features.copy()
    features.loc[600, list(SAFE_FEATURES[: len(SAFE_FEATURES) // 2])] = np.nan
    features.loc[601, list(SAFE_FEATURES[: len(SAFE_FEATURES) // 10])] = np.nan
    forecasts = _predict(direction_model, research, features=features)
    assert features["session"].iloc[600] not in set(forecasts["session"])
    assert features["session"].iloc[601] in set(forecasts["session"])


def test_a_fold_with_a_rare_class_says_so_and_its_sessions_get_no_forecast(slice_of: Callable[..., Any]) -> None:
    research = slice_of(600, seed=2)
    targets = research.targets.copy()
    downs = targets.index[(targets["direction"] == "DOWN") & (targets.index < 190)]
    targets.loc[downs[10:], "direction"] = "AMBIGUOUS"
    model = _fit(research, targets=targets)
    folds = model.folds_of(direction_learners.LOGISTIC)
    assert [fold.status for fold in folds] == ["insufficient_data"] * 2 + ["fitted"] * 4
    assert folds[0].reason == "fewer than 30 training rows: 10 of DOWN"
    forecasts = _predict(model, research, targets=targets)
    assert forecasts.loc[forecasts["model"] == direction_learners.LOGISTIC, "session"].min() == folds[2].serves_from
    assert forecasts.loc[forecasts["model"] == "class_prior", "session"].min() == folds[0].serves_from
    assert {fold.status for fold in model.folds_of(direction_learners.SHRUNK)} == {"fitted"}, (
        "all moves are learnt from"
    )
    registry = model.registry("20240101T000000000000Z-00000000")
    pd.testing.assert_frame_equal(conform(registry, REGISTRY, slice_key="72h|SPY"), registry)
    assert registry.loc[0, "n_features"] == 0
    assert registry["reason"].notna().sum() == 2


def test_without_labels_there_are_typed_empty_answers_and_no_crash(research: Any) -> None:
    nothing = research.targets.iloc[:0]
    model = direction_classifier.fit(
        research.features, nothing, horizon=research.horizon, settings=SETTINGS, ticker="SPY"
    )
    assert {fold.status for fold in model.folds} == {"insufficient_data"}
    assert len(model.registry("20240101T000000000000Z-00000000")) == 6 * len(MODELS)
    assert len(model.input_table()) == 0
    forecasts = _predict(model, research, targets=nothing)
    assert len(forecasts) == 0
    assert tuple(forecasts.columns) == PREDICTIONS_DIRECTION.column_names
    nobody = direction_classifier.fit(
        research.features.iloc[:0], nothing, horizon=research.horizon, settings=SETTINGS, ticker="SPY"
    )
    assert nobody.ticker == "SPY"
    assert len(_predict(nobody, research)) == 0


@pytest.mark.parametrize("rows", [5, 12, 40, 120])
def test_a_short_history_is_insufficient_and_not_an_error(slice_of: Callable[..., Any], rows: int) -> None:
    research = slice_of(rows)
    model = _fit(research)
    assert len(model.folds) == 6 * len(MODELS)
    assert model.folds[0].status == "insufficient_data"
    _predict(model, research)


def test_frames_that_are_not_of_the_slice_are_refused(research: Any, direction_model: FittedModel) -> None:
    with pytest.raises(SchemaError, match="rsi_14"):
        _fit(research, features=research.features.drop(columns="rsi_14"))
    infinite = research.features.copy()
    infinite.loc[7, "rsi_14"] = np.inf
    with pytest.raises(SchemaError, match="infinite"):
        _fit(research, features=infinite)
    with pytest.raises(SchemaError, match="ticker=QQQ"):
        _fit(research, targets=research.targets.assign(ticker="QQQ"))
    with pytest.raises(SchemaError, match="horizon=24h"):
        _fit(research, targets=research.targets.assign(horizon="24h"))
    with pytest.raises(SchemaError, match="ascend"):
        _fit(research, features=research.features.iloc[::-1].reset_index(drop=True))
    with pytest.raises(SchemaError, match="ticker=QQQ"):
        _predict(direction_model, research, features=research.features.assign(ticker="QQQ"))


@pytest.mark.usefixtures("published_only")
def test_the_horizon_sets_the_distance_between_training_and_test_part(slice_of: Callable[..., Any]) -> None:
    for key in ("12h", "168h"):
        research = slice_of(300, horizon=key)
        position = {day: number for number, day in enumerate(research.features["session"])}
        for fold in _fit(research).folds_of(direction_learners.LOGISTIC)[:5]:
            assert fold.train_last_session is not None
            between = position[fold.serves_from] - position[fold.train_last_session] - 1
            assert between == horizon_of(key).gap_sessions
