"""A metric's name says which way is better and which comparisons say anything."""

from __future__ import annotations

import numpy as np
import pytest

from trading_dag.validation.scores.metric_meaning import (
    gain,
    lower_is_better,
    nominal_coverage,
    says_nothing_alone,
    scores_probabilities,
)

LOSSES = (
    "brier", "brier_sign", "brier_conditional", "rps", "calibration_error", "mae", "rmse", "winkler_90", "qlike",
    "log_loss", "crps", "pinball", "width_90",
)  # fmt: skip
MERITS = ("accuracy", "hit_rate", "auc_conditional", "macro_f1", "sharpe", "hit_rate_within_2_percent")


def test_losses_are_better_where_they_are_smaller() -> None:
    assert all(lower_is_better(name) for name in LOSSES)
    assert not any(lower_is_better(name) for name in MERITS)
    assert gain("mae", np.array([3.0]), np.array([4.5]))[0] == 1.5
    assert gain("accuracy", np.array([0.75]), np.array([0.5]))[0] == 0.25


def test_a_metric_so_many_sessions_ahead_means_what_the_metric_means() -> None:
    assert lower_is_better("winkler_90_10_sessions")
    assert nominal_coverage("coverage_90_21_sessions") == 0.9


def test_errors_of_points_are_no_scores_of_probabilities() -> None:
    assert all(scores_probabilities(name) for name in ("brier", "rps", "log_loss", "winkler_90", "crps", "pinball"))
    assert not any(scores_probabilities(name) for name in ("mae", "rmse", "qlike", "accuracy"))


def test_a_narrow_interval_is_no_merit_alone() -> None:
    assert says_nothing_alone("width_90")
    assert not says_nothing_alone("winkler_90")


@pytest.mark.parametrize(("model", "baseline", "better"), [(0.9, 0.8, 0.1), (0.95, 0.88, -0.03), (0.85, 0.95, 0.0)])
def test_a_coverage_is_better_the_nearer_it_is_to_nominal(model: float, baseline: float, better: float) -> None:
    assert gain("coverage_90", np.array([model]), np.array([baseline]))[0] == pytest.approx(better)


def test_only_a_coverage_has_a_nominal_share() -> None:
    assert nominal_coverage("coverage_50") == 0.5
    assert nominal_coverage("coverage") is None
    assert nominal_coverage("accuracy") is None
