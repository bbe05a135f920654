"""The economic calendar against the agencies' own announcements, and what nobody could know in advance."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_dag.errors import ConfigurationError
from trading_dag.releases.cpi import CPI_RELEASES
from trading_dag.releases.fomc import CANCELLED_MEETINGS, SCHEDULED_DECISIONS, UNSCHEDULED_DECISIONS
from trading_dag.releases.publication_lags import known_on, news_known_at, planned_on
from trading_dag.releases.schedule import (
    MOVED_RELEASES,
    SHIPPED_DECISIONS,
    fomc_decisions,
    published_releases,
    releases_by_rule,
    releases_of_months,
)
from trading_dag.sessions import all_sessions, is_session, session_close


def midnight(day: str) -> pd.Timestamp:
    return pd.Timestamp(day, tz="America/New_York").tz_convert("UTC")


def test_the_federal_reserve_meets_eight_times_a_year() -> None:
    """Regular meetings are eight a year; of 2020's the one of 18 March was called off. 2028 has only begun."""
    years = pd.Series([day[:4] for day in SCHEDULED_DECISIONS]).value_counts().to_dict()
    assert years.pop("2028") == 1
    assert years.pop("2020") == 7
    assert set(years) == {str(year) for year in range(2000, 2028) if year != 2020}
    assert set(years.values()) == {8}


def test_the_tentative_schedule_of_2027_is_that_of_the_press_release() -> None:
    """Board of Governors, 5 September 2025: second days of the meetings."""
    assert [day for day in SCHEDULED_DECISIONS if day.startswith("2027")] == [
        "2027-01-27", "2027-03-17", "2027-04-28", "2027-06-09", "2027-07-28", "2027-09-15", "2027-10-27", "2027-12-08",
    ]  # fmt: skip


def test_the_schedule_of_2026_is_that_of_the_press_release() -> None:
    """Board of Governors, 9 August 2024: the third meeting is on 28 and 29 April."""
    assert [day for day in SCHEDULED_DECISIONS if day.startswith("2026")] == [
        "2026-01-28", "2026-03-18", "2026-04-29", "2026-06-17", "2026-07-29", "2026-09-16", "2026-10-28", "2026-12-09",
    ]  # fmt: skip


def test_decisions_fall_on_weekdays_except_the_sunday_of_march_2020() -> None:
    past = SHIPPED_DECISIONS[SHIPPED_DECISIONS < "2026-01-01"]
    assert list(past[~is_session(past).to_numpy()]) == [pd.Timestamp("2020-03-15")]
    assert (SHIPPED_DECISIONS[SHIPPED_DECISIONS >= "2026-01-01"].day_of_week < 5).all()


@pytest.mark.parametrize(
    "day", ["2001-01-03", "2001-04-18", "2001-09-17", "2008-01-22", "2008-10-08", "2020-03-03", "2020-03-15"]
)
def test_nobody_knew_of_an_emergency_decision_the_day_before(day: str) -> None:
    rows = fomc_decisions().set_index("event_date")
    assert midnight(day) < rows.loc[pd.Timestamp(day), "known_at"] < midnight(day) + pd.Timedelta(days=1)


def test_an_emergency_decision_was_known_by_the_close_of_its_session() -> None:
    rows = fomc_decisions().set_index("event_date")
    for day in UNSCHEDULED_DECISIONS:
        session = all_sessions()[all_sessions().searchsorted(pd.Timestamp(day))]
        assert rows.loc[pd.Timestamp(day), "known_at"] <= session_close(session)


def test_a_scheduled_decision_is_known_a_month_ahead_at_the_least() -> None:
    rows = fomc_decisions()
    scheduled = rows[rows["event_date"].isin(pd.DatetimeIndex(SCHEDULED_DECISIONS))]
    days = scheduled["event_date"].dt.tz_localize("UTC")
    assert (days - scheduled["known_at"] > pd.Timedelta(days=30)).all()


def test_the_meeting_of_march_2020_was_expected_until_it_was_called_off() -> None:
    rows = fomc_decisions()
    called_off = rows[rows["cancelled_at"].notna()]
    assert [f"{day:%Y-%m-%d}" for day in called_off["event_date"]] == list(CANCELLED_MEETINGS) == ["2020-03-18"]
    assert called_off["cancelled_at"].iloc[0] > midnight("2020-03-15")
    assert called_off["known_at"].iloc[0] == midnight("2019-12-01")
    outside = fomc_decisions(pd.DatetimeIndex(["2024-11-07", "2024-12-18"]))
    assert outside["cancelled_at"].isna().all()


def test_no_decision_at_all_is_no_row() -> None:
    assert fomc_decisions(pd.DatetimeIndex([])).empty


def test_a_published_release_is_known_before_the_one_before_it_and_a_moved_one_on_its_day() -> None:
    """The shutdown of 2025 moved September's index from 15 to 24 October (BLS)."""
    days = pd.DatetimeIndex(["2025-10-24", "2025-09-11", "2025-09-11"])
    rows = published_releases("CPI", days).set_index("event_date")
    assert len(rows) == 2
    assert rows.loc["2025-09-11", "known_at"] == midnight("2025-07-28")
    assert rows.loc["2025-10-24", "known_at"] == midnight("2025-10-24")
    assert set(rows["basis"]) == {"published"}


def test_a_release_by_rule_is_the_session_on_which_the_value_becomes_visible() -> None:
    months = pd.date_range("2016-01-01", "2019-12-01", freq="MS")
    rows = releases_by_rule("CPI", months)
    assert list(rows["event_date"]) == list(known_on("CPIAUCSL", months))
    assert rows["known_at"].isna().all()
    assert rows["cancelled_at"].isna().all()


@pytest.mark.parametrize(
    ("month", "day"),
    [
        ("2009-12-01", "2010-01-15"),  # BLS, schedule of 2010
        ("2010-01-01", "2010-02-19"),  # BLS, schedule of 2010
        ("2014-09-01", "2014-10-22"),  # publication_lags
        ("2015-01-01", "2015-02-26"),  # publication_lags
        ("2025-09-01", "2025-10-24"),  # BLS, notice of 10 October 2025
    ],
)
def test_a_listed_release_of_the_cpi_is_the_day_that_the_agency_says(month: str, day: str) -> None:
    rows = releases_of_months("CPI", pd.DatetimeIndex([month]))
    kept = rows[rows["cancelled_at"].isna()]
    assert [f"{one:%Y-%m-%d}" for one in kept["event_date"]] == [day]
    assert set(rows["basis"]) == {"published"}


def test_every_month_has_one_release_of_the_cpi_except_the_one_that_was_never_surveyed() -> None:
    days = pd.DatetimeIndex(CPI_RELEASES)
    missing = pd.period_range(days[0], days[-1], freq="M").difference(days.to_period("M"))
    assert [str(month) for month in missing] == ["2025-11"]
    assert days.is_monotonic_increasing
    assert days.to_period("M").is_unique
    assert (days.day_of_week < 5).all()


def test_no_listed_release_is_later_than_the_value_may_be_seen() -> None:
    """The lags that say when a value of the CPI counts as known have to lie behind the true release, always."""
    days = pd.DatetimeIndex(CPI_RELEASES).as_unit("us")
    months = (days.to_period("M") - 1).to_timestamp()
    assert (known_on("CPIAUCSL", pd.DatetimeIndex(months)) >= days).all()


def test_a_shutdown_moves_a_release_and_the_planned_day_stands_until_it_has_come() -> None:
    rows = releases_of_months("CPI", pd.DatetimeIndex(["2013-09-01", "2013-08-01"])).set_index("event_date")
    assert list(rows.index) == list(pd.DatetimeIndex(["2013-09-17", "2013-10-16", "2013-10-30"]))
    assert rows.loc["2013-10-16", "cancelled_at"] == midnight("2013-10-16")
    assert rows.loc["2013-10-16", "known_at"] < midnight("2013-09-17")
    assert rows.loc["2013-10-30", "known_at"] == midnight("2013-10-30")


# Surveys of Consumers, University of Michigan: final readings of the months of 2024, and of January 2013.
FINAL_READINGS = {
    "2013-01": "2013-02-01", "2024-01": "2024-02-02", "2024-02": "2024-03-01", "2024-03": "2024-03-28",
    "2024-04": "2024-04-26", "2024-05": "2024-05-24", "2024-06": "2024-06-28", "2024-07": "2024-07-26",
    "2024-08": "2024-08-30", "2024-09": "2024-09-27", "2024-10": "2024-10-25", "2024-11": "2024-11-22",
    "2024-12": "2024-12-20",
}  # fmt: skip


@pytest.mark.parametrize(("month", "day"), FINAL_READINGS.items())
def test_consumer_confidence_comes_on_the_day_of_the_final_reading(month: str, day: str) -> None:
    rows = releases_of_months("UMCSENT", pd.DatetimeIndex([f"{month}-01"]))
    assert list(rows["event_date"]) == [pd.Timestamp(day)]
    assert list(rows["basis"]) == ["rule"]
    assert rows["known_at"].isna().all()


def test_no_value_of_consumer_confidence_is_visible_before_the_day_of_its_reading() -> None:
    months = pd.date_range("1985-01-01", all_sessions()[-1] - pd.Timedelta(days=60), freq="MS")
    days = releases_by_rule("UMCSENT", months)["event_date"]
    assert len(days) == len(months)
    assert days.is_unique
    assert (known_on("UMCSENT", months) >= pd.DatetimeIndex(days)).all()
    assert is_session(pd.DatetimeIndex(days)).all()


def test_a_reading_comes_before_thanksgiving_and_before_christmas() -> None:
    for year in range(1990, 2026):
        november, december = releases_by_rule("UMCSENT", pd.DatetimeIndex([f"{year}-11-01", f"{year}-12-01"]))[
            "event_date"
        ]
        fourth_thursday = pd.date_range(f"{year}-11-01", periods=1, freq="WOM-4THU")[0]
        assert pd.Timedelta(0) < fourth_thursday - november <= pd.Timedelta(days=7)
        assert pd.Timestamp(f"{year}-12-16") <= december < pd.Timestamp(f"{year}-12-24")


def test_before_the_list_the_cpi_has_no_day_rather_than_a_wrong_one_and_after_it_one_by_rule() -> None:
    rows = releases_of_months("CPI", pd.DatetimeIndex(["2008-11-01", "2008-12-01", "2026-11-01", "2026-12-01"]))
    assert list(rows["basis"]) == ["published", "published", "rule"]
    assert f"{rows['event_date'].iloc[0]:%Y-%m-%d}" == "2009-01-16"
    assert releases_of_months("CPI", pd.DatetimeIndex([])).empty
    months = pd.date_range("2020-01-01", "2020-06-01", freq="MS")
    pd.testing.assert_frame_equal(releases_of_months("UMCSENT", months), releases_by_rule("UMCSENT", months))


def test_a_listed_late_release_is_known_on_its_day_and_the_rule_stands_until_its_own_day_has_come() -> None:
    """October 2025 was never surveyed and came with November's release on 18 December."""
    rows = releases_by_rule("CPI", pd.DatetimeIndex(["2025-09-01", "2025-10-01", "2025-11-01"])).set_index("event_date")
    real = rows[rows["basis"] == "published"]
    assert [f"{day:%Y-%m-%d}" for day in real.index] == ["2025-10-24", "2025-12-18"]
    assert list(real["known_at"]) == [midnight("2025-10-24"), midnight("2025-12-18")]
    assert real["cancelled_at"].isna().all()
    expected = rows[rows["basis"] == "rule"]
    assert [f"{day:%Y-%m-%d}" for day in expected.index] == ["2025-10-21", "2025-11-20", "2025-12-22"]
    assert expected["known_at"].isna().all()
    assert list(expected["cancelled_at"]) == [midnight("2025-10-21"), midnight("2025-11-20"), midnight("2025-12-18")]


@settings(max_examples=40)
@given(st.sampled_from(["CPI", "UMCSENT"]), st.integers(1990, 2024), st.integers(1, 36))
def test_days_by_rule_do_not_depend_on_how_many_months_are_asked_for(event: str, year: int, count: int) -> None:
    months = pd.date_range(f"{year}-01-01", periods=count, freq="MS")
    whole = releases_by_rule(event, pd.date_range(f"{year}-01-01", periods=36, freq="MS"))
    part = releases_by_rule(event, months)
    pd.testing.assert_frame_equal(part, whole[whole["event_date"].isin(part["event_date"])].reset_index(drop=True))
    assert part["event_date"].is_monotonic_increasing
    assert part["event_date"].is_unique


def test_what_a_rule_plans_is_what_is_known_where_no_exception_is_listed() -> None:
    months = pd.date_range("2016-01-01", "2017-12-01", freq="MS")
    assert list(planned_on("CPIAUCSL", months)) == list(known_on("CPIAUCSL", months))
    (planned,) = planned_on("CPIAUCSL", pd.DatetimeIndex(["2025-09-01"]))
    assert planned == pd.Timestamp("2025-10-21")


@pytest.mark.parametrize("build", [published_releases, releases_by_rule])
def test_another_event_is_refused(build: object) -> None:
    with pytest.raises(ConfigurationError, match="CPI, UMCSENT"):
        build("GDP", pd.DatetimeIndex(["2024-01-01"]))  # type: ignore[operator]


def test_moved_days_are_days_of_releases_only() -> None:
    days = pd.DatetimeIndex([day for days in MOVED_RELEASES.values() for day in days])
    assert is_session(days).all()


@pytest.mark.parametrize(
    ("published", "known"),
    [
        ("2025-05-07 22:50", "2025-05-07 22:50"),
        ("2025-05-07 00:00", "2025-05-08 04:00"),  # a UTC date, summer
        ("2025-01-07 00:00", "2025-01-08 05:00"),  # a UTC date, winter
        ("2025-05-07 04:00", "2025-05-08 04:00"),  # midnight in New York, summer
        ("2025-01-07 05:00", "2025-01-08 05:00"),  # midnight in New York, winter
        ("2025-01-07 04:00", "2025-01-07 04:00"),  # an hour before it
        ("2025-03-09 05:00", "2025-03-10 04:00"),  # the day on which the clocks go forward has 23 hours
    ],
)
def test_an_article_with_a_date_only_is_known_when_the_day_has_ended_in_new_york(published: str, known: str) -> None:
    given = pd.Series(pd.DatetimeIndex([published]).tz_localize("UTC").as_unit("us"))
    assert news_known_at(given).iloc[0] == pd.Timestamp(known, tz="UTC")


@given(st.datetimes(pd.Timestamp("1990-01-01").to_pydatetime(), pd.Timestamp("2030-01-01").to_pydatetime()))
def test_no_article_is_known_before_it_was_published(moment: object) -> None:
    given = pd.Series(pd.DatetimeIndex([moment]).tz_localize("UTC").as_unit("us"))
    wait = news_known_at(given) - given
    assert (wait >= pd.Timedelta(0)).all()
    assert (wait <= pd.Timedelta(hours=29)).all()
