"""The data that come with the package arch, as raw tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from resources.sources.sample import SampleSource
from trading_dag.errors import EmptySourceError, UnknownTickerError
from trading_dag.quality.conformance import conform
from trading_dag.schemas import MACRO, PRICES_DAILY, VOLATILITY_INDEX
from trading_dag.sessions import is_session, sessions_between

SOURCE = SampleSource()


@pytest.mark.parametrize(("ticker", "module"), [("SPX", "sp500"), ("COMP", "nasdaq")])
def test_bars_are_those_that_arch_loads(ticker: str, module: str) -> None:
    from importlib import import_module

    expected = import_module(f"arch.data.{module}").load()
    bars = SOURCE.prices_daily(ticker)
    assert list(bars["session"]) == list(expected.index)
    for name in ("Open", "High", "Low", "Close", "Adj Close", "Volume"):
        np.testing.assert_array_equal(bars[name.lower().replace(" ", "_")], expected[name].astype(float))


@pytest.mark.parametrize("ticker", ["SPX", "COMP"])
def test_every_session_of_twenty_years_is_there(ticker: str) -> None:
    bars = SOURCE.prices_daily(ticker)
    assert list(bars["session"]) == list(sessions_between("1999-01-04", "2018-12-31"))
    assert list(conform(bars, PRICES_DAILY, slice_key=ticker).columns) == list(PRICES_DAILY.column_names)
    assert bars.attrs == {"source": "sample"}


def test_an_index_is_neither_split_nor_pays() -> None:
    bars = SOURCE.prices_daily("SPX")
    assert (bars["split_factor"] == 1.0).all()
    assert (bars["dividend"] == 0.0).all()
    np.testing.assert_array_equal(bars["adj_close"], bars["close"])


@pytest.mark.parametrize("ticker", ["SPX", "COMP"])
def test_the_vix_is_cut_to_sessions_and_to_the_prices(ticker: str) -> None:
    rows = SOURCE.volatility_index(ticker)
    assert list(rows["session"]) == list(sessions_between("2014-01-03", "2018-12-31"))
    assert is_session(pd.DatetimeIndex(rows["session"])).all()
    assert set(rows["symbol"]) == {"VIX"}
    assert rows[["open", "high", "low", "vix3m_close"]].isna().all(axis=None)
    conform(rows, VOLATILITY_INDEX, slice_key=ticker)


def test_the_vix_of_a_known_day() -> None:
    """2018-02-05, when the VIX closed at 37.32 after 17.31 the session before (CBOE)."""
    rows = SOURCE.volatility_index("SPX").set_index("session")
    assert rows.loc["2018-02-05", "close"] == 37.32
    assert rows.loc["2018-02-02", "close"] == 17.31


def test_holidays_in_the_file_are_nothing_to_warn_of(caplog: pytest.LogCaptureFixture) -> None:
    SOURCE.volatility_index("SPX")
    assert caplog.text == ""


def test_there_is_no_macro_and_the_reason_is_said() -> None:
    macro = SOURCE.macro()
    assert len(macro) == 0
    assert list(macro.columns) == list(MACRO.column_names)
    assert "live or files" in macro.attrs["source_off"]


def test_since_is_inclusive() -> None:
    since = pd.Timestamp("2018-12-17")
    assert SOURCE.prices_daily("COMP", since=since)["session"].min() == since
    assert SOURCE.volatility_index("COMP", since=since)["session"].min() == since


def test_another_ticker_is_refused_with_what_there_is() -> None:
    for fetch in (SOURCE.prices_daily, SOURCE.volatility_index):
        with pytest.raises(UnknownTickerError, match="SPX and COMP, not SPY"):
            fetch("SPY")


def test_after_its_end_there_is_nothing() -> None:
    with pytest.raises(EmptySourceError, match="2018-12-31"):
        SOURCE.prices_daily("SPX", since=pd.Timestamp("2019-01-02"))
