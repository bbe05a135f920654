"""The picture of importance shows groups before features, the most missed first, and says when there is nothing."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from trading_dag.plots.importance import importance_of_features

ROWS = pd.DataFrame(
    {
        "ticker": "SPY",
        "horizon": "24h",
        "model": ["direction_logistic"] * 3 + ["direction_xgboost"],
        "kind": ["feature", "feature", "group", "feature"],
        "feature": ["rsi_14", "roc_5", "technical", "rsi_14"],
        "importance": [0.01, 0.02, 0.015, 0.03],
        "ci_low": [0.0, 0.01, 0.01, 0.02],
        "ci_high": [0.02, 0.03, 0.02, 0.04],
    }
)


def words(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_groups_stand_before_features_and_the_most_missed_first() -> None:
    figure = importance_of_features(ROWS)
    assert words(figure) == ["TECHNICAL", "roc_5", "rsi_14", "rsi_14"]
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["direction logistic", "direction xgboost"]
    points = figure.axes[0].lines[1]
    assert points.get_xdata().tolist() == [0.015, 0.02, 0.01]


def test_no_rows_are_said_in_words() -> None:
    figure = importance_of_features(ROWS.iloc[:0])
    assert any("insufficient data" in text.get_text() for text in figure.texts)
