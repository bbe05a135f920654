"""What each source gives of a session under way: the hours that have ended, its chain, or the reason why not."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from resources.sources.live.source import build_live_source
from resources.sources.running_session import CLOSED, NOT_YET, QUOTED_AT
from resources.sources.sample import SampleSource
from resources.sources.simulated import SimulatedSource
from tests.resources.loopback.server import LoopbackVendor
from trading_dag.sessions import session_open, shift_sessions
from trading_dag.simulation.simulation_settings import SimulationSettings

WORLD = SimulationSettings(first_session="2024-01-02", years=1, underlyings=0)
MONDAY = pd.Timestamp("2024-11-25")
FRIDAY = pd.Timestamp("2024-11-22")


def until(session: pd.Timestamp) -> SimulatedSource:
    return SimulatedSource(WORLD, last_session=lambda: session)


@pytest.fixture(scope="module")
def early() -> SimulatedSource:
    return until(FRIDAY)


@pytest.fixture(scope="module")
def late() -> SimulatedSource:
    return until(MONDAY)


@pytest.mark.parametrize(("clock", "count"), [("10:30", 1), ("12:05", 2), ("15:59", 6), ("15:31", 6)])
def test_the_hours_so_far_are_those_that_the_closed_session_has(
    early: SimulatedSource, late: SimulatedSource, clock: str, count: int
) -> None:
    now = pd.Timestamp(f"2024-11-25 {clock}", tz="America/New_York").tz_convert("UTC")
    hours = early.hours_so_far("SPY", now=now)
    whole = late.prices_hourly("SPY", since=MONDAY)
    assert len(whole) == 7
    pd.testing.assert_frame_equal(hours, whole.iloc[:count].reset_index(drop=True))
    assert hours.attrs["source"] == "simulated-" + early.name.rpartition("-")[2]


def test_a_half_day_is_over_at_one(early: SimulatedSource) -> None:
    half_day = until(pd.Timestamp("2024-11-27"))
    at_noon = pd.Timestamp("2024-11-29 12:59", tz="America/New_York")
    assert len(half_day.hours_so_far("SPY", now=at_noon)) == 3
    after = half_day.hours_so_far("SPY", now=pd.Timestamp("2024-11-29 13:00", tz="America/New_York"))
    assert (len(after), after.attrs["source_off"]) == (0, CLOSED)


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        ("2024-11-25 09:29", CLOSED),
        ("2024-11-25 09:30", NOT_YET),
        ("2024-11-25 10:29", NOT_YET),
        ("2024-11-25 16:00", CLOSED),
        ("2024-11-24 12:00", CLOSED),
        ("2024-11-28 12:00", CLOSED),
    ],
)
def test_without_an_hour_the_reason_is_told(early: SimulatedSource, moment: str, reason: str) -> None:
    now = pd.Timestamp(moment, tz="America/New_York")
    for frame in (early.hours_so_far("SPY", now=now), early.chain_so_far("SPY", now=now)):
        assert (len(frame), frame.attrs["source_off"]) == (0, reason)


def test_the_simulation_has_nothing_after_its_last_year() -> None:
    hours = until(FRIDAY).hours_so_far("SPY", now=pd.Timestamp("2026-03-03 18:00", tz="UTC"))
    assert "the simulation runs from" in hours.attrs["source_off"]


def test_the_chain_so_far_is_quoted_around_the_last_hour(early: SimulatedSource) -> None:
    now = pd.Timestamp("2024-11-25 13:10", tz="America/New_York")
    hours, chain = early.hours_so_far("SPY", now=now), early.chain_so_far("SPY", now=now)
    assert chain["underlying_price"].unique().tolist() == [hours["close"].iloc[-1]]
    assert chain.attrs[QUOTED_AT] == pd.Timestamp("2024-11-25 12:30", tz="America/New_York")
    assert set(chain["quote_date"]) == {MONDAY}
    near = chain[(chain["strike"] - hours["close"].iloc[-1]).abs() < 3.0]
    assert (near["bid"] <= near["ask"]).all()
    # A share of the session's volume so far is less than all of it.
    whole = until(MONDAY).option_chain("SPY", session=MONDAY)
    assert 0 < chain["volume"].sum() < whole["volume"].sum()


def test_the_sample_says_that_it_has_no_hours() -> None:
    now = pd.Timestamp("2024-11-25 13:10", tz="America/New_York")
    assert "the sample has no hourly bars" in SampleSource().hours_so_far("SPX", now=now).attrs["source_off"]
    assert SampleSource().chain_so_far("SPX", now=now).attrs["source_off"]


def test_yahoos_open_session_gives_the_hours_that_ended_half_an_hour_ago(tmp_path: Path) -> None:
    with LoopbackVendor(sessions=300) as vendor:
        vendor.shows_open_session = True
        today = shift_sessions(pd.DatetimeIndex([vendor.market.last]), 1)[0]
        now = session_open(today) + pd.Timedelta(hours=2, minutes=31)
        source = build_live_source(vendor.settings(tmp_path), clock=lambda: now)
        hours = source.hours_so_far("SPY", now=now)
        assert hours["ts"].tolist() == [session_open(today), session_open(today) + pd.Timedelta(hours=1)]
        assert hours.attrs["source"] == "live"
        assert source.chain_so_far("SPY", now=now).attrs["source_off"]


def test_yahoo_without_an_ended_hour_says_so(tmp_path: Path) -> None:
    with LoopbackVendor(sessions=300) as vendor:
        vendor.shows_open_session = True
        today = shift_sessions(pd.DatetimeIndex([vendor.market.last]), 1)[0]
        now = session_open(today) + pd.Timedelta(minutes=20)
        source = build_live_source(vendor.settings(tmp_path), clock=lambda: now)
        assert "no hour has ended" in source.hours_so_far("SPY", now=now).attrs["source_off"]
