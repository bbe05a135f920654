"""Adaptive weights: what they know, whom they follow, and how they compare with a plain loop."""

from __future__ import annotations

import numpy as np

from trading_dag.models.stacks.adaptive_weights import (
    BANDWIDTH,
    HALF_LIFE,
    WINDOW,
    AdaptiveWeights,
    choose_rate,
    recent_errors,
    weights_of,
)


def market(n: int = 1_500, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    outcomes = generator.normal(size=n)
    forecasts = np.column_stack([0.4 * outcomes, generator.normal(0, 0.4, n)])
    volatility = np.exp(generator.normal(3, 0.4, n))
    known = np.maximum(np.arange(n) - 4, 0)
    return forecasts, outcomes, volatility, known


def test_the_errors_are_those_of_a_plain_loop() -> None:
    forecasts, outcomes, volatility, known = market(1_200)
    outcomes[[5, 700]] = np.nan
    found = recent_errors(forecasts, outcomes, volatility, known)
    said = np.column_stack([np.zeros(1_200), forecasts])
    for row in (0, 40, 64, 66, 500, 900, 1_199):
        past = [at for at in range(max(known[row] - WINDOW, 0), known[row]) if np.isfinite(outcomes[at])]
        if len(past) < 60:
            np.testing.assert_array_equal(found[row], 0.0)
            continue
        weight = np.array(
            [
                0.5 ** ((row - at) / HALF_LIFE)
                * np.exp(-0.5 * (np.log(volatility[row] / volatility[at]) / BANDWIDTH) ** 2)
                for at in past
            ]
        )
        expected = [np.average(np.abs(outcomes[past] - said[past, column]), weights=weight) for column in range(3)]
        np.testing.assert_allclose(found[row], expected, rtol=1e-12)


def test_an_outcome_that_is_not_known_yet_changes_nothing() -> None:
    forecasts, outcomes, volatility, known = market()
    before = recent_errors(forecasts, outcomes, volatility, known)
    for row in (300, 800, 1_400):
        changed = outcomes.copy()
        changed[known[row] :] = 1e6
        after = recent_errors(forecasts, changed, volatility, known)
        np.testing.assert_array_equal(before[: row + 1], after[: row + 1])
        changed = outcomes.copy()
        changed[known[row] - 1] += 10.0
        assert not np.array_equal(before[row], recent_errors(forecasts, changed, volatility, known)[row])


def test_the_learner_that_has_been_right_gets_the_weight() -> None:
    forecasts, outcomes, volatility, known = market()
    weights = weights_of(recent_errors(forecasts, outcomes, volatility, known), rate=100.0)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    np.testing.assert_allclose(weights[:50], 1 / 3)
    assert (weights[200:].argmax(axis=1) == 1).all()


def test_a_learner_is_weighed_by_how_it_did_in_markets_about_as_volatile() -> None:
    forecasts, outcomes, volatility, known = market()
    is_calm = np.arange(len(outcomes)) % 2 == 0
    volatility = np.where(is_calm, 10.0, 40.0)
    forecasts = np.column_stack([np.where(is_calm, 0.4, -0.4) * outcomes, np.where(is_calm, -0.4, 0.4) * outcomes])
    favourite = weights_of(recent_errors(forecasts, outcomes, volatility, known), rate=100.0).argmax(axis=1)
    assert (favourite[200:][is_calm[200:]] == 1).all()
    assert (favourite[200:][~is_calm[200:]] == 2).all()


def test_a_rate_of_zero_is_the_mean_with_the_random_walk_in_it() -> None:
    forecasts, outcomes, volatility, known = market(200)
    said = AdaptiveWeights(np.array([0.0])).forecast(forecasts, recent_errors(forecasts, outcomes, volatility, known))
    np.testing.assert_allclose(said, forecasts.sum(axis=1) / 3)


def test_the_rate_is_chosen_by_what_would_have_erred_least() -> None:
    forecasts, outcomes, volatility, known = market()
    assert choose_rate(forecasts, outcomes, volatility, known).rate[0] == 400.0
    # Both say the same, so all that matters is how much weight the random walk has: none is right.
    alike = np.column_stack([outcomes, outcomes])
    assert choose_rate(alike, outcomes, volatility, known).rate[0] > 0.0


def test_a_market_like_none_before_counts_every_outcome_alike() -> None:
    forecasts, outcomes, volatility, known = market(300)
    volatility[-1] = 1e9
    errors = recent_errors(forecasts, outcomes, volatility, known)[-1]
    said = np.column_stack([np.zeros(300), forecasts])
    expected = np.abs(outcomes[:, None] - said)[: known[-1]].mean(axis=0)
    np.testing.assert_allclose(errors, expected, rtol=1e-12)
