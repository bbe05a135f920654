"""The regime models that read the index alone: skill that is there, none that is not, and slices that cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from resources.storage.models.store import ModelStore
from tests.trading_dag.models.volatility.simulated_index import index_slice
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.learning.importance import learnt_coefficients
from trading_dag.models.volatility import volatility_forecaster
from trading_dag.models.volatility.level_inputs import DISTANCES, LEVEL_INPUTS
from trading_dag.models.volatility.regime_forecaster import level_part
from trading_dag.quality import conform
from trading_dag.schemas import COEFFICIENTS, IMPORTANCE, IV_REGIMES, PREDICTIONS_VOLATILITY
from trading_dag.served_models import SERVED_VOLATILITY
from trading_dag.setting_groups import BootstrapSettings, WalkForwardSettings
from trading_dag.slices import horizon_of
from trading_dag.validation.scores.metrics import ranked_probability_losses

HORIZON = horizon_of("72h")
OF_INDEX = ("volatility_har", "volatility_ordered", "volatility_blend")
PROBABILITIES = [f"probability_{name.lower()}" for name in IV_REGIMES]
Frames = tuple[pd.DataFrame, pd.DataFrame]


def fit(features: pd.DataFrame, targets: pd.DataFrame) -> FittedModel:
    return volatility_forecaster.fit(features, targets, horizon=HORIZON, settings=WalkForwardSettings())


def losses(forecasts: pd.DataFrame, model: str) -> pd.Series:
    rows = forecasts[(forecasts["model"] == model) & forecasts["y_true"].notna()].set_index("session")
    codes = pd.Index(IV_REGIMES).get_indexer(pd.Index(rows["y_true"], dtype="object"))
    return pd.Series(ranked_probability_losses(rows[PROBABILITIES].to_numpy(), codes), index=rows.index)


@pytest.fixture(scope="module")
def frames() -> Frames:
    return index_slice(2_400, seed=1)


@pytest.fixture(scope="module")
def model(frames: Frames) -> FittedModel:
    return fit(*frames)


@pytest.fixture(scope="module")
def forecasts(frames: Frames, model: FittedModel) -> pd.DataFrame:
    return volatility_forecaster.predict(model, *frames, horizon=HORIZON)


def test_each_of_them_beats_markov_and_persistence_where_the_index_is_what_they_take_it_for(
    forecasts: pd.DataFrame,
) -> None:
    conform(forecasts, PREDICTIONS_VOLATILITY, slice_key="72h|SPY")
    by_model = {name: losses(forecasts, name) for name in (*OF_INDEX, "markov", "persistence")}
    for name in OF_INDEX:
        assert len(by_model[name]) > 1_500
        for baseline in ("markov", "persistence"):
            gain = (by_model[baseline] - by_model[name]).dropna()
            blocks = gain.to_numpy()[: len(gain) // 60 * 60].reshape(-1, 60).mean(axis=1)
            assert gain.mean() > 2 * blocks.std(ddof=1) / np.sqrt(len(blocks)), (name, baseline)


def test_the_blend_says_the_mean_of_its_two_parts(forecasts: pd.DataFrame) -> None:
    rows = forecasts.set_index(["model", "session"])[PROBABILITIES]
    expected = (rows.loc["volatility_har"] + rows.loc["volatility_ordered"]) / 2
    pd.testing.assert_frame_equal(rows.loc["volatility_blend"], expected, check_exact=False, atol=1e-12)
    assert SERVED_VOLATILITY == "volatility_blend"


def test_shuffled_labels_leave_the_ordered_regression_no_skill_over_their_shares(frames: Frames) -> None:
    features, targets = frames
    generator = np.random.default_rng(3)
    known = np.flatnonzero(targets["iv_regime"].notna())
    shuffled = targets.copy()
    shuffled.loc[known, "iv_regime"] = targets["iv_regime"].to_numpy()[generator.permutation(known)]
    rows = volatility_forecaster.predict(fit(features, shuffled), features, shuffled, horizon=HORIZON)
    # The level is no label. That it is forecast no better than by chance where it is one, predictions.volatility_level
    # shows.
    gain = losses(rows, "class_prior") - losses(rows, "volatility_ordered")
    assert gain.mean() < 0.001


def test_a_forecast_is_the_same_whatever_comes_after_its_session(frames: Frames, model: FittedModel) -> None:
    features, targets = frames
    before = volatility_forecaster.predict(model, features, targets, horizon=HORIZON)
    changed = features.copy()
    changed.loc[2_000:, ["vix_close", "iv_rank"]] = [99.0, 100.0]
    after = volatility_forecaster.predict(model, changed, targets, horizon=HORIZON)
    last = features["session"].iloc[1_999]
    columns = ["session", "model", *PROBABILITIES]
    pd.testing.assert_frame_equal(
        after.loc[after["session"] <= last, columns].reset_index(drop=True),
        before.loc[before["session"] <= last, columns].reset_index(drop=True),
    )


def test_no_fold_learns_from_a_level_after_its_training_part(frames: Frames, model: FittedModel) -> None:
    features, targets = frames
    first = model.folds_of("volatility_blend")[0]
    changed = features.copy()
    changed.loc[features["session"] > first.fitted_through, "vix_close"] *= 2.0
    again = fit(changed, targets).folds_of("volatility_blend")[0]
    for (_, ours), (_, theirs) in zip(first.estimator.steps, again.estimator.steps, strict=True):
        for name, value in vars(ours).items():
            np.testing.assert_array_equal(value, vars(theirs)[name])


def test_a_planted_column_of_the_outcome_is_read_by_none_of_them(frames: Frames, model: FittedModel) -> None:
    features, targets = frames
    planted = features.assign(index_at_target=features["vix_close"].shift(-HORIZON.target_offset))
    again = fit(planted, targets)
    assert again.content_hash() == model.content_hash()
    for name in OF_INDEX:
        assert {fold.columns for fold in again.folds_of(name) if fold.status == "fitted"} == {LEVEL_INPUTS}


def test_two_fits_have_one_content_and_it_tells_their_numbers_apart(frames: Frames, model: FittedModel) -> None:
    assert fit(*frames).content_hash() == model.content_hash()
    before = model.content_hash()
    part = level_part(model.folds_of("volatility_blend")[0].estimator)
    assert part is not None
    kept = part.quantiles_
    part.quantiles_ = kept + 1e-9
    try:
        assert fit(*frames).content_hash() == before
        assert model.content_hash() != before
    finally:
        part.quantiles_ = kept


def test_what_was_stored_forecasts_the_same_to_the_last_bit(
    tmp_path: Path, frames: Frames, model: FittedModel, forecasts: pd.DataFrame
) -> None:
    store = ModelStore(tmp_path / "models")
    store.save(model)
    loaded = store.load(model.name, ticker="SPY", horizon="72h")
    assert loaded.content_hash() == model.content_hash()
    again = volatility_forecaster.predict(loaded, *frames, horizon=HORIZON)
    pd.testing.assert_frame_equal(again, forecasts, check_exact=True)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("constant index", "too few labelled sessions"),
        ("no index", "too few labelled sessions"),
        ("one regime", "fewer than 30 training rows"),
        ("ranks without levels", "no feature is present often enough"),
        ("a month", "too few labelled sessions"),
    ],
)
def test_a_slice_that_cannot_be_learnt_from_says_why_and_forecasts_nothing(
    frames: Frames, what: str, reason: str
) -> None:
    features, targets = frames[0].copy(), frames[1].copy()
    if what == "constant index":
        features, targets = index_slice(closes=np.full(900, 18.0))
    elif what == "no index":
        features[["vix_close", "iv_rank"]] = np.nan
        targets["iv_regime"] = None
    elif what == "one regime":
        targets.loc[targets["iv_regime"].notna(), "iv_regime"] = "LOW"
    elif what == "ranks without levels":
        features["vix_close"] = np.nan
    else:
        features, targets = features.iloc[300:321].reset_index(drop=True), targets.iloc[300:318].reset_index(drop=True)
    made = fit(features, targets)
    for name in OF_INDEX:
        for fold in made.folds_of(name):
            assert fold.status == "insufficient_data"
            assert reason in str(fold.reason)
    rows = volatility_forecaster.predict(made, features, targets, horizon=HORIZON)
    assert not set(rows["model"]) & set(OF_INDEX)


def test_sessions_without_an_index_have_no_forecast_and_the_others_keep_theirs(
    frames: Frames, model: FittedModel, forecasts: pd.DataFrame
) -> None:
    features, targets = frames
    holed = features.copy()
    holed.loc[2_100, ["vix_close", "iv_rank"]] = np.nan
    rows = volatility_forecaster.predict(model, holed, targets, horizon=HORIZON)
    assert features["session"].iloc[2_100] not in set(rows["session"])
    assert set(rows["session"]) < set(forecasts["session"])


def test_only_the_pull_towards_the_means_has_coefficients(model: FittedModel) -> None:
    table = learnt_coefficients(model)
    conform(table, COEFFICIENTS, slice_key="72h|SPY")
    of_level = table[table["class_name"] == "ln_index_at_target"]
    assert set(of_level["model"]) == {"volatility_har", "volatility_blend"}
    assert "volatility_ordered" not in set(table["model"])
    live = of_level[(of_level["model"] == "volatility_har") & (of_level["fold"] == 6)].set_index("feature")
    part = level_part(model.folds_of("volatility_har")[-1].estimator)
    assert part is not None
    np.testing.assert_array_equal(live.loc[list(DISTANCES), "coefficient"], part.coef_[0])


def test_shuffling_what_they_read_costs_them_and_each_reads_only_its_own(frames: Frames, model: FittedModel) -> None:
    table = volatility_forecaster.importance(model, *frames, horizon=HORIZON, settings=BootstrapSettings(draws=100))
    conform(table, IMPORTANCE, slice_key="72h|SPY")
    worth = table.set_index(["model", "kind", "feature"])["importance"]
    assert worth["volatility_har", "feature", "index_level"] > 0.05
    assert worth["volatility_har", "feature", "rank_today"] == 0.0
    assert worth["volatility_ordered", "feature", "rank_today"] > 0.05
    assert worth["volatility_ordered", "feature", "index_level"] == 0.0
    assert worth["volatility_blend", "feature", "index_level"] > 0.0
