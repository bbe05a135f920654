"""The two forecasts that select: direction and IV regime of the served models, with their known edge.

Here belongs how their tables become one row a session. What is read beside them stands in ``beside``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, TextArray
from trading_dag.frames import require_columns, require_sessions, ticker_of
from trading_dag.served_models import SERVED_DIRECTION, SERVED_VOLATILITY
from trading_dag.validation.gates.edge import EDGE_UNKNOWN
from trading_dag.validation.scores.baselines import CLIMATOLOGY

_OF_MODEL = ("confidence", "fold", "fitted_through", "model_version")


@dataclass(frozen=True)
class Forecasts:
    """Holds the forecasts of both models, one row a session of the direction's.

    Attributes
    ----------
    calls, regimes : rows of the direction's and of the IV regime's model; NULL where the latter has none.
    usual_probability_up : of climatology, a fraction.
    known_edge : edge, direction_difference with its lower end, volatility_difference, n_outcomes.
    direction, iv_regime, edge : words; None without a forecast of the regime.
    direction_confidence, iv_confidence : fractions.
    """

    ticker: str
    sessions: pd.DatetimeIndex
    calls: pd.DataFrame
    regimes: pd.DataFrame
    usual_probability_up: pd.Series
    known_edge: pd.DataFrame
    direction: TextArray
    iv_regime: TextArray
    edge: TextArray
    direction_confidence: FloatArray
    iv_confidence: FloatArray


def forecasts_of(direction: pd.DataFrame, volatility: pd.DataFrame, edge: pd.DataFrame) -> Forecasts | None:
    """Return the forecasts at the sessions of the direction's served model; None where it has none.

    Raises
    ------
    SchemaError : for missing columns, more than one ticker, or sessions that repeat or do not ascend.
    """
    calls = _rows_of_model(direction, SERVED_DIRECTION, table="predictions.direction")
    if calls.empty:
        return None
    wanted = ("target_session", "y_pred", "probability_up", *_OF_MODEL)
    sessions = require_sessions(calls, wanted, table="predictions.direction")
    regimes = _rows_of_model(volatility, SERVED_VOLATILITY, table="predictions.volatility")
    require_sessions(regimes, ("y_pred", *_OF_MODEL), table="predictions.volatility")
    require_sessions(
        edge,
        ("edge", "direction_difference", "direction_difference_low", "volatility_difference", "n_outcomes"),
        table="signals.recommendation edge",
    )
    regimes = regimes.set_index("session").reindex(sessions)
    usual = _rows_of_model(direction, CLIMATOLOGY, table="predictions.direction").set_index("session")
    known_edge = edge.set_index("session").reindex(sessions)
    return Forecasts(
        ticker=ticker_of(calls),
        sessions=sessions,
        calls=calls,
        regimes=regimes,
        usual_probability_up=usual["probability_up"].reindex(sessions),
        known_edge=known_edge,
        direction=calls["y_pred"].to_numpy(dtype=object),
        iv_regime=words(regimes["y_pred"]),
        edge=known_edge["edge"].fillna(EDGE_UNKNOWN).to_numpy(dtype=object),
        direction_confidence=calls["confidence"].to_numpy(dtype=np.float64),
        iv_confidence=regimes["confidence"].to_numpy(dtype=np.float64),
    )


def words(column: pd.Series) -> TextArray:
    """Return the column's words as objects, None where there is none."""
    found = column.to_numpy(dtype=object).copy()
    found[column.isna().to_numpy()] = None
    return found


def _rows_of_model(predictions: pd.DataFrame, model: str, *, table: str) -> pd.DataFrame:
    """One model's rows in the order of their sessions."""
    require_columns(predictions, table, columns=("session", "model"))
    rows = predictions[(predictions["model"] == model).to_numpy(dtype=bool)]
    return rows.sort_values("session", kind="stable").reset_index(drop=True)
