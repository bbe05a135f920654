"""The learners under the price stack: random forest, gradient boosting, XGBoost, and the drift alone.

Here belongs what each of them is fitted with. All forecast returns in units of their usual size, never prices: a tree
cannot say a price that it has not seen, and a return of a calm year and one of a crisis are then alike. Which rows and
columns they learn from is decided in ``price_stack``.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from trading_dag.arrays import FloatArray
from trading_dag.models.estimators.frozen_trees import FrozenTrees, constant, freeze_boosting, freeze_forest
from trading_dag.models.estimators.real_learners import RealLearner, as_pipeline, filled_with_medians
from trading_dag.setting_groups import PriceStackSettings

RANDOM_FOREST: Final = "price_random_forest"
GRADIENT_BOOSTING: Final = "price_gradient_boosting"
XGBOOST: Final = "price_xgboost"
DRIFT: Final = "random_walk_drift"
_LEAST_IN_LEAF: Final = 50
# Neighbouring rows of overlapping returns are nearly copies: a quarter of them for each tree loses little.
_SHARE_OF_ROWS: Final = 0.25


def price_learners(settings: PriceStackSettings, *, seed: int) -> tuple[RealLearner, ...]:
    """Return the learners of the rows of features, by name."""
    learners = (
        _random_forest(settings, seed=seed), _gradient_boosting(settings, seed=seed), _xgboost(settings, seed=seed),
        _drift(),
    )  # fmt: skip
    return tuple(sorted(learners, key=lambda learner: learner.model))


def _random_forest(settings: PriceStackSettings, *, seed: int) -> RealLearner:
    parameters: dict[str, Any] = {
        "n_estimators": settings.trees,
        "max_depth": 4,
        "min_samples_leaf": _LEAST_IN_LEAF,
        "max_features": 0.3,
        "max_samples": _SHARE_OF_ROWS,
        "random_state": seed,
        "n_jobs": 1,
    }

    def fit(values: FloatArray, outcomes: FloatArray) -> Any:
        from sklearn.ensemble import RandomForestRegressor

        filled, medians = filled_with_medians(values)
        return as_pipeline(freeze_forest(RandomForestRegressor(**parameters).fit(filled, outcomes), fill=medians))

    return RealLearner(RANDOM_FOREST, {"impute": "median", **parameters}, fit)


def _gradient_boosting(settings: PriceStackSettings, *, seed: int) -> RealLearner:
    parameters: dict[str, Any] = {
        "n_estimators": settings.trees,
        "learning_rate": 0.05,
        "max_depth": 2,
        "min_samples_leaf": _LEAST_IN_LEAF,
        "subsample": _SHARE_OF_ROWS,
        "max_features": 0.3,
        "random_state": seed,
    }

    def fit(values: FloatArray, outcomes: FloatArray) -> Any:
        from sklearn.ensemble import GradientBoostingRegressor

        filled, medians = filled_with_medians(values)
        boosted = GradientBoostingRegressor(**parameters).fit(filled, outcomes)
        return as_pipeline(freeze_boosting(boosted, fill=medians))

    return RealLearner(GRADIENT_BOOSTING, {"impute": "median", **parameters}, fit)


def _xgboost(settings: PriceStackSettings, *, seed: int) -> RealLearner:
    parameters: dict[str, Any] = {
        "objective": "reg:squarederror",
        "tree_method": "hist",
        "max_depth": 3,
        "eta": 0.05,
        "min_child_weight": _LEAST_IN_LEAF,
        "subsample": 0.5,
        "colsample_bytree": 0.5,
        "lambda": 100.0,
        "max_bin": 64,
        "nthread": 1,
        "seed": seed,
    }

    def fit(values: FloatArray, outcomes: FloatArray) -> Any:
        import xgboost

        rows = xgboost.DMatrix(values, outcomes, nthread=1)
        # Trees correct the mean; without it the first of them would have to learn it.
        return xgboost.train({**parameters, "base_score": float(outcomes.mean())}, rows, num_boost_round=settings.trees)

    return RealLearner(XGBOOST, {**parameters, "num_boost_round": settings.trees}, fit, reads_gaps=True)


def _drift() -> RealLearner:
    """The median outcome: what is best in mean absolute error for who knows nothing of the day."""

    def fit(values: FloatArray, outcomes: FloatArray) -> Any:
        step: FrozenTrees = constant(float(np.median(outcomes)), columns=values.shape[1])
        return as_pipeline(step)

    return RealLearner(DRIFT, {"statistic": "median"}, fit, reads_gaps=True, reads_features=False)
