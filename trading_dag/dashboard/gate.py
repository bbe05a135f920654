"""What stands before the dashboard: it answers this machine and its own pages, and asks for the password if one is set.

Any page that a browser on this machine shows can send requests here, also under a foreign name that is made to point to
127.0.0.1. So each request must name a known host, and come from the dashboard's own pages if the browser says where it
comes from. The answer's headers keep the browser from asking anybody else for anything.
"""

from __future__ import annotations

import asyncio
import hmac
import html
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LOGIN_PATH: Final = "/login"
COOKIE: Final = "trading_dag_dashboard"
PAUSE_SECONDS: Final = 1.0
LONGEST_FORM: Final = 4_096
_NAME: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::[0-9]{1,5})?", re.IGNORECASE)
_THIS_MACHINE: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_METHODS: Final = frozenset({"GET", "HEAD", "POST"})
_CONTENT_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' blob: data:; worker-src 'self' blob:; frame-src 'none'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: Final = [
    (b"content-security-policy", _CONTENT_POLICY.encode()),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # with none at all a form would be sent with the origin null, and refused
]
_LOGIN_PAGE: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>trading-dag</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root {{color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif}}
main {{max-width: 20rem; margin: 18vh auto; padding: 0 1rem}}
input, button {{font: inherit; width: 100%; padding: .6rem; margin-top: .5rem; box-sizing: border-box}}
</style></head><body><main><h1>trading-dag</h1><p role="alert">{said}</p>
<form method="post" action="/login"><label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" autofocus required>
<button>Open</button></form></main></body></html>"""


class Gate:
    """Passes on to another ASGI application what may be answered.

    Parameters
    ----------
    application : Streamlit's.
    password : asked for once a browser session; None asks nobody.
    hosts : names beyond this machine's under which it may be asked; ``*`` for any. Only with a password.
    """

    def __init__(self, application: Application, *, password: str | None, hosts: frozenset[str] = frozenset()) -> None:
        self.application = application
        self.hosts = _THIS_MACHINE | hosts
        self._password = None if password is None else password.encode()
        self._token = secrets.token_urlsafe(32)  # of this process: a restart asks again
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self.application(scope, receive, send)
            return
        refused = refusal(scope, hosts=self.hosts)
        if refused is not None:
            await _refuse(scope, send, refused)
        elif self._password is None or self._is_known(scope):
            await self.application(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await _refuse(scope, send, (403, "refused: the password is needed"))
        elif scope["path"] == LOGIN_PATH and scope["method"] == "POST":
            await self._log_in(receive, send)
        else:
            await _answer(send, 401, _LOGIN_PAGE.format(said="This dashboard asks for its password."))

    def _is_known(self, scope: Scope) -> bool:
        try:
            held = SimpleCookie(_only(scope, b"cookie") or "").get(COOKIE)
        except CookieError:
            return False
        return held is not None and hmac.compare_digest(held.value.encode(), self._token.encode())

    async def _log_in(self, receive: Receive, send: Send) -> None:
        given = await _posted_password(receive)
        if self._password is not None and hmac.compare_digest(given, self._password):
            cookie = f"{COOKIE}={self._token}; Path=/; HttpOnly; SameSite=Strict"
            await _answer(send, 303, "", [(b"location", b"/"), (b"set-cookie", cookie.encode())])
            return
        async with self._one_at_a_time:  # whoever tries many waits for each
            await asyncio.sleep(PAUSE_SECONDS)
        await _answer(send, 401, _LOGIN_PAGE.format(said=html.escape("That is not the password.")))


def refusal(scope: Scope, *, hosts: frozenset[str] = _THIS_MACHINE) -> tuple[int, str] | None:
    """Return why a request is not answered, with its HTTP status; None for one that is.

    Parameters
    ----------
    scope : of an ASGI request or WebSocket.
    hosts : names under which this server may be asked; ``*`` for any.
    """
    host, origin = _only(scope, b"host"), _only(scope, b"origin")
    named = _NAME.fullmatch(host or "")
    if named is None or ("*" not in hosts and named[1].lower() not in hosts):
        return 403, "refused: this name is not the dashboard's"
    if origin is not None and origin.lower() not in {f"{scheme}://{host}".lower() for scheme in ("http", "https")}:
        return 403, "refused: this request comes from a page of another site"
    if scope["type"] == "websocket":
        # Browsers always say where a WebSocket comes from; it is the one way to make the dashboard do anything.
        return None if origin is not None else (403, "refused: a WebSocket that does not say where it comes from")
    return None if scope["method"] in _METHODS else (405, "refused: GET, HEAD and POST only")


def _only(scope: Scope, name: bytes) -> str | None:
    """Return the header of that name; None where there is none, an empty text where there are several."""
    values = [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]
    return None if not values else values[0] if len(values) == 1 else ""


async def _posted_password(receive: Receive) -> bytes:
    body, more = b"", True
    while more and len(body) <= LONGEST_FORM:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    given = parse_qs(body[:LONGEST_FORM].decode("utf-8", "replace"), keep_blank_values=True).get("password", [""])
    return given[0].encode()


async def _refuse(scope: Scope, send: Send, refused: tuple[int, str]) -> None:
    status, reason = refused
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
    else:
        await _answer(send, status, f"{reason}\n", kind=b"text/plain; charset=utf-8")


async def _answer(
    send: Send,
    status: int,
    text: str,
    headers: list[tuple[bytes, bytes]] | None = None,
    *,
    kind: bytes = b"text/html; charset=utf-8",
) -> None:
    told = [(b"content-type", kind), (b"cache-control", b"no-store"), *_HEADERS, *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": text.encode()})


def _with_headers(send: Send) -> Send:
    async def sent(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *_HEADERS]
        await send(message)

    return sent
