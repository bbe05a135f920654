"""The log is scored on live rows alone, against the baselines of the day, and says when it is too short."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trading_dag.frames import table_frame
from trading_dag.quality import conform
from trading_dag.schemas import LIVE, METRICS, PREDICTIONS_LOG, TARGETS
from trading_dag.sessions import sessions_between, target_sessions
from trading_dag.setting_groups import BootstrapSettings, LiveSettings
from trading_dag.slices import horizon_of
from trading_dag.validation.scores.metrics import ranked_probability_losses
from trading_dag.validation.verdicts.live import score_log, scored_rows

DAY = horizon_of("24h")
SESSIONS = sessions_between("2024-01-02", "2024-12-31")[:80]
REGIMES = np.array(["LOW", "NORMAL", "HIGH"], dtype=object)
GENERATOR = np.random.default_rng(7)
PROBABILITY = GENERATOR.uniform(0.2, 0.8, len(SESSIONS))
RETURNS = GENERATOR.normal(0.0, 0.01, len(SESSIONS))
REGIME = GENERATOR.integers(0, 3, len(SESSIONS))
FORECAST = GENERATOR.dirichlet((1.0, 1.0, 1.0), len(SESSIONS))


def log_of(rows: int = len(SESSIONS), **given) -> pd.DataFrame:
    days = SESSIONS[:rows]
    values = {
        "ticker": "SPY", "horizon": "24h", "session": days, "target_session": target_sessions(days, DAY),
        "recorded_at": days.tz_localize("UTC") + pd.Timedelta(hours=22), "source": "live",
        "timing": "before_next_open", "is_live": True, "direction_model": "direction_shrunk",
        "model_version": "aaaa0001", "fitted_through": days - pd.Timedelta(days=7),
        "direction": np.where(PROBABILITY[:rows] > 0.5, "UP", "DOWN"), "probability_up": PROBABILITY[:rows],
        "threshold": 0.5, "direction_confidence": np.maximum(PROBABILITY, 1 - PROBABILITY)[:rows],
        "usual_probability_up": 0.6, "volatility_model": "volatility_logistic", "volatility_model_version": "aaaa0001",
        "iv_regime": REGIMES[FORECAST[:rows].argmax(axis=1)], "current_regime": "LOW",
        **{f"probability_{name.lower()}": FORECAST[:rows, code] for code, name in enumerate(REGIMES)},
        "usual_probability_low": 0.5, "usual_probability_normal": 0.3, "usual_probability_high": 0.2,
        "structure": "no_trade", "design_size": "NONE", "edge": "no_edge", "position_size": 0.0, "contracts": 0,
        "reasoning": "-",
    }  # fmt: skip
    return table_frame(PREDICTIONS_LOG, values | given, rows=rows)


def targets_of(rows: int = len(SESSIONS)) -> pd.DataFrame:
    days, moves = SESSIONS[:rows], RETURNS[:rows]
    values = {
        "ticker": "SPY", "horizon": "24h", "session": days, "target_session": target_sessions(days, DAY),
        "target_price": 100.0 * (1 + moves), "forward_return": moves,
        "direction": np.where(moves > 0.0045, "UP", np.where(moves < -0.0045, "DOWN", "AMBIGUOUS")),
        "iv_regime": REGIMES[REGIME[:rows]], "spread_class": "HOLD",
    }  # fmt: skip
    return table_frame(TARGETS, {name: values[name] for name in TARGETS.column_names if name in values}, rows=rows)


def metrics_of() -> pd.DataFrame:
    values = {
        "ticker": "SPY", "horizon": "24h", "task": "direction", "model": "direction_shrunk", "metric": "brier_sign",
        "baseline": "climatology", "value": 0.251, "difference": -0.002, "verdict": "unskilled", "n": 900,
        "n_ambiguous": 100,
    }  # fmt: skip
    return table_frame(METRICS, values, rows=1)


def score(log: pd.DataFrame, targets: pd.DataFrame | None = None, *, source: str = "live") -> pd.DataFrame:
    return score_log(
        log, targets_of() if targets is None else targets, metrics_of(), source=source, horizon=DAY,
        bootstrap=BootstrapSettings(draws=200), settings=LiveSettings(),
    )  # fmt: skip


def row_of(scores: pd.DataFrame, metric: str, baseline: str = "climatology") -> pd.Series:
    return scores[(scores["metric"] == metric) & (scores["baseline"] == baseline)].iloc[0]


def test_scores_are_those_of_the_definition_and_baselines_those_of_the_day() -> None:
    scores = score(log_of())
    conform(scores, LIVE, slice_key="ticker=SPY/horizon=24h")
    rose = (RETURNS > 0).astype(float)
    brier = row_of(scores, "brier_sign")
    assert brier["value"] == pytest.approx(np.mean((PROBABILITY - rose) ** 2), abs=1e-12)
    assert brier["baseline_value"] == pytest.approx(np.mean((0.6 - rose) ** 2), abs=1e-12)
    assert brier["difference"] == pytest.approx(brier["baseline_value"] - brier["value"], abs=1e-12)
    assert brier["difference_ci_low"] <= brier["difference"] <= brier["difference_ci_high"]
    assert (brier["n"], brier["n_waiting"], brier["n_not_live"], brier["n_repeated"]) == (80, 0, 0, 0)
    assert (brier["walk_forward_value"], brier["walk_forward_verdict"]) == (0.251, "unskilled")
    outcome = np.eye(3)[REGIME]
    steps = ((FORECAST.cumsum(axis=1) - outcome.cumsum(axis=1)) ** 2)[:, :2].sum(axis=1) / 2
    assert row_of(scores, "rps", "class_prior")["value"] == pytest.approx(steps.mean(), abs=1e-12)
    assert row_of(scores, "accuracy", "persistence")["baseline_value"] == pytest.approx(np.mean(REGIME == 0))
    # A soft forecast proves nothing against the hard calls of persistence.
    is_hard = (scores["baseline"] == "persistence") & (scores["metric"] != "accuracy")
    assert set(scores.loc[is_hard, "verdict"]) == {"no_verdict"}
    assert set(scores.loc[~is_hard, "verdict"]) <= {"skilled", "admissible", "unskilled"}


def test_rps_of_a_forecast_two_classes_off_is_1_and_one_class_off_is_a_half() -> None:
    assert ranked_probability_losses(np.eye(3), np.array([0, 0, 0])).tolist() == [0.0, 0.5, 1.0]
    assert ranked_probability_losses(np.array([[0.2, 0.5, 0.3]]), np.array([1])).item() == pytest.approx(
        (0.2**2 + 0.3**2) / 2
    )


def test_rows_that_are_not_live_change_no_score() -> None:
    live = log_of().assign(is_live=np.arange(80) % 5 != 0)
    lied = live.assign(probability_up=np.where(live["is_live"], live["probability_up"], 0.0))
    pd.testing.assert_frame_equal(score(live), score(lied))
    assert row_of(score(live), "brier_sign")[["n", "n_not_live"]].tolist() == [64, 16]


def test_of_several_records_of_a_session_the_first_counts() -> None:
    later = log_of().assign(model_version="bbbb0002", probability_up=0.0, recorded_at=lambda log: log["recorded_at"]
                            + pd.Timedelta(minutes=5))  # fmt: skip
    both = pd.concat([later, log_of()], ignore_index=True)
    alone, scored = row_of(score(log_of()), "brier_sign"), row_of(score(both), "brier_sign")
    assert scored["value"] == alone["value"]
    assert (scored["n"], scored["n_repeated"]) == (80, 80)


def test_sources_are_never_scored_together() -> None:
    foreign = log_of().assign(source="files", probability_up=0.0)
    scores = score(pd.concat([foreign, log_of()], ignore_index=True))
    own = scores[scores["source"] == "live"].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, score(log_of()))
    others = scores[scores["source"] == "files"]
    assert set(others["verdict"]) == {"insufficient_data"}
    assert set(others["reason"]) == {"the outcomes that are stored are not of files"}
    assert others["n"].eq(0).all()


def test_too_few_outcomes_give_no_value_and_say_how_many_there_are() -> None:
    found = row_of(score(log_of(), targets_of(59)), "brier_sign")
    assert (found["n"], found["n_waiting"], found["verdict"]) == (59, 21, "insufficient_data")
    assert found["reason"] == "59 of 60 sessions"
    assert found[["value", "ci_low", "difference"]].isna().all()
    assert row_of(score(log_of(), targets_of(60)), "brier_sign")["verdict"] != "insufficient_data"


def test_an_empty_log_gives_no_rows() -> None:
    assert score(log_of(0)).empty


def test_what_is_pictured_is_what_is_scored() -> None:
    said = scored_rows(log_of(), targets_of(70), source="live")["direction"]
    own = said[said["model"] == "direction_shrunk"]
    assert own["probability_up"].tolist() == PROBABILITY.tolist()
    assert own["y_true"].isna().sum() == 10
