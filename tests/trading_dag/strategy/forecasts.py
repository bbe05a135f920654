"""Signals and forecasts of a few sessions, as the prediction log reads them."""

from __future__ import annotations

import pandas as pd

from trading_dag.frames import table_frame
from trading_dag.schemas import (
    IMPLIED_VOLATILITY,
    PREDICTIONS_DIRECTION,
    PREDICTIONS_LOG,
    PREDICTIONS_VOLATILITY,
    RECOMMENDATION,
)
from trading_dag.served_models import SERVED_VOLATILITY
from trading_dag.sessions import sessions_between, target_sessions
from trading_dag.slices import Horizon

SESSIONS = sessions_between("2024-03-01", "2024-03-12")


def no_log() -> pd.DataFrame:
    return table_frame(PREDICTIONS_LOG, {}, rows=0)


def forecasts(
    horizon: Horizon, *, through: int = len(SESSIONS), version: str = "aaaa0001", probability: float = 0.6
) -> dict[str, pd.DataFrame]:
    """What the log reads, of the first sessions, by models of one version."""
    days = SESSIONS[:through]
    rows = len(days)
    head = {"ticker": "SPY", "horizon": horizon.key, "session": days, "target_session": target_sessions(days, horizon)}
    made = {**head, "fold": 6, "fitted_through": days - pd.Timedelta(days=7), "is_out_of_sample": True}
    up = {"y_pred": "UP", "threshold": 0.5, "probability_event": "rise"}
    of_model = {"is_baseline": False, "model_version": version}
    direction = [
        {**made, **up, **of_model, "model": "direction_shrunk", "probability_up": probability,
         "confidence": probability},
        {**made, **up, "model": "climatology", "probability_up": 0.55, "confidence": 0.55, "is_baseline": True},
    ]  # fmt: skip
    regimes = {"y_pred": "LOW", "current_regime": "NORMAL", "expected_change": "CONTRACTING"}
    volatility = [
        {**made, **regimes, **of_model, "model": SERVED_VOLATILITY, "confidence": 0.7,
         "probability_low": 0.7, "probability_normal": 0.2, "probability_high": 0.1},
        {**made, **regimes, "model": "class_prior", "confidence": 0.5, "is_baseline": True,
         "probability_low": 0.5, "probability_normal": 0.3, "probability_high": 0.2},
    ]  # fmt: skip
    said = {
        **head, "rule": "matrix", "is_served": True, "iv_source": "index", "chain_iv_rank": 40.0,
        "own_iv_rank": 25.0, "strategy": "long_call", "design_size": "HALF", "edge": "admissible", "position_size": 0.5,
        "direction": "UP", "iv_regime": "LOW", "direction_confidence": probability, "contracts": 3, "legs": "[]",
        "expiration": days + pd.Timedelta(days=21), "max_loss_usd": 420.0, "reasoning": "Up.", "evidence": "{}",
        "model_version": version, "volatility_model_version": version,
    }  # fmt: skip
    iv = {"ticker": "SPY", "session": days, "iv_rank": 25.0, "iv_hv_spread": -1.5}
    return {
        "recommendation": table_frame(RECOMMENDATION, said, rows=rows),
        "direction": pd.concat([table_frame(PREDICTIONS_DIRECTION, part, rows=rows) for part in direction]),
        "volatility": pd.concat([table_frame(PREDICTIONS_VOLATILITY, part, rows=rows) for part in volatility]),
        "implied_volatility": table_frame(IMPLIED_VOLATILITY, iv, rows=rows),
    }
