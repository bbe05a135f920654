"""Whether the dividend-adjusted close belongs to the close: their ratio only ever rises, and only by dividends.

A vendor divides everything before an ex-date by one factor, so that adj_close / close steps up on that day and never
down. Of six ETFs since their listing the ratio falls by no more than 0.000002 and rises by at most 2.5 % (EFA,
December 2007).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.quality.activity import log_of

_TOLERANCE: Final = 5e-4
_CENT: Final = 0.005
# Where the dividend is recorded: by how much the step may differ from it. Distributions that a vendor leaves out of the
# dividend column (capital gains) differ by less.
_CONTRADICTION: Final = 0.02
_REMARKABLE_CONTRADICTION: Final = 0.005
# Where nothing is recorded: the largest ordinary dividend is 2.5 %, special ones of large companies reach 10 %.
_IMPOSSIBLE_STEP: Final = 0.12
_REMARKABLE_STEP: Final = 0.0275


def impossible_adjustments(rows: pd.DataFrame) -> BoolArray:
    """Return the sessions at which adj_close / close falls, or rises by more than a dividend can explain."""
    step, unexplained, is_recorded, tolerance = _steps(rows)
    limit = np.where(is_recorded, _CONTRADICTION, _IMPOSSIBLE_STEP)
    return np.asarray((step < -tolerance) | (np.abs(unexplained) > limit + tolerance), dtype=bool)


def remarkable_adjustments(rows: pd.DataFrame) -> BoolArray:
    """Return the sessions at which adj_close / close rises by more than the recorded dividend, or by more than is
    usual.
    """
    step, unexplained, is_recorded, tolerance = _steps(rows)
    limit = np.where(is_recorded, _REMARKABLE_CONTRADICTION, _REMARKABLE_STEP)
    is_possible = ~impossible_adjustments(rows)
    return np.asarray((np.abs(unexplained) > limit + tolerance) & (step >= -tolerance) & is_possible, dtype=bool)


def _steps(rows: pd.DataFrame) -> tuple[FloatArray, FloatArray, BoolArray, FloatArray]:
    """Return the log step of adj_close / close, its part that no dividend explains, whether one is recorded, and the
    rounding."""
    ratio = (rows["adj_close"] / rows["close"]).where((rows["adj_close"] > 0) & (rows["close"] > 0))
    steps = pd.Series(log_of(ratio)).diff()
    dividend = (rows["dividend"] / rows["close"].shift(1)).clip(upper=0.99)
    explained = -np.log1p(-dividend.fillna(0.0).to_numpy(dtype="float64"))
    is_recorded = rows["dividend"].notna().to_numpy(dtype=bool)
    step = np.asarray(np.nan_to_num(steps), dtype="float64")
    unexplained = np.asarray(np.nan_to_num(step - explained), dtype="float64")
    return step, unexplained, is_recorded, _rounding(rows)


def _rounding(rows: pd.DataFrame) -> FloatArray:
    """Return how far the ratio may be off by rounding alone: much where small prices are given in whole cents."""
    adjusted = rows["adj_close"].where(rows["adj_close"] > 0).to_numpy(dtype="float64")
    in_cents = np.abs(adjusted * 100 - np.round(adjusted * 100)) < 1e-6
    rounded = np.nan_to_num(_CENT * (1 / adjusted + 1 / rows["close"].to_numpy(dtype="float64")))
    both = rounded + np.append(0.0, rounded[:-1])
    return _TOLERANCE + np.where(in_cents.mean() > 0.99 if len(rows) else False, both, 0.0)
