"""The HTTP session that yfinance is given: Yahoo's hosts in one place, our retries, rate limit, cache and checks.

yfinance asks several hosts by name, retries little, takes an error page for a symbol without prices and refuses
sessions that cache. So the session sits below it: it turns every ``*.yahoo.com`` address to the configured server,
and lets a chart or an option chain through only after it was checked. What the prices mean does not belong here.

Imports curl_cffi (a browser's TLS, without which Yahoo refuses), so import this module where it is used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from curl_cffi import requests as curl

from resources.http.client import AnswerCheck, HttpClient
from resources.http.message import AnswerBounds, HttpAnswer, HttpRequest, NoAnswer, Outcome, RefusedAnswer
from resources.http.sender import curl_bounds, follow, is_same_origin, outcome_of
from resources.left_out import BadRecord
from resources.vendors.yahoo.chart_answer import SOURCE, check_chart, readable_chart
from resources.vendors.yahoo.options_answer import check_options, readable_options
from trading_dag.errors import SourceFormatError, SourceUnavailableError
from trading_dag.setting_groups import HttpSettings

CHART_PATH: Final = "/v8/finance/chart/"
OPTIONS_PATH: Final = "/v7/finance/options/"
DEFAULT_URL: Final = "https://query2.finance.yahoo.com"
_REFUSALS: Final = frozenset({401, 403})
Readable = Callable[[HttpRequest, HttpAnswer], tuple[bytes, tuple[BadRecord, ...]]]


class YahooSession(curl.Session):  # type: ignore[type-arg]
    """A curl_cffi session that yfinance can use.

    Parameters
    ----------
    home, http : where the cache and the rate limit lie, and how to ask.
    base_url : server that is asked instead of every Yahoo host, where it is not Yahoo's own.
    edition : what distinguishes answers that must not be taken from the cache for one another, by the interval of
        the bars that are asked for; empty for what is no chart.
    chain_cache_seconds : how long answers about option chains are kept.
    """

    def __init__(
        self,
        *,
        home: Path,
        http: HttpSettings,
        base_url: str,
        edition: Callable[[str], str],
        chain_cache_seconds: float = 0.0,
    ) -> None:
        self._bounds = AnswerBounds(http.timeout_seconds, int(http.answer_megabytes * 1_000_000))
        super().__init__(impersonate="chrome", curl_options=curl_bounds(self._bounds))
        self._found = threading.local()
        self._base_url = base_url.rstrip("/")
        self._edition = edition
        self._refused: set[str] = set()
        self._client = HttpClient(SOURCE, home=home, http=http, send=self._send)
        self._chains = HttpClient(
            SOURCE,
            home=home,
            http=http.model_copy(update={"cache_seconds": chain_cache_seconds}),
            send=self._send,
            limiter=self._client.limiter,
            cache_name=f"{SOURCE}_chains",
        )

    def request(self, method: Any, url: str, params: Any = None, **options: Any) -> curl.Response:  # type: ignore[override]
        """Send what yfinance asks; charts and chains are checked, retried and cached, cookies and crumbs just fetched.

        Raises
        ------
        SourceError : for a chart or chain that cannot be had or is not one, and where somebody else than Yahoo is to
            be asked.
        curl_cffi.requests.exceptions.RequestException : for anything else that fails; yfinance can do without it.
        """
        address = self._address(url)
        path = urlsplit(url).path
        if method == "GET" and CHART_PATH in path:
            return self._checked(self._client, check_chart, readable_chart, address, params or {})
        if method == "GET" and OPTIONS_PATH in path:
            return self._checked(self._chains, check_options, readable_options, address, params or {})
        return self._plain(method, address, {**options, "params": params})

    def taken_out(self) -> list[BadRecord]:
        """Return what was taken out of the answers to this thread since it last asked."""
        bad_records: list[BadRecord] = getattr(self._found, "records", [])
        self._found.records = []
        return bad_records

    def _plain(self, method: Any, address: str, options: dict[str, Any]) -> curl.Response:
        """Cookies, crumbs and the page of consent, whose forms answer with a redirect within Yahoo."""

        def once(url: str, seconds: float, is_first: bool) -> Outcome:
            self._client.limiter.wait()
            return self._once(method if is_first else "GET", url, options if is_first else {}, seconds)

        outcome = follow(address, once, bounds=self._bounds, is_ours=self._is_yahoos)
        if isinstance(outcome, NoAnswer):
            raise curl.exceptions.RequestException(outcome.problem)
        if isinstance(outcome, RefusedAnswer):
            request = f"{method} {address.partition('?')[0]}"
            raise SourceFormatError(source=SOURCE, request=request, problem=outcome.problem, remedy=outcome.remedy)
        return _response(address, outcome)

    def _once(self, method: Any, url: str, options: dict[str, Any], seconds: float) -> Outcome:
        asked = {**options, "timeout": seconds, "allow_redirects": False}
        return outcome_of(lambda: curl.Session.request(self, method, self._address(url), **asked), self._bounds)

    def _is_yahoos(self, address: str, target: str) -> bool:
        parts = urlsplit(target)
        return is_same_origin(address, target) or (parts.scheme == "https" and _is_yahoos_host(parts.hostname or ""))

    def _address(self, url: str) -> str:
        parts = urlsplit(url)
        if self._base_url == DEFAULT_URL or not _is_yahoos_host(parts.hostname or ""):
            return url
        return f"{self._base_url}{parts.path or '/'}{'?' + parts.query if parts.query else ''}"

    def _checked(
        self, client: HttpClient, check: AnswerCheck, readable: Readable, address: str, params: Mapping[str, Any]
    ) -> curl.Response:
        bare, _, query = address.partition("?")
        asked = {**dict(parse_qsl(query)), **{name: str(value) for name, value in params.items()}}
        secrets = {"crumb": asked.pop("crumb")} if "crumb" in asked else {}
        request = HttpRequest(SOURCE, bare, asked, secrets, edition=self._edition(asked.get("interval", "")))
        answer = client.get(request, check=lambda sent, given: self._check(sent, given, check))
        body, bad = readable(request, answer)
        self._found.records = [*getattr(self._found, "records", []), *bad]
        return _response(address, HttpAnswer(answer.status, answer.headers, body))

    def _check(self, request: HttpRequest, answer: HttpAnswer, check: AnswerCheck) -> None:
        """Let a first refusal through, because yfinance then takes another crumb; the second one is final."""
        if answer.status in _REFUSALS:
            if str(request) not in self._refused:
                self._refused.add(str(request))
                return
            self._refused.discard(str(request))
            raise SourceUnavailableError(
                source=SOURCE,
                request=str(request),
                problem=f"Yahoo refuses the request ({answer.status})",
                remedy="Try again later; if it stays, Yahoo blocks this address or yfinance needs an update.",
            )
        self._refused.discard(str(request))
        check(request, answer)

    def _send(self, request: HttpRequest, bounds: AnswerBounds) -> Outcome:
        asked = {"params": {**request.params, **request.secrets}}
        return follow(
            request.url,
            lambda url, seconds, is_first: self._once("GET", url, asked if is_first else {}, seconds),
            bounds=bounds,
            is_ours=self._is_yahoos,
        )


def _is_yahoos_host(host: str) -> bool:
    return host == "yahoo.com" or host.endswith(".yahoo.com")


def _response(address: str, answer: HttpAnswer) -> curl.Response:
    response = curl.Response()
    response.url = address
    response.status_code = answer.status
    response.ok = answer.status < 400
    response.content = answer.body
    return response
