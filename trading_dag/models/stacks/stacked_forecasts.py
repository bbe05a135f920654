"""What the learners of a fitted stack say of sessions, each by the fold in service: before anything is blended.

Here belongs what applies the learners of any stack. What is made of their forecasts stands in the module of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from trading_dag.arrays import DateArray, FloatArray, IntArray
from trading_dag.features.selection import rows_with_presence
from trading_dag.models.estimators.gaps import with_indicators
from trading_dag.models.estimators.real_learners import forecasts_of
from trading_dag.models.learning.fitted import FittedFold, FittedModel
from trading_dag.models.learning.rows import feature_values
from trading_dag.models.stacks.price_rows import recent_volatility
from trading_dag.models.stacks.price_sequences import LSTM_DAILY, daily_sequences
from trading_dag.sessions import TIME_UNIT
from trading_dag.validation.walk_forward import fold_in_service


@dataclass(frozen=True)
class Said:
    """What the learners say of the sessions that fitted folds serve.

    Attributes
    ----------
    names : of the learners, in the order of the columns.
    rows : (served,) positions in the feature frame, ascending.
    fold, fitted_through : (served,) the fold, and the last target session that it had seen.
    forecasts : (served, learners) in units of a return's usual size; NaN where a learner has nothing to say.
    """

    names: tuple[str, ...]
    rows: IntArray
    fold: IntArray
    fitted_through: DateArray
    forecasts: FloatArray


def said_by_learners(fitted: FittedModel, features: pd.DataFrame, *, blends: tuple[str, ...]) -> Said:
    """Return what each learner of the newest fold in service says of each session.

    A session needs a volatility and ``minimum_presence`` of the features that were present all through the training.

    Parameters
    ----------
    blends : models that are made of the learners; the folds of the first say which fold is in service.
    """
    names = tuple(model for model in fitted.models if model not in blends)
    sessions, values = feature_values(features, fitted.candidates)
    position = {name: column for column, name in enumerate(fitted.candidates)}
    has_volatility = np.isfinite(recent_volatility(features))
    sequences = _sequences(fitted, features)
    stacks = fitted.folds_of(blends[0])
    starts = [fold.serves_from for fold in stacks if fold.serves_from is not None]
    service = fold_in_service(sessions, pd.DatetimeIndex(starts)) if len(starts) == len(stacks) else None
    no_rows = np.empty(0, dtype=np.int64)
    parts = [Said(names, no_rows, no_rows, no_rows.astype(f"datetime64[{TIME_UNIT}]"), np.empty((0, len(names))))]
    for stack in stacks if service is not None else ():
        if stack.status != "fitted":
            continue
        folds = [fold_of(fitted, name, stack.fold) for name in names]
        served = np.flatnonzero((service == stack.fold) & has_volatility)
        present = values[served][:, [position[name] for name in _reading(folds).steady_features]]
        rows = served[rows_with_presence(present, minimum_presence=fitted.minimum_presence)]
        if not len(rows):
            continue
        said = np.column_stack([_forecast(fold, sequences, rows, values, position) for fold in folds])
        through = np.full(len(rows), np.datetime64(stack.fitted_through, TIME_UNIT))
        parts.append(Said(names, rows, np.full(len(rows), stack.fold), through, said))
    return Said(
        names,
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.fold for part in parts]),
        np.concatenate([part.fitted_through for part in parts]),
        np.concatenate([part.forecasts for part in parts]),
    )


def _reading(folds: Sequence[FittedFold]) -> FittedFold:
    """The first fold that reads features; all that do were judged by the same rows."""
    return next(fold for fold in folds if fold.features)


def _sequences(fitted: FittedModel, features: pd.DataFrame) -> FloatArray:
    """The sequence that ends at each session, as long as the networks read; nothing where there is no network."""
    networks = [fold.estimator for fold in fitted.folds_of(LSTM_DAILY) if fold.estimator is not None]
    return daily_sequences(features, steps=networks[0].steps) if networks else np.empty((len(features), 0, 0))


def _forecast(
    fold: FittedFold, sequences: FloatArray, rows: IntArray, values: FloatArray, position: dict[str, int]
) -> FloatArray:
    if fold.status != "fitted":
        return np.full(len(rows), np.nan)
    if fold.model == LSTM_DAILY:
        return forecasts_of(fold.estimator, sequences[rows])
    taken = values[rows][:, [position[name] for name in fold.features]]
    return forecasts_of(fold.estimator, with_indicators(taken, fold.features, fold.indicators))


def fold_of(fitted: FittedModel, model: str, number: int) -> FittedFold:
    """Return the fold of a number of one of the models."""
    return next(fold for fold in fitted.folds_of(model) if fold.fold == number)


def step_of(fitted: FittedModel, model: str, number: int) -> Any:
    """Return what the estimator of a blend consists of."""
    return fold_of(fitted, model, number).estimator.steps[0][1]
