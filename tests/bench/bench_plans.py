"""Trade plans on option chains: seconds from process start to result, peak memory, and how cost grows.

The chains are files that are read straight, by ``tests.chain_quotes``. The commands read the stored chains and fit
the volatilities that vendors leave out (``StoredChain.quotes``); what that takes is not in these figures.

``measure()`` simulates a chain of 24.7 million quotes once, then times fresh Python processes: a weekly
put-credit-spread plan on it, 450 iron-condor rule sets on the real end-of-day chain, 1,000 random-entry
runs, and the first plan again on parts of the file. ``python -m tests.bench.bench_plans`` prints it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
SESSIONS = 4_290
EXPIRATIONS = 18
STRIKES = 160
SESSIONS_A_GROUP = 23
ROWS = SESSIONS * EXPIRATIONS * STRIKES * 2
RUNS = 1_000


def simulate_chain(path: Path, *, sessions: int = SESSIONS, seed: int = 7) -> int:
    """A Parquet file of Black–Scholes quotes on a random walk, sorted and in row groups as imports store them.

    18 weekly expirations, 160 strikes and both rights a session; cents, deltas to four places.
    """
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq
    from scipy.special import ndtr

    generator = np.random.default_rng(seed)
    days = pd.bdate_range("2008-01-02", periods=sessions).to_numpy().astype("datetime64[D]").astype(np.int64)
    spot = np.round(300.0 * np.exp(np.cumsum(generator.normal(0.0002, 0.011, sessions))), 2)
    writer, rows = None, 0
    for start in range(0, sessions, SESSIONS_A_GROUP):
        day, price = days[start : start + SESSIONS_A_GROUP], spot[start : start + SESSIONS_A_GROUP]
        # Fridays (1970-01-02 was one) from the next on.
        friday = day + (1 - day) % 7
        expiration = friday[:, None] + 7 * np.arange(EXPIRATIONS)
        step = np.maximum(np.round(price / 300.0), 1.0)
        strike = (np.round(price / step)[:, None] + np.arange(STRIKES) - STRIKES // 2) * step[:, None]
        shape = (len(day), EXPIRATIONS, 2, STRIKES)
        s, k = price[:, None, None, None], strike[:, None, None, :]
        years = np.maximum(expiration - day[:, None], 0.25)[:, :, None, None] / 365.0
        moneyness = np.log(k / s)
        volatility = np.broadcast_to(0.18 - 0.25 * moneyness + 0.6 * moneyness**2, (len(day), 1, 1, STRIKES))
        deviation = volatility * np.sqrt(years)
        d1 = -moneyness / deviation + 0.5 * deviation
        call = s * ndtr(d1) - k * ndtr(d1 - deviation)
        fair = np.concatenate([call, call - s + k], axis=2)
        delta = np.concatenate([ndtr(d1), ndtr(d1) - 1.0], axis=2)
        half = np.maximum(0.01, 0.01 * fair)
        columns = {
            "quote_date": pa.array(np.repeat(day, EXPIRATIONS * 2 * STRIKES).astype(np.int32)).cast(pa.date32()),
            "expiration": pa.array(
                np.broadcast_to(expiration[:, :, None, None], shape).astype(np.int32).ravel()
            ).cast(pa.date32()),
            "option_right": pa.array(
                np.broadcast_to(np.array(["C", "P"])[None, None, :, None], shape).ravel().tolist()
            ),
            "strike": np.broadcast_to(k, shape).ravel(),
            "bid": np.round(np.maximum(fair - half, 0.0), 2).ravel(),
            "ask": np.round(np.maximum(fair + half, 0.01), 2).ravel(),
            "volume": generator.integers(0, 5_000, math.prod(shape)),
            "implied_volatility": np.round(np.broadcast_to(volatility, shape), 4).ravel(),
            "delta": np.round(delta, 4).ravel(),
            "underlying_price": np.broadcast_to(s, shape).ravel(),
        }  # fmt: skip
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=table.num_rows)
        rows += table.num_rows
    if writer is not None:
        writer.close()
    return rows


def put_spread_plan() -> Any:
    """Weekly 30/10-delta put credit spread, about 30 days; leaves at 50 %, at twice the credit lost, at 7 days."""
    from trading_dag.backtest.plans.exit_rules import ExitRules
    from trading_dag.backtest.plans.trade_plan import ExpirationChoice, TargetDelta, TradePlan
    from trading_dag.options.structures.structure import structure_of

    return TradePlan(
        "put credit spread",
        structure_of("bull_put_spread"),
        (TargetDelta(0.30), TargetDelta(0.10)),
        ExpirationChoice(30, 21, 38),
        ExitRules(profit_target_fraction=0.5, stop_premium_multiple=2.0, days_to_expiration=7),
    )


def simulated_market(path: Path) -> Any:
    """Puts of at most 38 days of the simulated file."""
    from tests.chain_quotes import QuoteFilter, read_chain_quotes
    from trading_dag.backtest.markets.chain_market import chain_market
    from trading_dag.backtest.plans.trade_plan import FillAssumptions

    quotes = read_chain_quotes(
        path, keep=QuoteFilter(option_rights=("P",), maximum_days=38), columns=("bid", "ask", "delta")
    )
    return chain_market(quotes, ticker="SIM", fills=FillAssumptions())


def run_put_spreads(path: Path) -> dict[str, float]:
    """The weekly plan on the whole file, to the frames of trades and equity."""
    from trading_dag.backtest.runs.plan_runs import run_plan
    from trading_dag.backtest.trades.entries import entries_weekly

    market = simulated_market(path)
    started = time.perf_counter()
    result = run_plan(market, put_spread_plan(), entries=entries_weekly(market))
    trades, equity = result.trades(), result.equity()
    return {
        "trades": int((trades["status"] != "skipped").sum()),
        "skipped": int((trades["status"] == "skipped").sum()),
        "sessions": len(equity),
        "rows_kept": len(market.key),
        "engine_seconds": time.perf_counter() - started,
    }


def run_condors(path: Path) -> dict[str, float]:
    """450 named rule sets: 5 deltas × 5 widths × 18 exits, every session an entry."""
    from tests.chain_quotes import QuoteFilter, read_chain_quotes
    from trading_dag.backtest.markets.chain_market import chain_market
    from trading_dag.backtest.plans.exit_rules import ExitRules
    from trading_dag.backtest.plans.trade_plan import ExpirationChoice, FillAssumptions, TargetDelta, TradePlan, Width
    from trading_dag.backtest.runs.plan_runs import run_plans
    from trading_dag.backtest.trades.entries import entries_every_session
    from trading_dag.options.structures.structure import structure_of

    quotes = read_chain_quotes(
        path, keep=QuoteFilter(ticker="SPY"), columns=("last", "volume", "implied_volatility", "delta")
    )
    market = chain_market(quotes, ticker="SPY", fills=FillAssumptions())
    condor = structure_of("iron_condor")
    exits = [
        ExitRules(profit_target_fraction=target, stop_premium_multiple=stop, days_to_expiration=days)
        for target in (0.25, 0.5, 0.75)
        for stop in (1.0, 2.0, 3.0)
        for days in (0, 5)
    ]
    plans = [
        TradePlan(
            f"condor {delta} {width} {rules.profit_target_fraction} {rules.stop_premium_multiple} "
            f"{rules.days_to_expiration}",
            condor,
            (TargetDelta(delta), Width(0, width), TargetDelta(delta), Width(2, width)),
            ExpirationChoice(21, 7, 40),
            rules,
        )
        for delta in (0.10, 0.15, 0.20, 0.25, 0.30)
        for width in (2.0, 3.0, 5.0, 7.0, 10.0)
        for rules in exits
    ]
    results = run_plans(market, plans, entries=entries_every_session(market))
    named = {
        result.plan.name: (result.total_profit_usd, float(result.history.equity[-1]), result.skip_reasons())
        for result in results
    }
    return {"rule_sets": len(named), "trades": sum(int(result.is_taken.sum()) for result in results)}


def run_random_entries(path: Path) -> dict[str, float]:
    """The weekly plan against 1,000 runs on random sessions."""
    from trading_dag.backtest.runs.plan_runs import random_entry_runs, run_plan
    from trading_dag.backtest.trades.entries import entries_weekly

    market = simulated_market(path)
    result = run_plan(market, put_spread_plan(), entries=entries_weekly(market))
    luck = random_entry_runs(market, result, runs=RUNS, seed=42)
    return {"runs": RUNS, "sessions": luck.sessions, "p_value": luck.p_value}


def run_growth(path: Path) -> dict[str, float]:
    """How processor seconds of the engine alone grow with entries: every session once, twice, four and eight times."""
    import numpy as np

    from trading_dag.backtest.runs.plan_runs import run_plan
    from trading_dag.backtest.trades.entries import entries_at

    market = simulated_market(path)
    points = []
    for copies in (1, 2, 4, 8):
        entries = entries_at(market, np.repeat(np.arange(len(market) - 40), copies))
        seconds = []
        for _ in range(3):
            started = time.process_time()
            run_plan(market, put_spread_plan(), entries=entries)
            seconds.append(time.process_time() - started)
        points.append((len(entries), min(seconds)))
    return {"exponent": exponent(points), "entries": points[-1][0], "engine_seconds": points[-1][1]}


PARTS = {
    "put_spreads": run_put_spreads,
    "condors": run_condors,
    "random_entries": run_random_entries,
    "growth": run_growth,
}


def exponent(points: list[tuple[int, float]]) -> float:
    """Slope of log seconds on log size by least squares; 1 is linear."""
    x, y = ([math.log(point[axis]) for point in points] for axis in (0, 1))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return above / sum((a - mean_x) ** 2 for a in x)


def fresh_process(part: str, path: Path, *, repeats: int = 3) -> dict[str, float]:
    """The best of some fresh processes: wall and processor seconds from start to end, peak resident megabytes."""
    answers = []
    for _ in range(repeats):
        busy = _processor_seconds_of_children()
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.bench_plans", "--part", part, "--path", str(path)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        output, _ = process.communicate()
        seconds = time.perf_counter() - started
        if process.returncode:
            raise RuntimeError(f"{part} ended with {process.returncode}")
        busy = _processor_seconds_of_children() - busy
        answers.append({**json.loads(output), "seconds": seconds, "processor_seconds": busy})
    return min(answers, key=lambda answer: answer["seconds"])


def measure(*, sessions: int = SESSIONS, work: Path | None = None) -> dict[str, dict[str, float]]:
    """Every number of this page; without the real data the condors are left out."""
    data = Path(os.environ.get("TRADING_DAG_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    with tempfile.TemporaryDirectory() as folder:
        home = work or Path(folder)
        chain = home / "chain.parquet"
        if not chain.is_file():
            simulate_chain(chain, sessions=sessions)
        result = {"put_spreads": fresh_process("put_spreads", chain)}
        if (data / "option_chain_eod.parquet").is_file():
            result["condors"] = fresh_process("condors", data / "option_chain_eod.parquet")
        result["random_entries"] = fresh_process("random_entries", chain, repeats=2)
        result["growth_in_trades"] = fresh_process("growth", chain, repeats=1)
        result["growth_in_rows"] = growth_in_rows(home, chain, sessions=sessions)
    return result


def growth_in_rows(home: Path, chain: Path, *, sessions: int) -> dict[str, float]:
    """How processor seconds of the first plan grow over an eighth, a quarter, a half and all of the sessions.

    What importing costs whatever the rows is measured on its own and taken off.
    """
    idle = min(_seconds_of_imports() for _ in range(3))
    points = []
    for part in (8, 4, 2, 1):
        path = chain if part == 1 else home / f"chain_{part}.parquet"
        if not path.is_file():
            simulate_chain(path, sessions=sessions // part)
        answers = [fresh_process("put_spreads", path, repeats=1) for _ in range(3)]
        seconds = min(answer["processor_seconds"] for answer in answers)
        points.append((sessions // part * EXPIRATIONS * STRIKES * 2, seconds - idle))
    return {"exponent": exponent(points), "seconds_of_imports": idle}


def _processor_seconds_of_children() -> float:
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _seconds_of_imports() -> float:
    before = _processor_seconds_of_children()
    subprocess.run(
        [sys.executable, "-c", "import pandas, pyarrow.parquet, trading_dag.backtest.runs.plan_runs"],
        cwd=REPOSITORY, check=True, env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    return _processor_seconds_of_children() - before


def main() -> None:
    """Print one part as JSON (for a fresh process), or measure everything."""
    import resource

    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=list(PARTS))
    parser.add_argument("--path", type=Path)
    parser.add_argument("--work", type=Path, help="folder that keeps the simulated files")
    chosen = parser.parse_args()
    if chosen.part is None:
        for name, values in measure(work=chosen.work).items():
            print(name, {key: round(value, 4) for key, value in values.items()})
        return
    answer = PARTS[chosen.part](chosen.path)
    answer["peak_megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
