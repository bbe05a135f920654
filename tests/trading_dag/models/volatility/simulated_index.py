"""A volatility index whose truth is known: ln x is an autoregression on its weekly, monthly and quarterly means."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trading_dag.frames import table_frame
from trading_dag.labels import iv_regime_of
from trading_dag.schemas import FEATURE_TABLE, TARGETS
from trading_dag.sessions import sessions_between, target_sessions
from trading_dag.slices import horizon_of

PULL = (0.10, 0.04, 0.02)
NOISE = 0.06


def simulate_logs(n: int, *, generator: np.random.Generator) -> np.ndarray:
    """ln x: each day pulled towards its means over 5, 22 and 60 days, with noise that comes in restless spells."""
    logs = np.full(n, np.log(18.0))
    spell = 1.0
    for day in range(60, n):
        past = logs[day - 60 : day]
        pull = sum(share * (past[-window:].mean() - past[-1]) for share, window in zip(PULL, (5, 22, 60), strict=True))
        spell = 0.98 * spell + 0.02 + 0.05 * spell * generator.normal()
        logs[day] = past[-1] + pull + 0.01 * (np.log(18.0) - past[-1]) + NOISE * max(spell, 0.3) * generator.normal()
    return logs


def index_slice(
    n: int = 2_400, *, seed: int = 0, horizon: str = "72h", closes: np.ndarray | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Feature table and labels of one ticker on such an index, or on given closes; other features are not known."""
    at = horizon_of(horizon)
    x = pd.Series(np.exp(simulate_logs(n, generator=np.random.default_rng(seed))) if closes is None else closes)
    n = len(x)
    low, high = x.rolling(252).min(), x.rolling(252).max()
    rank = (x - low) / (high - low).where(high > low) * 100
    sessions = sessions_between("2000-01-03", "2024-12-31")[:n]
    features = table_frame(
        FEATURE_TABLE,
        {"ticker": "SPY", "session": sessions, "vix_close": x.to_numpy(), "iv_rank": rank.to_numpy()},
        rows=n,
    )
    labelled = n - at.target_offset
    targets = table_frame(
        TARGETS,
        {
            "ticker": "SPY",
            "horizon": horizon,
            "session": sessions[:labelled],
            "target_session": target_sessions(sessions[:labelled], at),
            "target_price": 100.0,
            "forward_return": 0.0,
            "direction": "AMBIGUOUS",
            "iv_regime": iv_regime_of(rank.to_numpy()[at.target_offset :]).to_numpy(),
        },
        rows=labelled,
    )
    return features, targets
