"""A vendor of present option chains that wants a key: how it is asked, the same for each of them.

The key travels in a header, the rate is the plan's, and the cache carries a fetch that was broken off. What is asked,
and what the answers must look like, is in the vendor's own module, which session a chain is of in
``chain_snapshot.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
from pydantic import SecretStr

from resources.http.client import HttpClient
from resources.http.json_answer import Records, Vendor
from resources.http.message import HttpAnswer, HttpRequest
from resources.vendors.chain_snapshot import ChainQuestion, ask_for_present_chain
from trading_dag.errors import SourceOffError
from trading_dag.settings import Settings

Reader = Callable[[HttpRequest, HttpAnswer], Records]


@dataclass(frozen=True)
class Access:
    """Says where a vendor is asked, with which key, and how often.

    Attributes
    ----------
    url : its address.
    key : None where there is none.
    requests_per_minute : what its plan allows.
    rate_setting : the setting of that rate.
    """

    url: str
    key: SecretStr | None
    requests_per_minute: float
    rate_setting: str


class KeyedChainClient(ABC):
    """Asks one vendor for chains.

    Parameters
    ----------
    settings : the vendor's own, ``chain_days``, ``chain_cache_seconds``, ``home`` and ``http``.
    clock : the present moment, UTC.
    """

    _vendor: ClassVar[Vendor]
    # Where the vendor has several clients that keep answers for different times.
    _cache_name: ClassVar[str | None] = None
    _asks_by_date: ClassVar[bool] = False

    def __init__(self, settings: Settings, *, clock: Callable[[], pd.Timestamp]) -> None:
        access = self._access(settings)
        self._settings = settings
        self._url = access.url.rstrip("/")
        self._key = access.key
        self._clock = clock
        pace = {
            "requests_per_second": access.requests_per_minute / 60.0,
            "cache_seconds": self._cache_seconds(settings),
        }
        http = settings.http.model_copy(update=pace)
        self._client = HttpClient(
            self._vendor.source,
            home=settings.home,
            http=http,
            rate_setting=access.rate_setting,
            cache_name=self._cache_name,
        )

    @staticmethod
    @abstractmethod
    def _access(settings: Settings) -> Access:
        """Return the vendor's access out of the settings."""

    @staticmethod
    def _cache_seconds(settings: Settings) -> float:
        """Return the age at which a kept answer is asked again."""
        return settings.chain_cache_seconds

    @property
    def has_key(self) -> bool:
        """Return whether the vendor can be asked."""
        return self._key is not None

    def _question(self, ticker: str, *, session: pd.Timestamp) -> ChainQuestion:
        """Return the question for a chain, if it can be had now.

        Raises
        ------
        StaleSourceError, UnknownTickerError : see ``ask_for_present_chain``.
        """
        return ask_for_present_chain(
            self._vendor.source, ticker, session=session, now=self._clock(), settings=self._settings
        )

    def _request(self, question: ChainQuestion, path: str, params: Mapping[str, str]) -> HttpRequest:
        if self._key is None:
            raise SourceOffError(
                source=self._vendor.source,
                request=str(question),
                problem="there is no key",
                remedy=f"Set {self._vendor.key_variable}.",
            )
        return HttpRequest(
            self._vendor.source,
            f"{self._url}{path}",
            params,
            secret_headers={"Authorization": f"Bearer {self._key.get_secret_value()}"},
            # Tradier answers in XML otherwise.
            headers={"Accept": "application/json"},
            # Present quotes of another session are never served from the cache; what names its days is.
            edition="" if self._asks_by_date else f"{question.session:%Y-%m-%d}",
        )

    def _records(self, request: HttpRequest, read: Reader) -> Records:
        """Return the records of an answer; one that cannot be read is not kept."""

        def check(asked: HttpRequest, answer: HttpAnswer) -> None:
            read(asked, answer)

        return read(request, self._client.get(request, check=check))
