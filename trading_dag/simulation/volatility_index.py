"""The simulated volatility index: the level of the variance swap on the underlying, for one month and for three."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.day_count import SESSIONS_PER_YEAR
from trading_dag.sessions import all_sessions
from trading_dag.simulation.paths import Path, SimulatedMarket
from trading_dag.simulation.streams import stream
from trading_dag.simulation.transform_pricing import expected_variance, priced_state

MONTH_SESSIONS: Final = 21
QUARTER_SESSIONS: Final = 63
_OPEN_WEIGHT: Final = 0.3


def index_levels(market: SimulatedMarket, path: Path, *, sessions_ahead: int) -> FloatArray:
    """Return 100 × √(expected variance a year under the pricing measure), at each session's close, (n,).

    The window is a fixed number of sessions, so that no weekend shows in it.
    """
    n = len(market.times)
    years = np.full(n, sessions_ahead / SESSIONS_PER_YEAR)
    state = priced_state(path.underlying, market_now=0.0, own_now=0.0, fair=market.settings.fair)
    base = expected_variance(state, years=years, announcements=announcements_ahead(market, path, sessions_ahead))
    total = base + sum(
        now * -np.expm1(-process.priced_reversion * years) / process.priced_reversion
        for (process, _), now in zip(state.variances, _variances_at_close(path, market), strict=False)
    )
    levels: FloatArray = 100.0 * np.sqrt(total / years)
    return levels


def index_bars(market: SimulatedMarket, path: Path) -> pd.DataFrame:
    """Return one row per session: ``session``, ``open``, ``high``, ``low``, ``close``, ``vix3m_close``, volatility
    points.

    The close and the three-month close are the model's; the open lies between two closes, and high and low beyond
    open and close by a drawn distance. Known at the session's close.
    """
    close = index_levels(market, path, sessions_ahead=MONTH_SESSIONS)
    before = np.concatenate([close[:1], close[:-1]])
    start = before ** (1.0 - _OPEN_WEIGHT) * close**_OPEN_WEIGHT
    reach = np.abs(stream(market.settings.seed, path.underlying.ticker, "index").standard_normal((len(close), 2)))
    return pd.DataFrame({
        "session": market.times.sessions,
        "open": np.round(start, 2),
        "high": np.round(np.maximum(start, close) * (1.0 + 0.015 * reach[:, 0]), 2),
        "low": np.round(np.minimum(start, close) / (1.0 + 0.015 * reach[:, 1]), 2),
        "close": np.round(close, 2),
        "vix3m_close": np.round(index_levels(market, path, sessions_ahead=QUARTER_SESSIONS), 2),
    })  # fmt: skip


def announcements_ahead(market: SimulatedMarket, path: Path, sessions_ahead: int) -> FloatArray:
    """Return the number of announcements that take effect within so many sessions after each session, (n,)."""
    events = path.announced
    here = np.asarray(all_sessions().get_indexer(market.times.sessions))
    until = np.searchsorted(events, here + sessions_ahead, side="right")
    return np.asarray(until - np.searchsorted(events, here, side="right"), dtype=np.float64)


def _variances_at_close(path: Path, market: SimulatedMarket) -> tuple[FloatArray, FloatArray]:
    return path.underlying.beta**2 * market.factor.variance[1:], path.own.variance[1:]
