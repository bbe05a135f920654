"""The calendar of the live source: FRED's release dates with a key, rules without, and FRED's failures."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pytest

from resources.sources.live.economic_calendar import EconomicCalendarClient, reference_months
from resources.sources.live.source import build_live_source
from tests.resources.loopback import server as loopback
from tests.resources.loopback.event_shapes import NOW, RELEASE_DATES, RELEASES
from tests.resources.loopback.server import FAST_HTTP, FRED_KEY, LoopbackVendor
from trading_dag.errors import EmptySourceError, SourceError, SourceFormatError, SourceOffError, SourceUnavailableError
from trading_dag.quality.conformance import conform
from trading_dag.schemas import ECONOMIC_CALENDAR, ECONOMIC_EVENTS
from trading_dag.sessions import is_session

SINCE = pd.Timestamp("2026-09-01")


def client(vendor: LoopbackVendor, home: Path, *, key: str | None = FRED_KEY, **http: float) -> EconomicCalendarClient:
    settings = vendor.settings(home, fred_api_key=key, http=FAST_HTTP.model_copy(update=http))
    return EconomicCalendarClient(settings, clock=lambda: NOW)


def days_of(events: pd.DataFrame, event: str) -> list[str]:
    return [f"{day:%Y-%m-%d}" for day in events.loc[events["event"] == event, "event_date"]]


def test_with_a_key_the_days_are_those_that_fred_lists_the_coming_ones_too(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    live = build_live_source(vendor.settings(tmp_path, fred_api_key=FRED_KEY), clock=lambda: NOW)
    events = conform(live.economic_calendar(since=SINCE), ECONOMIC_CALENDAR, slice_key="")
    assert days_of(events, "CPI") == RELEASES[10]
    assert days_of(events, "UMCSENT") == RELEASES[91]
    assert days_of(events, "FOMC")[:3] == ["2026-09-16", "2026-10-28", "2026-12-09"]
    assert set(events["basis"]) == {"published"}
    asked = vendor.asked(RELEASE_DATES)
    assert [one.query["release_id"] for one in asked] == ["10", "91"]
    assert {one.query["realtime_start"] for one in asked} == {"2026-09-01"}
    assert {one.query["include_release_dates_with_no_data"] for one in asked} == {"true"}


def test_without_a_key_days_are_as_listed_or_by_rule(vendor: LoopbackVendor, tmp_path: Path) -> None:
    live = build_live_source(vendor.settings(tmp_path), clock=lambda: NOW)
    events = conform(live.economic_calendar(), ECONOMIC_CALENDAR, slice_key="")
    assert set(events["event"]) == set(ECONOMIC_EVENTS)
    rule = events[events["basis"] == "rule"]
    assert is_session(pd.DatetimeIndex(rule["event_date"])).all()
    assert {"2024-03-28", "2024-11-22", "2026-09-25"} <= set(days_of(rule, "UMCSENT"))
    assert min(days_of(events, "CPI")) == "2009-01-16"
    assert {"2024-11-13", "2026-11-10", "2026-12-10"} <= set(days_of(events[events["basis"] == "published"], "CPI"))
    assert {day[:4] for day in days_of(rule, "CPI")}.isdisjoint(str(year) for year in range(2009, 2027))
    assert vendor.requests == []


def test_the_day_on_which_only_seasonal_factors_were_revised_is_no_release(
    vendor: LoopbackVendor, tmp_path: Path
) -> None:
    """FRED's release 10 has 10 February 2023 (revised factors) and 14 February 2023 (January's index)."""
    vendor.events.releases[10] = ["2023-01-12", "2023-02-10", "2023-02-14"]
    try:
        days = client(vendor, tmp_path).release_dates("CPI", since=pd.Timestamp("2023-01-01"))
    finally:
        vendor.events.releases[10] = list(RELEASES[10])
    assert [f"{day:%Y-%m-%d}" for day in days] == ["2023-01-12", "2023-02-14"]


@pytest.mark.parametrize("key", [FRED_KEY, None])
def test_there_is_always_a_next_event_of_each_kind(vendor: LoopbackVendor, tmp_path: Path, key: str | None) -> None:
    vendor.events.releases[91].append("2026-12-04")
    events = client(vendor, tmp_path, key=key).events(since=SINCE)
    vendor.events.releases[91].remove("2026-12-04")
    today = pd.Timestamp("2026-11-20")
    assert set(events.loc[events["event_date"] > today, "event"]) == set(ECONOMIC_EVENTS)


def test_since_is_inclusive(vendor: LoopbackVendor, tmp_path: Path) -> None:
    events = client(vendor, tmp_path, key=None).events(since=pd.Timestamp("2026-10-28"))
    assert events["event_date"].min() == pd.Timestamp("2026-10-28")


def test_months_reach_back_far_enough_for_the_first_release_and_ahead_for_the_next() -> None:
    """CPI is released up to 60 days after its month began, so a release of 1 March may be January's."""
    months = reference_months(pd.Timestamp("2024-03-01"), pd.Timestamp("2024-03-15"))
    assert [f"{month:%Y-%m-%d}" for month in months[[0, -1]]] == ["2023-12-01", "2024-06-01"]


def test_an_ending_list_of_decisions_is_said(
    vendor: LoopbackVendor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client(vendor, tmp_path, key=None).events(since=SINCE)
    assert caplog.text == ""
    late = EconomicCalendarClient(vendor.settings(tmp_path), clock=lambda: pd.Timestamp("2028-01-03", tz="UTC"))
    late.events(since=SINCE)
    assert "end on 2028-01-26: update trading_dag/releases/fomc.py" in caplog.text


@pytest.mark.parametrize("fault", [loopback.too_many_requests("1"), loopback.server_error(503), loopback.hang_up()])
def test_a_passing_failure_is_overcome(vendor: LoopbackVendor, tmp_path: Path, fault: loopback.Fault) -> None:
    vendor.inject(RELEASE_DATES, fault)
    assert days_of(client(vendor, tmp_path).events(since=SINCE), "CPI") == RELEASES[10]


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (loopback.too_many_requests(), SourceUnavailableError, "429"),
        (loopback.too_many_requests("7200"), SourceUnavailableError, "wait 7200 s"),
        (loopback.server_error(500), SourceUnavailableError, "500"),
        (loopback.slow(5.0), SourceUnavailableError, "no answer within"),
        (loopback.hang_up(), SourceUnavailableError, "broke off"),
        (loopback.truncated(), SourceFormatError, "no JSON"),
        (loopback.error_page(), SourceFormatError, "no JSON"),
        (loopback.empty(), EmptySourceError, "no release date"),
        (loopback.Fault(status=401, body=b"{}"), SourceOffError, "refuses the key"),
        (loopback.Fault(status=403, body=loopback.PAGE), SourceOffError, "key's plan"),
        (loopback.Fault(status=404, body=loopback.PAGE), SourceUnavailableError, "404"),
        (loopback.renamed('"release_dates"', '"dates"'), SourceFormatError, "field release_dates is missing"),
        (loopback.renamed('"date": "2026-10', '"date": "October'), SourceFormatError, "date: expected date"),
        (loopback.renamed('"release_id": 10', '"release_id": 11'), SourceFormatError, "about release 11, not 10"),
        (loopback.renamed('"count": 4', '"count": 12000'), SourceFormatError, "12000 dates do not fit"),
        (loopback.Fault(body=b"[]"), SourceFormatError, "expected an object"),
    ],
    ids=["429", "429 for hours", "500", "time-out", "hang-up", "truncated", "page", "empty", "401", "403", "404",
         "no dates", "no date", "another release", "several pages", "list"],
)  # fmt: skip
def test_a_lasting_failure_is_the_error_that_it_is_and_no_rule_takes_its_place(
    vendor: LoopbackVendor, tmp_path: Path, fault: loopback.Fault, error: type[SourceError], words: str
) -> None:
    vendor.inject(RELEASE_DATES, fault, times=None)
    with pytest.raises(error, match=words) as caught:
        client(vendor, tmp_path, timeout_seconds=0.2 if fault.delay_seconds else 20.0).events(since=SINCE)
    assert caught.value.source == "fred"
    assert "release_id=10" in caught.value.request
    assert FRED_KEY not in str(caught.value)


def test_a_wrong_key_is_an_error_that_names_its_variable_and_hides_it(
    vendor: LoopbackVendor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(SourceOffError, match="FRED_API_KEY") as caught:
        client(vendor, tmp_path, key="wrong-key").events(since=SINCE)
    assert "wrong-key" not in f"{caught.value} {caplog.text}"


def test_the_key_appears_in_no_log_and_no_file(
    vendor: LoopbackVendor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asked = client(vendor, tmp_path, cache_seconds=60.0)
    asked.events(since=SINCE)
    assert FRED_KEY not in f"{caplog.text} {asked!r} {vars(asked)}"
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".answer" for path in kept)
    assert not any(FRED_KEY.encode() in path.read_bytes() for path in kept)
