"""What a training part offers to learn: chosen columns, the rows that are clear and present enough, and inner folds.

Here belongs what looks at one training part and at nothing else. Which parts there are, and what is fitted on them,
stands in ``training``; how a learner that has candidates chooses among them, in ``inner_search``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

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
from trading_dag.models.estimators.gaps import indicators_of, with_indicators
from trading_dag.models.estimators.learners import AnyLearner, AugmentedRows, Candidate, OutcomeLearner, SearchedLearner
from trading_dag.models.learning.augmentation import Draw
from trading_dag.models.learning.fitted import is_steady
from trading_dag.models.learning.forecasting import class_probabilities
from trading_dag.models.learning.rows import LabelledRows
from trading_dag.sessions import shift_sessions
from trading_dag.setting_groups import WalkForwardSettings
from trading_dag.simulation.bootstrap import require_drawn_within
from trading_dag.slices import Horizon
from trading_dag.validation.walk_forward import walk_forward_folds


@dataclass(frozen=True)
class Part:
    """One training part: row positions, and what may be asked of them."""

    rows: LabelledRows
    train: IntArray
    horizon: Horizon
    settings: WalkForwardSettings
    draw: Draw | None


@dataclass(frozen=True)
class Lesson:
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

    def teach_all(
        self, learner: SearchedLearner, augmented: AugmentedRows | None, candidates: Sequence[Candidate]
    ) -> list[Any]:
        """The estimators that a learner makes of it, one for each candidate."""
        if augmented is not None:
            augmented = replace(augmented, values=self.as_read_by(learner, augmented.values))
        return learner.fit_all(self.as_read_by(learner, self.values), self.codes, augmented, candidates)

    def narrowed(self, top_features: int | None) -> tuple[Lesson, IntArray]:
        """The lesson with its first so many features by their score, and which of its columns these are; None for all.

        The same as choosing so few to begin with: the score of a feature does not depend on how many are kept.
        """
        n = len(self.chosen)
        if top_features is None or top_features >= n:
            return self, np.arange(n, dtype=np.int64)
        score = self.selection["score"].to_numpy(dtype=np.float64)[self.chosen]
        kept = np.sort(np.argsort(-score, kind="stable")[:top_features])
        is_kept = np.zeros(len(self.selection), dtype=np.bool_)
        is_kept[self.chosen[kept]] = True
        reason = self.selection["reason"].mask(self.selection["selected"] & ~is_kept, "below_top_k")
        features = tuple(self.features[position] for position in kept)
        is_late = self.selection["begins_late"].to_numpy(dtype=np.bool_)[self.chosen[kept]]
        narrower = replace(
            self,
            selection=self.selection.assign(selected=is_kept, reason=reason),
            chosen=self.chosen[kept],
            features=features,
            values=self.values[:, kept],
            indicators=indicators_of(name for name, late in zip(features, is_late, strict=True) if late),
        )
        return narrower, kept


def study(part: Part, *, top_features: int | None) -> Lesson:
    """Choose features and rows from one training part, looking at nothing else."""
    values, codes = part.rows.values[part.train], part.rows.codes[part.train]
    least = part.settings.minimum_presence
    if not len(part.train):
        empty = np.empty(0, dtype=np.int64)
        none = pd.DataFrame(columns=list(SELECTION_COLUMNS))
        return Lesson(none, empty, empty, (), values[:, :0], empty, {}, np.empty(0))
    rule = PresenceRule(least, part.settings.presence_sessions, part.settings.late_sessions)
    selection = select_features(values, codes, names=part.rows.names, presence=rule, top_features=top_features)
    steady = np.flatnonzero(is_steady(selection))
    chosen = np.flatnonzero(selection["selected"].to_numpy())
    late = chosen[selection["begins_late"].to_numpy()[chosen]]
    learnt = (codes >= 0) & rows_with_presence(values[:, steady], minimum_presence=least)
    return Lesson(
        selection=selection,
        steady=steady,
        chosen=chosen,
        features=tuple(part.rows.names[position] for position in chosen),
        values=values[np.ix_(learnt, chosen)],
        codes=codes[learnt],
        indicators=indicators_of(part.rows.names[position] for position in late),
        outcomes=part.rows.outcomes[part.train][learnt],
    )


def study_whole(part: Part) -> Lesson:
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
    return Lesson(
        selection=selection,
        steady=chosen,
        chosen=chosen,
        features=tuple(rows.names[position] for position in chosen),
        values=values[np.ix_(learnt, chosen)],
        codes=rows.codes[train][learnt],
        indicators={},
        outcomes=outcomes[learnt],
    )


def augment(part: Part, lesson: Lesson) -> tuple[AugmentedRows | None, dict[str, Any]]:
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


def _last_drawable(part: Part) -> pd.Timestamp:
    """The last session of a training part less the gap: its own label, too, ends inside the part."""
    session: pd.Timestamp = part.rows.sessions[part.train[max(len(part.train) - 1 - part.horizon.gap_sessions, 0)]]
    return session


@dataclass(frozen=True)
class InnerLesson:
    """One purged inner fold of a training part: what is learnt in it, and the real rows that are held out."""

    lesson: Lesson
    augmented: AugmentedRows | None
    held_out: IntArray

    def forecast(self, learner: AnyLearner, rows: LabelledRows, *, classes: int) -> FloatArray:
        """Class probabilities of the held-out rows by a learner's estimator, fitted here: (rows, classes)."""
        estimator = self.lesson.teach(learner, self.augmented)
        values = self.lesson.as_read_by(learner, rows.values[np.ix_(self.held_out, self.lesson.chosen)])
        return class_probabilities(estimator, values, classes=classes)


def inner_lessons(part: Part, *, top_features: int | None, holds_out_unclear: bool = False) -> list[InnerLesson]:
    """The purged inner folds of a training part that can be learnt from and have rows to be judged on, in time order.

    Features are selected, and histories drawn, anew in each inner training part.

    Parameters
    ----------
    top_features : columns kept by mutual information, None for all that are present and vary.
    holds_out_unclear : whether rows are held out, too, whose label is in no class.
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
        lesson = study(smaller, top_features=top_features)
        if not len(lesson.chosen) or len(np.unique(lesson.codes)) < 2:
            continue
        held_out = part.train[inner.test]
        present = rows_with_presence(
            rows.values[np.ix_(held_out, lesson.steady)], minimum_presence=settings.minimum_presence
        )
        held_out = held_out[present & (holds_out_unclear | (rows.codes[held_out] >= 0))]
        if len(held_out):
            found.append(InnerLesson(lesson, augment(smaller, lesson)[0], held_out))
    return found
