"""Makes the pictures of the README and of the docs: ``make pictures``, or ``python -m tests.pictures.make``.

They show the simulated market and the sample, never a vendor's data, and what is simulated says so in the picture. What
they are drawn from follows from seeds, so the same code draws the same; charts are those of the dashboard's pages.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.versioned_reader import VersionedReader
from tests.browser.test_ui import CHROMIUM, QUIET_ARGUMENTS, serving_ui
from tests.conftest import QUICK, REPOSITORY, Workspace
from trading_dag.dashboard.option_data import analysis_of, chain_sessions, gamma_data
from trading_dag.schemas import PREDICTIONS_DIRECTION
from trading_dag.settings import Settings

if TYPE_CHECKING:
    import plotly.graph_objects as go

FOLDER: Final = REPOSITORY / "docs" / "pictures"
TICKER, HORIZON = "SPY", "168h"
SHOWN_STRUCTURE: Final = "iron_condor"
CHAINS_FROM, LAST_SESSION = "2024-12-16", "2024-12-31"
SAMPLE_KEY: Final = SliceKey("SPX", "24h")
# A morning after the last session, so that pages speak of a market that is up to date.
MORNING: Final = pd.Timestamp("2025-01-02 12:00", tz="UTC")
MARKED: Final = "simulated, not market data"
PAGES: Final[Mapping[str, str]] = {
    "page_today.png": "Today",
    "page_options.png": "Options",
    "page_opportunities.png": "Opportunities",
    "page_backtests.png": "Backtests",
}
CALIBRATION, GRAPH = "calibration.png", "asset_graph.png"
CHART_SIZE, PAGE_SIZE, GRAPH_SIZE = (920, 460), (1280, 1180), (1900, 1500)
PATIENCE_SECONDS: Final = 300.0
DONE: Final = "complete"
_DRAWN: Final = """() => [...document.querySelectorAll('[class*="st-key-chart-"]')].every(one => {
    const plot = one.querySelector('.js-plotly-plot'); return plot && plot._fullData; })"""


def main() -> None:
    """Make every picture, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=MADE, help="of the pictures; all of them without any")
    parser.add_argument("--to", type=Path, default=FOLDER, help="the folder of the pictures")
    parser.add_argument("--homes", type=Path, help="keep what is computed here, and use what is there already")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        for name, png in pictures(given.homes or Path(made), frozenset(given.names)):
            (given.to / name).write_bytes(png)
            print(f"{name}: {len(png) / 1e3:.0f} kB", flush=True)


def pictures(homes: Path, wanted: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the name of each wanted picture of ``MADE`` with its PNG; ``homes`` is where its data are computed."""
    if CALIBRATION in wanted:
        yield CALIBRATION, sample_calibration(homes / "sample")
    if wanted == {CALIBRATION}:
        return
    home = simulated_home(homes / "simulated")
    settings = Settings(_env_file=None, home=home, source="simulated")
    with _browser() as browser:
        reader = VersionedReader(ParquetStore(home))
        for name, draw in CHARTS.items():
            if name in wanted:
                yield name, small(_drawn(browser, draw(reader, settings)))
        if wanted & PAGES.keys():
            with _dashboard(settings) as address:
                yield from _page_pictures(browser, address, wanted)
        if GRAPH in wanted:
            with serving_ui(_workspace(home, "simulated")) as address:
                yield GRAPH, small(_graph(browser, address))


def simulated_home(home: Path) -> Path:
    """Return a home with the simulated ticker's whole run and some chains; computed where it is not there."""
    chains = ("fetch-chains", "--tickers", TICKER, "--from", CHAINS_FROM, "--to", LAST_SESSION)
    prices = ("fetch", "--tickers", TICKER, "--kinds", "prices_daily,volatility_index")
    return _home(home, "simulated", prices, chains, ("run", "--tickers", TICKER))


def sample_calibration(home: Path) -> bytes:
    """Return how probabilities of a rise came true in one slice of the sample, computed as ``make run`` does."""
    from trading_dag.plots.canvas import to_png
    from trading_dag.plots.direction import calibration

    ticker, horizon = SAMPLE_KEY.ticker or "", SAMPLE_KEY.horizon or ""
    _home(home, "sample", ("run", "--tickers", ticker, "--horizons", horizon), is_quick=False)
    return to_png(calibration(ParquetStore(home).read(PREDICTIONS_DIRECTION, SAMPLE_KEY)))


def cone(reader: VersionedReader, settings: Settings) -> go.Figure:
    """Return the cone of the price of every horizon."""
    from trading_dag.dashboard.cones import cone_figure
    from trading_dag.dashboard.views.today import price_cone_data, signals

    session = pd.Timestamp(signals(reader, TICKER, settings.horizons)["session"].max())
    history, points = price_cone_data(reader, TICKER, session)
    figure = cone_figure(history, points, y_title="price (USD)", unit=" USD")
    return _titled(figure, f"{TICKER}: price, and what is forecast of it to 21 sessions ahead")


def payoff(reader: VersionedReader, settings: Settings) -> go.Figure:
    """Return the best iron condor's profit over the distributions of the price at its exit."""
    from trading_dag.dashboard.views.opportunities import newest, opportunity_view, view_data, view_figure

    rows = newest(reader, TICKER, HORIZON)
    row = rows[rows["structure"] == SHOWN_STRUCTURE].sort_values("rank").iloc[0].to_dict()
    seen = opportunity_view(reader, row, settings=settings)
    if seen is None:
        raise RuntimeError(f"what the opportunity was valued from is not stored in {settings.home}")
    profit, chances = view_data(seen)
    figure = view_figure(profit, chances, spot=row["spot"], exit_session=row["exit_session"])
    strikes = f"{SHOWN_STRUCTURE.replace('_', ' ')} {row['strikes']}"
    return _titled(figure, f"{TICKER} {strikes}: profit, over what forecast and market expect of the price")


def gamma(reader: VersionedReader, settings: Settings) -> go.Figure:
    """Return dealers' gamma by strike of the last chain."""
    from trading_dag.dashboard.option_figures import gamma_figure

    before, session = chain_sessions(reader, TICKER)[-2:]
    found = analysis_of(reader, settings, TICKER, session, before=before)
    exposure = found.exposure
    figure = gamma_figure(
        gamma_data(found), spot=found.spot, flip=exposure.gamma_flip, call_wall=exposure.call_wall_strike,
        put_wall=exposure.put_wall_strike,
    )  # fmt: skip
    return _titled(figure, f"{TICKER}: what dealers would have to hedge, by strike")


CHARTS: Final = {"cone.png": cone, "payoff.png": payoff, "gamma.png": gamma}
MADE: Final = (*CHARTS, *PAGES, CALIBRATION, GRAPH)


def small(png: bytes) -> bytes:
    """Return a picture of few colours, so that a checkout stays small."""
    from PIL import Image

    from trading_dag.plots.canvas import quantized

    with Image.open(io.BytesIO(png)) as drawn:
        return quantized(drawn.convert("RGB"))


def _titled(figure: go.Figure, title: str) -> go.Figure:
    figure.update_layout(
        title={"text": f"{title}<br><sup>{MARKED}</sup>", "x": 0.01, "y": 0.95, "yanchor": "top", "font": {"size": 17}},
        margin={"t": 92}, template="plotly_white", width=CHART_SIZE[0], height=CHART_SIZE[1],
        font={"family": "DejaVu Sans, sans-serif"},
    )  # fmt: skip
    return figure


def _drawn(browser: Any, figure: go.Figure) -> bytes:
    """Return a figure as the browser draws it; its library comes with plotly and is not fetched."""
    page = browser.new_page(viewport={"width": CHART_SIZE[0], "height": CHART_SIZE[1]}, device_scale_factor=1.5)
    page.set_content(figure.to_html(include_plotlyjs=True, config={"staticPlot": True}))
    page.wait_for_function("() => document.querySelector('.js-plotly-plot .main-svg')")
    png: bytes = page.locator(".js-plotly-plot").screenshot()
    page.close()
    return png


def _page_pictures(browser: Any, address: str, wanted: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    page = browser.new_page(viewport={"width": PAGE_SIZE[0], "height": PAGE_SIZE[1]}, color_scheme="light")
    page.set_default_timeout(PATIENCE_SECONDS * 1_000)
    page.goto(f"{address}/?ticker={TICKER}&horizon={HORIZON}")
    for name, title in PAGES.items():
        if name not in wanted:
            continue
        page.locator(f"[data-testid=stSidebarNav] >> text={title}").first.click()
        page.locator(f"h3:has-text('{title}')").first.wait_for()
        page.locator("[data-test-script-state=notRunning]").first.wait_for(state="attached")
        page.wait_for_function(_DRAWN)
        page.mouse.move(1, PAGE_SIZE[1] - 1)
        page.wait_for_timeout(1_000)  # what fades in has done so
        yield name, small(page.screenshot())
    page.close()


def _graph(browser: Any, address: str) -> bytes:
    page = browser.new_page(viewport={"width": GRAPH_SIZE[0], "height": GRAPH_SIZE[1]})
    page.set_default_timeout(PATIENCE_SECONDS * 1_000)
    page.goto(f"{address}/asset-groups")
    page.get_by_text("backtests", exact=True).first.wait_for()
    page.wait_for_timeout(2_000)  # the layout is animated
    left, right, top, bottom = 545, 43, 180, 130  # menu and list; the slider; the line of filters; nothing
    page.add_style_tag(content="input[type=range], button {visibility: hidden !important}")
    png: bytes = page.screenshot(
        clip={"x": left, "y": top, "width": GRAPH_SIZE[0] - left - right, "height": GRAPH_SIZE[1] - top - bottom}
    )
    page.close()
    return png


def _home(home: Path, source: str, *commands: tuple[str, ...], is_quick: bool = True) -> Path:
    """Return a home with what the commands store, computed where it is not there.

    Parameters
    ----------
    is_quick : with few trees and folds, as in tests, where a picture shows what pages look like and not how good models
        are.
    """
    if (home / DONE).is_file():
        return home
    home.mkdir(parents=True, exist_ok=True)
    environment = _workspace(home, source).environment
    if not is_quick:
        environment = {name: value for name, value in environment.items() if name not in QUICK}
    for command in commands:
        print("trading-dag", *command, flush=True)
        subprocess.run([sys.executable, "-m", "trading_dag.cli", *command], cwd=home, env=environment, check=True)
    (home / DONE).touch()
    return home


def _workspace(home: Path, source: str) -> Workspace:
    return Workspace(home, (("TRADING_DAG_SOURCE", source),))


@contextmanager
def _browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        raise RuntimeError("pictures need Chromium: make browser installs it")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET_ARGUMENTS)
        yield opened
        opened.close()


@contextmanager
def _dashboard(settings: Settings) -> Iterator[str]:
    """Address of the dashboard, served in this process as of ``MORNING``."""
    import uvicorn

    from trading_dag.dashboard.server import application

    config = uvicorn.Config(application(settings, host="127.0.0.1", clock=lambda: MORNING), port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise RuntimeError("the dashboard did not start")
        time.sleep(0.1)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=PATIENCE_SECONDS)


if __name__ == "__main__":
    main()
