"""The ``live`` source: Yahoo for prices and volatility indices, FRED for macro series and days of releases.

Only their composition into raw tables belongs here; news, mentions and earnings are in ``live.events.py``, and
option chains in ``live.chains.py``. A vendor that fails raises; nothing replaces it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import pandas as pd

from resources.raw_frames import (
    THREE_MONTH_INDEX,
    raw_frame,
    with_index_columns,
)
from resources.sources.hull_file import HullFile
from resources.sources.live.chains import LiveChains
from resources.sources.live.economic_calendar import EconomicCalendarClient
from resources.sources.live.events import LiveEvents
from resources.sources.running_session import hours_that_ended, no_chain_so_far
from resources.sources.status import SourceStatus
from resources.vendors.apewisdom import ApeWisdomClient
from resources.vendors.finnhub import FinnhubClient
from resources.vendors.fred.series import FredClient
from resources.vendors.yahoo.bars import YahooClient, index_symbol, present, yahoo_symbol
from trading_dag.errors import EmptySourceError
from trading_dag.schemas import ECONOMIC_CALENDAR, MACRO, PRICES_DAILY, PRICES_HOURLY, VOLATILITY_INDEX
from trading_dag.settings import Settings
from trading_dag.slices import validate_ticker
from trading_dag.underlyings import FALLBACK_VOLATILITY_INDEX

NAME: Final = "live"
_logger = logging.getLogger(__name__)


class LiveSource:
    """Builds raw tables from Yahoo, FRED, Finnhub, ApeWisdom and the vendor of option chains."""

    name = NAME
    has_earlier_chains = False

    def __init__(
        self,
        yahoo: YahooClient,
        fred: FredClient,
        *,
        calendar: EconomicCalendarClient,
        events: LiveEvents,
        chains: LiveChains,
        hull: HullFile,
        index_of: Callable[[str], str],
    ) -> None:
        self._yahoo = yahoo
        self._fred = fred
        self._calendar = calendar
        self._index_of = index_of
        self._events = events
        self._chains = chains
        self.hull = hull

    def prices_daily(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return the bars of finished sessions, with dividends and splits as Yahoo gives them.

        Raises
        ------
        SourceError : see ``YahooClient.daily_bars``.
        """
        bars = self._yahoo.daily_bars(yahoo_symbol(validate_ticker(ticker)), since=since)
        return raw_frame(bars.assign(ticker=ticker), PRICES_DAILY, source=NAME)

    def volatility_index(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return the ticker's index, or VIX (as ``symbol`` then says) where Yahoo does not know it.

        ``vix3m_close`` is NULL where Yahoo has no VIX3M. It is an error in either case if Yahoo cannot be reached.

        Raises
        ------
        SourceError : see ``YahooClient.daily_bars``.
        """
        symbol = self._index_of(validate_ticker(ticker))
        index = self._index(symbol, since=since)
        if index is None and symbol != FALLBACK_VOLATILITY_INDEX:
            symbol = FALLBACK_VOLATILITY_INDEX
            index = self._index(symbol, since=since)
        if index is None:
            index = self._yahoo.daily_bars(index_symbol(symbol), since=since)
        three_month = self._index(THREE_MONTH_INDEX, since=since)
        rows = with_index_columns(index, three_month, ticker=ticker, symbol=symbol)
        return raw_frame(rows, VOLATILITY_INDEX, source=NAME)

    def macro(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return FRED's observations: first releases from ALFRED with a key, the latest vintage without.

        Raises
        ------
        SourceError : see ``FredClient.observations``.
        """
        return raw_frame(self._fred.observations(since=since), MACRO, source=NAME)

    def option_chain(self, ticker: str, *, session: pd.Timestamp) -> pd.DataFrame:
        """Return the last closed session's chain from the vendor that the settings name; switched off without its key.

        Raises
        ------
        StaleSourceError : for any other session, and once the next has opened.
        SourceError : see ``LiveChains.option_chain``.
        """
        return self._chains.option_chain(ticker, session=session)

    def present_chain_session(self, ticker: str, *, now: pd.Timestamp) -> pd.Timestamp | None:
        """Return the last closed session, from half an hour after its close until the next one opens."""
        return self._chains.present_session(validate_ticker(ticker), now=now)

    def prices_hourly(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return the bars of hours that have ended, of the last 730 days.

        Raises
        ------
        SourceError : see ``YahooClient.hourly_bars``.
        """
        bars = self._yahoo.hourly_bars(yahoo_symbol(validate_ticker(ticker)), since=since)
        return raw_frame(bars.assign(ticker=ticker), PRICES_HOURLY, source=NAME)

    def hours_so_far(self, ticker: str, *, now: pd.Timestamp) -> pd.DataFrame:
        """Return the hours of the session under way that ended half an hour ago or more, as Yahoo shows them.

        Raises
        ------
        SourceError : see ``YahooClient.hourly_bars``; where no hour has ended, the frame has no rows instead.
        """
        return hours_that_ended(lambda session: self.prices_hourly(ticker, since=session), source=NAME, now=now)

    def chain_so_far(self, ticker: str, *, now: pd.Timestamp) -> pd.DataFrame:  # noqa: ARG002
        """Return no rows: vendors are asked for chains once they are those of a close."""
        return no_chain_so_far(NAME, "vendors of chains are asked after the close")

    def news(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return Finnhub's articles about the ticker and the market; off without a key.

        Raises
        ------
        SourceError : see ``FinnhubClient.company_news`` and ``market_news``.
        """
        return self._events.news(validate_ticker(ticker), since=since)

    def social_mentions(self, ticker: str) -> pd.DataFrame:
        """Return one snapshot of ApeWisdom's list, as it is now.

        Raises
        ------
        SourceError : see ``ApeWisdomClient.mentions``.
        """
        return self._events.social_mentions(validate_ticker(ticker))

    def news_sentiment(self, ticker: str) -> pd.DataFrame:
        """Return one snapshot of Finnhub's score, as it is now; off without a key, or with one whose plan has none.

        Raises
        ------
        SourceError : see ``FinnhubClient.news_sentiment``.
        """
        return self._events.news_sentiment(validate_ticker(ticker))

    def earnings(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return Finnhub's earnings calendar for the ticker's companies; off without a key.

        Raises
        ------
        SourceError : see ``FinnhubClient.earnings``.
        """
        return self._events.earnings(validate_ticker(ticker), since=since)

    def economic_calendar(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return the Federal Reserve's decisions as listed, and releases from FRED with a key, else as listed or by
        rule.

        Raises
        ------
        SourceError : see ``EconomicCalendarClient.events``.
        """
        return raw_frame(self._calendar.events(since=since), ECONOMIC_CALENDAR, source=NAME)

    def describe(self) -> list[SourceStatus]:
        """Return which vendors are asked, and which keys are there."""
        yahoo = "Yahoo by way of yfinance; no key needed"
        if self._fred.has_key:
            macro = SourceStatus(MACRO.name, "on", "FRED with a key: first releases and their dates (ALFRED)")
        else:
            macro = SourceStatus(
                MACRO.name,
                "on",
                "FRED's public CSV: latest vintage, release dates by documented lag",
                "set FRED_API_KEY (free) for first releases",
            )
        return [
            SourceStatus(PRICES_DAILY.name, "on", yahoo),
            SourceStatus(VOLATILITY_INDEX.name, "on", yahoo),
            macro,
            self._chains.describe(),
            SourceStatus(PRICES_HOURLY.name, "on", f"{yahoo}; the last 730 days"),
            *self._events.describe(),
            self._calendar.describe(),
            self.hull.describe(),
        ]

    def _index(self, symbol: str, *, since: pd.Timestamp | None) -> pd.DataFrame | None:
        try:
            return self._yahoo.daily_bars(index_symbol(symbol), since=since)
        except EmptySourceError as error:
            _logger.warning("%s is not to be had: %s", symbol, error)
            return None


def build_live_source(settings: Settings, *, clock: Callable[[], pd.Timestamp] = present) -> LiveSource:
    """Return the live source of some settings; ``clock`` gives the present moment, UTC."""
    events = LiveEvents(
        FinnhubClient(settings, clock=clock),
        ApeWisdomClient(settings, clock=clock),
        companies_of=settings.companies_of,
        clock=clock,
        source=NAME,
    )
    calendar = EconomicCalendarClient(settings, clock=clock)
    yahoo = YahooClient(settings, clock=clock)
    chains = LiveChains(settings, yahoo, clock=clock, source=NAME)
    hull = HullFile(settings.hull_file, source=NAME)
    return LiveSource(
        yahoo,
        FredClient(settings),
        calendar=calendar,
        events=events,
        chains=chains,
        hull=hull,
        index_of=settings.volatility_index_of,
    )
