"""``trading-dag dashboard``: opens the morning page over everything that is stored. It only reads."""

from __future__ import annotations

import ipaddress
from importlib.util import find_spec
from typing import Annotated, Final

import typer

from trading_dag.cli.arguments import Source
from trading_dag.cli.context import CommandContext
from trading_dag.errors import ConfigurationError

NEEDED: Final = ("streamlit", "plotly")
PORT: Final = 8501


def dashboard(
    port: Annotated[int, typer.Option(min=1, max=65535)] = PORT,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; any but this machine's own needs a password.")
    ] = "127.0.0.1",
    source: Source = "",
) -> None:
    """Show forecasts, options, opportunities, backtests and the state of the data in a browser. Reads only.

    With TRADING_DAG_DASHBOARD_PASSWORD set it asks for that password once a browser session.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"the dashboard needs {' and '.join(missing)}, which are not installed: make dashboard adds them "
            "(or pip install -c constraints.txt -e '.[dashboard]')"
        )
    from trading_dag.cli.ui import require_free
    from trading_dag.dashboard.server import serve

    context = CommandContext(source)
    if not _is_loopback(host) and context.settings.dashboard_password is None:
        raise ConfigurationError(
            f"{host} is not this machine alone: set TRADING_DAG_DASHBOARD_PASSWORD first, or leave --host out"
        )
    require_free(port, host)
    context.warehouse.ensure()
    context.console.print(f"Dashboard: http://{host}:{port}  (Ctrl-C ends it)")
    serve(context.settings, host=host, port=port)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
