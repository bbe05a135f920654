"""Frames for the rules: real bars where the data folder is there, the sample's bars always."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trading_dag.quality import QualityContext, empty_frame
from trading_dag.schemas import IMPLIED_VOLATILITY, PRICES_DAILY, VOLATILITY_INDEX
from trading_dag.sessions import all_sessions


class Market:
    """Tables of one underlying as the sources give them."""

    def __init__(self, prices: pd.DataFrame, index: pd.DataFrame) -> None:
        self.prices = prices
        self.index = index[index["session"] <= prices["session"].iloc[-1]]  # the sample's VIX runs two sessions on

    @property
    def ticker(self) -> str:
        return str(self.prices["ticker"].iloc[0])

    def context(self, **more: object) -> QualityContext:
        return QualityContext(now_session=self.prices["session"].iloc[-1], **more)  # type: ignore[arg-type]

    def returns(self) -> pd.DataFrame:
        log_close = np.log(self.prices["close"])
        return pd.DataFrame({"session": self.prices["session"], "log_return_1d": log_close.diff()})

    def implied_volatility(self, late: int = 0, since: int = 0) -> pd.DataFrame:
        """The feature table's index columns; ``late`` shifts the index from row ``since`` on."""
        close = self.index.set_index("session")["close"].reindex(self.prices["session"]).reset_index(drop=True)
        held = close.notna()
        filled = close.ffill(limit=10)
        age = (~held).astype("float64").groupby(held.cumsum()).cumsum()
        shifted = filled.shift(late)
        shifted.iloc[:since] = filled.iloc[:since]
        frame = empty_frame(IMPLIED_VOLATILITY).reindex(range(len(close)))
        frame["ticker"] = self.ticker
        frame["session"] = self.prices["session"]
        frame["vix_close"] = shifted
        frame["vix_filled_sessions"] = age.where(shifted.notna() & (age <= 10))
        return frame


def _bars(frame: pd.DataFrame, ticker: str) -> pd.DataFrame:
    frame = frame.assign(ticker=ticker, split_factor=np.nan, dividend=np.nan)
    frame["session"] = pd.to_datetime(frame["session"]).astype("datetime64[us]")
    return frame.sort_values("session", ignore_index=True)[list(PRICES_DAILY.column_names)]


def _index(frame: pd.DataFrame, ticker: str) -> pd.DataFrame:
    frame = frame.assign(ticker=ticker)
    frame["session"] = pd.to_datetime(frame["session"]).astype("datetime64[us]")
    for name in VOLATILITY_INDEX.column_names:
        if name not in frame:
            frame[name] = np.nan
    frame = frame[frame["session"].isin(all_sessions())]
    return frame.sort_values("session", ignore_index=True)[list(VOLATILITY_INDEX.column_names)]


@pytest.fixture(scope="session")
def sample_market() -> Market:
    """S&P 500 and VIX as they come inside the package arch."""
    import arch.data.sp500
    import arch.data.vix

    bars = arch.data.sp500.load().rename_axis("session").reset_index()
    bars.columns = [name.lower().replace(" ", "_") for name in bars.columns]
    index = arch.data.vix.load().rename_axis("session").reset_index().rename(columns={"vix": "close"})
    return Market(_bars(bars, "SPX"), _index(index.assign(symbol="VIX"), "SPX"))


@pytest.fixture(scope="session")
def markets(real_data: Path) -> dict[str, Market]:
    """Every real underlying with the index that belongs to it."""
    prices = pd.read_parquet(real_data / "prices_daily.parquet")
    index = pd.read_parquet(real_data / "volatility_index.parquet")
    symbols = {ticker: "VXN" if ticker == "QQQ" else "VIX" for ticker in prices["ticker"].unique()}
    return {
        ticker: Market(
            _bars(prices[prices["ticker"] == ticker], ticker), _index(index[index["symbol"] == symbol], ticker)
        )
        for ticker, symbol in symbols.items()
    }


@pytest.fixture(params=["sample", pytest.param("SPY", marks=pytest.mark.files_data)])
def market(request: pytest.FixtureRequest) -> Market:
    """The sample's S&P 500, and SPY where the real data is there."""
    if request.param == "sample":
        return request.getfixturevalue("sample_market")  # type: ignore[no-any-return]
    return request.getfixturevalue("markets")[request.param]  # type: ignore[no-any-return]
