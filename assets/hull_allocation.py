"""Positions on the days of the Hull competition, and the competition's score of them. Both belong to no ticker."""

from __future__ import annotations

from typing import Final

import pandas as pd

from assets.declare.declaration import Declaration, Result, Slice, table_asset
from assets.declare.pictures import picture
from trading_dag.errors import InsufficientDataError
from trading_dag.schemas import HULL_ALLOCATION, HULL_MARKET, HULL_MARKET_TABLE, HULL_SCORES


@table_asset(
    HULL_ALLOCATION,
    reads={"features": HULL_MARKET_TABLE, "market": HULL_MARKET},
    code_version="2",
    kinds={"scikitlearn", "xgboost", "lightgbm", "parquet"},
    uses=("walk_forward", "allocation"),
)
def hull_allocation(at: Slice, features: pd.DataFrame, market: pd.DataFrame) -> Result:
    """An elastic net, LightGBM and XGBoost forecast the next day's return, a blend of them is scaled by volatility,
    clipped to 0 and 2 and smoothed; the organisers' recipe stands beside it."""
    from trading_dag.frames import table_frame
    from trading_dag.models.allocation.hull_allocation import ENSEMBLE, hull_predictions
    from trading_dag.plots.allocation import growth_and_positions

    walk_forward, allocation = at.settings.walk_forward, at.settings.allocation
    try:
        positions = hull_predictions(features, market, settings=walk_forward, allocation=allocation)
    except InsufficientDataError as reason:
        return Result({HULL_ALLOCATION.name: table_frame(HULL_ALLOCATION, {}, rows=0)}, source_off=str(reason))
    if positions.empty:
        return Result({HULL_ALLOCATION.name: positions})
    figure = growth_and_positions(positions, time="date_id", title="Hull competition: allocation", model=ENSEMBLE)
    return Result({HULL_ALLOCATION.name: positions}, {"growth and positions": picture(figure)})


@table_asset(HULL_SCORES, reads={"positions": HULL_ALLOCATION}, code_version="1", uses=("bootstrap",))
def hull_scores(at: Slice, positions: pd.DataFrame) -> pd.DataFrame:
    """Models and baselines are scored on the same days, with the same draws of the stationary bootstrap."""
    from trading_dag.validation.verdicts.hull_scores import score_hull_positions

    return score_hull_positions(positions, settings=at.settings.bootstrap)


DECLARATIONS: Final[tuple[Declaration, ...]] = (hull_allocation, hull_scores)
