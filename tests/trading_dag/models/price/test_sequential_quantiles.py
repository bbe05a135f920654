"""Sequential quantiles know what was known, stand where a brute-force count puts them, and cover what they say."""

from __future__ import annotations

import numpy as np
import pytest

from trading_dag.models.price.sequential_quantiles import (
    NEVER,
    SequentialQuantiles,
    expanding_quantiles,
    outcome_known_at,
    rolling_quantiles,
)

LEVELS = np.arange(1, 20) / 20


def _quantiles(
    values: np.ndarray, *, ahead: int = 1, least: int = 20, step_size: float = 0.0, wanted: np.ndarray | None = None
) -> SequentialQuantiles:
    every = np.ones(len(values), dtype=bool) if wanted is None else wanted
    arrivals = outcome_known_at(_targets(len(values), ahead))
    return expanding_quantiles(values, arrivals, every, levels=LEVELS, least=least, step_size=step_size)


def _targets(steps: int, ahead: int) -> np.ndarray:
    targets = np.arange(steps) + ahead
    return np.where(targets < steps, targets, NEVER)


def _covered(values: np.ndarray, made: SequentialQuantiles, *, since: int = 0) -> float:
    judged = np.isfinite(made.values[:, 0]) & (np.arange(len(values)) >= since)
    low, high = made.values[judged, 0], made.values[judged, -1]
    return float(((values[judged] >= low) & (values[judged] <= high)).mean())


@pytest.mark.parametrize("ahead", [1, 3, 21])
def test_every_quantile_is_numpys_weibull_quantile_of_the_outcomes_known_at_its_step(ahead: int) -> None:
    values = np.random.default_rng(1).standard_t(4, 300)
    values[[40, 41, 120]] = np.nan
    values[200:204] = values[199]
    made = _quantiles(values, ahead=ahead)
    for step in range(300):
        known = values[: max(step + 1 - ahead, 0)]
        known = known[np.isfinite(known)]
        if len(known) < 20:
            assert np.isnan(made.values[step]).all()
            assert made.last_used[step] == NEVER
        else:
            np.testing.assert_allclose(made.values[step], np.quantile(known, LEVELS, method="weibull"), rtol=1e-12)
            assert made.last_used[step] == np.flatnonzero(np.isfinite(values[: step + 1 - ahead]))[-1]


def test_the_corrected_quantiles_follow_the_recursion_of_gibbs_and_candes_step_by_step() -> None:
    generator = np.random.default_rng(2)
    values, ahead, gamma = generator.standard_normal(400) * np.repeat([1.0, 2.5], 200), 4, 0.03
    wanted = generator.random(400) < 0.9
    made = _quantiles(values, ahead=ahead, step_size=gamma, wanted=wanted)
    rates, intervals, rate = {}, {}, 0.1
    for step in range(400):
        judged = step - ahead
        if judged in intervals:
            low, high = intervals[judged]
            rate = min(max(rate + gamma * (0.1 - (not low <= values[judged] <= high)), 0.0), 0.5)
        known = values[: max(step + 1 - ahead, 0)]
        if wanted[step] and len(known) >= 20:
            rates[step] = rate
            ends = np.clip([rate / 2, 1 - rate / 2], 1 / (len(known) + 1), len(known) / (len(known) + 1))
            intervals[step] = tuple(np.quantile(known, ends, method="weibull"))
    assert min(rates.values()) < 0.05 < 0.1 < max(rates.values())
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(made.miss_rate)), list(rates))
    np.testing.assert_allclose(made.miss_rate[list(rates)], list(rates.values()), atol=1e-12)
    np.testing.assert_allclose(made.values[list(rates)][:, [0, -1]], list(intervals.values()), rtol=1e-9)


def test_the_coverage_of_every_level_on_exchangeable_outcomes_is_exact_within_monte_carlo_error() -> None:
    generator = np.random.default_rng(3)
    below = np.zeros((4_000, len(LEVELS)))
    for trial in range(len(below)):
        # 39 known outcomes put the levels of 5 % steps exactly on the 2nd, 4th, … of them: nothing is interpolated
        values = np.exp(generator.standard_normal(40)) * generator.choice([-1.0, 1.0], 40)
        made = _quantiles(values, least=39)
        below[trial] = values[39] <= made.values[39]
    error = 4 * np.sqrt(LEVELS * (1 - LEVELS) / len(below))
    assert (np.abs(below.mean(axis=0) - LEVELS) < error).all()


def test_the_interval_covers_nine_tenths_of_exchangeable_outcomes_with_the_correction_too() -> None:
    values = np.random.default_rng(4).standard_t(3, 20_000)
    assert _covered(values, _quantiles(values, least=250)) == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / 19_750))
    corrected = _quantiles(values, least=250, step_size=0.01)
    # summed over n outcomes, the recursion leaves at most (1 + γ) / (γ n) of the promise unkept
    assert _covered(values, corrected) == pytest.approx(0.9, abs=1.01 / (0.01 * 19_750))


def test_coverage_holds_under_a_planted_shift_of_volatility_that_the_uncorrected_interval_does_not_notice() -> None:
    values = np.random.default_rng(5).standard_normal(6_000) * np.repeat([1.0, 1.8], 3_000)
    plain, corrected = (_quantiles(values, least=250, step_size=gamma) for gamma in (0.0, 0.01))
    after = slice(3_000, 4_000)
    covered = [
        float(((values[after] >= made.values[after, 0]) & (values[after] <= made.values[after, -1])).mean())
        for made in (plain, corrected)
    ]
    assert covered[0] < 0.80
    assert covered[1] > 0.86
    assert _covered(values, corrected) == pytest.approx(0.9, abs=0.01)


def test_quantiles_never_cross_however_far_the_correction_goes() -> None:
    values = np.random.default_rng(6).standard_normal(2_000) * np.exp(np.linspace(0, 6, 2_000))
    made = _quantiles(values, step_size=0.2)
    served = np.isfinite(made.values[:, 0])
    assert (np.diff(made.values[served], axis=1) >= 0).all()
    assert made.miss_rate[served].min() == 0.0
    quiet = _quantiles(values[::-1].copy(), step_size=0.2)
    assert np.nanmax(quiet.miss_rate) == 0.5


def test_a_later_outcome_changes_no_earlier_quantile_to_the_last_bit() -> None:
    values = np.random.default_rng(7).standard_normal(500)
    changed = np.concatenate([values[:300], 100 * values[300:]])
    one, other = (_quantiles(each, ahead=5, step_size=0.01) for each in (values, changed))
    np.testing.assert_array_equal(one.values[:305], other.values[:305])
    assert not np.array_equal(one.values[305:], other.values[305:])


@pytest.mark.parametrize("window", [7, 50])
def test_rolling_quantiles_are_those_of_the_last_known_outcomes(window: int) -> None:
    values = np.random.default_rng(8).standard_normal(200)
    values[90:95] = np.nan
    made = rolling_quantiles(values, outcome_known_at(_targets(200, 3)), levels=LEVELS, window=window)
    for step in range(200):
        known = values[: max(step - 2, 0)]
        known = known[np.isfinite(known)][-window:]
        if len(known) < window:
            assert np.isnan(made.values[step]).all()
        else:
            wanted = np.quantile(known, LEVELS, method="weibull")
            np.testing.assert_allclose(made.values[step], wanted, rtol=1e-12)


def test_a_history_shorter_than_the_least_gives_no_quantile_at_all() -> None:
    values = np.ones(30)
    assert (_quantiles(values, least=30).last_used == NEVER).all()
    short = rolling_quantiles(values, outcome_known_at(_targets(30, 1)), levels=LEVELS, window=30)
    assert (short.last_used == NEVER).all()
