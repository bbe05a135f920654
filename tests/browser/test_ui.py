"""The Dagster UI in a real headless Chromium, over the instance that the command line filled."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Workspace

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 300_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving_ui(workspace: Workspace) -> Iterator[str]:
    """Address of a UI started by ``trading-dag ui`` on a home."""
    port, told = free_port(), workspace.home.parent / "ui.log"
    command = [sys.executable, "-m", "trading_dag.cli", "ui", "--webserver-only", "--port", str(port)]
    with told.open("w") as log:
        server = subprocess.Popen(command, cwd=workspace.home, env=workspace.environment, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 1_000
            while True:
                try:
                    urllib.request.urlopen(f"{address}/server_info", timeout=2).close()
                    break
                except OSError:
                    assert server.poll() is None, told.read_text()
                    assert time.monotonic() < deadline, told.read_text()
                    time.sleep(0.5)
            yield address
        finally:
            server.terminate()
            server.wait(timeout=600)


@pytest.fixture(scope="module")
def ui(sample_run: Workspace) -> Iterator[str]:
    """Address of a UI on the sample's home."""
    with serving_ui(sample_run) as address:
        yield address


@pytest.fixture(scope="module")
def page(ui: str) -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET_ARGUMENTS)
        opened = browser.new_page(viewport={"width": 1600, "height": 1100}, base_url=ui)
        opened.set_default_timeout(PATIENCE_MS)
        yield opened
        browser.close()


@pytest.mark.long
def test_the_asset_graph_shows_every_group(page, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    page.goto("/asset-groups")
    for group in ("raw", "features", "labels", "models", "predictions", "evaluation", "signals", "backtests"):
        page.get_by_text(group, exact=True).first.wait_for()
    page.screenshot(path=tmp_path / "graph.png")


@pytest.mark.long
def test_an_asset_page_shows_its_checks_and_their_verdicts(page) -> None:  # type: ignore[no-untyped-def]
    page.goto("/assets/raw/prices_daily?view=checks")
    page.get_by_text("no_unadjusted_split", exact=True).first.wait_for()
    page.get_by_text("Succeeded").filter(visible=True).first.wait_for()


def test_an_asset_page_shows_a_picture(page) -> None:  # type: ignore[no-untyped-def]
    page.goto("/assets/evaluation/metrics?view=partitions&partition=24h%7CSPX")
    page.get_by_text("Show markdown", exact=False).first.click()
    picture = page.locator("img[src^='data:image/png']").first
    picture.wait_for()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 600


@pytest.mark.long
def test_the_columns_of_a_table_are_described(page) -> None:  # type: ignore[no-untyped-def]
    page.goto("/assets/features/technical")
    page.get_by_text("hv_20_percentile_252", exact=True).first.wait_for()
