"""What every source of market data offers: a method for each raw table.

How bytes are fetched does not belong here: each source has a module of its own, and no source falls back to another.
The frames that they hand over are built in ``raw_frames.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pandas as pd

if TYPE_CHECKING:
    from resources.sources.hull_file import HullFile
    from resources.sources.status import SourceStatus


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
        """Return the session whose chain the source gives at a moment (UTC); None where it has none to give then."""

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
