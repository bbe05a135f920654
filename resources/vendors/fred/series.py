"""Macroeconomic series from FRED: first releases from ALFRED with a key, the public CSV without.

Asking, checking and dating the values belong here; features made of them do not.

When a value is known
---------------------
With a key, ALFRED says on which day FRED first had the value (``realtime_start``). It is known at the close of the
first session on or after that day: CPI, payrolls and GDP come at 8:30 New York time, consumer sentiment at 10:00.
A daily series is never known before the session after its observation date, because FRED carries some of them on the
same evening, after the close. Where one vintage brings more than a month of new observations at once (a series
that FRED took over with its past), its day says nothing about their release: those get the documented lag, and
the tag ``latest_vintage``. Without a key, all do.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree

import pandas as pd
from fredapi import Fred

from resources.http.client import HttpClient
from resources.http.message import HttpAnswer, HttpRequest
from resources.left_out import BadRecord, LeftOut, joined
from resources.raw_frames import require_rows
from resources.vendors.fred.answer import (
    MISSING,
    OBSERVATIONS_TAG,
    SOURCE,
    VINTAGES_TAG,
    check_csv,
    read_csv,
    read_xml,
)
from trading_dag.errors import EmptySourceError
from trading_dag.releases.publication_lags import known_on
from trading_dag.schemas import MACRO_SERIES
from trading_dag.sessions import TIME_UNIT, all_sessions
from trading_dag.settings import Settings

FIRST_OBSERVATION: Final = pd.Timestamp("1980-01-01")
# FRED refuses a real-time period with more vintages (mortada/fredapi issue 48).
MAXIMUM_VINTAGES: Final = 2000
# More new observations than this in one vintage are a series taken over with its past.
MAXIMUM_NEW_OBSERVATIONS: Final = 31
_COLUMNS: Final = ["series_id", "observation_date", "known_on", "value", "vintage"]
_logger = logging.getLogger(__name__)


class FredClient:
    """Asks FRED for the series of ``raw.macro``.

    Parameters
    ----------
    settings : ``fred_api_key``, ``fred_url``, ``fred_csv_url``, ``home`` and ``http``.
    series : the series to ask for.
    """

    def __init__(self, settings: Settings, *, series: tuple[str, ...] = MACRO_SERIES) -> None:
        self._settings = settings
        self._series = series
        self._client = HttpClient(SOURCE, home=settings.home, http=settings.http)

    @property
    def has_key(self) -> bool:
        """Return whether ALFRED can be asked."""
        return self._settings.fred_api_key is not None

    def observations(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return the values of every series from an observation date on (1980 by default); missing ones are left out.

        An observation that cannot be read costs no other; it is counted.

        Returns
        -------
        pd.DataFrame : columns series_id, observation_date, known_on, value, vintage.

        Raises
        ------
        SourceUnavailableError, SourceFormatError, SourceOffError : as the answers are; a series that FRED does not
            have is left out and counted.
        EmptySourceError : where no series has a value.
        """
        start = FIRST_OBSERVATION if since is None else max(since, FIRST_OBSERVATION)
        parts, left_out = [], LeftOut(SOURCE, "series")
        for series_id in self._series:
            try:
                parts.append(self.series(series_id, since=start))
            except EmptySourceError as error:
                left_out.add([BadRecord(series_id, error.problem)])
        return require_rows(
            left_out.noted_on(joined(parts) if parts else pd.DataFrame(columns=_COLUMNS)),
            source=SOURCE,
            request=f"{', '.join(self._series)} since {start:%Y-%m-%d}",
            problem="FRED has no value of any series",
            remedy="Ask for an earlier date.",
        )

    def series(self, series_id: str, *, since: pd.Timestamp) -> pd.DataFrame:
        """Return the values of one series from an observation date on.

        Raises
        ------
        EmptySourceError : for a series that FRED does not have, or has no value of.
        SourceUnavailableError, SourceFormatError, SourceOffError : as the answer is.
        """
        left_out = LeftOut(SOURCE, f"observations or vintages of {series_id}")
        read = self._first_releases if self.has_key else self._latest_vintage
        values = read(series_id, since, left_out)
        return require_rows(
            left_out.noted_on(values.assign(series_id=series_id)[_COLUMNS]),
            source=SOURCE,
            request=f"{series_id} since {since:%Y-%m-%d}",
            problem="FRED has no value",
            remedy="Check the series, or ask for an earlier date.",
        )

    def _latest_vintage(self, series_id: str, since: pd.Timestamp, left_out: LeftOut) -> pd.DataFrame:
        request = HttpRequest(SOURCE, self._settings.fred_csv_url, {"id": series_id, "cosd": f"{since:%Y-%m-%d}"})
        rows = read_csv(request, self._client.get(request, check=check_csv))
        left_out.add(rows.bad)
        values = pd.DataFrame(
            {
                "observation_date": pd.DatetimeIndex(rows.dates).as_unit(TIME_UNIT),
                "value": [float("nan") if value == MISSING else float(value) for value in rows.values],
            }
        )
        values = values[values["observation_date"] >= since].dropna(subset=["value"])
        lags = known_on(series_id, pd.DatetimeIndex(values["observation_date"]))
        return values.assign(known_on=lags, vintage="latest_vintage")

    def _first_releases(self, series_id: str, since: pd.Timestamp, left_out: LeftOut) -> pd.DataFrame:
        reader = _AlfredReader(self._client, self._settings, since=since, left_out=left_out)
        vintages = pd.DatetimeIndex(reader.get_series_vintage_dates(series_id))
        # A value is never released before its observation date, so older vintages have nothing to say.
        windows = vintage_windows(vintages[vintages >= since], first=since)
        releases = pd.concat(
            [
                reader.get_series_all_releases(series_id, realtime_start=first, realtime_end=last)
                for first, last in windows
            ],
            ignore_index=True,
        )
        if releases.empty:
            return pd.DataFrame(columns=_COLUMNS)
        # A release that cannot be read in one period spoils the observation's later ones in the next.
        releases = releases[~pd.to_datetime(releases["date"]).isin(pd.to_datetime(sorted(reader.spoiled)))]
        if releases.empty:
            return pd.DataFrame(columns=_COLUMNS)
        return first_releases(releases, series_id)


def vintage_windows(vintages: pd.DatetimeIndex, *, first: pd.Timestamp) -> list[tuple[str, str]]:
    """Return consecutive real-time periods with at most as many vintages as FRED allows, from ``first`` to the end of
    time.

    Returns
    -------
    list of (first day, last day), both inclusive, as ISO dates; together they cover everything from ``first`` on.
    """
    later = vintages[vintages > first].sort_values()
    starts = [first, *later[MAXIMUM_VINTAGES - 1 :: MAXIMUM_VINTAGES - 1]]
    days = [f"{start:%Y-%m-%d}" for start in starts]
    ends = [f"{start - pd.Timedelta(days=1):%Y-%m-%d}" for start in starts[1:]] + [Fred.latest_realtime_end]
    return list(zip(days, ends, strict=True))


def first_releases(releases: pd.DataFrame, series_id: str) -> pd.DataFrame:
    """Return the first value of each observation and the session at whose close it was known.

    Parameters
    ----------
    releases : columns ``date``, ``realtime_start`` and ``value``, one row per observation and vintage. Where
        real-time periods were asked one by one, the start of a value that is older than its period is the
        period's first day, so the earliest row of an observation is always its first release.

    Returns
    -------
    pd.DataFrame : columns observation_date, value, known_on, vintage; missing values left out.
    """
    # fredapi's missing values turn into NaT beside its dates, so they go before the cast.
    values = releases[releases["value"].notna()].astype({"value": "float64"})
    values = values.assign(
        observation_date=pd.DatetimeIndex(pd.to_datetime(values["date"])).as_unit(TIME_UNIT),
        released=pd.DatetimeIndex(pd.to_datetime(values["realtime_start"])).as_unit(TIME_UNIT),
    )
    values = values.sort_values(["observation_date", "released"]).drop_duplicates("observation_date")
    new_observations = values.groupby("released")["released"].transform("size")
    is_release = new_observations <= MAXIMUM_NEW_OBSERVATIONS
    after_observation = values["observation_date"] + pd.Timedelta(days=1)
    released_on = _first_session_from(
        values["released"].where(values["released"] > after_observation, after_observation)
    )
    documented = pd.Series(known_on(series_id, pd.DatetimeIndex(values["observation_date"])), index=values.index)
    return pd.DataFrame(
        {
            "observation_date": values["observation_date"],
            "value": values["value"],
            "known_on": released_on.where(is_release, documented),
            "vintage": is_release.map({True: "first_release", False: "latest_vintage"}),
        }
    ).reset_index(drop=True)


def _first_session_from(days: pd.Series) -> pd.Series:
    sessions = all_sessions()
    positions = sessions.searchsorted(pd.DatetimeIndex(days), side="left")
    found = pd.Series(sessions[positions.clip(max=len(sessions) - 1)], index=days.index)
    return found.where(positions < len(sessions))


class _AlfredReader(Fred):  # type: ignore[misc]
    """fredapi on our HTTP client: time-outs, retries, and a key that stays out of URLs that can be seen.

    Asks for observations from ``since`` on only, which fredapi does not offer beside vintages.
    """

    def __init__(self, client: HttpClient, settings: Settings, *, since: pd.Timestamp, left_out: LeftOut) -> None:
        super().__init__(api_key="sent by the HTTP client")
        self.root_url = f"{settings.fred_url.rstrip('/')}/fred"
        self._client = client
        self._key = settings.fred_api_key
        self._since = since
        self._left_out = left_out
        self.spoiled: set[str] = set()

    def _Fred__fetch_data(self, url: str) -> ElementTree.Element:  # noqa: N802 (fredapi's private method)
        parts = urlsplit(url)
        params = dict(parse_qsl(parts.query))
        expected = VINTAGES_TAG
        if not parts.path.endswith("vintagedates"):
            expected = OBSERVATIONS_TAG
            params["observation_start"] = f"{self._since:%Y-%m-%d}"
        secrets = {"api_key": self._key.get_secret_value()} if self._key else {}
        request = HttpRequest(SOURCE, f"{parts.scheme}://{parts.netloc}{parts.path}", params, secrets)

        def check(asked: HttpRequest, given: HttpAnswer) -> None:
            read_xml(asked, given, expected=expected)

        rows = read_xml(request, self._client.get(request, check=check), expected=expected)
        self._left_out.add(rows.bad)
        self.spoiled |= rows.spoiled
        return rows.root

    def _parse(self, date_str: str, format: str = "%Y-%m-%d") -> datetime:  # noqa: ARG002 (fredapi's signature)
        # pandas would take 0.2 ms for each of the hundred thousand dates of a first load.
        return datetime.fromisoformat(date_str)
