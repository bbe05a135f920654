"""Allocation ensemble: positions know nothing of what follows, noise is answered by the mean, a told return pays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from resources.storage.models.store import ModelStore
from trading_dag.models.allocation import allocation_ensemble
from trading_dag.models.allocation.allocation_forecasts import predict
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.quality import conform
from trading_dag.schemas import PREDICTIONS_ALLOCATION
from trading_dag.setting_groups import AllocationSettings, PriceStackSettings, WalkForwardSettings
from trading_dag.validation.scores.allocation_scoring import AllocationRows
from trading_dag.validation.scores.baselines import BUY_AND_HOLD, VOLATILITY_MANAGED
from trading_dag.validation.scores.metrics import point_weights

SETTINGS, SMALL = WalkForwardSettings(), PriceStackSettings(minimum_rows=100)
MODELS = {"allocation_ensemble", "allocation_linear"}
LEARNERS = {"allocation_elastic_net", "allocation_lightgbm", "allocation_xgboost"}


def with_volatility(features: pd.DataFrame) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    hv = 18.0 + generator.normal(0, 1.0, (len(features), 2))
    return features.assign(hv_20=hv[:, 0], hv_60=hv[:, 1], fed_funds_effective=2.0)


def fit(research: Any, **changed: Any) -> FittedModel:
    given = {"features": with_volatility(research.features), "targets": research.targets} | changed
    return allocation_ensemble.fit(
        given["features"], given["targets"], horizon=research.horizon, settings=SETTINGS, stack=SMALL
    )


def positions(fitted: FittedModel, research: Any, **changed: Any) -> pd.DataFrame:
    given = {"features": with_volatility(research.features), "targets": research.targets} | changed
    return predict(
        fitted, given["features"], given["targets"], horizon=research.horizon, allocation=AllocationSettings()
    )


def sharpe_of(frame: pd.DataFrame, model: str) -> float:
    rows = frame[(frame["model"] == model) & frame["y_true"].notna()]
    return float(AllocationRows.of(rows).scores(point_weights(len(rows)))["adjusted_sharpe"][0])


@pytest.fixture(scope="module")
def quiet(slice_of: Callable[..., Any]) -> Any:
    """A slice whose features say nothing of the return."""
    return slice_of(1_200, seed=3, signal=0.0)


@pytest.fixture(scope="module")
def fitted(quiet: Any) -> FittedModel:
    return fit(quiet)


@pytest.fixture(scope="module")
def held(fitted: FittedModel, quiet: Any) -> pd.DataFrame:
    return positions(fitted, quiet)


def test_the_positions_are_a_valid_table_of_models_and_baselines(held: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(conform(held, PREDICTIONS_ALLOCATION, slice_key="72h|SPY"), held)
    assert set(held["model"]) == MODELS | {BUY_AND_HOLD, VOLATILITY_MANAGED}
    assert (held["fitted_through"] <= held["session"]).all()
    assert held["position"].between(0.0, 2.0).all()
    whole = held[held["model"] == BUY_AND_HOLD]
    assert (whole["position"] == 1.0).all()
    known = whole.dropna(subset=["y_true"])
    np.testing.assert_allclose(known["strategy_return"], known["y_true"], rtol=0, atol=1e-15)
    assert whole["cash_return"].iloc[0] == pytest.approx(0.02 * 3 / 252)


def test_every_fold_is_fitted_or_says_why_not(fitted: FittedModel, quiet: Any) -> None:
    assert set(fitted.models) == MODELS | LEARNERS
    assert {fold.status for fold in fitted.folds} == {"fitted"}
    short = fit(quiet, targets=quiet.targets.iloc[:300])
    first = short.folds_of("allocation_ensemble")[0]
    assert (first.status, first.reason) == ("insufficient_data", f"fewer than 100 training rows: {first.n_train}")
    constant = fit(
        quiet,
        targets=quiet.targets.assign(forward_return=0.001),
        features=with_volatility(quiet.features).assign(hv_20=18.0, hv_60=18.0),
    )
    assert constant.folds_of("allocation_ensemble")[0].reason == "the returns of the training part do not vary"


def test_noise_moves_the_ensemble_less_than_least_squares(held: pd.DataFrame) -> None:
    spread = held[held["model"].isin(MODELS)].groupby("model")["forecast"].std()
    assert spread["allocation_ensemble"] < spread["allocation_linear"]


def test_a_return_that_a_feature_tells_is_found_and_pays(quiet: Any) -> None:
    features = with_volatility(quiet.features)
    told = features["returns_5d"].to_numpy()[: len(quiet.targets)]
    generator = np.random.default_rng(5)
    returns = 0.002 + 0.01 * (told - np.nanmean(told)) / np.nanstd(told) + generator.normal(0, 0.01, len(told))
    targets = quiet.targets.assign(forward_return=returns)
    frame = positions(fit(quiet, features=features, targets=targets), quiet, features=features, targets=targets)
    assert sharpe_of(frame, "allocation_ensemble") > sharpe_of(frame, VOLATILITY_MANAGED) + 0.5


def test_what_follows_a_session_changes_no_position_up_to_it(
    quiet: Any, fitted: FittedModel, held: pd.DataFrame
) -> None:
    cut = fitted.folds_of("allocation_ensemble")[2].serves_from
    features = with_volatility(quiet.features)
    generator = np.random.default_rng(1)
    later = (features["session"] > cut).to_numpy()
    for name in ("returns_1d", "returns_5d", "hv_20", "hv_60"):
        features.loc[later, name] = generator.normal(20.0, 1.0, int(later.sum()))
    targets = quiet.targets.copy()
    unknown = (targets["target_session"] > cut).to_numpy()
    targets.loc[unknown, "forward_return"] = generator.normal(0.0, 0.05, int(unknown.sum()))
    changed = positions(fit(quiet, features=features, targets=targets), quiet, features=features, targets=targets)
    before, after = (frame[frame["session"] <= cut].set_index(["session", "model"]) for frame in (held, changed))
    pd.testing.assert_series_equal(before["position"], after["position"], check_exact=True)
    assert not held.set_index(["session", "model"])["position"].equals(
        changed.set_index(["session", "model"])["position"]
    )


def test_a_stored_ensemble_holds_the_same_positions_and_twice_the_same_is_the_same(
    fitted: FittedModel, quiet: Any, held: pd.DataFrame, tmp_path: Path
) -> None:
    assert fit(quiet).content_hash() == fitted.content_hash()
    store = ModelStore(tmp_path)
    store.save(fitted)
    loaded = store.load("allocation_ensemble", ticker="SPY", horizon="72h")
    pd.testing.assert_frame_equal(positions(loaded, quiet), held, check_exact=True)


def test_without_a_rate_cash_earns_nothing(quiet: Any) -> None:
    features = with_volatility(quiet.features).drop(columns="fed_funds_effective").assign(fed_funds_effective=np.nan)
    frame = positions(fit(quiet, features=features), quiet, features=features)
    assert (frame["cash_return"] == 0.0).all()
