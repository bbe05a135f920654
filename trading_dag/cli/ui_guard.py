"""What guards Dagster's web server: it answers this machine only, and does nothing for pages of other sites.

Dagster's server has no login. Any page that a browser on this machine shows can send it requests: through a form or an
image, or under a foreign name that is made to point to 127.0.0.1. So each request must name this machine as its host,
come from the server's own pages if the browser says where it comes from, and request changes by POST with a type that
no form sends.
"""

from __future__ import annotations

import json
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
_LONGEST_QUERY: Final = 4_000_000
_METHODS: Final = _SAFE_METHODS | {"POST"}
# Nobody else's page may show these pages in a frame, and have its reader click in them.
_FRAME_HEADERS: Final = [(b"x-frame-options", b"SAMEORIGIN")]


class Guard:
    """Passes on to another ASGI application the requests that ``refusal`` does not refuse.

    Parameters
    ----------
    application : Dagster's application.
    read_only : whether changes are refused however they are asked for. Dagster refuses them too then; this holds also
        for a request that it would not think of as a change.
    """

    def __init__(self, application: Application, *, read_only: bool = False) -> None:
        self.application = application
        self.read_only = read_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self.application(scope, receive, send)
            return
        refused = refusal(scope)
        if refused is None and self.read_only and scope["type"] == "http" and scope["method"] == "POST":
            receive, refused = await _refusal_of_change(receive, scope)
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


async def _refusal_of_change(receive: Receive, scope: Scope) -> tuple[Receive, tuple[int, str] | None]:
    """Read the body of a POST, and return it to be read again, with a refusal if it asks for more than a query."""
    body, messages = bytearray(), []
    while True:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        if len(body) > _LONGEST_QUERY:
            return receive, (413, "refused: longer than any query of the pages")
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
    left = iter(messages)

    async def again() -> MutableMapping[str, Any]:
        return next(left, None) or await receive()

    return again, None if _asks_only(bytes(body), scope) else (403, "refused: these pages are read only")


def _asks_only(body: bytes, scope: Scope) -> bool:
    """Return whether a body is GraphQL in which every operation is a query, or one that only is subscribed to."""
    if _GRAPHQL not in [part.lower() for part in str(scope["path"]).split("/") if part]:
        return False
    try:
        asked = json.loads(body)
        texts = [entry["query"] for entry in (asked if isinstance(asked, list) else [asked])]
        documents = [_asks_for_no_change(text) for text in texts]
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
    return bool(documents) and all(documents)


def _asks_for_no_change(text: str) -> bool:
    """Return whether every operation of a document is no change.

    Raises
    ------
    ValueError : for what is no GraphQL.
    """
    from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

    try:
        definitions = parse(text).definitions
    except GraphQLError as error:
        raise ValueError(str(error)) from None
    operations = [entry.operation for entry in definitions if isinstance(entry, OperationDefinitionNode)]
    return bool(operations) and all(operation is not OperationType.MUTATION for operation in operations)


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
