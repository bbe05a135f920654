"""Scores of the forecasts, always shown beside their baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from assets.declare.declaration import Declaration, Read, Result, Slice, table_asset
from trading_dag.schemas import (
    FEATURE_TABLE,
    IMPORTANCE,
    METRICS,
    REGISTRY,
    TARGETS,
)
from trading_dag.validation.scores.tasks import TASKS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from resources.io_managers.tables import StoredModel


# What the picture of the folds shows of the registry.
FOLD_SPANS: Final = ("ticker", "horizon", "train_first_session", "fitted_through")


@table_asset(
    METRICS,
    reads={
        **{task.name: task.predictions for task in TASKS},
        "registry": Read(REGISTRY, columns=("model", "fold", "hyperparameters", *FOLD_SPANS)),
    },
    code_version="7",
    uses=("bootstrap", "walk_forward"),
)
def metrics(at: Slice, registry: pd.DataFrame, **predictions: pd.DataFrame) -> Result:
    """Scores of every task are pooled over the test folds and computed from the prediction tables alone; intervals come
    from a stationary bootstrap. The registry says which models also learnt from augmented rows."""
    from trading_dag import plots
    from trading_dag.plots.folds import folds_in_time
    from trading_dag.validation.verdicts.evaluation import evaluate

    scores = evaluate(
        predictions,
        horizon=at.horizon,
        settings=at.settings.bootstrap,
        minimum_class_rows=at.settings.walk_forward.minimum_class_rows,
        registry=registry,
    )

    def figures() -> dict[str, Figure]:
        return {
            "skill against baseline": plots.skill_against_baseline(scores),
            "calibration": plots.calibration(predictions["direction"]),
            "regime confusion": plots.regime_confusion(predictions["volatility"]),
            "forecast against outcome": plots.forecast_against_outcome(predictions["direction"]),
            "folds in time": folds_in_time(predictions["direction"], registry),
        }

    return Result({"metrics": scores}, draw=figures)


@table_asset(
    IMPORTANCE,
    reads={
        "direction_classifier": Read(model="direction_classifier"),
        "volatility_forecaster": Read(model="volatility_forecaster"),
        "features": FEATURE_TABLE,
        "targets": TARGETS,
    },
    code_version="1",
    kinds={"scikitlearn", "xgboost", "parquet"},
    uses=("bootstrap",),
)
def importance(
    at: Slice,
    direction_classifier: StoredModel,
    volatility_forecaster: StoredModel,
    features: pd.DataFrame,
    targets: pd.DataFrame,
) -> Result:
    """Each feature is shuffled among the sessions that a fold forecast out of sample, and the loss of skill is
    measured; nothing is fitted again."""
    from trading_dag.models.direction import direction_classifier as direction
    from trading_dag.models.volatility import volatility_forecaster as volatility
    from trading_dag.plots.importance import importance_of_features

    horizon, settings = at.horizon, at.settings.bootstrap
    models = ((direction, direction_classifier), (volatility, volatility_forecaster))
    parts = [
        module.importance(model.fitted, features, targets, horizon=horizon, settings=settings)
        for module, model in models
    ]
    table = pd.concat(parts, ignore_index=True)
    return Result(
        {IMPORTANCE.name: table}, draw=lambda: {"what forecasts lose without a feature": importance_of_features(table)}
    )


DECLARATIONS: Final[tuple[Declaration, ...]] = (metrics, importance)
