"""Instances that have grown: one with thousands of slices of a light table, one with a year of sessions in its record.

``python -m tests.bench.large_instance slices HOME 500`` stores ``labels.targets`` of 500 tickers × six horizons by the
project's store and tells Dagster of each; ``… year HOME 100000`` records so many events of runs over 250 sessions in
Dagster's own storage. ``… look HOME [500]`` prints, as JSON, what takes how long: the start of a command, a look of
the automation at every asset, ``doctor``, and which runs a retention of 90 days would remove. ``… start HOME [500]``
tells how long ``trading-dag ui`` takes until its code is loaded, and a command that finds nothing to do; ``… page HOME
500`` how long the page of ``labels.targets`` takes in a headless Chromium until it shows its partitions.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tests.trading_dag.test_labels import _implied, _prices, _technical

if TYPE_CHECKING:
    import dagster as dg

    from trading_dag.cli.context import CommandContext

DEFAULT_TICKERS = 5
EVENTS_OF_A_RUN = 20
OLDEST_DAYS = 364


def variables(home: Path, *, tickers: int) -> dict[str, str]:
    """The settings of a home of the simulated source with so many tickers."""
    return {
        "TRADING_DAG_HOME": str(home),
        "TRADING_DAG_SOURCE": "simulated",
        "TRADING_DAG_SIMULATION__UNDERLYINGS": str(max(tickers - DEFAULT_TICKERS, 0)),
    }


@contextmanager
def opened(home: Path, *, tickers: int = DEFAULT_TICKERS) -> Iterator[tuple[CommandContext, dg.DagsterInstance]]:
    """A command's context and Dagster's instance on a home of the simulated source."""
    from trading_dag.cli.context import CommandContext
    from trading_dag.cli.dagster_instance import opened_instance

    home.mkdir(parents=True, exist_ok=True)
    os.environ.update(variables(home, tickers=tickers))
    context = CommandContext()
    with opened_instance(context) as instance:
        yield context, instance


def make_slices(home: Path, *, tickers: int) -> int:
    """Store the light table of every ticker and horizon, and tell Dagster; how many slices there are."""
    import dagster as dg

    from assets.partitions import partition_key
    from resources.runs.dagster_private import DATA_VERSION_TAG
    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.labels import build_targets
    from trading_dag.schemas import TARGETS
    from trading_dag.slices import HORIZONS

    store, count, prices = ParquetStore(home), 0, _prices("2024-11-01", "2024-12-02")
    inputs = prices, _technical(prices), _implied(prices)
    with opened(home, tickers=tickers) as (context, instance):
        for horizon in HORIZONS.values():
            frame = build_targets(*inputs, horizon=horizon)
            for ticker in context.settings.all_tickers:
                key = SliceKey(ticker, horizon.key)
                written = store.write(TARGETS, key, frame.assign(ticker=ticker), source="simulated")
                made = dg.AssetMaterialization(
                    dg.AssetKey([TARGETS.group, TARGETS.name]),
                    partition=partition_key(key),
                    tags={DATA_VERSION_TAG: written.content_hash},
                )
                instance.report_runless_asset_event(made)
                count += 1
    return count


def make_year(home: Path, *, events: int) -> int:
    """Record runs of the last 364 days, each of 20 events of which one is a materialization; how many runs."""
    import dagster as dg
    import time_machine

    from assets.partitions import partition_key
    from resources.storage.parquet_store import SliceKey
    from trading_dag.slices import HORIZONS

    keys = [SliceKey(ticker, horizon) for ticker in ("SPY", "QQQ", "IWM") for horizon in HORIZONS]
    names = ("predictions/direction", "signals/recommendation", "evaluation/metrics")
    runs, now = events // EVENTS_OF_A_RUN, dt.datetime.now(dt.UTC)
    ended: list[tuple[str, str]] = []
    with opened(home) as (_, instance):
        for number in range(runs):
            at = now - dt.timedelta(days=OLDEST_DAYS * (1 - number / runs))
            key = keys[number % len(keys)]
            partition = str(partition_key(key))
            run = dg.DagsterRun(
                job_name="research", status=dg.DagsterRunStatus.SUCCESS, tags={"dagster/partition": partition}
            )
            with time_machine.travel(at, tick=True):
                instance.add_run(run)
                for step in range(EVENTS_OF_A_RUN - 1):
                    instance.report_engine_event(f"step {step} of {partition}", run)
                asset = dg.AssetKey(names[number % len(names)].split("/"))
                instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=partition))
            ended.append((at.strftime("%Y-%m-%d %H:%M:%S"), run.run_id))
    with closing(sqlite3.connect(home / ".dagster" / "history" / "runs.db")) as database, database:
        database.executemany("UPDATE runs SET update_timestamp = ?1, create_timestamp = ?1 WHERE run_id = ?2", ended)
    return runs


def look(home: Path, *, tickers: int) -> dict[str, float]:
    """Seconds of wall and processor of what a grown instance could slow down."""
    import dagster as dg

    from assets.run.claims import bury_dead_runs, refuse_if_busy
    from assets.run.retention import superfluous_runs
    from resources.doctor.installation import diagnose_installation
    from resources.storage.parquet_store import SliceKey
    from trading_dag.definitions import build_for_command

    found: dict[str, float] = {}

    def timed(what: str, work: Callable[[], Any]) -> Any:
        wall, processor = time.perf_counter(), time.process_time()
        result = work()
        found[what] = round(time.perf_counter() - wall, 2)
        found[f"{what}, processor"] = round(time.process_time() - processor, 2)
        return result

    with opened(home, tickers=tickers) as (context, instance):
        settings = context.settings
        definitions = timed("definitions", lambda: build_for_command(settings))
        timed("burying", lambda: bury_dead_runs(instance))
        timed("search for other runs", lambda: refuse_if_busy(instance, [SliceKey("SPY", "24h")]))
        first = timed("first look", lambda: dg.evaluate_automation_conditions(definitions, instance))
        timed("later look", lambda: dg.evaluate_automation_conditions(definitions, instance, cursor=first.cursor))
        before = dt.datetime.now(dt.UTC) - dt.timedelta(days=90)
        found["runs older than 90 days"] = len(timed("retention", lambda: superfluous_runs(instance, before=before)))
        timed("doctor", lambda: diagnose_installation(settings))
        timed("doctor --fast", lambda: diagnose_installation(settings, fast=True))
    return found


@contextmanager
def serving(home: Path, *, tickers: int) -> Iterator[tuple[str, psutil.Process]]:
    """The address of a web server on a home once its code is loaded, and its process."""
    from tests.browser.test_ui import free_port

    port = free_port()
    command = [sys.executable, "-m", "trading_dag.cli", "ui", "--webserver-only", "--port", str(port)]
    environment = {**os.environ, **variables(home, tickers=tickers)}
    server = subprocess.Popen(command, cwd=home, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not is_loaded(f"http://127.0.0.1:{port}"):
            if server.poll() is not None:
                raise RuntimeError(f"trading-dag ui ended with code {server.returncode}")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait()


def is_loaded(address: str) -> bool:
    """Whether a web server answers and has loaded its code."""
    query = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"
    asked = urllib.request.Request(
        f"{address}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return bool(json.load(answer)["data"]["repositoriesOrError"].get("nodes"))
    except OSError:
        return False


def processor_seconds(process: psutil.Process) -> float:
    """What a process and those that it started have used of the processor so far."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(one.user + one.system + one.children_user + one.children_system for one in times)


def start(home: Path, *, tickers: int) -> dict[str, float]:
    """Seconds until the web server's code is loaded, and of a command that finds nothing to do."""
    found: dict[str, float] = {}
    wall = time.perf_counter()
    with serving(home, tickers=tickers) as (_, process):
        found["ui"] = round(time.perf_counter() - wall, 2)
        found["ui, processor"] = round(processor_seconds(process), 2)
    before, wall = os.times(), time.perf_counter()
    command = [sys.executable, "-m", "trading_dag.cli", "clean-history", "--dry-run", "--json"]
    environment = {**os.environ, **variables(home, tickers=tickers)}
    subprocess.run(command, cwd=home, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return found | {"command": round(time.perf_counter() - wall, 2), "command, processor": round(used, 2)}


def page(home: Path, *, tickers: int) -> dict[str, float]:
    """Seconds until the page of the light table shows its partitions, the first time and again."""
    from playwright.sync_api import sync_playwright

    from tests.browser.test_ui import CHROMIUM, QUIET_ARGUMENTS

    found = {}
    with serving(home, tickers=tickers) as (address, process), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET_ARGUMENTS)
        for what in ("first", "again"):
            opened = browser.new_page(viewport={"width": 1600, "height": 1100}, base_url=address)
            opened.set_default_timeout(600_000)
            used, wall = processor_seconds(process), time.perf_counter()
            opened.goto("/assets/labels/targets?view=partitions")
            opened.get_by_text("SIMAA", exact=True).first.wait_for()
            found[f"page, {what}"] = round(time.perf_counter() - wall, 2)
            found[f"page, {what}, processor of the server"] = round(processor_seconds(process) - used, 2)
            opened.screenshot(path=home.parent / "page.png")
            opened.close()
        browser.close()
    return found


def main() -> None:
    """Do what the command line says."""
    what, home, *rest = sys.argv[1:]
    count = int(rest[0]) if rest else DEFAULT_TICKERS
    work: dict[str, Callable[[], Any]] = {
        "slices": lambda: make_slices(Path(home), tickers=count),
        "year": lambda: make_year(Path(home), events=count),
        "look": lambda: look(Path(home), tickers=count),
        "start": lambda: start(Path(home), tickers=count),
        "page": lambda: page(Path(home), tickers=count),
    }
    print(json.dumps(work[what](), indent=1))


if __name__ == "__main__":
    main()
