"""Forecasts of the price stack: of each learner, of the blend, and by adaptive weights, as predictions.price has them.

Here belongs what applies a fitted stack to sessions. The only outcomes that are read before a forecast is made are
those of targets at or before its session, for the adaptive weights.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from trading_dag.errors import SchemaError
from trading_dag.frames import require_sessions, table_frame, values_at_sessions
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.learning.rows import FEATURES_TABLE, labels_by_session, require_ticker
from trading_dag.models.price.price_learners import DRIFT
from trading_dag.models.price.price_stack import ADAPTIVE, STACK
from trading_dag.models.stacks.adaptive_weights import recent_errors
from trading_dag.models.stacks.price_rows import recent_volatility, scaled_outcomes, usual_size
from trading_dag.models.stacks.stacked_forecasts import said_by_learners, step_of
from trading_dag.schemas import PREDICTIONS_PRICE
from trading_dag.sessions import target_sessions
from trading_dag.slices import Horizon


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
    size = usual_size(volatility, horizon=horizon)
    for model in sorted(by_model):
        forecast = by_model[model] * size
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
