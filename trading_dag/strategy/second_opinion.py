"""What the spread model says of a credit spread that was selected: a second opinion, which decides nothing."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import TextArray

# The class of predictions.spread that speaks for each credit spread.
SPEAKS_FOR: Final[dict[str, str]] = {"bull_put_spread": "PUT_CREDIT", "bear_call_spread": "CALL_CREDIT"}


def objections(strategy: TextArray, spread: pd.DataFrame) -> TextArray:
    """Return the second opinion on each row in words where it is another than the credit spread's own; None elsewhere.

    Parameters
    ----------
    spread : y_pred and confidence of the spread model, a row each; NULL where it has no forecast.
    """
    opinion = spread["y_pred"].to_numpy(dtype=object)
    confidence = spread["confidence"].to_numpy(dtype=np.float64)
    told = np.full(len(strategy), None, dtype=object)
    for name, own in SPEAKS_FOR.items():
        for row in np.flatnonzero((strategy == name) & ~pd.isna(opinion) & (opinion != own)):
            told[row] = f"the spread model disagrees, {opinion[row]} at {confidence[row]:.0%}"
    return told
