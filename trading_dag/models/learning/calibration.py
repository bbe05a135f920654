"""How far a forecast of two classes is believed: drawn towards climatology by a factor that was learnt with it.

Here belongs the arithmetic. The factor is learnt on inner folds, in ``inner_search``, and kept in a fold's
``calibration``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trading_dag.arrays import FloatArray

_EDGE = 1e-12


def shrunk(probabilities: FloatArray, *, climatology: FloatArray | float, shrink: float) -> FloatArray:
    """Return P(second class) with its distance from climatology, in log-odds, multiplied by a factor.

    Parameters
    ----------
    probabilities : (n,) as the estimator says.
    climatology : share of the second class among the training rows, one number or (n,).
    shrink : from 0, which gives climatology itself, to 1, which changes nothing.
    """
    if shrink == 0.0:
        return np.broadcast_to(np.asarray(climatology, dtype=np.float64), probabilities.shape).copy()
    if shrink == 1.0:
        return probabilities
    usual = _log_odds(np.asarray(climatology, dtype=np.float64))
    believed: FloatArray = 1.0 / (1.0 + np.exp(-(usual + shrink * (_log_odds(probabilities) - usual))))
    return believed


def moved_to(probabilities: FloatArray, *, usual: float, other: FloatArray) -> FloatArray:
    """Return probabilities at the same distance, in log-odds, from another share as they had from the usual one.

    Parameters
    ----------
    probabilities : (n,), P(second class).
    usual, other : share of the second class from which they are told, and (n,) those to which they are moved.
    """
    moved: FloatArray = 1.0 / (
        1.0 + np.exp(-(_log_odds(other) + _log_odds(probabilities) - _log_odds(np.asarray(usual, dtype=np.float64))))
    )
    return moved


def calibrated(probabilities: FloatArray, calibration: Mapping[str, float]) -> FloatArray:
    """Return the probabilities of two classes, (n, 2), as a fold states them; unchanged without a calibration."""
    if not calibration:
        return probabilities
    second = shrunk(probabilities[:, 1], climatology=calibration["climatology"], shrink=calibration["shrink"])
    return np.column_stack([1.0 - second, second])


def _log_odds(probabilities: FloatArray) -> FloatArray:
    inside = np.clip(probabilities, _EDGE, 1.0 - _EDGE)
    odds: FloatArray = np.log(inside / (1.0 - inside))
    return odds
