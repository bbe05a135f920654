"""Learners: the estimators of the models, what they may consist of, and how augmented rows enter a fit.

A *model* (``direction_classifier``) is what is forecast, from which rows and features; a *learner* is one way to learn
it (``direction_logistic``). Each learner of a model is fitted on the same rows, and its forecasts, scores and stored
files carry its name. A model lists its learners in its ``fit``.

Here belongs what is fitted on rows that somebody else has chosen. Which rows and columns those are, and what a fold
may see, stands in ``training``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.models.estimators.tuned import NOTHING

# Whatever a fitted scikit-learn pipeline of a learner consists of, and nothing else: a stored model that holds another
# type is refused before it is built, and one that would be stored with it is not. Boosters have a format of their own.
ESTIMATOR_TYPES: Final = frozenset(
    {
        "builtins.dict",
        "builtins.list",
        "builtins.str",
        "builtins.tuple",
        "numpy.dtype",
        "numpy.float64",
        "numpy.ndarray",
        "sklearn.dummy.DummyClassifier",
        "sklearn.impute._base.SimpleImputer",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.pipeline.Pipeline",
        "sklearn.preprocessing._data.StandardScaler",
        "trading_dag.models.stacks.adaptive_weights.AdaptiveWeights",
        "trading_dag.models.estimators.frozen_trees.FrozenTrees",
        "trading_dag.models.allocation.return_learners.LinearForecast",
        "trading_dag.models.stacks.stacking.LinearBlend",
        "trading_dag.models.volatility.level_forecast.LevelForecaster",
        "trading_dag.models.volatility.ordered_logit.OrderedLogit",
        "trading_dag.models.volatility.regime_forecaster.RegimeForecaster",
        "trading_dag.models.estimators.clipped_scaler.ClippedScaler",
    }
)

# A stored model names the modules of its types. Versions that were written before a module moved stay readable by this.
MOVED_MODULES: Final = {
    "trading_dag.models.adaptive_weights": "trading_dag.models.stacks.adaptive_weights",
    "trading_dag.models.clipped_scaler": "trading_dag.models.estimators.clipped_scaler",
    "trading_dag.models.frozen_trees": "trading_dag.models.estimators.frozen_trees",
    "trading_dag.models.level_forecast": "trading_dag.models.volatility.level_forecast",
    "trading_dag.models.ordered_logit": "trading_dag.models.volatility.ordered_logit",
    "trading_dag.models.regime_forecaster": "trading_dag.models.volatility.regime_forecaster",
    "trading_dag.models.return_learners": "trading_dag.models.allocation.return_learners",
    "trading_dag.models.stacking": "trading_dag.models.stacks.stacking",
}


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
    """One way to learn what a model forecasts.

    Attributes
    ----------
    model : name in the predictions, such as ``direction_logistic``.
    hyperparameters : what is recorded, and what ``fit`` uses.
    fit : (values with NaN gaps, class codes, augmented rows or None) → estimator: a scikit-learn ``Pipeline`` whose
        types ``ESTIMATOR_TYPES`` lists and whose steps keep what they learn in arrays of numbers, or an xgboost
        ``Booster``.
    reads_gaps: whether the estimator reads NaN itself. One that does not gets, behind the features, a column for each
        group that begins late which says where it is missing.
    """

    model: str
    hyperparameters: dict[str, Any]
    fit: Callable[[FloatArray, IntArray, AugmentedRows | None], Any]
    reads_gaps: bool = False


@dataclass(frozen=True)
class OutcomeLearner:
    """One way to learn a number that happened, and from it the class that a model forecasts.

    Attributes
    ----------
    model, hyperparameters : as of a ``Learner``.
    fit : (values without gaps, class codes, what happened as a number) → estimator, as that of a ``Learner``. It is
        given no augmented rows.
    """

    model: str
    hyperparameters: dict[str, Any]
    fit: Callable[[FloatArray, IntArray, FloatArray], Any]
    reads_gaps: ClassVar[bool] = False


# What one estimator is given: ``top_features`` (how many columns by their score, None for all), and its parameters.
Candidate = dict[str, Any]


@dataclass(frozen=True)
class SearchedLearner:
    """A learner that has several candidates, one of which is chosen inside each training part.

    Attributes
    ----------
    model : name in the predictions, such as ``direction_shrunk``.
    hyperparameters : what all candidates have in common, as it is recorded.
    candidates : from the most shrunk to the least. The share of the classes itself, which reads no column, is one
        beside them, and the most shrunk of all.
    fit_all : (values with NaN gaps, class codes, augmented rows or None, candidates) → an estimator for each. They
        share the columns, so that what they have in common is fitted once.
    reads_gaps: as of a ``Learner``.
    """

    model: str
    hyperparameters: dict[str, Any]
    candidates: tuple[Candidate, ...]
    fit_all: Callable[[FloatArray, IntArray, AugmentedRows | None, Sequence[Candidate]], list[Any]]
    reads_gaps: bool = False

    def fit(self, values: FloatArray, codes: IntArray, augmented: AugmentedRows | None) -> Any:
        """The estimator of the first candidate, the only one where a search has found it; as ``fit`` of a ``Learner``.

        It reads the columns that it is given, however many the candidate asks for.
        """
        return self.fit_all(values, codes, augmented, self.candidates[:1])[0]


AnyLearner = Learner | OutcomeLearner | SearchedLearner


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


def logistic_learner(model: str, tuned: Mapping[str, Any] = NOTHING) -> Learner:
    """L2 logistic regression, C = 0.1, on median-filled and standardised columns; multinomial beyond two classes.

    Parameters
    ----------
    tuned : hyperparameters that a search has found, in place of these.
    """
    hyperparameters: dict[str, Any] = {
        "impute": "median",
        "scale": "standard",
        "penalty": "l2",
        "C": 0.1,
        "solver": "lbfgs",
        "max_iter": 1_000,
        **tuned,
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
