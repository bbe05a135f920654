"""Returns over one session to a year, and the shape of their distribution."""

from __future__ import annotations

from typing import Final

import numpy as np

from trading_dag.arrays import FloatArray
from trading_dag.features.technical.bars import AdjustedBars, Columns, lagged, ratio_of

_SHAPE_WINDOW: Final = 20
# Squared spread over squared size below which returns differ by rounding only.
_NO_VARIATION: Final = 1e-24


def return_features(bars: AdjustedBars) -> Columns:
    """Simple and log returns, skewness and kurtosis; formulas in ``features.formulas``."""
    close = bars.close
    before = {sessions: lagged(close, sessions) for sessions in (1, 5, 10, 20, 60, 252)}
    skewness, kurtosis = rolling_shape(bars.log_return, _SHAPE_WINDOW)
    returns = {f"returns_{sessions}d": close / past - 1 for sessions, past in before.items()}
    return {
        **returns,
        "log_return_1d": bars.log_return,
        "log_return_5d": np.log(close / before[5]),
        "log_return_20d": np.log(close / before[20]),
        "overnight_return": bars.open / before[1] - 1,
        "intraday_return": close / bars.open - 1,
        "return_skew_20": skewness,
        "return_kurtosis_20": kurtosis,
    }


def rolling_shape(values: FloatArray, window: int) -> tuple[FloatArray, FloatArray]:
    """Bias-corrected skewness G1 and excess kurtosis G2 of the last ``window`` values.

    NaN where one of the values is, or where they do not vary.

    References
    ----------
    Joanes and Gill, The Statistician 47 (1998) 183, equations for G1 and G2.
    """
    skewness = np.full(len(values), np.nan)
    kurtosis = np.full(len(values), np.nan)
    if len(values) < window:
        return skewness, kurtosis
    n = float(window)
    windows = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(values, window).T)
    centred = windows - windows.mean(axis=0)
    squared = centred * centred
    m2 = squared.mean(axis=0)
    m3 = (squared * centred).mean(axis=0)
    m4 = (squared * squared).mean(axis=0)
    varies = m2 > _NO_VARIATION * (windows * windows).mean(axis=0)
    g1 = ratio_of(m3, np.where(varies, m2, 0.0) ** 1.5)
    g2 = ratio_of(m4, np.where(varies, m2, 0.0) ** 2) - 3
    skewness[window - 1 :] = g1 * np.sqrt(n * (n - 1)) / (n - 2)
    kurtosis[window - 1 :] = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * g2 + 6)
    return skewness, kurtosis
