"""What the forecast of a volatility index's level reads: the index itself, and nothing else.

Here belongs how the closes up to a session become columns, and the outcome beside them. What is learnt from the columns
stands in ``level_forecast`` and ``ordered_logit``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.features.doubtful_closes import lone_closes_of_index
from trading_dag.features.implied_volatility import FILL_LIMIT_SESSIONS, RANK_WINDOW
from trading_dag.frames import require_sessions
from trading_dag.models.learning.rows import FEATURES_TABLE
from trading_dag.slices import Horizon

MEANS_OVER: Final = (5, 22, 60)  # a week, a month, a quarter
_VOLATILITY_SESSIONS: Final = 20
DISTANCES: Final = tuple(f"index_mean_{sessions}" for sessions in MEANS_OVER)
LEVEL: Final = "vix_close"
_RANK: Final = "iv_rank"
LEVEL_INPUTS: Final = (
    "index_level", *DISTANCES, "index_volatility_20", "window_low",
    "window_high", "rank_today",
)  # fmt: skip
OUTCOME: Final = "index_at_target"


def level_inputs(features: pd.DataFrame, *, horizon: Horizon) -> pd.DataFrame:
    """Return what the level's forecast reads at each session, all of it known at the session's close.

    Parameters
    ----------
    features : features.feature_table of one ticker, whose rows are consecutive sessions.
    horizon : tells how many sessions of the rank's window are known at the target already.

    Returns
    -------
    A row for each row of ``features``, with its index, and a column for each of ``LEVEL_INPUTS``:

        index_level : close of the index, x.
        index_mean_5, …_22, …_60 : mean of ln x over so many sessions, less ln x.
        index_volatility_20 : standard deviation of the last 20 changes of ln x.
        window_low, window_high : extremes of x over those sessions up to this one which the 252-session window of
            ``iv_rank`` still holds at the target.
        rank_today : ``iv_rank`` of ``features``.

    NaN policy
    ----------
    A row has all of them or none: none without a rank, before the windows are full, and where they have no width. A
    close that a later one has disproved counts in no later window, as in ``features.implied_volatility``.

    Raises
    ------
    SchemaError : for a missing column, or sessions that do not ascend.
    """
    require_sessions(features, (LEVEL, _RANK), table=FEATURES_TABLE)
    level = _positive(features[LEVEL])
    before = _as_known_later(level).shift(1)
    kept = RANK_WINDOW - horizon.target_offset
    columns = {
        "index_level": level,
        **{f"index_mean_{n}": _mean_of_log(before, level, n) - np.log(level) for n in MEANS_OVER},
        "index_volatility_20": _volatility(before, level),
        "window_low": np.minimum(before.rolling(kept - 1).min(), level),
        "window_high": np.maximum(before.rolling(kept - 1).max(), level),
        "rank_today": features[_RANK].astype("float64"),
    }
    frame = pd.DataFrame(columns, index=features.index)
    is_usable = frame.notna().all(axis=1) & (frame["window_high"] > frame["window_low"])
    return frame.where(is_usable)


def with_level_inputs(features: pd.DataFrame, *, horizon: Horizon) -> pd.DataFrame:
    """Return the feature table with the columns of ``level_inputs`` beside its own."""
    return pd.concat([features, level_inputs(features, horizon=horizon)], axis=1)


def levels_at_target(features: pd.DataFrame, targets: pd.DataFrame) -> FloatArray:
    """Return the index at the target of each row of labels; NaN where that session has no IV regime.

    A regime is labelled only where the index was published on the target session and no later close disproves it, so
    nothing that was filled in is an outcome.

    Parameters
    ----------
    features, targets : features.feature_table and labels.targets of one slice.
    """
    sessions = require_sessions(features, (LEVEL,), table=FEATURES_TABLE)
    levels = pd.Series(_positive(features[LEVEL]).to_numpy(), index=sessions)
    ahead = levels.reindex(pd.DatetimeIndex(targets["target_session"])).to_numpy(dtype=np.float64)
    outcome: FloatArray = np.where(targets["iv_regime"].notna().to_numpy(), ahead, np.nan)
    return outcome


def _positive(closes: pd.Series) -> pd.Series:
    known = closes.astype("float64")
    return known.where(known > 0)


def _as_known_later(level: pd.Series) -> pd.Series:
    """Return the closes as the sessions after them know them: without those that the next close disproves."""
    known = level.dropna()
    is_true = pd.Series(~lone_closes_of_index(known), index=known.index).reindex(level.index, fill_value=True)
    return level.where(is_true).ffill(limit=FILL_LIMIT_SESSIONS).where(level.notna())


def _mean_of_log(before: pd.Series, level: pd.Series, sessions: int) -> pd.Series:
    """Return the mean of ln x over the sessions up to this one, of which all but the last are ``before``."""
    mean: pd.Series = (np.log(before).rolling(sessions - 1).sum() + np.log(level)) / sessions
    return mean


def _volatility(before: pd.Series, level: pd.Series) -> pd.Series:
    """Return the standard deviation of the last changes of ln x, the newest being that to this session's own close."""
    changes = np.log(before).diff()
    newest = np.log(level) - np.log(before)
    n = _VOLATILITY_SESSIONS
    total = changes.rolling(n - 1).sum() + newest
    squares = (changes**2).rolling(n - 1).sum() + newest**2
    variance: pd.Series = ((squares - total**2 / n) / (n - 1)).clip(lower=0.0)
    return variance**0.5
