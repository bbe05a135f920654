"""From a new session's bars to the recorded forecasts of three tickers and six horizons, by the daemon and by
``refresh``: ``python -m tests.bench.bench_latency``, on a simulated market whose clock is set.

The daemon's time runs from the first raw table that is stored to the last row of the log, and, beside it, from the tick
of the schedule. Processor time is that of the service and all its runs.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import pandas as pd

from resources.storage.parquet_store import SliceKey
from tests.integration.market_clock import (
    SERVING_SECONDS,
    Market,
    before_the_fetch,
    processor_seconds,
    sessions_from,
    wait_for,
)
from tests.integration.processes import rows, wait_until
from trading_dag.schemas import HORIZON_KEYS, PRICES_DAILY

TICKERS: Final = ("SPY", "QQQ", "IWM")
FIRST: Final = "2026-11-27"
STARTING: Final = float(os.environ.get("BENCH_STARTING_SECONDS", "60"))
PATIENCE: Final = 1_800.0


def measure(home: Path | None = None) -> dict[str, float]:
    """Figures by name; a home that is given was run until the evening of the first session."""
    with tempfile.TemporaryDirectory() as folder:
        stored = Path(folder, "stored")
        before, session = sessions_from(FIRST, 2)
        if home is None:
            stored.mkdir()
            done = _market(stored).run(before + pd.Timedelta(hours=20), "run")
            if done.returncode:
                sys.exit(done.stdout + done.stderr)
        else:
            shutil.copytree(home, stored)
        return {**_refreshed(stored, Path(folder, "refreshed"), session), **_served(stored, session)}


def _market(home: Path) -> Market:
    return Market(home, TICKERS, HORIZON_KEYS, (("TRADING_DAG_SIMULATION__FIRST_SESSION", "2019-01-02"),))


def _refreshed(stored: Path, home: Path, session: pd.Timestamp) -> dict[str, float]:
    shutil.copytree(stored, home)
    market = _market(home)
    started, spent = time.perf_counter(), os.times()
    done = market.run(session + pd.Timedelta(hours=17), "refresh")
    seconds, after = time.perf_counter() - started, os.times()
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    used = after.children_user + after.children_system - spent.children_user - spent.children_system
    return {"refresh_seconds": seconds, "refresh_processor_seconds": used}


def _served(home: Path, session: pd.Timestamp) -> dict[str, float]:
    market = _market(home)
    last = int(rows(home, "select max(id) from runs")[0][0])
    prices = market_store(home)
    with market.served(before_the_fetch(session, STARTING)) as service:
        wait_until(lambda: not market.runs_since(last).empty, service, patience=SERVING_SECONDS)
        asked, spent = time.perf_counter(), processor_seconds(service)
        wait_until(lambda: any(ends(prices, ticker) == session for ticker in TICKERS), service, patience=PATIENCE)
        arrived = time.perf_counter()
        wait_for(market, session, service, PATIENCE)
        recorded, used = time.perf_counter(), processor_seconds(service)
        runs = market.runs_since(last)
    return {
        "daemon_seconds": recorded - arrived,
        "daemon_seconds_from_tick": recorded - asked,
        "daemon_processor_seconds": used - spent,
        "daemon_runs": float(len(runs)),
        "most_runs_a_slice_and_purpose": float(runs.groupby(["partition", "purpose", "job"]).size().max()),
    }


def market_store(home: Path):  # type: ignore[no-untyped-def]
    """The store of a home."""
    from resources.storage.parquet_store import ParquetStore

    return ParquetStore(home)


def ends(store, ticker: str) -> pd.Timestamp | None:  # type: ignore[no-untyped-def]
    """The last stored session of a ticker's prices."""
    record = store.provenance(PRICES_DAILY, SliceKey(ticker))
    return None if record is None or record.last_session is None else pd.Timestamp(record.last_session)


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]) if len(sys.argv) > 1 else None), indent=1))
