"""What quantiles say of a price is what a lognormal's closed forms say, and what simulated paths show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import lognorm, norm

from trading_dag.errors import OptionPricingError
from trading_dag.options.pricing.forecast_distribution import ForecastDistribution
from trading_dag.schemas import QUANTILE_LEVELS

LEVELS = np.array(QUANTILE_LEVELS)
MEDIANS, DEVIATIONS = np.array([100.0, 420.0, 7.0]), np.array([0.02, 0.08, 0.4])


def _lognormal() -> ForecastDistribution:
    return ForecastDistribution(MEDIANS[:, None] * np.exp(DEVIATIONS[:, None] * norm.ppf(LEVELS)))


def _exact(row: int) -> object:
    return lognorm(s=DEVIATIONS[row], scale=MEDIANS[row])


def test_a_lognormal_price_is_met_exactly_in_the_middle_and_far_out_in_the_tails() -> None:
    forecast = _lognormal()
    prices = MEDIANS[:, None] * np.exp(DEVIATIONS[:, None] * np.linspace(-6, 6, 25))
    expected = [_exact(row).cdf(prices[row]) for row in range(3)]
    np.testing.assert_allclose(forecast.probability_below(prices), expected, atol=1e-13)
    np.testing.assert_allclose(forecast.probability_above(prices), 1 - np.array(expected), atol=1e-13)
    np.testing.assert_allclose(forecast.mean(), [_exact(row).mean() for row in range(3)], rtol=1e-13)


def test_expected_payoffs_of_a_lognormal_price_are_blacks_formula_without_discount() -> None:
    forecast = _lognormal()
    strikes = MEDIANS[:, None] * np.array([0.9, 1.0, 1.0001, 1.15])
    means = MEDIANS * np.exp(DEVIATIONS**2 / 2)
    d1 = np.log(means[:, None] / strikes) / DEVIATIONS[:, None] + DEVIATIONS[:, None] / 2
    calls = means[:, None] * norm.cdf(d1) - strikes * norm.cdf(d1 - DEVIATIONS[:, None])
    np.testing.assert_allclose(forecast.expected_call(strikes), calls, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(forecast.expected_put(strikes), calls - means[:, None] + strikes, rtol=1e-9, atol=1e-12)


def test_any_other_distribution_is_met_within_the_outermost_quantiles() -> None:
    draws = 100 * np.exp(0.03 * np.random.default_rng(1).standard_t(4, 400_000))
    forecast = ForecastDistribution(np.quantile(draws, LEVELS)[None, :])
    for level in (0.07, 0.12, 0.5, 0.88, 0.93):
        price = float(np.quantile(draws, level))
        assert forecast.probability_below(price)[0] == pytest.approx(level, abs=2e-3)
    assert forecast.expected_call(100.0)[0] == pytest.approx(np.maximum(draws - 100, 0).mean(), rel=0.05)
    # beyond them it is thinner than the truth, as its module says
    assert forecast.probability_below(float(np.quantile(draws, 0.002)))[0] < 0.002


@pytest.mark.parametrize(("level", "closes"), [(106.0, None), (95.0, None), (106.0, 21), (95.0, 21), (99.0, 5)])
def test_the_probability_of_touching_is_that_of_simulated_paths(level: float, closes: int | None) -> None:
    drift, deviation, steps = 0.01, 0.05, closes or 4_000
    generator = np.random.default_rng(2)
    touched = 0
    paths, batch = 20_000, 2_000
    for _ in range(paths // batch):
        moves = generator.standard_normal((batch, steps)) * deviation / np.sqrt(steps) + drift / steps
        path = 100 * np.exp(np.cumsum(moves, axis=1))
        touched += int(((path >= level) if level > 100 else (path <= level)).any(axis=1).sum())
    forecast = ForecastDistribution(100 * np.exp(drift + deviation * norm.ppf(LEVELS))[None, :])
    found = forecast.probability_of_touching(level, spot=100.0, closes=closes)[0]
    allowance = 4 * np.sqrt(0.25 / paths) + (0.01 if closes is None else 0.005)  # 4,000 steps, and 21, are no continuum
    assert found == pytest.approx(touched / paths, abs=allowance)


def test_the_probability_of_touching_a_lognormal_price_is_the_closed_form() -> None:
    drift, deviation = -0.02, 0.07
    forecast = ForecastDistribution(100 * np.exp(drift + deviation * norm.ppf(LEVELS))[None, :])
    for level in (90.0, 97.0, 103.0, 115.0):
        b = np.log(level / 100)
        side = np.sign(b)
        exact = norm.cdf(side * (drift - b) / deviation) + np.exp(2 * drift * b / deviation**2) * norm.cdf(
            side * (-drift - b) / deviation
        )
        assert forecast.probability_of_touching(level, spot=100.0)[0] == pytest.approx(exact, rel=1e-9)
    assert forecast.probability_of_touching(100.0, spot=100.0)[0] == 1.0


# Two quantiles that only rounding tells apart, before the last step and before the one ahead of it.
@example(moves=[0.0] * 16 + [2.0**-52, 0.03125, 0.0], start=4.5, level=1.0, spot=1.0)
@example(moves=[0.0] * 17 + [2.0**-52, 0.03125], start=4.5, level=1.0, spot=1.0)
@given(
    moves=st.lists(st.floats(0, 0.05), min_size=19, max_size=19),
    start=st.floats(1, 1_000),
    level=st.floats(0.5, 2),
    spot=st.floats(0.9, 1.1),
)
def test_probabilities_stay_probabilities_and_touching_is_at_least_ending_beyond(
    moves: list[float], start: float, level: float, spot: float
) -> None:
    forecast = ForecastDistribution(start * np.exp(np.cumsum(moves))[None, :])
    middle = start * np.exp(sum(moves[:10]))
    grid = middle * np.exp(np.linspace(-1, 1, 41))[None, :]
    below = forecast.probability_below(grid)[0]
    assert ((below >= 0) & (below <= 1)).all()
    assert (np.diff(below) >= -1e-12).all()
    barrier, begin = level * middle, spot * middle
    touched = forecast.probability_of_touching(barrier, spot=begin)[0]
    beyond = forecast.probability_above(barrier) if barrier >= begin else forecast.probability_below(barrier)
    assert beyond[0] - 1e-12 <= touched <= 1.0
    calls, puts = forecast.expected_call(grid)[0], forecast.expected_put(grid)[0]
    assert (np.diff(calls) <= 1e-9 * start).all()
    np.testing.assert_allclose(calls - puts, forecast.mean()[0] - grid[0], atol=1e-8 * (start + grid.max()))


def test_equal_quantiles_are_a_price_that_happens_with_their_share() -> None:
    quantiles = np.concatenate([np.full(9, 99.0), [100.0], np.full(9, 101.0)])
    forecast = ForecastDistribution(quantiles[None, :])
    assert forecast.probability_below(98.9)[0] == 0.0
    assert forecast.probability_below(99.0)[0] == pytest.approx(0.45)
    assert forecast.probability_below(101.0)[0] == 1.0
    assert forecast.probability_between(98.0, 99.5)[0] == pytest.approx(0.475, abs=2e-3)
    fixed = ForecastDistribution(np.full((1, 19), 100.0))
    assert fixed.mean()[0] == pytest.approx(100.0)
    assert fixed.expected_call(98.0)[0] == pytest.approx(2.0)
    assert fixed.probability_of_touching(101.0, spot=100.0)[0] == 0.0


def test_a_missing_price_gives_no_probability_and_a_worthless_one_none_below_it() -> None:
    forecast = _lognormal()
    found = forecast.probability_below(np.array([[np.nan, 0.0, -5.0]]))
    assert np.isnan(found[:, 0]).all()
    np.testing.assert_array_equal(found[:, 1:], 0.0)


@pytest.mark.parametrize(
    ("quantiles", "levels", "words"),
    [
        ([[1.0, 2.0]], (0.1, 0.5, 0.9), "2 quantiles do not belong to 3 levels"),
        ([[1.0, 3.0, 2.0]], (0.1, 0.5, 0.9), "row 0"),
        ([[1.0, 2.0, 3.0], [1.0, np.nan, 3.0]], (0.1, 0.5, 0.9), "row 1"),
        ([[-1.0, 2.0, 3.0]], (0.1, 0.5, 0.9), "positive"),
        ([[1.0, 2.0, 3.0]], (0.5, 0.1, 0.9), "ascend"),
        ([[1.0, 2.0]], (0.0, 1.0), "between 0 and 1"),
        ([[1.0]], (0.5,), "at least two"),
    ],
)
def test_what_is_no_distribution_is_refused(
    quantiles: list[list[float]], levels: tuple[float, ...], words: str
) -> None:
    with pytest.raises(OptionPricingError, match=words):
        ForecastDistribution(np.array(quantiles), levels)
