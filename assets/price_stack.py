"""The price stack: the fitted model, and whom it believes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from assets.declare.declaration import Declaration, Forecasts, Read, Result, Slice, model_asset, table_asset
from assets.declare.fitting import fit_family
from assets.declare.pictures import picture
from trading_dag.schemas import FEATURE_TABLE, PREDICTIONS_PRICE, STACK_WEIGHTS, TARGETS

if TYPE_CHECKING:
    from resources.io_managers.tables import StoredModel
    from trading_dag.models.learning.fitted import FittedModel
    from trading_dag.settings import Settings
    from trading_dag.slices import Horizon


def _points(fitted: FittedModel, inputs: Mapping[str, Any], horizon: Horizon, settings: Settings) -> pd.DataFrame:
    """Return the points of a version. A session's close is that from which its label tells the way to the target, so
    sessions whose outcome is not known, which are not compared, have none and are left out."""
    from trading_dag.models.price.price_stack_forecasts import predict

    targets = inputs["targets"]
    known = targets[targets["target_price"].notna() & targets["forward_return"].notna()]
    prices = known[["ticker", "session"]].assign(close=known["target_price"] / (1.0 + known["forward_return"]))
    features = inputs["features"]
    features = features[features["session"].isin(prices["session"])].reset_index(drop=True)
    return predict(fitted, features, targets, horizon=horizon, prices=prices)


@model_asset(
    reads={"features": FEATURE_TABLE, "targets": TARGETS},
    code_version="1",
    kinds={"scikitlearn", "xgboost"},
    uses=("walk_forward", "price_stack", "training.price_stack", "features"),
    forecasts=Forecasts("price", PREDICTIONS_PRICE, _points, model="price_stack", metric="mae_percent"),
)
def price_stack(at: Slice, features: pd.DataFrame, targets: pd.DataFrame) -> FittedModel:
    """A random forest, gradient boosting, XGBoost and the drift forecast returns. Their forecasts of rows that they had
    not seen are blended with the random walk, which gets all the weight where nothing is better."""
    from trading_dag.models.price.price_stack import fit

    start = at.settings.training.price_stack.start
    return fit_family(fit, at, features, targets, start=start, stack=at.settings.price_stack)


@table_asset(STACK_WEIGHTS, reads={"price_stack": Read(model="price_stack")}, code_version="1", uses=("walk_forward",))
def stack_weights(at: Slice, price_stack: StoredModel) -> Result:
    """Each fold weighs its learners anew; what they leave is the weight of saying that the price stays."""
    from trading_dag.models.price.price_stack import STACK
    from trading_dag.models.stacks.stack_weights import stack_weights
    from trading_dag.plots.stack_weights import weights_by_fold

    weights = stack_weights(price_stack.fitted, STACK)
    figure = weights_by_fold(weights, live_fold=at.settings.walk_forward.folds + 1)
    return Result({STACK_WEIGHTS.name: weights}, {"weights by fold": picture(figure)})


DECLARATIONS: Final[tuple[Declaration, ...]] = (price_stack, stack_weights)
