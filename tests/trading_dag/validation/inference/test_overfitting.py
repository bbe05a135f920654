"""The probability of overfitting: a coin among equals, nothing where one is better, and the definition step by step."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from trading_dag.validation.inference.overfitting import probability_of_overfitting


def by_hand(gains: np.ndarray, blocks: int) -> float:
    """Every halving in a loop: choose on one half, look up its relative rank in the other (logit below 0)."""
    parts = np.array_split(np.arange(len(gains)), blocks)
    lost = []
    for chosen in combinations(range(blocks), blocks // 2):
        seen = np.concatenate([parts[block] for block in chosen])
        unseen = np.setdiff1d(np.arange(len(gains)), seen)
        best = int(np.argmax(gains[seen].mean(axis=0)))
        others = gains[unseen].mean(axis=0)
        rank = (others < others[best]).sum() + 1
        relative = rank / (gains.shape[1] + 1)
        logit = np.log(relative / (1 - relative))
        lost.append(0.5 if logit == 0 else float(logit < 0))
    return float(np.mean(lost))


@pytest.mark.parametrize(("candidates", "blocks", "seed"), [(2, 4, 0), (5, 6, 1), (7, 8, 2), (12, 10, 3)])
def test_it_is_the_share_of_halvings_whose_best_is_below_the_middle_elsewhere(
    candidates: int, blocks: int, seed: int
) -> None:
    gains = np.random.default_rng(seed).normal(size=(203, candidates))
    gains[:, 0] += 0.1
    found = probability_of_overfitting(gains, blocks=blocks)
    assert found.probability == pytest.approx(by_hand(gains, blocks))
    assert (found.candidates, found.n) == (candidates, 203)


def test_among_equals_the_choice_is_a_coin() -> None:
    generator = np.random.default_rng(7)
    found = [probability_of_overfitting(generator.normal(size=(500, 10)), blocks=8).probability for _ in range(200)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)


def test_a_candidate_that_is_really_better_is_no_product_of_choice() -> None:
    gains = np.random.default_rng(8).normal(size=(1_000, 10))
    gains[:, 3] += 0.4
    assert probability_of_overfitting(gains).probability < 0.001


def test_sixteen_blocks_are_halved_in_12870_ways() -> None:
    assert probability_of_overfitting(np.random.default_rng(0).normal(size=(400, 3))).halvings == 12_870


def test_candidates_that_never_differ_one_candidate_or_few_sessions_give_no_probability() -> None:
    noise = np.random.default_rng(0).normal(size=(100, 1))
    for gains in (np.repeat(noise, 3, axis=1), noise, np.random.default_rng(0).normal(size=(7, 4))):
        assert np.isnan(probability_of_overfitting(gains).probability)


def test_sessions_that_a_candidate_does_not_have_are_left_out() -> None:
    gains = np.random.default_rng(1).normal(size=(120, 4))
    holes = gains.copy()
    holes = np.vstack([holes[:50], np.full((3, 4), np.nan), holes[50:]])
    holes[51, :2] = 1.0
    assert probability_of_overfitting(holes, blocks=6) == probability_of_overfitting(gains, blocks=6)


def test_twins_share_a_first_place() -> None:
    generator = np.random.default_rng(4)
    one = generator.normal(size=(300, 1))
    gains = np.hstack([one, one, generator.normal(size=(300, 1)) - 5.0])
    assert probability_of_overfitting(gains, blocks=6).probability == 0.5  # the twins are the middle of the three
