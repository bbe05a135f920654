"""``trading-dag ui`` as it is started, servers and all: who may ask it for what, and what killed parts leave behind.

It works in a folder with files that are named like libraries.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest

from assets.jobs import MARKET_JOB
from tests.conftest import Workspace
from tests.integration.processes import PATIENCE_SECONDS, TAIL, assert_all_end, rows, start, unfinished_runs, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]
HIJACKERS = ("gql", "graphql", "dagster", "pandas", "typing_extensions", "settings", "resources", "assets")
STARTING_SECONDS = 900.0  # Dagster's servers and their code servers, on a busy machine
CHANGE = "mutation { setNuxSeen }"  # a change that can be seen: it writes a file
LAUNCH = """mutation ($job: String!, $partition: String!) { launchPipelineExecution(executionParams: {
  selector: {repositoryLocationName: "trading_dag", repositoryName: "__repository__", pipelineName: $job},
  runConfigData: {}, mode: "default",
  executionMetadata: {tags: [{key: "dagster/partition", value: $partition}]}}) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""


class Ui:
    """A UI that runs, and requests to it that no browser would send so."""

    def __init__(self, home: Path, *arguments: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.home = home
        self.process = start(home, "ui", "--port", str(self.port), *arguments)

    @property
    def own(self) -> str:
        return f"127.0.0.1:{self.port}"

    def request(
        self, method: str, path: str, *headers: tuple[str, str], body: bytes = b"", host: str | None = ""
    ) -> tuple[int, bytes]:
        """Status and body of the answer; ``host`` "" is the server's own, None is none at all."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in ([("Host", host or self.own)] if host is not None else []) + list(headers):
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def post(self, query: str, **variables: str) -> tuple[int, bytes]:
        """GraphQL as a local program posts it."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        return self.request("POST", "/graphql", ("Content-Type", "application/json"), body=body)

    def ask(self, query: str, **variables: str) -> Any:
        """The answer to a question that has one."""
        status, answer = self.post(query, **variables)
        assert status == 200, answer
        return json.loads(answer)["data"]

    @property
    def changed(self) -> Path:
        """The file that is there after ``CHANGE``."""
        return self.home / ".dagster" / ".nux" / "nux.yaml"

    def serves(self) -> bool:
        """Whether it answers."""
        with contextlib.suppress(OSError):
            return self.request("GET", "/server_info")[0] == 200
        return False

    def parts(self) -> list[psutil.Process]:
        """Every process that it started."""
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in HIJACKERS:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken from the current folder')")
    return tmp_path


@contextlib.contextmanager
def served(home: Path, *arguments: str) -> Iterator[Ui]:
    """A UI that answers; nothing of it is left afterwards."""
    ui = Ui(home, *arguments)
    parts: list[psutil.Process] = []
    try:
        wait_until(ui.serves, ui.process, patience=STARTING_SECONDS)
        parts = ui.parts()
        yield ui
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            parts += ui.parts()
        ui.process.kill()
        for part in parts:
            with contextlib.suppress(psutil.NoSuchProcess):
                part.kill()
        print(ui.process.communicate()[0][-TAIL:])  # which is shown where the test fails


def loaded(ui: Ui) -> bool:
    """Whether its code is loaded; fails where it cannot be."""
    answer = ui.ask(
        "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus locationOrLoadError { __typename "
        "... on PythonError { message } } } } } }"
    )
    (location,) = answer["workspaceOrError"]["locationEntries"]
    assert location["locationOrLoadError"]["__typename"] == "RepositoryLocation", location
    return bool(location["loadStatus"] == "LOADED")


JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
BODY = json.dumps({"query": CHANGE}).encode()
FOREIGN = ("Origin", "http://evil.example")


def test_the_server_answers_this_machine_only_and_changes_nothing_for_a_page_of_another_site(home: Path) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    with served(home, "--webserver-only") as ui:
        assert loaded(ui)
        address = f"/graphql?query={quote(CHANGE)}"
        hostile = {
            "an image's address": ui.request("GET", address),
            "an address in capitals": ui.request("GET", address.replace("graphql", "GraphQL")),
            "a question first, then a change": ui.request(
                "GET", f"/graphql?query={quote('query a { version } ' + CHANGE)}"
            ),
            "another name for this machine": ui.request(
                "POST", "/graphql", JSON, body=BODY, host=f"evil.example:{ui.port}"
            ),
            "a name that begins like it": ui.request(
                "POST", "/graphql", JSON, body=BODY, host="127.0.0.1.evil.example"
            ),
            "no name": ui.request("POST", "/graphql", JSON, body=BODY, host=None),
            "two names": ui.request("POST", "/graphql", JSON, ("Host", "evil.example"), body=BODY),
            "a script of another site": ui.request("POST", "/graphql", JSON, FOREIGN, body=BODY),
            "a page without a site": ui.request("POST", "/graphql", JSON, ("Origin", "null"), body=BODY),
            "another server here": ui.request("POST", "/graphql", JSON, ("Origin", "http://127.0.0.1:8888"), body=BODY),
            "a form": ui.request("POST", address, FORM),
            "a form of this site": ui.request("POST", address, FORM, ("Origin", f"http://{ui.own}")),
            "a form's text that Dagster takes for JSON": ui.request(
                "POST", "/graphql", ("Content-Type", "text/plain; application/json"), body=BODY
            ),
            "a form that reports an asset": ui.request(
                "POST", "/report_asset_materialization/raw/macro", FORM, FOREIGN
            ),
            "a question before a request": ui.request("OPTIONS", "/graphql", FOREIGN),
            "another method": ui.request("PUT", "/graphql", JSON, body=BODY),
        }
        assert {name: status for name, (status, _) in hostile.items() if status not in (400, 403, 405, 415)} == {}
        uri = f"ws://{ui.own}/graphql"
        for origin in ("http://evil.example", "null", "http://127.0.0.1:8888"):
            with pytest.raises(InvalidStatus, match="403"), connect(uri, origin=origin, subprotocols=["graphql-ws"]):
                pass
        with connect(uri, origin=f"http://{ui.own}", subprotocols=["graphql-ws"]) as own:
            own.send(json.dumps({"type": "start", "id": "1", "payload": {"query": CHANGE}}))
            assert json.loads(own.recv(timeout=PATIENCE_SECONDS))["type"] == "error"
        assert not ui.changed.exists()

        assert ui.ask("{ version }") == {"version": "1.13.27"}
        assert ui.request("GET", f"/graphql?query={quote('{ version }')}")[0] == 200
        status, page = ui.request("GET", "/")
        assert (status, b"<html" in page) == (200, True)
        assert ui.ask(CHANGE) == {"setNuxSeen": True}
        assert ui.changed.exists(), "the guard hands on what is asked properly"

        second = Workspace(home).run("ui", "--port", str(ui.port))
        assert (second.returncode, second.stderr.count("\n")) == (2, 1)
        assert f"port {ui.port}" in second.stderr
        parts = ui.parts()
        ui.process.send_signal(signal.SIGTERM)
        output, _ = ui.process.communicate(timeout=PATIENCE_SECONDS)
        assert ui.process.returncode == 143, output
        assert output.splitlines()[-1].startswith("stopped")
        assert "taken from the current folder" not in output
        assert_all_end(parts)


def launch(ui: Ui, job: str, partition: str) -> str:
    """Launch a run as the UI's own pages do, and wait until it is executed; its id.

    A server whose code server was killed fails what it launches until it has another, so it is asked again.
    """
    runs: list[str] = []

    def is_executed() -> bool:
        if not runs or status_of(ui.home, runs[-1]) == "FAILURE":
            _, told = ui.post(LAUNCH, job=job, partition=partition)
            answer = json.loads(told)["data"]["launchPipelineExecution"]
            if "UserCodeUnreachable" in answer.get("message", ""):
                return False
            assert answer["__typename"] == "LaunchRunSuccess", answer
            runs.append(str(answer["run"]["runId"]))
        return status_of(ui.home, runs[-1]) == "STARTED"

    wait_until(is_executed, ui.process, patience=STARTING_SECONDS)
    return runs[-1]


def status_of(home: Path, run: str) -> str:
    return str(rows(home, f"select status from runs where run_id = '{run}'")[0][0])


def process_of(home: Path, run: str) -> psutil.Process:
    """The process that executes a run, by its tag."""
    query = f"select value from run_tags where run_id = '{run}' and key = 'trading_dag/process'"
    return psutil.Process(int(str(rows(home, query)[0][0]).split("-")[-2]))


@pytest.mark.long
def test_a_killed_runs_place_is_free_within_the_look_of_the_daemon_and_a_killed_ui_holds_nobody_up(home: Path) -> None:
    with served(home) as ui:
        wait_until(lambda: loaded(ui), ui.process)
        run = launch(ui, MARKET_JOB, "SPX")
        worker = process_of(home, run)
        server = worker.parent()  # it would notice, were it not killed too
        assert server is not None
        os.kill(server.pid, signal.SIGKILL)
        worker.kill()
        wait_until(lambda: status_of(home, run) == "FAILURE", ui.process)

        second = launch(ui, MARKET_JOB, "SPX")
        for part in [psutil.Process(ui.process.pid), *ui.parts()]:
            with contextlib.suppress(psutil.NoSuchProcess):
                part.kill()  # as a reboot does
        ui.process.wait()
        assert status_of(home, second) == "STARTED"
        done = Workspace(home).run("refresh", "--tickers", "SPX", "--horizons", "24h", "--json")
        assert "is being materialized" not in done.stderr
        assert done.returncode == 0, done.stdout + done.stderr
        assert status_of(home, second) == "FAILURE"
        assert unfinished_runs(home) == 0


def test_servers_end_with_a_command_that_was_killed(home: Path) -> None:
    with served(home, "--webserver-only") as ui:
        parts = ui.parts()
        ui.process.kill()
        assert_all_end(parts)


@pytest.mark.long
def test_a_read_only_ui_shows_everything_and_changes_nothing(home: Path) -> None:
    with served(home, "--read-only", "--webserver-only") as ui:
        assert ui.ask("{ version }")["version"]
        body = json.dumps({"query": CHANGE}).encode()
        status, told = ui.request("POST", "/graphql", ("Content-Type", "application/json"), body=body)
        assert (status, b"read only" in told) == (403, True)
        assert ui.request("POST", "/report_asset_materialization/raw/macro")[0] == 403
        permissions = ui.ask("{ permissions { permission value } }")["permissions"]
        assert permissions
        assert not any(permission["value"] for permission in permissions)
        assert not ui.changed.exists()
