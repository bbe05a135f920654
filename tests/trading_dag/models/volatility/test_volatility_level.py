"""predictions.volatility_level: distributions of the index, the random walk beside them, and which way it goes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.trading_dag.models.volatility.simulated_index import index_slice
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.volatility import volatility_forecaster
from trading_dag.models.volatility.volatility_level import direction_of_level, predict_level, random_walk
from trading_dag.quality import conform
from trading_dag.schemas import PREDICTIONS_VOLATILITY_LEVEL, QUANTILE_COLUMNS, QUANTILE_LEVELS
from trading_dag.setting_groups import BootstrapSettings, WalkForwardSettings
from trading_dag.slices import horizon_of
from trading_dag.validation.verdicts.evaluation import evaluate

HORIZON = horizon_of("72h")
MODEL = "volatility_har"
Made = tuple[pd.DataFrame, pd.DataFrame, FittedModel, pd.DataFrame]


def make(features: pd.DataFrame, targets: pd.DataFrame) -> Made:
    model = volatility_forecaster.fit(features, targets, horizon=HORIZON, settings=WalkForwardSettings())
    return features, targets, model, predict_level(model, features, targets, horizon=HORIZON)


@pytest.fixture(scope="module")
def made() -> Made:
    return make(*index_slice(2_400, seed=1))


def test_it_is_a_valid_table_with_the_model_and_the_random_walk_on_the_same_sessions(made: Made) -> None:
    features, targets, model, table = made
    pd.testing.assert_frame_equal(conform(table, PREDICTIONS_VOLATILITY_LEVEL, slice_key="72h|SPY"), table)
    by_model = table.groupby("model")["session"].apply(tuple)
    assert set(by_model.index) == {MODEL, "random_walk"}
    assert by_model.nunique() == 1
    quantiles = table[list(QUANTILE_COLUMNS)].to_numpy()
    assert (np.diff(quantiles, axis=1) >= 0).all()
    np.testing.assert_array_equal(table["y_pred"], table["quantile_50"])
    own = table[table["model"] == MODEL]
    assert set(own["model_version"]) == {model.model_version}
    regimes = volatility_forecaster.predict(model, features, targets, horizon=HORIZON)
    assert set(own["session"]) == set(regimes.loc[regimes["model"] == MODEL, "session"])


def test_the_outcome_is_the_index_at_the_target_and_missing_where_it_is_not_there(made: Made) -> None:
    features, _, _, table = made
    closes = features.set_index("session")["vix_close"]
    own = table[table["model"] == MODEL]
    np.testing.assert_array_equal(own["index_level"], closes.reindex(own["session"]))
    np.testing.assert_array_equal(own["y_true"].iloc[:-3], closes.reindex(own["target_session"].iloc[:-3]))
    assert own["y_true"].iloc[-3:].isna().all()


def test_the_random_walk_has_the_quantiles_of_the_moves_that_had_ended(made: Made) -> None:
    features, _, _, table = made
    logs = np.log(features["vix_close"].to_numpy())
    # A move counts where its end has a regime, for which the rank's window must be full.
    moves = pd.Series(logs[3:] - logs[:-3])[251 - 3 :]
    walk = table[table["model"] == "random_walk"].set_index("session")
    for day in (900, 1_500, 2_399):
        known = moves[moves.index + 3 <= day].to_numpy()
        row = walk.loc[features["session"].iloc[day]]
        expected = np.exp(logs[day] + np.quantile(known, QUANTILE_LEVELS))
        np.testing.assert_allclose(row[list(QUANTILE_COLUMNS)].to_numpy(dtype=float), expected, rtol=1e-12)
        assert row["expected_level"] == pytest.approx(np.exp(logs[day] + known).mean(), rel=1e-12)
        assert row["probability_rise"] == pytest.approx((known > 0).mean())
        assert row["fitted_through"] == features["session"].iloc[day]


def test_moves_that_ended_later_are_unknown_to_the_random_walk() -> None:
    ends = np.array(["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07"], dtype="datetime64[us]")
    moves = np.array([0.1, -0.1, np.nan, 5.0])
    found = random_walk(np.array([10.0]), ends[2:3], moves=moves, ends=ends)
    assert found["quantile_95"][0] < 10.0 * np.exp(0.1)
    assert found["fitted_through"][0] == ends[1]


def test_the_walk_has_no_skill_to_lose_where_the_index_is_one() -> None:
    generator = np.random.default_rng(5)
    gains = []
    for _ in range(3):
        closes = np.exp(3.0 + 0.05 * np.cumsum(generator.normal(size=2_400)))
        *_, table = make(*index_slice(closes=closes))
        scores = evaluate({"volatility_level": table}, horizon=HORIZON, settings=BootstrapSettings(draws=100))
        rows = scores.set_index(["model", "metric", "baseline"])
        row = rows.loc[(MODEL, "pinball", "random_walk")]
        gains.append(row["difference"] / row["baseline_value"])
    assert np.mean(gains) < 0.002


def test_on_a_process_of_its_kind_it_beats_the_walk_and_covers_what_it_says(made: Made) -> None:
    table = made[-1]
    scores = evaluate({"volatility_level": table}, horizon=HORIZON, settings=BootstrapSettings(draws=200))
    rows = scores.set_index(["model", "metric", "baseline"])
    for metric in ("pinball", "winkler_90", "qlike", "mae", "brier_rise", "coverage_90", "width_90"):
        assert (MODEL, metric, "random_walk") in rows.index
    assert rows.loc[(MODEL, "pinball", "random_walk"), "verdict"] == "skilled"
    # The first folds learn from a few hundred overlapping sessions of a process that has restless spells, so they say
    # too little of these. On long training parts the estimator's own test is stricter.
    assert rows.loc[(MODEL, "coverage_90", "none"), "value"] == pytest.approx(0.9, abs=0.05)
    served = scores.groupby("model")["is_served"]
    assert served.all()[MODEL]
    assert not served.any()["random_walk"]


def test_forecasts_are_the_same_whatever_comes_after(made: Made) -> None:
    features, targets, model, table = made
    changed = features.copy()
    changed.loc[2_001:, ["vix_close", "iv_rank"]] = [60.0, 99.0]
    last = features["session"].iloc[2_000]
    later = predict_level(model, changed, targets, horizon=HORIZON)
    facts = ["y_true"]
    pd.testing.assert_frame_equal(
        later[later["session"] <= last].drop(columns=facts).reset_index(drop=True),
        table[table["session"] <= last].drop(columns=facts).reset_index(drop=True),
    )


def test_the_direction_is_called_at_six_tenths_and_four_tenths() -> None:
    found = direction_of_level(np.array([0.0, 0.4, 0.41, 0.5, 0.59, 0.6, 1.0])).tolist()
    assert found == ["CONTRACTING", "CONTRACTING", "STABLE", "STABLE", "STABLE", "EXPANDING", "EXPANDING"]


def test_without_a_fitted_fold_there_are_no_rows() -> None:
    features, targets = index_slice(closes=np.full(900, 18.0))
    *_, table = make(features, targets)
    assert table.empty
    assert tuple(table.columns) == PREDICTIONS_VOLATILITY_LEVEL.column_names
