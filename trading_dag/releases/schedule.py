"""Rows of the economic calendar: days of releases and decisions, and when each day was known in advance.

Three kinds: decisions of the Federal Reserve (listed), release days that an agency published (the CPI's are listed
from 2009 on), and release days that only a rule says. Where the days come from is elsewhere; what is known about
them, and when, belongs here.

What the moments rest on
------------------------
FOMC, scheduled
    the schedule of a year is announced in the summer or autumn before (9 August 2024, 5 September 2025). Taken as known
    from 1 December of the year before, which is late for every year and early enough for the next meeting.
FOMC, between meetings
    known when announced, never before; a meeting that was called off stands with ``cancelled_at``, because until
    then everybody expected it.
CPI and UMCSENT, published
    both agencies publish their days months ahead. Taken as known 45 days ahead, which is more than the time between
    two releases; days that a government shutdown moved are known on the day itself, and the day that was planned
    stands until it has come.
UMCSENT, by rule
    the survey's own habit, a function of the reference month that knew nothing of the future (``final_readings``). It
    gives the twelve days of 2024 and 1 February 2013; other days could not be checked, and a single month may be a
    week off. The value itself counts as known later still, see ``publication_lags``: never before the day by rule.
CPI, by rule
    only months after the list, so to come: the session on which ``publication_lags`` lets the value be seen, some days
    after the true release. Months before the list have no day at all, because a wrong one is worse than none.
"""

from __future__ import annotations

from typing import Final

import pandas as pd

from trading_dag.errors import ConfigurationError
from trading_dag.releases.cpi import CPI_NOT_KEPT, CPI_RELEASES
from trading_dag.releases.fomc import CANCELLED_MEETINGS, SCHEDULED_DECISIONS, UNSCHEDULED_DECISIONS
from trading_dag.releases.publication_lags import known_on, planned_on
from trading_dag.schemas import ECONOMIC_CALENDAR
from trading_dag.sessions import NEW_YORK, TIME_UNIT, all_sessions

FIRST_EVENT: Final = pd.Timestamp("1990-01-01")
SERIES_OF_EVENT: Final[dict[str, str]] = {"CPI": "CPIAUCSL", "UMCSENT": "UMCSENT"}
KNOWN_AHEAD: Final = pd.Timedelta(days=45)
SHIPPED_DECISIONS: Final = pd.DatetimeIndex(sorted((*SCHEDULED_DECISIONS, *UNSCHEDULED_DECISIONS))).as_unit(TIME_UNIT)
_SCHEDULE_KNOWN_FROM: Final = "12-01"
_THURSDAY, _FRIDAY, _NOVEMBER = 3, 4, 11
_FIRST_DAY_OF_READING: Final = dict.fromkeys(range(1, 13), 24) | {1: 27, 12: 17}
_LATEST_THANKSGIVING_OF_A_WEDNESDAY: Final = 26
# Releases whose day a government shutdown moved: the day before, another one was expected.
MOVED_RELEASES: Final[dict[str, tuple[str, ...]]] = {
    "CPI": ("1996-02-01", "2013-10-30", "2013-11-20", "2025-10-24", "2025-12-18", "2026-02-13"),
    "UMCSENT": (),
}


def fomc_decisions(days: pd.DatetimeIndex = SHIPPED_DECISIONS) -> pd.DataFrame:
    """Return the Federal Reserve's decision days with the moment at which each was known.

    Parameters
    ----------
    days : decision days, in any order. A day that is listed as unscheduled is known from its announcement on, every
        other one from 1 December of the year before. A listed meeting that was called off is added where it lies
        between the first and the last of them.

    Returns
    -------
    pd.DataFrame : the columns of ``raw.economic_calendar``, ascending by day, without repeats.
    """
    decisions = pd.DatetimeIndex(days).as_unit(TIME_UNIT).normalize().unique().sort_values()
    if decisions.empty:
        return _rows("FOMC", decisions, known_at=None, basis="published")
    texts = decisions.strftime("%Y-%m-%d")
    known = [UNSCHEDULED_DECISIONS.get(day, f"{int(day[:4]) - 1}-{_SCHEDULE_KNOWN_FROM}") for day in texts]
    rows = _rows("FOMC", decisions, known_at=_new_york(known), basis="published")
    called_off = [day for day in CANCELLED_MEETINGS if texts[0] <= day <= texts[-1] and day not in texts]
    if called_off:
        planned = [f"{int(day[:4]) - 1}-{_SCHEDULE_KNOWN_FROM}" for day in called_off]
        not_held = _rows("FOMC", pd.DatetimeIndex(called_off), known_at=_new_york(planned), basis="published")
        not_held["cancelled_at"] = _new_york([CANCELLED_MEETINGS[day] for day in called_off])
        rows = pd.concat([rows, not_held])
    return rows.sort_values("event_date", ignore_index=True)


def published_releases(event: str, days: pd.DatetimeIndex) -> pd.DataFrame:
    """Return release days that the agency published, each known 45 days ahead; a moved one is known on the day itself.

    Parameters
    ----------
    event : CPI or UMCSENT.
    days : release days, past and scheduled, any order.

    Raises
    ------
    ConfigurationError : for another event.
    """
    _series_of(event)
    released = pd.DatetimeIndex(days).as_unit(TIME_UNIT).normalize().unique().sort_values()
    is_moved = released.isin(pd.DatetimeIndex(list(MOVED_RELEASES[event])))
    known = pd.Series(released).where(pd.Series(is_moved), pd.Series(released - KNOWN_AHEAD))
    return _rows(event, released, known_at=_midnights(pd.DatetimeIndex(known)), basis="published")


def releases_of_months(event: str, reference_months: pd.DatetimeIndex) -> pd.DataFrame:
    """Return the release days of months: the CPI's as listed, by rule after the list, none before it; UMCSENT's by
    rule.

    Parameters
    ----------
    event : CPI or UMCSENT.
    reference_months : first days of the months that the values are about, past and future.

    Returns
    -------
    pd.DataFrame : the columns of ``raw.economic_calendar``, ascending by day, without repeats.

    Raises
    ------
    ConfigurationError : for another event.
    """
    months = pd.DatetimeIndex(reference_months).as_unit(TIME_UNIT).unique().sort_values()
    if event != "CPI":
        return releases_by_rule(event, months)
    listed, not_kept = (pd.DatetimeIndex(days).as_unit(TIME_UNIT) for days in (CPI_RELEASES, CPI_NOT_KEPT))
    (last,) = _month_before(listed[-1:])
    releases = published_releases(event, listed[_month_before(listed).isin(months)])
    dropped = published_releases(event, not_kept[_month_before(not_kept).isin(months)])
    dropped = dropped.assign(cancelled_at=_midnights(pd.DatetimeIndex(dropped["event_date"])))
    parts = [part for part in (releases_by_rule(event, months[months > last]), releases, dropped) if len(part)]
    return pd.concat(parts).sort_values("event_date", ignore_index=True) if parts else releases


def releases_by_rule(event: str, reference_months: pd.DatetimeIndex) -> pd.DataFrame:
    """Return computed days for releases whose days nobody publishes: UMCSENT's by ``final_readings``, the CPI's by its
    lag.

    Parameters
    ----------
    event : CPI or UMCSENT.
    reference_months : first days of the months that the values are about, past and future.

    Returns
    -------
    pd.DataFrame : the columns of ``raw.economic_calendar``. ``known_at`` is NULL, because a rule is always known;
        a listed late release (``publication_lags.KNOWN_RELEASES``) is ``published`` and known on its day, and the day
        by rule stands beside it, ``cancelled_at`` the beginning of whichever day came first.

    Raises
    ------
    ConfigurationError : for another event.
    """
    series_id = _series_of(event)
    months = pd.DatetimeIndex(reference_months).unique().sort_values()
    if event == "UMCSENT":
        return _rows(event, final_readings(months), known_at=None, basis="rule")
    planned, real = planned_on(series_id, months), known_on(series_id, months)
    is_listed = (planned != real) & planned.notna() & real.notna()
    rows = _rows(event, planned, known_at=None, basis="rule")
    first = pd.DatetimeIndex([min(pair) for pair in zip(planned[is_listed], real[is_listed], strict=True)])
    rows.loc[is_listed, "cancelled_at"] = list(_midnights(first))
    listed = real[is_listed]
    late = _rows(event, listed, known_at=_midnights(listed), basis="published")
    both = pd.concat([rows, late]) if len(late) else rows
    # A day on which something was released is no cancelled day, whatever had been planned for it.
    both = both.dropna(subset=["event_date"]).sort_values(["event_date", "cancelled_at"], na_position="first")
    return both.drop_duplicates("event_date").reset_index(drop=True)


def final_readings(reference_months: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return the sessions on which the Surveys of Consumers give each month's final reading, by the survey's habit.

    The Friday from the 24th on, in January from the 27th on, which may lie in the next month; in November the
    Wednesday before Thanksgiving if that is the 25th at the latest, otherwise the Friday before; in December the Friday
    from the 17th to the 23rd. A day without a session (Good Friday) gives way to the one before.

    Parameters
    ----------
    reference_months : first days of months, ascending.

    Returns
    -------
    pd.DatetimeIndex : one session for each month whose day the exchange's calendar covers.
    """
    months = pd.DatetimeIndex(reference_months).as_unit(TIME_UNIT)
    starts = months + pd.to_timedelta(months.month.map(_FIRST_DAY_OF_READING) - 1, unit="D").as_unit(TIME_UNIT)
    days = _weekday_from(starts, _FRIDAY)
    thanksgiving = _weekday_from(months, _THURSDAY) + pd.Timedelta(weeks=3)
    is_early = thanksgiving.day <= _LATEST_THANKSGIVING_OF_A_WEDNESDAY
    november = (thanksgiving - pd.Timedelta(days=1)).where(is_early, thanksgiving - pd.Timedelta(days=6))
    days = days.where(months.month != _NOVEMBER, november)
    calendar = all_sessions()
    days = days[(days >= calendar[0]) & (days <= calendar[-1])]
    return calendar[calendar.searchsorted(days, side="right") - 1]


def _weekday_from(days: pd.DatetimeIndex, weekday: int) -> pd.DatetimeIndex:
    """Return the first such day of the week on or after each day."""
    return days + pd.to_timedelta((weekday - days.day_of_week) % 7, unit="D").as_unit(TIME_UNIT)


def _month_before(days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return (days.to_period("M") - 1).to_timestamp().as_unit(TIME_UNIT)


def _series_of(event: str) -> str:
    try:
        return SERIES_OF_EVENT[event]
    except KeyError:
        raise ConfigurationError(
            f"{event!r} is no release of the calendar; known are {', '.join(SERIES_OF_EVENT)}"
        ) from None


def _rows(event: str, days: pd.DatetimeIndex, *, known_at: pd.Series | None, basis: str) -> pd.DataFrame:
    columns = {
        "event": event,
        "event_date": pd.Series(days.as_unit(TIME_UNIT)),
        "known_at": _no_moments(len(days)) if known_at is None else known_at,
        "cancelled_at": _no_moments(len(days)),
        "basis": basis,
    }
    return pd.DataFrame(columns, index=range(len(days)), columns=list(ECONOMIC_CALENDAR.column_names))


def _no_moments(count: int) -> pd.Series:
    return pd.Series(pd.NaT, index=range(count), dtype=f"datetime64[{TIME_UNIT}, UTC]")


def _midnights(days: pd.DatetimeIndex) -> pd.Series:
    return pd.Series(days.tz_localize(NEW_YORK).tz_convert("UTC").as_unit(TIME_UNIT))


def _new_york(moments: list[str]) -> pd.Series:
    local = pd.DatetimeIndex(pd.to_datetime(pd.Series(moments), format="mixed")).tz_localize(NEW_YORK)
    return pd.Series(local.tz_convert("UTC").as_unit(TIME_UNIT))
