"""The learners under the allocation ensemble: a penalised regression, and two kinds of boosted trees.

Here belongs what each of them is fitted with. All forecast how far a return over its volatility lies from the mean of
the rows that they learnt from, so that a learner with nothing to say says 0. Gaps stay gaps for trees; the regression
fills them with the median of its training rows.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from trading_dag.arrays import FloatArray
from trading_dag.models.estimators.light_trees import LightTrees
from trading_dag.models.estimators.real_learners import RealLearner, as_pipeline, filled_with_medians

ELASTIC_NET: Final = "allocation_elastic_net"
LIGHTGBM: Final = "allocation_lightgbm"
XGBOOST: Final = "allocation_xgboost"


class LinearForecast:
    """Is a fitted linear regression on filled and standardised columns, in arrays of numbers.

    Attributes
    ----------
    fill, mean, scale, weights : (columns,) what missing values become, what is taken off, divided by, and multiplied.
    """

    def __init__(self, *, fill: FloatArray, mean: FloatArray, scale: FloatArray, weights: FloatArray) -> None:
        self.fill, self.mean, self.scale, self.weights = fill, mean, scale, weights

    def forecast(self, values: FloatArray) -> FloatArray:
        """Return the forecast of each row, (rows,); ``values`` are rows × columns, NaN where not known."""
        filled = np.where(np.isnan(values), self.fill, values)
        forecasts: FloatArray = ((filled - self.mean) / self.scale) @ self.weights
        return forecasts


def elastic_net(*, alpha: float = 0.02, l1_share: float = 0.5) -> RealLearner:
    """Return a regression with both penalties; ``alpha`` is in units of the correlation of a column and the outcome."""
    hyperparameters = {"impute": "median", "scale": "standard", "alpha": alpha, "l1_ratio": l1_share}

    def fit(values: FloatArray, outcomes: FloatArray) -> Any:
        from sklearn.linear_model import ElasticNet

        filled, fill = filled_with_medians(values)
        mean, deviation = filled.mean(axis=0), filled.std(axis=0)
        scale = np.where(deviation > 0, deviation, 1.0)
        regression = ElasticNet(alpha=alpha, l1_ratio=l1_share, max_iter=10_000).fit(
            (filled - mean) / scale, outcomes - outcomes.mean()
        )
        weights = np.asarray(regression.coef_, dtype=np.float64)
        return as_pipeline(LinearForecast(fill=fill, mean=mean, scale=scale, weights=weights))

    return RealLearner(ELASTIC_NET, hyperparameters, fit)


def boosted_by_xgboost(*, seed: int) -> RealLearner:
    """Return small trees of XGBoost on one thread."""
    parameters: dict[str, Any] = {
        "objective": "reg:squarederror", "tree_method": "hist", "max_depth": 2, "eta": 0.03, "min_child_weight": 50,
        "subsample": 0.7, "colsample_bytree": 0.5, "lambda": 50.0, "max_bin": 64, "nthread": 1, "seed": seed,
    }  # fmt: skip
    rounds: Final = 60

    def fit(values: FloatArray, outcomes: FloatArray) -> Any:
        import xgboost

        rows = xgboost.DMatrix(values, outcomes - outcomes.mean(), nthread=1)
        return xgboost.train({**parameters, "base_score": 0.0}, rows, num_boost_round=rounds)

    return RealLearner(XGBOOST, {**parameters, "num_boost_round": rounds}, fit, reads_gaps=True)


def boosted_by_lightgbm(*, seed: int) -> RealLearner:
    """Return small trees of LightGBM on one thread."""
    parameters: dict[str, Any] = {
        "objective": "regression", "num_leaves": 4, "learning_rate": 0.03, "min_data_in_leaf": 50, "lambda_l2": 50.0,
        "bagging_fraction": 0.7, "bagging_freq": 1, "feature_fraction": 0.5, "max_bin": 63, "num_threads": 1,
        "seed": seed, "deterministic": True, "force_row_wise": True, "verbosity": -1,
    }  # fmt: skip
    rounds: Final = 60

    def fit(values: FloatArray, outcomes: FloatArray) -> LightTrees:
        import lightgbm

        rows = lightgbm.Dataset(
            values, outcomes - outcomes.mean(), params={"max_bin": 63, "verbosity": -1}, free_raw_data=True
        )
        return LightTrees(lightgbm.train(parameters, rows, num_boost_round=rounds).model_to_string())

    return RealLearner(LIGHTGBM, {**parameters, "num_boost_round": rounds}, fit, reads_gaps=True)


def return_learners(*, seed: int) -> tuple[RealLearner, ...]:
    """Return the learners of the allocation ensemble."""
    return (elastic_net(), boosted_by_lightgbm(seed=seed), boosted_by_xgboost(seed=seed))
