"""Positions of the allocation ensemble and of its baselines, as predictions.allocation has them.

Here belongs what applies a fitted ensemble to sessions: forecasts of the fold in service, scaled by what was known of
volatility, smoothed over the sessions before. Fitting stands in ``allocation_ensemble``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.frames import require_sessions, table_frame
from trading_dag.models.allocation.allocation_ensemble import ENSEMBLE, LINEAR, MEAN_RETURN, MEAN_SCALED, MEAN_SIZE
from trading_dag.models.allocation.cash import cash_returns
from trading_dag.models.allocation.positions import scaled_positions, smoothed_positions
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.learning.rows import FEATURES_TABLE, labels_by_session, require_ticker
from trading_dag.models.stacks.price_rows import recent_volatility, usual_size
from trading_dag.models.stacks.stacked_forecasts import fold_of, said_by_learners, step_of
from trading_dag.schemas import PREDICTIONS_ALLOCATION
from trading_dag.sessions import target_sessions
from trading_dag.setting_groups import AllocationSettings
from trading_dag.slices import Horizon
from trading_dag.validation.scores.allocation_score import strategy_returns
from trading_dag.validation.scores.baselines import BUY_AND_HOLD, VOLATILITY_MANAGED


def predict(
    fitted: FittedModel,
    features: pd.DataFrame,
    targets: pd.DataFrame,
    *,
    horizon: Horizon,
    allocation: AllocationSettings,
) -> pd.DataFrame:
    """Return the positions of models and baselines on every session that a fitted fold serves.

    ``buy_and_hold`` is always 1. ``volatility_managed`` scales by volatility alone: its forecast is the mean of the
    training part.

    Parameters
    ----------
    fitted : result of ``allocation_ensemble.fit``, from memory or from the store.
    features : features.feature_table, also with sessions later than the fit.
    targets : labels.targets; sessions without a label get NULL in y_true and strategy_return.
    allocation : how a forecast becomes a position.

    Returns
    -------
    predictions.allocation, ordered by session, then model. Known at each session's close.

    Raises
    ------
    SchemaError : for frames that are not of the fitted slice or not in the shape of their tables.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    sessions = require_sessions(features, (), table=FEATURES_TABLE)
    require_ticker(features, fitted.ticker, table=FEATURES_TABLE)
    labels = labels_by_session(
        targets, sessions=sessions, columns=("forward_return",), horizon=horizon, ticker=fitted.ticker
    )
    with threadpool_limits(limits=1):
        said = said_by_learners(fitted, features, blends=(ENSEMBLE, LINEAR))
    rows = said.rows
    if not len(rows):
        return table_frame(PREDICTIONS_ALLOCATION, {}, rows=0)
    size = usual_size(recent_volatility(features), horizon=horizon)[rows]
    cash = cash_returns(features, horizon=horizon)[rows]
    market = labels["forward_return"].to_numpy(dtype=np.float64, na_value=np.nan)[rows]
    forecasts, beyond_mean = ({model: np.empty(len(rows)) for model in (ENSEMBLE, LINEAR)} for _ in range(2))
    means = {name: np.empty(len(rows)) for name in (MEAN_RETURN, MEAN_SIZE)}
    for number in np.unique(said.fold):
        here = said.fold == number
        learnt = fold_of(fitted, ENSEMBLE, int(number)).metrics
        for model, forecast in forecasts.items():
            beyond_mean[model][here] = step_of(fitted, model, int(number)).forecast(said.forecasts[here]) * size[here]
            forecast[here] = learnt[MEAN_SCALED] * size[here] + beyond_mean[model][here]
        for name, mean in means.items():
            mean[here] = learnt[name]
    nothing = np.full(len(rows), np.nan)

    def held(beyond: FloatArray) -> FloatArray:
        position = scaled_positions(
            beyond, size, mean_return=means[MEAN_RETURN], mean_volatility=means[MEAN_SIZE], settings=allocation,
            sessions=horizon.scaling_sessions,
        )  # fmt: skip
        return smoothed_positions(position, sessions=allocation.smoothing_sessions)

    made = {
        **{model: (forecast, held(beyond_mean[model])) for model, forecast in forecasts.items()},
        BUY_AND_HOLD: (nothing, np.ones(len(rows))),
        VOLATILITY_MANAGED: (nothing, held(np.zeros(len(rows)))),
    }
    frames = []
    for model in sorted(made):
        forecast, position = made[model]
        is_baseline = model in (BUY_AND_HOLD, VOLATILITY_MANAGED)
        frame = table_frame(
            PREDICTIONS_ALLOCATION,
            {
                "ticker": fitted.ticker,
                "horizon": horizon.key,
                "session": sessions[rows],
                "target_session": target_sessions(sessions[rows], horizon),
                "model": model,
                "fold": said.fold,
                "fitted_through": said.fitted_through,
                "forecast": forecast,
                "volatility": size,
                "position": position,
                "cash_return": cash,
                "y_true": market,
                "strategy_return": strategy_returns(position, market, cash),
                "is_baseline": is_baseline,
                "is_out_of_sample": True,
                "model_version": None if is_baseline else fitted.model_version,
            },
            rows=len(rows),
        )
        frames.append(frame[np.isfinite(position)])
    whole: pd.DataFrame = pd.concat(frames)
    return whole.sort_values(list(PREDICTIONS_ALLOCATION.key), kind="stable", ignore_index=True)
