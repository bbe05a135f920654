"""What is served beside the two forecasts that select: level of volatility, price, second opinion, position, IV rank.

Here belongs how those tables are laid beside the sessions of the signals. Every one of them may be missing: what it
would say is NULL then, and the evidence says that it is. What follows from them stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.frames import require_columns, rows_at
from trading_dag.schemas import (
    PREDICTIONS_ALLOCATION,
    PREDICTIONS_PRICE,
    PREDICTIONS_SPREAD,
    PREDICTIONS_VOLATILITY_LEVEL,
    QUANTILE_COLUMNS,
    QUANTILE_LEVELS,
    Table,
)
from trading_dag.served_models import (
    SECOND_OPINION_SPREAD,
    SERVED_ALLOCATION,
    SERVED_PRICE,
    SERVED_VOLATILITY_LEVEL,
)
from trading_dag.sessions import all_sessions
from trading_dag.slices import Horizon
from trading_dag.validation.gates.scores_to_date import ScoreToDate, score_to_date
from trading_dag.validation.scores.tasks import task_of

_MEDIAN: Final = len(QUANTILE_LEVELS) // 2
_RANK_COLUMNS: Final = ("iv_source", "own_iv_rank", "chain_iv_rank")


@dataclass(frozen=True)
class BesideTables:
    """Holds the stored tables of one slice that are read beside direction and IV regime; None where there is none.

    Attributes
    ----------
    level, price, spread, allocation : predictions.volatility_level, .price, .spread and .allocation.
    iv_rank : session, iv_source, own_iv_rank and chain_iv_rank of features.option_chain.
    spread_is_off : why the networks of the spread model are switched off; None where they are not.
    """

    level: pd.DataFrame | None = None
    price: pd.DataFrame | None = None
    spread: pd.DataFrame | None = None
    allocation: pd.DataFrame | None = None
    iv_rank: pd.DataFrame | None = None
    spread_is_off: str | None = None


@dataclass(frozen=True)
class Beside:
    """Holds what those tables say at each session of the signals, in their order; NaN or NULL where they do not.

    Attributes
    ----------
    level, spread, allocation : rows of the served models.
    iv_rank : iv_source, own_iv_rank, chain_iv_rank.
    price : fold and version of the price forecast that ends where the horizon does.
    outlook : the price forecasts of every number of sessions ahead.
    scores : running scores of the models by task, of those that have a forecast.
    spread_is_off : as in ``BesideTables``.
    """

    level: pd.DataFrame
    spread: pd.DataFrame
    allocation: pd.DataFrame
    iv_rank: pd.DataFrame
    price: pd.DataFrame
    outlook: PriceOutlook
    scores: dict[str, ScoreToDate] = field(default_factory=dict)
    spread_is_off: str | None = None


@dataclass(frozen=True)
class PriceOutlook:
    """Holds the forecasts of the price at some numbers of sessions ahead.

    Attributes
    ----------
    sessions : the signals', ascending.
    ahead : sessions ahead, ascending.
    log_ratios : for each, (n, levels) logarithm of quantile over close; NaN rows where there is no forecast.
    """

    sessions: pd.DatetimeIndex
    ahead: tuple[int, ...]
    log_ratios: tuple[FloatArray, ...]

    def quantiles_at(self, expirations: np.ndarray, *, spot: FloatArray, rows: np.ndarray) -> FloatArray:
        """Return the quantiles of the price at expirations, (m, levels), USD; NaN where no forecast reaches so far.

        Between two numbers of sessions ahead the median's logarithm is linear in sessions, and so is the square of each
        quantile's distance from it: variance grows with time. Beyond the furthest, and before the nearest, nothing is
        said.

        Parameters
        ----------
        expirations : (m,) dates; ``rows`` : (m,) places among the sessions; ``spot`` : (m,) the price at them.
        """
        calendar = all_sessions().to_numpy()
        told = np.full((len(rows), len(QUANTILE_LEVELS)), np.nan)
        is_dated = ~np.isnat(expirations)
        to = np.searchsorted(calendar, expirations[is_dated], side="right") - 1
        steps = np.full(len(rows), -1)
        steps[is_dated] = to - np.searchsorted(calendar, self.sessions.to_numpy()[rows[is_dated]])
        for near, far, low, high in zip(self.ahead, self.ahead[1:], self.log_ratios, self.log_ratios[1:], strict=False):
            at = np.flatnonzero((steps >= near) & (steps <= far))
            if len(at):
                share = ((steps[at] - near) / (far - near))[:, np.newaxis]
                told[at] = _between(low[rows[at]], high[rows[at]], share)
        quantiles: FloatArray = spot[:, np.newaxis] * np.exp(told)
        return quantiles


def _between(low: FloatArray, high: FloatArray, share: FloatArray) -> FloatArray:
    """Quantiles a share of the way from one number of sessions ahead to another."""
    middle, distance, square = [], [], []
    for ratios in (low, high):
        median = ratios[:, [_MEDIAN]]
        apart = ratios - median
        middle.append(median)
        distance.append(apart)
        square.append(apart**2)
    sign = np.sign(distance[0] + distance[1])
    spread = sign * np.sqrt((1.0 - share) * square[0] + share * square[1])
    told: FloatArray = (1.0 - share) * middle[0] + share * middle[1] + spread
    return told


def lay_beside(tables: BesideTables, sessions: pd.DatetimeIndex, *, horizon: Horizon) -> Beside:
    """Return what the tables say at the sessions of the signals.

    Raises
    ------
    SchemaError : for a table that is given and lacks a column.
    """
    level = _at(tables.level, PREDICTIONS_VOLATILITY_LEVEL, SERVED_VOLATILITY_LEVEL, sessions,
                columns=("index_level", "expected_level", "probability_rise", "expected_iv_direction"))  # fmt: skip
    spread = _at(tables.spread, PREDICTIONS_SPREAD, SECOND_OPINION_SPREAD, sessions, columns=("y_pred", "confidence"))
    allocation = _at(tables.allocation, PREDICTIONS_ALLOCATION, SERVED_ALLOCATION, sessions, columns=("position",))
    price = _at(tables.price, PREDICTIONS_PRICE, SERVED_PRICE, sessions, columns=(), ahead=horizon.target_offset)
    return Beside(
        level, spread, allocation, _ranks(tables.iv_rank, sessions), price,
        outlook_of(tables.price, sessions), _scores(tables, sessions, horizon), tables.spread_is_off,
    )  # fmt: skip


def outlook_of(price: pd.DataFrame | None, sessions: pd.DatetimeIndex) -> PriceOutlook:
    """Return the served forecasts of the price at the sessions, for each number of sessions ahead."""
    if price is None or price.empty:
        return PriceOutlook(sessions, (), ())
    require_columns(
        price, PREDICTIONS_PRICE.qualified_name,
        columns=("session", "model", "sessions_ahead", "close", *QUANTILE_COLUMNS),
    )  # fmt: skip
    at = np.flatnonzero((price["model"] == SERVED_PRICE).to_numpy(dtype=bool))
    steps_ahead = price["sessions_ahead"].to_numpy()[at]
    ahead = tuple(sorted(int(steps) for steps in np.unique(steps_ahead)))
    ratios = []
    for steps in ahead:
        rows = rows_at(price, at[steps_ahead == steps], columns=("session", "close", *QUANTILE_COLUMNS))
        place = pd.DatetimeIndex(rows["session"]).get_indexer(sessions)
        quantiles = rows[list(QUANTILE_COLUMNS)].to_numpy(dtype=np.float64)
        logs = np.log(quantiles / rows["close"].to_numpy(dtype=np.float64)[:, np.newaxis])
        ratios.append(np.where((place >= 0)[:, np.newaxis], logs[place], np.nan) if len(rows) else logs)
    return PriceOutlook(sessions, ahead, tuple(ratios))


def _at(
    predictions: pd.DataFrame | None,
    table: Table,
    model: str,
    sessions: pd.DatetimeIndex,
    *,
    columns: Sequence[str],
    ahead: int | None = None,
) -> pd.DataFrame:
    """A model's rows at the sessions: the columns, fold, fitted_through and model_version."""
    wanted = [*columns, "fold", "fitted_through", "model_version"]
    if predictions is None:
        return pd.DataFrame(index=sessions, columns=wanted, dtype=object)
    require_columns(predictions, table.qualified_name, columns=("session", "model", *wanted))
    is_wanted = (predictions["model"] == model).to_numpy(dtype=bool)
    if ahead is not None:
        is_wanted = is_wanted & (predictions["sessions_ahead"].to_numpy() == ahead)
    rows = rows_at(predictions, np.flatnonzero(is_wanted), columns=("session", *wanted))
    return rows.set_index("session").reindex(sessions)


def _ranks(iv_rank: pd.DataFrame | None, sessions: pd.DatetimeIndex) -> pd.DataFrame:
    if iv_rank is None:
        return pd.DataFrame(index=sessions, columns=list(_RANK_COLUMNS), dtype=object)
    require_columns(iv_rank, "features.option_chain", columns=("session", *_RANK_COLUMNS))
    return iv_rank.set_index("session")[list(_RANK_COLUMNS)].reindex(sessions)


def _scores(tables: BesideTables, sessions: pd.DatetimeIndex, horizon: Horizon) -> dict[str, ScoreToDate]:
    given = {
        "volatility_level": (tables.level, None),
        "price": (tables.price, None),
        "spread": (tables.spread, SECOND_OPINION_SPREAD),
        "allocation": (tables.allocation, None),
    }
    return {
        task: score_to_date(task_of(task), frame, sessions, horizon=horizon, model=model)
        for task, (frame, model) in given.items()
        if frame is not None and len(frame)
    }
