"""How one request is sent: whole within a deadline, of a size, from the vendor alone, and without holding up Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.http.message import AnswerBounds, HttpAnswer, HttpRequest, NoAnswer, RefusedAnswer, without_echo
from resources.http.sender import is_same_origin, send_with_curl
from tests.resources.loopback.hostile import NEVER_TAKEN
from tests.resources.loopback.server import FRED_CSV, Fault, LoopbackVendor
from trading_dag.errors import ConfigurationError

KEY = "an+odd/key=&0123456789"
BOUNDS = AnswerBounds(seconds=20.0, maximum_bytes=1_000_000)


@pytest.fixture(scope="module")
def vendor() -> Iterator[LoopbackVendor]:
    with LoopbackVendor(sessions=30) as running:
        yield running


def ask(vendor: LoopbackVendor, fault: Fault, bounds: AnswerBounds = BOUNDS) -> object:
    vendor.heal()
    vendor.inject(FRED_CSV, fault, times=None)
    return send_with_curl(HttpRequest("fred", f"{vendor.url}{FRED_CSV}", {"id": "GDP"}, {"api_key": KEY}), bounds)


@pytest.mark.parametrize("name", ["a byte now and then", "a head that does not end", "silence"])
def test_a_server_that_keeps_sending_does_not_put_the_deadline_off(vendor: LoopbackVendor, name: str) -> None:
    outcome = ask(vendor, NEVER_TAKEN[name], AnswerBounds(seconds=0.3, maximum_bytes=1_000_000))
    assert outcome == NoAnswer("no answer within 0.3 s, or none that was whole")


def test_a_body_of_exactly_the_size_is_taken_and_one_byte_more_is_not(vendor: LoopbackVendor) -> None:
    taken = ask(vendor, Fault(body=b"x" * 1_000_000))
    assert isinstance(taken, HttpAnswer)
    assert len(taken.body) == 1_000_000
    refused = ask(vendor, Fault(body=b"x" * 1_000_001))
    assert isinstance(refused, RefusedAnswer)
    assert refused.problem == "the answer is larger than 1 MB"


def test_the_size_is_what_compression_unpacks_to(vendor: LoopbackVendor) -> None:
    assert isinstance(ask(vendor, NEVER_TAKEN["8 MB packed into 8 kB"]), RefusedAnswer)


@pytest.mark.parametrize(
    "name",
    [
        "another host", "another host with our name in it", "another host without a scheme", "another port",
        "another scheme on the same host", "a file", "a mailbox", "a script", "an address that is none",
    ],
)  # fmt: skip
def test_nobody_else_is_asked_whatever_the_vendor_redirects_to(vendor: LoopbackVendor, name: str) -> None:
    vendor.requests.clear()
    outcome = ask(vendor, NEVER_TAKEN[name])
    assert isinstance(outcome, RefusedAnswer)
    assert "collect" not in outcome.problem
    assert len(vendor.requests) == 1


def test_redirects_that_do_not_end_are_refused(vendor: LoopbackVendor) -> None:
    vendor.requests.clear()
    outcome = ask(vendor, Fault(status=302, headers={"Location": f"{FRED_CSV}?id=GDP"}, body=b""))
    assert outcome == RefusedAnswer("the redirects do not end", "Try again later; nothing that is stored was changed.")
    assert len(vendor.requests) == 6


def test_the_key_goes_to_the_address_that_was_asked_and_to_none_it_redirects_to(vendor: LoopbackVendor) -> None:
    vendor.heal()
    vendor.requests.clear()
    vendor.inject(FRED_CSV, Fault(status=307, headers={"Location": f"{FRED_CSV}?id=GDP"}, body=b""))
    request = HttpRequest("fred", f"{vendor.url}{FRED_CSV}", {"id": "GDP"}, {"api_key": KEY})
    assert isinstance(send_with_curl(request, BOUNDS), HttpAnswer)
    first, second = vendor.requests
    assert first.query == {"id": "GDP", "api_key": KEY}
    assert second.query == {"id": "GDP"}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("http://a.test/x", "http://a.test:80/y", True),
        ("https://A.test/x", "https://a.test/y", True),
        ("http://a.test/x", "https://a.test/x", False),
        ("http://a.test/x", "http://a.test:81/x", False),
        ("http://a.test/x", "http://b.a.test/x", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(first: str, second: str, same: bool) -> None:
    assert is_same_origin(first, second) is same


@pytest.mark.parametrize("key", ["line\nbreak-0123", "ключ-012345", "tab\tkey-0123"])
def test_a_key_that_no_header_can_hold_is_said_without_showing_it(vendor: LoopbackVendor, key: str) -> None:
    request = HttpRequest("finnhub", f"{vendor.url}/x", secret_headers={"X-Token": key})
    with pytest.raises(ConfigurationError, match="header X-Token") as caught:
        send_with_curl(request, BOUNDS)
    assert key not in str(caught.value)


ECHOES = [
    KEY,
    "an%2Bodd%2Fkey%3D%260123456789",
    "an%2bodd%2fkey%3d%260123456789",
    "an+odd\\/key=&0123456789",
    "an+odd/key=&amp;0123456789",
]


@pytest.mark.parametrize("echo", ECHOES)
def test_a_key_that_is_echoed_is_masked_however_it_is_written(echo: str) -> None:
    request = HttpRequest("vendor", "http://vendor.test", secret_headers={"Authorization": f"Bearer {KEY}"})
    answer = HttpAnswer(400, {"x-said": f"key {echo}"}, f'{{"error": "{echo} may not"}}'.encode())
    masked = without_echo(request, answer)
    assert masked == HttpAnswer(400, {"x-said": "key ***"}, b'{"error": "*** may not"}')


def test_a_text_too_short_to_be_a_key_changes_no_answer() -> None:
    request = HttpRequest("vendor", "http://vendor.test", secrets={"key": "12"})
    answer = HttpAnswer(200, {}, b'{"close": 612.12}')
    assert without_echo(request, answer) == answer


WAIT = """
import sys
from resources.http.message import AnswerBounds, HttpRequest
from resources.http.sender import send_with_curl
send_with_curl(HttpRequest("vendor", sys.argv[1]), AnswerBounds(120.0, 1000))
"""


def test_ctrl_c_ends_a_command_that_waits_for_an_answer(vendor: LoopbackVendor) -> None:
    vendor.heal()
    vendor.inject("/held", NEVER_TAKEN["silence"], times=None)
    vendor.requests.clear()
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", WAIT, f"{vendor.url}/held"]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.PIPE, text=True)
    while not vendor.asked("/held"):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    # The deadline is two minutes: whoever waited for it would not be here within one.
    _, said = process.communicate(timeout=600)
    assert process.returncode != 0
    assert said.rstrip().endswith("KeyboardInterrupt")
