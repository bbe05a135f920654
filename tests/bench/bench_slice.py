"""Where the processor time of one research slice goes: ``python -m tests.bench.bench_slice`` on the real data folder.

A slice that was warmed up by another one is computed under a profiler, and the time is given to the part of the code
that was entered from outside of it. A profiler makes small calls look dearer than they are: read the shares.
"""

from __future__ import annotations

import cProfile
import json
import os
import pstats
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
# Part: the paths of its code, from the repository's root. What is left is Dagster's own loop and what hangs on it.
PARTS: Final[dict[str, tuple[str, ...]]] = {
    "pictures": ("trading_dag/plots/", "assets/pictures.py"),
    "models": ("trading_dag/models/",),
    "backtests": ("trading_dag/backtest/", "trading_dag/strategy/"),
    "evaluation": ("trading_dag/validation/",),
    "quality rules and expectations": ("resources/expectations.py", "trading_dag/quality/"),
    "reading and storing": ("resources/parquet_io.py", "resources/parquet_store.py", "resources/model_store.py"),
}


def part_of(path: str) -> str | None:
    """Returns the part that a file belongs to; None for the rest."""
    relative = path.removeprefix(f"{REPOSITORY}/")
    return next((part for part, prefixes in PARTS.items() if relative.startswith(prefixes)), None)


def shares(profile: cProfile.Profile) -> dict[str, float]:
    """Returns the share of each part in the profiled time; a part within another one counts for the outer one."""
    stats: Any = pstats.Stats(profile)
    spent = dict.fromkeys(PARTS, 0.0)
    for (path, _, _), (_, _, _, _, callers) in stats.stats.items():
        part = part_of(path)
        if part is not None:
            spent[part] += sum(
                cumulative for (caller, _, _), (_, _, _, cumulative) in callers.items() if part_of(caller) is None
            )
    found = {part: seconds / stats.total_tt for part, seconds in spent.items()}
    return {**found, "Dagster and the rest": 1.0 - sum(found.values())}


def main() -> None:
    """Compute SPY 24h, then SPY 168h under the profiler, and print the shares and the seconds as JSON."""
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

    from assets.execution import SliceRunner, WorkItem
    from resources.parquet_store import SliceKey
    from trading_dag.definitions import build_definitions
    from trading_dag.settings import Settings

    settings = Settings()
    runner = SliceRunner(build_definitions(settings), dg.DagsterInstance.get(), settings)
    for kind, key in (("none", SliceKey()), ("ticker", SliceKey("SPY")), ("ticker_horizon", SliceKey("SPY", "24h"))):
        outcome = runner.bring_up_to_date(WorkItem(kind, key, "run"))  # type: ignore[arg-type]
        if not outcome.is_success:
            sys.exit(f"{key}: {outcome.errors}")
    started = time.process_time()
    runner.bring_up_to_date(WorkItem("ticker_horizon", SliceKey("SPY", "48h"), "run"))
    seconds = time.process_time() - started
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    runner.bring_up_to_date(WorkItem("ticker_horizon", SliceKey("SPY", "168h"), "run"))
    profile.disable()
    print(json.dumps({"seconds": seconds, "shares": shares(profile)}))


if __name__ == "__main__":
    main()
