"""How one request is sent: by libcurl, within a deadline and a size, to the address that was asked and nowhere else.

The bounds are libcurl's own (docs/decisions/how-vendors-are-asked.md): the deadline covers name resolution, connection,
headers and the last byte, the size what compression unpacks to. Asking again and waiting is in ``http.py``; what Yahoo
needs beside this is in ``yahoo.session.py``.

curl_cffi is imported where it is used, because it takes half a second to load.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urljoin, urlsplit

from resources.http.message import AnswerBounds, HttpAnswer, HttpRequest, NoAnswer, Outcome, RefusedAnswer
from trading_dag.errors import ConfigurationError

if TYPE_CHECKING:
    from curl_cffi.requests.exceptions import RequestException

USER_AGENT: Final = "Mozilla/5.0 (compatible; trading-dag)"
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
MAXIMUM_REDIRECTS: Final = 5
LONGEST_CONNECT_SECONDS: Final = 20.0
_SCHEMES: Final = ("http", "https")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# libcurl's numbers of what keeps a connection from coming about; every other failure is one of the answer.
_NO_CONNECTION: Final = frozenset({1, 3, 5, 6, 7, 35, 53, 54, 58, 59, 60, 66, 77, 83, 91, 97, 98})
_TIMED_OUT: Final = 28
_TOO_LARGE: Final = 63
Sent = TypeVar("Sent")
SendOnce = Callable[[str, float, bool], Outcome]


def send_with_curl(request: HttpRequest, bounds: AnswerBounds) -> Outcome:
    """Send a request and return its answer, followed through redirects on the same scheme, host and port.

    Keys are sent to the address that was asked, and to no address it redirects to.

    Raises
    ------
    ConfigurationError : for a URL that is not http or https, or a header that cannot be sent.
    """
    if not request.url.startswith(("http://", "https://")):
        raise ConfigurationError(f"{request.source}: {request.url!r} is no http or https address")
    _require_sendable(request)
    headers = {"User-Agent": USER_AGENT, **request.headers}

    def once(url: str, seconds: float, is_first: bool) -> Outcome:
        keys = request.secret_headers if is_first else {}
        return _send_once(url, {**headers, **keys}, seconds, bounds)

    return follow(request.full_url(), once, bounds=bounds, is_ours=is_same_origin)


def follow(url: str, send_once: SendOnce, *, bounds: AnswerBounds, is_ours: Callable[[str, str], bool]) -> Outcome:
    """Return the answer at the end of the redirects from an address, all of them within one deadline.

    Parameters
    ----------
    send_once : sends to an address within some seconds; told whether it is the one that was asked.
    is_ours : whether the second address may be asked where the first redirects to it.
    """
    ends = monotonic() + bounds.seconds
    for hop in range(MAXIMUM_REDIRECTS + 1):
        left = ends - monotonic()
        if left <= 0.0:
            return NoAnswer(_too_late(bounds))
        outcome = _interruptibly(lambda url=url, left=left, is_first=hop == 0: send_once(url, left, is_first))  # type: ignore[misc]
        if not isinstance(outcome, HttpAnswer) or outcome.status not in REDIRECTS:
            return outcome
        target = _redirect_target(url, outcome.headers.get("location", ""))
        if target is None or not is_ours(url, target):
            return _refused_redirect(target)
        url = target
    return RefusedAnswer("the redirects do not end", "Try again later; nothing that is stored was changed.")


def _send_once(url: str, headers: Mapping[str, str], seconds: float, bounds: AnswerBounds) -> Outcome:
    from curl_cffi import requests as curl

    with curl.Session(discard_cookies=True, curl_options=curl_bounds(bounds)) as session:
        return outcome_of(
            lambda: session.request(
                "GET", url, headers=dict(headers), timeout=seconds, allow_redirects=False, quote=False
            ),
            bounds,
        )


def outcome_of(ask: Callable[[], Any], bounds: AnswerBounds) -> Outcome:
    """Return what a request by curl_cffi came to. libcurl's own words name the address, so they are not shown."""
    from curl_cffi.requests.exceptions import RequestException

    try:
        response = ask()
        headers = {name.lower(): value or "" for name, value in response.headers.items()}
    except RequestException as error:
        return _failure(error, bounds)
    except (LookupError, ValueError):
        # curl_cffi takes the head of an answer apart by hand.
        return NoAnswer("the head of the answer cannot be read")
    return HttpAnswer(response.status_code, headers, response.content)


def curl_bounds(bounds: AnswerBounds) -> dict[Any, Any]:
    """Return libcurl's options that keep an answer within a size, to http and https, and connecting within 20 s."""
    from curl_cffi import CurlOpt

    return {
        CurlOpt.MAXFILESIZE_LARGE: bounds.maximum_bytes,
        CurlOpt.PROTOCOLS_STR: b"http,https",
        CurlOpt.CONNECTTIMEOUT_MS: int(1000 * min(bounds.seconds, LONGEST_CONNECT_SECONDS)),
    }


def _failure(error: RequestException, bounds: AnswerBounds) -> Outcome:
    code = int(error.code)
    if code == _TIMED_OUT:
        return NoAnswer(_too_late(bounds))
    if code == _TOO_LARGE:
        return RefusedAnswer(
            f"the answer is larger than {bounds.maximum_bytes / 1e6:g} MB",
            "If the vendor is to be trusted with more, raise TRADING_DAG_HTTP__ANSWER_MEGABYTES.",
        )
    if code in _NO_CONNECTION:
        return NoAnswer(f"no connection ({type(error).__name__}, {code})")
    return NoAnswer(f"the answer broke off ({type(error).__name__}, {code})")


def _too_late(bounds: AnswerBounds) -> str:
    return f"no answer within {bounds.seconds:g} s, or none that was whole"


def _redirect_target(url: str, location: str) -> str | None:
    """Return the address a redirect leads to, None where that is no http or https address."""
    try:
        target = urljoin(url, location.strip())
        parts = urlsplit(target)
        has_address = bool(location.strip()) and parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return target if has_address and target.isascii() and target.isprintable() else None


def is_same_origin(url: str, other: str) -> bool:
    """Return whether two addresses have the same scheme, host and port."""
    first, second = urlsplit(url), urlsplit(other)
    ports = [part.port or _DEFAULT_PORTS[part.scheme] for part in (first, second)]
    return (first.scheme, first.hostname, ports[0]) == (second.scheme, second.hostname, ports[1])


def _refused_redirect(target: str | None) -> RefusedAnswer:
    """Return the outcome of a redirect to somebody else. Of the address only scheme and host are shown."""
    parts = urlsplit(target) if target else None
    whither = f"{parts.scheme}://{parts.hostname}" if parts else "no http or https address"
    return RefusedAnswer(
        f"the vendor redirects to {whither}, and nobody else is asked in its place",
        "Check the address in the settings (TRADING_DAG_…_URL), and that nobody changes answers on the way.",
    )


def _interruptibly(send: Callable[[], Sent]) -> Sent:
    """Return what a call gives, so that Ctrl-C and SIGTERM end the main thread while it waits.

    libcurl does not come back for a signal. In the main thread the call is made by another one, which ends with the
    process.
    """
    if threading.current_thread() is not threading.main_thread():
        return send()
    result: Future[Sent] = Future()

    def run() -> None:
        try:
            result.set_result(send())
        except BaseException as error:  # noqa: BLE001 (raised again by whoever waits)
            result.set_exception(error)

    threading.Thread(target=run, name="request", daemon=True).start()
    return result.result()


def _require_sendable(request: HttpRequest) -> None:
    for name, value in {**request.headers, **request.secret_headers}.items():
        if not (value.isascii() and value.isprintable()):
            raise ConfigurationError(
                f"{request.source}: header {name} has a character that cannot be sent; check the key in the settings"
            )
