"""What the recommended structures would have earned, under stated assumptions."""

from __future__ import annotations

from typing import Final

import pandas as pd

from assets.declaration import Declaration, Result, Slice, table_asset
from assets.pictures import picture
from assets.signals import RATES
from trading_dag.schemas import EQUITY, METRICS, PRICES_DAILY, RECOMMENDATION, SUMMARY, TRADES, VOLATILITY_INDEX


@table_asset(
    TRADES,
    EQUITY,
    SUMMARY,
    reads={
        "recommendation": RECOMMENDATION,
        "metrics": METRICS,
        "prices": PRICES_DAILY,
        "volatility_index": VOLATILITY_INDEX,
        "rates": RATES,
    },
    code_version="3",
    uses=("surface", "backtest"),
)
def recommended_structure(
    at: Slice,
    recommendation: pd.DataFrame,
    metrics: pd.DataFrame,
    prices: pd.DataFrame,
    volatility_index: pd.DataFrame,
    rates: pd.DataFrame,
) -> Result:
    """Enters at the open after the signal, leaves at the horizon, on the modelled surface; beside buy and hold and
    random entries."""
    from trading_dag.backtest.engine import run_backtest
    from trading_dag.plots import equity_against_benchmark
    from trading_dag.validation.edge import admissibility

    result = run_backtest(
        recommendation,
        prices,
        volatility_index,
        rates=rates,
        horizon=at.horizon,
        settings=at.settings,
        gate=admissibility(metrics),
    )
    title = f"{at.ticker} {at.horizon.key}"
    frames = {"trades": result.trades, "equity": result.equity, "summary": result.summary}
    return Result(frames, {"equity": picture(equity_against_benchmark(result.equity, title))})


DECLARATIONS: Final[tuple[Declaration, ...]] = (recommended_structure,)
