"""Closes of a volatility index that cannot be true, and from when on that is known.

One definition for the check of the raw table, which warns, for the features, which take such a close for missing, and
for labels, which are absent there. Filling what is missing is ``implied_volatility.py``'s.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray

# Of VIX, VXN and VIX3M up to 2024 the closes that stand alone and revert reach 9.0 scales (VIX3M on 7 May 2010, 8.4
# of VXN on 17 July 2014). VXN of 1 February 2024 (18.25, 11.20, 17.22) has 20.6 scales and 43 %: a vendor's error.
_LONE_SCALES: Final = 10.0
_LONE_SIZE: Final = 0.20
_LONE_NET: Final = 0.5
# Volatility jumps up in a session and comes down over many. The furthest fall below both closes before is 26 % (VIX,
# 30 % in logarithms, 10.9 scales); that of the vendor's error is 36 %.
_FALL_SCALES: Final = 12.0
_FALL_SIZE: Final = 0.40
_USUAL_SESSIONS: Final = 31
_LEAST_SESSIONS: Final = 10
_UNREST_SESSIONS: Final = 3


def lone_closes_of_index(closes: pd.Series) -> BoolArray:
    """Closes far from both their neighbours, on one side, where the neighbours agree.

    Parameters
    ----------
    closes : positive closes in session order, none missing.

    When it is known
    ----------------
    At the next close: a flag reads the closes up to the one after it, and none later.
    """
    moves, scale = _moves(closes), _scale_before(closes)
    back = np.append(moves[1:], np.nan)[: len(moves)]
    size = np.minimum(np.abs(moves), np.abs(back))
    is_alone = (moves * back < 0) & (np.abs(moves + back) <= _LONE_NET * size)
    return np.asarray(is_alone & (size > np.maximum(_LONE_SCALES * scale, _LONE_SIZE)), dtype=bool)


def impossible_falls_of_index(closes: pd.Series) -> BoolArray:
    """Closes further below both the closes before than an index ever fell.

    Known at the close itself. Where the next close stays down, it is no ``lone_closes_of_index``: what looked
    impossible then was true. Parameters as there.
    """
    levels = np.log(closes.to_numpy(dtype="float64"))
    before = pd.Series(levels).shift(1).to_numpy()
    lower = np.fmin(before, pd.Series(levels).shift(2).to_numpy())
    limit = np.maximum(_FALL_SCALES * _scale_before(closes), _FALL_SIZE)
    return np.asarray(levels - lower < -limit, dtype=bool)


def without_lone_closes(volatility_index: pd.DataFrame) -> pd.DataFrame:
    """``raw.volatility_index`` in session order with its lone closes missing, the three-month index's too."""
    cleaned = volatility_index.copy()
    for name in ("close", "vix3m_close"):
        closes = cleaned[name][np.isfinite(cleaned[name]) & (cleaned[name] > 0)]
        cleaned.loc[closes.index[lone_closes_of_index(closes)], name] = np.nan
    return cleaned


def _moves(closes: pd.Series) -> FloatArray:
    return np.diff(np.log(closes.to_numpy(dtype="float64")), prepend=np.nan)


def _scale_before(closes: pd.Series) -> FloatArray:
    """Median absolute move of the 31 sessions before, or half the mean of the last three where these were wild.

    NaN, so that nothing is flagged, before there are ten.
    """
    sizes = pd.Series(np.abs(_moves(closes)))
    usual = sizes.rolling(_USUAL_SESSIONS, min_periods=_LEAST_SESSIONS).median()
    unrest = sizes.rolling(_UNREST_SESSIONS).mean() / 2
    before: FloatArray = usual.where(usual > unrest, unrest).where(usual.notna()).shift(1).to_numpy()
    return before
