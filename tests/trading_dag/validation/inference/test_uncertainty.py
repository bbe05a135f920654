"""The stationary bootstrap against its theory: counts, dependence, block length, coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from trading_dag.setting_groups import BootstrapSettings
from trading_dag.stationary_bootstrap import stationary_block_length
from trading_dag.validation.inference.uncertainty import bootstrap_weights, mean_block_length, percentile_interval
from trading_dag.validation.scores.metrics import mean_of


def _autoregressive(n: int, *, coefficient: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=n + 200)
    return lfilter([1.0], [1.0, -coefficient], noise)[200:]


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 120), block=st.integers(1, 30))
def test_every_draw_holds_as_many_rows_as_there_are(n: int, block: int) -> None:
    weights = bootstrap_weights(n, mean_block=block, settings=BootstrapSettings(draws=100))
    assert weights.shape == (100, n)
    assert weights.dtype == np.int16
    assert (weights >= 0).all()
    assert (weights.sum(axis=1) == n).all()


def test_without_rows_there_are_empty_draws() -> None:
    assert bootstrap_weights(0, mean_block=5, settings=BootstrapSettings(draws=100)).shape == (100, 0)


def test_the_same_seed_gives_the_same_draws_and_another_seed_others() -> None:
    one = bootstrap_weights(200, mean_block=7, settings=BootstrapSettings(draws=100))
    again = bootstrap_weights(200, mean_block=7, settings=BootstrapSettings(draws=100))
    other = bootstrap_weights(200, mean_block=7, settings=BootstrapSettings(draws=100, seed=43))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("block", [1, 4, 20])
def test_neighbours_stay_together_as_often_as_the_block_length_says(block: int) -> None:
    # Each row is hit about once per draw and brings row + k along with probability (1 − 1/block)^k,
    # so counts k rows apart correlate with that coefficient.
    weights = bootstrap_weights(2_000, mean_block=block, settings=BootstrapSettings(draws=400)).astype(float)
    centred = weights - 1.0
    variance = (centred**2).mean()
    for lag in (1, 3):
        correlation = (centred[:, lag:] * centred[:, :-lag]).mean() / variance
        assert correlation == pytest.approx((1 - 1 / block) ** lag, abs=0.03)


def test_the_block_is_at_least_sixty_sessions_and_grows_with_dependence() -> None:
    noise = np.random.default_rng(1).normal(size=3_000)
    assert mean_block_length(noise, steps=5) == 60
    assert mean_block_length(np.zeros(3_000), steps=1) == 60
    assert mean_block_length(np.zeros(3), steps=5) == 3
    assert mean_block_length(_autoregressive(3_000, coefficient=0.98, seed=1), steps=5) > 100


def test_the_block_of_an_autoregression_is_near_the_one_that_theory_gives() -> None:
    # Politis and White (2004): b = ((2ρ / (1 − ρ²))² n)^(1/3) for an AR(1), 20.7 at ρ = 0.5 and n = 5000.
    expected = ((2 * 0.5 / (1 - 0.25)) ** 2 * 5_000) ** (1 / 3)
    found = [stationary_block_length(_autoregressive(5_000, coefficient=0.5, seed=seed)) for seed in range(8)]
    assert np.mean(found) == pytest.approx(expected, rel=0.3)


def test_the_interval_covers_the_mean_of_a_dependent_series_where_independent_draws_do_not() -> None:
    simulations, covered, covered_by_rows = 120, 0, 0
    for seed in range(simulations):
        series = _autoregressive(500, coefficient=0.6, seed=seed)
        block = mean_block_length(series, steps=1)
        for length in (block, 1):
            weights = bootstrap_weights(500, mean_block=length, settings=BootstrapSettings(draws=200, seed=seed))
            low, high = percentile_interval(mean_of(weights, series), confidence=0.95)
            covered += (low <= 0 <= high) and length == block
            covered_by_rows += (low <= 0 <= high) and length == 1
    assert 0.85 <= covered / simulations <= 1.0
    assert covered_by_rows / simulations < 0.80


def test_the_interval_is_the_percentiles_of_the_defined_draws() -> None:
    draws = np.concatenate([np.arange(101.0), [np.nan]])
    assert percentile_interval(draws, confidence=0.9) == pytest.approx((5.0, 95.0))
    assert all(math.isnan(end) for end in percentile_interval(np.array([np.nan]), confidence=0.9))
