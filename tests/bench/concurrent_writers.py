"""Eight processes write different slices while four read through ``warehouse.duckdb``: errors and torn reads.

A slice is torn where a reader sees rows of two versions (every version has one value in every row), or misses one that
it has seen before. The readers are of three kinds: ``warehouse``, the project's own; ``duckdb``, the same file opened
with nothing but DuckDB; ``shared_file``, one DuckDB file that writers and readers open, as dagster-duckdb's IO manager
does.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Literal, get_args

WRITERS = 8
READERS = 4
ROWS = 2_000
Kind = Literal["warehouse", "duckdb", "shared_file"]
READ = "SELECT ticker, count(*), count(DISTINCT close), min(close) FROM raw.prices_daily GROUP BY ticker"


def _frame(ticker: str, version: int) -> Any:
    import pandas as pd

    from trading_dag.sessions import all_sessions

    value = 1.0 + version
    return pd.DataFrame(
        {
            "ticker": ticker,
            "session": all_sessions()[:ROWS],
            **dict.fromkeys(("open", "high", "low", "close", "adj_close", "volume", "split_factor"), value),
            "dividend": 0.0,
        }
    )


def _ticker(number: int) -> str:
    return f"T{number}"


def _write(home: Path, number: int, seconds: float, kind: Kind, results: Any) -> None:
    from resources.storage.parquet_store import ParquetStore, SliceKey
    from trading_dag.schemas import PRICES_DAILY

    store, counts, version, end = ParquetStore(home), Counter[str](), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        version += 1
        frame = _frame(_ticker(number), version)
        try:
            if kind == "shared_file":
                _write_shared_file(home, frame, _ticker(number))
            else:
                store.write(PRICES_DAILY, SliceKey(_ticker(number)), frame)
            counts["writes"] += 1
        except Exception as error:  # noqa: BLE001  (the benchmark counts every kind of failure)
            counts["write errors"] += 1
            counts[f"{type(error).__name__}: {error}"] += 1
    results.put(dict(counts))


def _write_shared_file(home: Path, frame: Any, ticker: str) -> None:
    import duckdb

    with duckdb.connect(str(home / "shared.duckdb")) as connection:
        connection.register("frame", frame)
        connection.execute("CREATE SCHEMA IF NOT EXISTS raw")
        connection.execute("CREATE TABLE IF NOT EXISTS raw.prices_daily AS SELECT * FROM frame WHERE false")
        connection.execute("BEGIN")
        connection.execute("DELETE FROM raw.prices_daily WHERE ticker = ?", [ticker])
        connection.execute("INSERT INTO raw.prices_daily SELECT * FROM frame")
        connection.execute("COMMIT")


def _read(home: Path, seconds: float, kind: Kind, results: Any) -> None:
    import duckdb

    from resources.storage.parquet_store import ParquetStore
    from resources.storage.warehouse import Warehouse

    counts, end = Counter[str](), time.monotonic() + seconds
    warehouse = Warehouse(ParquetStore(home))
    path = home / "shared.duckdb" if kind == "shared_file" else warehouse.path
    seen: set[str] = set()
    while time.monotonic() < end:
        try:
            if kind == "warehouse":
                rows = list(warehouse.query(READ).itertuples(index=False, name=None))
            else:
                with duckdb.connect(str(path), read_only=True) as connection:
                    rows = connection.execute(READ).fetchall()
            counts["reads"] += 1
            counts["torn reads"] += sum(1 for _, n, versions, _ in rows if n != ROWS or versions != 1)
            counts["torn reads"] += len(seen - {ticker for ticker, *_ in rows})
            seen |= {ticker for ticker, *_ in rows}
        except Exception as error:  # noqa: BLE001  (the benchmark counts every kind of failure)
            counts["read errors"] += 1
            counts[f"{type(error).__name__}: {error}"] += 1
    results.put(dict(counts))


def measure(seconds: float = 60.0, *, kind: Kind = "warehouse") -> dict[str, int]:
    """Counts of writes, reads, errors and torn reads."""
    from resources.storage.parquet_store import ParquetStore
    from resources.storage.warehouse import Warehouse

    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        Warehouse(ParquetStore(home)).ensure()
        results = context.Queue()
        processes = [
            context.Process(target=_write, args=(home, number, seconds, kind, results)) for number in range(WRITERS)
        ] + [context.Process(target=_read, args=(home, seconds, kind, results)) for _ in range(READERS)]
        for process in processes:
            process.start()
        total: Counter[str] = Counter({"writes": 0, "reads": 0, "write errors": 0, "read errors": 0, "torn reads": 0})
        for _ in processes:
            total.update(results.get(timeout=seconds + 120))
        for process in processes:
            process.join()
    return dict(total)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--kind", choices=get_args(Kind), default="warehouse")
    chosen = parser.parse_args()
    print(json.dumps(measure(chosen.seconds, kind=chosen.kind)))
