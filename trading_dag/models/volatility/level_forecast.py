"""Forecast of a volatility index's level: its distribution at the target, and what that says of the IV regime.

Here belongs the estimator and the way from a level to a regime. What it reads stands in ``level_inputs``.
"""

from __future__ import annotations

from typing import Final, Self

import numpy as np

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.labels import IV_RANK_HIGH, IV_RANK_NORMAL
from trading_dag.models.volatility.level_inputs import DISTANCES, LEVEL_INPUTS
from trading_dag.schemas import IV_REGIMES

DRAWS: Final = 400
RIDGE: Final = 1.0
_LEVEL: Final = LEVEL_INPUTS.index("index_level")
_MEANS: Final = [LEVEL_INPUTS.index(name) for name in DISTANCES]
_VOLATILITY: Final = LEVEL_INPUTS.index("index_volatility_20")
_WINDOW: Final = [LEVEL_INPUTS.index("window_low"), LEVEL_INPUTS.index("window_high")]
_NO_SPREAD: Final = 1e-12  # a column that never varies is 0 wherever it is read


class LevelForecaster:
    """Heterogeneous autoregression of ln(index), with a distribution that widens where the index has been restless.

    The change of ln x to the target is a ridge regression on the distances of x from its means over a week, a month and
    a quarter. What is left of it, divided by w = √(½ + ½ (s / its median)²), gives 400 quantiles q; s is the standard
    deviation of the last 20 daily changes. The index at the target is x · exp(m + q · w), each q being as likely.

    Attributes
    ----------
    coef_ : change of ln x per standard deviation of each of the three distances, (1, 3).
    center_, scale_ : means and standard deviations of the distances over the training rows, (3,).
    intercept_, usual_volatility_ : (1,).
    quantiles_ : (400,), ascending.
    classes_ : codes of the regimes, 0, 1, 2.

    References
    ----------
    Corsi, Journal of Financial Econometrics 7 (2009), 174–196; Corsi, Mittnik, Pigorsch and Pigorsch, Econometric
    Reviews 27 (2008), 46–78, for the volatility of volatility.
    """

    coef_: FloatArray
    center_: FloatArray
    scale_: FloatArray
    intercept_: FloatArray
    usual_volatility_: FloatArray
    quantiles_: FloatArray
    classes_: IntArray

    def fit(self, values: FloatArray, outcomes: FloatArray) -> Self:
        """Learn from rows × ``LEVEL_INPUTS`` and the index at each row's target, none of them missing."""
        distances = values[:, _MEANS]
        change = np.log(outcomes) - np.log(values[:, _LEVEL])
        self.center_ = distances.mean(axis=0)
        self.scale_ = np.maximum(distances.std(axis=0), _NO_SPREAD)
        self.intercept_ = np.array([change.mean()])
        standard = (distances - self.center_) / self.scale_
        gram = standard.T @ standard + RIDGE * np.eye(len(_MEANS))
        slopes = np.linalg.solve(gram, standard.T @ (change - self.intercept_))
        self.coef_ = slopes[np.newaxis].astype(np.float64)
        self.usual_volatility_ = np.array([np.median(values[:, _VOLATILITY])])
        left = (change - self._mean_change(values)) / self.width(values)
        self.quantiles_ = np.quantile(left, (np.arange(DRAWS) + 0.5) / DRAWS).astype(np.float64)
        self.classes_ = np.arange(len(IV_REGIMES))
        return self

    def draws(self, values: FloatArray) -> FloatArray:
        """Return the equally likely levels at the target, ascending: rows × 400, in the unit of the index."""
        spread = self.width(values)[:, np.newaxis] * self.quantiles_
        levels: FloatArray = values[:, [_LEVEL]] * np.exp(self._mean_change(values)[:, np.newaxis] + spread)
        return levels

    def predict_proba(self, values: FloatArray) -> FloatArray:
        """Return P(LOW), P(NORMAL), P(HIGH) at the target: the shares of the levels that mean each, rows × 3."""
        needed = (self.log_limits(values) - self._mean_change(values)[:, np.newaxis]) / self.width(values)[
            :, np.newaxis
        ]
        below = np.searchsorted(self.quantiles_, needed, side="left") / len(self.quantiles_)
        shares: FloatArray = np.column_stack([below[:, 0], below[:, 1] - below[:, 0], 1.0 - below[:, 1]])
        return shares

    def _mean_change(self, values: FloatArray) -> FloatArray:
        change: FloatArray = self.intercept_ + self.standard(values) @ self.coef_[0]
        return change

    def standard(self, values: FloatArray) -> FloatArray:
        """Return the distances of ln x from its means, in standard deviations of the training rows: rows × 3."""
        distances: FloatArray = (values[:, _MEANS] - self.center_) / self.scale_
        return distances

    def log_level(self, values: FloatArray) -> FloatArray:
        """Return ln x of each row."""
        level: FloatArray = np.log(values[:, _LEVEL])
        return level

    def log_limits(self, values: FloatArray) -> FloatArray:
        """Return the changes of ln x to the target below which it is LOW, and from which it is HIGH there: rows × 2."""
        limits: FloatArray = np.log(regime_limits(values[:, _WINDOW]) / values[:, [_LEVEL]])
        return limits

    def width(self, values: FloatArray) -> FloatArray:
        """Return w of each row."""
        return width_of(values[:, _VOLATILITY], usual=self.usual_volatility_)


def fitted_on_first(columns: FloatArray, change: FloatArray, counts: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return intercept and slopes of the ridge regression on the first so many rows, for each count.

    Parameters
    ----------
    columns, change : rows × 3, standardised, and the change of ln x of each row.
    counts : how many rows, at least one.

    Returns
    -------
    (counts,) and counts × 3. The penalty is on the slopes alone, so the columns are centred on the rows that count.
    """
    products: FloatArray = np.cumsum(columns[:, :, np.newaxis] * columns[:, np.newaxis, :], axis=0)[counts - 1]
    with_change = np.cumsum(columns * change[:, np.newaxis], axis=0)[counts - 1]
    means: FloatArray = np.cumsum(columns, axis=0)[counts - 1] / counts[:, np.newaxis]
    mean_change: FloatArray = np.cumsum(change)[counts - 1] / counts
    outer = counts[:, np.newaxis, np.newaxis] * means[:, :, np.newaxis] * means[:, np.newaxis, :]
    gram = products - outer + RIDGE * np.eye(columns.shape[1])
    right = with_change - (counts * mean_change)[:, np.newaxis] * means
    slopes = np.linalg.solve(gram, right[:, :, np.newaxis])[:, :, 0].astype(np.float64)
    return (mean_change - (means * slopes).sum(axis=1)).astype(np.float64), slopes


def width_of(volatility: FloatArray, *, usual: FloatArray) -> FloatArray:
    """Return w, by which the usual distribution is stretched: 1 at the usual volatility, never below √½."""
    width: FloatArray = np.sqrt(0.5 + 0.5 * (volatility / np.where(usual > 0, usual, 1.0)) ** 2)
    return width


def regime_limits(window: FloatArray) -> FloatArray:
    """Return the level below which the index is LOW at a target, and that from which it is HIGH there, rows × 2.

    The rank at the target is that of the level within the 252 sessions that end there. All but the last h of them are
    known. Between today and the target the index is taken to lie between today's close and the level, so that it adds
    no extreme of its own; at one session there is nothing between. A level beyond the known extremes is one itself and
    has rank 0 or 100, so the limits are those of the known window.

    Parameters
    ----------
    window : lowest and highest close among the known sessions, today's included; rows × 2.
    """
    low, high = np.sort(window, axis=1).T
    limits: FloatArray = low[:, np.newaxis] + np.outer(high - low, [IV_RANK_NORMAL / 100.0, IV_RANK_HIGH / 100.0])
    return limits
