"""Instances that have grown: one with thousands of slices of a light table, one with a year of sessions in its record.

``python -m tests.bench.large_instance slices HOME 500`` stores ``labels.targets`` of 500 tickers × six horizons by the
project's store and tells Dagster of each; ``… year HOME 100000`` records so many events of runs over 250 sessions in
Dagster's own storage. ``… look HOME [500]`` prints, as JSON, what takes how long: the start of a command, a look of
the automation at every asset, ``doctor``, and which runs a retention of 90 days would remove.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.trading_dag.test_labels import _implied, _prices, _technical

if TYPE_CHECKING:
    import dagster as dg

    from trading_dag.cli.context import CommandContext

DEFAULT_TICKERS = 5
EVENTS_OF_A_RUN = 20
OLDEST_DAYS = 364


@contextmanager
def opened(home: Path, *, tickers: int = DEFAULT_TICKERS) -> Iterator[tuple[CommandContext, dg.DagsterInstance]]:
    """A command's context and Dagster's instance on a home of the simulated source."""
    from trading_dag.cli.context import CommandContext
    from trading_dag.cli.dagster_instance import opened_instance

    home.mkdir(parents=True, exist_ok=True)
    shares = str(max(tickers - DEFAULT_TICKERS, 0))
    os.environ.update(
        TRADING_DAG_HOME=str(home), TRADING_DAG_SOURCE="simulated", TRADING_DAG_SIMULATION__UNDERLYINGS=shares
    )
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


def main() -> None:
    """Do what the command line says."""
    what, home, *rest = sys.argv[1:]
    count = int(rest[0]) if rest else DEFAULT_TICKERS
    work: dict[str, Callable[[], Any]] = {
        "slices": lambda: make_slices(Path(home), tickers=count),
        "year": lambda: make_year(Path(home), events=count),
        "look": lambda: look(Path(home), tickers=count),
    }
    print(json.dumps(work[what](), indent=1))


if __name__ == "__main__":
    main()
