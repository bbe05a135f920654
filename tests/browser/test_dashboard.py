"""The dashboard in a real headless Chromium over a real warehouse: one server, one browser and one visit of each page.

The page is loaded once and then changed from the menu: loading costs as much as five pages. Phone and dark are `long`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.browser.dashboard import DESKTOP, PHONE, Seen, copy_of, grave_violations, served
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
    """The dashboard as it was opened by an address that would like to be markup."""
    opened = Seen(browser.new_page(viewport=DESKTOP), address)
    opened.page.on("dialog", lambda dialog: (opened.complaints.append(f"asked: {dialog.message}"), dialog.dismiss()))
    opened.open(f"?ticker={quote(HOSTILE)}&horizon={HORIZON}")
    return opened


@pytest.fixture(scope="module", params=PAGES, ids=[page.title for page in PAGES])
def page(request: pytest.FixtureRequest, seen: Seen) -> Any:
    """A page of the registry, open; tests of one page follow each other, so each page is opened once."""
    if seen.page.locator("h3").first.inner_text() != request.param.title:
        seen.choose(request.param.title)
    return request.param


def only(title: str) -> pytest.MarkDecorator:
    """The mark of a test that looks at one page."""
    chosen = [page for page in PAGES if page.title == title]
    return pytest.mark.parametrize("page", chosen, ids=[title], indirect=True)


def test_a_page_shows_its_charts_and_complains_of_nothing(seen: Seen, page: Any) -> None:
    assert seen.page.locator("[data-testid=stException]").count() == 0
    assert "cannot be shown" not in seen.page.inner_text("[data-testid=stMain]")
    assert "Sample data, not today’s market" in seen.page.inner_text("[data-testid=stMain]").replace("'", "’")
    assert len(seen.plots) == seen.page.locator('[class*="st-key-chart-"]').count()
    assert all(plot["drawn"] and plot["points"] > 0 for plot in seen.plots), seen.plots
    if page.title in ("Today", "Options", "Opportunities"):
        assert len(seen.plots) >= 2
    assert seen.complaints == []


@pytest.mark.usefixtures("page")
def test_axe_finds_no_serious_violation(seen: Seen) -> None:
    assert grave_violations(seen) == {}


@only("Today")
@pytest.mark.usefixtures("page")
def test_the_numbers_on_today_are_the_warehouses(seen: Seen, home: Workspace) -> None:
    store = ParquetStore(home.home)
    rows = store.read(PREDICTIONS_PRICE, SliceKey("SPX", HORIZON))
    own = rows[rows["model"] == "price_distribution"]
    own = own[own["session"] == own["session"].max()].sort_values("target_session")
    drawn = seen.trace("median")
    assert drawn is not None
    assert drawn[0] == pytest.approx(own["close"].iloc[0])
    assert drawn[-3:] == pytest.approx(list(own["quantile_50"]))
    assert f"{own['close'].iloc[0]:,.2f} USD" in seen.page.inner_text("[data-testid=stMain]")


@only("Today")
@pytest.mark.usefixtures("page")
def test_markup_in_data_and_in_the_address_stays_text(seen: Seen) -> None:
    assert HOSTILE in seen.page.inner_text("[data-testid=stMain]")
    assert seen.page.locator("[data-testid=stMain] a[href^='javascript']").count() == 0
    assert seen.page.locator("img[src='x']").count() == 0
    assert not [complaint for complaint in seen.complaints if complaint.startswith("asked: ")]


@only("Options")
@pytest.mark.usefixtures("page")
def test_a_slider_moves_the_payoff(seen: Seen) -> None:
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


@only("Data")
@pytest.mark.usefixtures("page")
def test_the_box_for_queries_answers_what_reads_and_refuses_what_writes_or_reads_elsewhere(seen: Seen) -> None:
    _ask(seen, "SELECT count(*) AS n FROM raw.prices_daily", answer="1 row, in ")
    _refused(seen, "COPY raw.prices_daily TO 'stolen.csv'", "COPY is no query")
    _refused(seen, "FROM read_csv('/etc/passwd')", "Cannot access file")
    assert seen.complaints == []


@pytest.mark.long
@only("Data")
@pytest.mark.usefixtures("page")
def test_the_box_for_queries_refuses_to_attach_to_install_and_to_read_the_environment(seen: Seen) -> None:
    _refused(seen, "ATTACH 'other.db'", "ATTACH is no query")
    _refused(seen, "INSTALL httpfs", "LOAD is no query")
    _refused(seen, "SELECT getenv('HOME')", "getenv does not exist")
    assert seen.complaints == []


@pytest.mark.long
@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "light"), (PHONE, "dark"), (DESKTOP, "dark")],
                         ids=["phone", "phone-dark", "dark"])  # fmt: skip
def test_every_page_is_as_good_on_a_phone_and_in_the_dark(
    browser: Any, address: str, size: dict[str, int], scheme: str
) -> None:
    other = Seen(browser.new_page(viewport=size, color_scheme=scheme), address)
    for one in PAGES:
        other.open(f"{'' if one is PAGES[0] else one.path}?ticker=SPX&horizon={HORIZON}")
        assert all(plot["drawn"] and plot["points"] > 0 for plot in other.plots), one.title
        assert other.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, one.title
        assert grave_violations(other) == {}, one.title
    assert other.complaints == []
    other.page.close()


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


def _ask(seen: Seen, text: str, *, answer: str) -> None:
    """Run a query in the box, and wait for what the page says to it."""
    seen.page.get_by_label("Query", exact=True).fill(text)
    seen.page.get_by_role("button", name="Run").click()
    seen.page.locator(f"[data-testid=stMain] >> text={answer}").first.wait_for()
    seen.settle()


def _refused(seen: Seen, text: str, answer: str) -> None:
    _ask(seen, text, answer=answer)
    assert "Not run." in seen.page.inner_text("[data-testid=stMain]")
