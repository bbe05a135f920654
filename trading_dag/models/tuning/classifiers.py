"""How a trial of a walk-forward classifier is scored: on purged inner folds of the rows that a search may see.

Here belongs what the classifiers do alike. Features are selected, gaps filled and columns scaled inside each inner
training part, as ``learning.training`` does it for a fold; only the hyperparameters differ from trial to trial, so what
a fold offers to learn is studied once a search.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.errors import InsufficientDataError
from trading_dag.models.estimators.learners import Learner, SearchedLearner
from trading_dag.models.learning.candidates import candidates_of
from trading_dag.models.learning.lessons import InnerLesson, Part, inner_lessons
from trading_dag.models.learning.rows import Coding, LabelledRows, collect_rows, labels_by_session
from trading_dag.models.tuning.space import Space
from trading_dag.models.tuning.study import StudyName, StudyRows, describe_rows, rows_between, rows_of_window
from trading_dag.setting_groups import WalkForwardSettings
from trading_dag.slices import Horizon
from trading_dag.training_start import TrainingStart

Losses = Callable[[FloatArray, IntArray, FloatArray], FloatArray]
LearnersOf = Callable[[Mapping[str, Mapping[str, Any]], int], tuple[Learner | SearchedLearner, ...]]


@dataclass(frozen=True)
class Task:
    """What a classifier forecasts, and by which score its trials are compared.

    Attributes
    ----------
    model : the fitted model that the learners belong to.
    listed : the features it reads at most.
    label, classes, required, coded : as ``collect_rows`` takes them.
    takes_top_features : whether the setting ``top_features`` bounds what is read.
    score : name of the score; less is better.
    losses : (class probabilities, codes, forward returns) → the score of each row; NaN for one that has none.
    reference : (training and held-out codes, their forward returns) → losses of a forecast without features; None for
        none.
    learners : (tuned, seed) → the model's learners.
    """

    model: str
    listed: tuple[str, ...]
    label: str
    classes: tuple[str, ...]
    required: str | None
    takes_top_features: bool
    score: str
    losses: Losses
    reference: Callable[[FloatArray, FloatArray], FloatArray] | None
    learners: LearnersOf
    coded: Coding | None = None


@dataclass(frozen=True, eq=False)
class TaskRows:
    """The labelled rows of one ticker and horizon for one task, and what each came to."""

    task: Task
    rows: LabelledRows
    outcomes: FloatArray
    horizon: Horizon
    settings: WalkForwardSettings
    start: TrainingStart

    def positions(self, window: str) -> IntArray:
        """Return the rows that a search on that window may see now."""
        return rows_of_window(
            self.rows, window, folds=self.settings.folds, gap=self.horizon.gap_sessions, start=self.start
        )

    def study(self, family: str, space: Space, window: str) -> ClassifierStudy:
        """Return the search of a learner on a window.

        Raises
        ------
        InsufficientDataError : where the window has no row.
        """
        positions = self.positions(window)
        if not len(positions):
            raise InsufficientDataError(f"no labelled row lies in the window {window}")
        described = describe_rows(self.rows, positions, window=window, outcomes=self.outcomes)
        name = StudyName(
            family, self.rows.ticker, self.horizon.key, described, space.version, self.task.score, self._settings()
        )
        return ClassifierStudy(self, name, space, positions)

    def holds(self, seen: StudyRows) -> bool:
        """Return whether the rows that a search saw are here unchanged, and none of them where a test could be now."""
        positions = rows_between(self.rows, seen.first, seen.last)
        allowed = self.positions(seen.window)
        if not len(positions) or not len(allowed) or positions[-1] > allowed[-1]:
            return False
        return describe_rows(self.rows, positions, window=seen.window, outcomes=self.outcomes) == seen

    def is_current(self, name: StudyName, space: Space) -> bool:
        """Return whether a search of that name would be begun in the same way now, on rows that are there unchanged."""
        expected = (self.rows.ticker, self.horizon.key, space.version, self.task.score, self._settings())
        found = (name.ticker, name.horizon, name.space_version, name.score, dict(name.settings))
        return found == expected and self.holds(name.rows)

    def _settings(self) -> dict[str, Any]:
        names = (
            "folds", "inner_folds", "minimum_presence", "presence_sessions", "late_sessions", "safe_features", "seed",
        )  # fmt: skip
        chosen: dict[str, Any] = {name: getattr(self.settings, name) for name in names}
        top = self.settings.top_features if self.task.takes_top_features else None
        return {**chosen, "top_features": top, "since": str(self.start)}


@dataclass(frozen=True, eq=False)
class ClassifierStudy:
    """One search of a learner's hyperparameters, as ``Study`` describes it."""

    of: TaskRows
    name: StudyName
    space: Space
    positions: IntArray

    @property
    def folds(self) -> int:
        """Return how many inner folds there are.

        Raises
        ------
        InsufficientDataError : where not all of them can be made.
        """
        if len(self._lessons) < self.of.settings.inner_folds:
            raise InsufficientDataError(
                f"{len(self.positions)} rows of the window {self.name.rows.window} are too few, or of too few classes, "
                f"for {self.of.settings.inner_folds} inner folds"
            )
        return len(self._lessons)

    @cached_property
    def reference(self) -> float | None:
        """Return the mean score over the folds of a forecast without features; None where the task has none."""
        if self.of.task.reference is None:
            return None
        losses = []
        for lesson in self._lessons:
            before = self.of.rows.target_sessions < self.of.rows.sessions[lesson.held_out[0]]
            known = self.of.outcomes[np.intersect1d(self.positions, np.flatnonzero(before))]
            losses.append(float(np.nanmean(self.of.task.reference(known, self.of.outcomes[lesson.held_out]))))
        return float(np.mean(losses)) if losses else None

    def score(self, parameters: Mapping[str, Any], fold: int) -> float:
        """Return the mean loss on the held-out rows of an inner fold."""
        lesson, task = self._lessons[fold], self.of.task
        learners = task.learners({self.name.family: parameters}, self.of.settings.seed)
        learner = next(each for each in learners if each.model == self.name.family)
        probabilities = lesson.forecast(learner, self.of.rows, classes=len(task.classes))
        held_out = lesson.held_out
        losses = task.losses(probabilities, self.of.rows.codes[held_out], self.of.outcomes[held_out])
        return float(np.nanmean(losses))

    @cached_property
    def _lessons(self) -> list[InnerLesson]:
        """What each inner fold offers to learn; with one thread, so that no trial depends on the machine's cores."""
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        top = self.of.settings.top_features if self.of.task.takes_top_features else None
        with threadpool_limits(limits=1):
            part = Part(self.of.rows, self.positions, self.of.horizon, self.of.settings, draw=None)
            return inner_lessons(part, top_features=top, holds_out_unclear=True)


def collect_task(
    task: Task,
    features: pd.DataFrame,
    targets: pd.DataFrame,
    *,
    horizon: Horizon,
    settings: WalkForwardSettings,
    start: TrainingStart,
    chosen: tuple[str, ...],
) -> TaskRows:
    """Return the rows of a task as the model itself collects them, with their forward returns.

    Raises
    ------
    SchemaError : for frames that are not of one slice or not in the shape of their tables.
    UnknownFeatureError : for a choice of features that leaves nothing to read.
    """
    candidates = candidates_of(task.model, task.listed, chosen=chosen, safe_only=settings.safe_features)
    collect = partial(
        collect_rows,
        names=candidates.names,
        label=task.label,
        classes=task.classes,
        horizon=horizon,
        required=task.required,
        coded=task.coded,
    )
    rows = collect(features, targets).since(start.first)
    outcomes = labels_by_session(
        targets, sessions=rows.sessions, columns=("forward_return",), horizon=horizon, ticker=rows.ticker
    )["forward_return"].to_numpy(dtype=np.float64, na_value=np.nan)
    return TaskRows(task, rows, outcomes, horizon, settings, start)
