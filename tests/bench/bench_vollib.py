"""Greeks and implied volatilities beside fast-vollib (compiled by numba), on the same contracts, turn by turn.

fast-vollib needs numba, and with it a NumPy of its own, so it is run by the interpreter that TRADING_DAG_BENCH_VOLLIB
names (``python3.11 -m venv X && X/bin/pip install fast-vollib==0.2.4 numba``); without one it is left out. Its Greeks
are ``get_all_greeks`` on its numba backend (five of them; ours are eight and the price), its volatilities those of its
module ``jackel``. Compiling and loading are left out of both. ``python -m tests.bench.bench_vollib`` prints it.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.bench_options import drawn_contracts

VOLLIB = "TRADING_DAG_BENCH_VOLLIB"
PEER_SCRIPT = Path(__file__).with_name("vollib_script.py")
CONTRACTS = 250_000
ROUNDS = 3
REPEATS = 5


def measure() -> dict[str, float]:
    """Ratios of the least seconds and the largest differences; empty without the peer's interpreter."""
    python = os.environ.get(VOLLIB, "")
    if not python:
        return {}
    from trading_dag.options.pricing.black_scholes import price
    from trading_dag.options.pricing.greeks import greeks
    from trading_dag.options.pricing.implied_volatility import implied_volatility

    contracts = drawn_contracts(CONTRACTS)
    prices = price(**contracts)
    without = {name: values for name, values in contracts.items() if name != "volatility"}
    ours: dict[str, list[float]] = {"greeks": [], "volatilities": []}
    theirs: dict[str, list[float]] = {"greeks": [], "volatilities": []}
    with tempfile.TemporaryDirectory() as folder:
        given, results = Path(folder) / "contracts.npz", Path(folder) / "results.npz"
        np.savez(given, price=prices, **contracts)
        for _ in range(ROUNDS):
            ours["greeks"].append(_least(lambda: greeks(**contracts)))
            ours["volatilities"].append(_least(lambda: implied_volatility(price=prices, **without)))
            command = [python, str(PEER_SCRIPT), str(given), str(results), str(REPEATS)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            for name, seconds in json.loads(done.stdout.splitlines()[-1]).items():
                theirs[name].append(seconds)
        with np.load(results) as told:
            delta, volatility = told["delta"], told["volatility"]
    found = implied_volatility(price=prices, **without)
    is_resolved = found > 0.0
    return {
        **{f"{name}_ratio": min(theirs[name]) / min(ours[name]) for name in ours},
        "largest_delta_difference": float(np.abs(greeks(**contracts).delta - delta).max()),
        "volatilities_it_misses": float((~(np.abs(volatility - contracts["volatility"]) <= 1e-4))[is_resolved].mean()),
        "volatilities_we_miss": float((~(np.abs(found - contracts["volatility"]) <= 1e-4))[is_resolved].mean()),
    }


def _least(call: Callable[[], Any]) -> float:
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return min(taken)


if __name__ == "__main__":
    for what, value in measure().items():
        print(f"{what:28s}{value:12.4g}")
