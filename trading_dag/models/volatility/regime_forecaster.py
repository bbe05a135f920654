"""Estimators of the IV regime that are made of one or two parts, and how they are learnt.

Here belongs what puts the level's forecast and the ordered regression together. What each of them is stands in
``level_forecast`` and ``ordered_logit``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.models.estimators.learners import OutcomeLearner
from trading_dag.models.volatility.level_forecast import DRAWS, RIDGE, LevelForecaster
from trading_dag.models.volatility.level_inputs import DISTANCES, MEANS_OVER
from trading_dag.models.volatility.ordered_logit import KNOTS, OrderedLogit
from trading_dag.models.volatility.ordered_logit import RIDGE as SPLINE_RIDGE
from trading_dag.schemas import IV_REGIMES

HAR: Final = "volatility_har"
ORDERED: Final = "volatility_ordered"
BLEND: Final = "volatility_blend"
ONLINE: Final = "volatility_online"  # no learner of its own: the blend, learnt on between retrains
OF_LEVEL: Final = "ln_index_at_target"
LEVEL_PART: Final = "level"
_ORDERED: Final = "ordered"
_OF_LEVEL: Final[dict[str, Any]] = {"means_over": list(MEANS_OVER), "ridge": RIDGE, "quantiles": DRAWS}
_OF_RANK: Final[dict[str, Any]] = {"knots": list(KNOTS), "spline_ridge": SPLINE_RIDGE}


class RegimeForecaster:
    """P(LOW), P(NORMAL), P(HIGH) as the mean of what its parts say.

    Attributes
    ----------
    steps : (name, fitted part) pairs, as a ``Pipeline`` has them; each part has ``classes_`` and ``predict_proba``.
    """

    def __init__(self, steps: list[tuple[str, Any]]) -> None:
        self.steps = steps

    @property
    def classes_(self) -> IntArray:
        """Return the codes of all regimes, in the order of the probabilities."""
        return np.arange(len(IV_REGIMES))

    def predict_proba(self, values: FloatArray) -> FloatArray:
        """Return the probability of each regime, 0 for one that a part was never shown: rows × 3."""
        total = np.zeros((len(values), len(IV_REGIMES)))
        for _, part in self.steps:
            total[:, part.classes_] += part.predict_proba(values)
        probabilities: FloatArray = total / len(self.steps)
        return probabilities

    def coefficients(self) -> Iterator[tuple[str, str, float]]:
        """Yield what each coefficient moves, the column it belongs to, and itself; none of a part that has a curve."""
        level = level_part(self)
        if level is not None:
            for column, coefficient in zip(DISTANCES, level.coef_[0], strict=True):
                yield OF_LEVEL, column, float(coefficient)


def level_part(estimator: Any) -> LevelForecaster | None:
    """Return the part of an estimator that forecasts the level; None where it has none."""
    if not isinstance(estimator, RegimeForecaster):
        return None
    part = dict(estimator.steps).get(LEVEL_PART)
    return part if isinstance(part, LevelForecaster) else None


def level_learners() -> tuple[OutcomeLearner, ...]:
    """Return the level's forecast, the ordered regression, and the mean of both, in that order.

    Both halves count alike. Equal weights were chosen before any score was seen: they cost no data, and weights that
    are estimated rarely do better.

    References
    ----------
    Bates and Granger, Operational Research Quarterly 20 (1969), 451–468; Stock and Watson, Journal of Forecasting 23
    (2004), 405–430.
    """
    return (
        _learner(HAR, _OF_LEVEL, level=True, ordered=False),
        _learner(ORDERED, _OF_RANK, level=False, ordered=True),
        _learner(BLEND, {**_OF_LEVEL, **_OF_RANK, "weights": "equal"}, level=True, ordered=True),
    )


def _learner(model: str, hyperparameters: dict[str, Any], *, level: bool, ordered: bool) -> OutcomeLearner:
    def fit(values: FloatArray, codes: IntArray, levels: FloatArray) -> RegimeForecaster:
        steps: list[tuple[str, Any]] = []
        if level:
            steps.append((LEVEL_PART, LevelForecaster().fit(values, levels)))
        if ordered:
            steps.append((_ORDERED, OrderedLogit().fit(values, codes)))
        return RegimeForecaster(steps)

    return OutcomeLearner(model, hyperparameters, fit)
