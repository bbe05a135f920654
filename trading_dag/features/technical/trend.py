"""Moving averages, their order and slope, and Wilder's directional movement."""

from __future__ import annotations

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.features.technical.bars import AdjustedBars, Columns, exceeds, flag, lagged, ratio_of


def trend_features(bars: AdjustedBars) -> Columns:
    """sma, ema, price_to, above, crosses, slopes, adx and di; formulas in ``features.formulas``."""
    import talib

    close = bars.close
    sma_20, sma_50, sma_200 = (talib.SMA(close, window) for window in (20, 50, 200))
    ema_12, ema_26 = (talib.EMA(close, window) for window in (12, 26))
    above = flag(exceeds(sma_50, sma_200), sma_50, sma_200)
    below = flag(exceeds(sma_200, sma_50), sma_50, sma_200)
    unmoved = has_never_moved(bars)
    return {
        "sma_20": sma_20,
        "sma_50": sma_50,
        "sma_200": sma_200,
        "ema_12": ema_12,
        "ema_26": ema_26,
        "price_to_sma_20": close / sma_20 - 1,
        "price_to_sma_50": close / sma_50 - 1,
        "price_to_sma_200": close / sma_200 - 1,
        "price_to_ema_12": close / ema_12 - 1,
        "price_to_ema_26": close / ema_26 - 1,
        "sma_20_above_50": flag(exceeds(sma_20, sma_50), sma_20, sma_50),
        "sma_50_above_200": above,
        "ema_12_above_26": flag(exceeds(ema_12, ema_26), ema_12, ema_26),
        "golden_cross": _begins(above),
        "death_cross": _begins(below),
        "sma_20_slope_5": (ratio_of(sma_20, lagged(sma_20, 5)) - 1) / 5,
        "sma_50_slope_10": (ratio_of(sma_50, lagged(sma_50, 10)) - 1) / 10,
        "adx_14": np.where(unmoved, np.nan, talib.ADX(bars.high, bars.low, close, 14)),
        "plus_di_14": np.where(unmoved, np.nan, talib.PLUS_DI(bars.high, bars.low, close, 14)),
        "minus_di_14": np.where(unmoved, np.nan, talib.MINUS_DI(bars.high, bars.low, close, 14)),
    }


def has_never_moved(bars: AdjustedBars) -> BoolArray:
    """Return whether every price up to t is the same: Wilder's ratios are then zero over zero."""
    highest = np.maximum.accumulate(bars.high)
    lowest = np.minimum.accumulate(bars.low)
    return ~exceeds(highest, lowest)


def _begins(state: FloatArray) -> FloatArray:
    """1.0 where the state holds and did not one session before; NaN where either is not known."""
    before = lagged(state, 1)
    return flag((state == 1) & (before == 0), state, before)
