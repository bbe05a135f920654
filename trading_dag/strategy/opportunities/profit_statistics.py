"""What a distribution of profits comes down to: spread, shortfall, and probabilities of reaching an amount.

Profits stand at two nodes of the volatility level and at the nodes of the price's normal score, (..., 2, nodes).
Between the price's nodes they are linear in the score; beyond the outermost they stay as they are there.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from trading_dag.arrays import FloatArray

SHORTFALL_SHARE: Final = 0.05


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


def expected_shortfall(profit: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the mean loss in the worst 5 % of outcomes, (...,); a loss is positive."""
    flat = profit.reshape(*profit.shape[:-2], -1)
    order = np.argsort(flat, axis=-1)
    mass = np.tile(weights / 2.0, 2)[order]
    before = np.cumsum(mass, axis=-1) - mass
    counted = np.clip(SHORTFALL_SHARE - before, 0.0, mass)
    worst = (np.take_along_axis(flat, order, axis=-1) * counted).sum(axis=-1)
    loss: FloatArray = -worst / SHORTFALL_SHARE
    return loss


def probability_above(profit: FloatArray, amount: FloatArray, *, scores: FloatArray) -> FloatArray:
    """Return P(profit > amount), (n, m).

    Parameters
    ----------
    profit : (n, m, 2, nodes).
    amount : (n, m).
    scores : normal scores of the nodes' prices under the distribution that is asked, ascending, (n, nodes).
    """
    from scipy.special import ndtr

    beyond = profit - amount[:, :, np.newaxis, np.newaxis]
    below = ndtr(scores)
    is_above = beyond > 0
    whole = (is_above[..., :-1] & is_above[..., 1:]) @ np.diff(below, axis=-1)[:, np.newaxis, :, np.newaxis]
    chance = whole[..., 0]
    chance += np.where(is_above[..., 0], below[:, np.newaxis, np.newaxis, 0], 0.0)
    chance += np.where(is_above[..., -1], 1.0 - below[:, np.newaxis, np.newaxis, -1], 0.0)
    # Few of the intervals are crossed, and only there is a score looked for.
    row, column, level, node = np.nonzero(is_above[..., :-1] != is_above[..., 1:])
    left, right = beyond[row, column, level, node], beyond[row, column, level, node + 1]
    low, high = scores[row, node], scores[row, node + 1]
    crossed = ndtr(low + (high - low) * left / (left - right))
    part = np.where(left > 0, crossed - below[row, node], below[row, node + 1] - crossed)
    np.add.at(chance, (row, column, level), part)
    both: FloatArray = np.clip(chance.mean(axis=-1), 0.0, 1.0)
    return both


def mean_between_nodes(profit: FloatArray, scores: FloatArray) -> FloatArray:
    """Return the mean profit where the nodes' prices have those normal scores, (n, m); arguments as above."""
    from scipy.special import ndtr

    below = ndtr(scores)
    mass = np.diff(below, axis=-1, prepend=0.0, append=1.0)
    # Each interval's mass goes to its two ends in equal parts, that beyond the ends to the last node.
    weights = 0.5 * (mass[:, :-1] + mass[:, 1:])
    weights[:, 0] += 0.5 * mass[:, 0]
    weights[:, -1] += 0.5 * mass[:, -1]
    mean: FloatArray = (mean_of_levels(profit) * weights[:, np.newaxis, :]).sum(axis=-1)
    return mean
