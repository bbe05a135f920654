"""A dashboard of its own process for tests, and what a browser sees of its pages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_ui import PATIENCE_MS, free_port
from tests.conftest import REPOSITORY, Workspace

AXE = "node_modules/axe-core/axe.min.js"
DESKTOP, PHONE = {"width": 1360, "height": 1000}, {"width": 390, "height": 844}
DONE = "[data-test-script-state=notRunning]"
# Streamlit asks below a page's own address first, when one is opened by its address, before it asks at the root.
PROBES = ("/_stcore/health", "/_stcore/host-config")
# A plot is drawn when the browser has its data and its shape.
PLOTS = """() => [...document.querySelectorAll('.js-plotly-plot')].map(plot => ({
    points: (plot._fullData || []).reduce((sum, trace) => sum + ((trace.y || []).length || 0), 0),
    drawn: plot.querySelectorAll('.main-svg').length > 0}))"""
TRACE = """name => { for (const plot of document.querySelectorAll('.js-plotly-plot'))
    for (const trace of plot._fullData || []) if (trace.name === name) return Array.from(trace.y); return null; }"""


@contextmanager
def served(workspace: Workspace, *arguments: str) -> Iterator[tuple[str, Path]]:
    """Address of ``trading-dag dashboard`` on a home, and the file that it logs to."""
    with served_with(workspace, *arguments) as (address, log_file, _):
        yield address, log_file


@contextmanager
def served_with(workspace: Workspace, *arguments: str) -> Iterator[tuple[str, Path, subprocess.Popen[bytes]]]:
    """The same with the server's process."""
    port = free_port()
    command = [sys.executable, "-m", "trading_dag.cli", "dashboard", "--port", str(port), *arguments]
    log_file = workspace.home / f"dashboard-{port}.log"
    with log_file.open("w") as log:
        server = subprocess.Popen(command, cwd=workspace.home, env=workspace.environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 1_000
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2).close()
                    break
                except urllib.error.HTTPError as answered:  # it asks for its password
                    answered.close()
                    break
                except OSError:
                    assert server.poll() is None, log_file.read_text()
                    assert time.monotonic() < deadline, log_file.read_text()
                    time.sleep(0.3)
            yield f"http://127.0.0.1:{port}", log_file, server
        finally:
            server.terminate()
            server.wait(timeout=600)


@dataclass
class Seen:
    """A page of a browser, and whatever went wrong in it.

    Attributes
    ----------
    complaints : errors of the console and of scripts, and requests to anybody but the server.
    """

    page: Any
    address: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("request", self._asked)

    def open(self, path: str) -> None:
        """Open a page by its address and wait until it is whole."""
        self.page.goto(f"{self.address}/{path}")
        self.page.locator("h3").first.wait_for()
        self.settle()

    def choose(self, title: str) -> None:
        """Open a page from the menu."""
        self.page.locator(f"[data-testid=stSidebarNav] >> text={title}").first.click()
        self.page.locator(f"h3:has-text('{title}')").first.wait_for()
        self.settle()

    def settle(self) -> None:
        """Wait until the script has ended and every chart is drawn."""
        self.page.locator(DONE).first.wait_for(state="attached")
        self.page.wait_for_function(
            """() => [...document.querySelectorAll('[class*="st-key-chart-"]')].every(one => {
                const plot = one.querySelector('.js-plotly-plot'); return plot && plot._fullData; })"""
        )

    @property
    def plots(self) -> list[dict[str, Any]]:
        """Number of points of each chart, and whether it is drawn."""
        return list(self.page.evaluate(PLOTS))

    def trace(self, name: str) -> list[float] | None:
        """The values of the first trace of that name."""
        found = self.page.evaluate(TRACE, name)
        return None if found is None else [float(value) for value in found]

    def _heard(self, message: Any) -> None:
        if message.type == "error" and not str(message.location.get("url", "")).endswith(PROBES):
            self.complaints.append(f"console: {message.text} ({message.location.get('url')})")

    def _asked(self, request: Any) -> None:
        socket = self.address.replace("http:", "ws:")
        if not request.url.startswith((self.address, socket, "data:", "blob:")):
            self.complaints.append(f"asked {request.url}")


def axe_source() -> str:
    """The text of axe-core; skips where it was not installed (`make browser` does, where there is npm)."""
    named = os.environ.get("TRADING_DAG_TEST_AXE")
    folders = [Path(named)] if named else [REPOSITORY / ".venv" / "axe", REPOSITORY]
    for folder in folders:
        if (folder / AXE).is_file():
            return (folder / AXE).read_text(encoding="utf-8")
    pytest.skip(f"axe-core is at none of {', '.join(map(str, folders))}: make browser installs it where there is npm")


def grave_violations(seen: Seen) -> dict[str, list[str]]:
    """What axe-core finds to be serious or critical on the open page: the elements by rule."""
    source = axe_source()
    if not seen.page.evaluate("typeof axe !== 'undefined'"):
        seen.page.evaluate(source)
    found = seen.page.evaluate("axe.run({resultTypes: ['violations']}).then(told => told.violations)")
    return {
        violation["id"]: [node["html"][:200] for node in violation["nodes"]]
        for violation in found
        if violation["impact"] in ("serious", "critical")
    }


def copy_of(workspace: Workspace, home: Path) -> Workspace:
    """A home of its own with the same slices, without the window of views, which names its home."""
    shutil.copytree(workspace.home, home, ignore=shutil.ignore_patterns("warehouse.duckdb", "*.log", "models"))
    return Workspace(home, workspace.variables)
