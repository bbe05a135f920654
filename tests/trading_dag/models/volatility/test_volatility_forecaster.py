"""Volatility forecaster: probabilities, changes, baselines, thin classes, and the figures measured on real data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trading_dag.frames import table_frame
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.volatility import volatility_forecaster
from trading_dag.quality import conform
from trading_dag.schemas import (
    ALL_FEATURES,
    FEATURE_TABLE,
    IV_REGIMES,
    PREDICTIONS_VOLATILITY,
    TARGETS,
    VOLATILITY_FORECASTER_FEATURES,
)
from trading_dag.sessions import target_sessions
from trading_dag.setting_groups import BootstrapSettings, WalkForwardSettings
from trading_dag.slices import horizon_of
from trading_dag.validation.verdicts.evaluation import evaluate

SETTINGS = WalkForwardSettings()
OF_INDEX = ("volatility_har", "volatility_ordered", "volatility_blend")


def test_the_forecasts_are_a_valid_table_whose_probabilities_sum_to_one(volatility_forecasts: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        conform(volatility_forecasts, PREDICTIONS_VOLATILITY, slice_key="72h|SPY"), volatility_forecasts
    )
    probabilities = volatility_forecasts[[f"probability_{name.lower()}" for name in IV_REGIMES]]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_array_equal(probabilities.max(axis=1), volatility_forecasts["confidence"])
    called = np.array(IV_REGIMES, dtype=object)[probabilities.to_numpy().argmax(axis=1)]
    assert (called == volatility_forecasts["y_pred"].to_numpy(dtype=object)).all()
    assert (volatility_forecasts["fitted_through"] <= volatility_forecasts["session"]).all()


def test_the_expected_change_compares_the_forecast_with_the_current_regime(volatility_forecasts: pd.DataFrame) -> None:
    order = {"LOW": 0, "NORMAL": 1, "HIGH": 2}
    for row in volatility_forecasts.itertuples():
        step = order[row.y_pred] - order[row.current_regime]
        expected = "EXPANDING" if step > 0 else "CONTRACTING" if step < 0 else "STABLE"
        assert row.expected_change == expected


def test_persistence_says_that_the_current_regime_stays(research: Any, volatility_forecasts: pd.DataFrame) -> None:
    rows = volatility_forecasts[volatility_forecasts["model"] == "persistence"]
    rank = research.features.set_index("session")["iv_rank"].reindex(rows["session"]).to_numpy()
    expected = np.where(rank < 30, "LOW", np.where(rank < 60, "NORMAL", "HIGH"))
    assert (rows["y_pred"].to_numpy(dtype=object) == expected).all()
    assert (rows["confidence"] == 1).all()
    assert set(rows["expected_change"]) == {"STABLE"}
    assert rows["is_baseline"].all()


def test_markov_says_how_regimes_followed_each_other_in_the_folds_training_rows(
    research: Any, volatility_forecasts: pd.DataFrame, volatility_model: FittedModel
) -> None:
    columns = [f"probability_{name.lower()}" for name in IV_REGIMES]
    stated = volatility_forecasts[volatility_forecasts["model"] == "markov"]
    rank = research.features.set_index("session")["iv_rank"]
    labels = research.targets.set_index("session")
    for fold in volatility_model.folds:
        seen = labels[labels["target_session"] <= fold.fitted_through]
        now = np.digitize(rank.reindex(seen.index), [30, 60])
        later = pd.Index(IV_REGIMES).get_indexer(pd.Index(seen["iv_regime"], dtype="object"))
        counts = np.zeros((3, 3))
        for before, after in zip(now, later, strict=True):
            counts[before, after] += 1
        expected = (counts + counts.sum(axis=0) / counts.sum()) / (counts.sum(axis=1, keepdims=True) + 1)
        of_fold = stated[stated["fold"] == fold.fold]
        for code, regime in enumerate(IV_REGIMES):
            rows = of_fold.loc[of_fold["current_regime"] == regime, columns].to_numpy()
            np.testing.assert_allclose(rows, np.tile(expected[code], (len(rows), 1)), atol=1e-12)


def test_baselines_stand_wherever_a_model_does_and_those_of_the_index_once_its_window_is_full(
    volatility_forecasts: pd.DataFrame,
) -> None:
    by_model = volatility_forecasts.groupby("model")["session"].apply(tuple)
    assert set(by_model.index) == {
        "volatility_logistic",
        "volatility_online",
        *OF_INDEX,
        "markov",
        "persistence",
        "class_prior",
    }
    assert by_model.drop([*OF_INDEX, "volatility_online"]).nunique() == 1
    assert by_model[[*OF_INDEX, "volatility_online"]].nunique() == 1
    assert set(by_model["volatility_blend"]) < set(by_model["markov"])
    assert by_model["volatility_blend"][-1] == by_model["markov"][-1]
    assert not volatility_forecasts.duplicated(["session", "model"]).any()


def test_all_its_inputs_are_read_and_recorded(volatility_model: FittedModel) -> None:
    fitted = [fold for fold in volatility_model.folds_of("volatility_logistic") if fold.status == "fitted"]
    assert len(fitted) >= 5
    for fold in fitted:
        assert fold.features == VOLATILITY_FORECASTER_FEATURES
        assert fold.threshold is None
    table = volatility_model.input_table().query("model == 'volatility_logistic'")
    assert len(table) == 6 * len(ALL_FEATURES)
    assert table["is_used"].sum() == len(fitted) * 27
    assert set(table.loc[~table["is_used"], "reason"]) == {"not_listed"}


def test_a_session_without_an_iv_rank_has_no_forecast(research: Any, volatility_model: FittedModel) -> None:
    features = research.features.copy()
    features.loc[700, "iv_rank"] = np.nan
    forecasts = volatility_forecaster.predict(volatility_model, features, research.targets, horizon=research.horizon)
    assert features["session"].iloc[700] not in set(forecasts["session"])
    assert features["session"].iloc[701] in set(forecasts["session"])


def test_a_regime_that_never_occurred_gets_probability_zero_and_the_fold_is_fitted(
    slice_of: Callable[..., Any],
) -> None:
    research = slice_of(1200, seed=4)
    targets = research.targets.copy()
    targets.loc[(targets["iv_regime"] == "HIGH") & (targets.index < 300), "iv_regime"] = "LOW"
    model = volatility_forecaster.fit(research.features, targets, horizon=research.horizon, settings=SETTINGS)
    assert model.folds[0].status == "fitted", model.folds[0].reason
    assert model.folds[0].class_counts["HIGH"] == 0
    forecasts = volatility_forecaster.predict(model, research.features, targets, horizon=research.horizon)
    first = forecasts[(forecasts["fold"] == 1) & (forecasts["model"] == "volatility_logistic")]
    assert len(first)
    assert (first["probability_high"] == 0.0).all()
    assert np.allclose(first["probability_low"] + first["probability_normal"], 1.0)


def test_folds_with_a_single_learnable_regime_are_insufficient_and_later_ones_are_not(
    slice_of: Callable[..., Any],
) -> None:
    research = slice_of(600, seed=4)
    targets = research.targets.copy()
    targets.loc[targets.index < 300, "iv_regime"] = "NORMAL"
    model = volatility_forecaster.fit(research.features, targets, horizon=research.horizon, settings=SETTINGS)
    assert model.folds[0].status == "insufficient_data"
    assert model.folds[-1].status == "fitted"
    assert "0 of LOW" in str(model.folds[0].reason)
    forecasts = volatility_forecaster.predict(model, research.features, targets, horizon=research.horizon)
    fitted = sorted({fold.fold for fold in model.folds if fold.status == "fitted"})
    assert sorted(forecasts["fold"].unique()) == fitted


def test_a_slice_without_an_index_gives_no_rows_and_no_crash(research: Any) -> None:
    features = research.features.copy()
    features[[name for name in features.columns if name.startswith(("iv_", "vix_"))]] = np.nan
    targets = research.targets.assign(iv_regime=pd.Series(None, index=research.targets.index, dtype="str"))
    model = volatility_forecaster.fit(features, targets, horizon=research.horizon, settings=SETTINGS)
    assert {fold.status for fold in model.folds} == {"insufficient_data"}
    forecasts = volatility_forecaster.predict(model, features, targets, horizon=research.horizon)
    assert len(forecasts) == 0
    assert tuple(forecasts.columns) == PREDICTIONS_VOLATILITY.column_names


@pytest.mark.files_data
@pytest.mark.parametrize(
    ("ticker", "symbol", "first", "accuracy", "macro_f1"),
    [("SPY", "VIX", "2011", 0.774, 0.626), ("SPY", "VIX", "2004", 0.794, 0.699), ("QQQ", "VXN", "2011", 0.751, 0.694)],
)
def test_persistence_scores_what_was_measured_on_real_data(
    real_data: Path, ticker: str, symbol: str, first: str, accuracy: float, macro_f1: float
) -> None:
    """The contract's figures (section 10), through fit, predict and evaluate. IV rank and labels are rebuilt here."""
    bars = pd.read_parquet(real_data / "prices_daily.parquet", filters=[("ticker", "==", ticker)])
    index = pd.read_parquet(real_data / "volatility_index.parquet", filters=[("symbol", "==", symbol)])
    sessions = pd.DatetimeIndex(pd.to_datetime(bars["session"])).as_unit("us")
    closes = index.set_index(pd.to_datetime(index["session"]))["close"].reindex(sessions).ffill(limit=10)
    low, high = closes.rolling(252).min(), closes.rolling(252).max()
    rank = (closes - low) / (high - low) * 100
    window = (rank.index >= first) & (rank.index <= "2024-12-31")
    horizon = horizon_of("168h")
    days = rank.index[window]
    ahead = target_sessions(days, horizon)
    future = rank.reindex(ahead).to_numpy()
    known = np.isfinite(future) & np.isfinite(rank[window].to_numpy())
    regime = np.where(future < 30, "LOW", np.where(future < 60, "NORMAL", "HIGH"))
    features = table_frame(
        FEATURE_TABLE, {"ticker": ticker, "session": days, "iv_rank": rank[window].to_numpy()}, rows=len(days)
    )
    targets = table_frame(
        TARGETS,
        {
            "ticker": ticker,
            "horizon": "168h",
            "session": days[known],
            "target_session": ahead[known],
            "target_price": 1.0,
            "forward_return": 0.0,
            "direction": "AMBIGUOUS",
            "iv_regime": regime[known],
        },
        rows=int(known.sum()),
    )
    model = volatility_forecaster.fit(features, targets, horizon=horizon, settings=SETTINGS)
    forecasts = volatility_forecaster.predict(model, features, targets, horizon=horizon)
    scores = evaluate({"volatility": forecasts}, horizon=horizon, settings=BootstrapSettings(draws=100))
    own = scores[(scores["model"] == "persistence") & (scores["baseline"] == "none")].set_index("metric")["value"]
    assert own["accuracy"] == pytest.approx(accuracy, abs=0.005)
    assert own["macro_f1"] == pytest.approx(macro_f1, abs=0.005)
