"""No answer of any vendor is an untyped error, holds a command up for ever, or leads it to somebody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from resources.sources.live.economic_calendar import EconomicCalendarClient
from resources.sources.live.source import build_live_source
from resources.vendors.fred.series import FredClient
from tests.resources.loopback import hostile
from tests.resources.loopback.chain_shapes import POLYGON, POLYGON_KEY, TRADIER_TOKEN, YAHOO, chain_settings
from tests.resources.loopback.event_shapes import APEWISDOM, FINNHUB_KEY, NOW, RELEASE_DATES
from tests.resources.loopback.server import CHART, FAST_HTTP, FRED_CSV, FRED_KEY, Fault, LoopbackVendor
from trading_dag.errors import SchemaError, SourceError, SourceFormatError
from trading_dag.quality.conformance import conform
from trading_dag.schemas import (
    EARNINGS,
    ECONOMIC_CALENDAR,
    MACRO,
    NEWS,
    NEWS_SENTIMENT,
    OPTION_CHAIN,
    PRICES_DAILY,
    PRICES_HOURLY,
    SOCIAL_MENTIONS,
    Table,
)
from trading_dag.sessions import session_close
from trading_dag.settings import Settings

SINCE = pd.Timestamp("2026-11-14")
KEYS = (FRED_KEY, FINNHUB_KEY, POLYGON_KEY, TRADIER_TOKEN)
Ask = Callable[[LoopbackVendor, Path], object]


@pytest.fixture(scope="module")
def shared_vendor() -> Iterator[LoopbackVendor]:
    with LoopbackVendor(sessions=30, spare_sessions=5) as running:
        running.events.has_premium = True
        running.chains.days = (7,)
        yield running


class Patience:
    """How long an answer may take: on a busy machine an honest one takes a while, too."""

    seconds = 20.0


# Where an answer that takes too long is the fault; the next one, where a busy machine did not even ask for it in time.
DEADLINES = (0.5, 2.0, 8.0, 30.0)


def settings(vendor: LoopbackVendor, home: Path, **keys: Any) -> Settings:
    """One attempt, one megabyte."""
    http = FAST_HTTP.model_copy(update={"attempts": 1, "timeout_seconds": Patience.seconds, "answer_megabytes": 1.0})
    return vendor.settings(home, finnhub_api_key=FINNHUB_KEY, http=http, **keys)


def chain(name: Any) -> Ask:
    def ask(vendor: LoopbackVendor, home: Path) -> object:
        now = session_close(vendor.chains.session) + pd.Timedelta(hours=2)
        asked = chain_settings(settings(vendor, home), vendor.url, name)
        return build_live_source(asked, clock=lambda: now).option_chain("SPY", session=vendor.chains.session)

    return ask


def live(kind: str, **given: Any) -> Ask:
    def ask(vendor: LoopbackVendor, home: Path) -> object:
        return getattr(build_live_source(settings(vendor, home), clock=lambda: NOW), kind)("SPY", **given)

    return ask


def fred(vendor: LoopbackVendor, home: Path) -> object:
    return FredClient(settings(vendor, home, fred_api_key=FRED_KEY), series=("GDP",)).observations()


def fred_without_key(vendor: LoopbackVendor, home: Path) -> object:
    return FredClient(settings(vendor, home), series=("GDP",)).observations()


def releases(vendor: LoopbackVendor, home: Path) -> object:
    asked = settings(vendor, home, fred_api_key=FRED_KEY)
    return EconomicCalendarClient(asked, clock=lambda: NOW).events(since=SINCE)


# Who is asked, where its answer is given, how it is asked, and the table that comes of it.
QUESTIONS: dict[str, tuple[str, Ask, Table]] = {
    "yahoo daily": ("period1", live("prices_daily"), PRICES_DAILY),
    "yahoo hourly": ("60m", live("prices_hourly"), PRICES_HOURLY),
    "yahoo options": (YAHOO, chain("yahoo"), OPTION_CHAIN),
    "fred csv": (FRED_CSV, fred_without_key, MACRO),
    "fred vintages": ("vintagedates", fred, MACRO),
    "fred observations": ("series/observations", fred, MACRO),
    "fred releases": (RELEASE_DATES, releases, ECONOMIC_CALENDAR),
    "finnhub company news": ("company-news", live("news", since=SINCE), NEWS),
    "finnhub market news": ("/v1/news?", live("news", since=SINCE), NEWS),
    "finnhub earnings": ("calendar/earnings", live("earnings"), EARNINGS),
    "finnhub sentiment": ("news-sentiment", live("news_sentiment"), NEWS_SENTIMENT),
    "apewisdom": (APEWISDOM, live("social_mentions"), SOCIAL_MENTIONS),
    "polygon": (POLYGON, chain("polygon"), OPTION_CHAIN),
    "tradier expirations": ("options/expirations", chain("tradier"), OPTION_CHAIN),
    "tradier quotes": ("/quotes", chain("tradier"), OPTION_CHAIN),
    "tradier chains": ("options/chains", chain("tradier"), OPTION_CHAIN),
}
# Both senders, with a key in the address, in a header, and without one.
SENDERS = ("yahoo daily", "fred observations", "tradier quotes")


def asked_in_vain(vendor: LoopbackVendor, home: Path, question: str, fault: Fault) -> SourceError:
    """The error that an answer leads to."""
    endpoint, ask, _ = QUESTIONS[question]
    vendor.heal()
    vendor.inject(endpoint, fault, times=None)
    with pytest.raises(SourceError) as caught:
        ask(vendor, home)
    assert vendor.asked(endpoint)
    require_sayable(caught.value)
    return caught.value


def require_sayable(error: SourceError) -> None:
    """The error can be printed anywhere, is of some length, names what was asked, and no key."""
    said = f"{error} {error!r} {error.__cause__!r}"
    assert str(error).encode("utf-8", "strict")
    assert len(str(error)) < 1500
    assert error.request
    assert error.remedy
    assert not any(key in said for key in KEYS)


@pytest.mark.parametrize("question", SENDERS)
@pytest.mark.parametrize("name", [name for name in hostile.NEVER_TAKEN if name not in hostile.NEVER_WHOLE])
def test_an_answer_that_costs_too_much_or_leads_elsewhere_is_an_error_of_the_source(
    vendor: LoopbackVendor, tmp_path: Path, question: str, name: str
) -> None:
    asked_in_vain(vendor, tmp_path, question, hostile.NEVER_TAKEN[name])


@pytest.mark.parametrize("question", SENDERS)
@pytest.mark.parametrize("name", hostile.NEVER_WHOLE)
def test_an_answer_that_takes_too_long_is_an_error_of_the_source(
    vendor: LoopbackVendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str, name: str
) -> None:
    endpoint, ask, _ = QUESTIONS[question]
    vendor.inject(endpoint, hostile.NEVER_TAKEN[name], times=None)
    for seconds in DEADLINES:
        monkeypatch.setattr(Patience, "seconds", seconds)
        with pytest.raises(SourceError) as caught:
            ask(vendor, tmp_path)
        require_sayable(caught.value)
        if vendor.asked(endpoint):
            return
    pytest.fail(f"{endpoint} was not asked within {seconds} s")


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", hostile.NO_ANSWERS)
def test_a_body_that_is_no_answer_is_an_error_of_the_source(
    vendor: LoopbackVendor, tmp_path: Path, question: str, name: str
) -> None:
    asked_in_vain(vendor, tmp_path, question, Fault(body=hostile.NO_ANSWERS[name]))


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", hostile.ODD_VALUES)
def test_an_answer_full_of_odd_values_is_rows_of_the_table_or_an_error_of_the_source(
    vendor: LoopbackVendor, tmp_path: Path, question: str, name: str
) -> None:
    rows_or_error(vendor, tmp_path, question, Fault(change=hostile.everywhere(hostile.ODD_VALUES[name])))


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("seed", range(8))
def test_an_answer_with_some_odd_values_is_rows_of_the_table_or_an_error_of_the_source(
    vendor: LoopbackVendor, tmp_path: Path, question: str, seed: int
) -> None:
    rows_or_error(vendor, tmp_path, question, Fault(change=hostile.here_and_there(seed)))


def rows_or_error(vendor: LoopbackVendor, home: Path, question: str, fault: Fault) -> None:
    endpoint, *_ = QUESTIONS[question]
    vendor.inject(endpoint, fault, times=None)
    require_rows_or_error(vendor, home, question)
    assert vendor.asked(endpoint)


def require_rows_or_error(vendor: LoopbackVendor, home: Path, question: str) -> None:
    _, ask, table = QUESTIONS[question]
    try:
        rows = ask(vendor, home)
    except SourceError as error:
        require_sayable(error)
    else:
        assert isinstance(rows, pd.DataFrame)
        assert f"{rows.attrs}{rows.to_csv()}".encode("utf-8", "strict")
        # Bounds of values are for the checks that stand before the store.
        with suppress(SchemaError):
            conform(rows.assign(**missing(rows, table)), table, slice_key="SPY")


def missing(rows: pd.DataFrame, table: Table) -> dict[str, Any]:
    """Columns that are filled further up, where the client itself was asked."""
    return {column.name: None for column in table.columns if column.name not in rows.columns}


@pytest.mark.parametrize(
    "name", ["a byte now and then", "a body that does not end", "another host", "a file", "no status"]
)
def test_the_cookies_of_yahoo_are_bounded_as_its_prices_are(
    vendor: LoopbackVendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Nothing is waited for or taken that is too much; yfinance can do without what merely does not come."""
    vendor.inject("/?", hostile.NEVER_TAKEN[name], times=None)
    vendor.inject("getcrumb", hostile.NEVER_TAKEN[name], times=None)
    is_slow = name in hostile.NEVER_WHOLE
    monkeypatch.setattr(Patience, "seconds", 3.0 if is_slow else Patience.seconds)
    require_rows_or_error(vendor, tmp_path, "yahoo daily")
    assert vendor.asked("/?{}") + vendor.asked("getcrumb")
    assert vendor.asked("period1") or not is_slow


def test_a_redirect_to_somebody_else_is_said_with_the_host_and_no_more(vendor: LoopbackVendor, tmp_path: Path) -> None:
    for question in SENDERS:
        error = asked_in_vain(vendor, tmp_path, question, hostile.NEVER_TAKEN["another host"])
        assert isinstance(error, SourceFormatError)
        assert "redirects to http://elsewhere.test, and nobody else is asked" in error.problem
        vendor.heal()


def test_an_answer_that_is_too_large_names_the_setting(vendor: LoopbackVendor, tmp_path: Path) -> None:
    for name in ("a body of 300 MB by its head", "a body that does not end", "8 MB packed into 8 kB"):
        error = asked_in_vain(vendor, tmp_path, "polygon", hostile.NEVER_TAKEN[name])
        assert "the answer is larger than 1 MB" in error.problem
        assert "TRADING_DAG_HTTP__ANSWER_MEGABYTES" in error.remedy
        vendor.heal()


def test_a_redirect_within_the_vendor_is_followed(vendor: LoopbackVendor, tmp_path: Path) -> None:
    elsewhere = f"{vendor.url}{CHART}SPY?range=1d&interval=1d"
    vendor.inject(CHART, Fault(status=302, headers={"Location": elsewhere}, body=b""))
    rows_or_error(vendor, tmp_path, "yahoo daily", Fault())
    assert [one.status for one in vendor.asked(CHART)][:2] == [302, 200]
