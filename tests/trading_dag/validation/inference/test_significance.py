"""Diebold–Mariano and Clark–West against statsmodels, loops by hand and simulated size."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import norm, ttest_1samp
from scipy.stats import t as student

from trading_dag.validation.inference.significance import (
    clark_west,
    diebold_mariano,
    long_run_variance,
    long_run_variances_to_date,
    truncation_lag,
)


@pytest.mark.parametrize("steps", [1, 2, 5, 10])
def test_diebold_mariano_is_the_t_ratio_of_statsmodels_with_the_small_sample_correction(steps: int) -> None:
    generator = np.random.default_rng(steps)
    ours = generator.normal(size=400) ** 2
    noise = generator.normal(size=400 + steps)
    theirs = ours + 0.05 + sum(noise[k : k + 400] for k in range(steps))
    fitted = sm.OLS(theirs - ours, np.ones(400)).fit(
        cov_type="HAC", cov_kwds={"maxlags": max(steps - 1, 7), "kernel": "bartlett", "use_correction": False}
    )
    correction = math.sqrt((400 + 1 - 2 * steps + steps * (steps - 1) / 400) / 400)
    expected = float(fitted.params[0] / fitted.bse[0]) * correction
    found = diebold_mariano(theirs, ours, steps=steps)
    assert found.statistic == pytest.approx(expected, rel=1e-9)
    assert found.p_value == pytest.approx(student.sf(expected, 399), rel=1e-9)
    assert found.n == 400


def test_the_better_forecast_gives_a_small_p_and_the_worse_one_a_large_p() -> None:
    generator = np.random.default_rng(2)
    good, bad = generator.normal(0, 1, 500) ** 2, generator.normal(0, 1.5, 500) ** 2
    assert diebold_mariano(bad, good, steps=1).p_value < 1e-4
    assert diebold_mariano(good, bad, steps=1).p_value > 1 - 1e-4


def test_with_equal_forecasts_and_overlapping_errors_five_percent_are_rejected_and_more_without_the_lags() -> None:
    simulations, rejected, naive = 400, 0, 0
    for seed in range(simulations):
        noise = np.random.default_rng(seed).normal(size=304)
        difference = sum(noise[k : k + 300] for k in range(5))
        rejected += diebold_mariano(difference, np.zeros(300), steps=5).p_value < 0.05
        naive += ttest_1samp(difference, 0.0, alternative="greater").pvalue < 0.05
    assert 0.02 < rejected / simulations < 0.10
    assert naive / simulations > 0.15


def test_where_nothing_differs_the_test_is_undefined() -> None:
    same = np.full(50, 0.25)
    assert math.isnan(diebold_mariano(same, same, steps=2).p_value)
    assert math.isnan(diebold_mariano(same + 0.1, same, steps=2).p_value)
    assert math.isnan(diebold_mariano(same[:1], same[:1], steps=1).p_value)
    assert math.isnan(clark_west(same, same, same, steps=1).p_value)


def test_the_lag_is_that_of_the_horizon_or_of_the_number_of_sessions() -> None:
    assert truncation_lag(1_000, steps=5) == 10
    assert truncation_lag(999, steps=5) == 9
    assert truncation_lag(27, steps=5) == 4


def test_the_variance_of_a_series_that_turns_is_not_negative() -> None:
    alternating = np.tile([1.0, -1.0], 50)
    # autocovariances 1 and −0.99: equal weights give 1 − 1.98 < 0, Bartlett's 1 − 2 · 0.5 · 0.99
    assert long_run_variance(alternating, lag=1) == pytest.approx(0.01, abs=1e-12)


def test_clark_west_is_the_statistic_of_a_loop_by_hand() -> None:
    generator = np.random.default_rng(9)
    outcome = generator.integers(0, 2, 200).astype(float)
    baseline, model = np.full(200, 0.5), np.clip(0.5 + 0.1 * (outcome - 0.5) + generator.normal(0, 0.1, 200), 0, 1)
    adjusted = [(o - b) ** 2 - (o - m) ** 2 + (b - m) ** 2 for o, b, m in zip(outcome, baseline, model, strict=True)]
    mean = sum(adjusted) / 200
    variance = sum((value - mean) ** 2 for value in adjusted) / 200
    for lag in range(1, 6):  # the cube root of 200
        variance += (
            2 * (1 - lag / 6) * sum((adjusted[i] - mean) * (adjusted[i - lag] - mean) for i in range(lag, 200)) / 200
        )
    expected = mean / math.sqrt(variance / 200)
    found = clark_west(outcome, baseline, model, steps=3)
    assert found.statistic == pytest.approx(expected, rel=1e-9)
    assert found.p_value == pytest.approx(norm.sf(expected), rel=1e-9)


def test_clark_west_forgives_the_noise_that_diebold_mariano_punishes() -> None:
    generator = np.random.default_rng(11)
    signal = generator.normal(size=3_000)
    outcome = 0.15 * signal + generator.normal(size=3_000)
    model = 0.3 * signal
    losses = (outcome**2, (outcome - model) ** 2)
    assert clark_west(outcome, np.zeros(3_000), model, steps=1).p_value < 0.001
    assert diebold_mariano(*losses, steps=1).p_value > 0.01


@pytest.mark.parametrize("steps", [1, 5])
def test_the_variance_to_date_is_that_of_the_values_so_far(steps: int) -> None:
    generator = np.random.default_rng(3)
    series = 0.3 + np.convolve(generator.normal(0, 0.01, 140), np.ones(4), mode="valid")
    running = long_run_variances_to_date(series, steps=steps)
    slow = [long_run_variance(series[:n], lag=truncation_lag(n, steps=steps)) for n in range(1, len(series) + 1)]
    np.testing.assert_allclose(running, slow, rtol=1e-9, atol=1e-18)
    assert len(long_run_variances_to_date(series[:0], steps=steps)) == 0
    assert (long_run_variances_to_date(np.full(30, 0.1), steps=steps) < 1e-30).all()
