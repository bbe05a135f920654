"""What a growing simulated universe costs through Dagster: raw tables and features of each ticker, checks included.

Run ``python -m tests.bench.bench_universe FIGURES`` with a home and a number of underlyings in the environment; the
figures are written as JSON. It does what ``trading-dag run`` does for macro data and tickers, and no horizons: the
claims, the search for other runs, materializations with their checks, the IO managers, the event log, the views. The
universe is as large as what is worked on, so whatever grows with either shows.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

# The first two tickers, one a worker, carry what is loaded once; the smallest run is taken off the others.
SIZES = (2, 10, 34)


@dataclass(frozen=True)
class Growth:
    """What further tickers cost, beyond those of the smallest run.

    Attributes
    ----------
    seconds, processor_seconds : each further ticker of the largest run.
    exponent : of processor time in the number of further tickers.
    memory_exponent : of peak memory in the number of tickers.
    """

    seconds: float
    processor_seconds: float
    exponent: float
    memory_exponent: float


def growth_of(found: Mapping[int, Mapping[str, float]]) -> Growth:
    """How the figures of three runs grow; by number of tickers, with ``peak_megabytes`` as well."""
    base, few, many = sorted(found)
    further = {
        name: [(found[count][name] - found[base][name]) / (count - base) for count in (few, many)]
        for name in ("seconds", "processor_seconds")
    }
    each = further["processor_seconds"]
    memory = found[many]["peak_megabytes"] / found[few]["peak_megabytes"]
    return Growth(
        seconds=further["seconds"][1],
        processor_seconds=each[1],
        exponent=1.0 + math.log(each[1] / each[0]) / math.log((many - base) / (few - base)),
        memory_exponent=math.log(memory) / math.log(many / few),
    )


def work_on_universe() -> dict[str, float]:
    """Bring every simulated share up to date, with horizons left out.

    Returns
    -------
    dict : ``seconds``, and ``processor_seconds`` of all processes, from start to end; ``refused``, tickers that a
        blocking rule stopped, each of which is told on the console.
    """
    import dagster as dg

    from assets.run.claims import bury_dead_runs, claim, refuse_if_busy
    from assets.run.execution import execute
    from resources.storage.parquet_store import SliceKey
    from trading_dag.cli.context import CommandContext
    from trading_dag.definitions import build_for_command

    started = time.perf_counter()
    context = CommandContext()
    tickers = context.settings.simulation.names
    spent, refused = 0.0, 0
    with claim(context.state, tickers), dg.DagsterInstance.get() as instance:
        bury_dead_runs(instance)
        refuse_if_busy(instance, [SliceKey(ticker) for ticker in tickers])
        context.warehouse.ensure()
        for outcome in execute(context.settings, tickers=tickers, horizons=(), mode="run", build=build_for_command):
            if not outcome.is_success:
                refused += 1
                print(f"{outcome.item}: {'; '.join(outcome.errors)}", file=sys.stderr)
            spent = _processor_seconds()  # while the workers live
    return {"seconds": time.perf_counter() - started, "processor_seconds": spent, "refused": refused}


def _processor_seconds() -> float:
    """Of this process and all below it."""
    here = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in [here, *here.children(recursive=True)])


def main() -> None:
    """Work, and write the figures where the caller wants them."""
    Path(sys.argv[1]).write_text(json.dumps(work_on_universe()))


if __name__ == "__main__":
    main()
