"""The two servers of ``trading-dag ui``, each its own process: Dagster's web server behind the guard, and its daemon.

``python -P -m trading_dag.cli.ui_parts web|daemon WORKSPACE [PORT] [read-only]``. Both end with the process that
started them: their input is a pipe that it holds open. With ``--alone`` they do not: a service manager starts and stops
them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from typing import Final

UI_HOST: Final = "127.0.0.1"
ALONE: Final = "--alone"
READ_ONLY: Final = "read-only"
POLL_MILLISECONDS: Final = 2_000
STATEMENT_TIMEOUT_MILLISECONDS: Final = 15_000
GRACE_SECONDS: Final = 15.0
CLOSING_SECONDS: Final = 3


def main() -> None:
    """Serve until told to stop, or until the process that started this one is gone."""
    part, workspace, *rest = [argument for argument in sys.argv[1:] if argument != ALONE]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if ALONE not in sys.argv:
        threading.Thread(target=_end_with_starter, daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        if part == "web":
            serve_pages(workspace, int(rest[0]), read_only=READ_ONLY in rest)
        else:
            run_daemon(workspace)


def serve_pages(workspace: str, port: int, *, read_only: bool = False) -> None:
    """Serve Dagster's pages on 127.0.0.1, to this machine's own requests only; read only, nothing can be changed by
    them."""
    import uvicorn
    from dagster import DagsterInstance
    from dagster_webserver.app import create_app_from_workspace_process_context
    from dagster_webserver.version import __version__

    from resources.runs.dagster_private import WorkspaceFileTarget, WorkspaceProcessContext
    from trading_dag.cli.ui_guard import Guard

    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(STATEMENT_TIMEOUT_MILLISECONDS, -1, -1)
        target = WorkspaceFileTarget([workspace])
        with WorkspaceProcessContext(
            instance,
            workspace_load_target=target,
            version=__version__,
            read_only=read_only,
            code_server_log_level="warning",
        ) as context:
            pages = create_app_from_workspace_process_context(context, live_data_poll_rate=POLL_MILLISECONDS)
            uvicorn.run(
                Guard(pages, read_only=read_only),
                host=UI_HOST,
                port=port,
                log_level="warning",
                timeout_graceful_shutdown=CLOSING_SECONDS,
            )


def run_daemon(workspace: str) -> None:
    """Run Dagster's daemon: schedules, sensors, the queue and run monitoring."""
    from resources.runs.dagster_private import daemon_command

    daemon_command().main(["--workspace", workspace, "--code-server-log-level", "warning"], standalone_mode=False)


def _end_with_starter() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
