"""Price stack: a forecast of the return at a horizon, blended from trees, a drift and the random walk.

Here belongs what is fitted in each training part: the learners, the blend of their out-of-fold forecasts, and the rate
of the adaptive weights. What the learners are stands in ``price_learners``, blending in ``stacking``, and how forecasts
are made of it in ``price_stack_forecasts``. Saying that the price stays is always one of the answers.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.errors import InsufficientDataError
from trading_dag.features.selection import SELECTION_COLUMNS, PresenceRule, rows_with_presence, select_features
from trading_dag.models.adaptive_weights import BANDWIDTH, HALF_LIFE, WINDOW, choose_rate
from trading_dag.models.candidates import Candidates, candidates_of
from trading_dag.models.fitted import FittedFold, FittedModel, is_steady
from trading_dag.models.fitting import library_versions
from trading_dag.models.gaps import indicators_of, with_indicators
from trading_dag.models.price_learners import RealLearner, as_pipeline, forecasts_of, price_learners
from trading_dag.models.price_rows import PriceRows, collect_price_rows
from trading_dag.models.price_sequences import daily_sequences, lstm_learner, why_no_lstm
from trading_dag.models.stacking import OutOfFold, fit_blend, out_of_fold
from trading_dag.models.training import tell_folds, training_parts, with_left_out
from trading_dag.setting_groups import PriceStackSettings, WalkForwardSettings
from trading_dag.slices import Horizon
from trading_dag.training_start import EVERYTHING, TrainingStart

NAME: Final = "price_stack"
STACK: Final = "price_stack"
ADAPTIVE: Final = "price_stack_adaptive"
# What returns of days and weeks have been said to depend on: past returns over several lengths, where the price stands
# in its range, volatility and its premium, rates. Chosen beforehand, for a choice by scores would be one more fit.
PRICE_STACK_FEATURES: Final = (
    "returns_1d", "returns_5d", "returns_20d", "returns_60d", "returns_252d", "overnight_return", "rsi_14",
    "williams_r_14", "price_to_sma_20", "price_to_sma_50", "price_to_sma_200", "distance_from_high_52w", "bb_position",
    "hv_20", "hv_60", "hv_ratio_5_20", "hv_ratio_20_60", "return_skew_20", "volume_zscore_20", "iv_rank",
    "iv_hv_spread", "vix_zscore", "vix_change_1d", "vix_change_5d", "vix_term_slope", "yield_spread_10y_2y",
    "treasury_10y_change_20d", "fed_funds_change_60d", "days_to_fomc", "regime_probability_high_volatility_downtrend",
)  # fmt: skip
_OUTCOME_BINS: Final = 3


def fit(
    features: pd.DataFrame,
    targets: pd.DataFrame,
    *,
    horizon: Horizon,
    settings: WalkForwardSettings,
    stack: PriceStackSettings | None = None,
    ticker: str | None = None,
    start: TrainingStart = EVERYTHING,
    chosen: tuple[str, ...] = (),
) -> FittedModel:
    """Fit the learners, the blend and the adaptive weights on every walk-forward fold, and once more on every label.

    Parameters
    ----------
    features : features.feature_table of one ticker.
    targets : labels.targets of the same ticker and this horizon; may have no rows.
    horizon, settings : gap between training and test part; folds, presence, seed.
    stack : how much work is done; None for the defaults.
    ticker : the underlying; by default that of the feature rows.
    start : since when is learnt from.
    chosen : which features may be read, as ``choose_features`` takes them; empty for all.

    Returns
    -------
    Folds 1 to ``settings.folds`` and the live model of each learner, of ``price_stack`` and of
    ``price_stack_adaptive``. Each is known from the close of its ``fitted_through`` on.

    Raises
    ------
    SchemaError : for frames that are not of one slice or not in the shape of their tables.
    UnknownFeatureError : for a choice that does not exist, or leaves nothing to read.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    candidates = candidates_of(NAME, PRICE_STACK_FEATURES, chosen=chosen, safe_only=settings.safe_features)
    stack = stack or PriceStackSettings()
    learners, sequences, no_lstm = price_learners(stack, seed=settings.seed), None, why_no_lstm(stack)
    if no_lstm is None:
        learners = tuple(sorted((*learners, lstm_learner(stack, seed=settings.seed)), key=lambda one: one.model))
        sequences = daily_sequences(features, steps=stack.lstm_steps)
    found = collect_price_rows(
        features, targets, names=candidates.names, horizon=horizon, ticker=ticker, sequences=sequences
    ).since(start.first)
    school = _School(found, horizon, settings, stack, candidates, learners)
    folds: list[FittedFold] = []
    with threadpool_limits(limits=1):
        for number, (train, first_test) in enumerate(training_parts(found.rows, horizon, settings, start), start=1):
            started = time.perf_counter()
            fitted = school.fold(train, number=number, first_test=first_test)
            tell_folds(found.rows.ticker, horizon, fitted, seconds=time.perf_counter() - started)
            folds += fitted
    order = {name: position for position, name in enumerate((*school.names, STACK, ADAPTIVE))}
    return FittedModel(
        name=NAME,
        ticker=found.rows.ticker,
        horizon=horizon.key,
        folds=tuple(sorted(folds, key=lambda fold: (order[fold.model], fold.fold))),
        minimum_presence=settings.minimum_presence,
        libraries=library_versions(),
        inputs=found.rows.inputs,
        training={
            "since": str(start), "features": list(chosen), "safe_features": settings.safe_features,
            "top_features": None, "optimize_threshold": False, "stack_folds": stack.stack_folds,
            "lstm": no_lstm or "daily",
        },
    )  # fmt: skip


@dataclass(frozen=True)
class _Lesson:
    """What one training part offers to learn: rows that are present enough, and the columns that are read of them."""

    selection: pd.DataFrame
    steady: IntArray
    chosen: IntArray
    features: tuple[str, ...]
    indicators: dict[str, tuple[str, ...]]
    learnt: IntArray


@dataclass(frozen=True)
class _Taught:
    """The learners fitted on some rows, which forecast others: a ``stacking.Forecaster``."""

    school: _School
    lesson: _Lesson
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
class _School:
    """Everything that a training part is taught with."""

    found: PriceRows
    horizon: Horizon
    settings: WalkForwardSettings
    stack: PriceStackSettings
    candidates: Candidates
    learners: tuple[RealLearner, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(learner.model for learner in self.learners)

    def are_present(self, rows: IntArray, steady: IntArray) -> Any:
        values = self.found.rows.values[np.ix_(rows, steady)]
        return rows_with_presence(values, minimum_presence=self.settings.minimum_presence)

    def as_read_by(self, learner: RealLearner, rows: IntArray, lesson: _Lesson) -> FloatArray:
        if learner.reads_sequences:
            return self.found.sequences[rows]
        if not learner.reads_features:
            return np.empty((len(rows), 0))
        values = self.found.rows.values[np.ix_(rows, lesson.chosen)]
        return with_indicators(values, lesson.features, {} if learner.reads_gaps else lesson.indicators)

    def study(self, train: IntArray) -> _Lesson:
        """Choose columns and rows of a training part, looking at nothing else."""
        names = self.found.rows.names
        empty = np.empty(0, dtype=np.int64)
        if not len(train):
            return _Lesson(pd.DataFrame(columns=list(SELECTION_COLUMNS)), empty, empty, (), {}, empty)
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
        return _Lesson(
            selection=selection,
            steady=steady,
            chosen=chosen,
            features=tuple(names[position] for position in chosen),
            indicators=indicators_of(names[position] for position in late),
            learnt=train[self.are_present(train, steady)],
        )

    def teach(self, train: IntArray) -> _Taught:
        """Return the learners, fitted on the rows handed over: a ``stacking.FitLearners``."""
        lesson = self.study(train)
        if not len(lesson.chosen) or not len(lesson.learnt):
            return _Taught(self, lesson, {})
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
        return _Taught(self, lesson, fitted, refused)

    def fold(self, train: IntArray, *, number: int, first_test: pd.Timestamp | None) -> list[FittedFold]:
        """Return the folds of all models that are made of one training part."""
        lesson = self.study(train)
        reason = self._why_insufficient(lesson)
        made: list[tuple[str, Any, dict[str, Any], dict[str, float]]] = []
        refused: dict[str, str] = {}
        if not reason:
            held_out = out_of_fold(
                self.teach, lesson.learnt, names=self.names, folds=self.stack.stack_folds,
                gap=self.horizon.gap_sessions,
            )  # fmt: skip
            try:
                taught = self.teach(lesson.learnt)
                refused = taught.refused
                made = [
                    *((model, taught.estimators.get(model), {}, {}) for model in self.names),
                    self._blend(held_out),
                    self._adaptive(held_out),
                ]
            except InsufficientDataError as problem:
                reason = str(problem)
        if reason:
            made = [(model, None, {}, {}) for model in (*self.names, STACK, ADAPTIVE)]
        return [
            self._fold(
                lesson, train, entry, number=number, first_test=first_test, reason=reason or refused.get(entry[0])
            )
            for entry in made
        ]

    def _why_insufficient(self, lesson: _Lesson) -> str | None:
        """The reason why a training part cannot be learnt from, None if it can."""
        if lesson.selection.empty:
            return "too few labelled sessions to make the folds"
        if not len(lesson.chosen):
            return "no feature is present often enough and varies in the training part"
        if len(lesson.learnt) < self.stack.minimum_rows:
            return f"fewer than {self.stack.minimum_rows} training rows: {len(lesson.learnt)}"
        if not np.ptp(self.found.outcomes[lesson.learnt]):
            return "the returns of the training part do not vary"
        return None

    def _blend(self, held_out: OutOfFold) -> tuple[str, Any, dict[str, Any], dict[str, float]]:
        """The stack's estimator, what was chosen for it, and its inner scores."""
        found = fit_blend(held_out, self.found.outcomes[held_out.rows], folds=self.settings.inner_folds)
        strength = found.penalty.strength
        chosen = {
            "strength": strength if np.isfinite(strength) else "infinite",
            "l1_share": found.penalty.l1_share,
            "out_of_fold_rows": len(held_out.rows),
        }
        return STACK, as_pipeline(found.estimator), chosen, found.metrics

    def _adaptive(self, held_out: OutOfFold) -> tuple[str, Any, dict[str, Any], dict[str, float]]:
        """The estimator of the adaptive weights, and what was chosen for it."""
        rows = held_out.rows
        sessions, targets = self.found.rows.sessions[rows], self.found.rows.target_sessions[rows]
        known = np.searchsorted(targets.to_numpy(), sessions.to_numpy(), side="right").astype(np.int64)
        weights = choose_rate(held_out.forecasts, self.found.outcomes[rows], self.found.volatility[rows], known)
        chosen = {
            "rate": float(weights.rate[0]), "half_life": HALF_LIFE, "window": WINDOW, "bandwidth": BANDWIDTH,
        }  # fmt: skip
        return ADAPTIVE, as_pipeline(weights), chosen, {}

    def _fold(
        self,
        lesson: _Lesson,
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
        served = [day for day in (first_test, fitted_through) if day is not None]
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
            serves_from=max(served) if served else None,
            n_train=len(lesson.learnt),
            class_counts={},
            status="insufficient_data" if reason else "fitted",
            reason=reason,
            selection=with_left_out(lesson.selection, self.candidates.left_out) if reads else no_selection,
            hyperparameters=chosen if learner is None else learner.hyperparameters,
            metrics=metrics,
            indicators=lesson.indicators if reads_indicators else {},
        )
