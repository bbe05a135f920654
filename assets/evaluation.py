"""Scores of the forecasts, always beside their baselines."""

from __future__ import annotations

from typing import Final

import pandas as pd

from assets.declare.declaration import Declaration, Read, Result, Slice, table_asset
from assets.declare.pictures import picture
from trading_dag.schemas import METRICS, PREDICTIONS_DIRECTION, PREDICTIONS_VOLATILITY, REGISTRY


@table_asset(
    METRICS,
    reads={
        "direction": PREDICTIONS_DIRECTION,
        "volatility": PREDICTIONS_VOLATILITY,
        "registry": Read(REGISTRY, columns=("model", "fold", "hyperparameters")),
    },
    code_version="3",
    uses=("bootstrap", "walk_forward"),
)
def metrics(at: Slice, direction: pd.DataFrame, volatility: pd.DataFrame, registry: pd.DataFrame) -> Result:
    """Pooled over the test folds, from the prediction tables alone; intervals by stationary bootstrap. The registry
    says where models also learnt from augmented rows."""
    from trading_dag import plots
    from trading_dag.validation.evaluation import evaluate

    scores = evaluate(
        direction,
        volatility,
        horizon=at.horizon,
        settings=at.settings.bootstrap,
        minimum_class_rows=at.settings.walk_forward.minimum_class_rows,
        registry=registry,
    )
    figures = {
        "skill against baseline": plots.skill_against_baseline(scores),
        "calibration": plots.calibration(direction),
        "regime confusion": plots.regime_confusion(volatility),
        "forecast against outcome": plots.forecast_against_outcome(direction),
    }
    return Result({"metrics": scores}, {name: picture(figure) for name, figure in figures.items()})


DECLARATIONS: Final[tuple[Declaration, ...]] = (metrics,)
