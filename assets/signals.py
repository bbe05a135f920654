"""Forecasts turned into defined-risk structures."""

from __future__ import annotations

from typing import Final

import pandas as pd

from assets.declare.declaration import Declaration, Read, Slice, table_asset
from trading_dag.schemas import (
    CHAIN_ANALYTICS,
    MACRO_TABLE,
    PREDICTIONS_DIRECTION,
    PREDICTIONS_VOLATILITY,
    PRICES_DAILY,
    RECOMMENDATION,
    VOLATILITY_INDEX,
)

RATES: Final = Read(MACRO_TABLE, columns=("session", "treasury_3m"), same_source_as="prices")


@table_asset(
    RECOMMENDATION,
    reads={
        "direction": PREDICTIONS_DIRECTION,
        "volatility": PREDICTIONS_VOLATILITY,
        "prices": PRICES_DAILY,
        "volatility_index": VOLATILITY_INDEX,
        "rates": RATES,
        "smiles": CHAIN_ANALYTICS,
    },
    code_version="10",
    uses=("selector", "surface", "backtest"),
)
def recommendation(
    at: Slice,
    direction: pd.DataFrame,
    volatility: pd.DataFrame,
    prices: pd.DataFrame,
    volatility_index: pd.DataFrame,
    rates: pd.DataFrame,
    smiles: pd.DataFrame,
) -> pd.DataFrame:
    """Each session gets one row, priced on the smiles fitted to its option chain where it has one. Without a proven
    edge on outcomes known by then, the structure is shown and its size is zero."""
    from trading_dag.strategy.recommendation import build_recommendations
    from trading_dag.validation.edge import edge_to_date

    return build_recommendations(
        direction,
        volatility,
        prices,
        volatility_index,
        edge=edge_to_date(direction, volatility),
        rates=rates,
        horizon=at.horizon,
        settings=at.settings,
        smiles=smiles,
    )


DECLARATIONS: Final[tuple[Declaration, ...]] = (recommendation,)
