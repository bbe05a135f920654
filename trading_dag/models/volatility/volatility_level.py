"""predictions.volatility_level: the distribution of the index at the target, beside that of a random walk.

Here belongs what is said about the level itself. What it says of the IV regime is ``volatility_forecaster``'s; the
estimator stands in ``level_forecast``.
"""

from __future__ import annotations

import bisect
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.frames import require_sessions
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.learning.forecasting import Block, finish_predictions, forecast
from trading_dag.models.learning.rows import FEATURES_TABLE, labels_by_session
from trading_dag.models.volatility.level_forecast import LevelForecaster
from trading_dag.models.volatility.level_inputs import LEVEL, LEVEL_INPUTS, levels_at_target, with_level_inputs
from trading_dag.models.volatility.regime_forecaster import HAR, LEVEL_PART
from trading_dag.schemas import PREDICTIONS_VOLATILITY_LEVEL, QUANTILE_COLUMNS, QUANTILE_LEVELS
from trading_dag.schemas.vocabulary import IV_DIRECTIONS
from trading_dag.sessions import TIME_UNIT
from trading_dag.slices import Horizon
from trading_dag.validation.scores.baselines import RANDOM_WALK

EXPANDING_FROM: Final = 0.6
CONTRACTING_TO: Final = 0.4
_CONTRACTING, _STABLE, _EXPANDING = IV_DIRECTIONS
_INDEX_LEVEL: Final = LEVEL_INPUTS.index("index_level")
_LEVELS: Final = np.array(QUANTILE_LEVELS)
_ROWS_AT_ONCE: Final = 1_000
_DAY: Final = f"datetime64[{TIME_UNIT}]"
Dates = npt.NDArray[np.datetime64]


def predict_level(
    fitted: FittedModel, features: pd.DataFrame, targets: pd.DataFrame, *, horizon: Horizon
) -> pd.DataFrame:
    """Return out-of-sample distributions of the index at the target, and those of a random walk on the same sessions.

    ``random_walk`` says that ln x moves as it has moved over so many sessions before: the quantiles are those of every
    such move whose end was known at the session, whichever fold serves.

    Parameters
    ----------
    fitted : result of ``volatility_forecaster.fit``, from memory or from the store.
    features, targets : features.feature_table and labels.targets of the slice, also with sessions later than the fit.

    Returns
    -------
    predictions.volatility_level, ordered by session, then model. Known at each session's close.

    Raises
    ------
    SchemaError : for frames that are not of the fitted slice or not in the shape of their tables.
    """
    sessions = require_sessions(features, (LEVEL,), table=FEATURES_TABLE)
    labels = labels_by_session(
        targets.assign(happened=levels_at_target(features, targets)), sessions=sessions,
        columns=("happened", "iv_source", "target_session"), horizon=horizon, ticker=fitted.ticker,
    )  # fmt: skip
    happened = labels["happened"].to_numpy(dtype=np.float64, na_value=np.nan)
    source = labels["iv_source"].to_numpy(dtype=object)
    ends = labels["target_session"].to_numpy(dtype=_DAY)
    moves = np.log(happened) - np.log(features[LEVEL].where(features[LEVEL] > 0).to_numpy(dtype=np.float64))
    only_level = replace(fitted, folds=fitted.folds_of(HAR))
    blocks = []
    for made in forecast(only_level, with_level_inputs(features, horizon=horizon)):
        level = made.values[:, _INDEX_LEVEL]
        facts = {"index_level": level, "y_true": happened[made.rows], "iv_source": source[made.rows]}
        part = dict(made.fold.estimator.steps)[LEVEL_PART]
        said = _of_draws(part, made.values) | {"fitted_through": np.datetime64(made.fold.fitted_through, TIME_UNIT)}
        walk = random_walk(level, sessions[made.rows].to_numpy(dtype=_DAY), moves=moves, ends=ends)
        blocks += [Block(made, HAR, facts | said), Block(made, RANDOM_WALK, facts | walk)]
    return finish_predictions(
        blocks, fitted=fitted, sessions=sessions, horizon=horizon, table=PREDICTIONS_VOLATILITY_LEVEL
    )


def random_walk(level: FloatArray, sessions: Dates, *, moves: FloatArray, ends: Dates) -> dict[str, npt.NDArray[Any]]:
    """Return the distribution of the index if ln x moves as it has moved before each session.

    Parameters
    ----------
    level, sessions : the index at the sessions that are forecast, which ascend.
    moves, ends : changes of ln x over the horizon, NaN where not known, and the session at which each was known,
        ascending.

    Returns
    -------
    Columns of predictions.volatility_level, a row a session. A move counts from the session on at which it ended.
    """
    known = np.isfinite(moves) & ~np.isnat(ends)
    moves, ends = moves[known], ends[known]
    counts = np.searchsorted(ends, sessions, side="right")
    totals = np.cumsum(np.exp(moves))
    sorted_moves: list[float] = []
    quantiles, rises = np.empty((len(sessions), len(_LEVELS))), np.empty(len(sessions))
    for row, count in enumerate(counts.tolist()):
        for move in moves[len(sorted_moves) : count].tolist():
            bisect.insort(sorted_moves, move)
        quantiles[row] = _quantiles_of_sorted(sorted_moves)
        rises[row] = 1.0 - bisect.bisect_right(sorted_moves, 0.0) / count
    columns = _columns(level[:, np.newaxis] * np.exp(quantiles), level * totals[counts - 1] / counts, rises)
    return columns | {"fitted_through": ends[counts - 1]}


def _quantiles_of_sorted(values: list[float]) -> FloatArray:
    """Return the quantiles of the 19 levels by linear interpolation between neighbours, as ``numpy.quantile`` does."""
    place = _LEVELS * (len(values) - 1)
    before = np.floor(place).astype(np.int64)
    lower = np.array([values[at] for at in before])
    upper = np.array([values[min(at + 1, len(values) - 1)] for at in before])
    between: FloatArray = lower + (place - before) * (upper - lower)
    return between


def _of_draws(part: LevelForecaster, values: FloatArray) -> dict[str, npt.NDArray[Any]]:
    """Return the columns that say what the draws of a level forecast do."""
    quantiles, means, rises = [], [], []
    for rows in np.split(values, range(_ROWS_AT_ONCE, len(values), _ROWS_AT_ONCE)):
        draws = part.draws(rows)
        quantiles.append(np.quantile(draws, _LEVELS, axis=1).T)
        means.append(draws.mean(axis=1))
        rises.append((draws > rows[:, [_INDEX_LEVEL]]).mean(axis=1))
    return _columns(np.concatenate(quantiles), np.concatenate(means), np.concatenate(rises))


def _columns(quantiles: FloatArray, mean: FloatArray, probability_rise: FloatArray) -> dict[str, npt.NDArray[Any]]:
    return {
        "y_pred": quantiles[:, len(_LEVELS) // 2],
        "expected_level": mean,
        **{name: quantiles[:, place] for place, name in enumerate(QUANTILE_COLUMNS)},
        "probability_rise": probability_rise,
        "expected_iv_direction": direction_of_level(probability_rise),
    }


def direction_of_level(probability_rise: FloatArray) -> npt.NDArray[np.object_]:
    """Return EXPANDING from 0.6 on, CONTRACTING up to 0.4, else STABLE, of P(index at the target above today's)."""
    names = np.full(len(probability_rise), _STABLE, dtype=object)
    names[probability_rise >= EXPANDING_FROM] = _EXPANDING
    names[probability_rise <= CONTRACTING_TO] = _CONTRACTING
    return names
