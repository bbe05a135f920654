"""Out-of-sample forecasts: stored models applied to every session. Nothing is fitted here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from assets.declare.declaration import Declaration, Read, Slice, table_asset
from trading_dag.schemas import FEATURE_TABLE, PREDICTIONS_DIRECTION, PREDICTIONS_VOLATILITY, PRICES_DAILY, TARGETS

if TYPE_CHECKING:
    from resources.io_managers.tables import StoredModel

_PRICES: Final = Read(PRICES_DAILY, columns=("ticker", "session", "open", "close"))


@table_asset(
    PREDICTIONS_DIRECTION,
    reads={
        "direction_classifier": Read(model="direction_classifier"),
        "features": FEATURE_TABLE,
        "targets": TARGETS,
        "prices": _PRICES,
    },
    code_version="5",
    kinds={"scikitlearn", "xgboost", "parquet"},
)
def direction(
    at: Slice,
    direction_classifier: StoredModel,
    features: pd.DataFrame,
    targets: pd.DataFrame,
    prices: pd.DataFrame,
) -> pd.DataFrame:
    """Each session is forecast by the newest fold that had seen nothing after it; baselines stand beside the models."""
    from trading_dag.models.direction.direction_classifier import predict

    return predict(direction_classifier.fitted, features, targets, horizon=at.horizon, prices=prices)


@table_asset(
    PREDICTIONS_VOLATILITY,
    reads={
        "volatility_forecaster": Read(model="volatility_forecaster"),
        "features": FEATURE_TABLE,
        "targets": TARGETS,
    },
    code_version="5",
    kinds={"scikitlearn", "parquet"},
)
def volatility(
    at: Slice, volatility_forecaster: StoredModel, features: pd.DataFrame, targets: pd.DataFrame
) -> pd.DataFrame:
    """The regime forecast stands beside how regimes have followed each other in the past, a baseline that is hard to
    beat."""
    from trading_dag.models.volatility.volatility_forecaster import predict

    return predict(volatility_forecaster.fitted, features, targets, horizon=at.horizon)


DECLARATIONS: Final[tuple[Declaration, ...]] = (direction, volatility)
