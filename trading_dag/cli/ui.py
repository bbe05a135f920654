"""``trading-dag ui``: starts Dagster's web server and daemon, and stops them and all that they started when it ends."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from resources.runs.process_marks import KEEPS_OUTPUT
from trading_dag.cli.context import CommandContext, configuration_folder
from trading_dag.cli.dagster_instance import opened_instance
from trading_dag.cli.ui_parts import ALONE, READ_ONLY, UI_HOST
from trading_dag.errors import ConfigurationError, ServerError

if TYPE_CHECKING:
    import dagster as dg
    import psutil

PARTS: Final = ("web", "daemon", "code")
WORKSPACE_FILE: Final = "workspace.yaml"
LOOK_SECONDS: Final = 0.5
ENDING_SECONDS: Final = 10.0
NAMES: Final = {"web": "the web server", "daemon": "the daemon"}


def serve(context: CommandContext, *, port: int, webserver_only: bool, read_only: bool = False) -> None:
    """Serve the UI until a signal comes.

    Raises
    ------
    ConfigurationError : where another process uses the port.
    ServerError : where one of the servers ends by itself.
    """
    require_free(port)
    os.environ[KEEPS_OUTPUT] = "yes"
    with opened_instance(context) as instance:
        _bury(instance)
        workspace = str(_write_workspace(context))
        wanted = {
            "web": [workspace, str(port), *([READ_ONLY] if read_only else [])],
            **({} if webserver_only else {"daemon": [workspace]}),
        }
        parts: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for name, arguments in wanted.items():
                parts[name] = _start(name, arguments)
            how = ", read only" if read_only else ""
            context.console.print(f"Dagster UI{how}: http://{UI_HOST}:{port}  (Ctrl-C ends it)")
            _watch(parts)
        finally:
            _end(parts.values())
            _bury(instance)


def become_part(
    context: CommandContext, *, part: str, port: int, code_server: int | None, read_only: bool = False
) -> NoReturn:
    """Turn this process into one of the parts of the service, which a service manager starts and stops by itself.

    Parameters
    ----------
    part : ``web``, ``daemon``, or ``code``, the server of the definitions.
    port : of the web server.
    code_server : port on 127.0.0.1 of the code server that the others ask; None lets each start its own.
    read_only : of the web server: whether its pages change nothing.

    Raises
    ------
    ConfigurationError : for a part that there is not, a port in use, and a code server without a port.
    """
    if part not in PARTS:
        raise ConfigurationError(f"--part {part}: choose from {', '.join(PARTS)}")
    if part == "code":
        if code_server is None:
            raise ConfigurationError("--part code needs --code-server PORT, which it listens to")
        require_free(code_server)
        served = ["--module-name", "trading_dag.definitions", "--attribute", "defs", "--working-directory"]
        module = ["dagster", "api", "grpc", *served, str(context.state), "--location-name", "trading_dag"]
        command = [*module, "--host", UI_HOST, "--port", str(code_server), "--use-python-environment-entry-point"]
    else:
        if part == "web":
            require_free(port)
        with opened_instance(context) as instance:
            _bury(instance)
        workspace = str(_write_workspace(context, code_server=code_server, part=part))
        of_pages = [str(port), *([READ_ONLY] if read_only else [])] if part == "web" else []
        command = ["trading_dag.cli.ui_parts", part, workspace, *of_pages, ALONE]
    sys.stdout.flush()
    os.environ[KEEPS_OUTPUT] = "yes"
    os.execv(sys.executable, [sys.executable, "-P", "-m", *command])  # noqa: S606  # no shell


def _bury(instance: dg.DagsterInstance) -> None:
    from assets.run.claims import bury_dead_runs

    bury_dead_runs(instance)


def _write_workspace(context: CommandContext, *, code_server: int | None = None, part: str = "") -> Path:
    """Write what Dagster's servers load into the state folder; they look for modules there, not in the current
    folder."""
    from dagster_shared.yaml_utils import load_yaml_from_path

    if code_server is not None:
        served = {"grpc_server": {"host": UI_HOST, "port": code_server, "location_name": "trading_dag"}}
        written = context.state / f"workspace.{part}.yaml"
        written.write_text(json.dumps({"load_from": [served]}, indent=1), encoding="utf-8")
        return written
    wanted: Any = load_yaml_from_path(str(configuration_folder(context.settings) / WORKSPACE_FILE))
    for location in wanted["load_from"]:
        if "python_module" in location:
            location["python_module"].setdefault("working_directory", str(context.state))
    written = context.state / WORKSPACE_FILE
    written.write_text(json.dumps(wanted, indent=1), encoding="utf-8")  # JSON is YAML too
    return written


def require_free(port: int, host: str = UI_HOST) -> None:
    """Raise ``ConfigurationError`` where another process uses the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(f"port {port} of {host} cannot be used ({error.strerror}): --port") from None


def _start(name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start one of the servers, in its own process group, so that this process decides what Ctrl-C in a terminal
    does."""
    command = [sys.executable, "-P", "-m", "trading_dag.cli.ui_parts", name, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603


def _watch(parts: dict[str, subprocess.Popen[bytes]]) -> None:
    while True:
        for name, process in parts.items():
            if process.poll() is not None:
                raise ServerError(f"{NAMES[name]} of Dagster ended by itself with code {process.returncode}; see above")
        time.sleep(LOOK_SECONDS)


def _end(servers: Iterable[subprocess.Popen[bytes]]) -> None:
    """Stop the servers and what they started: code servers, and runs, which Dagster then marks as ended."""
    import psutil

    ending: list[psutil.Process] = []
    for server in servers:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(server.pid)
            ending += [process, *process.children(recursive=True)]
    _signal(ending, kill=False)
    _, alive = psutil.wait_procs(ending, timeout=ENDING_SECONDS)
    _signal(alive, kill=True)
    psutil.wait_procs(alive)


def _signal(processes: list[psutil.Process], *, kill: bool) -> None:
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if kill:
                process.kill()
            else:
                process.terminate()
