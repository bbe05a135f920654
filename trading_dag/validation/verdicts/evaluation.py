"""evaluation.metrics: every score of every model, beside its baselines, with interval and verdict.

Here belongs what is compared with what, on which rows, and what may be said about it. It is a
pure function of stored tables, so anybody can recompute it. Which tasks there are stands in ``tasks``.

A difference is positive where the model is better (baseline minus model where less is better).
``skilled``: its interval lies above 0. ``admissible``: it is not negative. ``unskilled``: it is,
or the row stands alone (baseline ``none``), since skill is only ever shown against something.
``insufficient_data``: a class has too few rows, and the value is NULL. ``no_verdict``: a score of probabilities
against a baseline that only calls, which anybody beats who hedges; or the width of an interval, which is no merit
alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.frames import frame_of_records, require_columns
from trading_dag.schemas import METRICS
from trading_dag.setting_groups import BootstrapSettings
from trading_dag.slices import Horizon
from trading_dag.validation.inference.overfitting import probability_of_overfitting
from trading_dag.validation.inference.significance import AccuracyTest, clark_west, diebold_mariano
from trading_dag.validation.inference.uncertainty import (
    bootstrap_weights,
    mean_block_length,
    percentile_interval,
    share_no_better,
)
from trading_dag.validation.scores.baselines import CLASS_PRIOR, CLIMATOLOGY
from trading_dag.validation.scores.metric_meaning import gain, says_nothing_alone, scores_probabilities
from trading_dag.validation.scores.metrics import Weights, point_weights
from trading_dag.validation.scores.scoring import ScoredRows
from trading_dag.validation.scores.task_parts import Part
from trading_dag.validation.scores.tasks import TASKS, Task, task_of

NO_BASELINE: Final = "none"
BEST_IN_SAMPLE: Final = "best_in_sample"  # whichever model of a task does best where it is chosen
_CONSTANTS: Final = (CLIMATOLOGY, CLASS_PRIOR)  # one number a fold


def evaluate(
    predictions: Mapping[str, pd.DataFrame],
    *,
    horizon: Horizon,
    settings: BootstrapSettings,
    minimum_class_rows: int = 30,
    registry: pd.DataFrame | None = None,
    tasks: tuple[Task, ...] = TASKS,
) -> pd.DataFrame:
    """Score the models and baselines of one slice on the sessions whose outcome is known.

    Each model is held against each baseline on the sessions that both forecast, with the same
    bootstrap draws for both. Blocks are max(60, 2h, Politis–White) sessions long on average; of the
    lengths that a task's differences of losses ask for, the longest serves them all. Draws
    are made over all rows; conditional metrics then use the clear rows of each draw.

    ``diebold_mariano_p_…`` and ``clark_west_p_…`` rows carry a one-sided p-value as value and the
    gain in the named loss as difference; Clark–West stands only beside baselines that the models contain,
    such as ``climatology`` and ``class_prior`` for directions.

    ``climatology`` and ``class_prior`` rank nothing, so their AUC is ½, also where they differ from fold to fold.

    Where a task has several models, ``probability_of_overfitting`` of ``best_in_sample`` says how often the best of
    them on half of the sessions is below their median on the other half.

    The interval of a calibration error, or of a coverage's distance from nominal, is shifted upwards, because
    resampling adds noise to every bin; read its difference instead.

    Parameters
    ----------
    predictions : predictions tables of one slice by task, such as ``direction``; a task that is absent or has no
        forecasts gets no rows.
    horizon : h, for block lengths and the lag of the tests.
    settings : draws, confidence and seed of the bootstrap.
    minimum_class_rows : a metric with fewer rows of a class is ``insufficient_data``.
    registry : models.registry of the slice. A model that learnt from augmented rows besides gets rows that say so:
        ``augmented_rows``, the sum over its folds, and ``augmentation_paths``, ``augmentation_seed`` and
        ``augmentation_weight``. They score nothing. None, or a registry without any, adds no row.
    tasks : those that may be asked for.

    Returns
    -------
    evaluation.metrics. Known at the last target session.

    Raises
    ------
    SchemaError : for a missing column, or a name that no task has.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    rows: list[dict[str, Any]] = []
    with threadpool_limits(limits=1):
        for name, frame in predictions.items():
            task = task_of(name, among=tasks)
            require_columns(frame, task.predictions.qualified_name, columns=task.predictions.column_names)
            if len(frame):
                found = [
                    row
                    for part in task.parts(frame, horizon)
                    for row in _Comparison(task, part, settings, minimum_class_rows).rows()
                ]
                found += _augmentation_rows(name, frame, registry)
                head = {"ticker": frame["ticker"].iloc[0], "horizon": horizon.key}
                rows += [{**head, "is_served": row["model"] == task.served_model, **row} for row in found]
    return frame_of_records(METRICS, rows)


@dataclass(frozen=True)
class _Scoring:
    """Rows of one model, their scores, and the scores of every bootstrap draw."""

    rows: ScoredRows
    values: dict[str, FloatArray]
    draws: dict[str, FloatArray]


@dataclass(frozen=True)
class _Comparison:
    """A task's forecasts that look equally far ahead, of one slice, and how they are scored."""

    task: Task
    part: Part
    settings: BootstrapSettings
    minimum_class_rows: int

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield rows of evaluation.metrics without ticker and horizon."""
        kinds = self.part.frame.groupby("model")["is_baseline"].first()
        models, baselines = map(str, kinds.index[~kinds]), [str(name) for name in kinds.index[kinds]]
        held_against = [*baselines, *(name for name in self.task.rivals if name in kinds.index)]
        pairs = [(model, other) for model in models for other in held_against if other != model]
        known = self.part.frame[self.part.frame[self.task.outcome].notna()]
        by_model = {
            str(model): known[known["model"] == model].set_index("session").sort_index() for model in kinds.index
        }
        scored = {model: self.task.scored(part.reset_index()) for model, part in by_model.items()}

        def rows_on(model: str, sessions: pd.Index) -> ScoredRows:
            part = by_model[model]
            return scored[model] if sessions.equals(part.index) else self.task.scored(part.loc[sessions].reset_index())

        shared = {(one, two): by_model[one].index.intersection(by_model[two].index) for one, two in pairs}
        block = self._block_length(rows_on, shared)
        weights: dict[int, Weights] = {}
        scorings: dict[tuple[str, bytes], _Scoring] = {}

        def scoring(model: str, sessions: pd.Index) -> _Scoring:
            key = model, sessions.to_numpy().tobytes()
            if key not in scorings:
                n = len(sessions)
                if n not in weights:
                    weights[n] = bootstrap_weights(n, mean_block=block, settings=self.settings)
                rows = rows_on(model, sessions)
                scores = [rows.scores(drawn) for drawn in (point_weights(n), weights[n])]
                if model in _CONSTANTS:
                    scores = [_without_ranking(values) for values in scores]
                scorings[key] = _Scoring(rows, *scores)
            return scorings[key]

        for model, part in by_model.items():
            yield from self._alone(model, scoring(model, part.index))
        for (model, baseline), sessions in shared.items():
            yield from self._against(model, baseline, scoring(model, sessions), scoring(baseline, sessions))
        yield from self._choice({model: part for model, part in by_model.items() if not kinds[model]}, rows_on)

    def _block_length(
        self, rows_on: Callable[[str, pd.Index], ScoredRows], shared: dict[tuple[str, str], pd.Index]
    ) -> int:
        """Return the expected length of blocks: the longest that any difference of the task's losses asks for."""
        lengths = [1]
        for (model, baseline), sessions in shared.items():
            theirs, ours = (rows_on(name, sessions).losses for name in (baseline, model))
            lengths += [
                mean_block_length(theirs[loss] - ours[loss], steps=self.part.steps)
                for loss in self.task.block_losses
                if loss in theirs and loss in ours
            ]
        return max(lengths)

    def _choice(
        self, by_model: Mapping[str, pd.DataFrame], rows_on: Callable[[str, pd.Index], ScoredRows]
    ) -> Iterator[dict[str, Any]]:
        """Yield how probable it is that the best of several models is below the middle of them elsewhere."""
        loss = self.task.block_losses[0]
        candidates = {model: part for model, part in by_model.items() if loss in rows_on(model, part.index).losses}
        if len(candidates) < 2:
            return
        sessions = reduce(pd.Index.intersection, (part.index for part in candidates.values()))
        gains = np.column_stack([-rows_on(model, sessions).losses[loss] for model in candidates])
        found = probability_of_overfitting(gains)
        yield {
            "task": self.task.name,
            "model": BEST_IN_SAMPLE,
            "metric": f"probability_of_overfitting{self.part.suffix}",
            "baseline": NO_BASELINE,
            "value": found.probability,
            "n": found.n,
            "n_ambiguous": 0,
            "verdict": "insufficient_data" if math.isnan(found.probability) else "unskilled",
            "reason": "the models never differ, or are too few sessions" if math.isnan(found.probability) else None,
        }

    def _alone(self, model: str, own: _Scoring) -> Iterator[dict[str, Any]]:
        """Return a model's or baseline's own scores."""
        for metric, value in own.values.items():
            row = self._head(model, NO_BASELINE, metric, own.rows)
            if row["reason"] is None:
                low, high = percentile_interval(own.draws[metric], confidence=self.settings.confidence)
                row |= {"value": float(value[0]), "ci_low": low, "ci_high": high, "verdict": "unskilled"}
            yield row

    def _against(self, model: str, baseline: str, ours: _Scoring, theirs: _Scoring) -> Iterator[dict[str, Any]]:
        """Return a model's scores held against a baseline's on the same sessions and draws, as far as both have
        them.
        """
        for metric in (name for name in ours.values if name in theirs.values):
            row = self._head(model, baseline, metric, ours.rows)
            if row["reason"] is None:
                low, high = percentile_interval(ours.draws[metric], confidence=self.settings.confidence)
                row |= {
                    "value": float(ours.values[metric][0]),
                    "ci_low": low,
                    "ci_high": high,
                    "baseline_value": float(theirs.values[metric][0]),
                    **self._difference(metric, ours, theirs),
                }
                if self._says_nothing(metric, baseline):
                    row["verdict"] = "no_verdict"
            yield row
        for (test, loss), outcome in self._tests(baseline, ours.rows, theirs.rows).items():
            row = self._head(model, baseline, f"{test}_p_{loss}", ours.rows)
            if row["reason"] is None:
                row |= {"value": outcome.p_value, **self._difference(loss, ours, theirs)}
                if self._says_nothing(loss, baseline):
                    row["verdict"] = "no_verdict"
            yield row

    def _says_nothing(self, metric: str, baseline: str) -> bool:
        """Return whether to be better than this baseline by this metric is no merit."""
        return says_nothing_alone(metric) or (baseline in self.task.hard_calls and scores_probabilities(metric))

    def _tests(self, baseline: str, ours: ScoredRows, theirs: ScoredRows) -> dict[tuple[str, str], AccuracyTest]:
        """Return the tests of equal accuracy that apply to this pair, by name and loss."""
        steps, nesting, model_losses = self.part.steps, self.task.nesting, ours.losses
        tests = {
            ("diebold_mariano", name): diebold_mariano(losses, model_losses[name], steps=steps)
            for name, losses in theirs.losses.items()
            if name in model_losses
        }
        if nesting is not None and baseline in nesting.baselines:
            happened, forecast = nesting.outcome_and_forecast(ours)
            tests["clark_west", nesting.loss] = clark_west(
                happened, nesting.outcome_and_forecast(theirs)[1], forecast, steps=steps
            )
        return tests

    def _head(self, model: str, baseline: str, metric: str, rows: ScoredRows) -> dict[str, Any]:
        """Return what every row says, and why it cannot say more."""
        return {
            "task": self.task.name,
            "model": model,
            "metric": metric + self.part.suffix,
            "baseline": baseline,
            "n": rows.rows_of(metric),
            "n_ambiguous": rows.n_ambiguous,
            "verdict": "insufficient_data",
            "reason": rows.why_too_few(metric, least=self.minimum_class_rows),
        }

    def _difference(self, metric: str, ours: _Scoring, theirs: _Scoring) -> dict[str, Any]:
        """Return how much better the model is, the paired interval and the verdict they give."""
        difference = float(gain(metric, ours.values[metric], theirs.values[metric])[0])
        drawn = gain(metric, ours.draws[metric], theirs.draws[metric])
        low, high = percentile_interval(drawn, confidence=self.settings.confidence)
        return {
            "difference": difference,
            "difference_ci_low": low,
            "difference_ci_high": high,
            "p_bootstrap": share_no_better(drawn),
            "verdict": verdict_of(difference, low),
        }


def _augmentation_rows(task: str, frame: pd.DataFrame, registry: pd.DataFrame | None) -> Iterator[dict[str, Any]]:
    """Return what the models of a task learnt from besides real rows, as far as they did."""
    if registry is None:
        return
    for model in sorted(map(str, frame.loc[~frame["is_baseline"], "model"].unique())):
        given = [json.loads(text) for text in registry.loc[registry["model"] == model, "hyperparameters"]]
        records = [each["augmentation"] for each in given if "augmentation" in each]
        if records:
            values = {"augmented_rows": sum(record["rows"] for record in records)} | {
                f"augmentation_{name}": records[0][name] for name in ("paths", "seed", "weight")
            }
            for metric, value in values.items():
                yield {
                    "task": task,
                    "model": model,
                    "metric": metric,
                    "value": float(value),
                    "baseline": NO_BASELINE,
                    "verdict": "unskilled",
                    "n": 0,
                    "n_ambiguous": 0,
                }


def _without_ranking(scores: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Return the scores of a baseline that ranks no row above another: its AUC is ½ wherever it is defined.

    A prior is one number a fold. Pooled over folds its drift would count as a ranking, by accident below ½,
    and a model without any would look better than it.
    """
    return {
        name: np.where(np.isnan(values), np.nan, 0.5) if name.startswith("auc") else values
        for name, values in scores.items()
    }


def verdict_of(difference: float, ci_low: float) -> str:
    """Return skilled where the interval lies above 0, admissible where the difference is not negative, else
    unskilled.
    """
    if math.isnan(difference):
        return "insufficient_data"
    if ci_low > 0:
        return "skilled"
    return "admissible" if difference >= 0 else "unskilled"
