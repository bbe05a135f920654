"""Forecasts of the price stack: of each learner, of the blend, and by adaptive weights, as predictions.price has them.

Here belongs what applies a fitted stack to sessions. The only outcomes that are read before a forecast is made are
those of targets at or before its session, for the adaptive weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from trading_dag.arrays import DateArray, FloatArray, IntArray
from trading_dag.errors import SchemaError
from trading_dag.features.selection import rows_with_presence
from trading_dag.frames import require_sessions, table_frame, values_at_sessions
from trading_dag.models.adaptive_weights import recent_errors
from trading_dag.models.fitted import FittedFold, FittedModel
from trading_dag.models.gaps import with_indicators
from trading_dag.models.price_learners import DRIFT, forecasts_of
from trading_dag.models.price_rows import recent_volatility, scaled_outcomes, usual_size
from trading_dag.models.price_sequences import LSTM_DAILY, daily_sequences
from trading_dag.models.price_stack import ADAPTIVE, STACK
from trading_dag.models.rows import FEATURES_TABLE, feature_values, labels_by_session, require_ticker
from trading_dag.schemas import PREDICTIONS_PRICE
from trading_dag.sessions import TIME_UNIT, target_sessions
from trading_dag.slices import Horizon
from trading_dag.validation.walk_forward import fold_in_service


def predict(
    fitted: FittedModel, features: pd.DataFrame, targets: pd.DataFrame, *, horizon: Horizon, prices: pd.DataFrame
) -> pd.DataFrame:
    """Return out-of-sample forecasts of every session that a fitted fold serves.

    Parameters
    ----------
    fitted : result of ``price_stack.fit``, from memory or from the store.
    features : features.feature_table, also with sessions later than the fit.
    targets : labels.targets; sessions without a label get NULL in y_true and forward_return.
    prices : session and close, split-adjusted, of every session of the features.

    Returns
    -------
    predictions.price, ordered by session, then model, without distributions. The random walk with drift is a baseline
    among them; the random walk itself stands beside the distributions. Known at each session's close.

    Raises
    ------
    SchemaError : for frames that are not of the fitted slice or not in the shape of their tables, or a session without
        a close.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    sessions = require_sessions(features, (), table=FEATURES_TABLE)
    require_ticker(features, fitted.ticker, table=FEATURES_TABLE)
    labels = labels_by_session(
        targets, sessions=sessions, columns=("target_price", "forward_return"), horizon=horizon, ticker=fitted.ticker
    )
    close = values_at_sessions(prices, sessions, column="close", table="raw.prices_daily")
    with threadpool_limits(limits=1):
        said = said_by_learners(fitted, features, blends=(STACK, ADAPTIVE))
    if not len(said.rows):
        return table_frame(PREDICTIONS_PRICE, {}, rows=0)
    if not np.isfinite(close[said.rows]).all():
        day = sessions[said.rows[int(np.argmin(np.isfinite(close[said.rows])))]]
        raise SchemaError(table="raw.prices_daily", key=f"session={day:%Y-%m-%d}", rule="a session has a close")
    days = sessions[said.rows]
    aims = target_sessions(days, horizon)
    volatility = recent_volatility(features)[said.rows]
    returns = labels["forward_return"].to_numpy(dtype=np.float64, na_value=np.nan)[said.rows]
    outcomes = scaled_outcomes(returns, volatility, horizon=horizon)
    known = np.searchsorted(aims.to_numpy(), days.to_numpy(), side="right").astype(np.int64)
    errors = recent_errors(said.forecasts, outcomes, volatility, known)
    blended = {name: np.empty(len(days)) for name in (STACK, ADAPTIVE)}
    for number in np.unique(said.fold):
        of_fold = said.fold == number
        blended[STACK][of_fold] = step_of(fitted, STACK, number).forecast(said.forecasts[of_fold])
        blended[ADAPTIVE][of_fold] = step_of(fitted, ADAPTIVE, number).forecast(
            said.forecasts[of_fold], errors[of_fold]
        )
    by_model = {name: said.forecasts[:, column] for column, name in enumerate(said.names)} | blended
    newest = np.where(known > 0, aims.to_numpy()[np.maximum(known - 1, 0)], said.fitted_through)
    common = {
        "ticker": fitted.ticker,
        "horizon": horizon.key,
        "session": days,
        "target_session": aims,
        "sessions_ahead": horizon.target_offset,
        "fold": said.fold,
        "close": close[said.rows],
        "y_true": labels["target_price"].to_numpy(dtype=np.float64, na_value=np.nan)[said.rows],
        "forward_return": returns,
        "is_out_of_sample": True,
    }
    frames = []
    for model in sorted(by_model):
        forecast = by_model[model] * usual_size(volatility, horizon=horizon)
        speaks = np.isfinite(forecast)
        is_baseline = model == DRIFT
        frame = table_frame(
            PREDICTIONS_PRICE,
            {
                **common,
                "model": model,
                "fitted_through": np.maximum(newest, said.fitted_through) if model == ADAPTIVE else said.fitted_through,
                "y_pred": close[said.rows] * (1.0 + forecast),
                "is_baseline": is_baseline,
                "model_version": None if is_baseline else fitted.model_version,
            },
            rows=len(days),
        )
        frames.append(frame[speaks])
    return pd.concat(frames).sort_values(list(PREDICTIONS_PRICE.key), kind="stable", ignore_index=True)


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
        said = np.column_stack([_forecast(fold, features, rows, values, position) for fold in folds])
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


def _forecast(
    fold: FittedFold, features: pd.DataFrame, rows: IntArray, values: FloatArray, position: dict[str, int]
) -> FloatArray:
    if fold.status != "fitted":
        return np.full(len(rows), np.nan)
    if fold.model == LSTM_DAILY:
        return forecasts_of(fold.estimator, daily_sequences(features, steps=fold.estimator.steps)[rows])
    taken = values[rows][:, [position[name] for name in fold.features]]
    return forecasts_of(fold.estimator, with_indicators(taken, fold.features, fold.indicators))


def fold_of(fitted: FittedModel, model: str, number: int) -> FittedFold:
    """Return the fold of a number of one of the models."""
    return next(fold for fold in fitted.folds_of(model) if fold.fold == number)


def step_of(fitted: FittedModel, model: str, number: int) -> Any:
    """Return what the estimator of a blend consists of."""
    return fold_of(fitted, model, number).estimator.steps[0][1]
