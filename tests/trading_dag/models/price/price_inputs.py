"""Prices whose volatility is known, and the features that the distribution of a price reads, made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trading_dag.sessions import sessions_between

SESSIONS = sessions_between("2010-01-04", "2016-12-30")


def price_inputs(
    sessions: int = 1_200, *, seed: int = 1, index: str | None = "index", volatility: np.ndarray | None = None
) -> dict[str, pd.DataFrame]:
    """Return prices, technical and implied_volatility of ``sessions`` sessions of SPY.

    Parameters
    ----------
    index : whose index it is, as in ``iv_source``; None for a history without one.
    volatility : (sessions,) annualised percent points of the session that follows each; by default it goes up and down.
    """
    generator = np.random.default_rng(seed)
    days = SESSIONS[:sessions]
    if volatility is None:
        volatility = 18.0 * np.exp(0.5 * np.sin(np.arange(sessions) / 60.0))
    moves = np.concatenate([[0.0], generator.standard_normal(sessions - 1) * volatility[:-1] / 100 / np.sqrt(252)])
    close = 100 * np.exp(np.cumsum(moves))
    overnight = np.exp(generator.standard_normal(sessions) * 0.003)
    returns = pd.Series(np.log(close)).diff()
    realized = {f"hv_{n}": (returns.rolling(n).std() * np.sqrt(252) * 100).to_numpy() for n in (5, 20, 60)}
    head = {"ticker": "SPY", "session": days}
    return {
        "prices": pd.DataFrame({**head, "open": np.roll(close, 1) * overnight, "close": close}),
        "technical": pd.DataFrame({**head, **realized}),
        "implied_volatility": pd.DataFrame(
            {
                **head,
                "vix_close": volatility * 1.1 if index else np.nan,
                "iv_source": pd.Series(index, index=range(sessions), dtype="str"),
            }
        ),
    }
