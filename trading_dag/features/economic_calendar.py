"""features.economic_calendar: how near the releases of CPI and consumer confidence and the FOMC's decisions are.

Only dates are read here, never what was released: values are in ``features.macro``. Which dates there are, and since
when they are known, is decided where the calendar is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.features.event_distances import (
    Positions,
    first_close_from,
    first_close_without,
    first_session_from,
    positions_of,
    sessions_since_last,
    sessions_until_next,
)
from trading_dag.features.formulas import documents_features
from trading_dag.frames import require_columns, require_sessions, table_frame, ticker_of
from trading_dag.schemas import ECONOMIC_CALENDAR_FEATURES, ECONOMIC_CALENDAR_TABLE
from trading_dag.sessions import NEW_YORK, TIME_UNIT

# The three come at least every 33 sessions save in a shutdown; after this many without one the calendar has ended.
STALE_AFTER_SESSIONS: Final = 50
_NAMES: Final = {"CPI": "cpi", "UMCSENT": "consumer_confidence", "FOMC": "fomc"}
_DAY_FLAGS: Final = {
    "CPI": "cpi_release_day",
    "UMCSENT": "consumer_confidence_release_day",
    "FOMC": "fomc_decision_day",
}
_ALWAYS: Final = pd.Timestamp(0, tz="UTC")
_DAY: Final = pd.Timedelta(days=1)
_REQUIRED: Final = ("event", "event_date", "known_at", "cancelled_at", "basis")


@dataclass(frozen=True)
class EventDates:
    """Dates of one kind of event as positions in the calendar; arrays of one element an event.

    Attributes
    ----------
    visible_from, visible_until : from whose close on the date is known, and is known to be called off.
    happens_at : the session it belongs to.
    """

    visible_from: Positions
    visible_until: Positions
    happens_at: Positions


@documents_features(ECONOMIC_CALENDAR_FEATURES)
def build_economic_calendar(economic_calendar: pd.DataFrame, prices: pd.DataFrame) -> pd.DataFrame:
    """Distances to economic events on one ticker's sessions.

    Parameters
    ----------
    economic_calendar : ``raw.economic_calendar``, any order. Events that are not there give NaN columns.
    prices : ``raw.prices_daily`` of the ticker; its sessions are the rows, nothing else of it is read.

    Returns
    -------
    pd.DataFrame : ``features.economic_calendar``, one row per row of ``prices``.

    When it is known
    ----------------
    An event belongs to the first session on or after its date, for all three come before a close. A coming event is
    visible from the first close at or after its ``known_at``; where that is NULL, always for a date with the basis
    ``rule`` (the rule is known long before), and not before it happens for a published one. So a decision outside the
    FOMC's schedule is invisible until it is made. What has happened is public and visible in any case, unless
    ``known_at`` lies after that day: then the calendar did not have it, and it is visible from then on. A date that was
    called off is visible until its ``cancelled_at``: it never happens where that lies before its session's close, and
    later rows forget it where a calendar took it back afterwards.

    NaN policy
    ----------
    ``days_to`` is NaN where no later event is visible. ``days_since`` and the flag are NaN before the first event and
    more than 50 sessions after the last one: the calendar ends there.

    Raises
    ------
    SchemaError : for missing columns, more than one ticker, sessions that do not ascend, or days that are no session.
    """
    sessions = require_sessions(prices, ("ticker",), table="raw.prices_daily")
    require_columns(economic_calendar, "raw.economic_calendar", columns=_REQUIRED)
    rows = positions_of(sessions, table="raw.prices_daily")
    columns: dict[str, FloatArray] = {}
    for event, name in _NAMES.items():
        dates = _positions(economic_calendar[economic_calendar["event"] == event])
        since = sessions_since_last(
            rows,
            visible_from=dates.visible_from,
            visible_until=dates.visible_until,
            happens_at=dates.happens_at,
            limit=STALE_AFTER_SESSIONS,
        )
        columns[f"days_to_{name}"] = sessions_until_next(
            rows,
            visible_from=dates.visible_from,
            visible_until=dates.visible_until,
            happens_at=dates.happens_at,
        )
        columns[f"days_since_{name}"] = since
        columns[_DAY_FLAGS[event]] = np.where(np.isnan(since), np.nan, since == 0)
    values = {"ticker": ticker_of(prices), "session": sessions, **columns}
    return table_frame(ECONOMIC_CALENDAR_TABLE, values, rows=len(sessions))


def event_known_at(economic_calendar: pd.DataFrame) -> pd.Series:
    """From when on each row of ``raw.economic_calendar`` is visible: a UTC moment, 1970 for always.

    This is what the look-ahead prober needs to cut the table.
    """
    day = pd.to_datetime(economic_calendar["event_date"]).dt.as_unit(TIME_UNIT)
    happens, ends = (moment.dt.tz_localize(NEW_YORK).dt.tz_convert("UTC") for moment in (day, day + _DAY))
    known = pd.to_datetime(economic_calendar["known_at"], utc=True).dt.as_unit(TIME_UNIT)
    by_rule = (economic_calendar["basis"] == "rule") & known.isna()
    moment = known.where((known < happens) | (known > ends), happens)
    return moment.where(~by_rule, _ALWAYS)


def _positions(events: pd.DataFrame) -> EventDates:
    known = event_known_at(events)
    happens_at = first_session_from(pd.DatetimeIndex(pd.to_datetime(events["event_date"])))
    seen = first_close_from(pd.DatetimeIndex(known))
    ends = (pd.to_datetime(events["event_date"]) + _DAY).dt.tz_localize(NEW_YORK).dt.tz_convert("UTC")
    return EventDates(
        visible_from=np.where(known > ends, seen, np.minimum(seen, happens_at)),
        visible_until=first_close_without(events["cancelled_at"]),
        happens_at=happens_at,
    )
