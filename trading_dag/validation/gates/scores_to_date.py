"""How much better than its baseline each served model had been, on the outcomes known at each session.

Here belongs the running score of any task of ``tasks``: the metric and the baseline are the first that its verdict
asks for. What follows from a score stands in ``edge``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.frames import rows_at
from trading_dag.slices import Horizon
from trading_dag.validation.inference.significance import SHOWN_IN_ERRORS, long_run_variances_to_date
from trading_dag.validation.scores.tasks import Task

# Text that no loss is computed from: to gather it takes longer than the losses themselves.
_NOT_SCORED: Final = ("ticker", "model", "model_version", "probability_event", "scale_source", "iv_source")


@dataclass(frozen=True)
class ScoreToDate:
    """Holds the running score of one model, a row a session.

    Attributes
    ----------
    task, model, metric, baseline : what is scored, against what.
    difference : mean loss of the baseline less that of the model over the outcomes known by then; NaN without any.
    difference_low : lower end of its 95 % interval, from the long-run variance of the same outcomes.
    n_outcomes : how many those are.
    """

    task: str
    model: str
    metric: str
    baseline: str
    difference: FloatArray
    difference_low: FloatArray
    n_outcomes: IntArray


def question_of(task: Task) -> tuple[str, str]:
    """Return the metric and the baseline by which a task's model is judged.

    Raises
    ------
    ValueError : for a task that asks for no verdict.
    """
    if not task.questions:
        raise ValueError(f"task {task.name} names no metric and baseline")
    return task.questions[0]


def score_to_date(
    task: Task,
    predictions: pd.DataFrame,
    sessions: pd.DatetimeIndex,
    *,
    horizon: Horizon | None = None,
    model: str | None = None,
) -> ScoreToDate:
    """Return the running score of a task's model at the sessions.

    Parameters
    ----------
    predictions : the task's table of one slice.
    sessions : ascending. Only outcomes whose target session is not after a session count at it.
    horizon : of the slice: where the table also looks further ahead those rows are left out, and outcomes of
        neighbouring sessions overlap so long.
    model : its name; None for the one that is served.
    """
    metric, baseline = question_of(task)
    name = model or str(task.served_model)
    ours = _known_rows(task, predictions, name, horizon)
    theirs = _known_rows(task, predictions, baseline, horizon)
    if not np.array_equal(ours["session"].to_numpy(), theirs["session"].to_numpy()):
        both = np.intersect1d(ours["session"].to_numpy(), theirs["session"].to_numpy(), assume_unique=True)
        ours, theirs = (rows[np.isin(rows["session"].to_numpy(), both)] for rows in (ours, theirs))
    gains = np.empty(0)
    if len(ours):
        gains = task.scored(theirs).losses[metric] - task.scored(ours).losses[metric]
    is_scored = np.isfinite(gains)
    targets, gains = ours["target_session"].to_numpy()[is_scored], gains[is_scored]
    order = np.argsort(targets, kind="stable")
    running = np.concatenate([[0.0], np.cumsum(gains[order])])
    n = np.searchsorted(targets[order], sessions.to_numpy(), side="right").astype(np.int64)
    difference = np.where(n > 0, running[n] / np.maximum(n, 1), np.nan)
    steps = horizon.target_offset if horizon is not None else 1
    variance = np.concatenate([[np.nan], long_run_variances_to_date(gains[order], steps=steps)])
    low = difference - SHOWN_IN_ERRORS * np.sqrt(variance[n] / np.maximum(n, 1))
    return ScoreToDate(task.name, name, metric, baseline, difference, low, n)


def _known_rows(task: Task, predictions: pd.DataFrame, model: str, horizon: Horizon | None) -> pd.DataFrame:
    """The model's rows whose outcome is known, in session order."""
    is_wanted = (predictions["model"] == model).to_numpy(dtype=bool)
    is_wanted = is_wanted & predictions[task.outcome].notna().to_numpy(dtype=bool)
    if horizon is not None and "sessions_ahead" in predictions.columns:
        is_wanted = is_wanted & (predictions["sessions_ahead"].to_numpy() == horizon.target_offset)
    columns = [name for name in predictions.columns if name not in _NOT_SCORED]
    rows = rows_at(predictions, np.flatnonzero(is_wanted), columns=columns)
    return rows if rows["session"].is_monotonic_increasing else rows.sort_values("session", kind="stable")
