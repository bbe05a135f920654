"""Positions of the competition know nothing of what follows them, and find skill only where there is some."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trading_dag.errors import InsufficientDataError, SchemaError
from trading_dag.features.hull_market import build_hull_market
from trading_dag.models.allocation.hull_allocation import (
    BUY_AND_HOLD,
    ENSEMBLE,
    LINEAR,
    PUBLISHED,
    VOLATILITY_MANAGED,
    hull_predictions,
)
from trading_dag.schemas import HULL_ALLOCATION, HULL_FEATURES
from trading_dag.setting_groups import AllocationSettings, BootstrapSettings, WalkForwardSettings
from trading_dag.validation.scores.allocation_score import volatility_adjusted_sharpe
from trading_dag.validation.scores.metrics import point_weights
from trading_dag.validation.verdicts.hull_scores import score_hull_positions

SETTINGS, ALLOCATION = WalkForwardSettings(), AllocationSettings()
DAYS = 900


def market_of(days: int = DAYS, *, signal: float = 0.0, seed: int = 1) -> pd.DataFrame:
    """Noise in every feature, and a return that follows the feature M4 as strongly as ``signal`` says."""
    generator = np.random.default_rng(seed)
    columns = {name: generator.normal(size=days) for name in HULL_FEATURES}
    returns = 0.0004 + 0.01 * (signal * columns["M4"] + generator.normal(size=days))
    return pd.DataFrame(
        {
            "date_id": np.arange(days), **columns, "forward_returns": returns, "risk_free_rate": 0.0001,
            "market_forward_excess_returns": returns - 0.0004,
        }
    )  # fmt: skip


def predict(market: pd.DataFrame) -> pd.DataFrame:
    return hull_predictions(build_hull_market(market), market, settings=SETTINGS, allocation=ALLOCATION)


def of(positions: pd.DataFrame, model: str) -> pd.DataFrame:
    return positions[positions["model"] == model].set_index("date_id")


@pytest.fixture(scope="module")
def noise() -> pd.DataFrame:
    return predict(market_of())


def test_the_table_holds_every_model_on_the_same_days_within_the_bounds(noise: pd.DataFrame) -> None:
    assert list(noise.columns) == list(HULL_ALLOCATION.column_names)
    assert set(noise["model"]) == {ENSEMBLE, LINEAR, PUBLISHED, BUY_AND_HOLD, VOLATILITY_MANAGED}
    assert noise.groupby("model").size().nunique() == 1
    assert noise["position"].between(0.0, 2.0).all()
    assert (noise["fitted_through"] < noise["date_id"] - 1).all()  # the return of the last day learnt had ended


def test_what_follows_a_day_changes_no_position_up_to_it() -> None:
    market = market_of(signal=0.3)
    cut = 700
    changed = market.copy()
    later = changed["date_id"] >= cut
    changed.loc[later, "forward_returns"] *= -3.0
    changed.loc[later, "market_forward_excess_returns"] *= -3.0
    generator = np.random.default_rng(9)
    changed.loc[changed["date_id"] > cut, list(HULL_FEATURES)] = generator.normal(
        size=(DAYS - cut - 1, len(HULL_FEATURES))
    )
    before, after = predict(market), predict(changed)
    early = before["date_id"] <= cut
    pd.testing.assert_series_equal(before.loc[early, "position"], after.loc[early, "position"], check_exact=True)
    assert not before.loc[~early, "position"].equals(after.loc[~early, "position"])


def test_a_return_that_a_feature_tells_is_found_and_pays() -> None:
    positions = predict(market_of(1_500, signal=0.5))
    scores = {
        model: volatility_adjusted_sharpe(
            point_weights(len(rows)), *(rows[name].to_numpy() for name in ("position", "forward_return", "cash_return"))
        )[0]
        for model, rows in positions.groupby("model")
    }
    assert scores[ENSEMBLE] > scores[VOLATILITY_MANAGED] + 1.0
    assert of(positions, ENSEMBLE)["forecast"].corr(of(positions, ENSEMBLE)["forward_return"]) > 0.2


def test_noise_gives_the_ensemble_no_more_than_the_mean(noise: pd.DataFrame) -> None:
    ensemble, linear = (of(noise, model)["forecast"] for model in (ENSEMBLE, LINEAR))
    assert ensemble.std() < linear.std()  # the penalty draws to the mean, least squares does not
    scores = score_hull_positions(noise, settings=BootstrapSettings(draws=200))
    row = scores[
        (scores["model"] == ENSEMBLE) & (scores["metric"] == "adjusted_sharpe")
        & (scores["baseline"] == VOLATILITY_MANAGED)
    ].iloc[0]  # fmt: skip
    assert row["verdict"] != "skilled"
    assert row["difference_ci_low"] <= row["difference"] <= row["difference_ci_high"]


def test_holding_the_market_is_a_position_of_one(noise: pd.DataFrame) -> None:
    held = of(noise, BUY_AND_HOLD)
    assert (held["position"] == 1.0).all()
    np.testing.assert_array_equal(held["strategy_return"], held["forward_return"])


def test_twice_the_same_gives_the_same(noise: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(noise, predict(market_of()), check_exact=True)


def test_without_data_there_are_no_rows_and_too_few_days_are_named() -> None:
    empty = market_of().iloc[:0]
    assert predict(empty).empty
    with pytest.raises(InsufficientDataError, match="of the Hull data are too few"):
        predict(market_of(25))


def test_days_of_another_file_are_refused() -> None:
    market = market_of(60)
    features = build_hull_market(market_of(59))
    with pytest.raises(SchemaError, match="has the days of"):
        hull_predictions(features, market, settings=SETTINGS, allocation=ALLOCATION)
