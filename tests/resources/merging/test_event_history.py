"""Events of one fetch merged into those of the fetches before: nothing lost, nothing doubled, the first sight kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.merging.event_history import EventMerge, fetch_start, merge_events
from resources.raw_frames import raw_frame
from resources.sources.live.source import build_live_source
from tests.resources.loopback.event_shapes import ARTICLES, FINNHUB_KEY, NOW
from tests.resources.loopback.server import LoopbackVendor
from trading_dag.errors import SchemaError, SourceMismatchError
from trading_dag.quality.conformance import conform
from trading_dag.schemas import EARNINGS, ECONOMIC_CALENDAR, NEWS, SOCIAL_MENTIONS, Table

FIRST, LATER = pd.Timestamp("2026-11-01 22:00", tz="UTC"), pd.Timestamp("2026-11-20 22:00", tz="UTC")
DAY = pd.Timedelta(days=1)


def rows_of(table: Table, *rows: dict[str, object], source: str = "live") -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=list(table.column_names))
    for column in table.columns:
        if column.type == "timestamp":
            frame[column.name] = pd.to_datetime(frame[column.name], utc=True)
        if column.type == "date":
            frame[column.name] = pd.to_datetime(frame[column.name])
        if column.name == "ticker":
            frame[column.name] = "SPY"
    return raw_frame(frame, table, source=source)


def announcement(day: str, *, actual: float | None = None, seen: pd.Timestamp = FIRST, estimate: float = 1.0) -> dict:
    figures = {"eps_estimate": estimate, "eps_actual": actual}
    return {"company": "AAPL", "report_date": day, "timing": "AMC", "known_at": seen, **figures}


def event(day: str, *, name: str = "CPI", basis: str = "published", seen: str | None = "2026-01-01") -> dict:
    return {"event": name, "event_date": day, "known_at": seen, "cancelled_at": None, "basis": basis}


def counts(merged: EventMerge) -> tuple[int, int, int, int]:
    return merged.appended, merged.completed, len(merged.restated), merged.withdrawn


def test_snapshots_that_have_no_row_in_common_are_all_kept() -> None:
    one, two = (
        rows_of(SOCIAL_MENTIONS, {"known_at": moment, "mentions": count, "rank": 1})
        for moment, count in ((FIRST, 10.0), (LATER, 20.0))
    )
    merged = merge_events(one, two, table=SOCIAL_MENTIONS, asked_at=LATER)
    assert list(merged.frame["mentions"]) == [10.0, 20.0]
    assert counts(merged) == (1, 0, 0, 0)
    assert merged.frame.attrs == {"source": "live"}
    conform(merged.frame, SOCIAL_MENTIONS, slice_key="SPY")


def test_the_day_of_an_announcement_was_known_when_it_was_first_seen_and_its_figures_come_later() -> None:
    stored = rows_of(EARNINGS, announcement("2026-11-10"))
    fresh = rows_of(EARNINGS, announcement("2026-11-10", actual=1.2, seen=LATER))
    # Asked before it was announced, and after: no session saw it without its figures.
    before = pd.Timestamp("2026-11-10 20:00", tz="UTC")
    merged = merge_events(stored, fresh, table=EARNINGS, asked_at=LATER, asked_before=before)
    (row,) = merged.frame.to_dict("records")
    assert (row["known_at"], row["eps_actual"]) == (FIRST, 1.2)
    assert pd.isna(row["cancelled_at"])
    assert counts(merged) == (0, 1, 0, 0)


def test_figures_that_were_late_are_a_version_from_when_the_vendor_had_none() -> None:
    stored = rows_of(EARNINGS, announcement("2026-11-10"))
    fresh = rows_of(EARNINGS, announcement("2026-11-10", actual=1.2, seen=LATER))
    without = pd.Timestamp("2026-11-13 23:00", tz="UTC")
    merged = merge_events(stored, fresh, table=EARNINGS, asked_at=LATER, asked_before=without)
    silent, told = merged.frame.to_dict("records")
    assert (silent["known_at"], silent["cancelled_at"]) == (FIRST, without)
    assert (told["known_at"], told["eps_actual"]) == (without, 1.2)
    assert pd.isna(silent["eps_actual"])
    assert pd.isna(told["cancelled_at"])
    again = merge_events(merged.frame, fresh, table=EARNINGS, asked_at=LATER, asked_before=LATER)
    pd.testing.assert_frame_equal(again.frame, merged.frame)
    conform(merged.frame, EARNINGS, slice_key="SPY")


def test_what_was_announced_stays_as_first_said_and_another_figure_is_recorded() -> None:
    stored = rows_of(EARNINGS, announcement("2026-10-10", actual=1.2))
    emptied = merge_events(stored, rows_of(EARNINGS, announcement("2026-10-10")), table=EARNINGS, asked_at=LATER)
    assert emptied.frame["eps_actual"].iloc[0] == 1.2
    fresh = rows_of(EARNINGS, announcement("2026-10-10", actual=1.3))
    restated = merge_events(stored, fresh, table=EARNINGS, asked_at=LATER)
    assert restated.frame["eps_actual"].tolist() == [1.2]
    (told,) = restated.restated.to_dict("records")
    assert (told["company"], told["report_date"]) == ("AAPL", pd.Timestamp("2026-10-10"))
    assert (told["column"], told["old"], told["new"]) == ("eps_actual", 1.2, 1.3)
    assert told["outcome"] == "the first value stays"


@pytest.mark.parametrize(
    ("day", "estimate", "outcome"), [("2026-12-01", 1.1, "taken"), ("2026-11-20", 1.0, "the first value stays")]
)
def test_an_estimate_follows_the_vendor_until_the_report_day_begins(day: str, estimate: float, outcome: str) -> None:
    stored = rows_of(EARNINGS, announcement(day))
    merged = merge_events(
        stored, rows_of(EARNINGS, announcement(day, estimate=1.1)), table=EARNINGS, asked_at=LATER, asked_before=FIRST
    )
    assert merged.frame["eps_estimate"].tolist() == [estimate]
    assert merged.restated["outcome"].tolist() == [outcome]


def test_an_announcement_that_was_moved_is_cancelled_now_but_not_what_was_not_asked_for() -> None:
    stored = rows_of(
        EARNINGS, announcement("2026-01-29"), announcement("2026-10-29", actual=1.0), announcement("2027-01-28")
    )
    fresh = rows_of(EARNINGS, announcement("2027-01-29", seen=LATER))
    merged = merge_events(stored, fresh, table=EARNINGS, asked_at=LATER, since=pd.Timestamp("2026-06-01"))
    rows = merged.frame.set_index(merged.frame["report_date"].dt.strftime("%Y-%m-%d"))["cancelled_at"]
    assert rows.index.tolist() == ["2026-01-29", "2026-10-29", "2027-01-28", "2027-01-29"]
    assert rows["2027-01-28"] == LATER
    assert rows.drop("2027-01-28").isna().all()
    assert (merged.appended, merged.withdrawn) == (1, 1)
    again = merge_events(merged.frame, fresh, table=EARNINGS, asked_at=LATER + DAY, since=pd.Timestamp("2026-06-01"))
    pd.testing.assert_frame_equal(again.frame, merged.frame)
    assert again.withdrawn == 0
    silent = merge_events(stored, rows_of(EARNINGS), table=EARNINGS, asked_at=LATER)
    assert len(silent.frame) == 3


def test_a_date_that_is_given_again_begins_anew_and_the_time_without_it_stays() -> None:
    stored = rows_of(EARNINGS, {**announcement("2026-12-10"), "cancelled_at": FIRST + DAY})
    fresh = rows_of(EARNINGS, announcement("2026-12-10", seen=LATER))
    merged = merge_events(stored, fresh, table=EARNINGS, asked_at=LATER, asked_before=FIRST + DAY)
    assert list(merged.frame["known_at"]) == [FIRST, LATER]
    assert merged.frame["cancelled_at"].iloc[0] == FIRST + DAY
    assert pd.isna(merged.frame["cancelled_at"].iloc[1])
    assert merged.restated["column"].tolist() == ["cancelled_at"]


def test_another_timing_is_a_version_of_its_own_and_one_that_changes_no_session_is_not() -> None:
    stored = rows_of(EARNINGS, announcement("2026-12-10"))
    earlier = merge_events(
        stored, rows_of(EARNINGS, {**announcement("2026-12-10"), "timing": "BMO"}), table=EARNINGS, asked_at=LATER
    )
    assert list(earlier.frame["timing"]) == ["AMC", "BMO"]
    assert earlier.frame["cancelled_at"].iloc[0] == earlier.frame["known_at"].iloc[1] == LATER
    unsaid = rows_of(EARNINGS, {**announcement("2026-12-10"), "timing": None})
    said = merge_events(unsaid, stored, table=EARNINGS, asked_at=LATER)
    assert list(said.frame["timing"]) == ["AMC"]
    assert (said.frame["known_at"].iloc[0], said.completed) == (FIRST, 1)


def test_a_day_of_the_calendar_that_was_moved_is_cancelled_now_and_the_new_one_was_not_known_before() -> None:
    stored = rows_of(ECONOMIC_CALENDAR, event("2026-10-14"), event("2026-12-10"))
    fresh = rows_of(ECONOMIC_CALENDAR, event("2026-12-18", seen="2026-11-03"), event("2027-03-11", seen="2027-01-25"))
    merged = merge_events(stored, fresh, table=ECONOMIC_CALENDAR, asked_at=LATER, asked_before=FIRST)
    rows = merged.frame.set_index("event_date")
    assert rows.loc["2026-12-10", "cancelled_at"] == LATER
    assert pd.isna(rows.loc["2026-10-14", "cancelled_at"])
    assert rows.loc["2026-12-18", "known_at"] == LATER
    assert rows.loc["2027-03-11", "known_at"] == pd.Timestamp("2027-01-25", tz="UTC")
    assert merged.withdrawn == 1
    itself = merge_events(stored, fresh, table=ECONOMIC_CALENDAR, asked_at=LATER)
    assert itself.frame.set_index("event_date").loc["2026-12-18", "known_at"] == pd.Timestamp("2026-11-03", tz="UTC")


def test_days_by_rule_make_room_for_published_ones_of_the_same_event_only_and_stay_for_the_past() -> None:
    stored = rows_of(
        ECONOMIC_CALENDAR,
        event("2026-10-20", basis="rule", seen=None),
        event("2026-10-06", name="UMCSENT", basis="rule", seen=None),
    )
    fresh = rows_of(ECONOMIC_CALENDAR, event("2026-10-14"))
    merged = merge_events(stored, fresh, table=ECONOMIC_CALENDAR, asked_at=LATER, asked_before=FIRST)
    rows = merged.frame.set_index(["event", "basis"])
    assert rows.loc[("CPI", "rule"), "cancelled_at"] == LATER
    assert rows.loc[("CPI", "published"), "known_at"] == FIRST
    assert pd.isna(rows.loc[("UMCSENT", "rule"), "cancelled_at"])


def article(number: str, **says: object) -> dict[str, object]:
    known = {"published_at": FIRST, "known_at": FIRST, "scope": "market", "headline": "Stocks fall", "sentiment": None}
    return {"news_id": number, **known, **says}


def test_a_headline_that_is_edited_stays_as_it_was_first_read_and_the_edit_is_recorded() -> None:
    stored = rows_of(NEWS, article("1", publisher="A"))
    fresh = rows_of(NEWS, article("1", headline="Stocks soar", publisher="B", sentiment=0.9, url="u"))
    merged = merge_events(stored, fresh, table=NEWS, asked_at=LATER, asked_before=FIRST)
    (row,) = merged.frame.to_dict("records")
    assert (row["headline"], row["publisher"], row["url"]) == ("Stocks fall", "B", "u")
    assert np.isnan(row["sentiment"])
    outcome = merged.restated.set_index("column")["outcome"].to_dict()
    stays = "the first value stays"
    assert outcome == {"headline": stays, "sentiment": stays, "publisher": "taken"}
    assert merged.completed == 1


def test_an_article_that_the_vendor_did_not_have_when_it_was_asked_was_not_known_then() -> None:
    stored = rows_of(NEWS, article("1"))
    fresh = rows_of(NEWS, article("2"), article("3", known_at=LATER - DAY))
    merged = merge_events(stored, fresh, table=NEWS, asked_at=LATER, asked_before=FIRST + DAY)
    assert merged.frame["known_at"].tolist() == [FIRST, FIRST + DAY, LATER - DAY]


@pytest.mark.parametrize(
    ("table", "row", "start"),
    [
        (NEWS, {"published_at": "2026-11-20 15:30", "news_id": "1"}, "2026-11-17"),
        (EARNINGS, announcement("2027-01-28"), "2026-06-22"),
        (ECONOMIC_CALENDAR, event("2026-10-14"), None),
        (SOCIAL_MENTIONS, {"known_at": FIRST, "mentions": 1.0}, None),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_next_fetch_overlaps_what_is_stored(table: Table, row: dict, start: str | None) -> None:
    expected = None if start is None else pd.Timestamp(start)
    assert fetch_start(rows_of(table, row), table) == expected
    assert fetch_start(rows_of(table), table) is None


@settings(max_examples=25)
@given(st.data())
def test_news_of_any_fetches_are_their_union_with_the_first_sight_and_again_changes_nothing(
    data: st.DataObject,
) -> None:
    numbers = st.lists(st.integers(0, 12), unique=True, max_size=8)
    stored = rows_of(NEWS)
    seen: dict[str, pd.Timestamp] = {}
    for number in range(3):
        moments = {str(i): FIRST + pd.Timedelta(hours=data.draw(st.integers(0, 50))) for i in data.draw(numbers)}
        fresh = rows_of(NEWS, *(article(i, known_at=at) for i, at in moments.items()))
        merged = merge_events(stored, fresh, table=NEWS, asked_at=LATER + number * DAY)
        seen = {**moments, **seen}
        stored = merged.frame
        again = merge_events(stored, fresh, table=NEWS, asked_at=LATER)
        pd.testing.assert_frame_equal(again.frame, stored)
        assert counts(again) == (0, 0, 0, 0)
    assert stored.set_index("news_id")["known_at"].to_dict() == seen


def test_rows_of_another_source_or_shape_or_with_a_key_twice_are_refused() -> None:
    stored = rows_of(EARNINGS, announcement("2026-11-10"))
    with pytest.raises(SourceMismatchError, match="TRADING_DAG_HOME"):
        merge_events(stored, rows_of(EARNINGS, source="files"), table=EARNINGS, asked_at=LATER)
    with pytest.raises(SchemaError, match="timing"):
        merge_events(stored, stored.drop(columns="timing"), table=EARNINGS, asked_at=LATER)
    with pytest.raises(SchemaError, match="twice"):
        merge_events(stored, pd.concat([stored, stored]), table=EARNINGS, asked_at=LATER)


def test_daily_fetches_of_the_live_source_hold_what_one_fetch_of_all_holds(tmp_path: Path) -> None:
    with LoopbackVendor(sessions=30) as vendor:
        live = vendor.settings(tmp_path, finnhub_api_key=FINNHUB_KEY)
        stored = rows_of(NEWS)
        for days_ago in (20, 13, 12, 1, 0):
            moment = NOW - pd.Timedelta(days=days_ago)
            vendor.events.articles = [one for one in ARTICLES if one["datetime"] <= moment.timestamp()]
            source = build_live_source(live, clock=lambda moment=moment: moment)
            since = fetch_start(stored, NEWS) if len(stored) else pd.Timestamp("2026-10-01")
            fresh = source.news("SPY", since=since)
            stored = merge_events(stored, fresh, table=NEWS, asked_at=moment, since=since).frame
        whole = source.news("SPY", since=pd.Timestamp("2026-10-01"))
    pd.testing.assert_frame_equal(stored, whole)
