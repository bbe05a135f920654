"""The figures of monitoring show what their tables say, also where these have nothing to show."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.trading_dag.drift.forecasts import SESSIONS
from trading_dag.frames import table_frame
from trading_dag.plots.monitoring import accuracy_through_time, drift_through_time, share_by_report
from trading_dag.schemas import ACCURACY, DRIFT


def reports() -> pd.DataFrame:
    """Two reports of four features, one and then three beyond their limits, and a forecast that always is."""
    frames = []
    for session, beyond in ((SESSIONS[0], 1), (SESSIONS[1], 3)):
        values = {
            "ticker": "SPY", "horizon": "24h", "as_of_session": session, "n_recent": 60, "n_reference": 900,
            "feature": [*(f"feature_{place}" for place in range(4)), "direction.probability_up"],
            "kind": ["feature"] * 4 + ["prediction"], "psi": [0.5, 0.4, 0.3, 0.2, 0.9], "psi_limit": 0.35,
            "is_breached": [place < beyond for place in range(4)] + [True],
        }  # fmt: skip
        frames.append(table_frame(DRIFT, values, rows=5))
    return pd.concat(frames, ignore_index=True)


def accuracy(gain: float) -> pd.DataFrame:
    values = {
        "ticker": "SPY", "horizon": "24h", "as_of_session": SESSIONS[:80], "task": "direction", "metric": "brier_sign",
        "model": "direction_shrunk", "baseline": "climatology", "judged_on": "out_of_sample",
        "first_session": SESSIONS[0], "last_session": SESSIONS[0], "n": 60, "n_reference": 300, "value": 0.25 - gain,
        "baseline_value": 0.25, "gain": gain, "expected_gain": 0.0, "band_low": -0.001, "band_high": 0.002,
        "is_breached": gain < -0.001,
    }  # fmt: skip
    return table_frame(ACCURACY, values, rows=80)


def test_the_share_of_a_report_counts_features_alone() -> None:
    assert share_by_report(reports()).tolist() == [0.25, 0.75]
    unmarked = reports().assign(kind=None)  # as stored before forecasts were reported too
    assert share_by_report(unmarked).tolist() == [0.4, 0.8]


def test_what_moved_most_stands_first_with_its_name() -> None:
    figure = drift_through_time(reports(), breached_share=0.2)
    left, right = figure.axes
    names = [text.get_text() for text in left.texts]
    assert names == ["direction.probability_up", "feature_0", "feature_1", "feature_2", "feature_3"]
    assert right.lines[0].get_ydata().tolist() == [0.25, 0.75]
    assert any("2" in text.get_text() for text in figure.texts)


@pytest.mark.parametrize(("gain", "red"), [(-0.002, 80), (0.0, 0)])
def test_the_gain_is_red_where_it_is_outside_its_band(gain: float, red: int) -> None:
    figure = accuracy_through_time(accuracy(gain))
    (axes,) = figure.axes
    drawn = pd.Series(axes.lines[-1].get_ydata())
    assert drawn.notna().sum() == red
    low, high = axes.get_ylim()
    assert low < min(gain, -0.001) < 0.002 < high


def test_nothing_to_show_is_said_in_words() -> None:
    for figure in (
        drift_through_time(reports().iloc[:0], breached_share=0.2),
        accuracy_through_time(accuracy(0.0).iloc[:0]),
    ):
        assert "insufficient data" in [text.get_text() for text in figure.texts]
