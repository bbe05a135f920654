"""Stacking of learners that forecast a number: purged out-of-fold forecasts, and the linear blend learnt from them.

Here belongs what any stack needs, whatever its learners read: ``out_of_fold`` asks for forecasts of rows that the
forecasting fit has not seen, and ``fit_blend`` learns weights from such forecasts and from nothing else. An
``OutOfFold`` whose forecasts were made of rows near their own refuses to exist, so a blend of in-sample forecasts
cannot be fitted. Which learners there are, and what is done with the blend, stands in the module of the model.

A stack is made in three steps::

    held_out = out_of_fold(fit_learners, rows, names=names, folds=4, gap=horizon.gap_sessions)
    blend = fit_blend(held_out, outcomes, penalties=PENALTIES, folds=3)
    forecasts = blend.estimator.forecast(fit_learners(rows)(later_rows))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final

import numpy as np

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.errors import InFoldStackingError, InsufficientDataError
from trading_dag.validation.walk_forward import walk_forward_folds

Forecaster = Callable[[IntArray], FloatArray]
"""Row positions → forecasts, rows × learners; NaN where a learner has nothing to say of a row."""
FitLearners = Callable[[IntArray], Forecaster]
"""Row positions to learn from → what forecasts other rows. Everything that is learnt or chosen is learnt inside."""
Losses = Callable[[FloatArray, FloatArray], FloatArray]
"""Outcomes and forecasts → the loss of each row."""


@dataclass(frozen=True)
class OutOfFold:
    """Holds forecasts of rows, each by a fit that had seen no row within the gap before it.

    Attributes
    ----------
    names : the learners, in the order of the columns.
    rows : (rows,) positions, ascending.
    forecasts : (rows, learners), finite; 0 where a learner has nothing to say of a row.
    learnt_through : (rows,) the last row that the forecasting fit has learnt from.
    gap : rows that lie at least between the two: the outcome of a row looks so far ahead.

    Raises
    ------
    InFoldStackingError : where a fit had seen the row that it forecasts, or one within the gap before it.
    """

    names: tuple[str, ...]
    rows: IntArray
    forecasts: FloatArray
    learnt_through: IntArray
    gap: int

    def __post_init__(self) -> None:
        """Refuse forecasts that had seen their own rows."""
        near = np.flatnonzero(self.rows - self.learnt_through <= self.gap)
        if len(near):
            row, seen = int(self.rows[near[0]]), int(self.learnt_through[near[0]])
            raise InFoldStackingError(
                table="out-of-fold forecasts",
                key=f"row {row}",
                rule=f"{len(near)} of {len(self.rows)} rows are forecast by a fit that has learnt from row {seen}, "
                f"which is no more than {self.gap} rows before: a blend may not learn from what its learners have seen",
            )


def out_of_fold(
    fit_learners: FitLearners, rows: IntArray, *, names: tuple[str, ...], folds: int, gap: int
) -> OutOfFold:
    """Return what the learners say of rows of a training part that they have not learnt from.

    The part is split once more, walk-forward and with the gap. Its first stretch is only learnt from.

    Parameters
    ----------
    fit_learners : fits every learner on the positions handed over.
    rows : positions of the training part that may be learnt from, ascending.
    names : of the learners, in the order of their columns.
    folds, gap : how many stretches are held out; rows left out before each.

    Returns
    -------
    Forecasts of the held-out rows; none where the rows do not suffice for the folds. A row on which no learner has
    anything to say is left out.
    """
    positions, forecasts, learnt = [np.empty(0, np.int64)], [np.empty((0, len(names)))], [np.empty(0, np.int64)]
    for fold in walk_forward_folds(len(rows), folds=folds, gap=gap):
        train, held_out = rows[fold.train], rows[fold.test]
        said = fit_learners(train)(held_out)
        speaks = np.isfinite(said).any(axis=1)
        positions.append(held_out[speaks])
        forecasts.append(np.nan_to_num(said[speaks]))
        learnt.append(np.full(int(speaks.sum()), train[-1]))
    return OutOfFold(names, np.concatenate(positions), np.concatenate(forecasts), np.concatenate(learnt), gap)


class LinearBlend:
    """Is a weight for each learner, learnt from their out-of-fold forecasts.

    Attributes
    ----------
    weights : (learners,).
    """

    def __init__(self, weights: FloatArray) -> None:
        self.weights = np.asarray(weights, dtype=np.float64)

    def forecast(self, forecasts: FloatArray) -> FloatArray:
        """Return the blended forecast of each row.

        Parameters
        ----------
        forecasts : (rows, learners); a learner that has nothing to say of a row (NaN) counts as 0, as it did when the
            weights were learnt.
        """
        blended: FloatArray = np.nan_to_num(forecasts) @ self.weights
        return blended


@dataclass(frozen=True)
class Penalty:
    """Says how strongly the weights of a blend are drawn to zero.

    Attributes
    ----------
    strength : in units of the correlation of forecast and outcome: under a pure L1 penalty a learner whose forecasts
        correlate less than that gets no weight. Infinite: all weights are zero.
    l1_share : share of the absolute penalty, the rest is squared; 0 is ridge, 1 the lasso.
    """

    strength: float
    l1_share: float


# From the strongest to the weakest, so that of equals the strongest is chosen. The first says zero, come what may.
PENALTIES: Final = (
    Penalty(inf, 1.0),
    *(Penalty(strength, share) for strength in (0.03, 0.01, 0.003, 0.001, 0.0001) for share in (1.0, 0.5, 0.0)),
)


# Keeps the weights of learners that say the same unique.
_LEAST_SQUARED_PENALTY: Final = 1e-9


@dataclass(frozen=True)
class FittedBlend:
    """Holds a blend, and how it was chosen.

    Attributes
    ----------
    estimator : the weights.
    penalty : what was chosen.
    metrics : mean losses on the rows of the search, of the chosen penalty (``inner_loss``) and of all weights zero
        (``inner_loss_of_zero``), and how many rows these are (``inner_rows``).
    rows : out-of-fold rows that the weights were learnt from.
    """

    estimator: LinearBlend
    penalty: Penalty
    metrics: dict[str, float]
    rows: int

    @property
    def chosen(self) -> dict[str, Any]:
        """Return what was chosen, and on how many rows, in JSON types: what a fold records as its hyperparameters."""
        strength = self.penalty.strength
        return {
            "strength": strength if np.isfinite(strength) else "infinite",
            "l1_share": self.penalty.l1_share,
            "out_of_fold_rows": self.rows,
        }


def absolute_losses(outcomes: FloatArray, forecasts: FloatArray) -> FloatArray:
    """Return the absolute error of each row."""
    losses: FloatArray = np.abs(outcomes - forecasts)
    return losses


def squared_losses(outcomes: FloatArray, forecasts: FloatArray) -> FloatArray:
    """Return the squared error of each row."""
    losses: FloatArray = (outcomes - forecasts) ** 2
    return losses


def fit_blend(
    held_out: OutOfFold,
    outcomes: FloatArray,
    *,
    folds: int,
    penalties: Sequence[Penalty] = PENALTIES,
    losses: Losses = absolute_losses,
) -> FittedBlend:
    """Return the blend of out-of-fold forecasts, its penalty chosen on purged folds of them.

    Weights are not negative, and where they sum to more than one they are scaled to one. What is left of one is the
    weight of saying zero, so with ``Penalty(inf, …)`` among the penalties "say zero" is a possible answer.

    Parameters
    ----------
    held_out : what the learners said of rows that they had not seen.
    outcomes : (rows of ``held_out``,) what happened, of a size about one, as the strengths are in units of correlation.
    folds : walk-forward folds of these rows on which the penalty is chosen; their gap is that of the forecasts.
    penalties : from the strongest to the weakest; the first of equals is chosen.
    losses : what is minimised by the choice.

    Raises
    ------
    InsufficientDataError : where there are too few rows for the folds, or the outcomes do not vary.
    """
    splits = walk_forward_folds(len(held_out.rows), folds=folds, gap=held_out.gap)
    if not splits:
        raise InsufficientDataError(f"{len(held_out.rows)} out-of-fold rows are too few to choose a blend on")
    if not np.ptp(outcomes):
        raise InsufficientDataError("the outcomes of the out-of-fold rows do not vary")
    judged = np.concatenate(
        [
            np.column_stack(
                [
                    losses(outcomes[split.test], held_out.forecasts[split.test] @ weights)
                    for weights in _weights(held_out.forecasts[split.train], outcomes[split.train], penalties)
                ]
            )
            for split in splits
        ]
    )
    means = judged.mean(axis=0)
    chosen = int(means.argmin())
    of_zero = np.concatenate([losses(outcomes[split.test], np.zeros(len(split.test))) for split in splits])
    metrics = {
        "inner_loss": float(means[chosen]),
        "inner_loss_of_zero": float(of_zero.mean()),
        "inner_rows": float(len(judged)),
    }
    weights = _weights(held_out.forecasts, outcomes, [penalties[chosen]])[0]
    return FittedBlend(LinearBlend(weights), penalties[chosen], metrics, len(held_out.rows))


def least_squares_blend(held_out: OutOfFold, outcomes: FloatArray) -> LinearBlend:
    """Return the weights of ordinary least squares without a constant: any sign, any size, no penalty."""
    return LinearBlend(np.asarray(np.linalg.lstsq(held_out.forecasts, outcomes, rcond=None)[0], dtype=np.float64))


def _weights(forecasts: FloatArray, outcomes: FloatArray, penalties: Sequence[Penalty]) -> list[FloatArray]:
    """Return the weights under each penalty.

    Forecasts are divided by one number for all, their root mean square: a penalty then means the same in every stack,
    and a learner that says little is not blown up beside the others.
    """
    size = float(np.sqrt((forecasts**2).mean())) if forecasts.size else 0.0
    if size == 0.0:
        return [np.zeros(forecasts.shape[1]) for _ in penalties]
    scaled = forecasts / size
    products, sums = scaled.T @ scaled / len(scaled), scaled.T @ outcomes / len(scaled)
    found = []
    for penalty in penalties:
        weights = np.zeros(forecasts.shape[1])
        if np.isfinite(penalty.strength):
            weights = _elastic_net(products, sums, penalty) / size
        found.append(weights / max(1.0, float(weights.sum())))
    return found


def _elastic_net(products: FloatArray, sums: FloatArray, penalty: Penalty) -> FloatArray:
    """Return the non-negative weights w that minimise ½ w'Pw − s'w + strength · (l1 · Σw + (1 − l1)/2 · w'w).

    For weights that are not negative the absolute penalty is linear, so this is a problem of non-negative least
    squares, which has an exact algorithm. scikit-learn's coordinate descent does not come to rest where learners say
    nearly the same.

    References
    ----------
    Zou and Hastie, Journal of the Royal Statistical Society B 67 (2005), 301; Lawson and Hanson, Solving Least Squares
    Problems (1974), chapter 23.
    """
    from scipy.linalg import cholesky, solve_triangular
    from scipy.optimize import nnls

    squared = penalty.strength * (1.0 - penalty.l1_share) + _LEAST_SQUARED_PENALTY
    lower = cholesky(products + squared * np.eye(len(sums)), lower=True)
    aim = solve_triangular(lower, sums - penalty.strength * penalty.l1_share, lower=True)
    weights: FloatArray = nnls(lower.T, aim)[0]
    return weights
