"""Many raw SVI curves at once, by the five numbers in which every bound of a smile is a box, with derivatives.

The numbers are least variance, slope of the left and of the right wing, centre and curvature: ``WINGS``. The curves
are those of ``svi``; a fit works on these, because whole arrays of smiles cost little more than one.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray
from trading_dag.options.surfaces.svi import SviParameters

WINGS: Final = ("least", "left", "right", "m", "s")
TINY: Final = 1e-9


def smile_of(wings: FloatArray) -> SviParameters:
    """Return the smile of least variance, left and right wing slope, centre and curvature, (5,)."""
    least, left, right, m, s = map(float, wings)
    rho = (right - left) / (right + left)
    return SviParameters(least - s * float(np.sqrt(left * right)), 0.5 * (left + right), rho, m, s)


def variance_and_gradient(wings: FloatArray, log_moneyness: FloatArray, *, out: FloatArray) -> FloatArray:
    """Write the derivatives of the total variance at each k by the numbers, (smiles, 5, n); return the variance,
    (smiles, n).

    Parameters
    ----------
    wings : (smiles, 5). log_moneyness : (smiles, n).
    """
    _, left, right, _, s = _columns(wings)
    x, root, b, tilt, mean = _parts(wings, log_moneyness)
    shift = s * mean
    out[:, 0] = 1.0
    np.subtract(root, x + shift / left, out=out[:, 1])
    np.add(root, x - shift / right, out=out[:, 2])
    out[:, 1:3] *= 0.5
    np.multiply(x / root, -b, out=out[:, 3])
    out[:, 3] -= tilt
    np.subtract(b * s / root, mean, out=out[:, 4])
    return _variance(wings, x, root)


def densities(wings: FloatArray, log_moneyness: FloatArray) -> FloatArray:
    """Return Durrleman's g at each k, whose sign is that of the implied density; ``svi.SviParameters.durrleman``."""
    x, root, b, tilt, _ = _parts(wings, log_moneyness)
    w = np.maximum(_variance(wings, x, root), TINY)
    slope = tilt + b * x / root
    inner = 1.0 - 0.5 * log_moneyness * slope / w
    bend = 0.5 * b * wings[:, 4, np.newaxis] ** 2 / (root * root * root)
    density: FloatArray = inner * inner - 0.25 * slope * slope * (1.0 / w + 0.25) + bend
    return density


def density_gradient(wings: FloatArray, log_moneyness: FloatArray, *, where: BoolArray) -> FloatArray:
    """Return the derivatives of g by the numbers at the places asked for, 0 elsewhere, (smiles, 5, n)."""
    gradient = np.zeros((len(wings), len(WINGS), log_moneyness.shape[1]))
    smile, place = np.nonzero(where)
    if len(smile):
        # Every place is a smile of its own with one k: few of them are asked for.
        gradient[smile, :, place] = _density_gradient(wings[smile], log_moneyness[smile, place, np.newaxis])[:, :, 0]
    return gradient


def _density_gradient(wings: FloatArray, k: FloatArray) -> FloatArray:
    s = wings[:, 4, np.newaxis]
    x, root, b, tilt, _ = _parts(wings, k)
    by_w = np.empty((len(wings), len(WINGS), k.shape[1]))
    w = np.maximum(variance_and_gradient(wings, k, out=by_w), TINY)
    share, cube = x / root, 1.0 / (root * root * root)
    fifth, squared = cube / (root * root), s * s
    slope = tilt + b * share
    nothing, per_wing = np.zeros_like(x), 0.5 * squared * cube
    slope_by = np.stack(
        [nothing, 0.5 * (share - 1.0), 0.5 * (share + 1.0), -b * squared * cube, -b * x * s * cube], axis=1
    )
    bend_by = np.stack(
        [nothing, per_wing, per_wing, 3.0 * b * squared * x * fifth, b * s * (2.0 * x * x - squared) * fifth], axis=1
    )
    inner = 1.0 - 0.5 * k * slope / w
    by_slope = -inner * k / w - 0.5 * slope * (1.0 / w + 0.25)
    by_variance = inner * k * slope / (w * w) + 0.25 * (slope / w) ** 2
    gradient: FloatArray = by_slope[:, np.newaxis] * slope_by + by_variance[:, np.newaxis] * by_w + 0.5 * bend_by
    return gradient


def _columns(wings: FloatArray) -> tuple[FloatArray, ...]:
    return tuple(wings[:, number, np.newaxis] for number in range(len(WINGS)))


def _parts(wings: FloatArray, k: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return k − m and √((k − m)² + s²), (smiles, n), and b, b·ρ and b·√(1 − ρ²), (smiles, 1)."""
    _, left, right, m, s = _columns(wings)
    x = k - m
    root = x * x
    root += s * s
    return x, np.sqrt(root, out=root), 0.5 * (left + right), 0.5 * (right - left), np.sqrt(left * right)


def _variance(wings: FloatArray, x: FloatArray, root: FloatArray) -> FloatArray:
    least, left, right, _, s = _columns(wings)
    variance: FloatArray = 0.5 * (left + right) * root
    variance += 0.5 * (right - left) * x
    variance += least - s * np.sqrt(left * right)
    return variance
