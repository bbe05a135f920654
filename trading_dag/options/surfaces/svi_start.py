"""Where the fit of a smile begins: for a centre and a curvature the other three numbers of raw SVI enter linearly.

A grid of centres and curvatures, with the exact bounded solution of the rest, for many smiles at once. What follows
is ``svi_fit``'s.
"""

from __future__ import annotations

from itertools import product
from typing import Final

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.options.surfaces.box_least_squares import summed_products

_CENTRES: Final = 7
_CURVATURES: Final = np.array([0.01, 0.03, 0.1, 0.3, 1.0])
_FREE, _AT_ZERO, _AT_BOUND = range(3)


def quasi_explicit(
    log_moneyness: FloatArray, variance: FloatArray, *, weight: FloatArray, steepest: float
) -> FloatArray:
    """Return the best smile of the grid for each row of quotes, as ``svi_wings`` has it, (smiles, 5).

    With y = (k − m)/s the curve is a + ½p(√(y² + 1) + y) + ½q(√(y² + 1) − y), p and q not below 0 and below the
    steepest wing times s: a box, where De Marco & Martini's coordinates have a parallelepiped.

    Parameters
    ----------
    log_moneyness, variance : (smiles, n), total variance; n is a multiple of ``box_least_squares.CHUNK``.
    weight : (smiles, n), of the squared error of the total variance; 0 leaves a quote out.
    steepest : of a wing.

    References
    ----------
    De Marco & Martini, "Quasi-Explicit Calibration of Gatheral's SVI model", Zeliade White Paper ZWP-0005, 2009.
    """
    m, s = _candidates(log_moneyness, is_quoted=weight > 0.0)
    y = (log_moneyness[:, np.newaxis] - m[:, :, np.newaxis]) / s[:, :, np.newaxis]
    root = np.sqrt(y * y + 1.0)
    up, down = 0.5 * (root + y), 0.5 * (root - y)
    gram, moment = _normal_equations(up, down, variance, weight=weight)
    highest = np.max(variance, axis=1, where=weight > 0.0, initial=0.0)
    bounds = np.stack([np.broadcast_to(highest[:, np.newaxis], s.shape), steepest * s, steepest * s], axis=2)
    count, grid = s.shape
    solved, cost = bounded_least_squares(gram.reshape(-1, 3, 3), moment.reshape(-1, 3), bounds.reshape(-1, 3))
    best = cost.reshape(count, grid).argmin(axis=1)
    rows = np.arange(count)
    a, right, left = solved.reshape(count, grid, 3)[rows, best].T
    # p and q over s are the slopes of the wings; a is the level where both of them are read at the centre.
    curvature = s[rows, best]
    return np.column_stack([a + np.sqrt(left * right), left / curvature, right / curvature, m[rows, best], curvature])


def _candidates(log_moneyness: FloatArray, *, is_quoted: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return centres and curvatures to try, (smiles, candidates) each."""
    low = np.min(log_moneyness, axis=1, where=is_quoted, initial=np.inf)
    high = np.max(log_moneyness, axis=1, where=is_quoted, initial=-np.inf)
    centres = np.linspace(low, high, _CENTRES, axis=1)
    m = np.repeat(centres, len(_CURVATURES), axis=1)
    return m, np.broadcast_to(np.tile(_CURVATURES, _CENTRES), m.shape)


def _normal_equations(
    up: FloatArray, down: FloatArray, variance: FloatArray, *, weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the matrices (…, 3, 3) and right sides (…, 3) for the columns 1, up and down, of which the product of the
    last two is 1/4."""
    once = np.stack([weight, weight * variance], axis=1)
    of_up, of_down = summed_products(up, once), summed_products(down, once)
    whole = np.broadcast_to(summed_products(np.ones_like(once[:, :1]), once), of_up.shape)
    squared = [summed_products(half * half, once[:, :1])[..., 0] for half in (up, down)]
    gram = np.empty((*of_up.shape[:2], 3, 3))
    gram[..., 0, 0] = whole[..., 0]
    gram[..., 0, 1] = gram[..., 1, 0] = of_up[..., 0]
    gram[..., 0, 2] = gram[..., 2, 0] = of_down[..., 0]
    gram[..., 1, 2] = gram[..., 2, 1] = 0.25 * whole[..., 0]
    gram[..., 1, 1], gram[..., 2, 2] = squared
    return gram, np.stack([whole[..., 1], of_up[..., 1], of_down[..., 1]], axis=2)


def bounded_least_squares(gram: FloatArray, moment: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return solutions and costs of least squares within 0 ≤ x ≤ upper, for many problems of three unknowns at once.

    The 27 ways in which each unknown may lie free, at 0 or at its bound are tried; the best that is within the
    box is the solution, because the problem is convex. The cost is without the part that no solution changes.

    Parameters
    ----------
    gram, moment : (problems, 3, 3) and (problems, 3), the normal equations. upper : (problems, 3).
    """
    solved, least = np.zeros_like(moment), np.full(len(gram), np.inf)
    for state in product((_FREE, _AT_ZERO, _AT_BOUND), repeat=3):
        x = np.where(np.array(state) == _AT_BOUND, upper, 0.0)
        free = [unknown for unknown in range(3) if state[unknown] == _FREE]
        if free:
            rest = moment - (gram @ x[:, :, np.newaxis])[:, :, 0]
            x[:, free] = _small_solution(gram, rest, free)
        is_inside = ((x >= 0.0) & (x <= upper)).all(axis=1)
        cost = np.einsum("pi,pij,pj->p", x, gram, x) - 2.0 * np.einsum("pi,pi->p", x, moment)
        is_better = is_inside & (cost < least)
        solved[is_better], least[is_better] = x[is_better], cost[is_better]
    return solved, least


def _small_solution(gram: FloatArray, rest: FloatArray, free: list[int]) -> FloatArray:
    """Return the solution for one to three unknowns by determinants, (problems, free); not finite where there is
    none."""
    entry = gram[:, free][:, :, free]
    wanted = rest[:, free]
    with np.errstate(divide="ignore", invalid="ignore"):
        if len(free) == 1:
            return np.asarray(wanted / entry[:, 0])
        if len(free) == 2:
            adjugate = np.stack([entry[:, 1, 1], -entry[:, 0, 1], -entry[:, 1, 0], entry[:, 0, 0]], axis=1)
            determinant = entry[:, 0, 0] * entry[:, 1, 1] - entry[:, 0, 1] * entry[:, 1, 0]
            inverse = adjugate.reshape(-1, 2, 2) / determinant[:, np.newaxis, np.newaxis]
        else:
            crossed = np.stack([np.cross(entry[:, (i + 1) % 3], entry[:, (i + 2) % 3]) for i in range(3)], axis=2)
            inverse = crossed / np.einsum("pi,pi->p", entry[:, 0], crossed[:, :, 0])[:, np.newaxis, np.newaxis]
        return np.asarray((inverse @ wanted[:, :, np.newaxis])[:, :, 0])
