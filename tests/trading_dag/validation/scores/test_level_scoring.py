"""Scores of the index's forecasts, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from trading_dag.validation.scores.level_scoring import LevelRows, qlike_losses
from trading_dag.validation.scores.metrics import point_weights


def rows() -> LevelRows:
    """Two sessions at 20: quantiles 11, 12 … 29, outcomes 25 and 40."""
    quantiles = np.tile(np.arange(11.0, 30.0), (2, 1))
    return LevelRows(
        level=np.array([20.0, 20.0]), outcome=np.array([25.0, 40.0]), median=np.array([20.0, 20.0]),
        mean=np.array([20.0, 20.0]), quantiles=quantiles, probability_rise=np.array([0.5, 0.8]),
    )  # fmt: skip


def test_each_score_is_what_a_hand_computes() -> None:
    scores = {name: float(value[0]) for name, value in rows().scores(point_weights(2)).items()}
    assert scores["mae"] == (5.0 + 20.0) / 2
    assert scores["coverage_90"] == 0.5
    assert scores["width_90"] == pytest.approx(100 * 18 / 20)
    # Width 18, and 2 / 0.1 times the 11 by which 40 lies above 29; in percent of 20.
    assert scores["winkler_90"] == pytest.approx(100 * (18 + 18 + 20 * 11) / 2 / 20)
    ratio = np.array([25 / 20, 40 / 20])
    assert scores["qlike"] == pytest.approx((ratio - np.log(ratio) - 1).mean())
    assert scores["brier_rise"] == pytest.approx(((0.5 - 1) ** 2 + (0.8 - 1) ** 2) / 2)
    losses = [
        level * (outcome - quantile) if outcome > quantile else (1 - level) * (quantile - outcome)
        for outcome in (25.0, 40.0)
        for level, quantile in zip(np.arange(1, 20) / 20, np.arange(11.0, 30.0), strict=True)
    ]
    assert scores["pinball"] == pytest.approx(100 * np.mean(losses) / 20)


def test_qlike_is_least_for_the_mean_and_worse_below_than_above() -> None:
    outcomes = np.array([10.0, 12.0, 40.0])
    at = {forecast: qlike_losses(np.full(3, forecast), outcomes).mean() for forecast in (15.0, 20.0, outcomes.mean())}
    assert min(at, key=at.__getitem__) == outcomes.mean()
    assert qlike_losses(np.array([10.0]), np.array([20.0])) > qlike_losses(np.array([40.0]), np.array([20.0]))
