"""What every walk-forward classifier does alike: fit each fold on its training part, and the live model on all.

Here belongs the protocol of the folds. Which features, classes and estimators a model has stands
in its own module; the split itself in ``validation.walk_forward``. Everything that is learnt
(presence, selection, imputation, scaling, threshold, prior) is learnt from one training part. Augmented
rows (``augmentation``) are drawn anew from each, outer and inner; only estimators learn from them. What is
selected, scaled, counted or judged is the real rows.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.models.estimators.learners import AnyLearner, AugmentedRows, SearchedLearner
from trading_dag.models.learning.augmentation import Draw
from trading_dag.models.learning.fitted import FittedFold, first_served
from trading_dag.models.learning.inner_search import search
from trading_dag.models.learning.lessons import InnerLesson, Lesson, Part, augment, inner_lessons, study, study_whole
from trading_dag.models.learning.rows import LabelledRows
from trading_dag.setting_groups import WalkForwardSettings
from trading_dag.slices import Horizon
from trading_dag.training_start import EVERYTHING, TrainingStart
from trading_dag.validation.scores.baselines import class_prior
from trading_dag.validation.scores.metrics import area_under_roc, balanced_accuracy, class_f1, confusion, point_weights
from trading_dag.validation.walk_forward import walk_forward_folds

_logger = logging.getLogger(__name__)
LEAST_CLASSES: Final = 2
THRESHOLD_GRID: FloatArray = np.arange(30, 71) / 100.0


@dataclass(frozen=True)
class Recipe:
    """What is fitted on each training part.

    Attributes
    ----------
    learners : estimators, each fitted on the same rows and columns. One that has candidates chooses among them inside
        each training part, and may read fewer columns.
    classes : class names, in the order of the codes.
    top_features : columns kept by mutual information, None for all that are present and vary.
    tunes_threshold : whether a decision threshold is chosen; needs two classes.
    left_out : features that are no candidates, and why: rows of ``models.inputs`` and nothing else.
    live_learners : the same learners as the live model uses them, where it was tuned apart; empty for ``learners``.
    reads_whole_rows : whether the estimators read every column and learn the outcome: no column is chosen or dropped,
        and a row that lacks one, or the outcome, is not learnt from.
    """

    learners: tuple[AnyLearner, ...]
    classes: tuple[str, ...]
    top_features: int | None
    tunes_threshold: bool
    left_out: Mapping[str, str] = field(default_factory=dict)
    reads_whole_rows: bool = False
    live_learners: tuple[AnyLearner, ...] = ()

    def of_part(self, *, is_live: bool) -> Recipe:
        """What is fitted on a training part: of a fold, or of the live model."""
        return replace(self, learners=self.live_learners) if is_live and self.live_learners else self

    @property
    def needs_inner_folds(self) -> bool:
        """Whether something is chosen inside a training part."""
        return self.tunes_threshold or any(isinstance(learner, SearchedLearner) for learner in self.learners)


def fit_folds(
    rows: LabelledRows,
    recipe: Recipe,
    *,
    horizon: Horizon,
    settings: WalkForwardSettings,
    start: TrainingStart = EVERYTHING,
    draw: Draw | None = None,
) -> tuple[FittedFold, ...]:
    """Fit every learner on every training part, and once more on every label: the live model.

    A fold whose training part holds ``minimum_class_rows`` of fewer than two classes is returned with
    status ``insufficient_data``. It stays the fold in service for its test part, so nothing is forecast
    there: an older model never takes over unannounced. A third class that is rarer is learnt from the rows
    there are, and one that never occurred gets probability 0; whether it can be scored is for the evaluation.

    Parameters
    ----------
    rows, recipe : what there is to learn, and what is fitted on it.
    horizon, settings : gap between training and test part; folds, presence.
    start : since when is learnt from. Years shorten each training part from its beginning and leave the test parts
        as they are; of rows before a date there is neither.
    draw : gives augmented rows made of the sessions between two; None for none.

    Returns
    -------
    Folds ordered by learner, then number; the live model has number ``folds`` + 1.

    Raises
    ------
    AugmentedTestError : where ``rows`` has an augmented row in a test part, or ``draw`` took a session whose label
        does not end inside its training part.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    rows = rows.since(start.first)
    parts = training_parts(rows, horizon, settings, start)
    fitted: list[FittedFold] = []
    with threadpool_limits(limits=1):
        for number, (train, first_test) in enumerate(parts, start=1):
            started = time.perf_counter()
            part = Part(rows, train, horizon, settings, draw)
            fitted_here = recipe.of_part(is_live=number == len(parts))
            folds = _fit_part(part, fitted_here, number=number, first_test=first_test)
            tell_folds(rows.ticker, horizon, folds, seconds=time.perf_counter() - started)
            fitted += folds
    order = {learner.model: position for position, learner in enumerate(recipe.learners)}
    return tuple(sorted(fitted, key=lambda fold: (order[fold.model], fold.fold)))


def training_parts(
    rows: LabelledRows, horizon: Horizon, settings: WalkForwardSettings, start: TrainingStart
) -> list[tuple[IntArray, pd.Timestamp | None]]:
    """Return the training part of each walk-forward fold and, last, of the live model: positions, and the first session
    of the test part, None where there is none. The parts are empty where the rows are too few for the folds.
    """
    splits = walk_forward_folds(
        len(rows.sessions), folds=settings.folds, gap=horizon.gap_sessions, is_augmented=rows.is_augmented
    )
    everything = np.arange(len(rows.sessions), dtype=np.int64)
    parts = [(fold.train, rows.sessions[fold.test[0]]) for fold in splits] or [(everything[:0], None)] * settings.folds
    parts.append((everything if splits else everything[:0], None))
    return [(train[start.keeps(rows.sessions[train])], first_test) for train, first_test in parts]


def _fit_part(part: Part, recipe: Recipe, *, number: int, first_test: pd.Timestamp | None) -> list[FittedFold]:
    """Fit every learner on one training part."""
    rows, train, classes = part.rows, part.train, recipe.classes
    lesson = study_whole(part) if recipe.reads_whole_rows else study(part, top_features=recipe.top_features)
    counts = np.bincount(lesson.codes, minlength=len(classes))
    reason = _why_insufficient(train, lesson, counts, classes=classes, least=part.settings.minimum_class_rows)
    fitted_through = rows.target_sessions[train].max() if len(train) else None
    augmented, record = (None, {}) if reason else augment(part, lesson)
    inner = [] if reason or not recipe.needs_inner_folds else inner_lessons(part, top_features=recipe.top_features)
    folds = []
    for learner in recipe.learners:
        taught = (
            _Taught(lesson) if reason else _teach(learner, lesson, augmented, recipe=recipe, part=part, inner=inner)
        )
        folds.append(
            FittedFold(
                model=learner.model,
                fold=number,
                estimator=taught.estimator,
                features=() if reason else taught.lesson.features,
                classes=classes,
                threshold=taught.threshold,
                prior=class_prior(np.array(classes, dtype=object)[lesson.codes], classes=classes),
                train_first_session=rows.sessions[train[0]] if len(train) else None,
                train_last_session=rows.sessions[train[-1]] if len(train) else None,
                fitted_through=fitted_through,
                serves_from=first_served(first_test, fitted_through),
                n_train=len(lesson.codes),
                class_counts={name: int(count) for name, count in zip(classes, counts, strict=True)},
                status="insufficient_data" if reason else "fitted",
                reason=reason,
                selection=with_left_out(taught.lesson.selection, recipe.left_out),
                hyperparameters=taught.hyperparameters or learner.hyperparameters,
                metrics=taught.metrics,
                augmentation=record,
                indicators={} if reason else taught.lesson.indicators_for(learner),
                calibration=taught.calibration,
            )
        )
    return folds


@dataclass(frozen=True)
class _Taught:
    """What a learner has made of a training part; ``hyperparameters`` are empty where there was nothing to choose."""

    lesson: Lesson
    estimator: Any = None
    threshold: float | None = None
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    calibration: dict[str, float] = field(default_factory=dict)


def _teach(
    learner: AnyLearner,
    lesson: Lesson,
    augmented: AugmentedRows | None,
    *,
    recipe: Recipe,
    part: Part,
    inner: list[InnerLesson],
) -> _Taught:
    """Fit one learner on one training part, with what it learns on the inner folds."""
    if isinstance(learner, SearchedLearner):
        answer = search(
            learner, lesson, augmented, inner=inner, rows=part.rows, train=part.train,
            steps=part.horizon.gap_sessions, least_rows=part.settings.evidence_sessions,
        )  # fmt: skip
        return _Taught(
            answer.lesson, answer.estimator, hyperparameters=answer.hyperparameters, metrics=answer.metrics,
            calibration=answer.calibration,
        )  # fmt: skip
    estimator = lesson.teach(learner, augmented)
    if not recipe.tunes_threshold:
        return _Taught(lesson, estimator)
    threshold, scores = _tune_threshold(inner, part.rows, learner=learner, rule=part.settings.threshold_rule)
    return _Taught(lesson, estimator, threshold, metrics=scores)


def tell_folds(ticker: str, horizon: Horizon, folds: list[FittedFold], *, seconds: float) -> None:
    """Say in the log, for whoever debugs a training, what each learner of a fold has learnt from."""
    for fold in folds:
        through = [
            "none" if day is None else f"{day:%Y-%m-%d}" for day in (fold.train_first_session, fold.train_last_session)
        ]
        presence = fold.selection["presence_fraction"].to_numpy(dtype=np.float64)
        _logger.debug(
            "%s of %s %s, fold %d: %s; %d rows from %s to %s, classes %s; %d of %d features, presence %s; %.2f s",
            fold.model, ticker, horizon.key, fold.fold, fold.reason or "fitted", fold.n_train, *through,
            ", ".join(f"{name} {count}" for name, count in fold.class_counts.items()), len(fold.features),
            len(presence), f"{np.nanmedian(presence):.0%}" if np.isfinite(presence).any() else "unknown", seconds,
        )  # fmt: skip


def with_left_out(selection: pd.DataFrame, left_out: Mapping[str, str]) -> pd.DataFrame:
    """The selection, followed by the features that were no candidates; without candidates there is nothing to tell."""
    if not left_out or selection.empty:
        return selection
    others = pd.DataFrame(
        {
            "feature": pd.array(tuple(left_out), dtype="str"),
            "selected": False,
            "reason": pd.array(tuple(left_out.values()), dtype="str"),
            **dict.fromkeys(("score", "presence_fraction", "known_fraction"), np.nan),
            "begins_late": False,
        }
    )
    return pd.concat([selection, others], ignore_index=True)


def _why_insufficient(
    train: IntArray, lesson: Lesson, counts: IntArray, *, classes: tuple[str, ...], least: int
) -> str | None:
    """The reason why a training part cannot be learnt from, None if it can."""
    if not len(train):
        return "too few labelled sessions to make the folds"
    if not len(lesson.chosen):
        return "no feature is present often enough and varies in the training part"
    rare = [f"{count} of {name}" for name, count in zip(classes, counts, strict=True) if count < least]
    learnable = len(classes) - len(rare)
    return f"fewer than {least} training rows: {', '.join(rare)}" if learnable < LEAST_CLASSES else None


def _tune_threshold(
    inner: list[InnerLesson], rows: LabelledRows, *, learner: AnyLearner, rule: str
) -> tuple[float, dict[str, float]]:
    """Decision threshold of a binary learner, from purged out-of-fold rows inside one training part.

    Imputation and scaling are fitted anew in each inner training part. Without out-of-fold rows of both classes the
    threshold is 0.5.
    """
    probabilities, happened = [], []
    for part in inner:
        probabilities.append(part.forecast(learner, rows, classes=2)[:, 1])
        happened.append(rows.codes[part.held_out])
    pooled = np.concatenate(probabilities) if probabilities else np.empty(0)
    truth = np.concatenate(happened) if happened else np.empty(0, dtype=np.int64)
    if len(np.unique(truth)) < 2:
        return 0.5, {}
    scores = threshold_scores(pooled, truth, rule=rule)
    best = np.flatnonzero(scores == scores.max())
    threshold = float(THRESHOLD_GRID[best[np.argmin(np.abs(THRESHOLD_GRID[best] - 0.5))]])
    return threshold, {
        f"inner_{rule}": float(scores.max()),
        "inner_auc": float(area_under_roc(point_weights(len(truth)), pooled, truth == 1)[0]),
        "inner_rows": float(len(truth)),
    }


def threshold_scores(probabilities: FloatArray, codes: IntArray, *, rule: str) -> FloatArray:
    """Score of calling class 1 above each threshold of the grid .30, .31, … .70.

    Parameters
    ----------
    probabilities, codes : P(class 1) and the class, 0 or 1, per row.
    rule : ``balanced_accuracy``, or ``f1`` of class 1 (which without skill answers always-UP).
    """
    weights = point_weights(len(codes))
    counts = np.concatenate(
        [
            confusion(weights, codes, (probabilities > threshold).astype(np.int64), classes=2)
            for threshold in THRESHOLD_GRID
        ]
    )
    return balanced_accuracy(counts) if rule == "balanced_accuracy" else class_f1(counts)[:, 1]
