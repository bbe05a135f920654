"""Groups of features that begin late: which folds read them, how gaps reach each estimator, which rows are forecast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trading_dag.models.direction import direction_classifier, direction_learners
from trading_dag.models.estimators.gaps import indicators_of, with_indicators
from trading_dag.models.learning.fitted import FittedFold, FittedModel
from trading_dag.models.volatility import volatility_forecaster
from trading_dag.schemas import OPTION_CHAIN_FEATURES, SAFE_FEATURES, SENTIMENT_FEATURES, VOLATILITY_FORECASTER_FEATURES
from trading_dag.setting_groups import WalkForwardSettings
from trading_dag.training_start import EVERYTHING, TrainingStart

pytestmark = pytest.mark.usefixtures("few_candidates")

ROWS = 1_500
TWO_YEARS = 504
LATE = [name for name in (*SENTIMENT_FEATURES, *OPTION_CHAIN_FEATURES) if name in SAFE_FEATURES]
TELLING = ("sentiment_score", "reddit_momentum", "put_call_volume_ratio")
SETTINGS = WalkForwardSettings(evidence_sessions=60)
# Presence as it would be judged over the whole training part.
WHOLE_PART = WalkForwardSettings(presence_sessions=100_000, late_sessions=100_000, evidence_sessions=60)


@pytest.fixture(scope="module")
def late(slice_of: Callable[..., Any]) -> Any:
    """A slice whose news, mentions and chains are those of its last two years, and tell the direction there."""
    research = slice_of(ROWS, seed=7, horizon="24h", signal=0.3)
    features = research.features
    ahead = research.targets.set_index("session")["forward_return"].reindex(features["session"]).to_numpy()
    for name in TELLING:
        features[name] += 1.5 * np.sign(np.nan_to_num(ahead))
    features.loc[: ROWS - TWO_YEARS - 1, LATE] = np.nan
    return research


@pytest.fixture(scope="module")
def late_model(late: Any) -> FittedModel:
    return fit(late)


def fit(research: Any, *, settings: WalkForwardSettings = SETTINGS, start: TrainingStart = EVERYTHING) -> FittedModel:
    return direction_classifier.fit(
        research.features, research.targets, horizon=research.horizon, settings=settings, start=start
    )


def predict(model: FittedModel, research: Any, features: pd.DataFrame) -> pd.DataFrame:
    return direction_classifier.predict(
        model, features, research.targets, horizon=research.horizon, prices=research.prices
    )


def live_of(model: FittedModel, learner: str) -> FittedFold:
    return model.folds_of(learner)[-1]


@pytest.mark.parametrize("learner", [direction_learners.LOGISTIC, direction_learners.XGBOOST])
def test_with_news_mentions_and_chains_of_two_years_the_models_learnt_from_them_use_them(
    late_model: FittedModel, learner: str
) -> None:
    assert set(TELLING) <= set(live_of(late_model, learner).features)
    # Four folds end before the two years are a year old.
    for fold in late_model.folds_of(learner)[:4]:
        assert not set(LATE) & set(fold.features)


@pytest.mark.usefixtures("published_only")
def test_over_the_whole_past_the_same_features_would_be_dropped(late: Any) -> None:
    model = fit(late, settings=WHOLE_PART)
    assert not set(LATE) & {name for fold in model.folds for name in fold.features}


def test_news_of_the_future_change_no_earlier_fold(late: Any, late_model: FittedModel) -> None:
    """Presence is judged within the training part: of what comes later, a fold sees nothing."""
    without = fit(_with(late, late.features.assign(**dict.fromkeys(LATE, np.nan))))
    for learner in (direction_learners.LOGISTIC, direction_learners.XGBOOST):
        for one, other in zip(without.folds_of(learner)[:3], late_model.folds_of(learner)[:3], strict=True):
            pd.testing.assert_frame_equal(one.selection, other.selection)
            assert one.threshold == other.threshold


def test_a_linear_model_gets_an_indicator_for_each_late_group_and_trees_get_the_gaps(late_model: FittedModel) -> None:
    linear, trees = (
        live_of(late_model, direction_learners.LOGISTIC),
        live_of(late_model, direction_learners.XGBOOST),
    )
    assert set(linear.indicators) == {"missing_sentiment", "missing_option_chain"}
    assert set(linear.indicators["missing_sentiment"]) == set(linear.features) & set(SENTIMENT_FEATURES)
    assert linear.estimator[-1].coef_.shape == (1, len(linear.features) + 2)
    assert linear.estimator[-1].coef_[0, -1] != 0.0
    assert trees.indicators == {}
    assert trees.estimator.num_features() == len(trees.features)


def test_gaps_are_filled_with_medians_of_the_training_part(late: Any, late_model: FittedModel) -> None:
    fold = live_of(late_model, direction_learners.LOGISTIC)
    clear = late.targets["direction"].isin(["UP", "DOWN"]).to_numpy()
    learnt = late.features.iloc[: len(clear)][clear]
    position = fold.features.index("sentiment_score")
    assert fold.estimator[0].statistics_[position] == pytest.approx(np.nanmedian(learnt["sentiment_score"]))


@pytest.mark.parametrize("learner", [direction_learners.LOGISTIC, direction_learners.XGBOOST])
def test_a_row_without_the_late_groups_is_forecast_by_a_fold_that_reads_them(
    late: Any, late_model: FittedModel, learner: str
) -> None:
    features = late.features.copy()
    features.loc[ROWS - 1, LATE] = np.nan
    last = features["session"].iloc[-1]
    cut, whole = (
        forecasts[(forecasts["session"] == last) & (forecasts["model"] == learner)]
        for forecasts in (predict(late_model, late, features), predict(late_model, late, late.features))
    )
    assert cut["fold"].tolist() == whole["fold"].tolist() == [6]
    assert cut["probability_up"].item() != whole["probability_up"].item()


def test_a_row_without_most_of_what_was_always_there_is_not_forecast_though_the_late_groups_are(
    late: Any, late_model: FittedModel
) -> None:
    features = late.features.copy()
    steady = [name for name in SAFE_FEATURES if name not in LATE]
    features.loc[ROWS - 1, steady[: len(steady) // 2]] = np.nan
    forecasts = predict(late_model, late, features)
    assert features["session"].iloc[-1] not in set(forecasts["session"])
    assert features["session"].iloc[-2] in set(forecasts["session"])


@pytest.mark.parametrize("fitted", [direction_classifier.fit, volatility_forecaster.fit])
def test_without_a_late_group_nothing_changes_to_the_last_bit(
    research: Any, fitted: Callable[..., FittedModel]
) -> None:
    judged, whole = (
        fitted(research.features, research.targets, horizon=research.horizon, settings=settings)
        for settings in (SETTINGS, WHOLE_PART)
    )
    assert judged.content_hash() == whole.content_hash()
    assert not any(fold.indicators for fold in judged.folds)


@pytest.mark.usefixtures("published_only")
def test_what_has_ended_is_no_longer_learnt_from(research: Any) -> None:
    features = research.features.copy()
    features.loc[300:, "rsi_14"] = np.nan
    settings = WalkForwardSettings(presence_sessions=200)
    model = direction_classifier.fit(features, research.targets, horizon=research.horizon, settings=settings)
    live = live_of(model, direction_learners.LOGISTIC).selection.set_index("feature").loc["rsi_14"]
    assert (live["reason"], live["presence_fraction"]) == ("below_presence", 0.0)
    assert live["known_fraction"] == pytest.approx(300 / 897)


def test_the_forecaster_reads_all_its_inputs_though_three_begin_late(slice_of: Callable[..., Any]) -> None:
    research = slice_of(1_200, seed=3)
    features = research.features.copy()
    features.loc[:700, ["vix_term_slope", "vix_term_ratio", "vix_contango"]] = np.nan
    model = volatility_forecaster.fit(features, research.targets, horizon=research.horizon, settings=SETTINGS)
    live = live_of(model, volatility_forecaster.LOGISTIC)
    assert live.features == VOLATILITY_FORECASTER_FEATURES
    assert live.indicators == {"missing_implied_volatility": ("vix_term_slope", "vix_term_ratio", "vix_contango")}
    forecasts = volatility_forecaster.predict(model, features, research.targets, horizon=research.horizon)
    assert forecasts.loc[forecasts["fold"] == 6, "probability_low"].notna().all()


# Since when is learnt from


@pytest.mark.usefixtures("published_only")
def test_years_shorten_each_training_part_and_leave_the_test_parts_as_they_are(late: Any) -> None:
    whole, recent = fit(late, settings=WHOLE_PART), fit(late, settings=WHOLE_PART, start=TrainingStart(years=2))
    for one, other in zip(whole.folds, recent.folds, strict=True):
        assert (one.fitted_through, one.serves_from) == (other.fitted_through, other.serves_from)
        assert one.train_last_session is not None
        two_years_before = one.train_last_session - pd.DateOffset(years=2)
        later = late.features["session"][late.features["session"] > two_years_before].iloc[0]
        assert other.train_first_session == max(later, one.train_first_session)
    assert live_of(recent, direction_learners.LOGISTIC).n_train < live_of(whole, direction_learners.LOGISTIC).n_train


@pytest.mark.usefixtures("published_only")
def test_of_rows_before_a_date_nothing_is_learnt_and_none_is_forecast(late: Any) -> None:
    first = late.features["session"].iloc[400]
    model = fit(late, start=TrainingStart(first=first.date()))
    cut = _with(late, late.features.iloc[400:].reset_index(drop=True))
    assert {fold.train_first_session for fold in model.folds} == {first}
    pd.testing.assert_frame_equal(
        predict(model, late, late.features).drop(columns="model_version"),
        predict(fit(cut), cut, cut.features).drop(columns="model_version"),
    )


def _with(research: Any, features: pd.DataFrame) -> Any:
    from dataclasses import replace

    targets = research.targets[research.targets["session"].isin(features["session"])].reset_index(drop=True)
    return replace(research, features=features, targets=targets)


# Indicators


def test_an_indicator_says_where_nothing_of_its_group_is_known() -> None:
    names = ("rsi_14", "sentiment_score", "reddit_momentum", "iv_skew_25d")
    values = np.array([[1.0, 2.0, 3.0, 4.0], [1.0, np.nan, 3.0, np.nan], [1.0, np.nan, np.nan, 4.0]])
    indicators = indicators_of(names[1:])
    assert indicators == {
        "missing_sentiment": ("sentiment_score", "reddit_momentum"),
        "missing_option_chain": ("iv_skew_25d",),
    }
    read = with_indicators(values, names, indicators)
    np.testing.assert_array_equal(read[:, :4], values)
    np.testing.assert_array_equal(read[:, 4:], [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert with_indicators(values, names, {}) is values
