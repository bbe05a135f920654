"""Yahoo by way of the real yfinance, against a server that speaks Yahoo's format and fails on demand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from resources.left_out import LEFT_OUT
from resources.sources.live.source import LiveSource, build_live_source
from resources.vendors.yahoo.bars import YahooClient, yahoo_symbol
from resources.vendors.yahoo.chart_answer import NO_PRICE
from tests.resources.loopback import server as loopback
from tests.resources.loopback.server import CHART, FAST_HTTP, LoopbackVendor
from trading_dag.errors import EmptySourceError, SourceFormatError, SourceUnavailableError
from trading_dag.quality.conformance import conform
from trading_dag.schemas import PRICES_DAILY, VOLATILITY_INDEX
from trading_dag.sessions import session_close, session_open

FULL_HISTORY = "period1"


@pytest.fixture
def vendor() -> Iterator[LoopbackVendor]:
    with LoopbackVendor(sessions=120, spare_sessions=12) as running:
        yield running


@pytest.fixture
def source(vendor: LoopbackVendor, tmp_path: Path) -> LiveSource:
    return build_live_source(vendor.settings(tmp_path))


def bars_of(vendor: LoopbackVendor, tmp_path: Path, symbol: str = "SPY", **http: float) -> pd.DataFrame:
    settings = vendor.settings(tmp_path, http=FAST_HTTP.model_copy(update=http))
    return YahooClient(settings).daily_bars(symbol)


@pytest.mark.parametrize("ticker", ["SPY", "SPX", "COMP"])
def test_bars_are_those_that_the_vendor_publishes(vendor: LoopbackVendor, source: LiveSource, ticker: str) -> None:
    bars = conform(source.prices_daily(ticker), PRICES_DAILY, slice_key=ticker)
    published = vendor.market.listings[yahoo_symbol(ticker)].published(vendor.market.last)
    assert list(bars["session"]) == list(published.index)
    for name in ("open", "high", "low", "close", "adj_close", "volume"):
        np.testing.assert_allclose(bars[name], published[name], rtol=1e-12)
    assert (bars["split_factor"] == 1.0).all()
    assert (bars["dividend"] == 0.0).all()
    assert bars.attrs["source"] == "live"


def test_since_is_inclusive_and_asks_for_no_more(vendor: LoopbackVendor, source: LiveSource) -> None:
    since = vendor.market.session(-4)
    assert len(source.prices_daily("SPY", since=since)) == 5
    asked = vendor.asked(FULL_HISTORY)[-1]
    first = pd.Timestamp(int(asked.query["period1"]), unit="s", tz="UTC").tz_convert("America/New_York")
    assert first.date() == since.date()


def test_dividends_and_splits_stand_on_their_session(vendor: LoopbackVendor, source: LiveSource) -> None:
    before = source.prices_daily("SPY").set_index("session")
    vendor.advance_one_session()
    vendor.pay_dividend("SPY", 1.5)
    dividend_day = vendor.market.last
    vendor.advance_one_session()
    vendor.split("SPY", 3.0)
    bars = source.prices_daily("SPY").set_index("session")
    assert bars["dividend"].to_dict()[dividend_day] == pytest.approx(0.5)
    assert bars["split_factor"].to_dict()[vendor.market.last] == 3.0
    assert (bars["split_factor"].drop(vendor.market.last) == 1.0).all()
    np.testing.assert_allclose(bars["close"].loc[before.index], before["close"] / 3.0)
    yield_of_dividend = 1.5 / before["close"].iloc[-1]
    np.testing.assert_allclose(
        bars["adj_close"].loc[before.index], before["close"] / 3.0 * (1.0 - yield_of_dividend), rtol=1e-9
    )


@pytest.mark.parametrize(("ticker", "symbol"), [("SPY", "VIX"), ("QQQ", "VXN"), ("IWM", "RVX"), ("SPX", "VIX")])
def test_each_ticker_gets_its_index_and_the_three_month_one(
    vendor: LoopbackVendor, source: LiveSource, ticker: str, symbol: str
) -> None:
    rows = conform(source.volatility_index(ticker), VOLATILITY_INDEX, slice_key=ticker)
    assert set(rows["symbol"]) == {symbol}
    for name, listed in (("close", f"^{symbol}"), ("vix3m_close", "^VIX3M")):
        published = vendor.market.listings[listed].published(vendor.market.last)["close"]
        np.testing.assert_allclose(rows[name], published, rtol=1e-12)


def test_an_index_that_yahoo_does_not_know_is_replaced_by_vix_and_the_row_says_so(
    vendor: LoopbackVendor, source: LiveSource, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.delist("^RVX")
    vendor.delist("^VIX3M")
    rows = source.volatility_index("IWM")
    assert set(rows["symbol"]) == {"VIX"}
    assert rows["vix3m_close"].isna().all()
    assert "RVX is not to be had" in caplog.text


def test_an_index_that_cannot_be_reached_is_not_replaced(vendor: LoopbackVendor, source: LiveSource) -> None:
    vendor.inject("^RVX", loopback.server_error(), times=None)
    with pytest.raises(SourceUnavailableError):
        source.volatility_index("IWM")


def test_a_three_month_index_that_cannot_be_reached_is_not_null(vendor: LoopbackVendor, source: LiveSource) -> None:
    vendor.inject("^VIX3M", loopback.error_page(), times=None)
    with pytest.raises(SourceFormatError):
        source.volatility_index("SPY")


def changed_quote(change: Callable[[dict[str, list[Any]]], None]) -> loopback.Fault:
    def apply(body: bytes) -> bytes:
        answer = json.loads(body)
        change(answer["chart"]["result"][0]["indicators"]["quote"][0])
        return json.dumps(answer).encode()

    return loopback.Fault(change=apply)


@pytest.mark.parametrize("volume", [None, "many", -1, True, 10**400])
def test_a_volume_that_yahoo_does_not_say_is_null_and_counted(
    vendor: LoopbackVendor, source: LiveSource, volume: Any, caplog: pytest.LogCaptureFixture
) -> None:
    whole = source.prices_daily("SPY")

    def change(quote: dict[str, list[Any]]) -> None:
        quote["volume"][-1] = volume

    vendor.inject(FULL_HISTORY, changed_quote(change), times=None)
    bars = conform(source.prices_daily("SPY"), PRICES_DAILY, slice_key="SPY")
    assert np.isnan(bars["volume"].iloc[-1])
    pd.testing.assert_frame_equal(bars.drop(columns="volume"), whole.drop(columns="volume"))
    pd.testing.assert_series_equal(bars["volume"].iloc[:-1], whole["volume"].iloc[:-1])
    said = f"1 bars or volumes of SPY were left out: Yahoo says no volume (1, first: {vendor.market.last:%Y-%m-%d})"
    assert bars.attrs[LEFT_OUT] == said
    assert said in caplog.text


def test_a_volume_of_nought_that_yahoo_says_stays(vendor: LoopbackVendor, source: LiveSource) -> None:
    def change(quote: dict[str, list[Any]]) -> None:
        quote["volume"][-1] = 0

    vendor.inject(FULL_HISTORY, changed_quote(change), times=None)
    bars = source.prices_daily("SPY")
    assert bars["volume"].iloc[-1] == 0.0
    assert LEFT_OUT not in bars.attrs


@pytest.mark.parametrize("price", [None, "612.5", 10**400, True])
def test_a_bar_without_a_price_costs_no_other_and_is_counted(
    vendor: LoopbackVendor, source: LiveSource, price: Any
) -> None:
    whole = source.prices_daily("SPY")

    def change(quote: dict[str, list[Any]]) -> None:
        for name in ("open", "high", "low", "close"):
            quote[name][5] = price

    vendor.inject(FULL_HISTORY, changed_quote(change), times=None)
    bars = source.prices_daily("SPY")
    expected = whole.drop(index=5).reset_index(drop=True)
    pd.testing.assert_frame_equal(bars, expected)
    assert f"{NO_PRICE} (1, first: {whole['session'][5]:%Y-%m-%d})" in bars.attrs[LEFT_OUT]


def in_session(vendor: LoopbackVendor, minutes_after_close: float) -> tuple[pd.Timestamp, pd.Timestamp]:
    today = vendor.market.session(1)
    return today, session_close(today) + pd.Timedelta(minutes=minutes_after_close)


def test_the_open_session_has_no_bar(vendor: LoopbackVendor, tmp_path: Path) -> None:
    today = vendor.market.session(1)
    vendor.shows_open_session = True
    client = YahooClient(vendor.settings(tmp_path), clock=lambda: session_open(today) + pd.Timedelta(hours=2))
    assert client.daily_bars("SPY")["session"].max() == vendor.market.last
    with pytest.raises(EmptySourceError, match="no bar of a finished session"):
        client.daily_bars("SPY", since=today)


@pytest.mark.parametrize(("minutes", "is_finished"), [(-1.0, False), (5.0, False), (31.0, True)])
def test_a_bar_counts_when_the_late_prints_are_in(
    vendor: LoopbackVendor, tmp_path: Path, minutes: float, is_finished: bool
) -> None:
    today, now = in_session(vendor, minutes)
    vendor.advance_one_session()
    last = YahooClient(vendor.settings(tmp_path), clock=lambda: now).daily_bars("^VIX")["session"].max()
    assert (last == today) == is_finished


def test_an_answer_cached_during_the_session_does_not_serve_after_its_close(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    settings = vendor.settings(tmp_path, http=FAST_HTTP.model_copy(update={"cache_seconds": 3600.0}))
    vendor.shows_open_session = True
    today, before_close = in_session(vendor, -2.0)
    _, after_close = in_session(vendor, 40.0)
    open_bars = YahooClient(settings, clock=lambda: before_close).daily_bars("SPY")
    vendor.shows_open_session = False
    vendor.advance_one_session()
    bars = YahooClient(settings, clock=lambda: after_close).daily_bars("SPY").set_index("session")
    assert today not in set(open_bars["session"])
    published = vendor.market.listings["SPY"].published(today)
    assert bars["close"].to_dict()[today] == pytest.approx(published["close"].to_dict()[today])


def test_a_young_answer_is_not_asked_for_again(vendor: LoopbackVendor, tmp_path: Path) -> None:
    first = bars_of(vendor, tmp_path, cache_seconds=3600.0)
    count = len(vendor.asked(FULL_HISTORY))
    second = bars_of(vendor, tmp_path, cache_seconds=3600.0)
    assert len(vendor.asked(FULL_HISTORY)) == count
    pd.testing.assert_frame_equal(first, second)


def test_a_chart_with_holes_has_no_rows_for_them(vendor: LoopbackVendor, tmp_path: Path) -> None:
    day = vendor.market.session(-3)
    for name in ("open", "high", "low", "close"):
        vendor.restate("SPY", -3, name, float("nan"))
    vendor.inject(FULL_HISTORY, loopback.Fault(change=lambda body: body.replace(b"NaN", b"null")))
    bars = bars_of(vendor, tmp_path)
    assert day not in set(bars["session"])
    assert len(bars) == 119


@pytest.mark.parametrize("fault", [loopback.too_many_requests("1"), loopback.server_error(503), loopback.hang_up()])
def test_a_passing_failure_is_overcome(vendor: LoopbackVendor, tmp_path: Path, fault: loopback.Fault) -> None:
    vendor.inject(FULL_HISTORY, fault)
    assert len(bars_of(vendor, tmp_path)) == 120
    first, second = vendor.asked(FULL_HISTORY)[-2:]
    if fault.status == 429:
        assert second.at - first.at >= 1.0


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (loopback.too_many_requests(), SourceUnavailableError, "429"),
        (loopback.too_many_requests("7200"), SourceUnavailableError, "wait 7200 s"),
        (loopback.server_error(500), SourceUnavailableError, "500"),
        (loopback.slow(5.0), SourceUnavailableError, "no answer within"),
        (loopback.hang_up(), SourceUnavailableError, "broke off"),
        (loopback.truncated(), SourceFormatError, "no JSON"),
        (loopback.error_page(), SourceFormatError, "DOCTYPE"),
        (loopback.empty(), EmptySourceError, "no prices"),
        (loopback.renamed('"adjclose"', '"adjusted"'), SourceFormatError, "adjclose"),
        (loopback.renamed('"close"', '"last"'), SourceFormatError, "column close is missing"),
        (loopback.renamed('"timestamp"', '"times"'), SourceFormatError, "timestamp"),
        (loopback.renamed('"chart"', '"graph"'), SourceFormatError, "chart"),
        (loopback.renamed('"symbol": "SPY"', '"symbol": "SPX"'), SourceFormatError, "about SPX"),
        (loopback.renamed('"volume": [', '"volume": [1, '), SourceFormatError, "121 values for 120"),
        (loopback.renamed('"exchangeTimezoneName"', '"zone"'), SourceFormatError, "exchangeTimezoneName"),
        (loopback.Fault(status=401, body=b'{"finance": {"error": {"code": "Unauthorized"}}}'),
         SourceUnavailableError, "refuses"),
        (loopback.Fault(status=403, body=loopback.PAGE), SourceUnavailableError, "refuses"),
    ],
    ids=["429", "429 for hours", "500", "time-out", "hang-up", "truncated", "page", "empty", "no adjclose", "no close",
         "no timestamp", "no chart", "another symbol", "ragged", "no time zone", "401", "403"],
)  # fmt: skip
@pytest.mark.parametrize("target", [FULL_HISTORY, CHART], ids=["history", "every chart"])
def test_a_lasting_failure_is_the_error_that_it_is_and_never_no_rows(
    vendor: LoopbackVendor,
    tmp_path: Path,
    target: str,
    fault: loopback.Fault,
    error: type[Exception],
    words: str,
) -> None:
    if target == CHART and words.startswith("121"):
        pytest.skip("the probe for the time zone has one session")
    vendor.inject(target, fault, times=None)
    with pytest.raises(error, match=words) as caught:
        # A busy machine may take a while to answer; only the fault that is slow itself is to be given up on.
        bars_of(vendor, tmp_path, timeout_seconds=0.2 if fault.delay_seconds else 20.0)
    assert caught.value.source == "yahoo"
    assert "SPY" in caught.value.request
    assert "crumb" not in str(caught.value).lower()
    assert caught.value.remedy


def test_a_renamed_event_is_not_a_year_without_dividends(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.pay_dividend("SPY", 1.5)
    vendor.inject(FULL_HISTORY, loopback.renamed('"amount"', '"value"'))
    with pytest.raises(SourceFormatError, match=r"events\.dividends\.amount"):
        bars_of(vendor, tmp_path)


def test_one_refusal_makes_yfinance_take_another_crumb(vendor: LoopbackVendor, tmp_path: Path) -> None:
    vendor.inject(FULL_HISTORY, loopback.Fault(status=401, body=b"{}"))
    assert len(bars_of(vendor, tmp_path)) == 120


@pytest.mark.parametrize("path", [loopback.CRUMB, "/?"])
@pytest.mark.parametrize("fault", [loopback.too_many_requests(), loopback.hang_up(), loopback.server_error()])
def test_prices_come_without_crumb_and_cookie_too(
    vendor: LoopbackVendor, tmp_path: Path, path: str, fault: loopback.Fault
) -> None:
    vendor.inject(path, fault, times=None)
    assert len(bars_of(vendor, tmp_path)) == 120


def test_every_request_to_yahoo_keeps_the_rate_cookies_and_crumbs_too(vendor: LoopbackVendor, tmp_path: Path) -> None:
    for symbol in ("SPY", "QQQ"):
        bars_of(vendor, tmp_path, symbol, requests_per_second=10.0)
    assert {one.path for one in vendor.requests} > {f"{CHART}SPY", f"{CHART}QQQ"}
    moments = [one.at for one in vendor.requests]
    assert moments[-1] - moments[0] >= (len(moments) - 1) * 0.1 - 0.05


def test_an_unknown_symbol_is_an_error_with_what_to_do(source: LiveSource) -> None:
    with pytest.raises(EmptySourceError, match="may be delisted") as caught:
        source.prices_daily("NOPE")
    assert "TRADING_DAG_UNIVERSE" in caught.value.remedy


def test_a_share_class_is_asked_with_a_hyphen() -> None:
    assert yahoo_symbol("BRK.B") == "BRK-B"


READ_AND_LIST = """
import sys
from pathlib import Path
from resources.sources.live.source import build_live_source
from trading_dag.settings import Settings
build_live_source(Settings(_env_file=None)).prices_daily("SPY")
"""


def test_yfinance_keeps_its_caches_below_our_home(vendor: LoopbackVendor, tmp_path: Path) -> None:
    home, user = tmp_path / "home", tmp_path / "user"
    user.mkdir()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TRADING_DAG_", "XDG_"))}
    environment = {**inherited, **vendor.environment(), "TRADING_DAG_HOME": str(home), "HOME": str(user)}
    subprocess.run([sys.executable, "-c", READ_AND_LIST], env=environment, cwd=tmp_path, check=True, timeout=600)
    assert (home / ".cache" / "yfinance" / "tkr-tz.db").is_file()
    assert list(user.rglob("*")) == []
