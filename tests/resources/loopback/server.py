"""A vendor on 127.0.0.1 that speaks Yahoo's, FRED's, Finnhub's and ApeWisdom's formats, and fails on demand.

The real client libraries are pointed at it. ``with LoopbackVendor() as vendor`` gives ``vendor.url``; what it was
asked is in ``vendor.requests``; ``vendor.inject("SPY", too_many_requests(retry_after="1"))`` makes the next request
whose path or query contains ``SPY`` fail.
"""

from __future__ import annotations

import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, unquote, urlsplit

import pandas as pd

from tests.resources.loopback.chain_history_shape import ChainHistory
from tests.resources.loopback.chain_shapes import ChainVendors
from tests.resources.loopback.event_shapes import EventVendor
from tests.resources.loopback.fred_shape import FredData, csv_answer, xml_answer
from tests.resources.loopback.hourly_shape import hourly_chart
from tests.resources.loopback.market import Market
from tests.resources.loopback.yahoo_shape import chart
from trading_dag.setting_groups import HttpSettings
from trading_dag.settings import Settings

CHART = "/v8/finance/chart/"
CRUMB = "/v1/test/getcrumb"
FRED = "/fred/series/"
FRED_CSV = "/graph/fredgraph.csv"
FRED_KEY = "0123456789abcdef0123456789abcdef"
PAGE = b"<!DOCTYPE html><html><body><h1>We will be right with you</h1></body></html>"
PATIENCE_SECONDS = 600.0
FAST_HTTP = HttpSettings(
    timeout_seconds=20.0,  # of honest answers on a busy machine; a test of a slow one says how long it waits
    attempts=3,
    backoff_seconds=0.01,
    backoff_maximum_seconds=3.0,
    requests_per_second=500.0,
    cache_seconds=0.0,
    overlap_sessions=10,
)


@dataclass(frozen=True)
class Fault:
    """What happens to an answer.

    Attributes
    ----------
    status, headers, body : replace those of the right answer, where they are given.
    delay_seconds : how long the server sits on the request.
    change : applied to the body of the right answer.
    is_empty : a well-formed answer without rows.
    hangs_up : the connection is closed without an answer.
    raw : writes the answer itself, bytes and pauses, to a stream; it ends where the event is set or the client leaves.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay_seconds: float = 0.0
    change: Callable[[bytes], bytes] | None = None
    is_empty: bool = False
    hangs_up: bool = False
    raw: Callable[[BinaryIO, threading.Event], None] | None = None


def too_many_requests(retry_after: str | None = None) -> Fault:
    """429, with ``Retry-After`` where it is given (seconds or an HTTP date)."""
    headers = {"Retry-After": retry_after} if retry_after is not None else {}
    return Fault(status=429, headers=headers, body=b"Too Many Requests")


def server_error(status: int = 500) -> Fault:
    """A server error with a page."""
    return Fault(status=status, body=PAGE)


def slow(seconds: float) -> Fault:
    """The right answer, too late."""
    return Fault(delay_seconds=seconds)


def truncated() -> Fault:
    """The first half of the right answer, as if it were all."""
    return Fault(change=lambda body: body[: len(body) // 2])


def error_page() -> Fault:
    """A page in HTML, with status 200."""
    return Fault(body=PAGE)


def empty() -> Fault:
    """A well-formed answer without rows."""
    return Fault(is_empty=True)


def renamed(old: str, new: str) -> Fault:
    """The right answer with every occurrence of a field renamed."""
    return Fault(change=lambda body: body.replace(old.encode(), new.encode()))


def hang_up() -> Fault:
    """No answer at all."""
    return Fault(hangs_up=True)


@dataclass(frozen=True)
class LoggedRequest:
    """One request: when it came (monotonic seconds), what it asked, how it was answered."""

    at: float
    path: str
    query: dict[str, str]
    status: int


class Server(ThreadingHTTPServer):
    """Knows how many clients are connected, and takes it for no fault that one leaves in the middle."""

    daemon_threads = True
    connections = 0
    lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.lock:
            self.connections += 1
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        super().process_request_thread(request, client_address)
        with self.lock:
            self.connections -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class LoopbackVendor:
    """A server for the length of a ``with`` block.

    Parameters
    ----------
    sessions : length of the price history; it ends ``spare_sessions`` + 1 sessions before the present.
    spare_sessions : how often ``advance_one_session`` may be called.
    seed : of the invented data.
    """

    def __init__(self, *, sessions: int = 1500, spare_sessions: int = 20, seed: int = 7) -> None:
        self.market = Market(sessions=sessions, spare_sessions=spare_sessions, seed=seed)
        self.fred = FredData.invented(last=pd.Timestamp(self.market.calendar[-1]), seed=seed)
        self.events = EventVendor()
        self.chains = ChainVendors(self.market)
        self.chain_history = ChainHistory()
        self.requests: list[LoggedRequest] = []
        self.shows_open_session = False
        self._faults: list[tuple[str, Fault, int]] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                vendor._handle(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the tests' output clean."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> LoopbackVendor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def settings(
        self,
        home: Path,
        *,
        fred_api_key: str | None = None,
        finnhub_api_key: str | None = None,
        http: HttpSettings = FAST_HTTP,
    ) -> Settings:
        """Live settings that point every vendor here, with short waits and no cache."""
        return Settings(
            _env_file=None,
            home=home,
            source="live",
            yahoo_url=self.url,
            fred_url=self.url,
            fred_csv_url=self.url + FRED_CSV,
            FRED_API_KEY=fred_api_key,
            finnhub_url=self.url,
            FINNHUB_API_KEY=finnhub_api_key,
            finnhub_requests_per_minute=60.0 * http.requests_per_second,
            apewisdom_url=self.url,
            http=http,
        )

    def environment(self) -> dict[str, str]:
        """The same as environment variables, for a command line in another process."""
        http = {f"TRADING_DAG_HTTP__{name.upper()}": str(value) for name, value in FAST_HTTP.model_dump().items()}
        return {
            "TRADING_DAG_SOURCE": "live",
            "TRADING_DAG_YAHOO_URL": self.url,
            "TRADING_DAG_FRED_URL": self.url,
            "TRADING_DAG_FRED_CSV_URL": self.url + FRED_CSV,
            "TRADING_DAG_FINNHUB_URL": self.url,
            "TRADING_DAG_APEWISDOM_URL": self.url,
            # Chains are shown by the clock on the wall, and this vendor lives in the past.
            "TRADING_DAG_CHAIN_VENDOR": "none",
            **http,
        }

    def inject(self, path_substring: str, fault: Fault, times: int | None = 1) -> None:
        """Let requests whose path or query contains a text fail, so many times; None for always."""
        with self._lock:
            self._faults.append((path_substring, fault, -1 if times is None else times))

    def heal(self) -> None:
        """Forget every fault."""
        with self._lock:
            self._faults.clear()

    def asked(self, path_substring: str) -> list[LoggedRequest]:
        """The requests whose path or query contains a text, in order."""
        with self._lock:
            return [one for one in self.requests if path_substring in f"{one.path}?{one.query}"]

    def wait_until_all_have_left(self) -> None:
        """Return when every client that had connected is gone, so that no request of theirs is yet to be noted.

        Clients are let in one after the other: when one that comes now is answered, nobody waits at the door.
        """
        urllib.request.urlopen(f"{self.url}{CRUMB}").close()
        give_up = time.monotonic() + PATIENCE_SECONDS
        while self._server.connections:
            assert time.monotonic() < give_up, f"{self._server.connections} clients stay"
            time.sleep(0.01)

    def advance_one_session(self) -> pd.Timestamp:
        """Close one more session and return it."""
        with self._lock:
            return self.market.advance()

    def pay_dividend(self, symbol: str, amount: float) -> None:
        """The last session becomes an ex-date."""
        with self._lock:
            self.market.listings[symbol].dividends[self.market.last] = amount

    def split(self, symbol: str, ratio: float) -> None:
        """So many new shares per old one, from the last session on."""
        with self._lock:
            self.market.listings[symbol].splits[self.market.last] = ratio

    def restate(self, symbol: str, offset: int, name: str, value: float) -> pd.Timestamp:
        """Correct a published value; ``offset`` counts from the last session (0). Returns its session."""
        with self._lock:
            day = self.market.session(offset)
            self.market.listings[symbol].corrections[day, name] = value
            return day

    def delist(self, symbol: str) -> None:
        """The vendor no longer knows the symbol."""
        with self._lock:
            del self.market.listings[symbol]

    def _take_fault(self, target: str) -> Fault:
        with self._lock:
            for position, (text, fault, times) in enumerate(self._faults):
                if text in target:
                    if times == 1:
                        del self._faults[position]
                    else:
                        self._faults[position] = (text, fault, times - 1)
                    return fault
        return Fault()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        at = time.monotonic()
        parts = urlsplit(handler.path)
        path, query = unquote(parts.path), dict(parse_qsl(parts.query))
        fault = self._take_fault(f"{path}?{parts.query}")
        with self._lock:
            status, body = self._answer(path, query, dict(handler.headers), is_empty=fault.is_empty)
        body = fault.change(body) if fault.change else body
        status, body = fault.status or status, body if fault.body is None else fault.body
        with self._lock:
            self.requests.append(LoggedRequest(at, path, query, status))
        if fault.delay_seconds:
            self._closing.wait(fault.delay_seconds)
        if fault.hangs_up:
            handler.close_connection = True
            return
        try:
            if fault.raw:
                handler.close_connection = True
                fault.raw(handler.wfile, self._closing)
                return
            handler.send_response(status)
            for name, value in fault.headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Type", "application/json" if path.startswith(CHART) else "text/html")
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            handler.close_connection = True

    def _answer(
        self, path: str, query: dict[str, str], headers: dict[str, str], *, is_empty: bool
    ) -> tuple[int, bytes]:
        about_events = self.events.answer(path, query, headers, is_empty=is_empty)
        if about_events:
            return about_events
        about_chains = self.chains.answer(path, query, headers, is_empty=is_empty)
        if about_chains:
            return about_chains
        about_earlier_chains = self.chain_history.answer(path, query, headers, is_empty=is_empty)
        if about_earlier_chains:
            return about_earlier_chains
        if path.startswith(CHART) and query.get("interval") == "60m":
            return hourly_chart(
                self.market,
                path.removeprefix(CHART),
                query,
                shows_open_session=self.shows_open_session,
                is_empty=is_empty,
            )
        if path.startswith(CHART):
            symbol = path.removeprefix(CHART)
            if is_empty:
                query = {"period1": "0", "period2": "1"}
            return chart(self.market, symbol, query, shows_open_session=self.shows_open_session and not is_empty)
        released = self.fred.as_of(self.market.last + pd.Timedelta(days=1))
        if path.startswith(FRED):
            return xml_answer(released, path.removeprefix(FRED), query, is_empty=is_empty)
        if path == FRED_CSV:
            return csv_answer(released, query, is_empty=is_empty)
        if path == CRUMB:
            return 200, b"aLoopback.Crumb"
        return 404, PAGE
