"""A small home with a bit of everything that a state is made of. No test."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd

from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.schemas import PRICES_DAILY
from trading_dag.sessions import sessions_between

SPY = SliceKey("SPY")
VERSION = "models/direction_classifier/ticker=SPY/horizon=24h/20260105T213000000000Z-1a2b3c4d"


def bars(close: float) -> pd.DataFrame:
    """Well-formed daily bars of SPY."""
    return pd.DataFrame(
        {
            "ticker": "SPY",
            "session": sessions_between("2024-01-02", "2024-12-31")[:5],
            "open": close,
            "high": close + 1,
            "low": close - 1,
            "close": close,
            "adj_close": close,
            "volume": 1e6,
            "split_factor": np.nan,
            "dividend": np.nan,
        }
    )


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def record(home: Path, *runs: str) -> None:
    """Add runs to a database in Dagster's place, left open for writing as Dagster leaves it."""
    path = home / ".dagster" / "history" / "runs.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE IF NOT EXISTS runs (run_id TEXT)")
        database.executemany("INSERT INTO runs VALUES (?)", [(run,) for run in runs])


def recorded(home: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(home / ".dagster" / "history" / "runs.db")) as database:
        return [run for (run,) in database.execute("SELECT run_id FROM runs ORDER BY run_id")]


def make_home(home: Path, *, close: float = 100.0) -> Path:
    """Write a state, and beside it what is no part of one."""
    ParquetStore(home).write(PRICES_DAILY, SPY, bars(close), source="sample")
    write(home / "data" / "accepted_bars.json", "[]\n")
    write(home / VERSION / "spec.json", json.dumps({"close": close}))
    write(home / Path(VERSION).parent / "latest", Path(VERSION).name)
    write(home / Path(VERSION).parent / "history.jsonl", '{"event": "fitted"}\n')
    write(home / "tuning" / "ticker=SPY" / "horizon=24h" / "logistic" / "all-1.journal", "{}\n")
    write(home / "training" / "spread_trunk" / "ticker=SPY" / "0123456789abcdef" / "epoch", "1")
    record(home, "first", "second")
    for left_out in (
        ".env", "warehouse.duckdb", ".cache/answer", ".dagster/dagster.yaml", ".dagster/claims/SPY.lock",
        ".dagster/processes/host-1-abcdefgh", ".dagster/typing.py", f"{Path(VERSION).parent}/.partial-1/spec.json",
        "data/.imports/staging-1/SPY/2024/part-000000.parquet",
        "data/raw/prices_daily/ticker=SPY/.data.parquet.1-abcdefgh.tmp",
    ):  # fmt: skip
        write(home / left_out, "left out")
    return home


STATE = [
    ".dagster/history/runs.db",
    "data/accepted_bars.json",
    "data/raw/prices_daily/schema.parquet",
    "data/raw/prices_daily/ticker=SPY/data.parquet",
    f"{VERSION}/spec.json",
    f"{Path(VERSION).parent}/history.jsonl",
    f"{Path(VERSION).parent}/latest",
    "tuning/ticker=SPY/horizon=24h/logistic/all-1.journal",
    "training/spread_trunk/ticker=SPY/0123456789abcdef/epoch",
]
