"""Every feature of a ticker side by side, after all the tables that it joins."""

from __future__ import annotations

from typing import Final

import pandas as pd

from assets.declaration import Declaration, Read, Slice, table_asset
from trading_dag.schemas import (
    EARNINGS_TABLE,
    ECONOMIC_CALENDAR_TABLE,
    FEATURE_TABLE,
    IMPLIED_VOLATILITY,
    INTRADAY,
    MACRO_TABLE,
    OPTION_CHAIN_TABLE,
    REGIME,
    SENTIMENT,
    TECHNICAL,
    Table,
)

_OF_TICKER: Final[dict[str, Table]] = {
    "technical": TECHNICAL,
    "implied_volatility": IMPLIED_VOLATILITY,
    "sentiment": SENTIMENT,
    "earnings": EARNINGS_TABLE,
    "economic_calendar": ECONOMIC_CALENDAR_TABLE,
    "intraday": INTRADAY,
    "option_chain": OPTION_CHAIN_TABLE,
    "regime": REGIME,
}


@table_asset(
    FEATURE_TABLE,
    reads={**_OF_TICKER, "macro": Read(MACRO_TABLE, same_source_as="technical")},
    code_version="2",
    probes=dict.fromkeys((*_OF_TICKER, "macro"), "session"),
)
def feature_table(
    at: Slice, technical: pd.DataFrame, implied_volatility: pd.DataFrame, macro: pd.DataFrame, **others: pd.DataFrame
) -> pd.DataFrame:
    """Columns never disappear: what the source does not give is NULL."""
    from trading_dag.features.feature_table import build_feature_table

    return build_feature_table(technical, implied_volatility, macro, **others)


DECLARATIONS: Final[tuple[Declaration, ...]] = (feature_table,)
