"""The guard before Dagster's web server, request by request; ``test_ui_server`` asks the real one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import quote

import pytest

from trading_dag.cli.ui_guard import Guard, refusal

OWN = "127.0.0.1:3000"
JSON = ("content-type", "application/json")
MUTATION = 'mutation { deletePipelineRun(runId: "x") { __typename } }'


def scope(
    *headers: tuple[str, str],
    method: str = "POST",
    path: str = "/graphql",
    query: str = "",
    host: str | None = OWN,
    kind: str = "http",
) -> dict[str, Any]:
    named = [("host", host)] if host is not None else []
    return {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in (*named, *headers)],
    }


@pytest.mark.parametrize(
    "asked",
    [
        scope(JSON),
        scope(JSON, host="localhost:3000"),
        scope(JSON, host="LOCALHOST"),
        scope(JSON, host="[::1]:3000"),
        scope(JSON, ("origin", f"http://{OWN}")),
        scope(("content-type", "application/json; charset=utf-8")),
        scope(("content-type", "application/graphql")),
        scope(method="GET", path="/"),
        scope(method="HEAD", path="/assets/raw/prices_daily"),
        scope(method="GET", query=f"query={quote('{ version }')}"),
        scope(method="GET"),
        scope(JSON, path="/report_asset_check/raw/macro"),
        scope(kind="websocket", method="GET"),
        scope(("origin", f"http://{OWN}"), kind="websocket", method="GET"),
    ],
)
def test_what_the_servers_own_pages_and_local_plans_ask_is_handed_on(asked: dict[str, Any]) -> None:
    assert refusal(asked) is None


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "evil.example:3000",
        "127.0.0.1.evil.example:3000",
        "localhost.evil.example",
        "127.0.0.1@evil.example",
        "evil.example#127.0.0.1",
        "127.0.0.1:3000, evil.example",
        "127.0.0.1:3000 evil.example",
        "localhost.",
        "0.0.0.0:3000",
        "127.0.0.1:123456",
        "127.0.0.1:",
        "127.0.0.2\t",
        "\u0131ocalhost",
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_foreign_host_is_refused_as_after_dns_rebinding(host: str | None, kind: str) -> None:
    for path in ("/", "/graphql", "/report_asset_materialization/raw/macro"):
        refused = refusal(scope(JSON, host=host, kind=kind, path=path))
        assert refused is not None
        assert refused[0] == 403


def test_two_hosts_are_refused() -> None:
    assert refusal(scope(JSON, ("host", "evil.example"))) is not None


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://evil.example:3000",
        "null",
        "",
        "http://127.0.0.1:8888",  # another server of this machine, such as a notebook
        "http://127.0.0.1",
        "http://localhost:3000",  # the page was opened under the other name
        f"http://{OWN}.evil.example",
        f"http://evil.example/http://{OWN}",
        f"file://{OWN}",
        "chrome-extension://abcdef",
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("path", ["/graphql", "/", "/report_asset_materialization/raw/macro"])
def test_a_foreign_origin_is_refused(origin: str, kind: str, path: str) -> None:
    refused = refusal(scope(JSON, ("origin", origin), kind=kind, path=path))
    assert refused is not None
    assert refused[0] == 403


def test_two_origins_are_refused() -> None:
    assert refusal(scope(JSON, ("origin", f"http://{OWN}"), ("origin", "http://evil.example"))) is not None


@pytest.mark.parametrize(
    "query",
    [
        MUTATION,
        f"query a {{ version }} {MUTATION}",
        f"# a question\n{MUTATION}",
        'subscription { pipelineRunLogs(runId: "x") { __typename } }',
        "\ufeff" + MUTATION,
    ],
)
@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "//graphql", "/GraphQL"])
def test_changes_by_get_are_refused_however_they_are_dressed(query: str, path: str) -> None:
    for text in (
        f"query={quote(query)}",
        f"query={quote('{version}')}&query={quote(query)}",
        f"a=1&query={quote(query)}",
    ):
        refused = refusal(scope(method="GET", path=path, query=text))
        assert refused is not None
        assert refused[0] == 405


@pytest.mark.parametrize("query", ["{", "{a" * 20_000, "%00", "mutation"])
def test_a_query_that_cannot_be_read_is_refused(query: str) -> None:
    refused = refusal(scope(method="GET", query=f"query={quote(query)}"))
    assert refused is not None
    assert refused[0] == 400


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("content-type", "text/plain"),),
        (("content-type", "application/x-www-form-urlencoded"),),
        (("content-type", "multipart/form-data; boundary=x"),),
        (("content-type", "text/plain; application/json"),),  # a type that forms may send, and that Dagster would read
        (JSON, ("content-type", "text/plain")),
    ],
)
def test_a_type_that_a_form_can_send_is_refused(headers: tuple[tuple[str, str], ...]) -> None:
    refused = refusal(scope(*headers, query=f"query={quote(MUTATION)}"))
    assert refused is not None
    assert refused[0] == 415


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "PROPFIND"])
def test_other_methods_are_refused(method: str) -> None:
    refused = refusal(scope(JSON, method=method))
    assert refused is not None
    assert refused[0] == 405


def answers_of(
    asked: dict[str, Any], *parts: bytes, read_only: bool = False
) -> tuple[list[MutableMapping[str, Any]], bool]:
    """What is sent back, and whether Dagster's application was asked."""
    sent: list[MutableMapping[str, Any]] = []
    was_asked = False

    async def application(scope: Any, receive: Any, send: Any) -> None:
        nonlocal was_asked
        was_asked = True
        if scope["type"] == "http":
            heard = b""
            while (message := await receive()).get("more_body"):
                heard += message["body"]
            assert heard == b"".join(parts)
            await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    coming = [{"type": "http.request", "body": part, "more_body": True} for part in parts]

    async def receive() -> MutableMapping[str, Any]:
        return coming.pop(0) if coming else {"type": "http.request", "body": b"", "more_body": False}

    asyncio.run(Guard(application, read_only=read_only)(asked, receive, send))
    return sent, was_asked


def test_a_refused_request_never_reaches_dagster_and_says_why() -> None:
    sent, was_asked = answers_of(scope(JSON, host="evil.example"))
    assert not was_asked
    assert sent[0]["status"] == 403
    assert b"127.0.0.1" in sent[1]["body"]
    sent, was_asked = answers_of(scope(("origin", "http://evil.example"), kind="websocket", method="GET"))
    assert not was_asked
    assert sent[0]["type"] == "websocket.close"


def test_no_other_site_can_show_the_pages_in_a_frame() -> None:
    sent, was_asked = answers_of(scope(JSON))
    assert was_asked
    assert (b"x-frame-options", b"SAMEORIGIN") in sent[0]["headers"]


def test_what_is_no_connection_is_handed_on() -> None:
    assert answers_of({"type": "lifespan"}) == ([], True)


def posted(*queries: str) -> bytes:
    asked = [{"query": query, "variables": {}} for query in queries]
    return json.dumps(asked[0] if len(asked) == 1 else asked).encode()


@pytest.mark.parametrize(
    "body",
    [posted("{ version }"), posted("query A { version } query B { version }"), posted("subscription { x }"),
     posted("{ version }", "{ version }")],
)  # fmt: skip
def test_read_only_pages_hand_on_what_only_asks_as_it_came(body: bytes) -> None:
    _, was_asked = answers_of(scope(JSON), body[:7], body[7:], read_only=True)

    assert was_asked


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (posted(MUTATION), "/graphql"),
        (posted("query A { version }" + MUTATION), "/graphql"),
        (posted("{ version }", MUTATION), "/graphql"),
        (posted("fragment A on Query { version }"), "/graphql"),
        (b"mutation { x }", "/graphql"),
        (b"[]", "/graphql"),
        (b'{"query": 3}', "/graphql"),
        (b"{", "/graphql"),
        (b'{"asset_key": "x"}', "/report_asset_materialization/raw/macro"),
        (b"", "/graphql"),
    ],
)
def test_read_only_pages_hand_on_nothing_else(body: bytes, path: str) -> None:
    sent, was_asked = answers_of(scope(JSON, path=path), body, read_only=True)

    assert not was_asked
    assert sent[0]["status"] == 403
    assert b"read only" in sent[1]["body"]


def test_read_only_pages_read_no_endless_body() -> None:
    sent, was_asked = answers_of(scope(JSON), *[b"x" * 1_000_000] * 6, read_only=True)

    assert not was_asked
    assert sent[0]["status"] == 413
