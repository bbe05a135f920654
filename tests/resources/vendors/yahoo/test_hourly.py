"""Hourly bars from Yahoo by way of the real yfinance, against a server that gives them as Yahoo does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from resources.left_out import LeftOut
from resources.sources.live.source import build_live_source
from resources.vendors.yahoo.bars import YahooClient
from resources.vendors.yahoo.chart_answer import NO_PRICE
from resources.vendors.yahoo.hourly import finished_hours, first_hourly_day
from tests.resources.loopback import server as loopback
from tests.resources.loopback.hourly_shape import hours_of
from tests.resources.loopback.server import FAST_HTTP, LoopbackVendor
from trading_dag.errors import EmptySourceError, SourceError, SourceFormatError, SourceUnavailableError
from trading_dag.quality.conformance import conform
from trading_dag.schemas import PRICES_HOURLY
from trading_dag.sessions import session_close, session_open

HOURLY = "interval=60m"
MINUTE = pd.Timedelta(minutes=1)


@pytest.fixture(scope="module")
def shared_vendor() -> Iterator[LoopbackVendor]:
    with LoopbackVendor(sessions=120, spare_sessions=5) as running:
        yield running


@pytest.fixture
def vendor(vendor: LoopbackVendor) -> Iterator[LoopbackVendor]:
    yield vendor
    vendor.shows_open_session = False


def client(vendor: LoopbackVendor, home: Path, *, now: pd.Timestamp | None = None, **http: float) -> YahooClient:
    # Long, so that a busy machine is no fault; a fault that is slow says how long it waits.
    settings = vendor.settings(home, http=FAST_HTTP.model_copy(update=http))
    moment = session_close(vendor.market.last) + 60 * MINUTE if now is None else now
    return YahooClient(settings, clock=lambda: moment)


def test_bars_are_those_that_the_vendor_publishes_on_the_hours_of_the_session(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    now = session_close(vendor.market.last) + 60 * MINUTE
    source = build_live_source(vendor.settings(tmp_path), clock=lambda: now)
    bars = conform(source.prices_hourly("SPY"), PRICES_HOURLY, slice_key="SPY")
    published = hours_of(vendor.market, "SPY")
    assert list(bars["ts"]) == list(published["ts"])
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_allclose(bars[name], published[name], rtol=1e-9)
    local = bars["ts"].dt.tz_convert("America/New_York")
    assert set(local.dt.minute) == {30}
    assert local.dt.hour.between(9, 15).all()
    assert bars.attrs == {"source": "live"}
    assert next(one for one in source.describe() if one.kind == "prices_hourly").state == "on"


def test_since_is_inclusive_and_asks_for_no_more(vendor: LoopbackVendor, tmp_path: Path) -> None:
    since = vendor.market.session(-2)
    bars = client(vendor, tmp_path).hourly_bars("SPY", since=since)
    assert bars["ts"].min() == session_open(since)
    asked = vendor.asked("60m")[-1]
    first = pd.Timestamp(int(asked.query["period1"]), unit="s", tz="UTC").tz_convert("America/New_York")
    assert first.date() == since.date()


def test_what_yahoo_does_not_reach_back_to_is_not_asked_for_and_it_is_said(
    vendor: LoopbackVendor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The server refuses what is older than 730 days, as Yahoo does."""
    bars = client(vendor, tmp_path).hourly_bars("SPY", since=pd.Timestamp("2015-01-02"))
    assert len(bars) == len(hours_of(vendor.market, "SPY"))
    assert "reach back 729 days" in caplog.text
    assert "from 2015-01-02" in caplog.text


def test_the_first_day_is_the_later_of_since_and_the_reach() -> None:
    now = pd.Timestamp("2026-11-20 02:00", tz="UTC")
    # In New York it is still 19 November; 729 days before is 20 November 2024.
    assert first_hourly_day(now, since=None) == pd.Timestamp("2024-11-20")
    assert first_hourly_day(now, since=pd.Timestamp("2024-11-21")) == pd.Timestamp("2024-11-21")
    assert first_hourly_day(now, since=pd.Timestamp("2024-11-19")) == pd.Timestamp("2024-11-20")


@pytest.mark.parametrize(("minutes", "bars_today"), [(89, 0), (90, 1), (149, 1), (150, 2), (170, 2)])
def test_an_hour_of_the_open_session_comes_half_an_hour_after_it_ended_and_the_running_bar_never(
    vendor: LoopbackVendor, tmp_path: Path, minutes: int, bars_today: int
) -> None:
    today = vendor.market.session(1)
    vendor.shows_open_session = True
    bars = client(vendor, tmp_path, now=session_open(today) + minutes * MINUTE).hourly_bars("SPY")
    assert int((bars["ts"] >= session_open(today)).sum()) == bars_today


def counter() -> LeftOut:
    return LeftOut("yahoo", "bars")


def history(starts: list[str], **columns: list[float]) -> pd.DataFrame:
    index = pd.DatetimeIndex(starts).tz_localize("America/New_York")
    values = {name: [1.0] * len(starts) for name in ("Open", "High", "Low", "Close", "Volume")}
    return pd.DataFrame({**values, **columns}, index=index)


def test_half_days_end_at_one() -> None:
    """29 November 2024 closed at 13:00, so the bar of 12:30 ends there; what Yahoo appends at 13:00 is no bar."""
    starts = ["09:30", "10:30", "11:30", "12:30", "13:00", "13:30"]
    given = history([f"2024-11-29 {start}" for start in starts])
    ended = pd.Timestamp("2024-11-29 18:00", tz="UTC")
    bars = finished_hours(given, ended=ended, what="SPY", left_out=counter())
    assert list(bars["ts"]) == [pd.Timestamp(f"2024-11-29 {hour}:30", tz="UTC") for hour in (14, 15, 16, 17)]
    assert len(finished_hours(given, ended=ended - MINUTE, what="SPY", left_out=counter())) == 3


def test_the_hours_follow_daylight_saving() -> None:
    """New York changed its clocks on 3 November 2024: 09:30 was 13:30 UTC before and 14:30 after."""
    given = history(["2024-11-01 09:30", "2024-11-04 09:30"])
    bars = finished_hours(
        given, ended=pd.Timestamp("2024-11-05", tz="UTC"), what="SPY", left_out=LeftOut("yahoo", "bars")
    )
    assert [f"{ts:%H:%M}" for ts in bars["ts"]] == ["13:30", "14:30"]


def test_bars_off_the_sessions_hours_and_without_prices_are_left_out_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    starts = ["2024-11-27 08:30", "2024-11-27 10:30", "2024-11-27 10:47", "2024-11-28 10:30", "2024-11-29 09:30"]
    prices = {name: [1.0, 1.0, 1.0, 1.0, float("nan")] for name in ("Open", "High", "Low", "Close")}
    left_out = LeftOut("yahoo", "bars")
    ended = pd.Timestamp("2024-12-02", tz="UTC")
    bars = finished_hours(history(starts, **prices), ended=ended, what="SPY", left_out=left_out)
    assert list(bars["ts"]) == [pd.Timestamp("2024-11-27 15:30", tz="UTC")]
    assert "3 bars off the session's hours" in caplog.text
    assert str(left_out) == f"1 bars were left out: {NO_PRICE} (1, first: 2024-11-29 14:30 UTC)"


def test_two_bars_of_one_start_and_missing_columns_are_errors() -> None:
    ended = pd.Timestamp("2024-12-02", tz="UTC")
    with pytest.raises(SourceFormatError, match="two bars begin at 2024-11-27 14:30"):
        finished_hours(
            history(["2024-11-27 09:30", "2024-11-27 09:30"]),
            ended=ended,
            what="SPY",
            left_out=LeftOut("yahoo", "bars"),
        )
    with pytest.raises(SourceFormatError, match="no Volume"):
        finished_hours(
            history(["2024-11-27 09:30"]).drop(columns="Volume"),
            ended=ended,
            what="SPY",
            left_out=LeftOut("yahoo", "bars"),
        )


def test_no_hour_yet_and_an_unknown_symbol_are_errors(vendor: LoopbackVendor, tmp_path: Path) -> None:
    today = vendor.market.session(1)
    with pytest.raises(EmptySourceError):
        client(vendor, tmp_path, now=session_open(today) + MINUTE).hourly_bars("SPY", since=today)
    with pytest.raises(EmptySourceError, match="no hour has ended"):
        client(vendor, tmp_path).hourly_bars("SPY", since=vendor.market.session(3))
    with pytest.raises(EmptySourceError, match="delisted"):
        client(vendor, tmp_path).hourly_bars("NOPE")


def test_a_young_answer_is_not_asked_for_again(vendor: LoopbackVendor, tmp_path: Path) -> None:
    first = client(vendor, tmp_path, cache_seconds=3600.0).hourly_bars("SPY")
    count = len(vendor.asked("60m"))
    pd.testing.assert_frame_equal(client(vendor, tmp_path, cache_seconds=3600.0).hourly_bars("SPY"), first)
    assert len(vendor.asked("60m")) == count


def test_an_answer_cached_while_an_hour_was_running_does_not_serve_when_it_has_ended(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    today = vendor.market.session(1)
    vendor.shows_open_session = True
    for minutes in (40, 89, 90, 119, 120):
        now = session_open(today) + minutes * MINUTE
        client(vendor, tmp_path, now=now, cache_seconds=3600.0).hourly_bars("SPY", since=vendor.market.session(0))
    # At 10:10 and 10:59 the first hour is not there, at 11:00 and 11:29 it is, at 11:30 nothing is new.
    assert len(vendor.asked("60m")) == 4


@pytest.mark.parametrize("fault", [loopback.too_many_requests("1"), loopback.server_error(503), loopback.hang_up()])
def test_a_passing_failure_costs_no_bar(vendor: LoopbackVendor, tmp_path: Path, fault: loopback.Fault) -> None:
    vendor.inject(HOURLY, fault)
    assert len(client(vendor, tmp_path).hourly_bars("SPY")) == len(hours_of(vendor.market, "SPY"))


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (loopback.too_many_requests(), SourceUnavailableError, "429"),
        (loopback.server_error(500), SourceUnavailableError, "500"),
        (loopback.slow(5.0), SourceUnavailableError, "no answer within"),
        (loopback.hang_up(), SourceUnavailableError, "broke off"),
        (loopback.truncated(), SourceFormatError, "no JSON"),
        (loopback.error_page(), SourceFormatError, "DOCTYPE"),
        (loopback.empty(), EmptySourceError, "no prices"),
        (loopback.renamed('"close"', '"last"'), SourceFormatError, "column close is missing"),
        (loopback.renamed('"volume": [', '"volume": [1, '), SourceFormatError, "values for"),
        (loopback.Fault(status=403, body=loopback.PAGE), SourceUnavailableError, "refuses"),
    ],
    ids=["429", "500", "time-out", "hang-up", "truncated", "page", "empty", "no close", "ragged", "403"],
)
def test_a_lasting_failure_is_the_error_that_it_is_and_never_no_rows(
    vendor: LoopbackVendor, tmp_path: Path, fault: loopback.Fault, error: type[SourceError], words: str
) -> None:
    vendor.inject(HOURLY, fault, times=None)
    with pytest.raises(error, match=words) as caught:
        client(vendor, tmp_path, **({"timeout_seconds": 0.2} if fault.delay_seconds else {})).hourly_bars("SPY")
    assert "SPY" in caught.value.request
    assert caught.value.remedy
