"""The ``live`` source: Yahoo for prices and volatility indices, FRED for macro series.

Only their composition into raw tables belongs here. A vendor that fails raises; nothing takes its place.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import pandas as pd

from resources.fred import FredClient
from resources.raw_frames import (
    FALLBACK_VOLATILITY_INDEX,
    IMPORT_CHAINS,
    THREE_MONTH_INDEX,
    switched_off,
    table_frame,
    volatility_symbol,
    with_index_columns,
)
from resources.source import SourceStatus
from resources.yahoo import VOLATILITY_SYMBOL_OF, YahooClient, present, yahoo_symbol
from trading_dag.errors import EmptySourceError
from trading_dag.schemas import MACRO, OPTION_CHAIN, PRICES_DAILY, VOLATILITY_INDEX
from trading_dag.settings import Settings
from trading_dag.slices import validate_ticker

NAME: Final = "live"
_logger = logging.getLogger(__name__)


class LiveSource:
    """Raw tables from Yahoo and FRED."""

    name = NAME

    def __init__(self, yahoo: YahooClient, fred: FredClient) -> None:
        self._yahoo = yahoo
        self._fred = fred

    def prices_daily(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Bars of finished sessions, with dividends and splits as Yahoo gives them.

        Raises
        ------
        SourceError : see ``YahooClient.daily_bars``.
        """
        bars = self._yahoo.daily_bars(yahoo_symbol(validate_ticker(ticker)), since=since)
        return table_frame(bars.assign(ticker=ticker), PRICES_DAILY, source=NAME)

    def volatility_index(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """The ticker's index, or VIX (and ``symbol`` says so) where Yahoo does not know it.

        ``vix3m_close`` is NULL where Yahoo has no VIX3M. That Yahoo cannot be reached is an error in either case.

        Raises
        ------
        SourceError : see ``YahooClient.daily_bars``.
        """
        symbol = volatility_symbol(validate_ticker(ticker))
        index = self._index(symbol, since=since)
        if index is None and symbol != FALLBACK_VOLATILITY_INDEX:
            symbol = FALLBACK_VOLATILITY_INDEX
            index = self._index(symbol, since=since)
        if index is None:
            index = self._yahoo.daily_bars(VOLATILITY_SYMBOL_OF[symbol], since=since)
        three_month = self._index(THREE_MONTH_INDEX, since=since)
        rows = with_index_columns(index, three_month, ticker=ticker, symbol=symbol)
        return table_frame(rows, VOLATILITY_INDEX, source=NAME)

    def macro(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Observations of FRED: first releases from ALFRED with a key, the latest vintage without.

        Raises
        ------
        SourceError : see ``FredClient.observations``.
        """
        return table_frame(self._fred.observations(since=since), MACRO, source=NAME)

    def option_chain(self, ticker: str, *, session: pd.Timestamp) -> pd.DataFrame:  # noqa: ARG002 (the protocol has it)
        """No rows: no vendor of chains is asked."""
        return switched_off(OPTION_CHAIN, source=NAME, reason=f"no vendor of option chains is asked; {IMPORT_CHAINS}")

    def describe(self) -> list[SourceStatus]:
        """What is asked, and whether FRED has a key."""
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
            SourceStatus(OPTION_CHAIN.name, "off", "no vendor of option chains is asked", IMPORT_CHAINS),
        ]

    def _index(self, symbol: str, *, since: pd.Timestamp | None) -> pd.DataFrame | None:
        try:
            return self._yahoo.daily_bars(VOLATILITY_SYMBOL_OF[symbol], since=since)
        except EmptySourceError as error:
            _logger.warning("%s is not to be had: %s", symbol, error)
            return None


def build_live_source(settings: Settings, *, clock: Callable[[], pd.Timestamp] = present) -> LiveSource:
    """The live source of some settings; ``clock`` gives the present moment, UTC."""
    return LiveSource(YahooClient(settings, clock=clock), FredClient(settings))
