"""How vendors are asked: politely and patiently, and again where a failure passes.

Retries, ``Retry-After``, the rate limit and the cache on disk belong here, for every vendor alike. How one request is
sent, and what it may cost, is in ``http.sender.py``. What a vendor's answer means is decided by its client, which hands
in a check that raises a typed error for it.
"""

from __future__ import annotations

import http
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from math import inf
from pathlib import Path
from time import sleep as sleep_seconds
from time import time
from typing import Final

import tenacity

from resources.http.message import (
    AnswerBounds,
    HttpAnswer,
    HttpRequest,
    NoAnswer,
    Outcome,
    RefusedAnswer,
    Send,
    without_echo,
)
from resources.http.rate_limit import RateLimiter
from resources.http.request_slots import RequestSlots
from resources.http.response_cache import ResponseCache
from resources.http.sender import send_with_curl
from trading_dag.errors import SourceError, SourceFormatError, SourceUnavailableError
from trading_dag.setting_groups import HttpSettings

RETRIED_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
TOO_MANY_REQUESTS: Final = 429
CACHE_FOLDER: Final = ".cache"
RATE_SETTING: Final = "TRADING_DAG_HTTP__REQUESTS_PER_SECOND"
AnswerCheck = Callable[[HttpRequest, HttpAnswer], None]


class HttpClient:
    """Asks one vendor.

    Parameters
    ----------
    source : name of the vendor.
    home : rate limit and cache lie below ``home/.cache``, shared by all processes of that home.
    http : deadline, size, attempts, waits.
    send : how one request is sent.
    sleep : how to wait, in seconds.
    rate_setting : the setting that slows this client down, named where the vendor says that it is asked too often.
    limiter : of another client of the same vendor, whose rate is shared; by default the vendor's own.
    cache_name : folder of the kept answers, where the vendor has several clients that keep them for different times.
    """

    def __init__(
        self,
        source: str,
        *,
        home: Path,
        http: HttpSettings,
        send: Send = send_with_curl,
        sleep: Callable[[float], None] = sleep_seconds,
        limiter: RateLimiter | None = None,
        cache_name: str | None = None,
        rate_setting: str = RATE_SETTING,
    ) -> None:
        self.source = source
        self._rate_setting = rate_setting
        self.limiter = limiter or RateLimiter(
            home / CACHE_FOLDER / "rate" / source, requests_per_second=http.requests_per_second, sleep=sleep
        )
        self._slots = RequestSlots(
            home / CACHE_FOLDER / "rate" / f"{source}-slots", requests_per_second=http.requests_per_second, sleep=sleep
        )
        self._http = http
        self._bounds = AnswerBounds(http.timeout_seconds, int(http.answer_megabytes * 1_000_000))
        self._cache = ResponseCache(
            home / CACHE_FOLDER / "http" / (cache_name or source), maximum_age_seconds=http.cache_seconds
        )
        self._send = send
        self._sleep = sleep
        self._backoff = tenacity.wait_exponential(
            multiplier=http.backoff_seconds, max=http.backoff_maximum_seconds
        ) + tenacity.wait_random(0, http.backoff_seconds)

    def get(self, request: HttpRequest, *, check: AnswerCheck) -> HttpAnswer:
        """Return the answer to a request, from the cache where it is young enough.

        Network failures, time-outs and the statuses 408, 425, 429 and 5xx are tried again, after the longer of
        the backoff and what ``Retry-After`` asks for. Only answers with status 200 that pass the check are kept. A key
        that the vendor wrote into an answer is masked before anybody sees, checks or keeps it.

        Raises
        ------
        SourceUnavailableError : after the last attempt, or at once where ``Retry-After`` is longer than the
            longest wait of the settings.
        SourceFormatError : for an answer that is too large, or of somebody to whom the vendor redirects.
        SourceError : whatever ``check`` raises.
        """
        key = _cache_key(request)
        cached = self._cache.get(key)
        if cached is not None:
            return HttpAnswer(200, {}, cached)
        outcome = self._ask(request)
        if isinstance(outcome, RefusedAnswer):
            raise SourceFormatError(
                source=request.source, request=str(request), problem=outcome.problem, remedy=outcome.remedy
            )
        if isinstance(outcome, NoAnswer) or outcome.status in RETRIED_STATUSES:
            raise self._unavailable(request, outcome)
        check(request, outcome)
        if outcome.status == http.HTTPStatus.OK:
            self._cache.put(key, outcome.body)
        return outcome

    def has_kept(self, request: HttpRequest) -> bool:
        """Return whether a request would be answered from the cache now."""
        return self._cache.get(_cache_key(request)) is not None

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
            outcome = without_echo(request, self._send(request, self._bounds))
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

    def _unavailable(self, request: HttpRequest, outcome: HttpAnswer | NoAnswer) -> SourceError:
        asked = retry_after_seconds(outcome)
        remedy = "Try again later; nothing that is stored was changed."
        if isinstance(outcome, NoAnswer):
            problem = outcome.problem
            remedy = f"Check the network, or raise TRADING_DAG_HTTP__TIMEOUT_SECONDS. {remedy}"
        elif outcome.status == TOO_MANY_REQUESTS:
            problem = "too many requests (429)"
            remedy = f"Lower {self._rate_setting}. {remedy}"
        else:
            problem = f"the vendor answers with status {outcome.status}"
        if asked is not None:
            problem += "; it asks to wait for ever" if asked == inf else f"; it asks to wait {asked:.0f} s"
        return SourceUnavailableError(source=request.source, request=str(request), problem=problem, remedy=remedy)


def _cache_key(request: HttpRequest) -> str:
    return f"{request}#{request.edition}"


def retry_after_seconds(outcome: Outcome) -> float | None:
    """Return what ``Retry-After`` asks for, given in seconds or as an HTTP date; None where it is absent or unclear."""
    value = outcome.headers.get("retry-after", "").strip() if isinstance(outcome, HttpAnswer) else ""
    if value.isascii() and value.isdigit():
        # A number of any length; one that no float holds is for ever.
        return float(value) if len(value) < 300 else inf
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except (ValueError, TypeError, LookupError, ArithmeticError, OSError):
        return None


def _is_transient(outcome: Outcome) -> bool:
    return isinstance(outcome, NoAnswer) or (isinstance(outcome, HttpAnswer) and outcome.status in RETRIED_STATUSES)


def _last_outcome(state: tenacity.RetryCallState) -> Outcome:
    outcome: Outcome = state.outcome.result() if state.outcome else NoAnswer("nothing was asked")
    return outcome
