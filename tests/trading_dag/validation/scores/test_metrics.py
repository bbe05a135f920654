"""Scores against scikit-learn, with and without weights, and against loops by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from trading_dag.validation.scores import metrics

SEEDS = st.integers(0, 100_000)


def _draws(generator: np.random.Generator, n: int) -> np.ndarray:
    """One draw of ones and four of random multiplicities."""
    return np.vstack([np.ones(n, dtype=np.int16), generator.integers(0, 4, (4, n), dtype=np.int16)])


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, n=st.integers(20, 200), distinct=st.sampled_from([3, 20, 1_000_000]))
def test_the_area_under_the_curve_is_that_of_scikit_learn_ties_included(seed: int, n: int, distinct: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, distinct, n) / distinct
    positive = generator.random(n) < 0.5
    positive[:2] = [True, False]
    weights = _draws(generator, n)
    weights[:, :2] = 1
    for draw, value in zip(weights, metrics.area_under_roc(weights, scores, positive), strict=True):
        assert value == pytest.approx(reference.roc_auc_score(positive, scores, sample_weight=draw), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, n=st.integers(10, 200), classes=st.sampled_from([2, 3]))
def test_counted_scores_are_those_of_scikit_learn(seed: int, n: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    truth, called = generator.integers(0, classes, n), generator.integers(0, classes, n)
    weights = _draws(generator, n)
    weights[:, 0] = 1
    counts = metrics.confusion(weights, truth, called, classes=classes)
    labels = list(range(classes))
    by_class = {
        reference.precision_score: metrics.class_precision(counts),
        reference.recall_score: metrics.class_recall(counts),
        reference.f1_score: metrics.class_f1(counts),
    }
    for position, draw in enumerate(weights):
        given_ = {"sample_weight": draw}
        np.testing.assert_allclose(
            counts[position], reference.confusion_matrix(truth, called, labels=labels, **given_), atol=1e-9
        )
        assert metrics.accuracy(counts)[position] == pytest.approx(
            reference.accuracy_score(truth, called, **given_), abs=1e-9
        )
        for score, values in by_class.items():
            expected = score(truth, called, labels=labels, average=None, zero_division=0, **given_)
            np.testing.assert_allclose(values[position], expected, atol=1e-9)


def test_balanced_accuracy_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(4)
    truth, called = generator.integers(0, 3, 300), generator.integers(0, 3, 300)
    weights = _draws(generator, 300)
    values = metrics.balanced_accuracy(metrics.confusion(weights, truth, called, classes=3))
    for draw, value in zip(weights, values, strict=True):
        assert value == pytest.approx(reference.balanced_accuracy_score(truth, called, sample_weight=draw), abs=1e-9)


def test_brier_losses_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(5)
    probabilities = generator.dirichlet([1, 2, 3], 400)
    truth = generator.integers(0, 3, 400)
    weights = _draws(generator, 400)
    values = metrics.mean_of(weights, metrics.multiclass_brier_losses(probabilities, truth))
    for draw, value in zip(weights, values, strict=True):
        expected = reference.brier_score_loss(
            truth, probabilities, labels=[0, 1, 2], sample_weight=draw, scale_by_half=False
        )
        assert value == pytest.approx(expected, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, n=st.integers(1, 150))
def test_the_calibration_error_is_the_one_of_a_loop_over_bins(seed: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    probabilities = np.round(generator.random(n), 2)
    happened = (generator.random(n) < probabilities).astype(float)
    weights = _draws(generator, n)
    weights[:, 0] = 1
    for draw, value in zip(weights, metrics.calibration_error(weights, probabilities, happened), strict=True):
        expected = 0.0
        for number in range(10):
            members = [i for i in range(n) if min(int(probabilities[i] * 10), 9) == number and draw[i] > 0]
            share = sum(draw[i] for i in members)
            if share:
                mean = sum(draw[i] * probabilities[i] for i in members) / share
                frequency = sum(draw[i] * happened[i] for i in members) / share
                expected += share / draw.sum() * abs(mean - frequency)
        assert value == pytest.approx(expected, abs=1e-9)


def test_an_undefined_score_is_nan_and_never_a_warning() -> None:
    nothing = np.zeros((1, 3), dtype=np.int16)
    counts = metrics.confusion(nothing, np.array([0, 1, 1]), np.array([0, 1, 0]), classes=2)
    assert math.isnan(metrics.accuracy(counts)[0])
    assert math.isnan(metrics.balanced_accuracy(counts)[0])
    assert math.isnan(metrics.mean_of(nothing, np.ones(3))[0])
    one_class = metrics.area_under_roc(metrics.point_weights(3), np.arange(3.0), np.array([True, True, True]))
    assert math.isnan(one_class[0])
    never_called = metrics.confusion(metrics.point_weights(2), np.array([1, 1]), np.array([0, 0]), classes=2)
    assert metrics.class_precision(never_called)[0, 1] == 0.0
    assert metrics.class_f1(never_called)[0, 1] == 0.0
