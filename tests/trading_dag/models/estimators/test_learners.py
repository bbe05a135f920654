"""What a learner's estimator must be like for its models to be told apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trading_dag.errors import UntrustedModelError
from trading_dag.models.learning.fitted import FittedModel


def _with_last_step(model: FittedModel, classifier: object) -> FittedModel:
    """The model with one fitted fold, whose pipeline ends with another classifier."""
    from sklearn.pipeline import Pipeline

    fold = next(fold for fold in model.folds if fold.model == "direction_logistic" and fold.estimator is not None)
    pipeline = Pipeline([*fold.estimator.steps[:-1], ("classify", classifier)])
    return replace(model, folds=(replace(fold, estimator=pipeline),))


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(5)
    return generator.normal(size=(80, 4)), generator.integers(0, 2, 80)


def test_a_classifier_that_learns_arrays_of_numbers_has_a_hash_that_depends_on_them(
    direction_model: FittedModel, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    from sklearn.naive_bayes import GaussianNB

    values, codes = rows
    first = _with_last_step(direction_model, GaussianNB().fit(values, codes)).content_hash()
    again = _with_last_step(direction_model, GaussianNB().fit(values, codes)).content_hash()
    other = _with_last_step(direction_model, GaussianNB().fit(values * 1.01, codes)).content_hash()
    assert first == again != other


def test_a_classifier_whose_knowledge_cannot_be_told_apart_is_refused_by_name(
    direction_model: FittedModel, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(n_estimators=3, random_state=0).fit(*rows)
    with pytest.raises(UntrustedModelError, match=r"step classify \(RandomForestClassifier\) .* in estimator_, a "):
        _with_last_step(direction_model, forest).content_hash()
