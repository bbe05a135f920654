"""Forecasts of the price at the target, and the distribution around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from assets.declare.declaration import Declaration, Probe, Read, Slice, table_asset
from assets.declare.pictures import picture
from trading_dag.errors import StorageError
from trading_dag.schemas import FEATURE_TABLE, IMPLIED_VOLATILITY, PREDICTIONS_PRICE, PRICES_DAILY, TARGETS, TECHNICAL

if TYPE_CHECKING:
    from resources.io_managers.tables import StoredModel

# What happened afterwards is told in the row of the session, and is no forecast.
_OUTCOMES: Final = ("y_true", "forward_return")


def _distribution(
    at: Slice, prices: pd.DataFrame, technical: pd.DataFrame, implied_volatility: pd.DataFrame
) -> pd.DataFrame:
    """Return the rows that are computed from the past anew at every session."""
    from trading_dag.models.price.price_distribution import build_price_distribution

    return build_price_distribution(prices, technical, implied_volatility, horizon=at.horizon)


def _of_distribution(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that ``_distribution`` makes."""
    from trading_dag.models.price.price_distribution import PRICE_DISTRIBUTION
    from trading_dag.validation.scores.baselines import RANDOM_WALK, ROLLING_QUANTILE

    return rows[rows["model"].isin([PRICE_DISTRIBUTION, ROLLING_QUANTILE, RANDOM_WALK])].reset_index(drop=True)


def _described(at: Slice, forecasts: pd.DataFrame) -> dict[str, Any]:
    """Return from when on there is a distribution and what its width follows; the picture, which takes a quarter of a
    second, is drawn with the first slice of a month."""
    from trading_dag.models.price.price_distribution import PRICE_DISTRIBUTION

    own = forecasts[forecasts["model"] == PRICE_DISTRIBUTION].drop_duplicates("session")
    sources = own["scale_source"].value_counts(sort=False)
    described: dict[str, Any] = {
        "first session with a distribution": "none" if own.empty else f"{own['session'].min():%Y-%m-%d}",
        "width follows, in sessions": ", ".join(f"{name} {count:,}" for name, count in sources.items()) or "none",
    }
    if _month_of_stored(at) != (None if forecasts.empty else f"{forecasts['session'].max():%Y-%m}"):
        from trading_dag.plots.price import price_fan

        described["forecast prices and what came"] = picture(price_fan(forecasts))
    return described


def _month_of_stored(at: Slice) -> str | None:
    try:
        stored = at.store.provenance(PREDICTIONS_PRICE, at.key)
    except StorageError:
        return None  # what cannot be read is about to be replaced
    return stored.last_session[:7] if stored and stored.last_session else None


@table_asset(
    PREDICTIONS_PRICE,
    reads={
        "prices": Read(PRICES_DAILY, columns=("ticker", "session", "open", "close")),
        "technical": Read(TECHNICAL, columns=("ticker", "session", "hv_5", "hv_20", "hv_60")),
        "implied_volatility": Read(IMPLIED_VOLATILITY, columns=("ticker", "session", "vix_close", "iv_source")),
        "price_stack": Read(model="price_stack"),
        "features": FEATURE_TABLE,
        "targets": Read(
            TARGETS,
            columns=("ticker", "horizon", "session", "target_session", "target_price", "forward_return"),
        ),
    },
    code_version="2",
    probe=Probe(
        {"prices": "session", "technical": "session", "implied_volatility": "session"},
        part=_distribution,
        rows_of_part=_of_distribution,
        outcomes=_OUTCOMES,
    ),
    describe=_described,
)
def price(
    at: Slice,
    prices: pd.DataFrame,
    technical: pd.DataFrame,
    implied_volatility: pd.DataFrame,
    price_stack: StoredModel,
    features: pd.DataFrame,
    targets: pd.DataFrame,
) -> pd.DataFrame:
    """Distributions rest on moves that were known at the session; they stand beside quantiles of the last 250 moves,
    the random walk, and the points of the price stack and its learners. The slice 168h holds forecasts of 10 and 21
    sessions ahead, too."""
    from trading_dag.models.price.price_stack_forecasts import predict
    from trading_dag.models.price.price_table import price_table

    points = predict(price_stack.fitted, features, targets, horizon=at.horizon, prices=prices)
    return price_table([_distribution(at, prices, technical, implied_volatility), points])


DECLARATIONS: Final[tuple[Declaration, ...]] = (price,)
