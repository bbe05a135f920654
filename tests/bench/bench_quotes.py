"""A backtest straight from a file of quotes: by the command line, and beside optopsy, by trade and by time.

``measure()`` times ``trading-dag backtest --quotes`` from process start to the printed result on 188,788 real quotes
of SPY, and one put spread on a simulated chain of bids and asks in both libraries, each in a process of its own.
optopsy needs a Python and a pandas of its own, so it is run by the interpreter that TRADING_DAG_BENCH_OPTOPSY names
(``python3.12 -m venv X && X/bin/pip install optopsy==2.3.0 pyarrow``); without one it is left out.
``python -m tests.bench.bench_quotes`` prints it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
OPTOPSY = "TRADING_DAG_BENCH_OPTOPSY"
PEER_SCRIPT = Path(__file__).with_name("optopsy_script.py")
QUOTES = 188_788
SESSIONS = 250
EXIT_DAYS, LONGEST_DAYS = 7, 38
STRUCTURE = (
    "--structure", "bull_put_spread", "--delta", "0.3", "--width", "5", "--days", "21", "--exit", "profit_target=0.5",
    "--entries", "daily",
)  # fmt: skip


def measure(*, repeats: int = 5) -> dict[str, dict[str, float]]:
    """Every number; what the machine has not is left out."""
    data = Path(os.environ.get("TRADING_DAG_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if (data / "option_chain_eod.parquet").is_file():
            found["command"] = command(data / "option_chain_eod.parquet", work, repeats=repeats)
        peer = os.environ.get(OPTOPSY, "")
        if peer:
            found["peer"] = beside_optopsy(peer, work, repeats=repeats)
    return found


def command(chain: Path, work: Path, *, repeats: int) -> dict[str, float]:
    """Least wall and processor seconds from process start to the printed result.

    The first run compiles the modules, as an installation or a user's first command does; the least is of a later one.
    """
    import pandas as pd

    quotes = pd.read_parquet(chain, filters=[("ticker", "=", "SPY"), ("implied_volatility", ">", 0.0)])
    file = work / "spy.parquet"
    quotes.to_parquet(file, index=False)
    env = {**_environment(), "TRADING_DAG_HOME": str(work / "home"), "PYTHONPYCACHEPREFIX": str(work / "bytecode")}
    (work / "home").mkdir()
    arguments = (sys.executable, "-m", "trading_dag.cli", "backtest", "--quotes", str(file), *STRUCTURE)
    runs = [_timed(arguments, env) for _ in range(repeats)]
    return {
        "quotes": len(quotes),
        "seconds": min(run["seconds"] for run in runs),
        "processor_seconds": min(run["processor_seconds"] for run in runs),
    }


def beside_optopsy(python: str, work: Path, *, repeats: int) -> dict[str, float]:
    """The same put spread in both: how far profits a share differ where strikes agree, and seconds in turn.

    Both enter at every quote date, sell the put nearest to a delta of 0.30 and buy the one nearest to 0.10, each
    within 0.05 of it, at the bid and the ask, and leave with seven days left. optopsy trades every expiration within
    38 days; here each entry takes one, so each of its trades is looked for among its.
    """
    from tests.bench.bench_plans import simulate_chain

    chain = work / "chain.parquet"
    simulate_chain(chain, sessions=SESSIONS)
    _named(chain)
    runs: dict[str, list[float]] = {"ours": [], "theirs": []}
    answers: dict[str, Any] = {}
    scripts = {
        "ours": (sys.executable, "-m", "tests.bench.bench_quotes", str(chain)),
        "theirs": (python, str(PEER_SCRIPT), str(chain), str(EXIT_DAYS), str(LONGEST_DAYS)),
    }
    for _ in range(repeats):
        for name, arguments in scripts.items():
            run = _timed(arguments, _environment())
            runs[name].append(run["seconds"])
            answers[name] = json.loads(run["output"])
    theirs = {(row[0], row[1]): row[2:] for row in answers["theirs"]["trades"]}
    agreeing, differing, worst = 0, 0, 0.0
    for expiration, days, sold, bought, profit in answers["ours"]["trades"]:
        other = theirs.get((expiration, days))
        if other is None or other[:2] != [sold, bought]:
            differing += 1
            continue
        agreeing += 1
        worst = max(worst, abs(other[2] - profit))
    if not agreeing:
        raise RuntimeError("not one trade has the strikes that optopsy chooses")
    return {
        "trades": agreeing,
        "other_strikes": differing,
        "worst_difference": worst,
        "seconds": min(runs["ours"]),
        "their_seconds": min(runs["theirs"]),
        "ratio": min(runs["theirs"]) / min(runs["ours"]),
        "engine_seconds": answers["ours"]["seconds"],
        "their_engine_seconds": answers["theirs"]["seconds"],
    }


def ours(path: Path) -> dict[str, Any]:
    """What a user of this project writes for it."""
    import pandas as pd

    from trading_dag.backtest import AccountRules, ExpirationChoice, TargetDelta, backtest

    started = time.perf_counter()
    result = backtest(
        pd.read_parquet(path), "bull_put_spread", strikes=(TargetDelta(0.30, 0.05), TargetDelta(0.10, 0.05)),
        expiration=ExpirationChoice(30, EXIT_DAYS + 1, LONGEST_DAYS), entries="daily",
        exits={"days_to_expiration": EXIT_DAYS},
        account=AccountRules(account_usd=1e9, risk_fraction=1e-5, fee_per_leg_contract_usd=0.0),
    )  # fmt: skip
    closed = result.trades[result.trades["status"] == "closed"]
    seconds = time.perf_counter() - started
    rows = [
        [f"{row.expiration:%Y-%m-%d}", (row.expiration - row.entry_session).days, *row.strikes,
         (row.exit_prices[1] - row.exit_prices[0]) - (row.entry_prices[1] - row.entry_prices[0])]
        for row in closed.itertuples()
        # optopsy leaves with so many days left, or not at all; here a missing quote is waited for.
        if (row.expiration - row.exit_session).days == EXIT_DAYS
    ]  # fmt: skip
    return {"trades": rows, "seconds": seconds}


def _named(chain: Path) -> None:
    """Give the simulated file the underlying's name, which optopsy asks for, and sessions only."""
    import pandas as pd

    from trading_dag.sessions import all_sessions

    quotes = pd.read_parquet(chain).assign(ticker="SIM")
    days = pd.to_datetime(quotes["quote_date"]).dt.as_unit("us")
    quotes[days.isin(all_sessions())].to_parquet(chain, index=False)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRADING_DAG_", "DAGSTER_"))}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**kept, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _timed(arguments: tuple[str, ...], env: dict[str, str]) -> dict[str, Any]:
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(arguments, cwd=REPOSITORY, env=env, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "processor_seconds": busy, "output": done.stdout}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(ours(Path(sys.argv[1]))))
    else:
        for part, values in measure().items():
            print(part, {key: round(value, 17) for key, value in values.items()})
