"""How vendors are asked: politely, patiently and without ever showing a key.

Timeouts, retries, ``Retry-After``, the rate limit and the cache on disk belong here, for every vendor alike.
What a vendor's answer means does not: each client hands in a check that raises a typed error for it.

A key travels in ``HttpRequest.secrets`` and goes only into the request that is sent. The sender is urllib, because
it logs nothing; clients that need another one (Yahoo needs a browser's TLS) hand in theirs.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import sleep as sleep_seconds
from time import time
from typing import Final
from urllib.parse import urlencode

import tenacity

from resources.rate_limit import RateLimiter
from resources.request_slots import RequestSlots
from resources.response_cache import ResponseCache
from trading_dag.errors import ConfigurationError, SourceError, SourceUnavailableError
from trading_dag.settings import HttpSettings

RETRIED_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
TOO_MANY_REQUESTS: Final = 429
CACHE_FOLDER: Final = ".cache"
_USER_AGENT: Final = "Mozilla/5.0 (compatible; trading-dag)"


@dataclass(frozen=True)
class HttpRequest:
    """One GET request.

    Attributes
    ----------
    source : name of the vendor, for errors and for its own rate limit and cache.
    url, params : what is asked, shown in errors and used as the cache key.
    secrets : parameters that are sent and appear nowhere else.
    secret_headers : headers that are sent to this address only, and appear nowhere else.
    edition : part of the cache key: answers of another edition are not used.
    headers : headers that are sent and are no secret.
    """

    source: str
    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    edition: str = ""
    secret_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"GET {self.url}?{urlencode(sorted(self.params.items()))}" if self.params else f"GET {self.url}"

    def full_url(self) -> str:
        """The URL as it is sent, secrets included. Never log it."""
        query = urlencode({**self.params, **self.secrets})
        return f"{self.url}?{query}" if query else self.url


@dataclass(frozen=True)
class HttpAnswer:
    """What came back: status, headers by lower-case name, and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as UTF-8 text; bytes that are not UTF-8 are replaced."""
        return self.body.decode("utf-8", errors="replace")


@dataclass(frozen=True)
class NoAnswer:
    """Nothing came back: why, without the URL."""

    problem: str


Outcome = HttpAnswer | NoAnswer
Send = Callable[[HttpRequest, float], Outcome]
Check = Callable[[HttpRequest, HttpAnswer], None]


def send_with_urllib(request: HttpRequest, timeout_seconds: float) -> Outcome:
    """Send a request with the standard library.

    Raises
    ------
    ConfigurationError : for a URL that is not http or https.
    """
    if not request.url.startswith(("http://", "https://")):
        raise ConfigurationError(f"{request.source}: {request.url!r} is no http or https address")
    sent = urllib.request.Request(request.full_url(), headers={"User-Agent": _USER_AGENT, **request.headers})  # noqa: S310 (checked)
    for name, value in request.secret_headers.items():
        # Not to whomever the vendor redirects to.
        sent.add_unredirected_header(name, value)
    try:
        with urllib.request.build_opener().open(sent, timeout=timeout_seconds) as response:
            return HttpAnswer(response.status, _lower(dict(response.headers)), response.read())
    except urllib.error.HTTPError as error:
        with error:
            return HttpAnswer(error.code, _lower(dict(error.headers)), error.read())
    except TimeoutError:
        return NoAnswer(f"no answer within {timeout_seconds:g} s")
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            return NoAnswer(f"no answer within {timeout_seconds:g} s")
        return NoAnswer(f"no connection ({type(error.reason).__name__})")
    except (http.client.HTTPException, OSError) as error:
        return NoAnswer(f"the answer broke off ({type(error).__name__})")


def send_without_echo(request: HttpRequest, timeout_seconds: float) -> Outcome:
    """``send_with_urllib`` for vendors that may write the key into an answer, as links to a next page do: it is
    taken out before anybody sees, checks or keeps the answer.

    Raises
    ------
    ConfigurationError : for a URL that is not http or https.
    """
    outcome = send_with_urllib(request, timeout_seconds)
    if isinstance(outcome, NoAnswer):
        return outcome
    body = outcome.body
    for secret in bare_secrets(request):
        body = body.replace(secret.encode(), b"***")
    return HttpAnswer(outcome.status, outcome.headers, body)


def bare_secrets(request: HttpRequest) -> list[str]:
    """The keys of a request, without the scheme (``Bearer``) that may stand before one in a header."""
    values = (*request.secrets.values(), *request.secret_headers.values())
    return [bare for bare in (value.rpartition(" ")[2] for value in values) if bare]


class HttpClient:
    """Asks one vendor.

    Parameters
    ----------
    source : name of the vendor.
    home : rate limit and cache lie below ``home/.cache``, shared by all processes of that home.
    http : timeouts, attempts, waits.
    send : how one request is sent.
    sleep : how to wait, in seconds.
    limiter : of another client of the same vendor, whose rate is shared; by default the vendor's own.
    cache_name : folder of the kept answers, where the vendor has several clients that keep them for different times.
    """

    def __init__(
        self,
        source: str,
        *,
        home: Path,
        http: HttpSettings,
        send: Send = send_with_urllib,
        sleep: Callable[[float], None] = sleep_seconds,
        limiter: RateLimiter | None = None,
        cache_name: str | None = None,
    ) -> None:
        self.source = source
        self.limiter = limiter or RateLimiter(
            home / CACHE_FOLDER / "rate" / source, requests_per_second=http.requests_per_second, sleep=sleep
        )
        self._slots = RequestSlots(
            home / CACHE_FOLDER / "rate" / f"{source}-slots", requests_per_second=http.requests_per_second, sleep=sleep
        )
        self._http = http
        self._cache = ResponseCache(
            home / CACHE_FOLDER / "http" / (cache_name or source), maximum_age_seconds=http.cache_seconds
        )
        self._send = send
        self._sleep = sleep
        self._backoff = tenacity.wait_exponential(
            multiplier=http.backoff_seconds, max=http.backoff_maximum_seconds
        ) + tenacity.wait_random(0, http.backoff_seconds)

    def get(self, request: HttpRequest, *, check: Check) -> HttpAnswer:
        """The answer to a request, from the cache where it is young enough.

        Network failures, time-outs and the statuses 408, 425, 429 and 5xx are tried again, after the longer of
        the backoff and what ``Retry-After`` asks for. Only answers with status 200 that pass the check are kept.

        Raises
        ------
        SourceUnavailableError : after the last attempt, or at once where ``Retry-After`` is longer than the
            longest wait of the settings.
        SourceError : whatever ``check`` raises.
        """
        key = f"{request}#{request.edition}"
        cached = self._cache.get(key)
        if cached is not None:
            return HttpAnswer(200, {}, cached)
        outcome = self._ask(request)
        if isinstance(outcome, NoAnswer) or outcome.status in RETRIED_STATUSES:
            raise self._unavailable(request, outcome)
        check(request, outcome)
        if outcome.status == http.client.OK:
            self._cache.put(key, outcome.body)
        return outcome

    def _ask(self, request: HttpRequest) -> Outcome:
        retrying = tenacity.Retrying(
            stop=self._is_over,
            wait=self._wait_seconds,
            retry=tenacity.retry_if_result(_is_transient),
            retry_error_callback=_last_outcome,
            sleep=self._sleep,
        )
        return retrying(self._attempt, request)

    def _attempt(self, request: HttpRequest) -> Outcome:
        with self._slots.held():
            self.limiter.wait()
            outcome = self._send(request, self._http.timeout_seconds)
        asked = retry_after_seconds(outcome)
        if asked and _is_transient(outcome):
            self.limiter.postpone(min(asked, self._http.backoff_maximum_seconds))
        return outcome

    def _is_over(self, state: tenacity.RetryCallState) -> bool:
        asked = retry_after_seconds(_last_outcome(state))
        is_too_long = asked is not None and asked > self._http.backoff_maximum_seconds
        return is_too_long or state.attempt_number >= self._http.attempts

    def _wait_seconds(self, state: tenacity.RetryCallState) -> float:
        return max(self._backoff(state), retry_after_seconds(_last_outcome(state)) or 0.0)

    def _unavailable(self, request: HttpRequest, outcome: Outcome) -> SourceError:
        asked = retry_after_seconds(outcome)
        remedy = "Try again later; nothing that is stored was changed."
        if isinstance(outcome, NoAnswer):
            problem = outcome.problem
            remedy = f"Check the network, or raise TRADING_DAG_HTTP__TIMEOUT_SECONDS. {remedy}"
        elif outcome.status == TOO_MANY_REQUESTS:
            problem = "too many requests (429)"
            remedy = f"Lower TRADING_DAG_HTTP__REQUESTS_PER_SECOND. {remedy}"
        else:
            problem = f"the vendor answers with status {outcome.status}"
        if asked is not None:
            problem += f"; it asks to wait {asked:.0f} s"
        return SourceUnavailableError(source=request.source, request=str(request), problem=problem, remedy=remedy)


def retry_after_seconds(outcome: Outcome) -> float | None:
    """What ``Retry-After`` asks for, given in seconds or as an HTTP date; None where it is not there or not clear."""
    value = "" if isinstance(outcome, NoAnswer) else outcome.headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time())


def _is_transient(outcome: Outcome) -> bool:
    return isinstance(outcome, NoAnswer) or outcome.status in RETRIED_STATUSES


def _last_outcome(state: tenacity.RetryCallState) -> Outcome:
    outcome: Outcome = state.outcome.result() if state.outcome else NoAnswer("nothing was asked")
    return outcome


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
