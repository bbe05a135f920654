"""Distances to releases and decisions: only dates that were known, only days that came."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trading_dag.errors import SchemaError
from trading_dag.features.economic_calendar import build_economic_calendar, event_known_at
from trading_dag.features.macro import build_macro
from trading_dag.frames import table_frame
from trading_dag.schemas import ECONOMIC_CALENDAR, ECONOMIC_CALENDAR_FEATURES, ECONOMIC_CALENDAR_TABLE
from trading_dag.sessions import session_close, sessions_between
from trading_dag.validation.lookahead import probe_lookahead

# Decisions between meetings; 2008-01-21 is the holiday on whose evening the committee met, told the next morning.
UNSCHEDULED = ("2001-01-03", "2001-04-18", "2001-09-17", "2007-08-17", "2008-01-22", "2008-10-08", "2020-03-03")


def calendar(*rows: tuple[object, ...]) -> pd.DataFrame:
    """Rows of (event, event_date, known_at, basis[, cancelled_at])."""
    padded = [(*row, None)[:5] for row in rows]
    event, day, known, basis, cancelled = (list(column) for column in zip(*padded, strict=True)) if rows else [[]] * 5
    values = {
        "event": event,
        "event_date": pd.DatetimeIndex(pd.to_datetime(day)),
        "known_at": pd.DatetimeIndex(pd.to_datetime(known, utc=True, format="mixed")),
        "cancelled_at": pd.DatetimeIndex(pd.to_datetime(cancelled, utc=True, format="mixed")),
        "basis": basis,
    }
    return table_frame(ECONOMIC_CALENDAR, values, rows=len(rows))


def prices(first: str, last: str) -> pd.DataFrame:
    return pd.DataFrame({"ticker": "SPY", "session": sessions_between(first, last)})


def features(events: pd.DataFrame, first: str, last: str) -> pd.DataFrame:
    return build_economic_calendar(events, prices(first, last)).set_index("session")


def test_days_are_counted_in_sessions_and_a_release_day_is_day_zero_of_the_last() -> None:
    rows = features(
        calendar(("CPI", "2024-11-13", None, "rule"), ("CPI", "2024-12-11", None, "rule")), "2024-11-11", "2024-12-12"
    )
    # Thanksgiving lies between: 19 sessions from 13 November to 11 December, not 20.
    assert rows.loc["2024-11-11":"2024-11-14", "days_to_cpi"].tolist() == [2.0, 1.0, 19.0, 18.0]
    assert rows.loc["2024-11-13":"2024-11-14", "days_since_cpi"].tolist() == [0.0, 1.0]
    assert rows.loc["2024-11-11":"2024-11-12", ["days_since_cpi", "cpi_release_day"]].isna().all(axis=None)
    assert rows.index[rows["cpi_release_day"] == 1.0].tolist() == [
        pd.Timestamp("2024-11-13"), pd.Timestamp("2024-12-11"),
    ]  # fmt: skip
    assert rows.loc["2024-11-14":"2024-12-10", "cpi_release_day"].eq(0.0).all()


def test_beyond_the_schedule_the_next_day_is_unknown() -> None:
    rows = features(calendar(("FOMC", "2024-12-18", "2023-12-01", "published")), "2024-12-10", "2024-12-31")
    assert rows.loc["2024-12-17", "days_to_fomc"] == 1.0
    assert rows.loc["2024-12-18":, "days_to_fomc"].isna().all()
    assert rows.loc["2024-12-19", "days_since_fomc"] == 1.0


def test_fifty_sessions_after_the_last_event_the_calendar_has_ended() -> None:
    rows = features(calendar(("UMCSENT", "2024-01-12", None, "rule")), "2024-01-12", "2024-04-30")
    assert rows["days_since_consumer_confidence"].tolist()[:51] == list(range(51))
    assert rows.iloc[51:][["days_since_consumer_confidence", "consumer_confidence_release_day"]].isna().all(axis=None)


def test_a_decision_between_meetings_is_invisible_until_it_is_made() -> None:
    rows = features(
        calendar(
            ("FOMC", "2020-01-29", "2018-12-01", "published"),
            ("FOMC", "2020-03-03", "2020-03-03T21:00Z", "published"),
            ("FOMC", "2020-03-15", "2020-03-15T22:00Z", "published"),
            ("FOMC", "2020-03-18", "2018-12-01", "published", "2020-03-15T22:00Z"),
            ("FOMC", "2020-04-29", "2018-12-01", "published"),
        ),
        "2020-02-24",
        "2020-04-30",
    )
    # Until Sunday the 15th everybody expects the meeting of the 18th; then the one of 29 April.
    expected = [
        float(len(sessions_between(day, "2020-03-18")) - 1) for day in sessions_between("2020-02-24", "2020-03-13")
    ]
    assert rows.loc[:"2020-03-13", "days_to_fomc"].tolist() == expected
    assert rows.loc["2020-03-16", "days_to_fomc"] == len(sessions_between("2020-03-16", "2020-04-29")) - 1
    assert rows.loc["2020-03-02":"2020-03-04", "days_since_fomc"].tolist() == [22.0, 0.0, 1.0]
    assert rows.loc["2020-03-13":"2020-03-19", "days_since_fomc"].tolist() == [8.0, 0.0, 1.0, 2.0, 3.0]
    decisions = rows.index[rows["fomc_decision_day"] == 1.0]
    assert decisions.tolist() == [pd.Timestamp(day) for day in ("2020-03-03", "2020-03-16", "2020-04-29")]


def test_a_published_day_that_does_not_say_since_when_is_not_seen_ahead() -> None:
    rows = features(calendar(("FOMC", "2024-12-18", None, "published")), "2024-12-10", "2024-12-20")
    assert rows["days_to_fomc"].isna().all()
    assert rows.loc["2024-12-18", "fomc_decision_day"] == 1.0


def test_a_day_is_seen_from_the_first_close_after_it_was_published() -> None:
    close = session_close(pd.Timestamp("2024-11-29"))
    late = close + pd.Timedelta(microseconds=1)
    at, after = (
        features(calendar(("CPI", "2024-12-11", moment, "published")), "2024-11-25", "2024-12-11")["days_to_cpi"]
        for moment in (close, late)
    )
    assert at.first_valid_index() == pd.Timestamp("2024-11-29")
    assert after.first_valid_index() == pd.Timestamp("2024-12-02")


def test_a_release_on_good_friday_counts_on_monday() -> None:
    rows = features(calendar(("CPI", "2020-04-10", None, "rule")), "2020-04-08", "2020-04-14")
    assert rows["days_to_cpi"].tolist()[:2] == [2.0, 1.0]
    assert rows.loc["2020-04-13", "cpi_release_day"] == 1.0


def test_without_a_calendar_there_are_columns_and_nothing_in_them() -> None:
    built = build_economic_calendar(calendar(), prices("2024-01-02", "2024-02-01"))
    assert tuple(built.columns) == ECONOMIC_CALENDAR_TABLE.column_names
    assert built[list(ECONOMIC_CALENDAR_FEATURES)].isna().all(axis=None)
    assert (built[list(ECONOMIC_CALENDAR_FEATURES)].dtypes == "float64").all()
    assert len(build_economic_calendar(calendar(), prices("2024-01-02", "2024-01-01"))) == 0


def test_bad_input_is_refused() -> None:
    with pytest.raises(SchemaError, match="basis"):
        build_economic_calendar(calendar().drop(columns="basis"), prices("2024-01-02", "2024-02-01"))
    with pytest.raises(SchemaError, match="2024-01-06"):
        build_economic_calendar(calendar(), pd.DataFrame({"ticker": "SPY", "session": [pd.Timestamp("2024-01-06")]}))


@pytest.fixture(scope="module")
def real_calendar(real_data: Path, raw_macro: pd.DataFrame) -> pd.DataFrame:
    """FOMC days as found, each year's known from December before; CPI and UMCSENT on the day of ``raw.macro``."""
    decisions = pd.read_csv(real_data / "fomc_dates.csv")["date"]
    rows: list[tuple[object, ...]] = [
        ("FOMC", day, day if day in UNSCHEDULED else f"{int(day[:4]) - 1}-12-01", "published") for day in decisions
    ]
    for event, series_id in (("CPI", "CPIAUCSL"), ("UMCSENT", "UMCSENT")):
        known_on = raw_macro.loc[raw_macro["series_id"] == series_id, "known_on"]
        days = known_on[known_on >= "1993-01-01"].drop_duplicates()
        rows += [(event, f"{day:%Y-%m-%d}", f"{day - pd.Timedelta(days=45):%Y-%m-%d}", "published") for day in days]
    return calendar(*rows)


@pytest.mark.files_data
def test_real_dates_know_nothing_of_later_ones(real_calendar: pd.DataFrame, spy_prices: pd.DataFrame) -> None:
    def build(economic_calendar: pd.DataFrame, prices: pd.DataFrame) -> pd.DataFrame:
        return build_economic_calendar(economic_calendar.drop(columns="seen_at"), prices)

    inputs = {"economic_calendar": real_calendar.assign(seen_at=event_known_at(real_calendar)), "prices": spy_prices}
    times = {"economic_calendar": "seen_at", "prices": "session"}
    assert probe_lookahead(build, inputs, time_columns=times, table="features.economic_calendar", cuts=8) == []

    def leaky(economic_calendar: pd.DataFrame, prices: pd.DataFrame) -> pd.DataFrame:
        return build(economic_calendar.assign(known_at=pd.Timestamp("1990-01-01", tz="UTC")), prices)

    found = probe_lookahead(leaky, inputs, time_columns=times, table="features.economic_calendar", cuts=8)
    # Releases are known 45 days ahead, so the next one always is; the coming year's meetings are not.
    assert {violation.feature for violation in found} == {"days_to_fomc"}


@pytest.mark.files_data
def test_the_decisions_of_the_file_are_counted_as_a_loop_counts_them(
    real_calendar: pd.DataFrame, spy_prices: pd.DataFrame
) -> None:
    rows = build_economic_calendar(real_calendar, spy_prices).set_index("session")
    decisions = real_calendar[real_calendar["event"] == "FOMC"]
    for session in rows.index[2000::97]:
        close = session_close(session)
        visible = decisions[(decisions["event_date"] > session) & (decisions["known_at"] <= close)]
        past = decisions[decisions["event_date"] <= session]
        ahead = len(sessions_between(session, visible["event_date"].min())) - 1 if len(visible) else np.nan
        since = len(sessions_between(past["event_date"].max(), session)) - 1 if len(past) else np.nan
        assert rows.loc[session, "days_to_fomc"] == pytest.approx(ahead, nan_ok=True), session
        assert rows.loc[session, "days_since_fomc"] == pytest.approx(since if since <= 50 else np.nan, nan_ok=True)


@pytest.mark.files_data
def test_the_consumer_price_index_changes_only_on_days_that_are_flagged_as_release_days(
    real_calendar: pd.DataFrame, raw_macro: pd.DataFrame, spy_prices: pd.DataFrame
) -> None:
    rows = build_economic_calendar(real_calendar, spy_prices).set_index("session")
    index = build_macro(raw_macro).set_index("session")["cpi_index"].reindex(rows.index)
    changed = index.index[index.notna() & index.shift().notna() & (index != index.shift())]
    assert len(changed) > 300
    assert rows.loc[changed, "cpi_release_day"].eq(1.0).all()
    assert rows.loc[changed, "days_since_cpi"].eq(0.0).all()
