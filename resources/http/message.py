"""What is asked of a vendor, what came back, and what an answer may cost: plain values.

How a request is sent is in ``http.sender.py``; patience, rate limit and cache are in ``http.py``. A key travels in
``HttpRequest.secrets`` or ``secret_headers`` and goes only into the request that is sent; where a vendor writes it into
its answer, ``without_echo`` takes it out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from resources.masking import MASK, masking_pattern


@dataclass(frozen=True)
class HttpRequest:
    """Describes one GET request.

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
        """Return the URL as it is sent, secrets included. Never log it."""
        query = urlencode({**self.params, **self.secrets})
        return f"{self.url}?{query}" if query else self.url


@dataclass(frozen=True)
class HttpAnswer:
    """Holds what came back: status, headers by lower-case name, and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """Return the body as UTF-8 text; bytes that are not UTF-8 are replaced."""
        return self.body.decode("utf-8", errors="replace")


@dataclass(frozen=True)
class NoAnswer:
    """Tells why no complete answer came back, without the URL."""

    problem: str


@dataclass(frozen=True)
class RefusedAnswer:
    """An answer that is not taken, however often it is asked for: too large, or given by somebody else."""

    problem: str
    remedy: str


@dataclass(frozen=True)
class AnswerBounds:
    """Limits what one answer may cost.

    Attributes
    ----------
    seconds : until all of it must have come, redirects included.
    maximum_bytes : of its body, unpacked.
    """

    seconds: float
    maximum_bytes: int


Outcome = HttpAnswer | NoAnswer | RefusedAnswer
Send = Callable[[HttpRequest, AnswerBounds], Outcome]


def without_echo(request: HttpRequest, outcome: Outcome) -> Outcome:
    """Return the outcome with the request's keys masked wherever the vendor wrote them, in body and headers.

    A key is found as it is, percent-encoded, and escaped as in JSON or HTML.
    """
    if not isinstance(outcome, HttpAnswer):
        return outcome
    pattern = masking_pattern(tuple(_bare_secrets(request)))
    if pattern is None:
        return outcome
    headers = {name: pattern.sub(MASK, value) for name, value in outcome.headers.items()}
    in_bytes = re.compile(pattern.pattern.encode())
    return replace(outcome, headers=headers, body=in_bytes.sub(MASK.encode(), outcome.body))


def _bare_secrets(request: HttpRequest) -> list[str]:
    """Return the keys of a request, without the scheme (``Bearer``) that may stand before one in a header."""
    values = (*request.secrets.values(), *request.secret_headers.values())
    return [value.rpartition(" ")[2] for value in values]
