"""Forecasts of the price at the target, and the distribution around them."""

from __future__ import annotations

from typing import Final

import pandas as pd

from assets.declare.declaration import Declaration, Probe, Read, Slice, table_asset
from trading_dag.schemas import IMPLIED_VOLATILITY, PREDICTIONS_PRICE, PRICES_DAILY, TECHNICAL

# What happened afterwards is told in the row of the session, and is no forecast.
_OUTCOMES: Final = ("y_true", "forward_return")


def _distribution(
    at: Slice, prices: pd.DataFrame, technical: pd.DataFrame, implied_volatility: pd.DataFrame
) -> pd.DataFrame:
    """Return the rows that are computed from the past anew at every session."""
    from trading_dag.models.price_distribution import build_price_distribution

    return build_price_distribution(prices, technical, implied_volatility, horizon=at.horizon)


@table_asset(
    PREDICTIONS_PRICE,
    reads={
        "prices": Read(PRICES_DAILY, columns=("ticker", "session", "open", "close")),
        "technical": Read(TECHNICAL, columns=("ticker", "session", "hv_5", "hv_20", "hv_60")),
        "implied_volatility": Read(IMPLIED_VOLATILITY, columns=("ticker", "session", "vix_close", "iv_source")),
    },
    code_version="1",
    probe=Probe(
        {"prices": "session", "technical": "session", "implied_volatility": "session"},
        part=_distribution,
        outcomes=_OUTCOMES,
    ),
)
def price(at: Slice, prices: pd.DataFrame, technical: pd.DataFrame, implied_volatility: pd.DataFrame) -> pd.DataFrame:
    """Distributions rest on moves that were known at the session; they stand beside quantiles of the last 250 moves and
    the random walk. The slice 168h holds forecasts of 10 and 21 sessions ahead, too."""
    from trading_dag.models.price_table import price_table

    return price_table([_distribution(at, prices, technical, implied_volatility)])


DECLARATIONS: Final[tuple[Declaration, ...]] = (price,)
