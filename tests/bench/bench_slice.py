"""Where the processor time of one research slice goes: ``python -m tests.bench.bench_slice`` on the real data folder.

A slice that was warmed up by others is looked at every two milliseconds of processor time, and each look counts for the
part that the stack was in. Unlike a profiler's clock this makes no small call look dearer than it is.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
EVERY_SECONDS: Final = 0.002
REST: Final = "Dagster and the rest"
# Part: the paths of its code, from the repository's root; a part within another one counts for the one that is first.
PARTS: Final[dict[str, tuple[str, ...]]] = {
    "pictures": ("trading_dag/plots/", "assets/declare/pictures.py"),
    "models": ("trading_dag/models/",),
    "backtests": ("trading_dag/backtest/", "trading_dag/strategy/"),
    "evaluation and drift": ("trading_dag/validation/", "trading_dag/drift/"),
    "quality rules and expectations": ("resources/expectations.py", "trading_dag/quality/"),
    "reading and storing": (
        "resources/io_managers/",
        "resources/storage/",
    ),
    "the event log": ("resources/runs/",),
}


def part_of(frame: FrameType | None) -> str:
    """Returns the part that a stack is in: the first of the parts that any of its frames belongs to."""
    files = set()
    while frame is not None:
        files.add(frame.f_code.co_filename.removeprefix(f"{REPOSITORY}/"))
        frame = frame.f_back
    found = (part for part, prefixes in PARTS.items() if any(file.startswith(prefixes) for file in files))
    return next(found, REST)


@contextmanager
def looked_at(looks: Counter[str]) -> Iterator[None]:
    """Counts looks by part while it is entered."""
    handler = signal.signal(signal.SIGPROF, lambda _, frame: looks.update([part_of(frame)]))
    signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)


def main() -> None:
    """Compute SPY 24h, then look at SPY 168h, and print the shares and the seconds as JSON."""
    home = tempfile.mkdtemp()
    os.environ |= {
        "TRADING_DAG_HOME": home,
        "TRADING_DAG_SOURCE": "files",
        "TRADING_DAG_FILES": os.environ.get("TRADING_DAG_TEST_DATA", str(REPOSITORY.parent / "shared" / "data")),
        "TRADING_DAG_STATE": f"{home}/.dagster",
        "DAGSTER_HOME": str(REPOSITORY),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
    }
    Path(home, ".dagster").mkdir()
    import dagster as dg

    import trading_dag.cli.preload  # noqa: F401  # as a worker: one thread for linear algebra, and what its server has imported
    from assets.run.execution import SliceRunner, WorkItem
    from resources.storage.parquet_store import SliceKey
    from trading_dag.definitions import build_for_command
    from trading_dag.settings import Settings

    gc.freeze()
    settings = Settings()
    runner = SliceRunner(build_for_command(settings), dg.DagsterInstance.get(), settings)
    for kind, key in (("none", SliceKey()), ("ticker", SliceKey("SPY")), ("ticker_horizon", SliceKey("SPY", "24h"))):
        outcome = runner.bring_up_to_date(WorkItem(kind, key, "run"))  # type: ignore[arg-type]
        if not outcome.is_success:
            sys.exit(f"{key}: {outcome.errors}")
    looks: Counter[str] = Counter()
    started = time.process_time()
    with looked_at(looks):
        outcome = runner.bring_up_to_date(WorkItem("ticker_horizon", SliceKey("SPY", "168h"), "run"))
    seconds = time.process_time() - started
    if not outcome.is_success:
        sys.exit(f"{outcome.item}: {outcome.errors}")
    shares = {part: looks[part] / looks.total() for part in (*PARTS, REST)}
    print(json.dumps({"seconds": seconds, "shares": shares}))


if __name__ == "__main__":
    main()
