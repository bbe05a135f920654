"""The gate before the dashboard, request by request."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from trading_dag.dashboard import gate
from trading_dag.dashboard.gate import COOKIE, Gate, refusal

OWN = "127.0.0.1:8501"


def scope(*headers: tuple[str, str], host: str = OWN, kind: str = "http", method: str = "GET", path: str = "/") -> Any:
    named = [("host", host), *headers]
    return {
        "type": kind,
        "method": method,
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in named],
    }


@pytest.mark.parametrize("host", [OWN, "localhost:8501", "LOCALHOST", "[::1]:8501"])
def test_what_this_machine_asks_is_answered(host: str) -> None:
    assert refusal(scope(host=host)) is None
    assert refusal(scope(("origin", f"http://{host}"), host=host, kind="websocket")) is None


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "", "a b"])
def test_a_foreign_name_for_this_machine_is_refused(host: str) -> None:
    refused = refusal(scope(host=host))
    assert refused is not None
    assert refused[0] == 403


def test_a_page_of_another_site_is_refused() -> None:
    for kind in ("http", "websocket"):
        refused = refusal(scope(("origin", "https://evil.example"), kind=kind))
        assert refused is not None
        assert refused[0] == 403


def test_two_origins_are_refused() -> None:
    assert refusal(scope(("origin", f"http://{OWN}"), ("origin", f"http://{OWN}"))) is not None


def test_a_websocket_without_an_origin_is_refused() -> None:
    assert refusal(scope(kind="websocket")) is not None


def test_what_is_neither_read_nor_posted_is_refused() -> None:
    assert refusal(scope(method="DELETE")) == (405, "refused: GET, HEAD and POST only")


def test_another_host_is_answered_where_it_is_listened_to() -> None:
    assert refusal(scope(host="desk.lan:8501"), hosts=frozenset({"desk.lan"})) is None
    assert refusal(scope(host="anything:8501"), hosts=frozenset({"*"})) is None


async def _inner(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the page"})


def _asked(door: Gate, asked: Any, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what is answered."""
    answers: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        answers.append(message)

    asyncio.run(door(asked, receive, send))
    if answers[0]["type"] == "websocket.close":
        return int(answers[0]["code"]), {}, b""
    headers = {key.decode(): value.decode() for key, value in answers[0]["headers"]}
    return int(answers[0]["status"]), headers, answers[1]["body"]


def test_without_a_password_every_page_is_shown() -> None:
    status, headers, body = _asked(Gate(_inner, password=None), scope())
    assert (status, body) == (200, b"the page")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "http:" not in headers["content-security-policy"]


def test_without_the_password_nothing_is_shown() -> None:
    door = Gate(_inner, password="correct horse")
    status, headers, body = _asked(door, scope(path="/opportunities"))
    assert status == 401
    assert headers["referrer-policy"] == "same-origin"  # no-referrer makes the form's own origin null, which is refused
    assert b"the page" not in body
    assert b'type="password"' in body
    assert _asked(door, scope(("origin", f"http://{OWN}"), kind="websocket"))[0] == 1008
    assert _asked(door, scope(("cookie", f"{COOKIE}=guess")))[0] == 401


def test_the_password_opens_a_browser_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "PAUSE_SECONDS", 0.0)
    door = Gate(_inner, password="correct horse ü")
    post = scope(method="POST", path="/login")
    assert _asked(door, post, b"password=wrong")[0] == 401
    assert _asked(door, post, b"")[0] == 401
    status, headers, _ = _asked(door, post, b"password=correct+horse+%C3%BC")
    assert (status, headers["location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=Strict"} <= {part.strip() for part in headers["set-cookie"].split(";")}
    cookie = headers["set-cookie"].split(";")[0]
    assert _asked(door, scope(("cookie", cookie)))[2] == b"the page"
    assert _asked(Gate(_inner, password="correct horse ü"), scope(("cookie", cookie)))[0] == 401  # after a restart


def test_a_wrong_password_is_answered_no_sooner_than_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(gate.asyncio, "sleep", sleep)
    _asked(Gate(_inner, password="x"), scope(method="POST", path="/login"), b"password=y")
    assert waited == [gate.PAUSE_SECONDS]
