"""Labels: what happened after each session. No other asset looks forward."""

from __future__ import annotations

from typing import Final

import pandas as pd

from assets.declare.declaration import Declaration, Read, Slice, table_asset
from trading_dag.schemas import IMPLIED_VOLATILITY, PRICES_DAILY, TARGETS, TECHNICAL


@table_asset(
    TARGETS,
    reads={
        "prices": PRICES_DAILY,
        "technical": Read(TECHNICAL, columns=("session", "hv_20")),
        "implied_volatility": Read(
            IMPLIED_VOLATILITY, columns=("session", "iv_rank", "vix_close", "vix_filled_sessions", "iv_source")
        ),
    },
    code_version="3",
)
def targets(at: Slice, prices: pd.DataFrame, technical: pd.DataFrame, implied_volatility: pd.DataFrame) -> pd.DataFrame:
    """Rows end where the future does. 12h rows are absent for sessions at which the index's open is only a copy of the
    close."""
    from trading_dag.labels import build_targets

    return build_targets(prices, technical, implied_volatility, horizon=at.horizon)


DECLARATIONS: Final[tuple[Declaration, ...]] = (targets,)
