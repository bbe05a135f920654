"""Adjusted bars and the array arithmetic that every family of indicators shares.

Arrays are one-dimensional ``float64``, one element a session. Windows end at the element they belong to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.frames import require_prices, require_sessions, ticker_of

Columns = dict[str, FloatArray]

TIE_TOLERANCE: Final = 1e-9
_PRICES: Final = ("open", "high", "low", "close", "adj_close")


@dataclass(frozen=True)
class AdjustedBars:
    """One ticker's bars, adjusted with factor 1 at the first session.

    Attributes
    ----------
    ticker : underlying.
    sessions : the sessions, ascending.
    open, high, low, close : adjusted for splits and dividends, USD.
    split_close : adjusted for splits only, USD.
    volume : as the vendor gives it; NaN where there is none.
    log_return : ln(close / previous close), NaN first.
    """

    ticker: str
    sessions: pd.DatetimeIndex
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    split_close: FloatArray
    volume: FloatArray
    log_return: FloatArray


def adjusted_bars(prices: pd.DataFrame) -> AdjustedBars:
    """Return the bars, whose adjustment factor is (adj_close / close) at t over the same ratio at the first session.

    Raises
    ------
    SchemaError : see ``build_technical``.
    """
    table = "raw.prices_daily"
    sessions = require_sessions(prices, ("ticker", *_PRICES, "volume"), table=table)
    require_prices(prices, _PRICES, table=table)
    start, high, low, close, adj_close = (prices[name].to_numpy(dtype="float64") for name in _PRICES)
    ratio = adj_close / close
    factor = ratio / ratio[0] if len(ratio) else ratio
    adjusted = close * factor
    return AdjustedBars(
        ticker=ticker_of(prices),
        sessions=sessions,
        open=start * factor,
        high=high * factor,
        low=low * factor,
        close=adjusted,
        split_close=close,
        volume=prices["volume"].to_numpy(dtype="float64", na_value=np.nan),
        log_return=np.log(ratio_of(adjusted, lagged(adjusted, 1))),
    )


def lagged(values: FloatArray, sessions: int) -> FloatArray:
    """Return the values ``sessions`` rows before; NaN at the start."""
    out = np.full(len(values), np.nan)
    out[sessions:] = values[: max(len(values) - sessions, 0)]
    return out


def ratio_of(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Quotient; NaN where the denominator is zero."""
    out = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=out, where=denominator != 0)
    return out


def flag(condition: BoolArray, *inputs: FloatArray) -> FloatArray:
    """1.0 where the condition holds, 0.0 where not, NaN where an input is NaN."""
    out = condition.astype("float64")
    for values in inputs:
        out[np.isnan(values)] = np.nan
    return out


def exceeds(left: FloatArray, right: FloatArray | float) -> BoolArray:
    """Return whether left > right by more than rounding, so that ties do not hang on the last bit."""
    margin = TIE_TOLERANCE * np.maximum(np.abs(left), np.abs(right))
    return np.asarray(left - right > margin)


def rolling_mean(values: FloatArray, window: int) -> FloatArray:
    """Mean of the last ``window`` values; NaN where one of them is."""
    return pd.Series(values, copy=False).rolling(window).mean().to_numpy()


def rolling_std(values: FloatArray, window: int) -> FloatArray:
    """Sample standard deviation (ddof 1) of the last ``window`` values; NaN where one of them is."""
    return pd.Series(values, copy=False).rolling(window).std().to_numpy()


def rolling_percentile(values: FloatArray, window: int) -> FloatArray:
    """Share of the last ``window`` values, the last included, strictly below the last, times 100.

    NaN where one of the values is.
    """
    out = np.full(len(values), np.nan)
    if len(values) < window:
        return out
    last = values[window - 1 :]
    below = np.zeros(len(last), dtype=np.int16)
    for position in range(window - 1):
        below += values[position : position + len(last)] < last
    missing = np.cumsum(np.concatenate(([0], np.isnan(values))))
    out[window - 1 :] = np.where(missing[window:] == missing[:-window], below * (100.0 / window), np.nan)
    return out
