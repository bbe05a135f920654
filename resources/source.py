"""What a source of market data is, and which one the settings ask for.

The protocol, the status that ``doctor`` prints and the choice by settings belong here. How bytes are fetched
does not: each source has its own module, and no source falls back to another. The frames they hand over are
built in ``raw_frames.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import pandas as pd

from trading_dag.errors import ConfigurationError, SourceError
from trading_dag.schemas import PRICES_DAILY
from trading_dag.settings import Settings

if TYPE_CHECKING:
    from resources.column_files import ReadingRules
    from resources.hull import HullFile


@dataclass(frozen=True)
class SourceStatus:
    """Whether one kind of data can be had, for ``doctor``.

    Attributes
    ----------
    kind : table name, such as ``macro``.
    state : ``on``; ``off`` where the source does not offer it, or nobody has switched this extra on; ``missing`` where
        what everything rests on could be had; ``wrong`` where what is there cannot be read. ``doctor`` fails on
        the last two.
    detail : what is read from where, without keys.
    remedy : what the user can do, empty where there is nothing to do.
    """

    kind: str
    state: Literal["on", "off", "missing", "wrong"]
    detail: str
    remedy: str = ""


class Source(Protocol):
    """Where raw tables come from. Frames hold exactly the columns of their table, sorted by key.

    ``since`` is inclusive: sessions (observation dates for ``macro``, days of publication, UTC, for ``news``, days of
    the event for ``earnings`` and ``economic_calendar``) before it are not fetched. Of news, announcements and events
    there may be none: a frame without rows that is not ``source_off``.
    A kind that is switched off gives no rows and ``frame.attrs["source_off"]``, the reason.
    """

    @property
    def name(self) -> str:
        """``sample``, ``files``, ``live`` or ``simulated``, as it stands in the provenance."""

    @property
    def hull(self) -> HullFile:
        """The file of a competition, which the user has or has not: ``raw.hull_market``, whatever the source."""

    @property
    def has_earlier_chains(self) -> bool:
        """Whether ``option_chain`` gives other sessions than the present one."""

    def prices_daily(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Rows of ``raw.prices_daily``: finished sessions only."""

    def volatility_index(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Rows of ``raw.volatility_index``: exchange sessions only."""

    def macro(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Rows of ``raw.macro``: observations with the session on which they became known."""

    def option_chain(self, ticker: str, *, session: pd.Timestamp) -> pd.DataFrame:
        """Rows of ``raw.option_chain`` of one session. Years of them come in by ``trading-dag import-chains``."""

    def present_chain_session(self, ticker: str, *, now: pd.Timestamp) -> pd.Timestamp | None:
        """The session whose chain the source gives at a moment (UTC); None where it has none to give then."""

    def prices_hourly(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Rows of ``raw.prices_hourly``: bars within the exchange's hours, by their true start."""

    def news(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Rows of ``raw.news``: articles about the ticker, and the market's (scope ``market``) in every slice."""

    def social_mentions(self, ticker: str) -> pd.DataFrame:
        """Rows of ``raw.social_mentions``: every snapshot that the source has, 0 mentions where it does not list."""

    def news_sentiment(self, ticker: str) -> pd.DataFrame:
        """Rows of ``raw.news_sentiment``: every snapshot of a vendor's own score that the source has."""

    def earnings(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Rows of ``raw.earnings``: announcements, past and scheduled, of the companies that count for the ticker."""

    def economic_calendar(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Rows of ``raw.economic_calendar``: releases and decisions, past and scheduled, and when each was known."""

    def describe(self) -> list[SourceStatus]:
        """One status per kind, without asking the network."""


def build_source(settings: Settings) -> Source:
    """The source that the settings name. Nothing is read or asked yet.

    Raises
    ------
    ConfigurationError : where its settings cannot work.
    """
    if settings.source == "sample":
        from resources.sample import SampleSource

        return SampleSource(hull_file=settings.hull_file)
    if settings.source == "files":
        from resources.files import FilesSource

        return FilesSource(
            settings.files,
            companies_of=settings.companies_of,
            index_of=settings.volatility_index_of,
            hull_file=settings.hull_file,
            rules=reading_rules(settings),
        )
    if settings.source == "simulated":
        from resources.simulated import SimulatedSource

        return SimulatedSource(settings.simulation, hull_file=settings.hull_file)
    from resources.live import build_live_source

    return build_live_source(settings)


def reading_rules(settings: Settings) -> ReadingRules:
    """What the settings say about the files of the folder is returned."""
    from resources.column_files import ReadingRules

    return ReadingRules(settings.files_columns, settings.files_zone, settings.files_date_order)


def tickers_at_hand(settings: Settings) -> tuple[str, ...]:
    """The active tickers that the source has, in their order.

    Only a folder is looked into. Where there is none, or its prices cannot be read, the settings alone say: a run will
    tell what is wrong.
    """
    if settings.source == "live":
        return settings.active_tickers
    if settings.source == "files":
        from resources.files import FilesSource

        try:
            known = FilesSource(settings.files, rules=reading_rules(settings)).tickers()
        except SourceError:
            return settings.active_tickers
    else:
        known = frozenset(settings.tickers_of_source)
    return tuple(ticker for ticker in settings.active_tickers if ticker in known)


def require_prices(settings: Settings) -> None:
    """Refuse a source that cannot give prices, before anything is started for it.

    Raises
    ------
    ConfigurationError : where ``raw.prices_daily`` cannot be had, with what to do.
    """
    for status in build_source(settings).describe():
        if status.kind == PRICES_DAILY.name and status.state == "missing":
            raise ConfigurationError(f"source {settings.source}: {status.detail}; {status.remedy}")
