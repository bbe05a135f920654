"""Forecasts of the volatility index itself: the distribution of its level at the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from assets.declare.declaration import Declaration, Read, Result, Slice, table_asset
from trading_dag.schemas import FEATURE_TABLE, PREDICTIONS_VOLATILITY_LEVEL, TARGETS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from resources.io_managers.tables import StoredModel


@table_asset(
    PREDICTIONS_VOLATILITY_LEVEL,
    reads={
        "volatility_forecaster": Read(model="volatility_forecaster"),
        "features": FEATURE_TABLE,
        "targets": TARGETS,
    },
    code_version="1",
)
def volatility_level(
    at: Slice, volatility_forecaster: StoredModel, features: pd.DataFrame, targets: pd.DataFrame
) -> Result:
    """Each session has a distribution of the index at the target, beside that of a random walk; the regime's
    probabilities of the same model follow from it."""
    from trading_dag.models.volatility.volatility_level import predict_level

    table = predict_level(volatility_forecaster.fitted, features, targets, horizon=at.horizon)

    def figures() -> dict[str, Figure]:
        from trading_dag.plots.volatility_level import fan_of_level

        return {"index and its forecast distribution": fan_of_level(table)}

    return Result({PREDICTIONS_VOLATILITY_LEVEL.name: table}, draw=figures, is_drawn_monthly=True)


DECLARATIONS: Final[tuple[Declaration, ...]] = (volatility_level,)
