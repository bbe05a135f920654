"""What every stack of learners that forecast a number does alike: fit each fold, blend what was forecast out of fold.

Here belongs the protocol of the folds of such a stack. Which features, learners and blends a model has stands in its
own module; the split in ``training``, out-of-fold forecasts and weights in ``stacking``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.errors import InsufficientDataError
from trading_dag.features.selection import SELECTION_COLUMNS, PresenceRule, rows_with_presence, select_features
from trading_dag.models.estimators.gaps import indicators_of, with_indicators
from trading_dag.models.estimators.real_learners import RealLearner, forecasts_of
from trading_dag.models.learning.fitted import FittedFold, FittedModel, ModelName, first_served, is_steady
from trading_dag.models.learning.fitting import library_versions
from trading_dag.models.learning.training import tell_folds, training_parts, with_left_out
from trading_dag.models.stacks.price_rows import PriceRows
from trading_dag.models.stacks.stacking import OutOfFold, out_of_fold
from trading_dag.setting_groups import PriceStackSettings, WalkForwardSettings
from trading_dag.slices import Horizon
from trading_dag.training_start import TrainingStart

_OUTCOME_BINS: Final = 3


@dataclass(frozen=True)
class Blend:
    """One way to make one forecast of those of the learners.

    Attributes
    ----------
    model : name in the predictions.
    fit : (out-of-fold forecasts, positions of the rows that are learnt from) → the estimator in the form in which it is
        stored, what was chosen for it, and its inner scores.
    """

    model: str
    fit: Callable[[OutOfFold, IntArray], tuple[Any, dict[str, Any], dict[str, float]]]


def fit_stacked_model(
    name: ModelName,
    school: StackedSchool,
    *,
    start: TrainingStart,
    chosen: tuple[str, ...],
    told: Mapping[str, str] | None = None,
) -> FittedModel:
    """Return the model with its folds and the live one: learners and blends, each fitted on every training part.

    Parameters
    ----------
    start, chosen : since when is learnt from, and which features may be read: the record of what was asked for.
    told : what else the record says of the training.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    found, horizon, settings = school.found, school.horizon, school.settings
    folds: list[FittedFold] = []
    with threadpool_limits(limits=1):
        for number, (train, first_test) in enumerate(training_parts(found.rows, horizon, settings, start), start=1):
            started = time.perf_counter()
            fitted = school.fold(train, number=number, first_test=first_test)
            tell_folds(found.rows.ticker, horizon, fitted, seconds=time.perf_counter() - started)
            folds += fitted
    models = (*school.names, *(blend.model for blend in school.blends))
    order = {model: position for position, model in enumerate(models)}
    return FittedModel(
        name=name,
        ticker=found.rows.ticker,
        horizon=horizon.key,
        folds=tuple(sorted(folds, key=lambda fold: (order[fold.model], fold.fold))),
        minimum_presence=settings.minimum_presence,
        libraries=library_versions(),
        inputs=found.rows.inputs,
        training={
            "since": str(start), "features": list(chosen), "safe_features": settings.safe_features,
            "top_features": None, "optimize_threshold": False, "stack_folds": school.work.stack_folds,
            **(told or {}),
        },
    )  # fmt: skip


@dataclass(frozen=True)
class Lesson:
    """What one training part offers to learn: rows that are present enough, and the columns that are read of them."""

    selection: pd.DataFrame
    steady: IntArray
    chosen: IntArray
    features: tuple[str, ...]
    indicators: dict[str, tuple[str, ...]]
    learnt: IntArray


@dataclass(frozen=True)
class Taught:
    """The learners fitted on some rows, which forecast others: a ``stacking.Forecaster``."""

    school: StackedSchool
    lesson: Lesson
    estimators: dict[str, Any]
    refused: dict[str, str] = field(default_factory=dict)

    def __call__(self, rows: IntArray) -> FloatArray:
        """Return what each learner says of each row, NaN for a row that is not present enough."""
        said = np.full((len(rows), len(self.school.learners)), np.nan)
        if not self.estimators:
            return said
        present = np.flatnonzero(self.school.are_present(rows, self.lesson.steady))
        for column, learner in enumerate(self.school.learners):
            if learner.model not in self.estimators:
                continue
            values = self.school.as_read_by(learner, rows[present], self.lesson)
            said[present, column] = forecasts_of(self.estimators[learner.model], values)
        return said


@dataclass(frozen=True)
class StackedSchool:
    """Holds everything that a training part is taught with.

    Attributes
    ----------
    found : rows, outcomes and volatility of the slice.
    horizon, settings, work : gap; presence and inner folds; how much work is done.
    left_out : features that are no candidates, and why.
    learners, blends : what is fitted on the rows, and on the learners' out-of-fold forecasts.
    """

    found: PriceRows
    horizon: Horizon
    settings: WalkForwardSettings
    work: PriceStackSettings
    left_out: Mapping[str, str]
    learners: tuple[RealLearner, ...]
    blends: tuple[Blend, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(learner.model for learner in self.learners)

    def are_present(self, rows: IntArray, steady: IntArray) -> Any:
        values = self.found.rows.values[np.ix_(rows, steady)]
        return rows_with_presence(values, minimum_presence=self.settings.minimum_presence)

    def as_read_by(self, learner: RealLearner, rows: IntArray, lesson: Lesson) -> FloatArray:
        if learner.reads_sequences:
            return self.found.sequences[rows]
        if not learner.reads_features:
            return np.empty((len(rows), 0))
        values = self.found.rows.values[np.ix_(rows, lesson.chosen)]
        return with_indicators(values, lesson.features, {} if learner.reads_gaps else lesson.indicators)

    def study(self, train: IntArray) -> Lesson:
        """Choose columns and rows of a training part, looking at nothing else."""
        names = self.found.rows.names
        empty = np.empty(0, dtype=np.int64)
        if not len(train):
            return Lesson(pd.DataFrame(columns=list(SELECTION_COLUMNS)), empty, empty, (), {}, empty)
        outcomes = self.found.outcomes[train]
        # Thirds of the outcomes are the classes of which a column's score tells something; all columns are kept.
        edges = np.quantile(outcomes, np.arange(1, _OUTCOME_BINS) / _OUTCOME_BINS)
        rule = PresenceRule(
            self.settings.minimum_presence, self.settings.presence_sessions, self.settings.late_sessions
        )
        selection = select_features(
            self.found.rows.values[train], np.digitize(outcomes, edges).astype(np.int64), names=names, presence=rule,
            top_features=None,
        )  # fmt: skip
        steady, chosen = np.flatnonzero(is_steady(selection)), np.flatnonzero(selection["selected"].to_numpy())
        late = chosen[selection["begins_late"].to_numpy(dtype=np.bool_)[chosen]]
        return Lesson(
            selection=selection,
            steady=steady,
            chosen=chosen,
            features=tuple(names[position] for position in chosen),
            indicators=indicators_of(names[position] for position in late),
            learnt=train[self.are_present(train, steady)],
        )

    def teach(self, train: IntArray) -> Taught:
        """Return the learners, fitted on the rows handed over: a ``stacking.FitLearners``."""
        return self.taught(self.study(train))

    def taught(self, lesson: Lesson) -> Taught:
        """Return the learners, fitted on the rows and columns of a lesson."""
        if not len(lesson.chosen) or not len(lesson.learnt):
            return Taught(self, lesson, {})
        outcomes = self.found.outcomes[lesson.learnt]
        fitted, refused = {}, {}
        for learner in self.learners:
            values, wanted = self.as_read_by(learner, lesson.learnt, lesson), outcomes
            if learner.reads_sequences:
                is_there = np.isfinite(values).any(axis=(1, 2))
                values, wanted = values[is_there], outcomes[is_there]
            try:
                fitted[learner.model] = learner.fit(values, wanted)
            except InsufficientDataError as problem:
                refused[learner.model] = str(problem)
        return Taught(self, lesson, fitted, refused)

    def fold(self, train: IntArray, *, number: int, first_test: pd.Timestamp | None) -> list[FittedFold]:
        """Return the folds of all models that are made of one training part."""
        lesson = self.study(train)
        reason = self._why_insufficient(lesson)
        made: list[tuple[str, Any, dict[str, Any], dict[str, float]]] = []
        refused: dict[str, str] = {}
        if not reason:
            held_out = out_of_fold(
                self.teach, lesson.learnt, names=self.names, folds=self.work.stack_folds,
                gap=self.horizon.gap_sessions,
            )  # fmt: skip
            try:
                taught = self.taught(lesson)
                refused = taught.refused
                made = [
                    *((model, taught.estimators.get(model), {}, {}) for model in self.names),
                    *((blend.model, *blend.fit(held_out, lesson.learnt)) for blend in self.blends),
                ]
            except InsufficientDataError as problem:
                reason = str(problem)
        if reason:
            made = [(model, None, {}, {}) for model in (*self.names, *(blend.model for blend in self.blends))]
        return [
            self._fold(
                lesson, train, entry, number=number, first_test=first_test, reason=reason or refused.get(entry[0])
            )
            for entry in made
        ]

    def _why_insufficient(self, lesson: Lesson) -> str | None:
        """The reason why a training part cannot be learnt from, None if it can."""
        if lesson.selection.empty:
            return "too few labelled sessions to make the folds"
        if not len(lesson.chosen):
            return "no feature is present often enough and varies in the training part"
        if len(lesson.learnt) < self.work.minimum_rows:
            return f"fewer than {self.work.minimum_rows} training rows: {len(lesson.learnt)}"
        if not np.ptp(self.found.outcomes[lesson.learnt]):
            return "the returns of the training part do not vary"
        return None

    def _fold(
        self,
        lesson: Lesson,
        train: IntArray,
        entry: tuple[str, Any, dict[str, Any], dict[str, float]],
        *,
        number: int,
        first_test: pd.Timestamp | None,
        reason: str | None,
    ) -> FittedFold:
        model, estimator, chosen, metrics = entry
        rows = self.found.rows
        learner = next((known for known in self.learners if known.model == model), None)
        fitted_through = rows.target_sessions[train].max() if len(train) else None
        reads = learner is not None and learner.reads_features
        read = lesson.features if reads else self.names if learner is None else ()
        no_selection = pd.DataFrame(columns=list(SELECTION_COLUMNS))
        reads_indicators = reads and learner is not None and not learner.reads_gaps and not reason
        return FittedFold(
            model=model,
            fold=number,
            estimator=estimator,
            features=() if reason else read,
            classes=(),
            threshold=None,
            prior={},
            train_first_session=rows.sessions[train[0]] if len(train) else None,
            train_last_session=rows.sessions[train[-1]] if len(train) else None,
            fitted_through=fitted_through,
            serves_from=first_served(first_test, fitted_through),
            n_train=len(lesson.learnt),
            class_counts={},
            status="insufficient_data" if reason else "fitted",
            reason=reason,
            selection=with_left_out(lesson.selection, self.left_out) if reads else no_selection,
            hyperparameters=chosen if learner is None else learner.hyperparameters,
            metrics=metrics,
            indicators=lesson.indicators if reads_indicators else {},
        )
