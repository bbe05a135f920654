"""predictions.log: what was said on the day, one row appended for each session that is forecast.

Here belongs what a row holds, and whether it was recorded before its outcome could be known. A row that is there is
never touched: neither by the same models, nor by ones that were fitted later, which add a row of their own. How the
rows are kept stands in ``resources.storage.append_only``, how they are scored in ``validation.verdicts.live``.
"""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from trading_dag.frames import require_columns, table_frame
from trading_dag.freshness import is_sample
from trading_dag.schemas import (
    IMPLIED_VOLATILITY,
    IV_REGIMES,
    PREDICTIONS_DIRECTION,
    PREDICTIONS_LOG,
    PREDICTIONS_VOLATILITY,
    RECOMMENDATION,
)
from trading_dag.served_models import SERVED_DIRECTION, SERVED_VOLATILITY
from trading_dag.sessions import session_close, session_open, shift_sessions
from trading_dag.simulation.simulation_settings import is_simulated
from trading_dag.slices import Horizon
from trading_dag.strategy.rules import served_rows
from trading_dag.validation.scores.baselines import CLASS_PRIOR, CLIMATOLOGY

NO_MODEL: Final = "none"
LIVE_TIMINGS: Final = ("before_next_open", "before_target")
_SAID: Final = ("direction", "iv_regime", "rule", "design_size", "edge", "position_size", "contracts", "legs",
                "expiration", "max_loss_usd", "reasoning", "direction_confidence", "target_session", "model_version",
                "iv_source", "own_iv_rank", "chain_iv_rank", "forecast_probability_of_profit", "expected_profit_usd",
                "spread_opinion", "underlying_position")  # fmt: skip


def with_newest(
    log: pd.DataFrame,
    recommendation: pd.DataFrame,
    direction: pd.DataFrame,
    volatility: pd.DataFrame,
    implied_volatility: pd.DataFrame,
    *,
    source: str,
    horizon: Horizon,
    recorded_at: pd.Timestamp,
) -> pd.DataFrame:
    """Append what is said of the newest session, unless the same models have said something of it already.

    Parameters
    ----------
    log : predictions.log of the slice as it is stored.
    recommendation, direction, volatility : the signals and the forecasts behind them. Only the newest session of
        the signals is recorded, by the rule that is served: of the earlier ones nobody
        can say now what was said then.
    implied_volatility : session, iv_rank, iv_hv_spread.
    source : where the data come from.
    recorded_at : the present, UTC.

    Returns
    -------
    predictions.log in the order of its key. Every row of ``log`` is in it, unchanged.

    Raises
    ------
    SchemaError : for a missing column.
    """
    require_columns(log, PREDICTIONS_LOG.qualified_name, columns=PREDICTIONS_LOG.column_names)
    require_columns(recommendation, RECOMMENDATION.qualified_name, columns=RECOMMENDATION.column_names)
    require_columns(
        implied_volatility, IMPLIED_VOLATILITY.qualified_name, columns=("session", "iv_rank", "iv_hv_spread")
    )
    served = served_rows(recommendation)
    if served.empty:
        return log
    said = served.sort_values("session").iloc[-1].to_dict()
    session = pd.Timestamp(said["session"])
    timing = timing_of(
        session, pd.Timestamp(said["target_session"]), horizon=horizon, recorded_at=recorded_at,
        last_recorded_at=log["recorded_at"].max() if len(log) else None,
    )  # fmt: skip
    values = {
        **{name: said[name] for name in _SAID},
        "ticker": said["ticker"],
        "horizon": horizon.key,
        "session": session,
        "recorded_at": recorded_at,
        "source": source,
        "timing": timing,
        "is_live": timing in LIVE_TIMINGS and has_a_future(source),
        "structure": said["strategy"],
        **_of_direction(direction, session),
        **_of_volatility(volatility, session),
        **_at(implied_volatility, session, columns=("iv_rank", "iv_hv_spread")),
    }
    row = table_frame(PREDICTIONS_LOG, {name: [value] for name, value in values.items()}, rows=1)
    if log.empty:
        return row
    key = list(PREDICTIONS_LOG.key)
    if (log[key] == row[key].iloc[0]).all(axis=1).any():
        return log
    # The dtypes of what is stored, so that no value of it is cast.
    whole = pd.concat([log, row.astype(log.dtypes.to_dict())], ignore_index=True)
    return whole.sort_values(key, kind="stable", ignore_index=True)


def timing_of(
    session: pd.Timestamp,
    target_session: pd.Timestamp,
    *,
    horizon: Horizon,
    recorded_at: pd.Timestamp,
    last_recorded_at: pd.Timestamp | None = None,
) -> str:
    """Return when a forecast was recorded, seen from its outcome: a value of the column ``timing``.

    A horizon of 12h ends at the open of its target session, the others at the close. The next open counts with the
    time after it.

    Parameters
    ----------
    recorded_at, last_recorded_at : the present, and the latest record before, UTC.
    """
    has_gone_back = last_recorded_at is not None and recorded_at < last_recorded_at
    if has_gone_back or recorded_at < session_close(session):
        return "clock_unsure"
    ends = session_open(target_session) if horizon.target_field == "open" else session_close(target_session)
    if recorded_at >= ends:
        return "after_target"
    next_session = shift_sessions(pd.DatetimeIndex([session]), 1)[0]
    return "before_next_open" if recorded_at < session_open(next_session) else "before_target"


def has_a_future(source: str) -> bool:
    """Return whether outcomes of a source are open; those of the sample lie in a package, simulated ones in a seed."""
    return not is_simulated(source) and not is_sample(source)


def _of_direction(direction: pd.DataFrame, session: pd.Timestamp) -> dict[str, Any]:
    require_columns(direction, PREDICTIONS_DIRECTION.qualified_name, columns=PREDICTIONS_DIRECTION.column_names)
    columns = ("probability_up", "threshold", "fitted_through")
    usual = _at(direction[direction["model"] == CLIMATOLOGY], session, columns=("probability_up",))
    return {
        "direction_model": SERVED_DIRECTION,
        **_at(direction[direction["model"] == SERVED_DIRECTION], session, columns=columns),
        "usual_probability_up": usual["probability_up"],
    }


def _of_volatility(volatility: pd.DataFrame, session: pd.Timestamp) -> dict[str, Any]:
    require_columns(volatility, PREDICTIONS_VOLATILITY.qualified_name, columns=PREDICTIONS_VOLATILITY.column_names)
    names = tuple(f"probability_{regime.lower()}" for regime in IV_REGIMES)
    own = _at(
        volatility[volatility["model"] == SERVED_VOLATILITY],
        session,
        columns=("model_version", "current_regime", *names),
    )
    usual = _at(volatility[volatility["model"] == CLASS_PRIOR], session, columns=names)
    version = own.pop("model_version")
    return {
        "volatility_model": None if version is None else SERVED_VOLATILITY,
        "volatility_model_version": version or NO_MODEL,
        **own,
        **{f"usual_{name}": value for name, value in usual.items()},
    }


def _at(frame: pd.DataFrame, session: pd.Timestamp, *, columns: tuple[str, ...]) -> dict[str, Any]:
    """The columns' values at a session, None where there is no such row, or no value."""
    found = frame.loc[frame["session"] == session, list(columns)]
    values = found.iloc[0].to_dict() if len(found) else {}
    return {name: None if pd.isna(values.get(name)) else values[name] for name in columns}
