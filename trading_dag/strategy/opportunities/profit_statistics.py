"""What a distribution of profits comes down to: spread, shortfall, and probabilities of reaching an amount.

Profits stand at two nodes of the volatility level and at the nodes of the price's normal score, (..., 2, nodes).
Between the price's nodes they are linear in the score; beyond the outermost they stay as they are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from trading_dag.arrays import FloatArray

SHORTFALL_SHARE: Final = 0.05
_LEAST_STEP: Final = 1e-12
_SHORTFALL_SCORES: Final = np.array([-np.sqrt(3.0), 0.0, np.sqrt(3.0)])
_SHORTFALL_WEIGHTS: Final = np.array([1.0, 4.0, 1.0]) / 6.0
_DENSITY_AT_ZERO: Final = float(np.sqrt(0.5 / np.pi))
_LEAST_SPREAD: Final = 1e-6
_LEAST_WAY: Final = 1e-3


def mean_of_levels(values: FloatArray) -> FloatArray:
    """Return the mean over the two nodes of the volatility level, (..., nodes)."""
    mean: FloatArray = 0.5 * (values[..., 0, :] + values[..., 1, :])
    return mean


def standard_deviation(profit: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the standard deviation of profits, (...,), with the weights of the nodes, (nodes,)."""
    mean = mean_of_levels(profit) @ weights
    apart = profit - mean[..., np.newaxis, np.newaxis]
    deviation: FloatArray = np.sqrt(mean_of_levels(apart * apart) @ weights)
    return deviation


def expected_shortfall(profit: FloatArray, scores: FloatArray) -> FloatArray:
    """Return the mean loss in the worst 5 % of outcomes, (...,); a loss is positive.

    Parameters
    ----------
    scores : (nodes,) at equal distances. Profits half way between them are added, because a worst share ends between
        nodes: its mean comes out half a hundredth too small, and two hundredths without them. Of the level three nodes
        are read, whose outer ones lie as far out as those of a Gaussian quadrature.
    """
    middle, half = mean_of_levels(profit), 0.5 * (profit[..., 0, :] - profit[..., 1, :])
    levels = middle[..., np.newaxis, :] + _SHORTFALL_SCORES[:, np.newaxis] * half[..., np.newaxis, :]
    between = 0.5 * (levels[..., :-1] + levels[..., 1:])
    flat = np.concatenate([levels, between], axis=-1)
    density = np.exp(-0.5 * np.concatenate([scores, 0.5 * (scores[:-1] + scores[1:])]) ** 2)
    weights = (_SHORTFALL_WEIGHTS[:, np.newaxis] * density / density.sum()).ravel()
    flat = flat.reshape(*profit.shape[:-2], -1)
    order = np.argsort(flat, axis=-1)
    mass = weights[order]
    before = np.cumsum(mass, axis=-1) - mass
    counted = np.clip(SHORTFALL_SHARE - before, 0.0, mass)
    worst = (np.take_along_axis(flat, order, axis=-1) * counted).sum(axis=-1)
    loss: FloatArray = -worst / SHORTFALL_SHARE
    return loss


@dataclass(frozen=True)
class RefinedProfits:
    """Holds profits (n, m, 2, nodes) at their nodes and half way between: mean over the level, and what it adds.

    Attributes
    ----------
    mean : (n, m, 2 nodes − 1).
    spread : of that shape, the change with one score of the level; above 0.
    """

    mean: FloatArray
    spread: FloatArray

    @classmethod
    def of(cls, profit: FloatArray, logs: FloatArray) -> RefinedProfits:
        """Return the profits refined by parabolas in the logarithm of the price, (n, nodes)."""
        half = 0.5 * (profit[..., 0, :] - profit[..., 1, :])
        spread = np.maximum(np.abs(_refined(half, logs)), _LEAST_SPREAD)
        return cls(_refined(mean_of_levels(profit), logs), spread)


def probability_above(profit: RefinedProfits, amount: FloatArray, *, scores: FloatArray) -> FloatArray:
    """Return P(profit > amount), (n, m).

    Parameters
    ----------
    amount : (n, m).
    scores : (n, 2 nodes − 1) normal scores of the prices at the nodes and half way between, under the distribution that
        is asked.

    At a price the profit is straight in the level's score, so that the probability is normal there. From one price to
    the next its score goes straight too, and the mean of the normal distribution function along that way is exact.
    """
    from scipy.special import ndtr

    score = (profit.mean - amount[:, :, np.newaxis]) / profit.spread
    at_node = ndtr(score)
    integral = score * at_node + np.exp(-0.5 * score * score) * _DENSITY_AT_ZERO
    way = np.diff(score, axis=-1)
    is_level = np.abs(way) < _LEAST_WAY
    along = np.diff(integral, axis=-1) / np.where(is_level, 1.0, way)
    along = np.where(is_level, 0.5 * (at_node[..., :-1] + at_node[..., 1:]), along)
    below = ndtr(scores)
    chance = (along @ np.diff(below, axis=-1)[:, :, np.newaxis])[..., 0]
    chance += at_node[..., 0] * below[:, :1] + at_node[..., -1] * (1.0 - below[:, -1:])
    sure: FloatArray = np.clip(chance, 0.0, 1.0)
    return sure


def _refined(values: FloatArray, logs: FloatArray) -> FloatArray:
    """Return values (n, m, nodes) with those half way between the nodes, by parabolas through three of them."""
    steps = np.maximum(np.diff(logs, axis=-1), _LEAST_STEP)[:, np.newaxis, :]
    slopes = np.diff(values, axis=-1) / steps
    inner = 2.0 * np.diff(slopes, axis=-1) / (steps[..., 1:] + steps[..., :-1])
    bends = np.concatenate([inner[..., :1], 0.5 * (inner[..., :-1] + inner[..., 1:]), inner[..., -1:]], axis=-1)
    refined = np.empty((*values.shape[:-1], 2 * values.shape[-1] - 1))
    refined[..., ::2] = values
    refined[..., 1::2] = 0.5 * (values[..., :-1] + values[..., 1:]) - 0.125 * bends * steps**2
    return refined


def mean_at_scores(profit: FloatArray, scores: FloatArray) -> FloatArray:
    """Return the mean profit where the nodes' prices have those normal scores, (n, m); arguments as above."""
    density = np.exp(-0.5 * scores * scores)
    width = np.gradient(scores, axis=-1)
    weights = density * width
    total = weights.sum(axis=-1, keepdims=True)
    mean: FloatArray = (mean_of_levels(profit) * (weights / total)[:, np.newaxis, :]).sum(axis=-1)
    return mean
