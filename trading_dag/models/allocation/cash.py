"""What cash earns from a session on, at the rate known at its close."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.day_count import SESSIONS_PER_YEAR
from trading_dag.slices import Horizon

CASH_RATE: Final = "fed_funds_effective"


def cash_returns(features: pd.DataFrame, *, horizon: Horizon) -> FloatArray:
    """Return the interest of cash over the horizon from each session on, a fraction, at the rate known then.

    Parameters
    ----------
    features : features.feature_table; where it has no federal funds rate, as in the sample, cash earns nothing.
    """
    if CASH_RATE not in features.columns:
        return np.zeros(len(features))
    rate = features[CASH_RATE].to_numpy(dtype=np.float64, na_value=np.nan)
    earned: FloatArray = np.nan_to_num(rate) / 100.0 * horizon.scaling_sessions / SESSIONS_PER_YEAR
    return earned
