"""What is told of a slice agrees with what the policy decides from its reports."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from trading_dag.drift.policy import should_retrain
from trading_dag.drift.standing import standing_of
from trading_dag.frames import table_frame
from trading_dag.schemas import ACCURACY, DRIFT
from trading_dag.sessions import sessions_between
from trading_dag.setting_groups import DriftSettings

SETTINGS = DriftSettings()
DAYS = sessions_between("2024-01-02", "2024-06-28")
NO_SCORES = table_frame(ACCURACY, {}, rows=0)


def reports(shares: list[float], *, first: int = 30) -> pd.DataFrame:
    """Ten features a report, the first of them beyond their limits, and a forecast that always is."""
    frames = []
    for place, share in enumerate(shares):
        values = {
            "ticker": "SPY", "horizon": "24h", "as_of_session": DAYS[first + place], "n_recent": 60,
            "n_reference": 900, "feature": [*(f"feature_{number}" for number in range(10)), "price.interval_width"],
            "kind": ["feature"] * 10 + ["prediction"], "psi": [*(0.1 + 0.01 * number for number in range(10)), 0.9],
            "psi_limit": 0.3, "is_breached": [number < share * 10 for number in range(10)] + [True],
        }  # fmt: skip
        frames.append(table_frame(DRIFT, values, rows=11))
    return pd.concat(frames, ignore_index=True) if frames else table_frame(DRIFT, {}, rows=0)


def scores(breached: list[bool], *, task: str = "direction", baseline: str = "climatology", first: int = 30):
    rows = len(breached)
    values = {
        "ticker": "SPY", "horizon": "24h", "as_of_session": DAYS[first : first + rows], "task": task,
        "metric": "coverage_90" if baseline == "nominal" else "brier_sign", "model": "any", "baseline": baseline,
        "judged_on": "log", "first_session": DAYS[0], "last_session": DAYS[1], "n": 60, "n_reference": 300,
        "value": 0.26, "baseline_value": 0.25, "gain": -0.01, "expected_gain": 0.0, "band_low": -0.002,
        "band_high": 0.002, "is_breached": breached,
    }  # fmt: skip
    return table_frame(ACCURACY, values, rows=rows)


def test_two_scores_below_their_band_in_a_row_ask_for_retraining_whatever_the_features_do() -> None:
    found = standing_of(reports([0.0, 0.0]), scores([True, True]), last_retrained=DAYS[0], settings=SETTINGS)
    assert found.decision.is_due
    assert found.decision.reason == (
        "2 reports in a row breached: direction brier_sign gain -0.0100, band from -0.0020"
    )
    assert found.decision.as_of == DAYS[31]
    assert found.decision.breached_since == DAYS[30]
    for breached in ([True], [False, True], [True, False]):
        once = standing_of(reports([0.0, 0.0]), scores(breached), last_retrained=DAYS[0], settings=SETTINGS)
        assert not once.decision.is_due


def test_one_breach_of_the_features_and_one_of_a_score_are_not_two_in_a_row() -> None:
    found = standing_of(reports([0.9, 0.0]), scores([False, True]), last_retrained=DAYS[0], settings=SETTINGS)
    assert not found.decision.is_due


def test_a_coverage_outside_its_band_and_a_forecast_that_moved_are_told_and_retrain_nothing() -> None:
    found = standing_of(
        reports([0.0, 0.0]), scores([True, True], task="price", baseline="nominal"), last_retrained=DAYS[0],
        settings=SETTINGS,
    )  # fmt: skip
    assert not found.decision.is_due
    assert found.coverage_outside is not None
    assert found.scores_below is None
    assert found.forecasts_beyond == ("price.interval_width",)
    assert (found.features, found.features_beyond, found.share_beyond) == (10, 0, 0.0)


def test_what_drifted_most_is_the_largest_index_beside_its_limit() -> None:
    found = standing_of(reports([0.3]), NO_SCORES, last_retrained=None, settings=SETTINGS)
    assert (found.drifted_most, found.over_limit) == ("price.interval_width", pytest.approx(3.0))
    assert found.share_beyond == 0.3


@pytest.mark.parametrize(
    ("shares", "trained", "next_step"),
    [
        ([], DAYS[0], "waits for a report after the training"),
        ([0.1], DAYS[0], "nothing: the newest reports are within their limits"),
        ([0.1, 0.9], DAYS[0], "1 more breached report in a row asks for it"),
        ([0.9, 0.9], DAYS[0], "retraining is due: the sensor retrain_on_drift asks for it at its next tick"),
        ([0.9, 0.9], DAYS[29], f"rests until {DAYS[49]:%F}, then retrains if the newest reports are still breached"),
    ],
)  # fmt: skip
def test_what_happens_next_is_said_in_a_sentence(shares: list[float], trained: pd.Timestamp, next_step: str) -> None:
    found = standing_of(reports(shares), NO_SCORES, last_retrained=trained, settings=SETTINGS)
    assert found.next_step == next_step
    if "rests" in next_step:
        assert DAYS[49] == sessions_between(trained, DAYS[60])[SETTINGS.rest_sessions]
    assert json.loads(json.dumps(found.record()))["next"] == next_step


def test_reports_from_before_there_were_two_kinds_count_as_features() -> None:
    old = reports([0.9, 0.9]).query("kind == 'feature'").assign(kind=None)
    found = standing_of(old, NO_SCORES, last_retrained=DAYS[0], settings=SETTINGS)
    shares = pd.DataFrame({"as_of_session": DAYS[30:32], "share_breached": [0.9, 0.9]})
    assert found.decision == should_retrain(shares, last_retrained=DAYS[0], settings=SETTINGS, accuracy=NO_SCORES)
    assert found.decision.is_due
