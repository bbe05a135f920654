"""Where the close stands within the highs and lows of 52 weeks."""

from __future__ import annotations

from typing import Final

from trading_dag.day_count import SESSIONS_PER_YEAR
from trading_dag.features.technical.bars import AdjustedBars, Columns, exceeds, flag, ratio_of

NEAR_FRACTION: Final = 0.03


def range_features(bars: AdjustedBars) -> Columns:
    """52-week high and low, distances, flags and position; formulas in ``features.formulas``."""
    import talib

    close = bars.close
    high = talib.MAX(bars.high, SESSIONS_PER_YEAR)
    low = talib.MIN(bars.low, SESSIONS_PER_YEAR)
    return {
        "high_52w": high,
        "low_52w": low,
        "distance_from_high_52w": close / high - 1,
        "distance_from_low_52w": close / low - 1,
        "near_high_52w": flag(~exceeds((1 - NEAR_FRACTION) * high, close), high),
        "near_low_52w": flag(~exceeds(close, (1 + NEAR_FRACTION) * low), low),
        "position_52w": ratio_of(close - low, high - low),
    }
