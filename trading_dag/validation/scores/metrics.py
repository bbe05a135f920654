"""Scores of forecasts, each computed for many weightings of the same rows at once.

Here belongs the arithmetic of a score. Which rows are scored, against which baseline and with
which verdict is decided in ``evaluation``; where the weights come from, in ``uncertainty``.

Every function takes ``weights`` of shape draws × rows (how often a draw holds each row) and
returns one score per draw, so the point estimate is the draw whose weights are all 1.
A draw in which a score is undefined gives NaN, with one exception that follows scikit-learn's
``zero_division=0``: precision, recall and F1 without a single positive are 0.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from trading_dag.arrays import BoolArray, FloatArray, IntArray

CALIBRATION_BINS: Final = 10

Weights = npt.NDArray[np.int16] | FloatArray


def point_weights(n_rows: int) -> Weights:
    """Return the single draw that holds each row once."""
    return np.ones((1, n_rows), dtype=np.int16)


def _ratio(numerator: FloatArray, denominator: FloatArray, *, undefined: float = np.nan) -> FloatArray:
    """Return numerator / denominator where the denominator is not 0, ``undefined`` elsewhere."""
    safe = np.where(denominator == 0, 1.0, denominator)
    ratio: FloatArray = np.where(denominator == 0, undefined, numerator / safe)
    return ratio


def weighted_sums(weights: Weights, columns: FloatArray) -> FloatArray:
    """Sum over rows of weight × value: draws × columns, from rows × columns."""
    sums: FloatArray = weights.astype(np.float64, copy=False) @ columns
    return sums


def total_weights(weights: Weights) -> FloatArray:
    """Return how many rows each draw holds. To be handed to the means where several are taken over the same draws."""
    totals: FloatArray = weights.sum(axis=1, dtype=np.float64)
    return totals


def mean_of(weights: Weights, values: FloatArray, *, totals: FloatArray | None = None) -> FloatArray:
    """Return the weighted mean of one value per row, such as a loss or a hit; ``totals`` are
    ``total_weights(weights)``.
    """
    totals = total_weights(weights) if totals is None else totals
    return _ratio(weighted_sums(weights, values[:, None])[:, 0], totals)


def confusion(weights: Weights, true_codes: IntArray, forecast_codes: IntArray, *, classes: int) -> FloatArray:
    """Return confusion counts per draw: draws × true class × forecast class."""
    cells = np.zeros((len(true_codes), classes * classes))
    cells[np.arange(len(true_codes)), true_codes * classes + forecast_codes] = 1.0
    return weighted_sums(weights, cells).reshape(len(weights), classes, classes)


def accuracy(counts: FloatArray) -> FloatArray:
    """Return the share of rows whose class was called; from ``confusion``."""
    return _ratio(np.trace(counts, axis1=1, axis2=2), counts.sum(axis=(1, 2)))


def class_precision(counts: FloatArray) -> FloatArray:
    """Return the share of the calls of each class that were right: draws × classes."""
    return _ratio(np.diagonal(counts, axis1=1, axis2=2), counts.sum(axis=1), undefined=0.0)


def class_recall(counts: FloatArray) -> FloatArray:
    """Return the share of each class that was called: draws × classes."""
    return _ratio(np.diagonal(counts, axis1=1, axis2=2), counts.sum(axis=2), undefined=0.0)


def class_f1(counts: FloatArray) -> FloatArray:
    """Return the harmonic mean of precision and recall of each class: draws × classes."""
    hits = 2.0 * np.diagonal(counts, axis1=1, axis2=2)
    return _ratio(hits, counts.sum(axis=1) + counts.sum(axis=2), undefined=0.0)


def balanced_accuracy(counts: FloatArray) -> FloatArray:
    """Return the mean recall over the classes that occur in the draw."""
    occurs = counts.sum(axis=2) > 0
    return _ratio((class_recall(counts) * occurs).sum(axis=1), occurs.sum(axis=1).astype(np.float64))


def area_under_roc(weights: Weights, scores: FloatArray, is_positive: BoolArray) -> FloatArray:
    """Return the probability that a positive row is scored above a negative one, ties counted half.

    References
    ----------
    Mann and Whitney (1947); Hanley and McNeil, Radiology 143 (1982), p. 29.
    """
    positive_weights = weights[:, is_positive].astype(np.float64, copy=False)
    negatives = np.flatnonzero(~is_positive)
    negatives = negatives[np.argsort(scores[negatives], kind="stable")]
    below = np.zeros((len(weights), len(negatives) + 1))
    np.cumsum(weights[:, negatives], axis=1, dtype=np.float64, out=below[:, 1:])
    ordered = scores[negatives]
    strictly = np.searchsorted(ordered, scores[is_positive], side="left")
    weakly = np.searchsorted(ordered, scores[is_positive], side="right")
    wins = np.einsum("ij,ij->i", positive_weights, below[:, strictly])
    # Whole numbers, so where nothing ties both are the same to the last bit.
    has_ties = not np.array_equal(strictly, weakly)
    wins_and_ties = np.einsum("ij,ij->i", positive_weights, below[:, weakly]) if has_ties else wins
    return _ratio(0.5 * (wins + wins_and_ties), positive_weights.sum(axis=1) * below[:, -1])


def multiclass_brier_losses(probabilities: FloatArray, true_codes: IntArray) -> FloatArray:
    """Return the squared distance between forecast and outcome per row, summed over the classes (0 to 2).

    References
    ----------
    Brier, Monthly Weather Review 78 (1950), p. 1.
    """
    outcome = np.zeros_like(probabilities)
    outcome[np.arange(len(true_codes)), true_codes] = 1.0
    losses: FloatArray = ((probabilities - outcome) ** 2).sum(axis=1)
    return losses


def ranked_probability_losses(probabilities: FloatArray, true_codes: IntArray) -> FloatArray:
    """Return the squared distance between forecast and outcome of ordered classes per row, from 0 to 1.

    The distance is that of the cumulative probabilities, averaged over the classes but the last: a forecast two classes
    off is worse than one that is one class off.

    References
    ----------
    Epstein, Journal of Applied Meteorology 8 (1969), p. 985; Murphy, the same 10 (1971), p. 155.
    """
    happened = np.arange(probabilities.shape[1]) >= true_codes[:, np.newaxis]
    distance = np.cumsum(probabilities, axis=1)[:, :-1] - happened[:, :-1]
    losses: FloatArray = (distance**2).mean(axis=1)
    return losses


def calibration_error(
    weights: Weights,
    probabilities: FloatArray,
    happened: FloatArray,
    *,
    bins: int = CALIBRATION_BINS,
    totals: FloatArray | None = None,
) -> FloatArray:
    """Return the expected calibration error: mean distance between forecast probability and frequency.

    Rows are put into ``bins`` equally wide bins of the forecast probability, each closed below
    (the last also above); the distance of each bin counts by its share of the rows.

    Parameters
    ----------
    probabilities, happened : forecast of an event and whether it happened (0 or 1), per row.
    totals : ``total_weights(weights)`` where they are known already.

    References
    ----------
    Naeini, Cooper and Hauskrecht, AAAI (2015), p. 2903.
    """
    members = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    excess = np.zeros((len(probabilities), bins))
    excess[np.arange(len(probabilities)), members] = probabilities - happened
    distance = np.abs(weighted_sums(weights, excess)).sum(axis=1)
    return _ratio(distance, total_weights(weights) if totals is None else totals)
