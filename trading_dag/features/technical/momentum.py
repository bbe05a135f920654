"""Oscillators: RSI, MACD, stochastic, rate of change, money flow, Williams %R, CCI."""

from __future__ import annotations

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.features.technical.bars import AdjustedBars, Columns, exceeds, flag, lagged, ratio_of
from trading_dag.features.technical.trend import has_never_moved


def momentum_features(bars: AdjustedBars) -> Columns:
    """RSI to CCI; formulas in ``features.formulas``.

    TA-Lib answers 0 where a range, a deviation or a flow is zero; here that is NaN.
    """
    import talib

    high, low, close = bars.high, bars.low, bars.close
    unmoved = has_never_moved(bars)
    rsi_14, rsi_28 = (np.where(unmoved, np.nan, talib.RSI(close, window)) for window in (14, 28))
    macd, signal, histogram = talib.MACD(close, 12, 26, 9)
    no_range = ~exceeds(talib.MAX(high, 14), talib.MIN(low, 14))
    stoch_k, stoch_d = talib.STOCH(high, low, close, fastk_period=14, slowk_period=3, slowd_period=3)
    stoch_k = np.where(_within(no_range, 3), np.nan, stoch_k)
    stoch_d = np.where(_within(no_range, 5), np.nan, stoch_d)
    atr_14 = talib.ATR(high, low, close, 14)
    typical = (high + low + close) / 3
    no_deviation = ~exceeds(talib.MAX(typical, 20), talib.MIN(typical, 20))
    return {
        "rsi_14": rsi_14,
        "rsi_28": rsi_28,
        "rsi_14_overbought": flag(exceeds(rsi_14, 70.0), rsi_14),
        "rsi_14_oversold": flag(exceeds(-rsi_14, -30.0), rsi_14),
        "macd": macd,
        "macd_signal": signal,
        "macd_histogram": histogram,
        "macd_histogram_change_1d": histogram - lagged(histogram, 1),
        "macd_histogram_pct": histogram / close * 100,
        "macd_histogram_atr": ratio_of(histogram, atr_14),
        "stoch_k": stoch_k,
        "stoch_d": stoch_d,
        "stoch_kd_spread": stoch_k - stoch_d,
        "roc_5": talib.ROC(close, 5),
        "roc_10": talib.ROC(close, 10),
        "roc_20": talib.ROC(close, 20),
        "mfi_14": _money_flow_index(bars, typical),
        "williams_r_14": np.where(no_range, np.nan, talib.WILLR(high, low, close, 14)),
        "cci_20": np.where(no_deviation, np.nan, talib.CCI(high, low, close, 20)),
    }


def _within(condition: BoolArray, sessions: int) -> BoolArray:
    """Return whether the condition held on one of the last ``sessions`` sessions."""
    held = condition.copy()
    for step in range(1, min(sessions, len(condition))):
        held[step:] |= condition[:-step]
    return held


def _money_flow_index(bars: AdjustedBars, typical: FloatArray) -> FloatArray:
    """TA-Lib's MFI over the sessions that have a volume; NaN on the others and where no money flowed."""
    import talib

    out = np.full(len(typical), np.nan)
    known = ~np.isnan(bars.volume)
    if known.sum() < 15:
        return out
    volume = bars.volume[known]
    index = talib.MFI(bars.high[known], bars.low[known], bars.close[known], volume, 14)
    moved = np.abs(np.diff(typical[known], prepend=np.nan)) > 0
    flow = talib.SUM(np.where(moved, volume, 0.0), 14)
    out[known] = np.where(flow > 0, index, np.nan)
    return out
