"""Volume against its own past, and on-balance volume."""

from __future__ import annotations

import numpy as np

from trading_dag.arrays import FloatArray
from trading_dag.features.technical.bars import (
    AdjustedBars,
    Columns,
    exceeds,
    flag,
    lagged,
    ratio_of,
    rolling_mean,
    rolling_std,
)


def volume_features(bars: AdjustedBars) -> Columns:
    """Volume means, surge, z-score, OBV and dollar volume; formulas in ``features.formulas``."""
    volume = bars.volume
    sma_10, sma_20 = rolling_mean(volume, 10), rolling_mean(volume, 20)
    obv = on_balance_volume(bars)
    return {
        "volume_sma_10": sma_10,
        "volume_sma_20": sma_20,
        "volume_ratio": ratio_of(volume, sma_20),
        "obv": obv,
        "obv_slope_20": ratio_of((obv - lagged(obv, 20)) / 20, sma_20),
        "volume_surge": flag(exceeds(volume, 2 * sma_20), volume, sma_20),
        "volume_zscore_20": ratio_of(volume - sma_20, rolling_std(volume, 20)),
        "dollar_volume_20": rolling_mean(bars.split_close * volume, 20),
    }


def on_balance_volume(bars: AdjustedBars) -> FloatArray:
    """TA-Lib's OBV of the adjusted close. A session without a volume is NaN and adds nothing to later ones."""
    import talib

    missing = np.isnan(bars.volume)
    total: FloatArray = talib.OBV(bars.close, np.where(missing, 0.0, bars.volume))
    total[missing] = np.nan
    return total
