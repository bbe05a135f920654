"""Ordered logistic regression on a spline of the IV rank: the regime at the target by where the rank stands today.

Here belongs that one estimator. It knows that LOW, NORMAL and HIGH are ordered, and reads nothing but the rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.models.volatility.level_inputs import LEVEL_INPUTS

# Closer together where one regime becomes another.
KNOTS: Final = (15.0, 30.0, 45.0, 60.0, 80.0)
RIDGE: Final = 1e-3
_RANK: Final = LEVEL_INPUTS.index("rank_today")
_STEPS: Final = 200
_AT_REST: Final = 1e-7  # nats that a further step is expected to gain, of all rows together


class OrderedLogit:
    """Cumulative logit: P(class ≤ k) = 1 / (1 + exp(f(rank) − θ_k)), f a natural cubic spline, θ ascending.

    Maximum likelihood by Newton's method, with a slight penalty on the spline's standardised columns so that an optimum
    exists where the classes are apart. Classes that do not occur among the rows are given no probability.

    Attributes
    ----------
    coef_ : of the spline's columns, (columns,).
    center_, scale_ : of the columns over the training rows.
    thresholds_ : θ between one class that occurred and the next, ascending.
    classes_ : codes of the classes that occurred, ascending.

    References
    ----------
    McCullagh, Journal of the Royal Statistical Society B 42 (1980), 109–142; Hastie, Tibshirani and Friedman, The
    Elements of Statistical Learning (2009), section 5.2.1, for the natural spline.
    """

    coef_: FloatArray
    center_: FloatArray
    scale_: FloatArray
    thresholds_: FloatArray
    classes_: IntArray

    def fit(self, values: FloatArray, codes: IntArray) -> Self:
        """Learn from rows × ``LEVEL_INPUTS``, of which the rank is read, and the class of each row.

        Raises
        ------
        numpy.linalg.LinAlgError : where the likelihood has no maximum that the steps come to.
        """
        columns = natural_spline(values[:, _RANK])
        self.center_, scale = columns.mean(axis=0), columns.std(axis=0)
        self.scale_ = np.where(scale > 0, scale, 1.0)
        self.classes_, places = np.unique(codes, return_inverse=True)
        standard = (columns - self.center_) / self.scale_
        self.thresholds_, self.coef_ = fit_cumulative_logit(standard, places.astype(np.int64), ridge=RIDGE)
        return self

    def predict_proba(self, values: FloatArray) -> FloatArray:
        """Return the probability of each class in ``classes_``: rows × classes."""
        return _probabilities(self.standard(values), self.thresholds_, self.coef_)

    def standard(self, values: FloatArray) -> FloatArray:
        """Return the spline's columns in standard deviations of the training rows."""
        columns: FloatArray = (natural_spline(values[:, _RANK]) - self.center_) / self.scale_
        return columns

    def places(self, codes: IntArray) -> IntArray:
        """Return the place of each class among those that occurred in training; −1 for one that did not."""
        at = np.clip(np.searchsorted(self.classes_, codes), 0, len(self.classes_) - 1)
        places: IntArray = np.where(self.classes_[at] == codes, at, -1).astype(np.int64)
        return places


@dataclass
class OrderedState:
    """Holds a cumulative logit that learns on, outcome by outcome.

    Attributes
    ----------
    parameters : thresholds, then coefficients.
    curvature : of the penalised likelihood of all outcomes so far.
    cuts : how many thresholds there are.
    """

    parameters: FloatArray
    curvature: FloatArray
    cuts: int

    @classmethod
    def of(cls, fitted: OrderedLogit, values: FloatArray, codes: IntArray) -> Self:
        """Return the state of a regression after the rows that it was fitted on."""
        parameters = np.concatenate([fitted.thresholds_, fitted.coef_])
        cuts = len(fitted.thresholds_)
        penalty = np.concatenate([np.zeros(cuts), np.full(len(fitted.coef_), RIDGE)])
        places = fitted.places(codes)
        _, _, curvature = _terms(parameters, fitted.standard(values), places, penalty, cuts=cuts)
        return cls(parameters, curvature, cuts)

    def learn(self, columns: FloatArray, places: IntArray) -> None:
        """Take one Newton step for new outcomes: their slope over the curvature of all, theirs included.

        The thresholds stay ascending: a step that would turn them around is halved until it does not.
        """
        nothing = np.zeros(len(self.parameters))
        _, slope, curvature = _terms(self.parameters, columns, places, nothing, cuts=self.cuts)
        self.curvature = self.curvature + curvature
        step = np.linalg.solve(self.curvature, slope)
        while (np.diff((self.parameters - step)[: self.cuts]) <= 0).any():
            step = step / 2.0
        self.parameters = self.parameters - step

    def probabilities(self, columns: FloatArray) -> FloatArray:
        """Return the probability of each class: rows × classes."""
        return _probabilities(columns, self.parameters[: self.cuts], self.parameters[self.cuts :])


def _probabilities(columns: FloatArray, thresholds: FloatArray, coefficients: FloatArray) -> FloatArray:
    score = columns @ coefficients
    below = _logistic(thresholds - score[:, np.newaxis])
    ends = np.column_stack([np.zeros(len(score)), below, np.ones(len(score))])
    probabilities: FloatArray = np.diff(ends, axis=1)
    return probabilities


def natural_spline(rank: FloatArray) -> FloatArray:
    """Return the columns of a natural cubic spline of the rank, which is straight beyond the outer knots.

    Parameters
    ----------
    rank : (rows,), from 0 to 100.

    Returns
    -------
    rows × 4: the rank itself and one column less than there are inner knots, divided by 100 and 100³.
    """
    last = KNOTS[-1]

    def bend(knot: float) -> FloatArray:
        both: FloatArray = np.maximum(rank - knot, 0.0) ** 3 - np.maximum(rank - last, 0.0) ** 3
        return both / (last - knot)

    before_last = bend(KNOTS[-2])
    return np.column_stack([rank / 100.0, *((bend(knot) - before_last) / 1e4 for knot in KNOTS[:-2])])


def fit_cumulative_logit(columns: FloatArray, places: IntArray, *, ridge: float) -> tuple[FloatArray, FloatArray]:
    """Return the thresholds and the coefficients that maximise the likelihood less ½ · ridge · Σ coefficient².

    Parameters
    ----------
    columns : rows × columns, centred, without a constant.
    places : class of each row, 0, 1, … without a gap; at least two.
    ridge : ≥ 0; the thresholds are not penalised.

    Raises
    ------
    numpy.linalg.LinAlgError : where no step improves and there is still something to gain.
    """
    count = int(places.max()) + 1
    shares = np.cumsum(np.bincount(places, minlength=count))[:-1] / len(places)
    parameters = np.concatenate([np.log(shares / (1.0 - shares)), np.zeros(columns.shape[1])])
    penalty = np.concatenate([np.zeros(count - 1), np.full(columns.shape[1], ridge)])
    loss, slope, curvature = _terms(parameters, columns, places, penalty, cuts=count - 1)
    for _ in range(_STEPS):
        step = np.linalg.solve(curvature, slope)
        if slope @ step < _AT_REST:
            return parameters[: count - 1], parameters[count - 1 :]
        size = 1.0
        while True:
            moved = parameters - size * step
            if (np.diff(moved[: count - 1]) > 0).all():
                terms = _terms(moved, columns, places, penalty, cuts=count - 1)
                if terms[0] <= loss:
                    break
            size /= 2.0
            if size < 1e-10:
                raise np.linalg.LinAlgError("the ordered logit does not converge")
        parameters, (loss, slope, curvature) = moved, terms
    raise np.linalg.LinAlgError("the ordered logit does not converge")


def _terms(
    parameters: FloatArray, columns: FloatArray, places: IntArray, penalty: FloatArray, *, cuts: int
) -> tuple[float, FloatArray, FloatArray]:
    """Return the penalised negative log-likelihood, its gradient and its matrix of second derivatives."""
    thresholds, coefficients = parameters[:cuts], parameters[cuts:]
    score = columns @ coefficients
    has_upper, has_lower = places < cuts, places > 0
    upper = _at(thresholds, places, has_upper) - score
    lower = _at(thresholds, places - 1, has_lower) - score
    at_upper, at_lower = np.where(has_upper, _logistic(upper), 1.0), np.where(has_lower, _logistic(lower), 0.0)
    share = np.maximum(at_upper - at_lower, 1e-300)
    # Derivatives of the logistic function, 0 at the open ends.
    first_upper, first_lower = at_upper * (1.0 - at_upper), at_lower * (1.0 - at_lower)
    second_upper, second_lower = first_upper * (1.0 - 2.0 * at_upper), first_lower * (1.0 - 2.0 * at_lower)
    to_upper, to_lower = _indicator(places, has_upper, cuts), _indicator(places - 1, has_lower, cuts)
    by_upper = np.hstack([to_upper, -columns])
    by_lower = np.hstack([to_lower, -columns])
    derivative = first_upper[:, np.newaxis] * by_upper - first_lower[:, np.newaxis] * by_lower
    relative = derivative / share[:, np.newaxis]
    loss = float(-np.log(share).sum() + 0.5 * (penalty * parameters**2).sum())
    slope: FloatArray = -relative.sum(axis=0) + penalty * parameters
    curvature: FloatArray = (
        relative.T @ relative
        - by_upper.T @ ((second_upper / share)[:, np.newaxis] * by_upper)
        + by_lower.T @ ((second_lower / share)[:, np.newaxis] * by_lower)
        + np.diag(penalty)
    )
    return loss, slope, curvature


def _at(thresholds: FloatArray, cut: IntArray, exists: BoolArray) -> FloatArray:
    chosen: FloatArray = np.where(exists, thresholds[np.clip(cut, 0, len(thresholds) - 1)], 0.0)
    return chosen


def _indicator(cut: IntArray, exists: BoolArray, cuts: int) -> FloatArray:
    marks = np.zeros((len(cut), cuts))
    rows = np.flatnonzero(exists)
    marks[rows, cut[rows]] = 1.0
    return marks


def _logistic(values: FloatArray) -> FloatArray:
    result: FloatArray = 0.5 * (1.0 + np.tanh(0.5 * values))
    return result
