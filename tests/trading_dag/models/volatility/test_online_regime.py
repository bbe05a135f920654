"""The blend that learns on says what a fit of every outcome known by then would say, and knows none that came later."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.trading_dag.models.volatility.simulated_index import index_slice
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.volatility import volatility_forecaster
from trading_dag.models.volatility.level_forecast import LevelForecaster
from trading_dag.models.volatility.level_inputs import LEVEL_INPUTS, level_inputs, levels_at_target
from trading_dag.models.volatility.online_regime import KnownLevels, online_probabilities
from trading_dag.models.volatility.ordered_logit import OrderedLogit
from trading_dag.models.volatility.regime_forecaster import RegimeForecaster
from trading_dag.schemas import IV_REGIMES
from trading_dag.setting_groups import WalkForwardSettings
from trading_dag.slices import horizon_of

HORIZON = horizon_of("72h")
FIRST, LAST = 1_400, 1_600
PROBABILITIES = [f"probability_{name.lower()}" for name in IV_REGIMES]


@pytest.fixture(scope="module")
def frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    return index_slice(2_000, seed=5)


@pytest.fixture(scope="module")
def rows(frames: tuple[pd.DataFrame, pd.DataFrame]) -> KnownLevels:
    features, targets = frames
    labels = targets.set_index("session").reindex(features["session"])
    return KnownLevels.of(
        level_inputs(features, horizon=HORIZON)[list(LEVEL_INPUTS)].to_numpy(dtype=np.float64),
        pd.Series(levels_at_target(features, targets), index=targets["session"])
        .reindex(features["session"]).to_numpy(),
        pd.Index(IV_REGIMES).get_indexer(pd.Index(labels["iv_regime"], dtype="object")).astype(np.int64),
        labels["target_session"].to_numpy(dtype="datetime64[us]"),
        counts=np.ones(len(features), dtype=bool),
    )  # fmt: skip


def _said_online(part: LevelForecaster | OrderedLogit, rows: KnownLevels, asked: np.ndarray) -> np.ndarray:
    """What a part that was fitted on the first rows says of others, once all up to ``LAST`` are known."""
    said, through = online_probabilities(
        RegimeForecaster([("part", part)]), asked, np.full(len(asked), rows.ends[LAST - 1]),
        known=rows, fitted_through=rows.ends[FIRST - 1],
    )  # fmt: skip
    assert (through == rows.ends[LAST - 1]).all()
    return said


def test_the_level_learnt_on_is_the_level_fitted_anew_on_all_that_is_known(rows: KnownLevels) -> None:
    old = LevelForecaster().fit(rows.values[:FIRST], rows.levels[:FIRST])
    new = LevelForecaster().fit(rows.values[:LAST], rows.levels[:LAST])
    asked = rows.values[LAST::10]
    # 400 quantiles stand for the residuals in a fit; learnt on, they are counted themselves. The usual volatility, by
    # which residuals are divided, is that of the first rows.
    assert _said_online(old, rows, asked) == pytest.approx(new.predict_proba(asked), abs=0.01)


def test_the_ordered_regression_learnt_on_comes_to_what_a_fit_of_all_that_is_known_comes_to(rows: KnownLevels) -> None:
    old = OrderedLogit().fit(rows.values[:FIRST], rows.codes[:FIRST])
    new = OrderedLogit().fit(rows.values[:LAST], rows.codes[:LAST])
    asked = rows.values[::20]
    refit, frozen = new.predict_proba(asked), old.predict_proba(asked)
    error = np.abs(_said_online(old, rows, asked) - refit)
    assert error.max() < 0.1 * np.abs(frozen - refit).max()
    assert error.mean() < 0.1 * np.abs(frozen - refit).mean()


def test_an_outcome_of_a_class_that_was_never_shown_moves_nothing_and_gets_nothing(rows: KnownLevels) -> None:
    shown = rows.codes[:FIRST] != 2
    first = KnownLevels(
        *(np.asarray(part)[:FIRST][shown] for part in (rows.values, rows.levels, rows.codes, rows.ends))
    )
    fitted = OrderedLogit().fit(first.values, first.codes)
    highs = np.flatnonzero(rows.codes[FIRST:] == 2) + FIRST
    later = KnownLevels(
        np.vstack([first.values, rows.values[highs]]), np.append(first.levels, rows.levels[highs]),
        np.append(first.codes, rows.codes[highs]), np.append(first.ends, rows.ends[highs]),
    )  # fmt: skip
    said, _ = online_probabilities(
        RegimeForecaster([("part", fitted)]), rows.values[-1:], rows.ends[-1:], known=later,
        fitted_through=first.ends[-1],
    )  # fmt: skip
    assert said[0, :2] == pytest.approx(fitted.predict_proba(rows.values[-1:])[0])
    assert said[0, 2] == 0.0


@pytest.fixture(scope="module")
def model(frames: tuple[pd.DataFrame, pd.DataFrame]) -> FittedModel:
    return volatility_forecaster.fit(*frames, horizon=HORIZON, settings=WalkForwardSettings())


def test_no_outcome_counts_before_the_session_at_which_it_is_known(
    frames: tuple[pd.DataFrame, pd.DataFrame], model: FittedModel
) -> None:
    features, targets = frames
    changed = targets.copy()
    last = features["session"].iloc[1_500]
    later = changed["target_session"] > last
    changed.loc[later, "iv_regime"] = changed.loc[later, "iv_regime"].map({"LOW": "HIGH", "HIGH": "LOW"}).fillna("LOW")
    before, after = (
        volatility_forecaster.predict(model, features, labels, horizon=HORIZON)
        .query("model == 'volatility_online'")
        .set_index("session")
        for labels in (targets, changed)
    )
    assert (before["fitted_through"] <= before.index).all()
    assert before["fitted_through"].nunique() > 500
    pd.testing.assert_frame_equal(before.loc[:last, PROBABILITIES], after.loc[:last, PROBABILITIES])
    assert not before.loc[last:, PROBABILITIES].equals(after.loc[last:, PROBABILITIES])
