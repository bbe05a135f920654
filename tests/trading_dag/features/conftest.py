"""Real frames in the shape of the raw tables, and a factory of small price frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trading_dag.releases.publication_lags import known_on
from trading_dag.schemas import MACRO_SERIES
from trading_dag.sessions import is_session, sessions_between

PricesFactory = Callable[..., pd.DataFrame]


@pytest.fixture(scope="session")
def make_prices() -> PricesFactory:
    """A seeded random walk on real sessions in the shape of raw.prices_daily; columns can be replaced."""

    def make(n_sessions: int = 400, *, seed: int = 7, first: str = "2015-01-02", **columns: object) -> pd.DataFrame:
        generator = np.random.default_rng(seed)
        sessions = sessions_between(first, "2024-12-31")[:n_sessions]
        n = len(sessions)
        close = 100 * np.exp(np.cumsum(generator.normal(0.0004, 0.012, n)))
        start = close * np.exp(generator.normal(0, 0.006, n))
        spread = np.exp(np.abs(generator.normal(0, 0.005, n)))
        frame = pd.DataFrame(
            {
                "ticker": pd.Series(["SPY"] * n, dtype="str"),
                "session": sessions,
                "open": start,
                "high": np.maximum(start, close) * spread,
                "low": np.minimum(start, close) / spread,
                "close": close,
                "adj_close": close,
                "volume": np.round(generator.lognormal(15, 0.5, n)),
                "split_factor": 1.0,
                "dividend": 0.0,
            }
        )
        return frame.assign(**columns)

    return make


def _prices_of(real_data: Path, ticker: str) -> pd.DataFrame:
    prices = pd.read_parquet(real_data / "prices_daily.parquet")
    prices = prices[prices["ticker"] == ticker].reset_index(drop=True)
    prices["session"] = pd.to_datetime(prices["session"]).astype("datetime64[us]")
    return prices.assign(volume=prices["volume"].astype("float64"), split_factor=1.0, dividend=0.0)


@pytest.fixture(scope="session")
def spy_prices(real_data: Path) -> pd.DataFrame:
    return _prices_of(real_data, "SPY")


@pytest.fixture(scope="session")
def qqq_prices(real_data: Path) -> pd.DataFrame:
    return _prices_of(real_data, "QQQ")


@pytest.fixture(scope="session")
def vix_index(real_data: Path) -> pd.DataFrame:
    """VIX with VIX3M as found, rows on exchange holidays included."""
    every = pd.read_parquet(real_data / "volatility_index.parquet")
    every["session"] = pd.to_datetime(every["session"]).astype("datetime64[us]")
    vix3m = every.loc[every["symbol"] == "VIX3M", ["session", "close"]].rename(columns={"close": "vix3m_close"})
    vix = every[every["symbol"] == "VIX"].merge(vix3m, on="session", how="left")
    vix.insert(0, "ticker", pd.Series("SPY", index=vix.index, dtype="str"))
    return vix.dropna(subset=["close"]).reset_index(drop=True)


@pytest.fixture(scope="session")
def raw_macro(real_data: Path) -> pd.DataFrame:
    macro = pd.read_parquet(real_data / "macro.parquet").dropna(subset=["value"])
    macro = macro[macro["series_id"].isin(MACRO_SERIES)].reset_index(drop=True)
    macro["observation_date"] = pd.to_datetime(macro["observation_date"]).astype("datetime64[us]")
    parts = [
        rows.assign(known_on=known_on(str(name), pd.DatetimeIndex(rows["observation_date"])))
        for name, rows in macro.groupby("series_id")
    ]
    return pd.concat(parts, ignore_index=True).assign(vintage="latest_vintage")


@pytest.fixture(scope="session")
def spx_prices() -> pd.DataFrame:
    """S&P 500, 1999–2018, from the arch package: opens equal the previous close until about 2006."""
    from arch.data import sp500

    bars = sp500.load().reset_index()
    bars.columns = ["session", "open", "high", "low", "close", "adj_close", "volume"]
    bars["session"] = bars["session"].astype("datetime64[us]")
    bars.insert(0, "ticker", pd.Series("SPX", index=bars.index, dtype="str"))
    return bars.assign(volume=bars["volume"].astype("float64"), split_factor=1.0, dividend=0.0)


@pytest.fixture(scope="session")
def comp_prices() -> pd.DataFrame:
    """Nasdaq Composite, 1999–2018, from the arch package."""
    from arch.data import nasdaq

    bars = nasdaq.load().reset_index()
    bars.columns = ["session", "open", "high", "low", "close", "adj_close", "volume"]
    bars["session"] = bars["session"].astype("datetime64[us]")
    bars.insert(0, "ticker", pd.Series("COMP", index=bars.index, dtype="str"))
    return bars.assign(volume=bars["volume"].astype("float64"), split_factor=1.0, dividend=0.0)


@pytest.fixture(scope="session")
def sample_vix() -> pd.DataFrame:
    """VIX closes 2014–2018 from the arch package, on sessions; no VIX3M."""
    from arch.data import vix

    index = vix.load().reset_index()
    index.columns = ["session", "close"]
    index["session"] = index["session"].astype("datetime64[us]")
    index = index[is_session(pd.DatetimeIndex(index["session"])).to_numpy()].reset_index(drop=True)
    index.insert(0, "ticker", pd.Series("SPX", index=index.index, dtype="str"))
    return index.assign(symbol="VIX", open=np.nan, high=np.nan, low=np.nan, vix3m_close=np.nan)
