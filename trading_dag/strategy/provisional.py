"""Rows of a session under way, marked: of when, how old, and how many features stand at the last close.

What is said in them is said elsewhere, by the functions that say it at a close.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from trading_dag.features.running_session import KnownFeatures
from trading_dag.schemas import PROVISIONAL, PROVISIONAL_OPPORTUNITIES, Table
from trading_dag.served_models import SERVED_DIRECTION, SERVED_PRICE

_MINUTE: Final = pd.Timedelta(minutes=1)


def provisional_rows(
    said: pd.DataFrame,
    direction: pd.DataFrame,
    price: pd.DataFrame,
    *,
    head: Mapping[str, Any],
    hours: pd.DataFrame,
    known: KnownFeatures,
    chain_as_of: pd.Timestamp | None,
) -> pd.DataFrame:
    """Return rows of ``signals.provisional`` of one horizon.

    Parameters
    ----------
    said : ``signals.recommendation`` with the running session.
    direction, price : the forecasts with it.
    head : session, as_of and computed_at.
    hours : its hours so far.
    known : how its features are known.
    chain_as_of : when its chain was quoted; None without one.
    """
    rows = said[said["session"] == head["session"]]
    forecast = _served(direction, SERVED_DIRECTION, head["session"])
    level = _served(price, SERVED_PRICE, head["session"])
    if len(rows):
        level = level[level["target_session"] == rows["target_session"].iloc[0]]
    marked = {
        **_marks(head),
        "bars": len(hours),
        "spot": float(hours["close"].iloc[-1]),
        "chain_as_of": chain_as_of if chain_as_of is not None else pd.NaT,
        "features_so_far": known.so_far,
        "features_of_range": known.of_range,
        "features_at_last_close": known.at_last_close,
        "features_missing": known.missing,
        "probability_up": _first(forecast, "probability_up"),
        "forecast_price": _first(level, "y_pred"),
        "quantile_05": _first(level, "quantile_05"),
        "quantile_95": _first(level, "quantile_95"),
    }
    return _in_table(rows.assign(**marked), PROVISIONAL)


def provisional_opportunities(offered: pd.DataFrame, *, head: Mapping[str, Any]) -> pd.DataFrame:
    """Return rows of ``signals.provisional_opportunities`` from those of ``signals.opportunities`` of the session."""
    return _in_table(offered.assign(**_marks(head)), PROVISIONAL_OPPORTUNITIES)


def _marks(head: Mapping[str, Any]) -> dict[str, Any]:
    delay = (head["computed_at"] - head["as_of"]) / _MINUTE
    return {**head, "is_provisional": True, "delay_minutes": float(delay)}


def _served(forecasts: pd.DataFrame, model: str, session: pd.Timestamp) -> pd.DataFrame:
    return forecasts[(forecasts["model"] == model) & (forecasts["session"] == session)]


def _first(rows: pd.DataFrame, name: str) -> float:
    return float(rows[name].iloc[0]) if len(rows) else float("nan")


def _in_table(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    return rows[list(table.column_names)].reset_index(drop=True)
