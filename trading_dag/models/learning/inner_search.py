"""How a learner with candidates chooses one inside a training part, and how far its forecasts are then believed.

Every candidate is fitted on each purged inner fold and judged on the rows held out, by Brier score. The share of the
second class, climatology, is a candidate like the others and wins unless one of them is better by more than the noise
of the comparison. What is chosen is then drawn towards climatology as far as the same rows ask for.

Here belongs that choice, for two classes. What an inner fold is stands in ``lessons``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.models.estimators.learners import AugmentedRows, SearchedLearner
from trading_dag.models.learning.calibration import shrunk
from trading_dag.models.learning.forecasting import class_probabilities
from trading_dag.models.learning.lessons import InnerLesson, Lesson
from trading_dag.models.learning.rows import LabelledRows
from trading_dag.models.learning.running_share import KnownOutcomes
from trading_dag.validation.inference.significance import SHOWN_IN_ERRORS, long_run_variance, truncation_lag
from trading_dag.validation.scores.metrics import calibration_error, point_weights

CLIMATOLOGY_ANSWER: Final = "climatology"
MODEL_ANSWER: Final = "model"
_SHRINK_GRID: FloatArray = np.arange(21) / 20.0


@dataclass(frozen=True)
class Answer:
    """What a learner has made of a training part.

    Attributes
    ----------
    lesson : with the columns that the estimator reads; none of them where the answer is climatology.
    estimator : fitted on all rows of the training part.
    hyperparameters : the candidate, and ``answer``: ``model`` or ``climatology``.
    metrics : scores on the pooled rows that inner folds held out.
    calibration : ``climatology``, a share, and ``shrink``, from 0 (only climatology) to 1 (as the estimator says);
        ``running_share``, that of the last outcomes known when it was fitted, and ``follows_running_share``, 1 where
        the share that is known at a session was no worse than climatology on the rows held out, else 0.
    """

    lesson: Lesson
    estimator: Any
    hyperparameters: dict[str, Any]
    metrics: dict[str, float]
    calibration: dict[str, float]


@dataclass(frozen=True)
class _HeldOut:
    """Pooled rows of the inner folds: P(second class) by candidate, by climatology and by the share known at each row,
    and what happened."""

    probabilities: FloatArray
    climatology: FloatArray
    running_share: FloatArray
    happened: FloatArray


def search(
    learner: SearchedLearner,
    lesson: Lesson,
    augmented: AugmentedRows | None,
    *,
    inner: Sequence[InnerLesson],
    rows: LabelledRows,
    train: IntArray,
    steps: int,
    least_rows: int,
) -> Answer:
    """Return the candidate that a learner chooses in a training part, fitted on all of it and calibrated.

    Chosen is the most shrunk candidate whose Brier score on the rows held out is within one standard error of the
    best, and then the most shrunk of its probabilities by the same rule. It has to show its skill as any model here
    does: unless it beats climatology by ``SHOWN_IN_ERRORS`` standard errors, the answer is climatology. Errors are
    those of the difference on the same rows, with the dependence of overlapping outcomes in them.

    Parameters
    ----------
    lesson, inner : the training part and its inner folds, each with all columns that may be read.
    augmented : rows to learn the lesson from besides.
    rows, train : the rows that inner folds held out are looked up in, and which of them are the training part.
    steps : sessions that a label looks ahead.
    least_rows : with fewer rows held out the answer is climatology.

    References
    ----------
    Breiman, Friedman, Olshen and Stone, Classification and Regression Trees (1984), section 3.4.3 (the rule of one
    standard error).
    """
    codes = rows.codes[train]
    climatology = float((codes[codes >= 0] == 1).mean())
    known = KnownOutcomes.of((codes == 1).astype(np.float64), rows.target_sessions[train].to_numpy(), counts=codes >= 0)
    held_out = _forecast_held_out(learner, inner, rows, known)
    chosen = _chosen(held_out, steps=steps, least_rows=least_rows) if held_out else -1
    shrink = _least_shrink(held_out, chosen, steps=steps) if held_out and chosen >= 0 else 0.0
    calibration = {
        "climatology": climatology,
        "shrink": shrink,
        "running_share": float(known.running_share(known.ends[-1:])[0][0]),
        "follows_running_share": float(held_out is not None and _running_share_is_no_worse(held_out)),
    }
    metrics = _scores(held_out, chosen, shrink=shrink, steps=steps) if held_out else {}
    if shrink == 0.0:
        nothing, _ = lesson.narrowed(0)
        answer = {"answer": CLIMATOLOGY_ANSWER, "top_features": 0}
        return Answer(nothing, climatology_estimator(codes[codes >= 0]), answer, metrics, calibration)
    candidate = learner.candidates[chosen]
    narrower, kept = lesson.narrowed(candidate["top_features"])
    (estimator,) = narrower.teach_all(learner, _columns_of(augmented, kept), [candidate])
    given = {**learner.hyperparameters, **candidate, "answer": MODEL_ANSWER}
    return Answer(narrower, estimator, given, metrics, calibration)


def climatology_estimator(codes: IntArray) -> Any:
    """Return the estimator that reads no column and always states the shares of the classes."""
    from sklearn.dummy import DummyClassifier
    from sklearn.pipeline import Pipeline

    return Pipeline([("classify", DummyClassifier(strategy="prior"))]).fit(np.empty((len(codes), 0)), codes)


def _running_share_is_no_worse(held_out: _HeldOut) -> bool:
    """Return whether the share known at each row has a Brier score no higher than that of the inner training rows."""
    running, frozen = (
        np.mean((said - held_out.happened) ** 2) for said in (held_out.running_share, held_out.climatology)
    )
    return bool(running <= frozen)


def _forecast_held_out(
    learner: SearchedLearner, inner: Sequence[InnerLesson], rows: LabelledRows, known: KnownOutcomes
) -> _HeldOut | None:
    """Return what each candidate says of the rows held out; None without any."""
    if not inner:
        return None
    parts, climatologies, running, happened = [], [], [], []
    by_width: dict[int | None, list[int]] = {}
    for position, candidate in enumerate(learner.candidates):
        by_width.setdefault(candidate["top_features"], []).append(position)
    for fold in inner:
        said = np.empty((len(fold.held_out), len(learner.candidates)))
        for width, positions in by_width.items():
            lesson, kept = fold.lesson.narrowed(width)
            candidates = [learner.candidates[position] for position in positions]
            values = lesson.as_read_by(learner, rows.values[np.ix_(fold.held_out, lesson.chosen)])
            estimators = lesson.teach_all(learner, _columns_of(fold.augmented, kept), candidates)
            for position, stated in zip(positions, _probabilities_of_all(estimators, values), strict=True):
                said[:, position] = stated
        parts.append(said)
        climatologies.append(np.full(len(fold.held_out), (fold.lesson.codes == 1).mean()))
        running.append(known.running_share(rows.sessions[fold.held_out].to_numpy())[0])
        happened.append((rows.codes[fold.held_out] == 1).astype(np.float64))
    return _HeldOut(*(np.concatenate(pooled) for pooled in (parts, climatologies, running, happened)))


def _probabilities_of_all(estimators: Sequence[Any], values: FloatArray) -> Iterator[FloatArray]:
    """Yield P(second class) of each estimator; what pipelines prepare alike, by the same fitted steps, is done once."""
    prepared: dict[tuple[int, ...], FloatArray] = {}
    for estimator in estimators:
        if not hasattr(estimator, "steps"):
            yield class_probabilities(estimator, values, classes=2)[:, 1]
            continue
        steps = tuple(id(step) for _, step in estimator.steps[:-1])
        if steps not in prepared:
            prepared[steps] = estimator[:-1].transform(values) if steps else values
        yield class_probabilities(estimator[-1], prepared[steps], classes=2)[:, 1]


def _columns_of(augmented: AugmentedRows | None, kept: IntArray) -> AugmentedRows | None:
    return None if augmented is None else replace(augmented, values=augmented.values[:, kept])


def _chosen(held_out: _HeldOut, *, steps: int, least_rows: int) -> int:
    """Return the position of the chosen candidate; −1 for climatology."""
    if len(held_out.happened) < least_rows:
        return -1
    stated = np.column_stack([held_out.climatology, held_out.probabilities])
    chosen = _first_within_one_error(stated, held_out.happened, steps=steps) - 1
    return chosen if chosen >= 0 and _gain_in_errors(held_out, chosen, steps=steps) > SHOWN_IN_ERRORS else -1


def _gain_in_errors(held_out: _HeldOut, chosen: int, *, steps: int) -> float:
    """Return by how many standard errors a candidate's Brier score is better than climatology's."""
    losses = (held_out.climatology - held_out.happened) ** 2
    gains = losses - (held_out.probabilities[:, chosen] - held_out.happened) ** 2
    variance = long_run_variance(gains, lag=truncation_lag(len(gains), steps=steps))
    return float(gains.mean() / math.sqrt(variance / len(gains))) if variance > 0 else 0.0


def _least_shrink(held_out: _HeldOut, chosen: int, *, steps: int) -> float:
    """Return how far the chosen candidate is believed, from 0 to 1."""
    stated = [
        shrunk(held_out.probabilities[:, chosen], climatology=held_out.climatology, shrink=shrink)
        for shrink in _SHRINK_GRID
    ]
    return float(_SHRINK_GRID[_first_within_one_error(np.column_stack(stated), held_out.happened, steps=steps)])


def _first_within_one_error(stated: FloatArray, happened: FloatArray, *, steps: int) -> int:
    """Return the first column whose Brier score is within one standard error of the best column's.

    Parameters
    ----------
    stated : rows × columns, from the most shrunk to the least.
    """
    losses = (stated - happened[:, None]) ** 2
    means = losses.mean(axis=0)
    best = int(np.argmin(means))
    lag = truncation_lag(len(losses), steps=steps)
    for position in range(best):
        variance = long_run_variance(losses[:, position] - losses[:, best], lag=lag)
        if means[position] - means[best] <= math.sqrt(variance / len(losses)):
            return position
    return best


def _scores(held_out: _HeldOut, chosen: int, *, shrink: float, steps: int) -> dict[str, float]:
    """Return Brier scores and calibration errors on the rows held out, before and after the shrinking, and the gain
    over climatology in standard errors: of the chosen candidate, or of the best where the answer is climatology.
    """
    best = int(np.argmin(((held_out.probabilities - held_out.happened[:, None]) ** 2).mean(axis=0)))
    happened = held_out.happened
    before = held_out.climatology if chosen < 0 else held_out.probabilities[:, chosen]
    after = held_out.climatology if chosen < 0 else shrunk(before, climatology=held_out.climatology, shrink=shrink)
    weights = point_weights(len(happened))
    totals = weights.sum(axis=1).astype(np.float64)
    return {
        "inner_rows": float(len(happened)),
        "inner_gain_in_errors": _gain_in_errors(held_out, best if chosen < 0 else chosen, steps=steps),
        "inner_brier_climatology": float(np.mean((held_out.climatology - happened) ** 2)),
        "inner_brier_running_share": float(np.mean((held_out.running_share - happened) ** 2)),
        **{
            f"inner_{name}_{when}": float(value)
            for when, stated in (("before", before), ("after", after))
            for name, value in (
                ("brier", np.mean((stated - happened) ** 2)),
                ("calibration_error", calibration_error(weights, stated, happened, totals=totals)[0]),
            )
        },
    }
