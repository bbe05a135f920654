"""The calendar knows closings no rule of weekdays knows; dates are from the exchange's own announcements."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from trading_dag.errors import UnknownHorizonError, UnknownTickerError
from trading_dag.sessions import (
    all_sessions,
    close_hours,
    is_session,
    last_closed_session,
    session_bounds,
    session_close,
    session_open,
    sessions_between,
    shift_sessions,
    target_sessions,
)
from trading_dag.slices import HORIZONS, horizon_of, validate_ticker


def day(text: str) -> pd.DatetimeIndex:
    return pd.DatetimeIndex([text]).as_unit("us")


@pytest.mark.parametrize(
    ("first", "last", "sessions"),
    [
        ("2012-10-26", "2012-10-31", ["2012-10-26", "2012-10-31"]),  # hurricane Sandy
        ("2001-09-10", "2001-09-17", ["2001-09-10", "2001-09-17"]),  # the September attacks
        ("2004-06-10", "2004-06-14", ["2004-06-10", "2004-06-14"]),  # mourning for President Reagan
        ("2018-12-04", "2018-12-06", ["2018-12-04", "2018-12-06"]),  # mourning for President G. H. W. Bush
        ("2025-01-08", "2025-01-10", ["2025-01-08", "2025-01-10"]),  # mourning for President Carter
        ("2022-06-17", "2022-06-21", ["2022-06-17", "2022-06-21"]),  # the first Juneteenth holiday
        ("2024-03-28", "2024-04-01", ["2024-03-28", "2024-04-01"]),  # Good Friday
        ("2021-12-31", "2022-01-03", ["2021-12-31", "2022-01-03"]),  # New Year's Day on a Saturday is not observed
    ],
)
def test_days_without_trading_are_no_sessions(first: str, last: str, sessions: list[str]) -> None:
    assert [f"{session:%Y-%m-%d}" for session in sessions_between(first, last)] == sessions


@pytest.mark.parametrize(
    ("session", "close"),
    [
        ("2024-11-29", "13:00"),  # the day after Thanksgiving
        ("2024-12-24", "13:00"),
        ("2024-07-03", "13:00"),
        ("2024-11-27", "16:00"),
        ("2024-03-08", "16:00"),
    ],
)
def test_half_days_close_at_one(session: str, close: str) -> None:
    assert f"{session_close(pd.Timestamp(session)).tz_convert('America/New_York'):%H:%M}" == close


@pytest.mark.parametrize(
    ("session", "opens", "closes"),
    [
        ("2024-03-08", "14:30", "21:00"),  # the Friday before daylight saving begins
        ("2024-03-11", "13:30", "20:00"),
        ("2024-11-01", "13:30", "20:00"),
        ("2024-11-04", "14:30", "21:00"),  # the Monday after it ends
    ],
)
def test_daylight_saving_moves_the_session_in_utc(session: str, opens: str, closes: str) -> None:
    assert f"{session_open(pd.Timestamp(session)):%H:%M}" == opens
    assert f"{session_close(pd.Timestamp(session)):%H:%M}" == closes


def test_sessions_are_naive_midnights_in_microseconds_ascending_and_unique() -> None:
    sessions = all_sessions()
    assert sessions.dtype == "datetime64[us]"
    assert sessions.is_monotonic_increasing
    assert sessions.is_unique
    assert (sessions == sessions.normalize()).all()


def test_a_year_has_its_known_number_of_sessions() -> None:
    assert {year: len(sessions_between(f"{year}-01-01", f"{year}-12-31")) for year in (2001, 2012, 2020, 2024)} == {
        2001: 248,
        2012: 250,
        2020: 253,
        2024: 252,
    }


def test_whether_a_day_is_a_session_is_answered_by_day() -> None:
    days = pd.DatetimeIndex(["2024-12-24", "2024-12-25", "2024-12-28"])
    assert is_session(days).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("key", "session", "target"),
    [
        ("12h", "2024-07-03", "2024-07-05"),
        ("24h", "2024-07-03", "2024-07-05"),
        ("48h", "2012-10-26", "2012-11-01"),
        ("72h", "2024-11-27", "2024-12-03"),
        ("96h", "2024-12-23", "2024-12-30"),
        ("168h", "2024-12-20", "2024-12-30"),
        ("168h", "2024-10-04", "2024-10-11"),
    ],
)
def test_a_horizon_is_counted_in_sessions(key: str, session: str, target: str) -> None:
    assert target_sessions(day(session), horizon_of(key)).tolist() == [pd.Timestamp(target)]


def test_twelve_hours_end_at_the_next_open_and_the_others_at_a_close() -> None:
    assert {key: horizon.target_field for key, horizon in HORIZONS.items()} == {
        "12h": "open",
        "24h": "close",
        "48h": "close",
        "72h": "close",
        "96h": "close",
        "168h": "close",
    }
    assert (HORIZONS["12h"].gap_sessions, HORIZONS["12h"].scaling_sessions) == (1, 0.5)
    assert [HORIZONS[key].target_offset for key in HORIZONS] == [1, 1, 2, 3, 4, 5]
    for key in ("24h", "48h", "72h", "96h", "168h"):
        assert HORIZONS[key].gap_sessions == HORIZONS[key].scaling_sessions == HORIZONS[key].target_offset


@given(position=st.integers(10, 9_000), offset=st.integers(-10, 400))
@examples(max_examples=60, deadline=None)
def test_a_step_forth_and_back_is_no_step(position: int, offset: int) -> None:
    start = all_sessions()[[position]]
    there = shift_sessions(start, offset)
    assert shift_sessions(there, -offset).equals(start)
    assert len(sessions_between(min(start[0], there[0]), max(start[0], there[0]))) == abs(offset) + 1


def test_a_step_beyond_the_calendar_is_not_a_time() -> None:
    assert shift_sessions(all_sessions()[:1], -1).isna().all()
    assert shift_sessions(all_sessions()[-1:], 1).isna().all()


def test_stepping_from_a_day_without_trading_is_an_error() -> None:
    with pytest.raises(ValueError, match="2024-12-25"):
        shift_sessions(day("2024-12-25"), 1)


@pytest.mark.parametrize(
    ("now", "session"),
    [
        ("2024-11-29 12:59", "2024-11-27"),
        ("2024-11-29 13:00", "2024-11-29"),  # a half day
        ("2024-12-02 15:59", "2024-11-29"),
        ("2024-12-02 16:00", "2024-12-02"),
        ("2024-12-25 12:00", "2024-12-24"),
        ("2024-12-29 23:00", "2024-12-27"),
    ],
)
def test_a_session_is_over_at_its_close(now: str, session: str) -> None:
    moment = pd.Timestamp(now, tz="America/New_York")
    assert last_closed_session(moment) == pd.Timestamp(session)
    assert last_closed_session(moment.tz_convert("Asia/Tokyo")) == pd.Timestamp(session)


def test_the_present_has_a_last_closed_session() -> None:
    assert pd.Timestamp.now() - last_closed_session() < pd.Timedelta(days=6)


@pytest.mark.parametrize("ticker", ["SPY", "QQQ", "BRK.B", "BF-B", "X", "SPX", "COMP", "A1"])
def test_a_ticker_is_a_ticker(ticker: str) -> None:
    assert validate_ticker(ticker) == ticker


@pytest.mark.parametrize(
    "ticker",
    [
        "../x", "..", ".", "", " ", "spy", "SPY ", "SPY\n", "'; drop table", "SPY/QQQ", "SPY\\QQQ", "A|B", "24h|SPY",
        "^GSPC", "1ABC", "ABCDEFGHIJKL", "SPY.", "SPY..B", "ŠPY", "SPY\x00", "A=B", "%2e%2e", None, 5,
    ],
)  # fmt: skip
def test_what_is_no_ticker_is_refused(ticker: str) -> None:
    with pytest.raises(UnknownTickerError):
        validate_ticker(ticker)


@given(text=st.text(max_size=12))
@examples(max_examples=300, deadline=None)
def test_no_text_passes_that_could_leave_a_folder_or_a_statement(text: str) -> None:
    try:
        accepted = validate_ticker(text)
    except UnknownTickerError:
        return
    assert set(accepted) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
    assert ".." not in accepted


@pytest.mark.parametrize("key", ["36h", "", "24H", "24h ", "1d"])
def test_an_unknown_horizon_is_refused_and_the_six_are_named(key: str) -> None:
    with pytest.raises(UnknownHorizonError, match="12h, 24h, 48h, 72h, 96h, 168h"):
        horizon_of(key)


def test_close_hours_are_those_of_the_half_days_and_four_where_the_calendar_does_not_reach() -> None:
    """Half days of 2024 as the exchange announced them: 3 July, 29 November and 24 December, closing at 13:00."""
    days = pd.DatetimeIndex(["2024-07-03", "2024-11-27", "2024-11-29", "2024-12-24", "2024-12-25", "2060-01-02", None])
    assert close_hours(days).tolist() == [13.0, 16.0, 13.0, 13.0, 16.0, 16.0, 16.0]
    year = sessions_between("2024-01-01", "2024-12-31")
    assert (close_hours(year) == 13.0).sum() == 3


def test_the_bounds_of_many_sessions_are_those_of_each() -> None:
    """Winter time, a half day, summer time; 09:30 and 16:00 (13:00) in New York."""
    days = pd.DatetimeIndex(["2024-01-03", "2024-07-03", "2024-07-05"]).as_unit("us")
    opens, closes = session_bounds(days)
    assert opens.strftime("%H:%M").tolist() == ["14:30", "13:30", "13:30"]
    assert closes.strftime("%H:%M").tolist() == ["21:00", "17:00", "20:00"]
    assert closes.tolist() == [session_close(session) for session in days]
    with pytest.raises(ValueError, match="2024-07-04"):
        session_bounds(pd.DatetimeIndex(["2024-07-04"]))
