"""Option chains of the ``live`` source: which vendor is asked, and when chains are off.

The vendor is the one that the settings name. A key alone changes nothing, and no other vendor replaces one that
fails, because quotes of two vendors are not the same thing. How a vendor is asked is in its own module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import pandas as pd

from resources.raw_frames import IMPORT_CHAINS, switched_off
from resources.sources.status import SourceStatus
from resources.vendors.chain_snapshot import WITHOUT_OPTIONS, snapshot_period
from resources.vendors.polygon import PolygonClient
from resources.vendors.polygon_access import KEY_VARIABLE as POLYGON_KEY
from resources.vendors.tradier import KEY_VARIABLE as TRADIER_KEY
from resources.vendors.tradier import TradierClient
from resources.vendors.yahoo.bars import YahooClient
from resources.vendors.yahoo.chain import YahooChainClient
from trading_dag.schemas import OPTION_CHAIN
from trading_dag.settings import ChainVendorName, Settings
from trading_dag.slices import validate_ticker

_TITLES: Final[dict[ChainVendorName, str]] = {
    "yahoo": "Yahoo by way of yfinance; no key needed",
    "polygon": "Polygon's snapshot",
    "tradier": "Tradier",
}
_KEYS: Final[dict[ChainVendorName, str]] = {"polygon": POLYGON_KEY, "tradier": TRADIER_KEY}


class ChainVendor(Protocol):
    """Offers present option chains."""

    @property
    def has_key(self) -> bool:
        """Return whether the vendor can be asked."""

    def chain(self, ticker: str, *, session: pd.Timestamp, source: str) -> pd.DataFrame:
        """Return the rows of ``raw.option_chain`` of the last closed session."""


class LiveChains:
    """Asks the vendor of chains that the settings name.

    Parameters
    ----------
    settings : ``chain_vendor`` and what its client reads.
    yahoo : the client that asks Yahoo.
    clock : the present moment, UTC.
    source : name of the source; the provenance appends the vendor's name, ``live:yahoo``.
    """

    def __init__(
        self, settings: Settings, yahoo: YahooClient, *, clock: Callable[[], pd.Timestamp], source: str
    ) -> None:
        self._name = settings.chain_vendor
        self._days = settings.chain_days
        self._source = source
        clients: dict[ChainVendorName, Callable[[], ChainVendor]] = {
            "yahoo": lambda: YahooChainClient(yahoo, settings, clock=clock),
            "polygon": lambda: PolygonClient(settings, clock=clock),
            "tradier": lambda: TradierClient(settings, clock=clock),
        }
        self._vendor = clients[self._name]() if self._name in clients else None

    def option_chain(self, ticker: str, *, session: pd.Timestamp) -> pd.DataFrame:
        """Return the rows of ``raw.option_chain`` of the last closed session; no rows, with the reason, where chains
        are off.

        Raises
        ------
        StaleSourceError : for any session but the last closed one, once the next has opened, or for quotes
            older than the close.
        SourceOffError, EmptySourceError, SourceUnavailableError, SourceFormatError : as the vendor answers.
        UnknownTickerError : for what is no ticker.
        """
        validate_ticker(ticker)
        off = self._why_off(ticker)
        if off is not None or self._vendor is None:
            return switched_off(OPTION_CHAIN, source=self._source, reason=off or "")
        return self._vendor.chain(ticker, session=session, source=f"{self._source}:{self._name}")

    def present_session(self, ticker: str, *, now: pd.Timestamp) -> pd.Timestamp | None:
        """Return the session whose end-of-day chain the vendor shows at a moment (UTC); None where it shows none."""
        session, begins, ends = snapshot_period(now)
        return session if self._why_off(ticker) is None and begins <= now < ends else None

    def describe(self) -> SourceStatus:
        """Return which vendor is asked, for ``doctor``."""
        off = self._why_off()
        if off is not None:
            key = _KEYS.get(self._name)
            if key is not None:
                return SourceStatus(
                    OPTION_CHAIN.name, "missing", off, f"set {key}, or another TRADING_DAG_CHAIN_VENDOR"
                )
            return SourceStatus(OPTION_CHAIN.name, "off", off, IMPORT_CHAINS)
        detail = f"{_TITLES[self._name]}: the last closed session, expirations of {self._days} days"
        return SourceStatus(OPTION_CHAIN.name, "on", detail)

    def _why_off(self, ticker: str | None = None) -> str | None:
        """Return why chains are off, for every ticker or for the given one; None where they are on."""
        if self._vendor is None:
            return f"TRADING_DAG_CHAIN_VENDOR is none; {IMPORT_CHAINS}"
        if not self._vendor.has_key:
            return f"{self._name} is not asked for option chains: {_KEYS[self._name]} is not set"
        return f"no options are listed on {ticker}" if ticker in WITHOUT_OPTIONS else None
