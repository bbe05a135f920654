"""A standardisation that no outlier leaves: a step of a stored pipeline.

Here belongs that step and nothing else. It imports scikit-learn, so it is imported where a pipeline is fitted.
"""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from trading_dag.arrays import FloatArray


class ClippedScaler(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Standardises columns to mean 0 and standard deviation 1 over the rows it was fitted on, and clips them.

    A column that hardly moved in the training part (the probability of a state that had not occurred) may stand
    billions of such deviations away later, and would decide a forecast alone.

    Parameters
    ----------
    limit : greatest distance from the mean, in standard deviations.

    Attributes
    ----------
    mean_, scale_ : (columns,) of the rows it was fitted on; the scale is 1 where they are all the same.
    """

    def __init__(self, limit: float = 5.0) -> None:
        self.limit = limit

    def fit(self, values: FloatArray, codes: object = None) -> ClippedScaler:  # noqa: ARG002
        """Learn mean and scale of each column, without gaps: (rows, columns)."""
        self.mean_ = values.mean(axis=0)
        deviation = values.std(axis=0)
        self.scale_ = np.where(deviation > 0, deviation, 1.0)
        return self

    def transform(self, values: FloatArray) -> FloatArray:
        """Return the standardised, clipped values, (rows, columns)."""
        clipped: FloatArray = np.clip((values - self.mean_) / self.scale_, -self.limit, self.limit)
        return clipped
