"""How a vendor is asked: retries, Retry-After, the rate limit, the cache, and keys that never show."""

from __future__ import annotations

import logging
import os
import socketserver
import subprocess
import sys
import threading
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from resources.http.client import HttpClient, retry_after_seconds
from resources.http.message import AnswerBounds, HttpAnswer, HttpRequest, NoAnswer, Outcome, RefusedAnswer
from resources.http.rate_limit import RateLimiter
from resources.http.response_cache import ResponseCache
from resources.http.sender import send_with_curl
from tests.resources.loopback.server import FAST_HTTP, FRED_KEY, LoopbackVendor
from trading_dag.errors import ConfigurationError, SourceFormatError, SourceUnavailableError
from trading_dag.setting_groups import HttpSettings

REQUEST = HttpRequest("vendor", "http://vendor.test/prices", {"id": "DGS10"}, {"api_key": FRED_KEY})
OK = HttpAnswer(200, {}, b"fine")


class Script:
    """A sender that gives the answers it was told, and remembers what it was asked."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[HttpRequest] = []

    def __call__(self, request: HttpRequest, bounds: AnswerBounds) -> Outcome:
        self.asked.append(request)
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]


def accept(request: HttpRequest, answer: HttpAnswer) -> None:
    """Take any answer."""


def client(home: Path, send: Script, sleeps: list[float], **http: float) -> HttpClient:
    given = FAST_HTTP.model_copy(update={"attempts": 4, "requests_per_second": 1e6, **http})
    return HttpClient("vendor", home=home, http=given, send=send, sleep=sleeps.append)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_failure_is_tried_again(tmp_path: Path, status: int) -> None:
    send = Script(HttpAnswer(status, {}, b""), NoAnswer("no connection"), OK)
    assert client(tmp_path, send, []).get(REQUEST, check=accept) == OK
    assert len(send.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_an_answer_that_will_not_change_is_asked_once_and_left_to_the_check(tmp_path: Path, status: int) -> None:
    send = Script(HttpAnswer(status, {}, b"no"))
    assert client(tmp_path, send, []).get(REQUEST, check=accept).status == status
    assert len(send.asked) == 1


def test_waits_double_up_to_the_maximum_with_jitter(tmp_path: Path) -> None:
    sleeps: list[float] = []
    send = Script(HttpAnswer(503, {}, b""))
    with pytest.raises(SourceUnavailableError, match="503"):
        client(tmp_path, send, sleeps, attempts=6, backoff_seconds=1.0, backoff_maximum_seconds=4.0).get(
            REQUEST, check=accept
        )
    assert len(send.asked) == 6
    waits = [seconds for seconds in sleeps if seconds > 0.5]
    for waited, base in zip(waits, [1.0, 2.0, 4.0, 4.0, 4.0], strict=True):
        assert base <= waited <= base + 1.0
    assert len(set(waits)) == len(waits)


def test_retry_after_in_seconds_is_honoured(tmp_path: Path) -> None:
    sleeps: list[float] = []
    send = Script(HttpAnswer(429, {"retry-after": "3"}, b""), OK)
    client(tmp_path, send, sleeps).get(REQUEST, check=accept)
    assert max(sleeps) >= 3.0


def test_retry_after_as_a_date_is_honoured() -> None:
    moment = format_datetime(pd.Timestamp.now("UTC").to_pydatetime() + pd.Timedelta(seconds=90), usegmt=True)
    asked = retry_after_seconds(HttpAnswer(503, {"retry-after": moment}, b""))
    assert asked == pytest.approx(90.0, abs=2.0)


@pytest.mark.parametrize(
    "value",
    ["soon", "", "-5x", "-1", "1.5", "\u00b2", "\u0662", "Wed, 21 Oct 99999999 07:28:00 GMT",
     "Wed, 99 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 +9999999999", "1" * 5000 + " s"],
)  # fmt: skip
def test_a_retry_after_that_says_nothing_is_not_honoured(value: str) -> None:
    assert retry_after_seconds(HttpAnswer(429, {"retry-after": value}, b"")) is None


def test_a_retry_after_of_any_length_is_a_number() -> None:
    assert retry_after_seconds(HttpAnswer(429, {"retry-after": "9" * 5000}, b"")) == float("inf")


def test_a_retry_after_in_the_past_means_now() -> None:
    answer = HttpAnswer(429, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, b"")
    assert retry_after_seconds(answer) == 0.0


def test_a_retry_after_beyond_the_longest_wait_is_said_and_not_waited_for(tmp_path: Path) -> None:
    sleeps: list[float] = []
    send = Script(HttpAnswer(429, {"retry-after": "3600"}, b""))
    with pytest.raises(SourceUnavailableError, match="asks to wait 3600 s"):
        client(tmp_path, send, sleeps, backoff_maximum_seconds=60.0).get(REQUEST, check=accept)
    assert len(send.asked) == 1
    assert sleeps == []


def test_the_error_names_source_request_and_remedy_and_hides_the_key(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailableError) as caught:
        client(tmp_path, Script(NoAnswer("no answer within 1 s")), []).get(REQUEST, check=accept)
    error = caught.value
    assert error.source == "vendor"
    assert error.request == "GET http://vendor.test/prices?id=DGS10"
    assert "TRADING_DAG_HTTP__TIMEOUT_SECONDS" in error.remedy
    assert FRED_KEY not in f"{error} {error!r} {REQUEST} {REQUEST!r}"


def test_a_checked_answer_is_asked_once(tmp_path: Path) -> None:
    send = Script(OK)
    asked = client(tmp_path, send, [], cache_seconds=60.0)
    assert asked.get(REQUEST, check=accept).body == asked.get(REQUEST, check=accept).body == b"fine"
    assert len(send.asked) == 1


def test_the_cache_is_shared_by_clients_of_one_home_and_knows_no_key(tmp_path: Path) -> None:
    client(tmp_path, Script(OK), [], cache_seconds=60.0).get(REQUEST, check=accept)
    send = Script(NoAnswer("must not be asked"))
    assert client(tmp_path, send, [], cache_seconds=60.0).get(REQUEST, check=accept).body == b"fine"
    files = [path for path in (tmp_path / ".cache").rglob("*") if path.is_file()]
    assert any(path.suffix == ".answer" for path in files)
    assert not any(FRED_KEY.encode() in path.read_bytes() or FRED_KEY in path.name for path in files)


def test_an_answer_that_fails_its_check_is_not_kept(tmp_path: Path) -> None:
    def refuse(request: HttpRequest, answer: HttpAnswer) -> None:
        raise SourceFormatError(source="vendor", request=str(request), problem="a page", remedy="-")

    send = Script(HttpAnswer(200, {}, b"<html>"), OK)
    asked = client(tmp_path, send, [], cache_seconds=60.0)
    with pytest.raises(SourceFormatError):
        asked.get(REQUEST, check=refuse)
    assert asked.get(REQUEST, check=accept).body == b"fine"


def test_another_edition_is_another_answer(tmp_path: Path) -> None:
    send = Script(HttpAnswer(200, {}, b"open"), HttpAnswer(200, {}, b"closed"))
    asked = client(tmp_path, send, [], cache_seconds=60.0)
    bodies = [
        asked.get(HttpRequest("vendor", REQUEST.url, edition=edition), check=accept).body for edition in ("a", "b", "a")
    ]
    assert bodies == [b"open", b"closed", b"open"]


def test_an_old_answer_is_asked_again_and_removed_from_disk(tmp_path: Path) -> None:
    now = [1000.0]
    cache = ResponseCache(tmp_path, maximum_age_seconds=60.0, clock=lambda: now[0])
    cache.put("GET a", b"body\nwith lines")
    assert cache.get("GET a") == b"body\nwith lines"
    now[0] += 61.0
    assert cache.get("GET a") is None
    stale = next(tmp_path.glob("*.answer"))
    os.utime(stale, (0, 0))
    cache.put("GET b", b"new")
    assert not stale.exists()


HEADS = {
    "no JSON": b"\xff\xfe no json",
    "nothing": b"",
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "deep": b"[" * 100_000,
    "no moment": b'{"request": "GET a", "sha256": "%s"}',
    "a moment in words": b'{"request": "GET a", "fetched_at": "now", "sha256": "%s"}',
    "a moment that is null": b'{"request": "GET a", "fetched_at": null, "sha256": "%s"}',
    "a moment beyond any": b'{"request": "GET a", "fetched_at": ' + b"9" * 400 + b', "sha256": "%s"}',
    "no number": b'{"request": "GET a", "fetched_at": NaN, "sha256": "%s"}',
    "a moment to come": b'{"request": "GET a", "fetched_at": 9e12, "sha256": "%s"}',
    "another request": b'{"request": "GET b", "fetched_at": 1000.0, "sha256": "%s"}',
    "another body": b'{"request": "GET a", "fetched_at": 1000.0, "sha256": "0"}',
}


@pytest.mark.parametrize("name", HEADS)
def test_a_cache_file_with_an_odd_head_is_no_answer(tmp_path: Path, name: str) -> None:
    cache = ResponseCache(tmp_path, maximum_age_seconds=60.0, clock=lambda: 1001.0)
    cache.put("GET a", b"body")
    kept = next(tmp_path.glob("*.answer"))
    right = b'{"request": "GET a", "fetched_at": 1000.0, "sha256": "%s"}'
    digest = sha256(b"body").hexdigest().encode()
    kept.write_bytes(right.replace(b"%s", digest) + b"\nbody")
    assert cache.get("GET a") == b"body"
    kept.write_bytes(HEADS[name].replace(b"%s", digest) + b"\nbody")
    assert cache.get("GET a") is None


def test_a_body_that_was_torn_or_altered_on_disk_is_no_answer(tmp_path: Path) -> None:
    cache = ResponseCache(tmp_path, maximum_age_seconds=60.0)
    cache.put("GET a", b"a body of some length")
    kept = next(tmp_path.glob("*.answer"))
    whole = kept.read_bytes()
    for damaged in (whole[:-1], whole.replace(b"length", b"lenght"), whole + b"x"):
        kept.write_bytes(damaged)
        assert cache.get("GET a") is None


def test_a_cache_that_cannot_be_written_costs_no_answer_and_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = ResponseCache(tmp_path / "file" / "vendor", maximum_age_seconds=60.0)
    cache.put("GET a", b"body")
    assert cache.get("GET a") is None
    assert "an answer is not kept" in caplog.text


def test_an_echoed_key_is_neither_checked_nor_kept(tmp_path: Path) -> None:
    seen: list[bytes] = []
    send = Script(HttpAnswer(200, {}, f"next page: ?api_key={FRED_KEY}".encode()))
    asked = client(tmp_path, send, [], cache_seconds=60.0)
    answer = asked.get(REQUEST, check=lambda request, given: seen.append(given.body))
    assert answer.body == b"next page: ?api_key=***"
    assert seen == [answer.body]
    kept = [path.read_bytes() for path in (tmp_path / ".cache").rglob("*.answer")]
    assert len(kept) == 1
    assert FRED_KEY.encode() not in kept[0]


def test_the_advice_about_too_many_requests_names_the_setting_that_slows_this_vendor_down(tmp_path: Path) -> None:
    http = FAST_HTTP.model_copy(update={"attempts": 1})
    for given, named in (({}, "TRADING_DAG_HTTP__REQUESTS_PER_SECOND"), ({"rate_setting": "MY_RATE"}, "MY_RATE")):
        asked = HttpClient("vendor", home=tmp_path, http=http, send=Script(HttpAnswer(429, {}, b"")), **given)
        with pytest.raises(SourceUnavailableError) as caught:
            asked.get(REQUEST, check=accept)
        assert caught.value.remedy.startswith(f"Lower {named}.")


@pytest.mark.parametrize("outcome", [RefusedAnswer("the answer is larger than 1 MB", "Raise it.")])
def test_an_answer_that_is_refused_is_asked_for_once(tmp_path: Path, outcome: RefusedAnswer) -> None:
    send = Script(outcome)
    with pytest.raises(SourceFormatError, match=r"larger than 1 MB.*Raise it"):
        client(tmp_path, send, []).get(REQUEST, check=accept)
    assert len(send.asked) == 1


def test_a_damaged_cache_file_is_no_answer(tmp_path: Path) -> None:
    cache = ResponseCache(tmp_path, maximum_age_seconds=60.0)
    cache.put("GET a", b"body")
    next(tmp_path.glob("*.answer")).write_bytes(b"\xff\xfe no json")
    assert cache.get("GET a") is None


def test_no_more_requests_are_made_than_the_rate_allows(tmp_path: Path) -> None:
    now, sleeps = [100.0], []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        now[0] += seconds

    limiter = RateLimiter(tmp_path / "vendor", requests_per_second=2.0, sleep=sleep, clock=lambda: now[0])
    for _ in range(4):
        limiter.wait()
    assert sleeps == pytest.approx([0.5, 0.5, 0.5])


def test_every_attempt_of_a_client_waits_for_its_turn(tmp_path: Path) -> None:
    sleeps: list[float] = []
    send = Script(HttpAnswer(503, {}, b""), OK)
    asked = client(tmp_path, send, sleeps, requests_per_second=0.5, backoff_seconds=0.0)
    asked.get(REQUEST, check=accept)
    asked.get(REQUEST, check=accept)
    waits = [seconds for seconds in sleeps if seconds > 0.0]
    assert waits == pytest.approx([2.0, 4.0], abs=0.5)


def test_postponing_holds_back_every_client_of_the_home(tmp_path: Path) -> None:
    now, sleeps = [100.0], []
    first, second = (
        RateLimiter(tmp_path / "vendor", requests_per_second=2.0, sleep=sleeps.append, clock=lambda: now[0])
        for _ in range(2)
    )
    first.postpone(7.0)
    second.wait()
    assert sleeps == pytest.approx([7.0])


@pytest.mark.parametrize("content", ["nonsense", "1e30", ""])
def test_a_damaged_rate_file_or_a_clock_set_back_does_not_stop_requests(tmp_path: Path, content: str) -> None:
    (tmp_path / "vendor").write_text(content)
    sleeps: list[float] = []
    RateLimiter(tmp_path / "vendor", requests_per_second=2.0, sleep=sleeps.append).wait()
    assert sleeps == []


ASK_FIVE_TIMES = """
import sys, time
from pathlib import Path
from resources.http.rate_limit import RateLimiter
looked = []
def clock():
    looked.append(time.time())
    return looked[-1]
def sleep(seconds):
    looked.append(looked[-1] + seconds)
    time.sleep(seconds)
limiter = RateLimiter(Path(sys.argv[1]), requests_per_second=20.0, sleep=sleep, clock=clock)
for _ in range(5):
    limiter.wait()
    assert time.time() >= looked[-1] - 1e-3
    print(repr(looked[-1]), flush=True)
"""


def test_processes_share_one_rate(tmp_path: Path) -> None:
    """Each says whose turn it was when, and none goes before: a busy machine may let it go later."""
    command = [sys.executable, "-c", ASK_FIVE_TIMES, str(tmp_path / "vendor")]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    moments = sorted(float(moment) for worker in workers for moment in worker.communicate(timeout=600)[0].split())
    assert len(moments) == 15
    assert min(np.diff(moments)) >= 1 / 20.0 - 1e-6


def test_the_sender_is_given_the_key_and_nobody_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with LoopbackVendor(sessions=30) as vendor:
        request = HttpRequest(
            "fred", f"{vendor.url}/fred/series/observations", {"series_id": "GDP"}, {"api_key": FRED_KEY}
        )
        answer = send_with_curl(request, AnswerBounds(20.0, 1_000_000))
        assert isinstance(answer, HttpAnswer)
        assert answer.status == 200
        assert vendor.requests[-1].query["api_key"] == FRED_KEY
    assert FRED_KEY not in caplog.text


def test_a_secret_header_goes_to_the_vendor_and_not_to_whom_it_redirects(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    received: list[tuple[str, str]] = []

    class Redirecting(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            path = self.rfile.readline().decode().split()[1]
            head = b"".join(iter(self.rfile.readline, b"\r\n")).decode()
            received.append((path, head))
            if path == "/first":
                self.wfile.write(b"HTTP/1.0 302 Found\r\nLocation: /second\r\nContent-Length: 0\r\n\r\n")
            else:
                self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with socketserver.TCPServer(("127.0.0.1", 0), Redirecting) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/first"
        request = HttpRequest("vendor", address, secret_headers={"X-Token": FRED_KEY})
        outcome = send_with_curl(request, AnswerBounds(20.0, 1_000_000))
        server.shutdown()
    assert outcome == HttpAnswer(200, {"content-length": "2"}, b"ok")
    (first, first_head), (second, second_head) = received
    assert (first, second) == ("/first", "/second")
    assert FRED_KEY in first_head
    assert FRED_KEY not in second_head
    assert FRED_KEY not in f"{request} {request!r} {caplog.text}"


def test_a_server_that_is_not_there_is_no_answer_without_its_address() -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        port = server.server_address[1]
    outcome = send_with_curl(
        HttpRequest("vendor", f"http://127.0.0.1:{port}/x", secrets={"api_key": FRED_KEY}),
        AnswerBounds(20.0, 1_000_000),
    )
    assert isinstance(outcome, NoAnswer)
    assert "no connection" in outcome.problem
    assert FRED_KEY not in outcome.problem


def test_an_answer_that_breaks_off_is_no_answer() -> None:
    class HalfAnAnswer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")

    with socketserver.TCPServer(("127.0.0.1", 0), HalfAnAnswer) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        outcome = send_with_curl(
            HttpRequest("vendor", f"http://127.0.0.1:{server.server_address[1]}/"), AnswerBounds(20.0, 1_000_000)
        )
        server.shutdown()
    assert isinstance(outcome, NoAnswer)
    assert "broke off" in outcome.problem


def test_only_web_addresses_are_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no http"):
        HttpClient("vendor", home=tmp_path, http=HttpSettings()).get(
            HttpRequest("vendor", "file:///etc/passwd"), check=accept
        )
