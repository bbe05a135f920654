"""When a macroeconomic value became public, for data that carry reference dates only, and when an article did.

One rule a series, deliberately late rather than early, and the real dates where a release was later than
its rule. Data with true release dates (ALFRED) do not need these rules. Days of a calendar are in
``releases.schedule.py``; fetching is elsewhere.

What the rules rest on
----------------------
Treasury yields and what is derived from them (DGS2, DGS10, DGS3MO, T10Y2Y, T10YIE, DFII10)
    quotes of about 15:30 New York time, published by the Treasury the same evening (the Federal Reserve's
    H.15 follows the next day): after the close of the observation date, before the next session's.
VIXCLS
    settles after 16:00 New York time: the next session.
DFF
    published about 9:00 on the next Federal Reserve business day. On Columbus Day and Veterans Day the
    exchange is open and the Federal Reserve is not: the rate of the Friday before comes a session later.
UNRATE
    third Friday after the week of the 12th: the 10th of the following month at the latest (10 January),
    40 days after the reference month's first day. Never late before January 1996.
CPIAUCSL
    since 2016 between the 10th and the 19th of the following month: 50 days. Before, 50 days would have been
    early: the index for January 2015 came on 26 February (56 days), for February 2015 on 24 March (51), for
    September 2014 on 22 October (51), and releases of the 1980s came in the last third of the month. So
    observations before 2016 are taken as known after 60 days.
UMCSENT
    final reading on the last or last but one Friday of the month, at the latest on the 1st of the next
    (1 February 2013, 31 days): 35 days.
GDP
    advance estimate within 31 days of the quarter's end, at most 123 days after its first day: 125 days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd

from trading_dag.arrays import IntArray
from trading_dag.errors import ConfigurationError
from trading_dag.sessions import NEW_YORK, TIME_UNIT, all_sessions


@dataclass(frozen=True)
class PublicationLag:
    """Says how long after its reference date a series is taken as public.

    Attributes
    ----------
    kind : ``next_session``, ``next_federal_reserve_day`` or ``days`` (calendar days after the first day of
        the reference month or quarter).
    days : the lag, for kind ``days``.
    earlier_days, earlier_until : the longer lag of observations before that date, if there was one.
    """

    kind: Literal["next_session", "next_federal_reserve_day", "days"]
    days: int = 0
    earlier_days: int = 0
    earlier_until: str = ""


_NEXT_SESSION: Final = PublicationLag("next_session")
PUBLICATION_LAGS: Final[dict[str, PublicationLag]] = {
    "DFF": PublicationLag("next_federal_reserve_day"),
    "DGS2": _NEXT_SESSION,
    "DGS10": _NEXT_SESSION,
    "DGS3MO": _NEXT_SESSION,
    "VIXCLS": _NEXT_SESSION,
    "T10Y2Y": _NEXT_SESSION,
    "T10YIE": _NEXT_SESSION,
    "DFII10": _NEXT_SESSION,
    "UNRATE": PublicationLag("days", 40),
    "CPIAUCSL": PublicationLag("days", 50, earlier_days=60, earlier_until="2016-01-01"),
    "UMCSENT": PublicationLag("days", 35),
    "GDP": PublicationLag("days", 125),
}

# Reference date → day of the first release, where government shutdowns made it later than the rule (or, for
# September 2013, where the day is known and the rule is a day later). October 2025 was never surveyed; what
# exists for it came with November's release.
KNOWN_RELEASES: Final[dict[str, dict[str, str]]] = {
    "CPIAUCSL": {
        "1995-12-01": "1996-02-01",
        "2013-09-01": "2013-10-30",
        "2025-09-01": "2025-10-24",
        "2025-10-01": "2025-12-18",
        "2025-11-01": "2025-12-18",
    },
    "UNRATE": {
        "1995-12-01": "1996-01-19",
        "2013-09-01": "2013-10-22",
        "2013-10-01": "2013-11-08",
        "2025-09-01": "2025-11-20",
        "2025-10-01": "2025-12-16",
        "2025-11-01": "2025-12-16",
        "2026-01-01": "2026-02-11",
    },
    "GDP": {
        "1995-10-01": "1996-02-23",
        "2013-07-01": "2013-11-07",
        "2018-10-01": "2019-02-28",
        "2025-07-01": "2025-12-23",
        "2025-10-01": "2026-02-20",
    },
}


def known_on(series_id: str, observation_dates: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return the first session at whose close each observation was public.

    Parameters
    ----------
    series_id : FRED series, one of ``schemas.MACRO_SERIES``.
    observation_dates : reference dates as FRED gives them (first day of the month or quarter for monthly
        and quarterly series), in any order, repeats allowed.

    Returns
    -------
    pd.DatetimeIndex : one session (``datetime64[us]``) per date, in the order given. Dates before the calendar
        begins map to its first session; NaT where the release lies beyond its end.

    Raises
    ------
    ConfigurationError : for a series without a rule.
    """
    dates = pd.DatetimeIndex(observation_dates).as_unit(TIME_UNIT).normalize()
    releases = _release_days(dates, _lag_of(series_id))
    exceptions = KNOWN_RELEASES.get(series_id, {})
    if exceptions:
        real = pd.Series(pd.to_datetime(pd.Series(exceptions)).to_numpy(), index=pd.DatetimeIndex(list(exceptions)))
        found = real.reindex(dates).to_numpy()
        releases = pd.DatetimeIndex(np.where(np.isnat(found), releases.to_numpy(), found)).as_unit(TIME_UNIT)
    return _first_session_from(releases)


def planned_on(series_id: str, observation_dates: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return the session that the rule alone gives: what could be expected in advance, without listed late releases.

    Parameters, returns and errors are those of ``known_on``.
    """
    dates = pd.DatetimeIndex(observation_dates).as_unit(TIME_UNIT).normalize()
    return _first_session_from(_release_days(dates, _lag_of(series_id)))


def news_known_at(published_at: pd.Series) -> pd.Series:
    """Return when an article could be read, from what the vendor says about its publication.

    Parameters
    ----------
    published_at : moments, UTC. A moment of midnight sharp, in UTC or in New York, is a date without a time.

    Returns
    -------
    pd.Series : UTC, never before ``published_at``. Where there is a time, that moment; where there is only a
        date, the end of that day in New York, because nobody knows when during the day it came.
    """
    local = published_at.dt.tz_convert(NEW_YORK)
    is_utc_date = published_at == published_at.dt.normalize()
    is_local_date = local == local.dt.normalize()
    day = local.dt.tz_localize(None).dt.normalize()
    day = day.where(~is_utc_date, published_at.dt.tz_localize(None))
    ends = (day + pd.Timedelta(days=1)).dt.tz_localize(NEW_YORK).dt.tz_convert("UTC")
    return pd.Series(published_at.where(~(is_utc_date | is_local_date), ends).dt.as_unit(TIME_UNIT))


def _lag_of(series_id: str) -> PublicationLag:
    try:
        return PUBLICATION_LAGS[series_id]
    except KeyError:
        known = ", ".join(PUBLICATION_LAGS)
        raise ConfigurationError(
            f"no publication lag is known for {series_id!r}: add it to publication_lags.py; known are {known}"
        ) from None


def _release_days(dates: pd.DatetimeIndex, lag: PublicationLag) -> pd.DatetimeIndex:
    """Return the first calendar day on which a value is taken as public before or during the session."""
    if lag.kind == "next_federal_reserve_day":
        return _next_federal_reserve_day(dates)
    if lag.kind == "next_session":
        return dates + pd.Timedelta(days=1)
    days: IntArray = np.full(len(dates), lag.days, dtype=np.int64)
    if lag.earlier_until:
        days[np.asarray(dates < pd.Timestamp(lag.earlier_until))] = lag.earlier_days
    return dates + pd.to_timedelta(days, unit="D").as_unit(TIME_UNIT)


def _next_federal_reserve_day(dates: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return the next weekday that is no federal holiday, after each date."""
    from pandas.tseries.holiday import USFederalHolidayCalendar

    if dates.empty:
        return dates
    holidays = USFederalHolidayCalendar().holidays(dates.min(), dates.max() + pd.Timedelta(days=15))
    following = (dates + pd.Timedelta(days=1)).to_numpy(dtype="datetime64[D]")
    days = np.busday_offset(following, 0, roll="forward", holidays=holidays.to_numpy(dtype="datetime64[D]"))
    return pd.DatetimeIndex(days).as_unit(TIME_UNIT)


def _first_session_from(days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return the first session on or after each day; NaT beyond the calendar."""
    calendar = all_sessions()
    positions = calendar.searchsorted(days)
    sessions = pd.Series(calendar[np.minimum(positions, len(calendar) - 1)])
    return pd.DatetimeIndex(sessions.where((positions < len(calendar)) & days.notna()))
