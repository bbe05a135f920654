"""What every source of market data offers: a method for each raw table.

How bytes are fetched does not belong here: each source has its own module, and no source falls back to another.
The frames that sources hand over are built in ``raw_frames.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pandas as pd

if TYPE_CHECKING:
    from resources.sources.hull_file import HullFile
    from resources.sources.status import SourceStatus


class Source(Protocol):
    """Provides raw tables. Each frame has exactly the columns of its table and is sorted by key.

    ``since`` is inclusive: sessions (observation dates for ``macro``, days of publication, UTC, for ``news``, days of
    the event for ``earnings`` and ``economic_calendar``) before it are not fetched. News, announcements and events may
    be absent: the frame then has no rows, but is not ``source_off``.
    A kind that is switched off has no rows and gives the reason in ``frame.attrs["source_off"]``.
    """

    @property
    def name(self) -> str:
        """Return ``sample``, ``files``, ``live`` or ``simulated``, as the provenance records it."""

    @property
    def hull(self) -> HullFile:
        """Return the file of the Hull Tactical competition for ``raw.hull_market``, which any source's user may
        have."""

    @property
    def has_earlier_chains(self) -> bool:
        """Return whether ``option_chain`` offers other sessions than the present one."""

    def prices_daily(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return rows of ``raw.prices_daily``: finished sessions only."""

    def volatility_index(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return rows of ``raw.volatility_index``: exchange sessions only."""

    def macro(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return rows of ``raw.macro``: observations with the session on which they became known."""

    def option_chain(self, ticker: str, *, session: pd.Timestamp) -> pd.DataFrame:
        """Return rows of ``raw.option_chain`` of one session. Years of chains come in through ``trading-dag
        import-chains``."""

    def present_chain_session(self, ticker: str, *, now: pd.Timestamp) -> pd.Timestamp | None:
        """Return the session whose chain the source offers at a moment (UTC); None where it offers none then."""

    def prices_hourly(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return rows of ``raw.prices_hourly``: bars within the exchange's hours, by their true start."""

    def hours_so_far(self, ticker: str, *, now: pd.Timestamp) -> pd.DataFrame:
        """Return rows of ``raw.prices_hourly`` of the session that is under way at a moment (UTC): bars that have
        ended. Without rows, the attribute ``source_off`` says why."""

    def chain_so_far(self, ticker: str, *, now: pd.Timestamp) -> pd.DataFrame:
        """Return rows of ``raw.option_chain`` as quoted in the session that is under way at a moment (UTC); the
        attribute ``quoted_at`` (UTC) says when. Without rows, ``source_off`` says why."""

    def news(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return rows of ``raw.news``: articles about the ticker, and the market's (scope ``market``) in every
        slice."""

    def social_mentions(self, ticker: str) -> pd.DataFrame:
        """Return rows of ``raw.social_mentions``: every snapshot that the source has, with 0 mentions for an unlisted
        ticker."""

    def news_sentiment(self, ticker: str) -> pd.DataFrame:
        """Return rows of ``raw.news_sentiment``: every snapshot of a vendor's own score that the source has."""

    def earnings(self, ticker: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return rows of ``raw.earnings``: announcements, past and scheduled, of the companies that count for the
        ticker."""

    def economic_calendar(self, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return rows of ``raw.economic_calendar``: releases and decisions, past and scheduled, and when each was
        known."""

    def describe(self) -> list[SourceStatus]:
        """Return one status per kind, without asking the network."""
