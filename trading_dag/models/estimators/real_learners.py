"""Learners of a number: what one is, in which form its estimators are stored, and what they say.

Here belongs what every stack of such learners shares. Which learners there are stands in ``price_learners`` and
``return_learners``; on which rows they are fitted in ``stacked_training``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from trading_dag.arrays import FloatArray
from trading_dag.models.estimators.light_trees import LightTrees


@dataclass(frozen=True)
class RealLearner:
    """One way to learn a number.

    Attributes
    ----------
    model : name in the predictions, such as ``price_random_forest``.
    hyperparameters : what is recorded, and what ``fit`` uses.
    fit : (values with NaN gaps, outcomes) → estimator: a scikit-learn ``Pipeline`` whose one step has ``forecast`` and
        keeps what it learnt in arrays of numbers, an xgboost ``Booster``, or a ``NetworkEstimator``.
    reads_gaps : whether the estimator tells a gap from a value itself.
    reads_features : whether it reads any column of a row.
    reads_sequences : whether it reads the sequence of sessions that ends at a row instead. One whose sequence is not
        there has nothing to say.
    """

    model: str
    hyperparameters: dict[str, Any]
    fit: Callable[[FloatArray, FloatArray], Any]
    reads_gaps: bool = False
    reads_features: bool = True
    reads_sequences: bool = False


def as_pipeline(step: Any) -> Any:
    """Return an estimator of one step, in the form in which the model store keeps estimators."""
    from sklearn.pipeline import Pipeline

    return Pipeline([("forecast", step)])


def forecasts_of(estimator: Any, values: FloatArray) -> FloatArray:
    """Return what an estimator of a ``RealLearner`` says of each row.

    Parameters
    ----------
    values : rows × the columns that it reads, NaN where not known; of a network rows × steps × inputs. It has nothing
        to say of a row whose sequence is not there.
    """
    if values.ndim == 3:
        is_there = np.isfinite(values).any(axis=(1, 2))
        of_network = np.full(len(values), np.nan)
        if is_there.any():
            of_network[is_there] = estimator.predict(values[is_there])
        return of_network
    if hasattr(estimator, "steps"):
        said: FloatArray = estimator.steps[0][1].forecast(values)
        return said
    if isinstance(estimator, LightTrees):
        return estimator.forecast(values)
    from xgboost import DMatrix

    boosted: FloatArray = estimator.predict(DMatrix(values, nthread=1)).astype(np.float64)
    return boosted


def filled_with_medians(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the values with the median of each column in its gaps, and those medians; 0 for a column without any."""
    known = np.isfinite(values).any(axis=0)
    medians = np.zeros(values.shape[1])
    medians[known] = np.nanmedian(values[:, known], axis=0)
    return np.where(np.isnan(values), medians, values), medians
