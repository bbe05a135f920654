"""What a model of the Hull Tactical data may see, and what it is to forecast. Two frames that never meet.

The publisher's file has the next day's outcome beside the features of the day. Which column is which is decided here,
once. Reading the file is elsewhere, and so is what is done about missing values (``missing_values.py``).
"""

from __future__ import annotations

import pandas as pd

from trading_dag.errors import SchemaError
from trading_dag.schemas import HULL_FEATURES, HULL_LABELS, HULL_MARKET


def hull_features(market: pd.DataFrame, names: tuple[str, ...] = HULL_FEATURES) -> pd.DataFrame:
    """Features of each day, known at its close; index ``date_id``, ascending; missing values stay missing.

    Parameters
    ----------
    market : ``raw.hull_market``.
    names : features to take.

    Raises
    ------
    SchemaError : for a name that is no feature: a label is what the next day brought and can never be one.
    """
    strangers = [name for name in names if name not in HULL_FEATURES]
    if strangers:
        what = "is a label, known only after the day" if strangers[0] in HULL_LABELS else "is no feature"
        raise SchemaError(table=HULL_MARKET.qualified_name, key=f"column={strangers[0]}", rule=what)
    return _by_day(market, list(names))


def hull_labels(market: pd.DataFrame) -> pd.DataFrame:
    """What the next day brought: forward_returns, risk_free_rate, market_forward_excess_returns; index ``date_id``.

    The row of day t is known at the close of day t + 1.
    """
    return _by_day(market, list(HULL_LABELS))


def _by_day(market: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    missing = [name for name in ("date_id", *names) if name not in market.columns]
    if missing:
        raise SchemaError(table=HULL_MARKET.qualified_name, key=f"column={missing[0]}", rule="is missing")
    days = market.set_index("date_id").sort_index()
    if days.index.has_duplicates:
        raise SchemaError(table=HULL_MARKET.qualified_name, key="date_id", rule="a day comes once")
    return days[names]
