"""What guards Dagster's web server: it answers this machine only, and does nothing for pages of other sites.

Dagster's server has no login. Any page that a browser on this machine shows can send it requests: through a form or an
image, or under a foreign name that is made to point to 127.0.0.1. So each request must name this machine as its host,
come from the server's own pages if the browser says where it comes from, and request changes by POST with a type that
no form sends.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_THIS_MACHINE: Final = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_GRAPHQL: Final = "graphql"
# No form can send these, so a browser asks the server before it sends them for a page of another site.
_GRAPHQL_TYPES: Final = frozenset({"application/json", "application/graphql"})
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_METHODS: Final = _SAFE_METHODS | {"POST"}
# Nobody else's page may show these pages in a frame, and have its reader click in them.
_FRAME_HEADERS: Final = [(b"x-frame-options", b"SAMEORIGIN")]


class Guard:
    """Passes on to another ASGI application the requests that ``refusal`` does not refuse.

    Parameters
    ----------
    application : Dagster's application.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self.application(scope, receive, send)
            return
        refused = refusal(scope)
        if refused is None:
            await self.application(scope, receive, _framed(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refused[1]})
        else:
            status, reason = refused
            headers = [(b"content-type", b"text/plain; charset=utf-8"), *_FRAME_HEADERS]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": f"{reason}\n".encode()})


def refusal(scope: Scope) -> tuple[int, str] | None:
    """Return why a request is not answered, with its HTTP status; None for a request that is answered.

    Parameters
    ----------
    scope : of an ASGI request or WebSocket.
    """
    host, origin = _only(scope, b"host"), _only(scope, b"origin")
    if not host or _THIS_MACHINE.fullmatch(host) is None:
        return 403, "refused: this server answers under 127.0.0.1 and localhost only"
    if origin is not None and origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower()):
        return 403, "refused: this request comes from a page of another site"
    segments = [part.lower() for part in str(scope["path"]).split("/") if part]
    if scope["type"] == "websocket":
        return None
    if scope["method"] not in _METHODS:
        return 405, "refused: GET, HEAD and POST only"
    if _GRAPHQL not in segments:
        return None
    if scope["method"] in _SAFE_METHODS:
        return _refusal_of_query(scope)
    if (_only(scope, b"content-type") or "").partition(";")[0].strip().lower() not in _GRAPHQL_TYPES:
        return 415, "refused: GraphQL is posted as application/json"
    return None


def _refusal_of_query(scope: Scope) -> tuple[int, str] | None:
    """Return a refusal if any operation in the address is more than a query."""
    from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

    asked = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True).get("query", [])
    for text in asked:
        try:
            definitions = parse(text).definitions
        except (GraphQLError, RecursionError):
            return 400, "refused: the query cannot be read"
        operations = [entry.operation for entry in definitions if isinstance(entry, OperationDefinitionNode)]
        if any(operation is not OperationType.QUERY for operation in operations):
            return 405, "refused: changes are asked for by POST"
    return None


def _only(scope: Scope, name: bytes) -> str | None:
    """Return the header of that name; None where there is none, an empty text where there are several."""
    values = [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]
    return None if not values else values[0] if len(values) == 1 else ""


def _framed(send: Send) -> Send:
    async def framed(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *_FRAME_HEADERS]
        await send(message)

    return framed
