"""Made forecasts of one slice with outcomes: the tables that accuracy and the drift of forecasts are computed from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trading_dag.frames import table_frame
from trading_dag.schemas import (
    PREDICTIONS_DIRECTION,
    PREDICTIONS_LOG,
    PREDICTIONS_PRICE,
    PREDICTIONS_VOLATILITY,
    TARGETS,
)
from trading_dag.served_models import SERVED_DIRECTION, SERVED_PRICE, SERVED_VOLATILITY
from trading_dag.sessions import all_sessions

SESSIONS = all_sessions()[5_000:]
REGIMES = ("LOW", "NORMAL", "HIGH")


def forecasts(
    rows: int, *, seed: int = 1, skill: float = 0.05, known: int | None = None, offset: int = 1
) -> dict[str, pd.DataFrame]:
    """Return predictions of direction, volatility and price, and the targets.

    Parameters
    ----------
    skill : how far the probability of a rise leans to what happens.
    known : rows whose outcome is known; the others have none.
    """
    generator = np.random.default_rng(seed)
    known = rows if known is None else known
    moves = generator.normal(0.0, 0.01, size=rows)
    regimes = np.array(REGIMES, dtype=object)[generator.integers(0, 3, size=rows)]
    rises = np.clip(0.5 + skill * np.sign(moves) + generator.normal(0, 0.02, size=rows), 0.01, 0.99)
    is_known = np.arange(rows) < known
    head = {
        "ticker": "SPY", "horizon": "24h", "session": SESSIONS[:rows],
        "target_session": SESSIONS[offset : rows + offset], "fold": 1, "fitted_through": SESSIONS[0],
        "is_out_of_sample": True,
    }  # fmt: skip
    direction = {
        **head, "y_true": np.where(is_known, np.where(moves > 0, "UP", "DOWN"), None),
        "forward_return": np.where(is_known, moves, np.nan), "y_pred": "UP", "probability_event": "rise",
        "threshold": 0.5, "confidence": 0.5,
    }  # fmt: skip
    told = generator.dirichlet([4.0, 3.0, 2.0], size=rows)
    volatility = {
        **head, "y_true": np.where(is_known, regimes, None), "current_regime": "LOW", "y_pred": "LOW",
        "confidence": 0.5, "expected_change": "STABLE",
    }  # fmt: skip
    price = {
        **head, "sessions_ahead": offset, "close": 100.0, "y_true": np.where(is_known, 100.0 * (1 + moves), np.nan),
        "forward_return": moves, "y_pred": 100.0, "interval_low": 98.4, "interval_high": 101.6, "is_baseline": False,
    }  # fmt: skip
    names = [f"probability_{name.lower()}" for name in REGIMES]
    return {
        "direction": _of_models(
            PREDICTIONS_DIRECTION, direction,
            {SERVED_DIRECTION: {"probability_up": rises}, "climatology": {"probability_up": np.full(rows, 0.5)}},
        ),
        "volatility": _of_models(
            PREDICTIONS_VOLATILITY, volatility,
            {
                SERVED_VOLATILITY: dict(zip(names, told.T, strict=True)),
                "markov": dict.fromkeys(names, 1 / 3),
                "class_prior": dict.fromkeys(names, 1 / 3),
            },
        ),
        "price": table_frame(PREDICTIONS_PRICE, {**price, "model": SERVED_PRICE}, rows=rows),
        "targets": table_frame(
            TARGETS,
            {
                "ticker": "SPY", "horizon": "24h", "session": SESSIONS[:known],
                "target_session": SESSIONS[offset : known + offset], "target_price": 100.0,
                "forward_return": moves[:known], "direction": np.where(moves[:known] > 0, "UP", "DOWN"),
                "iv_regime": regimes[:known], "spread_class": "HOLD",
            },
            rows=known,
        ),
    }  # fmt: skip


def _of_models(table, common: dict, models: dict[str, dict]) -> pd.DataFrame:
    parts = [
        table_frame(
            table,
            {**common, **own, "model": model, "is_baseline": position > 0, "model_version": None if position else "a1"},
            rows=len(common["session"]),
        )
        for position, (model, own) in enumerate(models.items())
    ]
    return pd.concat(parts).sort_values(list(table.key), ignore_index=True)


def log_of(made: dict[str, pd.DataFrame], positions: np.ndarray, *, probability_up: float = 0.9) -> pd.DataFrame:
    """Return live records of some sessions, by position, that say something else than the forecasts that were made."""
    rows = len(positions)
    sessions = SESSIONS[positions]
    values = {
        "ticker": "SPY", "horizon": "24h", "session": sessions, "target_session": SESSIONS[positions + 1],
        "recorded_at": pd.DatetimeIndex(sessions).tz_localize("UTC") + pd.Timedelta(hours=23), "source": "files",
        "timing": "before_next_open", "is_live": True, "direction_model": SERVED_DIRECTION, "model_version": "a1",
        "fitted_through": SESSIONS[0], "direction": "UP", "probability_up": probability_up, "threshold": 0.5,
        "direction_confidence": 0.9, "usual_probability_up": 0.5, "volatility_model": SERVED_VOLATILITY,
        "volatility_model_version": "b1", "iv_regime": "LOW", "current_regime": "LOW", "structure": "no_trade",
        "edge": "no_edge", "position_size": 0.0, "reasoning": "none",
        **{f"{usual}probability_{name.lower()}": 1 / 3 for name in REGIMES for usual in ("", "usual_")},
    }  # fmt: skip
    return table_frame(PREDICTIONS_LOG, values, rows=rows)
