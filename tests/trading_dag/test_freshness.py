"""What is stale, by the calendar of the exchange and the clock."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from trading_dag.alert_settings import AlertSettings
from trading_dag.freshness import data_age

NEW_YORK = ZoneInfo("America/New_York")
# 26 November 2026 is Thanksgiving; the 27th closes at 13:00 and the 30th is a Monday.
WEDNESDAY, FRIDAY = pd.Timestamp("2026-11-25"), pd.Timestamp("2026-11-27")


def at(clock: str) -> datetime:
    return datetime.fromisoformat(clock).replace(tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    ("last", "clock", "state", "behind"),
    [
        (WEDNESDAY, "2026-11-25T16:20", "current", 0),
        (WEDNESDAY, "2026-11-26T23:00", "current", 0),  # a holiday makes nothing old
        (WEDNESDAY, "2026-11-27T13:20", "current", 0),  # closed, and the last prints are still to come
        (WEDNESDAY, "2026-11-27T13:31", "awaited", 1),
        (WEDNESDAY, "2026-11-27T20:00", "stale", 1),
        (FRIDAY, "2026-11-29T12:00", "current", 0),
        (FRIDAY, "2026-11-30T19:59", "awaited", 1),
        (WEDNESDAY, "2026-11-30T19:59", "stale", 2),  # Friday is due, Monday is not
        (None, "2026-11-30T19:59", "missing", None),
        (pd.NaT, "2026-11-30T19:59", "missing", None),
    ],
)
def test_data_are_stale_once_the_session_they_lack_is_due(
    last: pd.Timestamp | None, clock: str, state: str, behind: int | None
) -> None:
    age = data_age(last, now=at(clock), settings=AlertSettings())

    assert (age.state, age.behind) == (state, behind)
    assert age.is_stale == (state in ("stale", "missing"))


def test_the_settings_say_when_data_are_due_and_how_many_sessions_may_be_missing() -> None:
    early = AlertSettings.model_validate({"signal_by": "17:00"})

    assert data_age(WEDNESDAY, now=at("2026-11-27T17:00"), settings=early).state == "stale"
    assert data_age(WEDNESDAY, now=at("2026-11-27T20:00"), settings=AlertSettings(stale_sessions=2)).state == "awaited"


def test_the_sample_ends_in_the_past_by_design() -> None:
    age = data_age(pd.Timestamp("2018-12-31"), now=at("2026-11-27T20:00"), settings=AlertSettings(), source="sample")

    assert (age.state, age.is_stale) == ("undated", False)
    assert "by design" in age.in_words


def test_an_age_is_told_with_the_session_that_is_due() -> None:
    age = data_age(WEDNESDAY, now=at("2026-11-30T20:00"), settings=AlertSettings())

    assert age.in_words == "ends with 2026-11-25, 2 sessions behind; 2026-11-30 is due"
