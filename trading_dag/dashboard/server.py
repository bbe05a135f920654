"""Starts Streamlit's server behind the gate, in this process. Nothing is asked of, or told to, another machine."""

from __future__ import annotations

import logging
import threading
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from trading_dag.dashboard.gate import Gate
from trading_dag.dashboard.process import Clock, present, share, shared, stored_tickers
from trading_dag.dashboard.registry import PAGES
from trading_dag.dashboard.theme import streamlit_theme
from trading_dag.errors import TradingDagError
from trading_dag.settings import Settings

SCRIPT: Final = Path(__file__).with_name("app.py")
CLOSING_SECONDS: Final = 3
_OPTIONS: Final[dict[str, Any]] = {
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "client.toolbarMode": "minimal",
    "global.developmentMode": False,
    "runner.magicEnabled": False,
    "server.enableStaticServing": False,
    "server.enableXsrfProtection": True,
    "server.fileWatcherType": "none",
    "server.headless": True,
    "server.maxUploadSize": 1,
    "server.runOnSave": False,
    "server.showEmailPrompt": False,
    "server.disconnectedSessionTTL": 60,
}


def serve(settings: Settings, *, host: str, port: int) -> None:
    """Serve the dashboard until a signal comes.

    Parameters
    ----------
    settings : of the home that is shown; the password is one of them.
    host : address to listen on.
    """
    import uvicorn

    guarded = application(settings, host=host)
    threading.Thread(target=warm_up, daemon=True).start()
    uvicorn.run(
        guarded, host=host, port=port, log_level="warning",
        timeout_graceful_shutdown=CLOSING_SECONDS, server_header=False,
    )  # fmt: skip


def warm_up() -> None:
    """Import what pages need, and read ahead what they show of the first ticker, the first page first."""
    from trading_dag.dashboard.theme import new_figure
    from trading_dag.dashboard.views import backtests, data, models, today
    from trading_dag.sessions import all_sessions

    process = shared()
    new_figure()
    all_sessions()
    for page in PAGES:
        import_module(f"trading_dag.dashboard.views.{page.module}")
    try:
        for ticker in stored_tickers(process)[:1]:
            for view in (today, backtests, models, data):
                view.read_ahead(process.reader, ticker, process.settings.horizons)
    except TradingDagError as error:  # the page that reads the same tells it
        logging.getLogger(__name__).warning("reading ahead: %s", error)


def application(settings: Settings, *, host: str, clock: Clock = present) -> Gate:
    """Return the guarded ASGI application over a home."""
    import streamlit as st
    from streamlit.web import bootstrap

    options = {name.replace(".", "_"): value for name, value in {**_OPTIONS, **streamlit_theme()}.items()}
    bootstrap.load_config_options(options)
    share(settings, clock=clock)
    password = settings.dashboard_password
    hosts = {"0.0.0.0": frozenset({"*"}), "::": frozenset({"*"})}.get(host, frozenset({host}))  # noqa: S104  # compared
    return Gate(st.App(SCRIPT), password=password.get_secret_value() if password else None, hosts=hosts)
