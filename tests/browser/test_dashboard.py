"""The dashboard in a real headless Chromium over a real warehouse: one server and one browser for all tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.browser.dashboard import DESKTOP, PHONE, Seen, axe_source, copy_of, served
from tests.browser.test_ui import CHROMIUM, QUIET_ARGUMENTS
from tests.conftest import Workspace
from trading_dag.dashboard.registry import PAGES
from trading_dag.schemas import PREDICTIONS_PRICE, RECOMMENDATION

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)"),
]
HORIZON = "168h"
HOSTILE = "<img src=x onerror=alert(1)> [click](javascript:alert(2)) :red[no] $x^2$"


@pytest.fixture(scope="module")
def home(sample_run: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The sample's slices; what 168h recommends is told in a sentence that would like to be more than text."""
    own = copy_of(sample_run, tmp_path_factory.mktemp("dashboard") / "home")
    store, key = ParquetStore(own.home), SliceKey("SPX", HORIZON)
    rows = store.read(RECOMMENDATION, key)
    rows["reasoning"] = HOSTILE
    store.write(RECOMMENDATION, key, rows, source="sample")
    return own


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET_ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(home: Workspace) -> Iterator[str]:
    """Address of the server. Whatever it logged beside its own address is an error of some page."""
    with served(home) as (where, log):
        yield where
        told = [line for line in log.read_text().splitlines() if line and not line.startswith("Dashboard: http://")]
        assert not told, "\n".join(told)


@pytest.fixture(scope="module")
def seen(browser: Any, address: str) -> Seen:
    return Seen(browser.new_page(viewport=DESKTOP), address)


@pytest.mark.parametrize("page", PAGES, ids=[page.title for page in PAGES])
def test_a_page_shows_its_charts_and_complains_of_nothing(seen: Seen, page: Any) -> None:
    if seen.page.url == "about:blank":
        seen.open(f"?ticker=SPX&horizon={HORIZON}")
    seen.choose(page.title)
    assert seen.page.locator("[data-testid=stException]").count() == 0
    assert "cannot be shown" not in seen.page.inner_text("[data-testid=stMain]")
    assert "Sample data, not today’s market" in seen.page.inner_text("[data-testid=stMain]").replace("'", "’")
    assert len(seen.plots) == seen.page.locator('[class*="st-key-chart-"]').count()
    assert all(plot["drawn"] and plot["points"] > 0 for plot in seen.plots), seen.plots
    if page.title in ("Today", "Options", "Opportunities"):
        assert len(seen.plots) >= 2
    assert seen.complaints == []
    seen.page.set_viewport_size(PHONE)
    seen.settle()
    assert seen.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert seen.complaints == []
    seen.page.set_viewport_size(DESKTOP)


@pytest.mark.parametrize("page", PAGES, ids=[page.title for page in PAGES])
def test_axe_finds_no_serious_violation(seen: Seen, page: Any) -> None:
    source = axe_source()
    if seen.page.url == "about:blank":
        seen.open("")
    seen.choose(page.title)
    seen.page.evaluate(source)
    found = seen.page.evaluate("axe.run().then(told => told.violations)")
    grave = {
        violation["id"]: [node["html"][:200] for node in violation["nodes"]]
        for violation in found
        if violation["impact"] in ("serious", "critical")
    }
    assert grave == {}


def test_the_numbers_on_today_are_the_warehouses(seen: Seen, home: Workspace) -> None:
    store = ParquetStore(home.home)
    rows = store.read(PREDICTIONS_PRICE, SliceKey("SPX", HORIZON))
    own = rows[rows["model"] == "price_distribution"]
    own = own[own["session"] == own["session"].max()].sort_values("target_session")
    seen.open(f"?ticker=SPX&horizon={HORIZON}")
    drawn = seen.trace("median")
    assert drawn is not None
    assert drawn[0] == pytest.approx(own["close"].iloc[0])
    assert drawn[-3:] == pytest.approx(list(own["quantile_50"]))
    assert f"{own['close'].iloc[0]:,.2f} USD" in seen.page.inner_text("[data-testid=stMain]")


def test_markup_in_data_stays_text(seen: Seen) -> None:
    asked: list[str] = []
    seen.page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    seen.open(f"?ticker=SPX&horizon={HORIZON}")
    assert HOSTILE in seen.page.inner_text("[data-testid=stMain]")
    assert seen.page.locator("[data-testid=stMain] a[href^='javascript']").count() == 0
    assert seen.page.locator("img[src='x']").count() == 0
    seen.open("?ticker=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&horizon=../../etc")
    assert seen.page.locator("h3").first.inner_text() == "Today"
    assert asked == []


def test_a_slider_moves_the_payoff(seen: Seen) -> None:
    if seen.page.url == "about:blank":
        seen.open("")
    seen.choose("Options")
    before = seen.trace("after the moves")
    handle = seen.page.get_by_role("slider", name=re.compile("Volatility"))
    handle.focus()
    for _ in range(8):
        handle.press("ArrowRight")
    seen.page.wait_for_function(
        "was => { for (const plot of document.querySelectorAll('.js-plotly-plot')) for (const trace of plot._fullData)"
        "if (trace.name === 'after the moves') return Math.abs(trace.y[0] - was) > 1e-6; return false; }",
        arg=before[0] if before else None,
    )
    after = seen.trace("after the moves")
    assert before is not None
    assert after is not None
    assert before != pytest.approx(after)


@pytest.mark.long
def test_simulated_chains_are_shown_and_never_as_a_markets(browser: Any, tmp_path: Path) -> None:
    own = Workspace(tmp_path, (("TRADING_DAG_SOURCE", "simulated"), ("TRADING_DAG_SIMULATION__YEARS", "3")))
    for command in (("fetch", "--tickers", "SPY", "--kinds", "prices_daily,volatility_index"),
                    ("fetch-chains", "--tickers", "SPY")):  # fmt: skip
        done = own.run_process(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    with served(own) as (where, _):
        page = Seen(browser.new_page(viewport=DESKTOP), where)
        page.open("")
        page.choose("Options")
        assert "Simulated, not market data" in page.page.inner_text("[data-testid=stMain]")
        assert len(page.plots) >= 5
        assert all(plot["points"] > 0 for plot in page.plots)
        assert page.complaints == []


@pytest.mark.long
def test_the_password_is_asked_for_once(browser: Any, home: Workspace) -> None:
    closed = Workspace(home.home, (*home.variables, ("TRADING_DAG_DASHBOARD_PASSWORD", "open sesame")))
    with served(closed) as (where, _):
        page = browser.new_page(viewport=DESKTOP)
        page.goto(where)
        assert page.locator("h3").count() == 0
        page.get_by_label("Password").fill("open sesame")
        page.get_by_role("button", name="Open").click()
        page.locator("h3:has-text('Today')").wait_for()
        page.reload()
        page.locator("h3:has-text('Today')").wait_for()


def test_the_box_for_queries_answers_what_reads_and_refuses_what_writes_or_reads_elsewhere(seen: Seen) -> None:
    if seen.page.url == "about:blank":
        seen.open("")
    seen.choose("Data")
    _ask(seen, "SELECT count(*) AS n FROM raw.prices_daily", answer="1 row, in ")
    for text, answer in {
        "COPY raw.prices_daily TO 'stolen.csv'": "COPY is no query",
        "ATTACH 'other.db'": "ATTACH is no query",
        "INSTALL httpfs": "LOAD is no query",
        "FROM read_csv('/etc/passwd')": "Cannot access file",
        "SELECT getenv('HOME')": "getenv does not exist",
    }.items():
        _ask(seen, text, answer=answer)
        assert "Not run." in seen.page.inner_text("[data-testid=stMain]")
    assert seen.complaints == []


def _ask(seen: Seen, text: str, *, answer: str) -> None:
    """Run a query in the box, and wait for what the page says to it."""
    seen.page.get_by_label("Query", exact=True).fill(text)
    seen.page.get_by_role("button", name="Run").click()
    seen.page.locator(f"[data-testid=stMain] >> text={answer}").first.wait_for()
    seen.settle()
