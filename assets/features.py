"""Feature tables: one row a session, with nothing that was not known at its close."""

from __future__ import annotations

from typing import Final

import pandas as pd

from assets.declaration import Declaration, Read, Slice, table_asset
from trading_dag.schemas import (
    IMPLIED_VOLATILITY,
    MACRO,
    MACRO_TABLE,
    PRICES_DAILY,
    TECHNICAL,
    VOLATILITY_INDEX,
)


@table_asset(
    TECHNICAL,
    reads={"prices": PRICES_DAILY},
    code_version="1",
    kinds=("talib", "pandas", "parquet"),
    probes={"prices": "session"},
)
def technical(at: Slice, prices: pd.DataFrame) -> pd.DataFrame:
    """Prices are put on the base of their first session, so that a later dividend changes no earlier row."""
    from trading_dag.features.technical import build_technical

    return build_technical(prices)


@table_asset(
    IMPLIED_VOLATILITY,
    reads={
        "volatility_index": VOLATILITY_INDEX,
        "technical": Read(TECHNICAL, columns=("ticker", "session", "hv_20", "log_return_1d")),
    },
    code_version="1",
    probes={"volatility_index": "session", "technical": "session"},
)
def implied_volatility(at: Slice, volatility_index: pd.DataFrame, technical: pd.DataFrame) -> pd.DataFrame:
    """A rank needs 252 sessions of the index; before that it is NULL."""
    from trading_dag.features.implied_volatility import build_implied_volatility

    return build_implied_volatility(volatility_index, technical)


@table_asset(MACRO_TABLE, reads={"macro": MACRO}, code_version="1", probes={"macro": "known_on"})
def macro(at: Slice, macro: pd.DataFrame) -> pd.DataFrame:
    """Point in time: a value appears on the session on which it was published, and goes stale."""
    from trading_dag.features.macro import build_macro

    return build_macro(macro)


DECLARATIONS: Final[tuple[Declaration, ...]] = (technical, implied_volatility, macro)
