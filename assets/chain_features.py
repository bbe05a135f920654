"""Features of the stored option chains. They need the ticker's prices; the chains themselves do not."""

from __future__ import annotations

from typing import Final

import pandas as pd

from assets.declare.declaration import Declaration, Probe, Read, Slice, table_asset
from trading_dag.schemas import CHAIN_ANALYTICS, DEALER_EXPOSURE, IMPLIED_VOLATILITY, OPTION_CHAIN_TABLE, PRICES_DAILY


@table_asset(
    OPTION_CHAIN_TABLE,
    reads={
        "prices": Read(PRICES_DAILY, columns=("ticker", "session", "close", "split_factor")),
        "exposure": DEALER_EXPOSURE,
        "analytics": CHAIN_ANALYTICS,
        "implied_volatility": Read(
            IMPLIED_VOLATILITY, columns=("ticker", "session", "iv_rank", "iv_percentile", "iv_source")
        ),
    },
    code_version="3",
    # Prices are not cut: without a later split they would show closes at which the ticker never traded.
    probe=Probe({"exposure": "session", "analytics": "session", "implied_volatility": "session"}),
)
def chain_features(
    at: Slice,
    prices: pd.DataFrame,
    exposure: pd.DataFrame,
    analytics: pd.DataFrame,
    implied_volatility: pd.DataFrame,
) -> pd.DataFrame:
    """A session has values where its chain agrees with the price at which the ticker traded that day; other sessions
    are NULL. ``iv_source`` says whose volatility the ranks are based on: the ticker's own index, its chain, or a
    proxy."""
    from trading_dag.features.option_chain import agreeing_sessions, build_option_chain

    exposure, analytics = agreeing_sessions(exposure, analytics, prices=prices)
    return build_option_chain(prices, exposure, analytics=analytics, implied_volatility=implied_volatility)


DECLARATIONS: Final[tuple[Declaration, ...]] = (chain_features,)
