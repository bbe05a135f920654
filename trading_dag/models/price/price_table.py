"""The shape of predictions.price: rows of several models in one table.

Here belongs what every forecast of a price has in common, whoever makes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from trading_dag.frames import table_frame
from trading_dag.schemas import FAR_SESSIONS, PREDICTIONS_PRICE
from trading_dag.slices import Horizon


def horizons_of_slice(horizon: Horizon) -> tuple[Horizon, ...]:
    """Return what the rows of a slice look ahead to: its own horizon, and in the slice 168h the far ones besides.

    The far ones carry the key of the slice in which they stand.
    """
    if horizon.key != "168h":
        return (horizon,)
    return (horizon, *(Horizon(horizon.key, ahead, "close", ahead, float(ahead)) for ahead in FAR_SESSIONS))


def price_table(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of several models as one predictions.price, ascending by its key.

    Parameters
    ----------
    parts : frames with the columns of predictions.price; those without rows do not count. Where one leaves out
        ``volatility_third``, which is a fact of the session, it takes that of the others.
    """
    filled = [part for part in parts if len(part)]
    if not filled:
        return table_frame(PREDICTIONS_PRICE, {}, rows=0)
    rows = pd.concat(filled).sort_values(list(PREDICTIONS_PRICE.key), kind="stable", ignore_index=True)
    of_session = rows.groupby("session")["volatility_third"].first()
    return rows.assign(volatility_third=rows["volatility_third"].fillna(rows["session"].map(of_session)))
