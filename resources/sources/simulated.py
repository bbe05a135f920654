"""The ``simulated`` source: a made-up market, the same in every process for the same settings. No network, no keys.

Typing and labelling the frames of ``trading_dag.simulation`` belongs here; their contents do not. Everything it
hands over says that it is simulated, and rows of another source, or of another simulated world, cannot be merged
with it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Final

import pandas as pd

from resources.raw_frames import raw_frame, require_rows, since_session
from resources.sources.hull_file import HullFile
from resources.sources.running_session import QUOTED_AT, hours_that_ended, no_chain_so_far
from resources.sources.status import SourceStatus
from trading_dag.schemas import (
    EARNINGS,
    ECONOMIC_CALENDAR,
    MACRO,
    NEWS,
    NEWS_SENTIMENT,
    OPTION_CHAIN,
    PRICES_DAILY,
    PRICES_HOURLY,
    SOCIAL_MENTIONS,
    VOLATILITY_INDEX,
    Table,
)
from trading_dag.sessions import last_closed_session, running_session, session_close
from trading_dag.simulation.attention import mention_rows, news_rows, sentiment_rows
from trading_dag.simulation.bars import daily_bars, hourly_bars
from trading_dag.simulation.chain import chain_so_far, quoted_chain
from trading_dag.simulation.earnings import earnings_rows
from trading_dag.simulation.macro import calendar_rows, macro_rows
from trading_dag.simulation.parameters import Underlying, underlying_of
from trading_dag.simulation.paths import Path, SimulatedMarket, simulate_market, simulate_path
from trading_dag.simulation.simulation_settings import NO_MARKET_DATA, SIMULATED, SimulationSettings
from trading_dag.simulation.timeline import timeline
from trading_dag.simulation.volatility_index import index_bars
from trading_dag.slices import validate_ticker
from trading_dag.underlyings import OWN_VOLATILITY_INDEX

NAME: Final = SIMULATED
_PATHS_KEPT: Final = 4
_MARKETS_KEPT: Final = 2  # through the last session that has closed, and through the one under way


class SimulatedSource:
    """Provides raw tables of a simulated world.

    Parameters
    ----------
    settings : the settings that define the world.
    last_session : the session up to which the world is known; the last closed one by default. The history ends there,
        or where the settings' years end, whichever comes first.
    hull_file : the file of the Hull Tactical competition, which is never simulated.

    Notes
    -----
    The market factor is computed on first use, and again once another session has closed. Of the underlyings'
    paths only the latest few are kept, so memory does not grow with the number of tickers.
    """

    def __init__(
        self,
        settings: SimulationSettings,
        *,
        last_session: Callable[[], pd.Timestamp] = last_closed_session,
        hull_file: FilePath | None = None,
    ) -> None:
        self._settings = settings
        self.hull = HullFile(hull_file, source=settings.world)
        self._last_session = last_session
        self._market_until = lru_cache(maxsize=_MARKETS_KEPT)(self._make_market)
        self._path_until = lru_cache(maxsize=_PATHS_KEPT)(self._make_path)

    has_earlier_chains = True

    @property
    def name(self) -> str:
        """Return ``simulated``, with a digest of the settings where the world is not the default one."""
        return self._settings.world

    def prices_daily(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return bars of any ticker; see ``simulation.bars.daily_bars`` for splits and dividends.

        Raises
        ------
        UnknownTickerError : for what is no ticker.
        EmptySourceError : where there are no rows at or after ``since``.
        """
        market, path = self._world(ticker)
        rows = since_session(daily_bars(market, path, hourly_bars(market, path)), since)
        return self._table(rows, PRICES_DAILY, ticker, since)

    def prices_hourly(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return hourly bars from 09:30 New York, from which the daily ones are made.

        Raises
        ------
        UnknownTickerError, EmptySourceError : as for daily bars.
        """
        rows = since_session(hourly_bars(*self._world(ticker)), since)
        return self._table(rows.assign(ticker=ticker), PRICES_HOURLY, ticker, since)

    def volatility_index(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return every underlying's own index: VIX, VXN or RVX for the funds that have one, otherwise VX followed by
        the ticker.

        Raises
        ------
        UnknownTickerError, EmptySourceError : as for daily bars.
        """
        rows = since_session(index_bars(*self._world(ticker)), since)
        named = rows.assign(ticker=ticker, symbol=OWN_VOLATILITY_INDEX.get(ticker, f"VX{ticker}"))
        return self._table(named, VOLATILITY_INDEX, ticker, since)

    def macro(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return series by observation date, with the documented publication lags."""
        rows = macro_rows(self._market)
        return self._events(rows if since is None else rows[rows["observation_date"] >= since], MACRO)

    def option_chain(self, ticker: str, *, session: pd.Timestamp) -> pd.DataFrame:
        """Return the quotes of one session, in the dollars and contracts of that day, as vendors keep them; bars are
        restated.

        Raises
        ------
        UnknownTickerError : for what is no ticker.
        EmptySourceError : for a session that is not in the history.
        """
        market, path = self._world(ticker)
        position = int(market.times.sessions.get_indexer(pd.DatetimeIndex([session]))[0])
        rows = quoted_chain(market, path, position) if position >= 0 else pd.DataFrame()
        return self._table(rows, OPTION_CHAIN, f"{ticker} {session:%Y-%m-%d}", None)

    def present_chain_session(self, ticker: str, *, now: pd.Timestamp) -> pd.Timestamp | None:
        """Return the last session of the history; it has a chain of every earlier one too."""
        validate_ticker(ticker)
        return min(last_closed_session(now), self._last)

    def hours_so_far(self, ticker: str, *, now: pd.Timestamp) -> pd.DataFrame:
        """Return the hours of the session under way that have ended; the same ones as once it has closed.

        Raises
        ------
        UnknownTickerError : for what is no ticker.
        """
        validate_ticker(ticker)
        return hours_that_ended(lambda session: self._hours_through(session, ticker), source=self.name, now=now)

    def chain_so_far(self, ticker: str, *, now: pd.Timestamp) -> pd.DataFrame:
        """Return the quotes at the end of the last hour that has ended.

        Raises
        ------
        UnknownTickerError : for what is no ticker.
        """
        hours, session = self.hours_so_far(ticker, now=now), running_session(now)
        if hours.empty or session is None:
            return no_chain_so_far(self.name, str(hours.attrs["source_off"]))
        market, path = self._market_until(session), self._path_until(ticker, session)
        rows = chain_so_far(market, path, len(market.times) - 1, bars=len(hours))
        chain = self._events(rows, OPTION_CHAIN)
        chain.attrs[QUOTED_AT] = min(hours["ts"].iloc[-1] + pd.Timedelta(hours=1), session_close(session))
        return chain

    def news(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return made-up headlines about the ticker and the market, from the first session on."""
        rows = news_rows(*self._world(ticker))
        days = rows["published_at"].dt.tz_localize(None)
        return self._events(rows if since is None else rows[days >= since], NEWS)

    def social_mentions(self, ticker: str) -> pd.DataFrame:
        """Return a snapshot each session, from the first on."""
        return self._events(mention_rows(*self._world(ticker)), SOCIAL_MENTIONS)

    def news_sentiment(self, ticker: str) -> pd.DataFrame:
        """Return a snapshot each session, of the simulated headlines' own scores."""
        return self._events(sentiment_rows(*self._world(ticker)), NEWS_SENTIMENT)

    def earnings(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return announcements of the ticker, or of four simulated holdings for a fund or index, up to four weeks
        ahead."""
        rows = earnings_rows(self._settings, self._underlying(validate_ticker(ticker)), last=self._last)
        return self._events(rows if since is None else rows[rows["report_date"] >= since], EARNINGS)

    def economic_calendar(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return releases and meetings of the simulated agencies, as far as published."""
        rows = calendar_rows(self._settings, last=self._last)
        return self._events(rows if since is None else rows[rows["event_date"] >= since], ECONOMIC_CALENDAR)

    def describe(self) -> list[SourceStatus]:
        """Return one status per kind: all but the competition's data are on, and are no market data. Nothing is
        simulated here."""
        chosen = self._settings
        world = f"{NO_MARKET_DATA}: seed {chosen.seed}, {chosen.years} years from {chosen.first_session:%Y-%m-%d}"
        tables = (
            PRICES_DAILY, VOLATILITY_INDEX, MACRO, OPTION_CHAIN, PRICES_HOURLY, NEWS, SOCIAL_MENTIONS,
            NEWS_SENTIMENT, EARNINGS, ECONOMIC_CALENDAR,
        )  # fmt: skip
        return [*(SourceStatus(table.name, "on", world) for table in tables), self.hull.describe()]

    @property
    def _market(self) -> SimulatedMarket:
        return self._market_until(self._last_session())

    def _world(self, ticker: str) -> tuple[SimulatedMarket, Path]:
        last = self._last_session()
        return self._market_until(last), self._path_until(validate_ticker(ticker), last)

    def _hours_through(self, session: pd.Timestamp, ticker: str) -> pd.DataFrame:
        """Return the hours of a session that need not have closed, those to come included."""
        market = self._market_until(session)
        rows = hourly_bars(market, self._path_until(ticker, session))
        return self._table(
            rows[rows["session"] == session].assign(ticker=ticker), PRICES_HOURLY, f"{ticker} {session:%Y-%m-%d}", None
        )

    def _make_market(self, last: pd.Timestamp) -> SimulatedMarket:
        return simulate_market(self._settings, timeline(self._settings, last=last))

    def _make_path(self, ticker: str, last: pd.Timestamp) -> Path:
        return simulate_path(self._market_until(last), self._underlying(ticker))

    @property
    def _last(self) -> pd.Timestamp:
        return pd.Timestamp(self._market.times.sessions[-1])

    def _underlying(self, ticker: str) -> Underlying:
        return underlying_of(self._settings.seed, ticker, fair=self._settings.fair)

    def _table(self, rows: pd.DataFrame, table: Table, asked: str, since: pd.Timestamp | None) -> pd.DataFrame:
        sessions = self._market.times.sessions
        found = require_rows(
            rows,
            source=self.name,
            request=f"{table.name} of {asked}" + (f" since {since:%Y-%m-%d}" if since is not None else ""),
            problem=f"the simulation runs from {sessions[0]:%Y-%m-%d} to {self._last:%Y-%m-%d}",
            remedy="Ask within it, or set TRADING_DAG_SIMULATION__FIRST_SESSION and TRADING_DAG_SIMULATION__YEARS.",
        )
        return self._events(found, table)

    def _events(self, rows: pd.DataFrame, table: Table) -> pd.DataFrame:
        """Return rows in the table's types; there may be no events."""
        return raw_frame(rows, table, source=self.name)
