"""What the banner says of the age and the kind of data."""

from __future__ import annotations

import pandas as pd
import pytest

from trading_dag.alert_settings import AlertSettings
from trading_dag.dashboard.freshness import data_notices
from trading_dag.sessions import last_settled_session, sessions_behind

STORED = pd.Timestamp("2024-06-14 21:00")


def slices(*rows: tuple[str, str, str, str | None]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["table_name", "ticker", "last_session", "source"])
    return frame.assign(last_session=pd.to_datetime(frame["last_session"]), stored_at=STORED)


def both(last: str, *, signals: str | None = None, source: str = "live") -> pd.DataFrame:
    return slices(("raw.prices_daily", "SPY", last, source), ("signals.recommendation", "SPY", signals or last, source))


@pytest.mark.parametrize(
    ("now", "behind"),
    [
        ("2024-06-14 20:10", 0),  # Friday 16:10 in New York: today's bar is not settled yet
        ("2024-06-14 20:45", 1),
        ("2024-06-16 12:00", 1),  # the weekend has no sessions
        ("2024-06-17 21:00", 2),
        ("2024-06-20 21:00", 4),  # Wednesday the 19th is a holiday
    ],
)
def test_age_counts_sessions_that_have_closed_and_settled(now: str, behind: int) -> None:
    assert sessions_behind(pd.Timestamp("2024-06-13"), last_settled_session(pd.Timestamp(now, tz="UTC"))) == behind


@pytest.mark.parametrize(
    ("now", "level"), [("2024-06-13 22:00", "current"), ("2024-06-14 22:00", "late"), ("2024-06-18 22:00", "stale")]
)
def test_the_older_the_prices_the_graver_the_banner(now: str, level: str) -> None:
    found = data_notices(both("2024-06-13"), ticker="SPY", now=pd.Timestamp(now, tz="UTC"), settings=AlertSettings())
    assert [notice.level for notice in found] == [level]


def test_stale_prices_are_counted_in_sessions() -> None:
    found = data_notices(
        both("2024-06-13"), ticker="SPY", now=pd.Timestamp("2024-06-20 21:00", tz="UTC"), settings=AlertSettings()
    )
    assert found[0].title == "Stale: 4 sessions behind"


def test_forecasts_older_than_prices_are_named() -> None:
    now = pd.Timestamp("2024-06-13 22:00", tz="UTC")
    found = data_notices(both("2024-06-13", signals="2024-06-11"), ticker="SPY", now=now, settings=AlertSettings())
    assert found[1].level == "late"
    assert "2024-06-11" in found[1].text


@pytest.mark.parametrize(("source", "word"), [("simulated-1a2b3c4d", "Simulated"), ("sample", "Sample")])
def test_data_that_are_no_market_of_today_come_first(source: str, word: str) -> None:
    now = pd.Timestamp("2024-06-13 22:00", tz="UTC")
    found = data_notices(both("2024-06-13", source=source), ticker="SPY", now=now, settings=AlertSettings())
    assert found[0].level == "not_real"
    assert found[0].title.startswith(word)


def test_a_sample_ends_in_the_past_by_design_and_is_not_stale() -> None:
    now = pd.Timestamp("2026-06-13 22:00", tz="UTC")
    found = data_notices(both("2024-06-13", source="files+sample"), ticker="SPY", now=now, settings=AlertSettings())
    assert [notice.level for notice in found] == ["not_real", "current"]
    assert "by design" in found[1].text


def test_another_tickers_slices_say_nothing_of_this_one() -> None:
    now = pd.Timestamp("2024-06-13 22:00", tz="UTC")
    found = data_notices(both("2024-06-13", source="simulated"), ticker="QQQ", now=now, settings=AlertSettings())
    assert [(notice.level, notice.title) for notice in found] == [("stale", "No prices of QQQ are stored")]
