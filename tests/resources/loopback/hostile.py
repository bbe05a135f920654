"""Answers that mean harm or come of a broken machine: endless, slow, huge, led elsewhere, malformed, or full of odd
values in the right shape. Each is a fault of the loopback vendor, by name."""

from __future__ import annotations

import gzip
import json
import random
import re
import threading
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, Final

from tests.resources.loopback.server import Fault

HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
PAUSE_SECONDS: Final = 0.05


def _raw(*chunks: bytes) -> Fault:
    def write(stream: BinaryIO, closing: threading.Event) -> None:
        for chunk in chunks:
            stream.write(chunk)

    return Fault(raw=write)


def _for_ever(head: bytes, chunk: bytes, *, pause: float) -> Fault:
    def write(stream: BinaryIO, closing: threading.Event) -> None:
        stream.write(head)
        while not closing.wait(pause):
            stream.write(chunk)
            stream.flush()

    return Fault(raw=write)


def _redirect(location: str, status: int = 302) -> Fault:
    return Fault(status=status, headers={"Location": location}, body=b"")


def _asked_to_wait(value: str) -> Fault:
    return Fault(status=429, headers={"Retry-After": value}, body=b"slow down")


_PACKED = gzip.compress(b"0" * 8_000_000)
# What no answer may be taken of, whoever asks. The clients of these tests take 1 MB.
NEVER_TAKEN: Final[dict[str, Fault]] = {
    "a byte now and then": _for_ever(HEAD + b"Content-Length: 100000\r\n\r\n", b" ", pause=PAUSE_SECONDS),
    "a head that does not end": _for_ever(b"HTTP/1.1 200 OK\r\nX: ", b"x", pause=PAUSE_SECONDS),
    "headers that do not end": _for_ever(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 500, pause=0.0),
    "informational answers for ever": _for_ever(b"", b"HTTP/1.1 102 Processing\r\n\r\n", pause=PAUSE_SECONDS),
    "silence": _for_ever(b"", b"", pause=PAUSE_SECONDS),
    "a body that does not end": _for_ever(HEAD + b"\r\n", b"[" * 65_536, pause=0.0),
    "chunks that do not end": _for_ever(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"[" * 65_536 + b"\r\n", pause=0.0
    ),
    "a body of 300 MB by its head": _for_ever(HEAD + b"Content-Length: 300000000\r\n\r\n", b" " * 65_536, pause=0.0),
    "8 MB packed into 8 kB": _raw(
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(_PACKED), _PACKED
    ),
    "packed twice": _raw(
        HEAD + b"Content-Encoding: deflate, gzip\r\n\r\n", gzip.compress(zlib.compress(b"0" * 8_000_000))
    ),
    "not packed, but said to be": _raw(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]"),
    "an unknown packing": _raw(HEAD + b"Content-Encoding: rot13\r\nContent-Length: 2\r\n\r\n[]"),
    "half of a body": _raw(HEAD + b"Content-Length: 1000\r\n\r\n[1, 2"),
    "chunks of no size": _raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n[]\r\n"),
    "a chunk larger than any": _raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n[]"),
    "a negative length": _raw(HEAD + b"Content-Length: -5\r\n\r\n[]"),
    "two lengths": _raw(HEAD + b"Content-Length: 2\r\nContent-Length: 200\r\n\r\n[]"),
    "a length that is no number": _raw(HEAD + b"Content-Length: many\r\n\r\n[]"),
    "no status": _raw(b"[]"),
    "another protocol": _raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "a status of words": _raw(b"HTTP/1.1 fine OK\r\nContent-Length: 2\r\n\r\n[]"),
    "a status of four digits": _raw(b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n[]"),
    "a header of 1 MB": _raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000 + b"\r\nContent-Length: 2\r\n\r\n[]"),
    "a NUL in the head": _raw(b"HTTP/1.1 200 OK\r\nX\x00: \x00\r\nContent-Length: 2\r\n\r\n[]"),
    "a head that begins with a blank": _raw(b"HTTP/1.1 200 OK\r\n folded\r\nContent-Length: 2\r\n\r\n[]"),
    "status 999": Fault(status=999, body=b"{}"),
    "no content": Fault(status=204, body=b""),
    "another host": _redirect("http://elsewhere.test/collect"),
    "another host with our name in it": _redirect("http://127.0.0.1@elsewhere.test/collect"),
    "another host without a scheme": _redirect("//elsewhere.test/collect", 307),
    "another port": _redirect("http://127.0.0.1:9/collect", 308),
    "another scheme on the same host": _redirect("https://127.0.0.1/collect", 301),
    "a file": _redirect("file:///etc/passwd"),
    "a mailbox": _redirect("imap://127.0.0.1/inbox"),
    "a script": _redirect("javascript:alert(1)"),
    "an address that is none": _redirect("http://[::1/collect"),
    "a port that is none": _redirect("http://127.0.0.1:99999999/"),
    "a redirect to nowhere": Fault(status=302, body=b""),
    "wait for ever": _asked_to_wait("9" * 400),
    "wait superscript": _asked_to_wait("\u00b2"),
    "wait until a year that is none": _asked_to_wait("Wed, 21 Oct 99999999 07:28:00 GMT"),
    "wait until the year 1": _asked_to_wait("Mon, 01 Jan 0001 00:00:00 -0000"),
    "wait in another zone": _asked_to_wait("Wed, 21 Oct 2015 07:28:00 +9999999999"),
    "wait less than nothing": _asked_to_wait("-1"),
    "wait for words": _asked_to_wait("soon, very soon"),
}
# Those that only a deadline ends, so that a test of them gives a short one.
NEVER_WHOLE: Final = (
    "a byte now and then", "a head that does not end", "informational answers for ever", "silence",
)  # fmt: skip

_DEEP: Final = 100_000
# Bodies that are no answer of any vendor, whatever was asked.
NO_ANSWERS: Final[dict[str, bytes]] = {
    "nothing": b"",
    "a blank": b" \r\n",
    "null": b"null",
    "a number": b"1",
    "a text": b'"prices"',
    "true": b"true",
    "lists in lists": b"[" * _DEEP + b"]" * _DEEP,
    "objects in objects": b'{"a":' * _DEEP + b"1" + b"}" * _DEEP,
    "lists without end": b"[" * _DEEP,
    "elements in elements": b"<a>" * _DEEP,
    "a number of 100,000 digits": b"[" + b"9" * 100_000 + b"]",
    "NaN": b'{"chart": NaN, "results": Infinity}',
    "half of a pair of surrogates": b'{"error": "\\ud800", "message": "\\udfff", "\\ud800": 1}',
    "an error that is an object": b'{"error": {"a": [1, {"b": "\\ud800"}]}, "message": ["x"]}',
    "zeros": b"\x00" * 1000,
    "bytes that are no text": bytes(range(128, 256)) * 10,
    "UTF-16": json.dumps({"results": []}).encode("utf-16"),
    "two answers": b"{}{}",
    "a mark and nothing": b"\xef\xbb\xbf",
    "entities for ever": b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "'
    + b"&a;" * 2000
    + b'"><!ENTITY c "'
    + b"&b;" * 2000
    + b'"><!ENTITY d "'
    + b"&c;" * 2000
    + b'">]><observations>&d;</observations>',
    "an entity that is a file": b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><observations>&f;</observations>',
    "an encoding nobody knows": b'<?xml version="1.0" encoding="klingon"?><observations/>',
}

ODD_VALUES: Final[dict[str, str]] = {
    "null": "null",
    "true": "true",
    "a text": '"x"',
    "an empty text": '""',
    "half of a pair of surrogates": '"\\ud83d"',
    "a text of 10,000 signs": '"' + "x" * 10_000 + '"',
    "infinity": "1e999",
    "less than any number": "-1e999",
    "a number of 400 digits": "9" * 400,
    "a number of 5,000 digits": "9" * 5_000,
    "beyond 64 bits": str(2**63),
    "less than nothing": "-1",
    "nought": "0",
    "half": "0.5",
    "milliseconds": "1793949322000",
    "an empty list": "[]",
    "an empty object": "{}",
    "a list in a list": "[[1]]",
    "a day that is none": '"9999-99-99"',
    "the last day of all": '"9999-12-31"',
    "the first day of all": '"0001-01-01"',
    "a day with an hour": '"2026-11-20T00:00:00Z"',
    "digits of another script": '"\u0662\u0660\u0662\u0666"',
}


def everywhere(odd: str) -> Callable[[bytes], bytes]:
    """A change that puts an odd value in the place of every text and number of a right answer."""

    def change(body: bytes) -> bytes:
        if body.lstrip().startswith((b"{", b"[")):
            return _written(_replaced(json.loads(body), lambda _: True), odd)
        inner = _plain(odd).replace("\\", "\\\\")
        if body.lstrip().startswith(b"<"):
            return re.sub(r'="[^"]*"', f'="{inner}"', body.decode()).encode()
        head, _, rows = body.partition(b"\n")
        return (
            head + b"\n" + b"\n".join(b",".join(inner.encode() for _ in row.split(b",")) for row in rows.split(b"\n"))
        )

    return change


def here_and_there(seed: int, share: float = 0.02) -> Callable[[bytes], bytes]:
    """A change that puts odd values in some places of a right answer, others for each seed."""

    def change(body: bytes) -> bytes:
        generator = random.Random(seed)
        odd = generator.choice(sorted(ODD_VALUES.values()))
        if body.lstrip().startswith((b"{", b"[")):
            return _written(_replaced(json.loads(body), lambda _: generator.random() < share), odd)
        inner = _plain(odd)
        parts = re.split(rb'("|,|\n|<|>|=)', body)
        return b"".join(inner.encode() if part and generator.random() < share else part for part in parts)

    return change


_PLACE: Final = "\ue000"


def _replaced(value: Any, is_chosen: Callable[[Any], bool]) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(inner, is_chosen) for name, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, is_chosen) for inner in value]
    return _PLACE if is_chosen(value) else value


def _written(value: Any, odd: str) -> bytes:
    return json.dumps(value, ensure_ascii=False).replace(f'"{_PLACE}"', odd).encode()


def _plain(odd: str) -> str:
    return odd.strip('"').replace("\\ud83d", "&#xD83D;")
