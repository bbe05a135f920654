"""Every feature of a ticker side by side, after all the tables that it joins."""

from __future__ import annotations

from typing import Final

import pandas as pd

from assets.declaration import Declaration, Read, Slice, table_asset
from trading_dag.schemas import FEATURE_TABLE, IMPLIED_VOLATILITY, MACRO_TABLE, REGIME, TECHNICAL


@table_asset(
    FEATURE_TABLE,
    reads={
        "technical": TECHNICAL,
        "implied_volatility": IMPLIED_VOLATILITY,
        "macro": Read(MACRO_TABLE, same_source_as="technical"),
        "regime": REGIME,
    },
    code_version="2",
    probes={"technical": "session", "implied_volatility": "session", "macro": "session", "regime": "session"},
)
def feature_table(
    at: Slice,
    technical: pd.DataFrame,
    implied_volatility: pd.DataFrame,
    macro: pd.DataFrame,
    regime: pd.DataFrame,
) -> pd.DataFrame:
    """Columns never disappear: what the source does not give is NULL."""
    from trading_dag.features.feature_table import build_feature_table

    return build_feature_table(technical, implied_volatility, macro, regime=regime)


DECLARATIONS: Final[tuple[Declaration, ...]] = (feature_table,)
