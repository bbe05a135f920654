"""Since when the data and signals of a session may be missed: from the clock time of its day that the settings name."""

from __future__ import annotations

import datetime as dt
from datetime import datetime

import pandas as pd

from trading_dag.sessions import NEW_YORK, last_closed_session, session_before


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
