"""How much of the underlying to hold: the fitted ensemble, and the positions that are made of its forecasts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from assets.declare.declaration import Declaration, Forecasts, Read, Result, Slice, model_asset, table_asset
from assets.declare.fitting import fit_family
from trading_dag.schemas import FEATURE_TABLE, PREDICTIONS_ALLOCATION, TARGETS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from resources.io_managers.tables import StoredModel
    from trading_dag.models.learning.fitted import FittedModel
    from trading_dag.settings import Settings
    from trading_dag.slices import Horizon


def _positions(fitted: FittedModel, inputs: Mapping[str, Any], horizon: Horizon, settings: Settings) -> pd.DataFrame:
    from trading_dag.models.allocation.allocation_forecasts import predict

    return predict(fitted, inputs["features"], inputs["targets"], horizon=horizon, allocation=settings.allocation)


@model_asset(
    reads={"features": FEATURE_TABLE, "targets": TARGETS},
    code_version="1",
    kinds={"scikitlearn", "xgboost", "lightgbm"},
    uses=(
        "walk_forward",
        "price_stack.stack_folds",
        "price_stack.minimum_rows",
        "training.allocation_ensemble",
        "features",
    ),
    forecasts=Forecasts("allocation", PREDICTIONS_ALLOCATION, _positions),
)
def allocation_ensemble(at: Slice, features: pd.DataFrame, targets: pd.DataFrame) -> FittedModel:
    """An elastic net, LightGBM and XGBoost forecast the return above cash. Their forecasts of rows that they had not
    seen are blended, by penalised weights that may all be zero, and by plain least squares."""
    from trading_dag.models.allocation.allocation_ensemble import fit

    start = at.settings.training.allocation_ensemble.start
    return fit_family(fit, at, features, targets, start=start, stack=at.settings.price_stack)


@table_asset(
    PREDICTIONS_ALLOCATION,
    reads={
        "allocation_ensemble": Read(model="allocation_ensemble"),
        "features": FEATURE_TABLE,
        "targets": Read(TARGETS, columns=("ticker", "horizon", "session", "target_session", "forward_return")),
    },
    code_version="2",
    kinds={"scikitlearn", "xgboost", "lightgbm", "parquet"},
    uses=("allocation",),
)
def allocation(at: Slice, allocation_ensemble: StoredModel, features: pd.DataFrame, targets: pd.DataFrame) -> Result:
    """A forecast becomes a position by what is known of volatility; holding, and scaling by volatility with no forecast
    at all, stand beside it."""
    from trading_dag.models.allocation.allocation_forecasts import predict

    settings = at.settings.allocation
    positions = predict(allocation_ensemble.fitted, features, targets, horizon=at.horizon, allocation=settings)
    if positions.empty:
        return Result({PREDICTIONS_ALLOCATION.name: positions})
    from trading_dag.models.allocation.allocation_ensemble import ENSEMBLE

    newest = positions[positions["model"] == ENSEMBLE].sort_values("session").iloc[-1]
    return Result(
        {PREDICTIONS_ALLOCATION.name: positions},
        {"newest position": float(newest["position"])},
        draw=lambda: {"growth and positions": _growth(positions, every=at.horizon.gap_sessions)},
        is_drawn_monthly=True,
    )


def _growth(positions: pd.DataFrame, *, every: int) -> Figure:
    """Return the picture of sessions whose horizons do not overlap."""
    from trading_dag.models.allocation.allocation_ensemble import ENSEMBLE
    from trading_dag.plots.allocation import growth_and_positions

    sessions = positions["session"].drop_duplicates().sort_values()
    apart = positions[positions["session"].isin(sessions.iloc[::every])]
    title = f"{positions['ticker'].iloc[0]} {positions['horizon'].iloc[0]}: allocation"
    return growth_and_positions(apart, time="session", title=title, model=ENSEMBLE)


DECLARATIONS: Final[tuple[Declaration, ...]] = (allocation_ensemble, allocation)
