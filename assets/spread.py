"""The spread networks: one trunk a ticker, one model a horizon made of it, and their forecasts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from assets.declare.declaration import Declaration, Forecasts, Read, Result, Slice, model_asset, table_asset
from resources.left_out import LEFT_OUT
from trading_dag.schemas import (
    FEATURE_TABLE,
    IMPLIED_VOLATILITY,
    PREDICTIONS_SPREAD,
    PRICES_DAILY,
    TARGETS,
    TECHNICAL,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from resources.io_managers.tables import StoredModel
    from trading_dag.models.learning.fitted import FittedModel
    from trading_dag.settings import Settings
    from trading_dag.slices import Horizon

_OF_INDEX: Final = ("ticker", "session", "iv_rank", "vix_close", "vix_filled_sessions", "iv_source")


@model_asset(
    reads={
        "features": FEATURE_TABLE,
        "prices": PRICES_DAILY,
        "technical": Read(TECHNICAL, columns=("ticker", "session", "hv_20")),
        "implied_volatility": Read(IMPLIED_VOLATILITY, columns=_OF_INDEX),
    },
    code_version="2",
    kinds={"pytorch"},
    uses=("walk_forward", "training.spread_lstm", "features", "deep"),
    slicing="ticker",
)
def spread_trunk(
    at: Slice,
    features: pd.DataFrame,
    prices: pd.DataFrame,
    technical: pd.DataFrame,
    implied_volatility: pd.DataFrame,
) -> FittedModel:
    """A recurrent network and an attention encoder learn which credit spread pays, at every horizon at once, in five
    walk-forward folds and a live model. A training that was killed goes on after its last epoch. Without torch both are
    switched off, with the reason in each fold."""
    from resources.storage.models.checkpoints import checkpoints_of
    from trading_dag.models.spreads.spread_rows import targets_of_every_horizon
    from trading_dag.models.spreads.spread_trunk import fit

    settings = at.settings
    inputs = {
        name: str(frame.attrs.get("content_hash")) for name, frame in (("features", features), ("prices", prices))
    }
    with checkpoints_of(
        settings.home, "spread_trunk", ticker=at.ticker, inputs=inputs, settings=settings
    ) as checkpoints:
        return fit(
            features,
            targets_of_every_horizon(prices, technical, implied_volatility),
            settings=settings.walk_forward,
            deep=settings.deep,
            start=settings.training.spread_lstm.start,
            chosen=settings.features,
            ticker=at.ticker,
            checkpoints=checkpoints,
        )


def _of_spread(fitted: FittedModel, inputs: Mapping[str, Any], horizon: Horizon, settings: Settings) -> pd.DataFrame:
    from trading_dag.models.spreads.spread import predict

    return predict(fitted, inputs["features"], inputs["targets"], horizon=horizon)


@model_asset(
    reads={"spread_trunk": Read(model="spread_trunk"), "features": FEATURE_TABLE, "targets": TARGETS},
    code_version="2",
    kinds={"pytorch", "scikitlearn"},
    uses=("walk_forward", "deep"),
    forecasts=Forecasts("spread", PREDICTIONS_SPREAD, _of_spread, model="spread_lstm"),
)
def spread_lstm(at: Slice, spread_trunk: StoredModel, features: pd.DataFrame, targets: pd.DataFrame) -> FittedModel:
    """The networks of the horizon are taken from the ticker's trunk, with their own softmax; a logistic on the last
    session of the same sequences stands beside them."""
    from trading_dag.models.spreads.spread import fit

    return fit(spread_trunk.fitted, features, targets, horizon=at.horizon, settings=at.settings.walk_forward)


@table_asset(
    PREDICTIONS_SPREAD,
    reads={"spread_lstm": Read(model="spread_lstm"), "features": FEATURE_TABLE, "targets": TARGETS},
    code_version="1",
    kinds={"pytorch", "scikitlearn", "parquet"},
)
def spread(at: Slice, spread_lstm: StoredModel, features: pd.DataFrame, targets: pd.DataFrame) -> Result:
    """Each session is forecast by the newest fold that had seen nothing after it, from the 60 sessions that end with
    it; class shares and the class that was known last stand beside the models."""
    from trading_dag.models.deep.torch_library import why_networks_are_off
    from trading_dag.models.spreads.spread import predict

    table = predict(spread_lstm.fitted, features, targets, horizon=at.horizon)
    off = why_networks_are_off(at.settings.deep)

    def figures() -> dict[str, Figure]:
        from trading_dag.plots.spread import spread_confusion, training_history

        return {
            "training history": training_history(spread_lstm.fitted),
            "confusion of the spreads": spread_confusion(table),
        }

    told = {LEFT_OUT: off} if off else {}
    return Result({PREDICTIONS_SPREAD.name: table}, told, draw=figures, is_drawn_monthly=True)


DECLARATIONS: Final[tuple[Declaration, ...]] = (spread_trunk, spread_lstm, spread)
