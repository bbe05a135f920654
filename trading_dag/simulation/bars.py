"""Hourly and daily bars of a simulated path. The daily bar combines the hourly ones, exact to the cent."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.simulation.paths import Path, SimulatedMarket
from trading_dag.simulation.streams import stream
from trading_dag.simulation.timeline import BARS, split_session

_TICK_DIGITS: Final = 2


def hourly_bars(market: SimulatedMarket, path: Path) -> pd.DataFrame:
    """Return hourly bars from 09:30 New York, split-adjusted; the last one of a session lasts half an hour.

    Highs and lows are drawn from the law of a Brownian bridge between open and close.

    Returns
    -------
    pd.DataFrame : ``session``, ``ts`` (start, UTC), ``open``, ``high``, ``low``, ``close`` USD, ``volume`` shares.
        Known when the bar ends.

    References
    ----------
    Glasserman, Monte Carlo Methods in Financial Engineering (2004), section 6.4 (the maximum of a bridge).
    """
    times = market.times
    n = len(times)
    seed, ticker = market.settings.seed, path.underlying.ticker
    is_bar = np.arange(BARS) < times.bars[:, np.newaxis]
    opens, closes = path.levels[:, :-1], path.levels[:, 1:]
    reach = stream(seed, ticker, "extremes").random((n, BARS, 2))
    spread = 2.0 * path.scales[:, 1:] ** 2
    # 1 − u lies in (0, 1], so its logarithm is finite.
    up, down = (np.sqrt((closes - opens) ** 2 - spread * np.log1p(-reach[:, :, side])) for side in (0, 1))
    middle = opens + closes
    prices = {"open": opens, "high": 0.5 * (middle + up), "low": 0.5 * (middle - down), "close": closes}
    columns = {name: np.round(np.exp(values[is_bar]), _TICK_DIGITS) for name, values in prices.items()}
    return pd.DataFrame({
        "session": times.sessions.repeat(times.bars),
        "ts": times.bar_starts(),
        **columns,
        "volume": _volumes(market, path)[is_bar],
    })  # fmt: skip


def daily_bars(market: SimulatedMarket, path: Path, hourly: pd.DataFrame) -> pd.DataFrame:
    """Return the hourly bars combined by session, with dividends and splits.

    Prices are in shares of today throughout, as vendors restate them: a split shows in ``split_factor`` alone.
    ``adj_close`` equals the close at the first session and grows with each dividend from there, so that a later
    dividend changes no earlier row.

    Parameters
    ----------
    hourly : as ``hourly_bars`` gives them.

    Returns
    -------
    pd.DataFrame : columns of ``raw.prices_daily``, one row a session. Known at the session's close.
    """
    by_session = hourly.groupby("session", sort=True)
    daily = by_session.agg(
        open=("open", "first"),
        high=("high", "max"),
        low=("low", "min"),
        close=("close", "last"),
        volume=("volume", "sum"),
    ).reset_index()
    split = split_session(path.underlying, market.settings)
    grown = np.cumprod(1.0 / (1.0 - path.dividends))
    return daily.assign(
        ticker=path.underlying.ticker,
        adj_close=daily["close"] * grown / grown[0],
        split_factor=np.where(daily["session"] == split, path.underlying.split_ratio, 1.0),
        dividend=np.round(np.exp(path.start) * path.dividends, 6),
    )


def _volumes(market: SimulatedMarket, path: Path) -> FloatArray:
    """Return the shares of each bar, whole numbers, (n, 7): more where variance falls and where the price moved."""
    n = len(market.times)
    noise = stream(market.settings.seed, path.underlying.ticker, "volume").standard_normal((n, BARS + 1))
    moved = np.abs(np.diff(path.levels, axis=1)) / np.maximum(path.scales[:, 1:], 1e-9)
    busy = np.exp(0.25 * noise[:, :1] + 0.2 * noise[:, 1:] + 0.2 * np.minimum(moved, 6.0) - 0.2)
    return np.round(path.underlying.daily_volume * market.times.shares[:, 1:] * busy)
