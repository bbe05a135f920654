"""Many least-squares problems of a few unknowns each within boxes, by Levenberg and Marquardt's steps, all at once.

Only the descent belongs here, nothing of what is fitted. The problems share nothing but the steps' overhead: of five
unknowns and a hundred quotes a step taken alone spends most of its time between the calls of NumPy. To the last bit, a
problem ends where it would end alone.
"""

from __future__ import annotations

from typing import Final, Protocol, Self

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray, IntArray

_FIRST_DAMPING: Final = 1e-3
_LEAST_DAMPING: Final = 1e-12
_MOST_DAMPING: Final = 1e9
_GREATEST_EASING: Final = 0.2
_QUIET_STEPS: Final = 4
_MOST_STEPS: Final = 400
CHUNK: Final = 64


class Problems(Protocol):
    """Gives the residuals of many problems, one point each."""

    def at(self, points: FloatArray) -> FloatArray:
        """Return the derivatives of the residuals by each unknown, and in the last row the residuals themselves,
        (problems, unknowns + 1, n), at points (problems, unknowns); n is a multiple of ``CHUNK``."""

    def only(self, rows: IntArray) -> Self:
        """Return these of the problems."""


def summed_products(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return the sums of left times right over their last axis, (problems, i, j) of (problems, i, n) and (problems, j,
    n).

    They are added chunk by chunk: zeros behind the last value of a problem, of which there are more beside a
    longer one, then change no bit of its sums.
    """
    total = np.zeros((left.shape[0], left.shape[1], right.shape[1]))
    for begin in range(0, left.shape[2], CHUNK):
        chunk = slice(begin, begin + CHUNK)
        total += left[:, :, chunk] @ right[:, :, chunk].transpose(0, 2, 1)
    return total


def descend(
    problems: Problems, start: FloatArray, *, lower: FloatArray, upper: FloatArray, precision: float
) -> FloatArray:
    """Return the points within the boxes to which the sums of squared residuals descend, (problems, unknowns).

    An unknown at its bound stays there while the sum would fall beyond it. Where a step would leave the box, those
    unknowns are set to their bounds and the step is solved again for the others. No step makes a sum greater. A problem
    ends when four steps in a row have lowered its sum by less than ``precision`` of it, when no step lowers it, or
    after 400 steps.

    Parameters
    ----------
    start, lower, upper : (problems, unknowns), the start within the box.

    References
    ----------
    Marquardt, "An Algorithm for Least-Squares Estimation of Nonlinear Parameters", Journal of SIAM 11, 1963, 431–441.
    Nielsen, "Damping Parameter in Marquardt's Method", Report IMM-REP-1999-05, Technical University of Denmark, 1999
    (the damping, by how much of the promised fall a step kept).
    """
    found = start.copy()
    going = np.arange(len(start))
    point = start.copy()
    total, gradient, bend = _sums(problems, point)
    damping, growth = np.full(len(start), _FIRST_DAMPING), np.full(len(start), 2.0)
    quiet = np.zeros(len(start), dtype=np.int64)
    for _ in range(_MOST_STEPS):
        if not len(going):
            break
        tried, is_stuck = _steps(point, gradient, bend, damping, lower=lower, upper=upper)
        move = tried - point
        promised = -2.0 * np.einsum("pu,pu->p", gradient, move) - np.einsum("pu,puv,pv->p", move, bend, move)
        tried_total, tried_gradient, tried_bend = _sums(problems, tried)
        fall = total - tried_total
        is_lower = fall > 0.0
        quiet = np.where(is_lower, np.where(fall <= precision * total, quiet + 1, 0), quiet)
        kept = np.divide(fall, promised, out=np.zeros_like(fall), where=promised > 0.0)
        easing = np.maximum(_GREATEST_EASING, 1.0 - (2.0 * np.minimum(kept, 1.0) - 1.0) ** 3)
        damping = np.maximum(damping * np.where(is_lower, easing, growth), _LEAST_DAMPING)
        growth = np.where(is_lower, 2.0, 2.0 * growth)
        point = np.where(is_lower[:, np.newaxis], tried, point)
        gradient = np.where(is_lower[:, np.newaxis], tried_gradient, gradient)
        bend = np.where(is_lower[:, np.newaxis, np.newaxis], tried_bend, bend)
        total = np.where(is_lower, tried_total, total)
        # A fall that is promised within rounding of the sum cannot be seen.
        is_spent = ~is_lower & (promised >= 0.0) & (promised <= 1e-3 * precision * total)
        has_ended = is_stuck | is_spent | (quiet >= _QUIET_STEPS) | (damping > _MOST_DAMPING)
        if has_ended.any():
            found[going[has_ended]] = point[has_ended]
            left = np.flatnonzero(~has_ended)
            problems, going = problems.only(left), going[left]
            point, gradient, bend, total = point[left], gradient[left], bend[left], total[left]
            damping, growth, quiet, lower, upper = damping[left], growth[left], quiet[left], lower[left], upper[left]
    found[going] = point
    return found


def _sums(problems: Problems, point: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the sum of squares of each problem, half its gradient and half its curvature."""
    rows = problems.at(point)
    sums = summed_products(rows, rows)
    return sums[:, -1, -1], sums[:, :-1, -1], sums[:, :-1, :-1]


def _steps(
    point: FloatArray,
    gradient: FloatArray,
    bend: FloatArray,
    damping: FloatArray,
    *,
    lower: FloatArray,
    upper: FloatArray,
) -> tuple[FloatArray, BoolArray]:
    """Return where the damped steps within the boxes lead, and which problems have no unknown left to move."""
    unknowns = point.shape[1]
    scale = np.sqrt(np.einsum("puu->pu", bend))
    scale[scale == 0.0] = 1.0
    scaled, downhill = bend / (scale[:, :, np.newaxis] * scale[:, np.newaxis, :]), -gradient / scale
    room_below, room_above = (lower - point) * scale, (upper - point) * scale
    is_low, is_high = (point <= lower) & (gradient > 0.0), (point >= upper) & (gradient < 0.0)
    is_held: BoolArray = np.logical_or(is_low, is_high)
    is_stuck: BoolArray = np.asarray(is_held.all(axis=1), dtype=np.bool_)
    step, diagonal = np.zeros_like(point), np.arange(unknowns)
    for _ in range(unknowns):
        free = ~is_held
        pulled = downhill - (scaled @ np.where(is_held, step, 0.0)[:, :, np.newaxis])[:, :, 0]
        system = np.where(free[:, :, np.newaxis] & free[:, np.newaxis, :], scaled, 0.0)
        system[:, diagonal, diagonal] += np.where(free, damping[:, np.newaxis], 1.0)
        step = np.linalg.solve(system, np.where(free, pulled, step)[:, :, np.newaxis])[:, :, 0]
        is_outside = (step < room_below) | (step > room_above)
        if not is_outside.any():
            break
        np.logical_or(is_held, is_outside, out=is_held)
        step = np.clip(step, room_below, room_above)
    tried = np.clip(point + step / scale, lower, upper)
    # To the last bit: rounding must not leave an unknown beside the bound that it has reached.
    tried = np.where(step <= room_below, lower, np.where(step >= room_above, upper, tried))
    return tried, is_stuck
