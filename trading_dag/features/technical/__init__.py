"""features.technical: the indicators of one ticker's prices and volume.

This package holds the indicators, one module a family, and the adjusted bars they read. Indicators come from
TA-Lib; what TA-Lib has not, or computes with too little precision, is NumPy and pandas. Loading prices is
elsewhere, and so is anything that needs a second source (implied volatility, macro).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from trading_dag.features.formulas import documents_features
from trading_dag.features.technical.bars import AdjustedBars, Columns, adjusted_bars
from trading_dag.features.technical.momentum import momentum_features
from trading_dag.features.technical.ranges import range_features
from trading_dag.features.technical.returns import return_features
from trading_dag.features.technical.trend import trend_features
from trading_dag.features.technical.volatility import volatility_features
from trading_dag.features.technical.volume import volume_features
from trading_dag.schemas import TECHNICAL_FEATURES

__all__ = ["AdjustedBars", "adjusted_bars", "build_technical"]

_NO_ROWS = np.empty(0)


@documents_features(TECHNICAL_FEATURES)
def build_technical(prices: pd.DataFrame) -> pd.DataFrame:
    """Returns the technical features of one ticker.

    Parameters
    ----------
    prices : ``raw.prices_daily`` of one ticker, ascending sessions. Zero rows give zero rows.

    Returns
    -------
    pd.DataFrame : ``features.technical``, one row per row of ``prices``, all features ``float64``.

    When it is known
    ----------------
    Row t needs the bars up to and including t and is known at t's close. Prices are adjusted with factor 1 at
    the first session, so that a later dividend, which rebases the vendor's whole ``adj_close``, changes no
    earlier row.

    NaN policy
    ----------
    NaN until the look-back is there; NaN where a denominator is zero (flat prices, zero volume); never inf.
    Sessions without a volume make the volume features of every window over them NaN; ``mfi_14`` and ``obv``
    skip them.

    Raises
    ------
    SchemaError : for missing columns, more than one ticker, sessions that do not ascend, or prices that are
        not positive and finite.

    References
    ----------
    Wilder, New Concepts in Technical Trading Systems (1978), for RSI, ATR and ADX; Parkinson, Journal of
    Business 53 (1980) 61; Garman and Klass, Journal of Business 53 (1980) 67.
    """
    bars = adjusted_bars(prices)
    features: Columns = {}
    if len(bars.sessions):
        for family in (
            trend_features,
            momentum_features,
            volatility_features,
            volume_features,
            range_features,
            return_features,
        ):
            features.update(family(bars))
    matrix = np.empty((len(bars.sessions), len(TECHNICAL_FEATURES)), order="F")
    for position, name in enumerate(TECHNICAL_FEATURES):
        matrix[:, position] = features.get(name, _NO_ROWS)
    frame = pd.DataFrame(matrix, columns=list(TECHNICAL_FEATURES), copy=False)
    frame.insert(0, "session", bars.sessions)
    frame.insert(0, "ticker", pd.Series(bars.ticker, index=frame.index, dtype="str"))
    return frame
