"""A vendor of present option chains that wants a key: how it is asked, the same for each of them.

The key travels in a header, the rate is the plan's, and the cache carries a fetch that was broken off. What is asked,
and what the answers must look like, is in the vendor's own module, which session a chain is of in
``chain_snapshot.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd
from pydantic import SecretStr

from resources.http.client import HttpClient
from resources.http.json_answer import Records, Vendor
from resources.http.message import HttpAnswer, HttpRequest
from resources.vendors.chain_snapshot import ChainQuestion, ask_for_present_chain
from trading_dag.errors import SourceOffError
from trading_dag.settings import Settings

Reader = Callable[[HttpRequest, HttpAnswer], Records]


class KeyedChainClient:
    """Asks one vendor.

    Parameters
    ----------
    vendor : who it is.
    settings : ``chain_days``, ``chain_cache_seconds``, ``home`` and ``http``.
    url : its address.
    key : None where there is none.
    requests_per_minute : what its plan allows.
    rate_setting : the setting of that rate.
    clock : the present moment, UTC.
    """

    def __init__(
        self,
        vendor: Vendor,
        settings: Settings,
        *,
        url: str,
        key: SecretStr | None,
        requests_per_minute: float,
        rate_setting: str,
        clock: Callable[[], pd.Timestamp],
    ) -> None:
        self._vendor = vendor
        self._settings = settings
        self._url = url.rstrip("/")
        self._key = key
        self._clock = clock
        pace = {"requests_per_second": requests_per_minute / 60.0, "cache_seconds": settings.chain_cache_seconds}
        self._client = HttpClient(
            vendor.source, home=settings.home, http=settings.http.model_copy(update=pace), rate_setting=rate_setting
        )

    @property
    def has_key(self) -> bool:
        """Whether anything can be asked."""
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
            # Quotes of another session are never served from the cache.
            edition=f"{question.session:%Y-%m-%d}",
        )

    def _records(self, request: HttpRequest, read: Reader) -> Records:
        """Return the records of an answer; one that cannot be read is not kept."""

        def check(asked: HttpRequest, answer: HttpAnswer) -> None:
            read(asked, answer)

        return read(request, self._client.get(request, check=check))
