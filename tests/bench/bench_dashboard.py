"""What the pages of the dashboard cost, over a home that is stored: ``python -m tests.bench.bench_dashboard HOME``.

Of each page: until something is usable, until it is whole, and the processor time of the server and of the browser. The
first time, and once more from the menu. On a busy machine the seconds on the clock say little; processor time does.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import psutil
from playwright.sync_api import sync_playwright

from tests.browser.dashboard import DESKTOP, DONE, Seen, served_with
from tests.browser.test_ui import CHROMIUM, QUIET_ARGUMENTS
from tests.conftest import Workspace
from trading_dag.dashboard.registry import PAGES

SETTLED_SECONDS: Final = 3.0


@dataclass(frozen=True)
class Cost:
    """Of one page; all in seconds."""

    page: str
    visit: str
    usable: float
    whole: float
    server: float
    browser: float


def main() -> None:
    """Print the table, and the same as JSON on the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path, help="with data/ of a whole run; nothing of it is changed but its views")
    parser.add_argument("--ticker", default="SPY")
    parser.add_argument("--horizon", default="168h")
    given = parser.parse_args()
    costs = measured(given.home.resolve(), f"?ticker={given.ticker}&horizon={given.horizon}")
    print(f"{'page':20}{'visit':8}{'usable':>8}{'whole':>8}{'server':>8}{'browser':>9}   (s; the last two: processor)")
    for cost in costs:
        print(f"{cost.page:20}{cost.visit:8}{cost.usable:8.2f}{cost.whole:8.2f}{cost.server:8.2f}{cost.browser:9.2f}")
    load, *_ = psutil.getloadavg()
    print(f"load {load:.1f}")
    print(json.dumps([asdict(cost) for cost in costs]))


def measured(home: Path, query: str) -> list[Cost]:
    """Return what each page costs when it is first opened, and when it is opened again."""
    with served_with(Workspace(home)) as (address, _, process), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET_ARGUMENTS)
        seen = Seen(browser.new_page(viewport=DESKTOP), address)
        server = psutil.Process(process.pid)
        time.sleep(SETTLED_SECONDS)  # the server reads ahead
        costs = [_cost(seen, server, "Today", "opened", lambda: seen.page.goto(f"{address}/{query}"))]
        for visit in ("first", "again"):
            for page in (*PAGES[1:], PAGES[0]):
                title = page.title
                costs.append(_cost(seen, server, title, visit, partial(_click, seen, title)))  # one after the other
        browser.close()
    return costs


def _cost(seen: Seen, server: psutil.Process, title: str, visit: str, go: Callable[[], Any]) -> Cost:
    before, browser_before, started = _processor(server), _browsers(), time.perf_counter()
    go()
    seen.page.locator(f"h3:has-text('{title}')").first.wait_for()
    seen.page.locator("[data-testid=stMain] .js-plotly-plot .main-svg, [data-testid=stDataFrame]").first.wait_for()
    usable = time.perf_counter() - started
    seen.page.locator(DONE).first.wait_for(state="attached")
    seen.settle()
    whole = time.perf_counter() - started
    return Cost(title, visit, usable, whole, _processor(server) - before, _browsers() - browser_before)


def _click(seen: Seen, title: str) -> None:
    seen.page.locator(f"[data-testid=stSidebarNav] >> text={title}").first.click()


def _processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _browsers() -> float:
    return sum(
        _processor(child) for child in psutil.Process().children(recursive=True) if "chrom" in child.name().lower()
    )


if __name__ == "__main__":
    main()
