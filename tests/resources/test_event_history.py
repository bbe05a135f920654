"""Events of one fetch merged into those of the fetches before: nothing lost, nothing doubled, the first sight kept."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.event_history import fetch_start, merge_events
from resources.live import build_live_source
from resources.raw_frames import table_frame
from tests.resources.loopback.event_shapes import ARTICLES, FINNHUB_KEY, NOW
from tests.resources.loopback.server import LoopbackVendor
from trading_dag.errors import SchemaError, SourceMismatchError
from trading_dag.quality.conformance import conform
from trading_dag.schemas import EARNINGS, ECONOMIC_CALENDAR, NEWS, SOCIAL_MENTIONS, Table

FIRST, LATER = pd.Timestamp("2026-11-01 22:00", tz="UTC"), pd.Timestamp("2026-11-20 22:00", tz="UTC")


def rows_of(table: Table, *rows: dict[str, object], source: str = "live") -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=list(table.column_names))
    for column in table.columns:
        if column.type == "timestamp":
            frame[column.name] = pd.to_datetime(frame[column.name], utc=True)
        if column.type == "date":
            frame[column.name] = pd.to_datetime(frame[column.name])
        if column.name == "ticker":
            frame[column.name] = "SPY"
    return table_frame(frame, table, source=source)


def announcement(day: str, *, actual: float | None = None, seen: pd.Timestamp = FIRST, estimate: float = 1.0) -> dict:
    figures = {"eps_estimate": estimate, "eps_actual": actual}
    return {"company": "AAPL", "report_date": day, "timing": "AMC", "known_at": seen, **figures}


def event(day: str, *, name: str = "CPI", basis: str = "published", seen: str | None = "2026-01-01") -> dict:
    return {"event": name, "event_date": day, "known_at": seen, "cancelled_at": None, "basis": basis}


def test_snapshots_that_have_no_row_in_common_are_all_kept() -> None:
    one, two = (
        rows_of(SOCIAL_MENTIONS, {"known_at": moment, "mentions": count, "rank": 1})
        for moment, count in ((FIRST, 10.0), (LATER, 20.0))
    )
    merged = merge_events(one, two, table=SOCIAL_MENTIONS, asked_at=LATER)
    assert list(merged.frame["mentions"]) == [10.0, 20.0]
    assert (merged.appended, merged.restated) == (1, 0)
    assert merged.frame.attrs == {"source": "live"}
    conform(merged.frame, SOCIAL_MENTIONS, slice_key="SPY")


def test_the_day_of_an_announcement_was_known_when_it_was_first_seen_and_its_figures_come_later() -> None:
    stored = rows_of(EARNINGS, announcement("2026-11-10"))
    fresh = rows_of(EARNINGS, announcement("2026-11-10", actual=1.2, seen=LATER))
    merged = merge_events(stored, fresh, table=EARNINGS, asked_at=LATER)
    (row,) = merged.frame.to_dict("records")
    assert (row["known_at"], row["eps_actual"]) == (FIRST, 1.2)
    assert (merged.appended, merged.completed, merged.restated, merged.withdrawn) == (0, 1, 0, 0)


def test_a_value_that_the_vendor_no_longer_gives_stays_and_another_one_is_a_restatement() -> None:
    stored = rows_of(EARNINGS, announcement("2026-10-10", actual=1.2))
    emptied = merge_events(stored, rows_of(EARNINGS, announcement("2026-10-10")), table=EARNINGS, asked_at=LATER)
    assert emptied.frame["eps_actual"].iloc[0] == 1.2
    fresh = rows_of(EARNINGS, announcement("2026-10-10", actual=1.3))
    restated = merge_events(stored, fresh, table=EARNINGS, asked_at=LATER)
    assert (restated.frame["eps_actual"].iloc[0], restated.restated) == (1.3, 1)


def test_an_announcement_that_was_moved_is_left_out_but_not_what_was_not_asked_for() -> None:
    stored = rows_of(
        EARNINGS, announcement("2026-01-29"), announcement("2026-10-29", actual=1.0), announcement("2027-01-28")
    )
    fresh = rows_of(EARNINGS, announcement("2027-01-29", seen=LATER))
    merged = merge_events(stored, fresh, table=EARNINGS, asked_at=LATER, since=pd.Timestamp("2026-06-01"))
    days = [f"{day:%Y-%m-%d}" for day in merged.frame["report_date"]]
    assert days == ["2026-01-29", "2026-10-29", "2027-01-29"]
    assert (merged.appended, merged.withdrawn) == (1, 1)
    silent = merge_events(stored, rows_of(EARNINGS), table=EARNINGS, asked_at=LATER)
    assert len(silent.frame) == 3


def test_a_day_of_the_calendar_that_was_moved_is_cancelled_now_and_the_new_one_was_not_known_before() -> None:
    stored = rows_of(ECONOMIC_CALENDAR, event("2026-10-14"), event("2026-12-10"))
    fresh = rows_of(ECONOMIC_CALENDAR, event("2026-12-18", seen="2026-11-03"), event("2027-03-11", seen="2027-01-25"))
    merged = merge_events(stored, fresh, table=ECONOMIC_CALENDAR, asked_at=LATER)
    rows = merged.frame.set_index("event_date")
    assert rows.loc["2026-12-10", "cancelled_at"] == LATER
    assert pd.isna(rows.loc["2026-10-14", "cancelled_at"])
    assert rows.loc["2026-12-18", "known_at"] == LATER
    assert rows.loc["2027-03-11", "known_at"] == pd.Timestamp("2027-01-25", tz="UTC")
    assert merged.withdrawn == 1


def test_days_by_rule_make_room_for_published_ones_of_the_same_event_only() -> None:
    stored = rows_of(
        ECONOMIC_CALENDAR,
        event("2026-10-20", basis="rule", seen=None),
        event("2026-10-06", name="UMCSENT", basis="rule", seen=None),
    )
    fresh = rows_of(ECONOMIC_CALENDAR, event("2026-10-14"))
    merged = merge_events(stored, fresh, table=ECONOMIC_CALENDAR, asked_at=LATER)
    assert set(zip(merged.frame["event"], merged.frame["basis"], strict=True)) == {
        ("CPI", "published"),
        ("UMCSENT", "rule"),
    }


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
def test_news_of_any_fetches_are_their_union_with_the_earliest_sight_and_again_changes_nothing(
    data: st.DataObject,
) -> None:
    numbers = st.lists(st.integers(0, 12), unique=True, max_size=8)
    stored = rows_of(NEWS)
    seen: dict[str, pd.Timestamp] = {}
    for number in range(3):
        moments = {str(i): FIRST + pd.Timedelta(hours=data.draw(st.integers(0, 50))) for i in data.draw(numbers)}
        fresh = rows_of(
            NEWS,
            *({"news_id": i, "published_at": FIRST, "known_at": at, "scope": "market", "headline": "x"}
              for i, at in moments.items()),
        )  # fmt: skip
        merged = merge_events(stored, fresh, table=NEWS, asked_at=LATER + pd.Timedelta(days=number))
        for i, at in moments.items():
            seen[i] = min(at, seen.get(i, at))
        stored = merged.frame
        again = merge_events(stored, fresh, table=NEWS, asked_at=LATER)
        pd.testing.assert_frame_equal(again.frame, stored)
        assert (again.appended, again.completed, again.restated, again.withdrawn) == (0, 0, 0, 0)
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
