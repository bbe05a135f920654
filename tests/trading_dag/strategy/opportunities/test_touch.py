"""Probabilities of touching hold against simulated paths of a Brownian motion of the logarithm."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from trading_dag.options.pricing.forecast_distribution import ForecastDistribution
from trading_dag.schemas import QUANTILE_LEVELS
from trading_dag.strategy.opportunities.rows import either_touched

STEPS = 4_000


def outlook(drift: float, deviation: float) -> Any:
    quantiles = 100.0 * np.exp(drift + deviation * norm.ppf(QUANTILE_LEVELS))[np.newaxis]
    return SimpleNamespace(spot=np.array([100.0]), distribution=ForecastDistribution(quantiles))


def simulated(drift: float, deviation: float, low: float, high: float) -> float:
    rng = np.random.default_rng(3)
    touched = []
    for _ in range(10):
        steps = rng.standard_normal((1_000, STEPS)) * deviation / np.sqrt(STEPS) + drift / STEPS
        path = np.cumsum(steps, axis=1)
        touched.append((path.min(axis=1) <= np.log(low / 100.0)) | (path.max(axis=1) >= np.log(high / 100.0)))
    return float(np.mean(touched))


@pytest.mark.parametrize(
    ("drift", "deviation", "low", "high"),
    [(0.0, 0.03, 96.0, 104.0), (0.01, 0.03, 98.0, 103.0), (-0.01, 0.02, 97.0, 101.0)],
)
def test_either_of_two_levels_is_touched_as_often_as_in_simulated_paths(
    drift: float, deviation: float, low: float, high: float
) -> None:
    told = either_touched(outlook(drift, deviation), np.array([[low]]), np.array([[high]]))
    # Ten thousand paths know it to half a hundredth; between their steps some touch unseen.
    assert told[0, 0] == pytest.approx(simulated(drift, deviation, low, high), abs=0.02)


def test_one_level_alone_is_what_the_forecast_says_of_it() -> None:
    seen = outlook(0.004, 0.03)
    [[told]] = either_touched(seen, np.array([[95.0]]), np.array([[np.nan]]))
    assert told == seen.distribution.probability_of_touching([95.0], spot=[100.0])[0]


def test_a_level_at_or_beyond_the_spot_is_touched_and_none_is_unknown() -> None:
    low, high = np.array([[100.0, 105.0, np.nan, np.nan]]), np.array([[np.nan, np.nan, 99.0, np.nan]])
    [told] = either_touched(outlook(0.0, 0.03), low, high)
    assert told[:3].tolist() == [1.0, 1.0, 1.0]
    assert np.isnan(told[3])


def test_a_nearer_level_is_touched_more_often() -> None:
    low = np.array([[90.0, 94.0, 98.0, 99.5]])
    [told] = either_touched(outlook(0.0, 0.03), low, np.full_like(low, np.nan))
    assert (np.diff(told) > 0).all()
