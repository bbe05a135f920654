"""The page of models shows the rows of the warehouse, and its figures draw exactly the frames beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.versioned_reader import VersionedReader
from trading_dag.dashboard.views import model_charts as charts
from trading_dag.dashboard.views import model_data as data
from trading_dag.frames import table_frame
from trading_dag.schemas import (
    METRICS,
    PREDICTIONS_DIRECTION,
    PREDICTIONS_VOLATILITY,
    REGISTRY,
)

SLICE = {"ticker": "SPY", "horizon": "24h"}
KEY = SliceKey("SPY", "24h")
DAYS = pd.bdate_range("2024-01-02", periods=6).as_unit("us")


@pytest.fixture
def reader(tmp_path: Path) -> VersionedReader:
    store = ParquetStore(tmp_path)
    said = {
        **SLICE, "session": DAYS, "target_session": DAYS + pd.offsets.BDay(), "model": "direction_shrunk",
        "fold": [1, 1, 1, 1, 2, 2], "fitted_through": DAYS[0], "y_true": ["UP", "UP", "DOWN", "AMBIGUOUS", "UP", None],
        "forward_return": [0.01, 0.02, -0.01, 0.001, 0.03, np.nan], "y_pred": ["UP", "DOWN", "UP", "UP", "UP", "UP"],
        "probability_up": [0.55, 0.45, 0.55, 0.55, 0.55, 0.55], "probability_event": "rise", "threshold": 0.5,
        "confidence": 0.55, "is_baseline": False, "is_out_of_sample": True,
    }  # fmt: skip
    store.write(PREDICTIONS_DIRECTION, KEY, table_frame(PREDICTIONS_DIRECTION, said, rows=6))
    volatility = {
        **SLICE, "session": DAYS[:2], "target_session": DAYS[1:3], "model": "volatility_blend", "fold": 1,
        "fitted_through": DAYS[0], "y_true": ["LOW", "HIGH"], "current_regime": "LOW", "y_pred": "LOW",
        "probability_low": 0.75, "probability_normal": 0.25, "probability_high": 0.0, "confidence": 0.75,
        "expected_change": "STABLE", "is_baseline": False, "is_out_of_sample": True,
    }  # fmt: skip
    store.write(PREDICTIONS_VOLATILITY, KEY, table_frame(PREDICTIONS_VOLATILITY, volatility, rows=2))
    fitted = {
        **SLICE, "model": "direction_shrunk", "fold": [1, 2], "version": "v", "status": "fitted",
        "train_first_session": pd.Timestamp("2020-01-02"), "train_last_session": DAYS[0], "n_train": [100, 110],
        "fitted_through": [pd.Timestamp("2023-12-29"), DAYS[3]], "n_features": 3, "hyperparameters": "{}",
        "training": "{}", "class_counts": "{}", "libraries": "{}", "inputs": "{}",
    }  # fmt: skip
    store.write(REGISTRY, KEY, table_frame(REGISTRY, fitted, rows=2))
    scored = {
        **SLICE, "task": "direction", "model": "direction_shrunk", "is_served": True,
        "metric": ["brier_sign", "brier_sign", "brier_sign", "hit_rate"],
        "baseline": ["climatology", "none", "previous_direction", "climatology"], "value": [0.2, 0.2, 0.2, 0.6],
        "baseline_value": [0.25, np.nan, 0.5, 0.5], "difference": [0.05, np.nan, 0.3, 0.1],
        "difference_ci_low": [0.01, np.nan, 0.2, -0.1], "difference_ci_high": [0.09, np.nan, 0.4, 0.3],
        "verdict": ["skilled", "unskilled", "no_verdict", "admissible"], "n": 5, "n_ambiguous": 1,
    }  # fmt: skip
    store.write(METRICS, KEY, table_frame(METRICS, scored, rows=4))
    return VersionedReader(store)


def test_scores_are_the_differences_of_the_table_with_their_intervals_and_unfair_ones_only_in_the_table(reader):
    metrics = data.metrics_data(reader, "SPY", "24h", "direction")
    assert data.metric_names(metrics, "direction") == ["brier_sign", "hit_rate"]
    scores = data.scores_data(metrics, "brier_sign")
    assert scores["difference"].tolist() == [0.05, 0.3]
    drawn = charts.scores_figure(scores, unit="probability squared").data
    assert [list(trace.x) for trace in drawn] == [[0.05]]
    assert drawn[0].error_x.array[0] == pytest.approx(0.04)
    assert drawn[0].error_x.arrayminus[0] == pytest.approx(0.04)
    assert drawn[0].marker.symbol == ("circle",)
    unfair = charts.scores_figure(scores[scores["verdict"] == "no_verdict"], unit="").data
    assert [list(trace.x) for trace in unfair] == [[0.3]]


def test_folds_forecast_after_what_they_learnt_from(reader: VersionedReader):
    folds = data.folds_data(reader, "SPY", "24h", "direction", "direction_shrunk")
    assert folds["forecasts"].tolist() == [4, 2]
    assert folds["first_forecast"].tolist() == [DAYS[0], DAYS[4]]
    learnt, forecast = charts.folds_figure(folds).data
    assert list(learnt.y) == ["fold 1", "newest"]
    assert pd.Timestamp(forecast.base[1]) == DAYS[4]
    assert data.models_of(reader, "SPY", "24h", "direction") == ["direction_shrunk"]
    assert data.models_of(reader, "SPY", "24h", "price") == []


def test_reliability_counts_rises_among_known_outcomes_in_bins(reader: VersionedReader):
    rows = data.reliability_data(reader, "SPY", "24h", "direction", "direction_shrunk")
    # Of four forecasts of 55 % three rose; the one of 45 % rose; the sixth has no outcome yet.
    assert rows["n"].tolist() == [1, 4]
    assert rows["share"].tolist() == [1.0, 0.75]
    assert rows["forecast"].tolist() == pytest.approx([0.45, 0.55])
    # Wilson's interval of 3 of 4, by hand: (0.75 + 0.48020) / 1.96040 ± 1.96 / 1.96040 · sqrt(0.046875 + 0.060025).
    assert rows[["low", "high"]].iloc[1].tolist() == pytest.approx([0.30064, 0.95441], abs=2e-4)
    perfect, drawn = charts.reliability_figure(rows).data
    assert list(drawn.y) == [100.0, 75.0]
    assert perfect.hoverinfo == "skip"
    of_regimes = data.reliability_data(reader, "SPY", "24h", "volatility", "volatility_blend")
    assert of_regimes.set_index("what")["share"].to_dict() == {"LOW": 0.5, "NORMAL": 0.0, "HIGH": 0.5}
    assert data.reliability_data(reader, "SPY", "24h", "allocation", "x").empty


def test_calls_are_counted_by_what_came_and_moves_in_the_dead_band_are_left_out(reader: VersionedReader):
    calls = data.confusion_data(reader, "SPY", "24h", "direction", "direction_shrunk")
    assert calls["sessions"].sum() == 4
    heat = charts.confusion_figure(calls, data.CLASSES["direction"]).data[0]
    assert np.asarray(heat.customdata).tolist() == [[2, 1], [1, 0]]
    assert np.asarray(heat.z)[1].tolist() == [100.0, 0.0]


def test_states_are_drawn_on_the_closes_of_their_sessions():
    states = pd.DataFrame(
        {
            "session": DAYS[:4], "close": [10.0, 11.0, 12.0, 13.0], "probability": [0.9, 0.8, 0.7, 0.6],
            "state": ["consolidation", "consolidation", "momentum_uptrend", "consolidation"],
        }
    )  # fmt: skip
    drawn = {(trace.name, trace.yaxis): trace for trace in charts.states_figure(states, ticker="SPY").data}
    own = drawn["momentum uptrend", None]
    assert [value for value in own.y if not np.isnan(value)] == [12.0, 13.0]
    assert [value for value in own.customdata if not np.isnan(value)] == [70.0]
    assert {place for place in drawn["consolidation", "y2"].y if not np.isnan(place)} == {2.0}


def test_versions_and_trials_are_drawn_only_where_there_are_some():
    versions = pd.DataFrame(
        {
            "family": ["direction_classifier"] * 2, "model_version": ["aa", "bb"], "serves": [True, False],
            "difference": [0.1, np.nan], "difference_ci_low": [0.0, np.nan], "difference_ci_high": [0.3, np.nan],
            "reason": ["no worse", None],
        }
    )  # fmt: skip
    (drawn,) = charts.versions_figure(versions).data
    assert list(drawn.x) == [0.1]
    assert drawn.error_x.array[0] == pytest.approx(0.2)
    assert charts.versions_figure(versions.iloc[1:]) is None
    trials = pd.DataFrame(
        {"trial": [2, 0, 1], "state": ["complete", "complete", "pruned"], "value": [0.3, 0.2, 0.5], "score": "rps",
         "reference_value": 0.25}
    )  # fmt: skip
    tried = {trace.name: trace for trace in charts.trials_figure(trials).data}
    assert list(tried["complete"].y) == [0.2, 0.3]
    assert list(tried["pruned"].y) == [0.5]
    assert list(tried["best so far"].y) == [0.2, 0.2]
