"""Which scores a forecast of a volatility index gets, from rows of predictions.volatility_level.

Here belongs the list of metrics of the task. Baselines, intervals and verdicts stand in ``evaluation``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.schemas import QUANTILE_COLUMNS
from trading_dag.validation.scores import metrics
from trading_dag.validation.scores.price_scoring import interval_scores, pinball_losses
from trading_dag.validation.scores.scoring import ScoredRows


@dataclass(frozen=True)
class LevelRows(ScoredRows):
    """Forecasts of the index with outcomes, in session order.

    Attributes
    ----------
    level, outcome : the index at the session and at the target, percent points.
    median, mean : of the distribution, percent points.
    quantiles : (rows, 19), percent points.
    probability_rise : P(outcome above level).
    """

    level: FloatArray
    outcome: FloatArray
    median: FloatArray
    mean: FloatArray
    quantiles: FloatArray
    probability_rise: FloatArray

    @classmethod
    def of(cls, frame: pd.DataFrame) -> LevelRows:
        """Return the forecasts from rows of predictions.volatility_level, of one model, whose outcome is known."""
        names = ("index_level", "y_true", "y_pred", "expected_level", "probability_rise")
        level, outcome, median, mean, rise = (frame[name].to_numpy(dtype=np.float64) for name in names)
        quantiles = frame[list(QUANTILE_COLUMNS)].to_numpy(dtype=np.float64)
        return cls(level, outcome, median, mean, quantiles, rise)

    @property
    def losses(self) -> dict[str, FloatArray]:
        """Pinball and Winkler losses in percent of the session's index, QLIKE of the mean, absolute error of the median
        in percent points, and the squared error of P(rise).
        """
        return {
            "pinball": self._percent(pinball_losses(self.quantiles, self.outcome).mean(axis=1)),
            "winkler_90": self._percent(interval_scores(self._interval, self.outcome)),
            "qlike": qlike_losses(self.mean, self.outcome),
            "mae": np.abs(self.outcome - self.median),
            "brier_rise": (self.probability_rise - (self.outcome > self.level)) ** 2,
        }

    def rows_of(self, metric: str) -> int:  # noqa: ARG002
        """Return the number of all rows: every metric scores them."""
        return len(self.outcome)

    def scores(self, weights: metrics.Weights) -> dict[str, FloatArray]:
        """Return the mean losses, and the coverage and the width of the 90 % interval."""
        low, high = self._interval.T
        covered = (self.outcome >= low) & (self.outcome <= high)
        columns = {
            **self.losses,
            "coverage_90": covered.astype(np.float64),
            "width_90": self._percent(high - low),
        }
        sums = metrics.weighted_sums(weights, np.column_stack(list(columns.values())))
        held = metrics.total_weights(weights)
        return {name: sums[:, place] / held for place, name in enumerate(columns)}

    @property
    def _interval(self) -> FloatArray:
        ends: FloatArray = self.quantiles[:, [0, -1]]
        return ends

    def _percent(self, of_level: FloatArray) -> FloatArray:
        return 100.0 * of_level / self.level


def qlike_losses(forecast: FloatArray, outcome: FloatArray) -> FloatArray:
    """Return x / f − ln(x / f) − 1 of each row, 0 for a perfect forecast; the mean of the distribution is the best f.

    Errors count by their ratio, and a forecast too low counts for more than one too high.

    References
    ----------
    Patton, Journal of Econometrics 160 (2011), 246–256.
    """
    ratio = outcome / forecast
    losses: FloatArray = ratio - np.log(ratio) - 1.0
    return losses
