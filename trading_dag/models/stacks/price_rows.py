"""What the learners of the price stack read of each session, and the outcomes that they learn.

Here belongs what turns feature and label frames of one slice into arrays, and the unit of the outcomes: a return over
the size that returns of that length usually have at the session's volatility.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.day_count import SESSIONS_PER_YEAR
from trading_dag.models.learning.rows import (
    LabelledRows,
    collect_rows,
    feature_values,
    hash_of_columns,
    labels_by_session,
)
from trading_dag.slices import Horizon

VOLATILITY_FEATURES: Final = ("hv_20", "hv_60")
LEAST_VOLATILITY: Final = 1.0
LARGEST_OUTCOME: Final = 3.0


@dataclass(frozen=True)
class PriceRows:
    """Holds the rows with an outcome, in session order.

    Attributes
    ----------
    rows : features, sessions and target sessions; ``codes`` are not used.
    outcomes : (rows,) forward return over ``usual_size``, cut at ±3: one day of a crash is not to outweigh a year.
    volatility : (rows,) of ``recent_volatility``.
    sequences : (rows, steps, inputs) of the sessions up to each row; without steps where nobody reads them.
    """

    rows: LabelledRows
    outcomes: FloatArray
    volatility: FloatArray
    sequences: FloatArray

    def since(self, first: date | None) -> PriceRows:
        """Return the rows from a date on; all for None."""
        rows = self.rows.since(first)
        begins = len(self.outcomes) - len(rows.sessions)
        return PriceRows(rows, self.outcomes[begins:], self.volatility[begins:], self.sequences[begins:])


def recent_volatility(features: pd.DataFrame) -> FloatArray:
    """Return the volatility by which returns are measured at each session, annualised percent points.

    It is the root of the mean square of hv_20 and hv_60, at least 1; NaN where there is no hv_60. Both are there for
    every ticker and since its first months, which no index is.
    """
    _, values = feature_values(features, VOLATILITY_FEATURES)
    has_both = np.isfinite(values[:, 1])
    squares = np.where(np.isfinite(values), values**2, 0.0).sum(axis=1) / np.maximum(np.isfinite(values).sum(axis=1), 1)
    volatility: FloatArray = np.where(has_both, np.maximum(np.sqrt(squares), LEAST_VOLATILITY), np.nan)
    return volatility


def usual_size(volatility: FloatArray, *, horizon: Horizon) -> FloatArray:
    """Return the standard deviation of a return over the horizon at a volatility, as a fraction."""
    size: FloatArray = volatility / 100.0 * np.sqrt(horizon.scaling_sessions / SESSIONS_PER_YEAR)
    return size


def scaled_outcomes(returns: FloatArray, volatility: FloatArray, *, horizon: Horizon) -> FloatArray:
    """Return the outcomes of forward returns: in units of their usual size and cut at ±3; NaN where either is not
    known."""
    outcomes: FloatArray = np.clip(returns / usual_size(volatility, horizon=horizon), -LARGEST_OUTCOME, LARGEST_OUTCOME)
    return outcomes


def collect_price_rows(
    features: pd.DataFrame,
    targets: pd.DataFrame,
    *,
    names: tuple[str, ...],
    horizon: Horizon,
    ticker: str | None,
    sequences: FloatArray | None = None,
) -> PriceRows:
    """Return the rows with a forward return and a volatility.

    Parameters
    ----------
    features, targets : features.feature_table and labels.targets of one slice.
    names : candidate features.
    ticker : the underlying; by default that of the feature rows.
    sequences : (rows of ``features``, steps, inputs); None where nobody reads them.

    Raises
    ------
    SchemaError : for frames that are not of this slice or not in the shape of their tables.
    """
    required = VOLATILITY_FEATURES[-1]
    rows = collect_rows(
        features, targets, names=names, label="forward_return", classes=(), horizon=horizon, ticker=ticker,
        required=required,
    )  # fmt: skip
    read = tuple(dict.fromkeys((*names, *VOLATILITY_FEATURES)))
    rows = replace(rows, inputs={**rows.inputs, "features": hash_of_columns(features, ("session", *read))})
    sessions = pd.DatetimeIndex(features["session"])
    volatility = recent_volatility(features)[sessions.get_indexer(rows.sessions)]
    labels = labels_by_session(
        targets, sessions=rows.sessions, columns=("forward_return",), horizon=horizon, ticker=rows.ticker
    )
    returns = labels["forward_return"].to_numpy(dtype=np.float64, na_value=np.nan)
    taken = (
        np.empty((len(rows.sessions), 0, 0)) if sequences is None else sequences[sessions.get_indexer(rows.sessions)]
    )
    return PriceRows(rows, scaled_outcomes(returns, volatility, horizon=horizon), volatility, taken)
