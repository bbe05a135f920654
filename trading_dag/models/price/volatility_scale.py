"""How large a move is to be expected at each session: a regression on implied and realised volatility.

Here belongs the width that forecasts of a price are made of, learnt from the moves known at each session and from
nothing later. The shape of the distribution stands in ``sequential_quantiles``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.models.price.sequential_quantiles import NEVER

LEAST_MOVES: Final = 250
# A move of less than a tenth of its usual size says how a price is rounded, not how large moves are, and its logarithm
# would count most of all.
SMALLEST_SHARE: Final = 0.1
_RIDGE: Final = 1e-6
_PERCENT_PER_YEAR: Final = 100.0 * np.sqrt(252.0)


@dataclass(frozen=True)
class ExpectedMove:
    """Holds the expected size of a move at each session.

    Attributes
    ----------
    scale : (sessions,) as a logarithmic return, positive; NaN where the inputs or the known moves do not suffice.
    uses_index : (sessions,) whether implied volatility went into it.
    """

    scale: FloatArray
    uses_index: BoolArray


def expected_move(
    moves: FloatArray, arrivals: IntArray, *, index: FloatArray, realized: FloatArray, sessions_ahead: float
) -> ExpectedMove:
    """Return exp(a + b ln index + c ln hv_5 + d ln hv_20) at each session, its coefficients fitted on the moves known
    by then.

    The coefficients minimise the squared error of the logarithm of absolute moves, so they learn what an index of
    another's options, or a slow realised volatility, is worth. Where there is no index, or fewer than 250 moves
    beside one, hv_60 stands in its place.

    Parameters
    ----------
    moves : (sessions,) logarithmic return to the target; NaN where it is not known.
    arrivals : ``outcome_known_at`` of the sessions.
    index : (sessions,) volatility index, annualised percent points; NaN without one.
    realized : (sessions, 3) hv_5, hv_20 and hv_60, annualised percent points.
    sessions_ahead : length of a move, for the smallest one that counts as it is.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.where(realized > 0, realized, np.nan))
        of_index = np.log(np.where(index > 0, index, np.nan))
        usual = realized[:, 1] / _PERCENT_PER_YEAR * np.sqrt(sessions_ahead)
        size = np.log(np.maximum(np.abs(moves), SMALLEST_SHARE * usual))
    ones = np.ones(len(moves))
    alone = _fitted(np.column_stack([ones, logs]), size, arrivals)
    joined = _fitted(np.column_stack([ones, of_index, logs[:, :2]]), size, arrivals)
    uses_index = np.isfinite(joined)
    return ExpectedMove(np.exp(np.where(uses_index, joined, alone)), uses_index)


def _fitted(inputs: FloatArray, size: FloatArray, arrivals: IntArray) -> FloatArray:
    """Return the fitted value of each row by the least squares of the rows known by then; NaN where they do not do."""
    rows, width = inputs.shape
    usable = np.isfinite(inputs).all(axis=1) & np.isfinite(size)
    known = (arrivals != NEVER) & usable[arrivals]
    design, outcome = np.zeros((rows, width)), np.zeros(rows)
    design[known], outcome[known] = inputs[arrivals[known]], size[arrivals[known]]
    products = np.cumsum(design[:, :, np.newaxis] * design[:, np.newaxis, :], axis=0)
    sums = np.cumsum(design * outcome[:, np.newaxis], axis=0)
    count = np.cumsum(known)
    served = np.flatnonzero((count >= LEAST_MOVES) & np.isfinite(inputs).all(axis=1))
    fitted = np.full(rows, np.nan)
    penalty = _RIDGE * count[served, np.newaxis, np.newaxis] * np.diag([0.0, *[1.0] * (width - 1)])
    coefficients = np.linalg.solve(products[served] + penalty, sums[served][:, :, np.newaxis])[:, :, 0]
    fitted[served] = (inputs[served] * coefficients).sum(axis=1)
    return fitted
