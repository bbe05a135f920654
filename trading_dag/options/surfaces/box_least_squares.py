"""Least squares of a few unknowns within a box, by Levenberg and Marquardt's steps.

Only the descent belongs here, nothing of what is fitted. SciPy's own solver within bounds spends two thirds of its time
on staying away from them and on decompositions that five unknowns do not need; a session of forty
expirations needs four thousand steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from trading_dag.arrays import FloatArray

Function = Callable[[FloatArray], FloatArray]

_FIRST_DAMPING: Final = 1e-3
_LEAST_DAMPING: Final = 1e-12
_MOST_DAMPING: Final = 1e9
_HARDER, _EASIER = 4.0, 5.0
_QUIET_STEPS: Final = 4
_MOST_STEPS: Final = 400


def descend(
    residuals: Function,
    derivatives: Function,
    start: FloatArray,
    *,
    lower: FloatArray,
    upper: FloatArray,
    precision: float,
) -> FloatArray:
    """Return the point within the box to which the sum of squared residuals descends from the start, (unknowns,).

    An unknown at its bound stays there while the sum would fall beyond it; a step that leaves the box ends on its
    side. No step makes the sum greater. It ends when four steps in a row have lowered the sum by less than
    ``precision`` of it, when no step lowers it, or after 400 steps.

    Parameters
    ----------
    residuals, derivatives : (n,) and (n, unknowns) at a point of the box.
    start : within the box.

    References
    ----------
    Marquardt, "An Algorithm for Least-Squares Estimation of Nonlinear Parameters", Journal of SIAM 11, 1963, 431–441.
    """
    point, error = start, residuals(start)
    total, damping, quiet, steps = float(error @ error), _FIRST_DAMPING, 0, 0
    while quiet < _QUIET_STEPS:
        slope = derivatives(point)
        gradient, bend = slope.T @ error, slope.T @ slope
        free = np.flatnonzero(~(((point <= lower) & (gradient > 0.0)) | ((point >= upper) & (gradient < 0.0))))
        scale = np.sqrt(bend[free, free])
        scale[scale == 0.0] = 1.0
        scaled, downhill = bend[np.ix_(free, free)] / np.outer(scale, scale), -gradient[free] / scale
        before = total
        while True:
            if not len(free) or damping > _MOST_DAMPING or steps >= _MOST_STEPS:
                return point
            steps += 1
            tried = point.copy()
            step = np.linalg.solve(scaled + damping * np.eye(len(free)), downhill) / scale
            tried[free] = np.clip(point[free] + step, lower[free], upper[free])
            tried_error = residuals(tried)
            tried_total = float(tried_error @ tried_error)
            if tried_total < total:
                break
            damping *= _HARDER
        point, error, total = tried, tried_error, tried_total
        damping = max(damping / _EASIER, _LEAST_DAMPING)
        quiet = quiet + 1 if before - total <= precision * before else 0
    return point
