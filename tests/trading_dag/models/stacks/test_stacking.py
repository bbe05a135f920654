"""Stacking: what is out of fold, what is refused, and which weights the blend gives."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from scipy.optimize import nnls
from sklearn.linear_model import ElasticNet, Ridge

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.errors import InFoldStackingError, InsufficientDataError
from trading_dag.models.stacks.stacking import PENALTIES, LinearBlend, OutOfFold, Penalty, fit_blend, out_of_fold

GAP = 3


def learners_of(outcomes: FloatArray, seen: list[IntArray]) -> object:
    """Two learners: the mean of what was learnt, and the outcome of the nearest row that was learnt from."""

    def fit(rows: IntArray) -> object:
        seen.append(rows)

        def forecast(asked: IntArray) -> FloatArray:
            nearest = rows[np.abs(asked[:, None] - rows).argmin(axis=1)]
            return np.column_stack([np.full(len(asked), outcomes[rows].mean()), outcomes[nearest]])

        return forecast

    return fit


def held_out_of(forecasts: FloatArray) -> OutOfFold:
    rows = np.arange(len(forecasts)) + 100
    names = tuple(f"learner_{column}" for column in range(forecasts.shape[1]))
    return OutOfFold(names, rows, forecasts, rows - GAP - 1, GAP)


def test_every_row_is_forecast_by_a_fit_that_has_seen_nothing_within_the_gap_before_it() -> None:
    outcomes = np.random.default_rng(0).normal(size=400)
    seen: list[IntArray] = []
    rows = np.arange(50, 350)
    found = out_of_fold(learners_of(outcomes, seen), rows, names=("mean", "nearest"), folds=4, gap=GAP)
    assert len(seen) == 4
    assert np.array_equal(found.rows, rows[-len(found.rows) :])
    for row, through in zip(found.rows, found.learnt_through, strict=True):
        assert through < row - GAP
    # The nearest learnt row is the last of the fit, and its outcome is what is said.
    np.testing.assert_array_equal(found.forecasts[:, 1], outcomes[found.learnt_through])


def test_the_outcome_of_a_held_out_row_changes_no_forecast_of_its_own_stretch_or_of_an_earlier_one() -> None:
    outcomes = np.random.default_rng(1).normal(size=300)
    rows = np.arange(300)
    before = out_of_fold(learners_of(outcomes, []), rows, names=("mean", "nearest"), folds=4, gap=GAP)
    for row in before.rows[[0, 70, 130, 200]]:
        changed = outcomes.copy()
        changed[row] += 100.0
        after = out_of_fold(learners_of(changed, []), rows, names=("mean", "nearest"), folds=4, gap=GAP)
        same = before.learnt_through < row
        assert same[before.rows == row].all()
        np.testing.assert_array_equal(before.forecasts[same], after.forecasts[same])
        assert not np.array_equal(before.forecasts, after.forecasts) or not (~same).any()


@pytest.mark.parametrize("seen", [0, 1, GAP])
def test_in_fold_stacking_is_refused(seen: int) -> None:
    rows = np.arange(10) + 100
    with pytest.raises(InFoldStackingError, match=rf"row 100.*learnt from row {100 - seen}"):
        OutOfFold(("a",), rows, np.zeros((10, 1)), rows - seen, GAP)


def test_a_row_on_which_no_learner_has_anything_to_say_is_left_out_and_one_that_says_nothing_says_zero() -> None:
    def fit(rows: IntArray) -> object:
        return lambda asked: np.column_stack(
            [np.where(asked % 2 == 0, np.nan, 1.0), np.where(asked % 4 == 0, np.nan, 2.0)]
        )

    found = out_of_fold(fit, np.arange(100), names=("a", "b"), folds=3, gap=GAP)
    assert not (found.rows % 4 == 0).any()
    np.testing.assert_array_equal(found.forecasts[found.rows % 4 == 2], [[0.0, 2.0]] * (found.rows % 4 == 2).sum())


def test_too_few_rows_give_no_out_of_fold_forecasts_and_no_blend() -> None:
    found = out_of_fold(learners_of(np.zeros(4), []), np.arange(4), names=("a", "b"), folds=4, gap=GAP)
    assert not len(found.rows)
    with pytest.raises(InsufficientDataError, match="0 out-of-fold rows are too few"):
        fit_blend(found, np.empty(0), folds=3)


def test_outcomes_that_do_not_vary_give_no_blend() -> None:
    with pytest.raises(InsufficientDataError, match="do not vary"):
        fit_blend(held_out_of(np.random.default_rng(0).normal(size=(200, 2))), np.ones(200), folds=3)


def test_a_learner_that_knows_the_outcome_gets_the_weight_and_noise_gets_none() -> None:
    generator = np.random.default_rng(2)
    outcomes = generator.normal(size=3_000)
    said = np.column_stack([0.5 * outcomes + generator.normal(0, 0.2, 3_000), generator.normal(0, 0.5, 3_000)])
    fitted = fit_blend(held_out_of(said), outcomes, folds=3)
    assert fitted.estimator.weights[0] > 0.9
    assert fitted.estimator.weights[1] < 0.05
    assert fitted.metrics["inner_loss"] < 0.7 * fitted.metrics["inner_loss_of_zero"]


def test_learners_of_shuffled_outcomes_get_next_to_no_weight() -> None:
    generator = np.random.default_rng(3)
    weights = []
    for _ in range(20):
        outcomes = generator.normal(size=2_000)
        fitted = fit_blend(held_out_of(generator.normal(0, 0.3, (2_000, 4))), outcomes, folds=3)
        weights.append(fitted.estimator.weights.sum())
    assert np.mean(weights) < 0.1
    assert np.median(weights) < 0.05


def test_without_a_penalty_the_weights_are_those_of_non_negative_least_squares() -> None:
    generator = np.random.default_rng(4)
    said = generator.normal(size=(1_000, 3))
    outcomes = said @ [0.5, 0.2, -0.3] + generator.normal(size=1_000)
    expected, _ = nnls(said, outcomes)
    for share in (0.0, 0.5, 1.0):
        found = fit_blend(held_out_of(said), outcomes, folds=3, penalties=[Penalty(1e-9, share)])
        np.testing.assert_allclose(found.estimator.weights, expected, atol=2e-4)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("strength", [0.02, 0.2])
def test_weights_are_those_of_scikit_learns_elastic_net_and_ridge(strength: float, share: float) -> None:
    generator = np.random.default_rng(5)
    said = generator.normal(size=(1_000, 3))
    outcomes = said @ [0.4, 0.3, -0.1] + generator.normal(size=1_000)
    size = np.sqrt((said**2).mean())
    regression = (
        ElasticNet(alpha=strength, l1_ratio=share, fit_intercept=False, positive=True, tol=1e-10)
        if share
        else Ridge(alpha=strength * 1_000, fit_intercept=False, positive=True, tol=1e-10)
    )
    expected = regression.fit(said / size, outcomes).coef_ / size
    found = fit_blend(held_out_of(said), outcomes, folds=3, penalties=[Penalty(strength, share)])
    np.testing.assert_allclose(found.estimator.weights, expected, atol=1e-5)


def test_learners_that_say_the_same_share_the_weight() -> None:
    generator = np.random.default_rng(8)
    said = generator.normal(size=(1_000, 1)).repeat(2, axis=1)
    outcomes = 0.5 * said[:, 0] + generator.normal(size=1_000)
    for share in (0.0, 1.0):
        weights = fit_blend(held_out_of(said), outcomes, folds=3, penalties=[Penalty(0.01, share)]).estimator.weights
        assert weights[0] == pytest.approx(weights[1], rel=1e-3)


def test_weights_never_sum_to_more_than_one() -> None:
    generator = np.random.default_rng(6)
    outcomes = generator.normal(size=1_000)
    found = fit_blend(held_out_of(np.column_stack([outcomes / 5, outcomes / 4])), outcomes, folds=3)
    assert found.estimator.weights.sum() == pytest.approx(1.0)


def test_saying_zero_is_among_the_answers_and_wins_ties() -> None:
    assert PENALTIES[0].strength == inf
    found = fit_blend(held_out_of(np.zeros((500, 3))), np.random.default_rng(7).normal(size=500), folds=3)
    assert found.penalty == PENALTIES[0]
    np.testing.assert_array_equal(found.estimator.forecast(np.ones((4, 3))), np.zeros(4))


def test_a_learner_without_a_forecast_counts_as_zero() -> None:
    blend = LinearBlend(np.array([0.25, 0.5]))
    np.testing.assert_array_equal(blend.forecast(np.array([[4.0, np.nan], [np.nan, 4.0]])), [1.0, 2.0])
