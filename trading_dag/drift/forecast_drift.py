"""How far what the served models say has moved: the index of ``psi`` on their forecasts instead of on features.

Here belongs which columns of the predictions tables count. A forecast can move without any single feature being beyond
its limit, and features can move without moving a forecast.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.drift.psi import drift_report
from trading_dag.frames import require_columns
from trading_dag.schemas import IV_REGIMES, PREDICTIONS_DIRECTION, PREDICTIONS_PRICE, PREDICTIONS_VOLATILITY, Table
from trading_dag.served_models import SERVED_DIRECTION, SERVED_PRICE, SERVED_VOLATILITY
from trading_dag.setting_groups import DriftSettings
from trading_dag.slices import Horizon

_OF_REGIMES: Final = tuple(f"probability_{name.lower()}" for name in IV_REGIMES)
DIRECTION_COLUMNS: Final = ("session", "model", "probability_up")
VOLATILITY_COLUMNS: Final = ("session", "model", *_OF_REGIMES)
PRICE_COLUMNS: Final = ("session", "model", "sessions_ahead", "close", "interval_low", "interval_high")


def forecast_drift_report(
    direction: pd.DataFrame,
    volatility: pd.DataFrame,
    price: pd.DataFrame,
    *,
    horizon: Horizon,
    as_of: pd.Timestamp,
    fitted_through: pd.Timestamp,
    settings: DriftSettings,
) -> pd.DataFrame:
    """Return how far each kind of forecast has moved from those up to the end of the training window.

    Parameters
    ----------
    direction, volatility, price : predictions tables of one slice with at least ``DIRECTION_COLUMNS``,
        ``VOLATILITY_COLUMNS``, ``PRICE_COLUMNS``; of any number of models.
    horizon : rows of price that look further ahead are left out.
    as_of : the session that is reported on. Of a table that has no forecast of it yet nothing is said.
    fitted_through : last session that the live model has seen.
    settings : as for features.

    Returns
    -------
    Rows of monitoring.drift without ticker and horizon, of kind ``prediction``: the probability of a rise, of each IV
    regime, and the width of the 90 % interval as a share of the close. The forecasts of the training window are those
    that the walk-forward folds made out of sample, so they come from other fits than the newest.

    Raises
    ------
    SchemaError : for a missing column.
    """
    said = (
        (PREDICTIONS_DIRECTION, direction, DIRECTION_COLUMNS, SERVED_DIRECTION),
        (PREDICTIONS_VOLATILITY, volatility, VOLATILITY_COLUMNS, SERVED_VOLATILITY),
        (PREDICTIONS_PRICE, price, PRICE_COLUMNS, SERVED_PRICE),
    )
    reports = []
    for table, frame, columns, model in said:
        values = _by_session(table, frame, columns, model=model, horizon=horizon)
        values = values[values["session"] <= as_of].reset_index(drop=True)
        if len(values) and values["session"].iloc[-1] == as_of:
            names = [name for name in values.columns if name != "session"]
            reports.append(drift_report(values, fitted_through=fitted_through, settings=settings, feature_names=names))
    nothing = drift_report(
        pd.DataFrame({"session": pd.Series(dtype="datetime64[us]")}), fitted_through=fitted_through, settings=settings
    )
    found = pd.concat(reports, ignore_index=True) if reports else nothing
    return found.assign(kind="prediction")


def _by_session(
    table: Table, frame: pd.DataFrame, columns: tuple[str, ...], *, model: str, horizon: Horizon
) -> pd.DataFrame:
    """What the model says by session, a column for each thing, named after its task."""
    require_columns(frame, table.qualified_name, columns=columns)
    rows = frame[frame["model"] == model]
    if "sessions_ahead" in columns:
        rows = rows[rows["sessions_ahead"] == horizon.target_offset]
        width = (rows["interval_high"] - rows["interval_low"]).to_numpy(dtype=np.float64)
        told = {"interval_width": width / rows["close"].to_numpy(dtype=np.float64)}
    else:
        told = {name: rows[name].to_numpy(dtype=np.float64) for name in columns[2:]}
    named = {f"{table.name}.{name}": values for name, values in told.items()}
    return pd.DataFrame({"session": rows["session"].to_numpy(), **named}).sort_values("session", ignore_index=True)
