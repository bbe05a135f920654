"""Learners that forecast a return: a penalised regression, and two kinds of boosted trees.

Here belongs how a number is learnt from rows that somebody else has chosen. Outcomes are of a size about one, such as a
return over its volatility. Gaps stay gaps for trees; the regression fills them with the median of its training rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from trading_dag.arrays import FloatArray
from trading_dag.models.light_trees import LightTrees


class LinearForecast:
    """Is a fitted linear regression on filled and standardised columns, in arrays of numbers.

    Attributes
    ----------
    fill, mean, scale, weights : (columns,) what missing values become, what is taken off, divided by, and multiplied.
    intercept : (1,).
    """

    def __init__(
        self, *, fill: FloatArray, mean: FloatArray, scale: FloatArray, weights: FloatArray, intercept: FloatArray
    ) -> None:
        self.fill, self.mean, self.scale, self.weights, self.intercept = fill, mean, scale, weights, intercept

    def forecast(self, values: FloatArray) -> FloatArray:
        """Return the forecast of each row, (rows,); ``values`` are rows × columns, NaN where not known."""
        filled = np.where(np.isnan(values), self.fill, values)
        forecasts: FloatArray = ((filled - self.mean) / self.scale) @ self.weights + self.intercept[0]
        return forecasts


@dataclass(frozen=True)
class ReturnLearner:
    """One way to learn a return.

    Attributes
    ----------
    name : such as ``elastic_net``.
    hyperparameters : what is recorded, and what ``fit`` uses.
    fit : (values with NaN gaps, outcomes) → what ``forecasts_of`` takes.
    """

    name: str
    hyperparameters: dict[str, Any]
    fit: Callable[[FloatArray, FloatArray], Any]


def forecasts_of(estimator: Any, values: FloatArray) -> FloatArray:
    """Return the forecast of each row by a fitted estimator of one of the learners."""
    if isinstance(estimator, LinearForecast | LightTrees):
        return estimator.forecast(values)
    from xgboost import DMatrix

    forecasts: FloatArray = estimator.predict(DMatrix(values, nthread=1)).astype(np.float64)
    return forecasts


def elastic_net(*, alpha: float = 0.02, l1_share: float = 0.5) -> ReturnLearner:
    """Return a regression with both penalties; ``alpha`` is in units of the correlation of a column and the outcome."""
    hyperparameters = {"impute": "median", "scale": "standard", "alpha": alpha, "l1_ratio": l1_share}

    def fit(values: FloatArray, outcomes: FloatArray) -> LinearForecast:
        from sklearn.linear_model import ElasticNet

        known = ~np.isnan(values)
        fill = np.array(
            [np.median(column[has]) if has.any() else 0.0 for column, has in zip(values.T, known.T, strict=True)]
        )
        filled = np.where(known, values, fill)
        mean, deviation = filled.mean(axis=0), filled.std(axis=0)
        scale = np.where(deviation > 0, deviation, 1.0)
        regression = ElasticNet(alpha=alpha, l1_ratio=l1_share, max_iter=10_000).fit((filled - mean) / scale, outcomes)
        return LinearForecast(
            fill=fill,
            mean=mean,
            scale=scale,
            weights=np.asarray(regression.coef_, dtype=np.float64),
            intercept=np.array([regression.intercept_], dtype=np.float64),
        )

    return ReturnLearner("elastic_net", hyperparameters, fit)


def boosted_by_xgboost(*, seed: int) -> ReturnLearner:
    """Return small trees of XGBoost on one thread."""
    parameters: dict[str, Any] = {
        "objective": "reg:squarederror", "tree_method": "hist", "max_depth": 2, "eta": 0.03, "min_child_weight": 50,
        "subsample": 0.7, "colsample_bytree": 0.5, "lambda": 50.0, "max_bin": 64, "nthread": 1, "seed": seed,
    }  # fmt: skip
    rounds: Final = 60

    def fit(values: FloatArray, outcomes: FloatArray) -> Any:
        import xgboost

        centre = float(outcomes.mean())
        rows = xgboost.DMatrix(values, outcomes, nthread=1)
        return xgboost.train({**parameters, "base_score": centre}, rows, num_boost_round=rounds)

    return ReturnLearner("xgboost", {**parameters, "num_boost_round": rounds}, fit)


def boosted_by_lightgbm(*, seed: int) -> ReturnLearner:
    """Return small trees of LightGBM on one thread."""
    parameters: dict[str, Any] = {
        "objective": "regression", "num_leaves": 4, "learning_rate": 0.03, "min_data_in_leaf": 50, "lambda_l2": 50.0,
        "bagging_fraction": 0.7, "bagging_freq": 1, "feature_fraction": 0.5, "max_bin": 63, "num_threads": 1,
        "seed": seed, "deterministic": True, "force_row_wise": True, "verbosity": -1,
    }  # fmt: skip
    rounds: Final = 60

    def fit(values: FloatArray, outcomes: FloatArray) -> LightTrees:
        import lightgbm

        rows = lightgbm.Dataset(values, outcomes, params={"max_bin": 63, "verbosity": -1}, free_raw_data=True)
        return LightTrees(lightgbm.train(parameters, rows, num_boost_round=rounds).model_to_string())

    return ReturnLearner("lightgbm", {**parameters, "num_boost_round": rounds}, fit)


def return_learners(*, seed: int) -> tuple[ReturnLearner, ...]:
    """Return the learners of the allocation ensemble."""
    return (elastic_net(), boosted_by_lightgbm(seed=seed), boosted_by_xgboost(seed=seed))
