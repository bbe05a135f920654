"""The probability that what was chosen as the best of several is below the middle of them elsewhere.

Here belongs the measure of a choice: combinatorially symmetric cross-validation. How good each of the candidates is
stands in ``metrics`` and in the backtest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from trading_dag.arrays import FloatArray

BLOCKS: Final = 16  # 12,870 ways to halve them


@dataclass(frozen=True)
class Overfitting:
    """Tells how a choice of the best does on sessions that it was not made on.

    Attributes
    ----------
    probability : share of the halvings in which the best of one half is below the median of the other; about ½ where
        none of the candidates is better than another, near 0 where one really is. NaN where it is undefined.
    candidates, n, halvings : how many were chosen among, on how many sessions, in how many ways.
    """

    probability: float
    candidates: int
    n: int
    halvings: int


def probability_of_overfitting(gains: FloatArray, *, blocks: int = BLOCKS) -> Overfitting:
    """Return the probability of overfitting of a choice by mean gain.

    The sessions are cut into blocks, and every choice of half of the blocks is once where the best is chosen and once,
    as what is left, where it is judged. A tie is broken in favour of no candidate: the best is the mean over those that
    share the first place, and equals count half in the rank.

    Parameters
    ----------
    gains : sessions in order × candidates: what each gained at each session, such as a baseline's loss less its own, or
        a daily profit. Sessions with a NaN are left out.
    blocks : an even number. Fewer are taken where there are fewer than two sessions a block.

    Returns
    -------
    Undefined (NaN) for fewer than two candidates, fewer than eight sessions, and where no candidates differ.

    References
    ----------
    Bailey, Borwein, López de Prado and Zhu, "The probability of backtest overfitting", Journal of Computational Finance
    20 (2017), 39–69, section 3.
    """
    kept = gains[np.isfinite(gains).all(axis=1)]
    n, candidates = kept.shape
    blocks = min(blocks, 2 * (n // 4))
    if candidates < 2 or n < 8 or np.ptp(kept, axis=1).max() == 0.0:
        return Overfitting(math.nan, candidates, n, 0)
    parts = np.array_split(kept, blocks)
    sums, lengths = np.stack([part.sum(axis=0) for part in parts]), np.array([len(part) for part in parts])
    halves = np.array(list(combinations(range(blocks), blocks // 2)))
    is_chosen = np.zeros((len(halves), blocks))
    np.put_along_axis(is_chosen, halves, 1.0, axis=1)
    seen = is_chosen @ sums / (is_chosen @ lengths)[:, np.newaxis]
    unseen = (1.0 - is_chosen) @ sums / ((1.0 - is_chosen) @ lengths)[:, np.newaxis]
    return Overfitting(float(_is_below_the_middle(seen, unseen).mean()), candidates, n, len(halves))


def _is_below_the_middle(seen: FloatArray, unseen: FloatArray) -> FloatArray:
    """Return for each halving whether the best seen is below the median of the unseen; ½ where it is the median."""
    rounding = 1e-12 * max(1.0, float(np.abs(seen).max()))
    is_best = seen >= seen.max(axis=1, keepdims=True) - rounding
    chosen = np.where(is_best, unseen, 0.0).sum(axis=1) / is_best.sum(axis=1)
    middle = np.median(unseen, axis=1)
    below: FloatArray = np.where(np.abs(chosen - middle) <= rounding, 0.5, (chosen < middle).astype(np.float64))
    return below
