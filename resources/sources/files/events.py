"""Hourly bars, news, mentions, announcements and the calendar of the ``files`` source as raw tables.

Which file is which table, and what to say if a file or a ticker is missing, belongs here. The shapes of the files
are in ``files.event_shapes.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pandas as pd

from resources.raw_frames import raw_frame, switched_off, with_notes
from resources.sources.files import event_shapes
from resources.text_files.column_file import ColumnFile
from trading_dag.releases.schedule import FIRST_EVENT, SERIES_OF_EVENT, fomc_decisions, releases_of_months
from trading_dag.schemas import (
    EARNINGS,
    ECONOMIC_CALENDAR,
    NEWS,
    NEWS_SENTIMENT,
    PRICES_HOURLY,
    SOCIAL_MENTIONS,
    Table,
)

FILE_OF_KIND: Final = {
    PRICES_HOURLY.name: "prices_hourly",
    NEWS.name: "news_headlines",
    SOCIAL_MENTIONS.name: "apewisdom",
    NEWS_SENTIMENT.name: "news_sentiment",
    EARNINGS.name: "earnings",
    ECONOMIC_CALENDAR.name: "fomc_dates",
}
# Months after the last value on file whose release is given, so that there is always a next one.
MONTHS_AHEAD: Final = 3


class FileEvents:
    """Reads the tables of events from the user's folder.

    Parameters
    ----------
    file_of : the one file of a name (without suffix), None where there is none.
    companies_of : whose earnings count for a ticker.
    source : name of the source, for the frames.
    """

    def __init__(
        self,
        file_of: Callable[[str], ColumnFile | None],
        *,
        companies_of: Callable[[str], tuple[str, ...]],
        source: str,
    ) -> None:
        self._file_of = file_of
        self._companies_of = companies_of
        self._source = source

    def prices_hourly(self, ticker: str, *, since: pd.Timestamp | None) -> pd.DataFrame:
        """Return the bars of one ticker within the exchange's hours; switched off for a ticker that the file does not
        have.

        Raises
        ------
        SourceOffError : where no folder is configured, or it is not there.
        SourceFormatError : for a file in another shape, doubled or future bars.
        """
        file = self._file(PRICES_HOURLY)
        if file is None:
            return self._no_file(PRICES_HOURLY)
        bars = event_shapes.hourly_bars(file, ticker, since=since)
        if bars.empty:
            return self._off(PRICES_HOURLY, f"{file.path.name} has no bars of {ticker}", since)
        return raw_frame(bars, PRICES_HOURLY, source=self._source)

    def news(self, ticker: str, *, since: pd.Timestamp | None) -> pd.DataFrame:
        """Return the market's headlines, the same for every ticker, because the file does not say whom they are about.

        Raises
        ------
        SourceOffError, SourceFormatError : as for hourly bars.
        """
        file = self._file(NEWS)
        if file is None:
            return self._no_file(NEWS)
        rows = event_shapes.market_news(file, since=since)
        return raw_frame(rows.assign(ticker=ticker, scope="market"), NEWS, source=self._source)

    def social_mentions(self, ticker: str) -> pd.DataFrame:
        """Return every snapshot of the file; 0 mentions where it does not list the ticker.

        Raises
        ------
        SourceOffError, SourceFormatError : as for hourly bars.
        """
        file = self._file(SOCIAL_MENTIONS)
        if file is None:
            return self._no_file(SOCIAL_MENTIONS)
        rows = event_shapes.mentions(file, ticker)
        return raw_frame(rows.assign(ticker=ticker), SOCIAL_MENTIONS, source=self._source)

    def news_sentiment(self, ticker: str) -> pd.DataFrame:
        """Return every snapshot of the ticker; switched off for a ticker that the file does not have.

        Raises
        ------
        SourceOffError, SourceFormatError : as for hourly bars.
        """
        file = self._file(NEWS_SENTIMENT)
        if file is None:
            return self._no_file(NEWS_SENTIMENT)
        rows = event_shapes.news_scores(file, ticker)
        if rows.empty:
            return self._off(NEWS_SENTIMENT, f"{file.path.name} has no scores of {ticker}", None)
        return raw_frame(rows.assign(ticker=ticker), NEWS_SENTIMENT, source=self._source)

    def earnings(self, ticker: str, *, since: pd.Timestamp | None) -> pd.DataFrame:
        """Return the days of announcements. The file has no estimates and no results, and does not say when a day was
        known.

        Raises
        ------
        SourceOffError, SourceFormatError : as for hourly bars.
        """
        file, companies = self._file(EARNINGS), self._companies_of(ticker)
        if file is None:
            return self._no_file(EARNINGS)
        if not companies:
            return self._off(EARNINGS, no_companies(ticker), None)
        rows = event_shapes.announcements(file, companies, since=since)
        if rows.empty:
            return self._off(EARNINGS, f"{file.path.name} has no announcements of {', '.join(companies)}", since)
        return raw_frame(rows.assign(ticker=ticker), EARNINGS, source=self._source)

    def economic_calendar(self, values: pd.DataFrame | None, *, since: pd.Timestamp | None) -> pd.DataFrame:
        """Return the Federal Reserve's decisions as on file, and the releases of the months that the macro values have.

        Parameters
        ----------
        values : columns series_id and observation_date of the macro file, None where there is no such file.
        since : first day of an event, inclusive.

        Raises
        ------
        SourceOffError, SourceFormatError : as for hourly bars.
        """
        file = self._file(ECONOMIC_CALENDAR)
        days, notes = (None, []) if file is None else event_shapes.decision_days(file)
        parts = [] if days is None else [fomc_decisions(days)]
        for event, series_id in SERIES_OF_EVENT.items():
            months = pd.Series(dtype="datetime64[us]")
            if values is not None:
                months = values.loc[values["series_id"] == series_id, "observation_date"]
            if len(months):
                ahead = months.max() + pd.DateOffset(months=MONTHS_AHEAD)
                parts.append(releases_of_months(event, pd.date_range(months.min(), ahead, freq="MS")))
        if not parts:
            return self._no_file(ECONOMIC_CALENDAR)
        events = pd.concat(parts, ignore_index=True)
        first = FIRST_EVENT if since is None else since
        early = int((events["event_date"] < first).sum())
        if early and since is None:
            notes.append(f"{early:,} events before {first:%Y-%m-%d} are left out")
        events = events[events["event_date"] >= first]
        return with_notes(raw_frame(events, ECONOMIC_CALENDAR, source=self._source), notes)

    def _file(self, table: Table) -> ColumnFile | None:
        return self._file_of(FILE_OF_KIND[table.name])

    def _no_file(self, table: Table) -> pd.DataFrame:
        name = FILE_OF_KIND[table.name]
        return self._off(table, f"{name}.parquet or {name}.csv is not in the folder", None)

    def _off(self, table: Table, reason: str, since: pd.Timestamp | None) -> pd.DataFrame:
        when = "" if since is None else f" since {since:%Y-%m-%d}"
        return switched_off(table, source=self._source, reason=reason + when)


def no_companies(ticker: str) -> str:
    """Return why a ticker has no earnings, and what changes it."""
    return f"no company's earnings count for {ticker}: name its companies in TRADING_DAG_EARNINGS_COMPANIES"
