"""What a metric's name says about its values: which way is better, and which comparisons say anything.

Here belongs the meaning of names that every task shares. How a value is computed stands in ``metrics`` and in the
scored rows of each task.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from trading_dag.arrays import FloatArray

_PROBABILITY_SCORES: Final = (
    "brier",
    "calibration_error",
    "crps",
    "log_loss",
    "pinball",
    "rps",
    "winkler",
)
_LOWER_IS_BETTER: Final = (*_PROBABILITY_SCORES, "lost_growth", "mae", "qlike", "rmse", "width")
_COVERAGE: Final = re.compile(r"coverage_(\d{1,2})(?:_|$)")


def lower_is_better(metric: str) -> bool:
    """Return whether a smaller value of the metric is the better one."""
    return metric.startswith(_LOWER_IS_BETTER)


def scores_probabilities(metric: str) -> bool:
    """Return whether the metric judges probabilities, so that against a hard call it says nothing."""
    return metric.startswith(_PROBABILITY_SCORES)


def says_nothing_alone(metric: str) -> bool:
    """Return whether the metric is no merit by itself: a narrow interval is worth something only if it covers, and a
    large position only if it earns.
    """
    return metric.startswith(("width", "mean_position"))


def nominal_coverage(metric: str) -> float | None:
    """Return the share that intervals were made to cover, 0.9 for ``coverage_90``; None for another metric."""
    found = _COVERAGE.match(metric)
    return int(found[1]) / 100.0 if found else None


def gain(metric: str, model: FloatArray, baseline: FloatArray) -> FloatArray:
    """Return how much better the model's values of a metric are than the baseline's, positive where better.

    A coverage has no better direction: what counts is its distance from the nominal share, so the gain is the
    baseline's distance less the model's. To cover too much is as wrong as to cover too little.
    """
    nominal = nominal_coverage(metric)
    if nominal is not None:
        distances: FloatArray = np.abs(baseline - nominal) - np.abs(model - nominal)
        return distances
    difference: FloatArray = (-1.0 if lower_is_better(metric) else 1.0) * (model - baseline)
    return difference
