"""Realised volatility, Bollinger bands and true range."""

from __future__ import annotations

from math import log, sqrt

import numpy as np

from trading_dag.day_count import SESSIONS_PER_YEAR
from trading_dag.features.technical.bars import (
    AdjustedBars,
    Columns,
    ratio_of,
    rolling_mean,
    rolling_percentile,
    rolling_std,
)

_ANNUALIZED_PERCENT = sqrt(SESSIONS_PER_YEAR) * 100


def volatility_features(bars: AdjustedBars) -> Columns:
    """hv, Bollinger, ATR, Parkinson and Garman–Klass; formulas in ``features.formulas``."""
    import talib

    close = bars.close
    hv_5, hv_10, hv_20, hv_60, hv_120 = (
        rolling_std(bars.log_return, window) * _ANNUALIZED_PERCENT for window in (5, 10, 20, 60, 120)
    )
    upper, middle, lower = talib.BBANDS(close, timeperiod=20, nbdevup=2.0, nbdevdn=2.0)
    atr_14 = talib.ATR(bars.high, bars.low, close, 14)
    squared_range = np.log(bars.high / bars.low) ** 2
    squared_body = np.log(close / bars.open) ** 2
    parkinson = rolling_mean(squared_range, 20) / (4 * log(2))
    garman_klass = rolling_mean(0.5 * squared_range - (2 * log(2) - 1) * squared_body, 20)
    return {
        "hv_5": hv_5,
        "hv_10": hv_10,
        "hv_20": hv_20,
        "hv_60": hv_60,
        "hv_120": hv_120,
        "hv_ratio_5_20": ratio_of(hv_5, hv_20),
        "hv_ratio_20_60": ratio_of(hv_20, hv_60),
        "hv_trend": hv_5 - hv_20,
        "bb_upper": upper,
        "bb_middle": middle,
        "bb_lower": lower,
        "bb_width": ratio_of(upper - lower, middle),
        "bb_position": ratio_of(close - lower, upper - lower),
        "atr_14": atr_14,
        "atr_pct": atr_14 / close * 100,
        "parkinson_hv_20": np.sqrt(parkinson) * _ANNUALIZED_PERCENT,
        "garman_klass_hv_20": np.sqrt(np.where(garman_klass < 0, np.nan, garman_klass)) * _ANNUALIZED_PERCENT,
        "hv_20_percentile_252": rolling_percentile(hv_20, SESSIONS_PER_YEAR),
    }
