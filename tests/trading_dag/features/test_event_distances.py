"""Positions in the exchange's calendar, and distances between them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_dag.errors import SchemaError
from trading_dag.features.event_distances import (
    first_close_from,
    first_session_after,
    first_session_from,
    latest_before,
    positions_of,
    sessions_until_next,
)
from trading_dag.sessions import all_sessions

DAYS = pd.DatetimeIndex(["2024-11-27", "2024-11-28", "2024-11-29", "2024-11-30"])


def _sessions(positions: np.ndarray) -> list[str]:
    return list(all_sessions()[positions].strftime("%m-%d"))


def test_a_day_belongs_to_its_session_or_the_next_one() -> None:
    assert _sessions(first_session_from(DAYS)) == ["11-27", "11-29", "11-29", "12-02"]
    assert _sessions(first_session_after(DAYS)) == ["11-29", "11-29", "12-02", "12-02"]


def test_a_moment_is_seen_at_the_close_that_does_not_come_before_it() -> None:
    # 29 November 2024 closes at 13:00 New York, 18:00 UTC.
    moments = pd.DatetimeIndex(["2024-11-29T18:00Z", "2024-11-29T18:00:00.000001Z", "2024-11-30T12:00Z"])
    assert _sessions(first_close_from(moments)) == ["11-29", "12-02", "12-02"]


def test_a_day_without_a_session_is_refused_by_name() -> None:
    with pytest.raises(SchemaError, match="2024-11-28"):
        positions_of(DAYS.as_unit("us"), table="raw.prices_daily")


EVENTS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60)), max_size=8)


@given(EVENTS)
def test_the_next_event_is_the_nearest_that_is_known_and_not_called_off(events: list[tuple[int, int, int]]) -> None:
    rows = np.arange(60)
    happens, seen, called_off = (np.array([event[n] for event in events], dtype=np.int64) for n in range(3))
    found = sessions_until_next(rows, visible_from=seen, happens_at=happens, visible_until=called_off)
    for row in rows.tolist():
        open_events = [at - row for at, start, end in events if start <= row < end and at > row]
        assert found[row] == pytest.approx(min(open_events, default=np.nan), nan_ok=True)


@given(st.lists(st.integers(0, 60), max_size=8), st.integers(0, 20))
def test_the_latest_event_counts_until_the_limit(events: list[int], limit: int) -> None:
    rows = np.arange(60)
    happened = np.array(sorted(events), dtype=np.int64)
    number, age = latest_before(rows, happened_at=happened, limit=limit)
    for row in rows.tolist():
        ages = [row - event for event in events if 0 <= row - event <= limit]
        assert age[row] == pytest.approx(min(ages, default=np.nan), nan_ok=True)
        if ages:
            assert row - happened[number[row]] == min(ages)


def test_an_event_beyond_the_calendar_is_not_counted() -> None:
    end = len(all_sessions())
    found = sessions_until_next(np.array([end - 1]), visible_from=np.array([0]), happens_at=np.array([end]))
    assert np.isnan(found).all()
