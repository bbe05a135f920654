"""Which sessions are missing, by a calendar that anybody can look up."""

from __future__ import annotations

import pandas as pd

from trading_dag.backtest.markets.chain_coverage import coverage_of
from trading_dag.sessions import sessions_between


def test_holes_are_counted_in_sessions_of_the_exchange_and_not_in_days():
    # New Year, weekends and Martin Luther King Day are no holes; Thursday the 4th and the week after the 16th are.
    there = pd.DatetimeIndex(["2024-01-02", "2024-01-03", "2024-01-05", "2024-01-08", "2024-01-16", "2024-01-22"])
    found = coverage_of(there)
    assert (found.sessions, found.exchange_sessions) == (6, len(sessions_between("2024-01-02", "2024-01-22")))
    assert [(str(hole.first.date()), str(hole.last.date()), hole.sessions, hole.after) for hole in found.holes] == [
        ("2024-01-04", "2024-01-04", 1, 1), ("2024-01-09", "2024-01-12", 4, 3), ("2024-01-17", "2024-01-19", 3, 4),
    ]  # fmt: skip
    assert found.longest is not None
    assert found.longest.sessions == 4


def test_a_whole_period_a_single_session_and_days_outside_the_calendar_have_no_holes():
    for there in (
        sessions_between("2019-01-02", "2020-12-31"), pd.DatetimeIndex(["2024-01-02"]),
        # Before the calendar, and weekdays that were holidays: nothing lies between them.
        pd.DatetimeIndex(["1970-01-05", "1971-01-05"]), pd.DatetimeIndex(["2024-03-28", "2024-03-29", "2024-04-01"]),
    ):  # fmt: skip
        found = coverage_of(there)
        assert (found.holes, found.longest, found.exchange_sessions) == ((), None, len(there))
