"""The economic calendar of the ``live`` source: FRED's release dates with a key, lists and documented rules without.

Fetching the days belongs here. On which days the Federal Reserve decides, and when a day was known, is in
``trading_dag/releases/schedule.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import pandas as pd

from resources.http.client import HttpClient
from resources.http.json_answer import FieldKind, Vendor
from resources.http.message import HttpAnswer, HttpRequest
from resources.sources.status import SourceStatus
from resources.vendors.fred.answer import SOURCE
from trading_dag.errors import EmptySourceError, SourceError, SourceOffError
from trading_dag.releases.cpi import CPI_RELEASES
from trading_dag.releases.schedule import (
    FIRST_EVENT,
    SERIES_OF_EVENT,
    SHIPPED_DECISIONS,
    fomc_decisions,
    published_releases,
    releases_of_months,
)
from trading_dag.schemas import ECONOMIC_CALENDAR
from trading_dag.sessions import NEW_YORK, TIME_UNIT
from trading_dag.settings import Settings

# FRED's numbers of the releases "Consumer Price Index" and "Surveys of Consumers".
RELEASE_OF_EVENT: Final[dict[str, int]] = {"CPI": 10, "UMCSENT": 91}
# Months to come whose release by rule is given, so that there is always a next one.
MONTHS_AHEAD: Final = 3
_MAXIMUM_ROWS: Final = 10_000
_SHORT_SCHEDULE: Final = pd.Timedelta(days=60)
_BAD_REQUEST: Final = 400
_VENDOR: Final = Vendor(SOURCE, "FRED", "FRED_API_KEY")
_HEAD: Final[dict[str, FieldKind]] = {"count": "integer", "release_dates": "list"}
_DATE: Final[dict[str, FieldKind]] = {"release_id": "integer", "date": "date"}
_logger = logging.getLogger(__name__)


class EconomicCalendarClient:
    """Provides the days of CPI, UMCSENT and FOMC.

    Parameters
    ----------
    settings : ``fred_api_key``, ``fred_url``, ``home`` and ``http``.
    clock : the present moment, UTC.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], pd.Timestamp]) -> None:
        self._settings = settings
        self._clock = clock
        self._client = HttpClient(SOURCE, home=settings.home, http=settings.http)

    @property
    def has_key(self) -> bool:
        """Return whether FRED is asked for the days of releases."""
        return self._settings.fred_api_key is not None

    def describe(self) -> SourceStatus:
        """Return where the days come from, for ``doctor``."""
        decisions = f"decisions of the Federal Reserve as listed to {SHIPPED_DECISIONS[-1]:%Y-%m-%d}"
        if self.has_key:
            return SourceStatus(ECONOMIC_CALENDAR.name, "on", f"{decisions}; days of releases from FRED")
        return SourceStatus(
            ECONOMIC_CALENDAR.name,
            "on",
            f"{decisions}; days of the CPI as listed to {CPI_RELEASES[-1]}, of UMCSENT by rule",
            "set FRED_API_KEY (free) for the published days",
        )

    def events(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return every event from a day on (1990 by default), past and scheduled, in the columns of
        ``raw.economic_calendar``.

        Raises
        ------
        SourceOffError, SourceUnavailableError, SourceFormatError, EmptySourceError : depending on FRED's answers.
        """
        first = FIRST_EVENT if since is None else max(since.normalize(), FIRST_EVENT)
        today = self._clock().tz_convert(NEW_YORK).tz_localize(None).normalize()
        if SHIPPED_DECISIONS[-1] - today < _SHORT_SCHEDULE:
            _logger.warning(
                "the listed decisions of the Federal Reserve end on %s: update trading_dag/releases/fomc.py",
                f"{SHIPPED_DECISIONS[-1]:%Y-%m-%d}",
            )
        parts = [fomc_decisions()]
        for event in SERIES_OF_EVENT:
            if self.has_key:
                parts.append(published_releases(event, self.release_dates(event, since=first)))
            else:
                parts.append(releases_of_months(event, reference_months(first, today)))
        events = pd.concat(parts, ignore_index=True)
        return events[events["event_date"] >= first].sort_values(["event", "event_date"], ignore_index=True)

    def release_dates(self, event: str, *, since: pd.Timestamp) -> pd.DatetimeIndex:
        """Return the days of a release as FRED lists them, future ones included, ascending.

        A missing day would count as called off, so the whole answer is refused if one day cannot be read.

        Raises
        ------
        SourceOffError, SourceUnavailableError, SourceFormatError : depending on the answer.
        EmptySourceError : where FRED lists none.
        """
        release = RELEASE_OF_EVENT[event]
        key = self._settings.fred_api_key
        request = HttpRequest(
            SOURCE,
            f"{self._settings.fred_url.rstrip('/')}/fred/release/dates",
            {
                "release_id": str(release),
                "realtime_start": f"{since:%Y-%m-%d}",
                "realtime_end": "9999-12-31",
                "include_release_dates_with_no_data": "true",
                "sort_order": "asc",
                "limit": str(_MAXIMUM_ROWS),
                "file_type": "json",
            },
            {"api_key": key.get_secret_value()} if key else {},
        )

        def check(asked: HttpRequest, answer: HttpAnswer) -> None:
            _days(asked, answer, release=release)

        days = _days(request, self._client.get(request, check=check), release=release)
        if event == "CPI":
            # FRED lists the day in February on which only seasonal factors were revised, too; the index comes after.
            days = pd.DatetimeIndex(pd.Series(days, index=days).groupby(days.to_period("M")).max())
        return days[days >= since]


def reference_months(first_event: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
    """Return the months whose releases can fall between two days and a few months beyond, as first days of the
    month."""
    begin = (first_event - pd.DateOffset(months=3)).replace(day=1)
    return pd.date_range(begin, last + pd.DateOffset(months=MONTHS_AHEAD), freq="MS").as_unit(TIME_UNIT)


def _days(request: HttpRequest, answer: HttpAnswer, *, release: int) -> pd.DatetimeIndex:
    if answer.status == _BAD_REQUEST and b"api_key" in answer.body:
        raise _refused_key(request)
    body = _VENDOR.read_object(request, answer)
    _VENDOR.require_fields(request, body, _HEAD, where="the answer")
    rows = _VENDOR.all_records(
        request,
        body["release_dates"],
        _DATE,
        objection=lambda row: (
            None if row["release_id"] == release else f"the date is about release {row['release_id']}, not {release}"
        ),
    )
    if body["count"] > len(rows):
        raise _VENDOR.format_error(request, f"{body['count']} dates do not fit into one answer")
    if not rows:
        raise EmptySourceError(
            source=SOURCE, request=str(request), problem="FRED lists no release date", remedy="Ask for an earlier date."
        )
    return pd.DatetimeIndex([row["date"] for row in rows]).as_unit(TIME_UNIT).unique().sort_values()


def _refused_key(request: HttpRequest) -> SourceError:
    return SourceOffError(
        source=SOURCE,
        request=str(request),
        problem="FRED rejects the key",
        remedy="Set FRED_API_KEY to a valid key, or unset it for days by rule.",
    )
