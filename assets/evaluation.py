"""Scores of the forecasts, always beside their baselines."""

from __future__ import annotations

from typing import Final

import pandas as pd

from assets.declaration import Declaration, Result, Slice, table_asset
from assets.pictures import picture
from trading_dag.schemas import METRICS, PREDICTIONS_DIRECTION, PREDICTIONS_VOLATILITY


@table_asset(
    METRICS,
    reads={"direction": PREDICTIONS_DIRECTION, "volatility": PREDICTIONS_VOLATILITY},
    code_version="2",
    uses=("bootstrap", "walk_forward"),
)
def metrics(at: Slice, direction: pd.DataFrame, volatility: pd.DataFrame) -> Result:
    """Pooled over the test folds, from the prediction tables alone; intervals by stationary bootstrap."""
    from trading_dag.plots import skill_against_baseline
    from trading_dag.validation.evaluation import evaluate

    scores = evaluate(
        direction,
        volatility,
        horizon=at.horizon,
        settings=at.settings.bootstrap,
        minimum_class_rows=at.settings.walk_forward.minimum_class_rows,
    )
    return Result({"metrics": scores}, {"skill against baseline": picture(skill_against_baseline(scores))})


DECLARATIONS: Final[tuple[Declaration, ...]] = (metrics,)
