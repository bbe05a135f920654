"""Estimators of the classifiers, and how augmented rows enter a fit.

Here belongs what is fitted on rows that somebody else has chosen. Which rows and columns those are, and what a fold
may see, stands in ``training``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AugmentedRows:
    """Rows drawn from those of the training part, to be learnt from beside them.

    Attributes
    ----------
    values, codes : as those of the real rows: the same columns, classes from 0 on.
    weight : of each of them, where a real row has 1; ``weighted_rows`` keeps the sum that of the real rows.
    """

    values: FloatArray
    codes: IntArray
    weight: float


@dataclass(frozen=True)
class Learner:
    """One estimator of a model family.

    Attributes
    ----------
    model : name in the predictions.
    hyperparameters : what is recorded, and what ``fit`` uses.
    fit : (values with NaN gaps, class codes, augmented rows or None) → estimator.
    """

    model: str
    hyperparameters: dict[str, Any]
    fit: Callable[[FloatArray, IntArray, AugmentedRows | None], Any]


def weighted_rows(
    values: FloatArray, codes: IntArray, augmented: AugmentedRows
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Values, codes and weights of the real rows, followed by those of the augmented ones.

    The weights sum to the number of real rows. Rows that were made of others are no further evidence, so a penalty
    keeps its strength: a copy of every real row changes no fit.
    """
    weights = np.repeat([1.0, augmented.weight], [len(codes), len(augmented.codes)])
    weights *= len(codes) / weights.sum()
    return np.concatenate([values, augmented.values]), np.concatenate([codes, augmented.codes]), weights


def logistic_learner(model: str) -> Learner:
    """L2 logistic regression, C = 0.1, on median-filled and standardised columns; multinomial beyond two classes."""
    hyperparameters: dict[str, Any] = {
        "impute": "median",
        "scale": "standard",
        "penalty": "l2",
        "C": 0.1,
        "solver": "lbfgs",
        "max_iter": 1_000,
    }

    def fit(values: FloatArray, codes: IntArray, augmented: AugmentedRows | None) -> Any:
        return fit_logistic_pipeline(
            values, codes, C=hyperparameters["C"], max_iter=hyperparameters["max_iter"], augmented=augmented
        )

    return Learner(model, hyperparameters, fit)


def fit_logistic_pipeline(
    values: FloatArray, codes: IntArray, *, C: float, max_iter: int, augmented: AugmentedRows | None = None
) -> Any:
    """Median imputation, standardisation and L2 logistic regression, all fitted on the rows handed over.

    Medians and scales are those of the real rows: what is usual is not for rows that never happened to say. The
    regression learns from both, by weight.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    steps = [
        ("impute", SimpleImputer(strategy="median")),
        ("scale", StandardScaler()),
        ("classify", LogisticRegression(C=C, solver="lbfgs", max_iter=max_iter)),
    ]
    pipeline = Pipeline(steps)
    if augmented is None:
        return pipeline.fit(values, codes)
    prepare = pipeline[:-1].fit(values)
    both, classes, weights = weighted_rows(values, codes, augmented)
    pipeline[-1].fit(prepare.transform(both), classes, sample_weight=weights)
    return pipeline
