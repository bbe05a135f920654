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
from trading_dag.features.selection import (
    SELECTION_COLUMNS,
    PresenceRule,
    presence_fractions,
    rows_with_presence,
    select_features,
)
from trading_dag.models.augmentation import Draw
from trading_dag.models.fitted import FittedFold, is_steady
from trading_dag.models.forecasting import class_probabilities
from trading_dag.models.gaps import indicators_of, with_indicators
from trading_dag.models.learners import AnyLearner, AugmentedRows, Learner, OutcomeLearner
from trading_dag.models.rows import LabelledRows
from trading_dag.sessions import shift_sessions
from trading_dag.setting_groups import WalkForwardSettings
from trading_dag.simulation.bootstrap import require_drawn_within
from trading_dag.slices import Horizon
from trading_dag.training_start import EVERYTHING, TrainingStart
from trading_dag.validation.baselines import class_prior
from trading_dag.validation.metrics import area_under_roc, balanced_accuracy, class_f1, confusion, point_weights
from trading_dag.validation.walk_forward import walk_forward_folds

_logger = logging.getLogger(__name__)
LEAST_CLASSES: Final = 2
THRESHOLD_GRID: FloatArray = np.arange(30, 71) / 100.0


@dataclass(frozen=True)
class Recipe:
    """What is fitted on each training part.

    Attributes
    ----------
    learners : estimators, each fitted on the same rows and columns.
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
    live_learners: tuple[Learner, ...] = ()

    def of_part(self, *, is_live: bool) -> Recipe:
        """What is fitted on a training part: of a fold, or of the live model."""
        return replace(self, learners=self.live_learners) if is_live and self.live_learners else self


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
            part = _Part(rows, train, horizon, settings, draw)
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


@dataclass(frozen=True)
class _Part:
    """One training part: row positions, and what may be asked of them."""

    rows: LabelledRows
    train: IntArray
    horizon: Horizon
    settings: WalkForwardSettings
    draw: Draw | None


def _fit_part(part: _Part, recipe: Recipe, *, number: int, first_test: pd.Timestamp | None) -> list[FittedFold]:
    """Fit every learner on one training part."""
    rows, train, classes = part.rows, part.train, recipe.classes
    lesson = _study_whole(part) if recipe.reads_whole_rows else _study(part, top_features=recipe.top_features)
    counts = np.bincount(lesson.codes, minlength=len(classes))
    reason = _why_insufficient(train, lesson, counts, classes=classes, least=part.settings.minimum_class_rows)
    fitted_through = rows.target_sessions[train].max() if len(train) else None
    served = [day for day in (first_test, fitted_through) if day is not None]
    augmented, record = (None, {}) if reason else _augment(part, lesson)
    inner = [] if reason or not recipe.tunes_threshold else _inner_lessons(part, top_features=recipe.top_features)
    folds = []
    for learner in recipe.learners:
        estimator = None if reason else lesson.teach(learner, augmented)
        threshold: float | None = None
        scores: dict[str, float] = {}
        if recipe.tunes_threshold and not reason:
            threshold, scores = _tune_threshold(inner, rows, learner=learner, rule=part.settings.threshold_rule)
        folds.append(
            FittedFold(
                model=learner.model,
                fold=number,
                estimator=estimator,
                features=() if reason else lesson.features,
                classes=classes,
                threshold=threshold,
                prior=class_prior(np.array(classes, dtype=object)[lesson.codes], classes=classes),
                train_first_session=rows.sessions[train[0]] if len(train) else None,
                train_last_session=rows.sessions[train[-1]] if len(train) else None,
                fitted_through=fitted_through,
                serves_from=max(served) if served else None,
                n_train=len(lesson.codes),
                class_counts={name: int(count) for name, count in zip(classes, counts, strict=True)},
                status="insufficient_data" if reason else "fitted",
                reason=reason,
                selection=with_left_out(lesson.selection, recipe.left_out),
                hyperparameters=learner.hyperparameters,
                metrics=scores,
                augmentation=record,
                indicators={} if reason else lesson.indicators_for(learner),
            )
        )
    return folds


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


@dataclass(frozen=True)
class _Lesson:
    """What one training part offers to learn: chosen columns, and the rows that are clear and present enough.

    ``steady`` columns are those by which a row is judged: present enough over the whole part. ``indicators`` says, of
    the chosen columns that begin late, which stand together.
    """

    selection: pd.DataFrame
    steady: IntArray
    chosen: IntArray
    features: tuple[str, ...]
    values: FloatArray
    codes: IntArray
    indicators: dict[str, tuple[str, ...]]
    outcomes: FloatArray

    def indicators_for(self, learner: AnyLearner) -> dict[str, tuple[str, ...]]:
        """The indicators that a learner's estimator reads."""
        return {} if learner.reads_gaps else self.indicators

    def as_read_by(self, learner: AnyLearner, values: FloatArray) -> FloatArray:
        """Chosen columns as a learner's estimator reads them."""
        return with_indicators(values, self.features, self.indicators_for(learner))

    def teach(self, learner: AnyLearner, augmented: AugmentedRows | None) -> Any:
        """The estimator that a learner makes of it."""
        if isinstance(learner, OutcomeLearner):
            return learner.fit(self.values, self.codes, self.outcomes)
        if augmented is not None:
            augmented = replace(augmented, values=self.as_read_by(learner, augmented.values))
        return learner.fit(self.as_read_by(learner, self.values), self.codes, augmented)


def _study(part: _Part, *, top_features: int | None) -> _Lesson:
    """Choose features and rows from one training part, looking at nothing else."""
    values, codes = part.rows.values[part.train], part.rows.codes[part.train]
    least = part.settings.minimum_presence
    if not len(part.train):
        empty = np.empty(0, dtype=np.int64)
        none = pd.DataFrame(columns=list(SELECTION_COLUMNS))
        return _Lesson(none, empty, empty, (), values[:, :0], empty, {}, np.empty(0))
    rule = PresenceRule(least, part.settings.presence_sessions, part.settings.late_sessions)
    selection = select_features(values, codes, names=part.rows.names, presence=rule, top_features=top_features)
    steady = np.flatnonzero(is_steady(selection))
    chosen = np.flatnonzero(selection["selected"].to_numpy())
    late = chosen[selection["begins_late"].to_numpy()[chosen]]
    learnt = (codes >= 0) & rows_with_presence(values[:, steady], minimum_presence=least)
    return _Lesson(
        selection=selection,
        steady=steady,
        chosen=chosen,
        features=tuple(part.rows.names[position] for position in chosen),
        values=values[np.ix_(learnt, chosen)],
        codes=codes[learnt],
        indicators=indicators_of(part.rows.names[position] for position in late),
        outcomes=part.rows.outcomes[part.train][learnt],
    )


def _study_whole(part: _Part) -> _Lesson:
    """Take every column, and the rows of a training part that have all of them; no column where there is no such
    row."""
    rows, train = part.rows, part.train
    values, outcomes = rows.values[train], rows.outcomes[train]
    learnt = ~np.isnan(values).any(axis=1) & (rows.codes[train] >= 0) & np.isfinite(outcomes)
    chosen = np.arange(len(rows.names) if learnt.any() else 0, dtype=np.int64)
    known = presence_fractions(values)
    selection = pd.DataFrame(
        {
            "feature": pd.array(rows.names, dtype="str"),
            "selected": bool(len(chosen)),
            "reason": pd.array(["selected" if len(chosen) else "below_presence"] * len(rows.names), dtype="str"),
            "score": np.nan,
            "presence_fraction": known,
            "known_fraction": known,
            "begins_late": False,
        }
    )
    return _Lesson(
        selection=selection,
        steady=chosen,
        chosen=chosen,
        features=tuple(rows.names[position] for position in chosen),
        values=values[np.ix_(learnt, chosen)],
        codes=rows.codes[train][learnt],
        indicators={},
        outcomes=outcomes[learnt],
    )


def _augment(part: _Part, lesson: _Lesson) -> tuple[AugmentedRows | None, dict[str, Any]]:
    """Augmented rows to learn the lesson from besides, and the record of them; None where there are none."""
    if part.draw is None:
        return None, {}
    first, through = part.rows.sessions[part.train[0]], _last_drawable(part)
    drawn = part.draw(first, through)
    if drawn.rows is None:
        return None, {**drawn.record, "rows": 0}
    last_with_label = shift_sessions(part.rows.sessions[part.train[-1:]], -part.horizon.target_offset)[0]
    require_drawn_within(drawn.bars, first=first, last=last_with_label)
    is_present = rows_with_presence(
        drawn.rows.values[:, lesson.steady], minimum_presence=part.settings.minimum_presence
    )
    learnt = (drawn.rows.codes >= 0) & is_present
    record = {**drawn.record, "rows": int(learnt.sum())}
    if not learnt.any():
        return None, record
    values = drawn.rows.values[np.ix_(learnt, lesson.chosen)]
    return AugmentedRows(values, drawn.rows.codes[learnt], drawn.record["weight"]), record


def _last_drawable(part: _Part) -> pd.Timestamp:
    """The last session of a training part less the gap: its own label, too, ends inside the part."""
    session: pd.Timestamp = part.rows.sessions[part.train[max(len(part.train) - 1 - part.horizon.gap_sessions, 0)]]
    return session


def _why_insufficient(
    train: IntArray, lesson: _Lesson, counts: IntArray, *, classes: tuple[str, ...], least: int
) -> str | None:
    """The reason why a training part cannot be learnt from, None if it can."""
    if not len(train):
        return "too few labelled sessions to make the folds"
    if not len(lesson.chosen):
        return "no feature is present often enough and varies in the training part"
    rare = [f"{count} of {name}" for name, count in zip(classes, counts, strict=True) if count < least]
    learnable = len(classes) - len(rare)
    return f"fewer than {least} training rows: {', '.join(rare)}" if learnable < LEAST_CLASSES else None


@dataclass(frozen=True)
class InnerLesson:
    """One purged inner fold of a training part: what is learnt in it, and the real rows that are held out."""

    lesson: _Lesson
    augmented: AugmentedRows | None
    held_out: IntArray

    def forecast(self, learner: AnyLearner, rows: LabelledRows, *, classes: int) -> FloatArray:
        """Class probabilities of the held-out rows by a learner's estimator, fitted here: (rows, classes)."""
        estimator = self.lesson.teach(learner, self.augmented)
        values = self.lesson.as_read_by(learner, rows.values[np.ix_(self.held_out, self.lesson.chosen)])
        return class_probabilities(estimator, values, classes=classes)


def inner_lessons(
    rows: LabelledRows,
    train: IntArray,
    *,
    horizon: Horizon,
    settings: WalkForwardSettings,
    top_features: int | None,
) -> list[InnerLesson]:
    """Return the purged inner folds of a training part, without augmented rows, to try hyperparameters on.

    Parameters
    ----------
    train : positions of the part's rows.
    top_features : as in ``Recipe``.

    Returns
    -------
    Those that can be learnt from, in time order. Held out are all rows that are present enough, also those whose label
    is in no class.
    """
    part = _Part(rows, train, horizon, settings, None)
    return _inner_lessons(part, top_features=top_features, holds_out_unclear=True)


def _inner_lessons(part: _Part, *, top_features: int | None, holds_out_unclear: bool = False) -> list[InnerLesson]:
    """The inner folds that can be learnt from and have rows to be judged on.

    Features are selected, and histories drawn, anew in each inner training part.
    """
    rows, settings = part.rows, part.settings
    found = []
    for inner in walk_forward_folds(
        len(part.train),
        folds=settings.inner_folds,
        gap=part.horizon.gap_sessions,
        is_augmented=rows.is_augmented[part.train],
    ):
        smaller = replace(part, train=part.train[inner.train])
        lesson = _study(smaller, top_features=top_features)
        if not len(lesson.chosen) or len(np.unique(lesson.codes)) < 2:
            continue
        held_out = part.train[inner.test]
        present = rows_with_presence(
            rows.values[np.ix_(held_out, lesson.steady)], minimum_presence=settings.minimum_presence
        )
        held_out = held_out[present & (holds_out_unclear | (rows.codes[held_out] >= 0))]
        if len(held_out):
            found.append(InnerLesson(lesson, _augment(smaller, lesson)[0], held_out))
    return found


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
