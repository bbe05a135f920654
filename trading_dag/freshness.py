"""How old data are: how many sessions have been traded since the one of their newest row, and when that is too many.

The one place that says what is stale. Checks in the UI, alerts, the dashboard, the report of the day and ``doctor`` ask
here; none of them counts by itself. What counts is the session of the newest row, never when it was written.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import pandas as pd

from trading_dag.alert_settings import AlertSettings
from trading_dag.sessions import NEW_YORK, last_closed_session, last_settled_session, session_before, sessions_behind

SAMPLE: Final = "sample"
AgeState = Literal["current", "awaited", "stale", "missing", "undated"]


@dataclass(frozen=True)
class DataAge:
    """Says how old data are.

    Attributes
    ----------
    last : session of the newest row; None where there is no row.
    due : the latest session whose data should be there by the clock time that the settings name.
    behind : sessions whose bars count as finished and that are not there; None where there is no row.
    state : ``current`` holds the last finished session; ``awaited`` lacks some that are not late yet; ``stale`` lacks
        some that are; ``missing`` has no row; ``undated`` ends in the past by design.
    """

    last: pd.Timestamp | None
    due: pd.Timestamp
    behind: int | None
    state: AgeState

    @property
    def is_stale(self) -> bool:
        """Return whether the data are older than they may be, or are not there at all."""
        return self.state in ("stale", "missing")

    @property
    def in_words(self) -> str:
        """Return a sentence that says so."""
        if self.last is None or self.behind is None:
            return "no row is stored"
        end = f"ends with {self.last:%Y-%m-%d}"
        if self.state == "undated":
            return f"{end}: the source ends there by design"
        if self.state == "current":
            return f"{end}, the last finished session"
        return f"{end}, {counted_sessions(self.behind)} behind; {self.due:%Y-%m-%d} is due"


def data_age(
    last: pd.Timestamp | None, *, now: datetime, settings: AlertSettings, source: str | None = None
) -> DataAge:
    """Return how old data are whose newest row is of the session ``last``.

    Parameters
    ----------
    last : None where there is no row.
    now : the present, with a time zone.
    settings : by which time a session's data are due, and how many sessions may be missing then.
    source : where the data come from; the sample ends years ago by design, so nothing of it is stale.
    """
    due = session_due(now, by=settings.signal_by)
    if last is None or pd.isna(last):
        return DataAge(None, due, None, "missing")
    behind = sessions_behind(last, last_settled_session(pd.Timestamp(now)))
    return DataAge(last, due, behind, _state(last, due, behind, settings, source))


def _state(last: pd.Timestamp, due: pd.Timestamp, behind: int, settings: AlertSettings, source: str | None) -> AgeState:
    if is_sample(source):
        return "undated"
    if sessions_behind(last, due) >= settings.stale_sessions:
        return "stale"
    return "awaited" if behind else "current"


def is_sample(source: str | None) -> bool:
    """Return whether data come from the sample of the package, or were merged with some that do."""
    return source is not None and SAMPLE in source.split("+")


def session_due(now: datetime, *, by: dt.time) -> pd.Timestamp:
    """Return the latest session whose data and signals should be there: that of today only once it is so late.

    Parameters
    ----------
    now : the present, with a time zone.
    by : New York time on the session's day.
    """
    moment = pd.Timestamp(now)
    session = last_closed_session(moment)
    return session if moment >= due_at(session, by=by) else session_before(session)


def due_at(session: pd.Timestamp, *, by: dt.time) -> pd.Timestamp:
    """Return the moment from which on the session's data are late, UTC."""
    day = pd.Timestamp(session).normalize()
    local = pd.Timestamp(dt.datetime.combine(day.date(), by)).tz_localize(NEW_YORK)
    return local.tz_convert("UTC")


def counted_sessions(number: int) -> str:
    """Return a number of sessions in words, such as ``1 session``."""
    return f"{number:,} session{'' if number == 1 else 's'}"
