"""How many implied volatilities, and prices with eight Greeks, a second; against QuantLib in a Python loop.

Run ``python -m tests.bench.bench_options``. Each figure is of a process of its own: contracts divided by the seconds
from the start of the process to the end of its imports plus those of its first call (for Greeks, of its batches).
Drawing the contracts is left out. They are log-uniform over strikes of 20–500 % of spot, one day to three years and
volatility 1–300 %; their prices are ours, and more than half have a time value below the resolution of a double, which
the solver must see too. QuantLib does a sample in the same process, volatilities only where time value is resolved.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path

import numpy as np

from trading_dag.arrays import FloatArray, IntArray

REPOSITORY = Path(__file__).resolve().parents[2]
PEER_SAMPLE = 10_000
# Greeks are computed as a chain's analytics are, a day or so of contracts at a time, and each result is let go. In one
# call the nine columns of 8 million contracts are 576 MB of fresh memory, which the system has to find and clear;
# that figure is given too.
BATCH = 250_000
Contracts = dict[str, FloatArray]


def drawn_contracts(count: int, *, seed: int = 42) -> Contracts:
    """Seeded contracts over the whole domain; for timing only."""
    generator = np.random.default_rng(seed)

    def log_uniform(low: float, high: float) -> FloatArray:
        values = generator.uniform(math.log(low), math.log(high), count)
        return np.exp(values, out=values)

    return {
        "spot": np.full(count, 100.0),
        "strike": log_uniform(20.0, 500.0),
        "years": log_uniform(1.0 / 365.0, 3.0),
        "rate": generator.uniform(0.0, 0.06, count),
        "dividend_yield": generator.uniform(0.0, 0.03, count),
        "volatility": log_uniform(0.01, 3.0),
        "is_call": generator.random(count) < 0.5,
    }


def implied_volatility_job(count: int, started: float) -> dict[str, float]:
    """Solve for every contract once, then let QuantLib solve some."""
    from trading_dag.options.pricing.black_scholes import price
    from trading_dag.options.pricing.implied_volatility import implied_volatility

    startup = time.time() - started
    contracts = drawn_contracts(count)
    values = price(**contracts)
    volatility = contracts.pop("volatility")
    began = time.perf_counter()
    found = implied_volatility(price=values, **contracts)
    seconds = time.perf_counter() - began
    again = price(**contracts, volatility=np.nan_to_num(found))
    larger = np.maximum(
        contracts["spot"] * np.exp(-contracts["dividend_yield"] * contracts["years"]),
        contracts["strike"] * np.exp(-contracts["rate"] * contracts["years"]),
    )
    resolved = np.flatnonzero(found > 0)
    return {
        "startup_seconds": startup,
        "seconds": seconds,
        "below_resolution_fraction": float((found == 0).mean()),
        "nan_fraction": float(np.isnan(found).mean()),
        "largest_repricing_error_epsilons": float((np.abs(again - values)[resolved] / larger[resolved]).max() / 2**-52),
        **_peer_volatilities(contracts, values, volatility, resolved[:PEER_SAMPLE]),
    }


def greeks_job(count: int, started: float) -> dict[str, float]:
    """Price and Greeks of every contract in batches, then once more in one call, then QuantLib's of some."""
    from trading_dag.options.pricing.greeks import greeks

    startup = time.time() - started
    contracts = drawn_contracts(count)
    began = time.perf_counter()
    for start in range(0, count, BATCH):
        greeks(**{name: values[start : start + BATCH] for name, values in contracts.items()})
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    greeks(**contracts)
    whole_seconds = time.perf_counter() - began
    return {
        "startup_seconds": startup,
        "seconds": seconds,
        "whole_seconds": whole_seconds,
        **_peer_greeks(contracts),
    }


def _rows(contracts: Contracts, rows: IntArray) -> list[tuple[bool, float, float, float, float]]:
    """Call?, strike, forward, discount factor and years of some contracts, as Python numbers."""
    c = {name: values[rows] for name, values in contracts.items()}
    forward = c["spot"] * np.exp((c["rate"] - c["dividend_yield"]) * c["years"])
    discount = np.exp(-c["rate"] * c["years"])
    columns = (c["is_call"], c["strike"], forward, discount, c["years"])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _peer_volatilities(
    contracts: Contracts, values: FloatArray, volatility: FloatArray, rows: IntArray
) -> dict[str, float]:
    import QuantLib

    contract_rows, prices = _rows(contracts, rows), values[rows].tolist()
    found = np.full(rows.size, np.nan)
    began = time.perf_counter()
    for position, ((is_call, strike, forward, discount, years), value) in enumerate(
        zip(contract_rows, prices, strict=True)
    ):
        side = QuantLib.Option.Call if is_call else QuantLib.Option.Put
        try:
            deviation = QuantLib.blackFormulaImpliedStdDev(side, strike, forward, value, discount)
        except RuntimeError:
            continue
        found[position] = deviation / math.sqrt(years)
    seconds = time.perf_counter() - began
    is_off = ~(np.abs(found - volatility[rows]) <= 1e-4)
    return {"quantlib_per_second": rows.size / seconds, "quantlib_off_by_a_hundredth_of_a_point": float(is_off.mean())}


def _peer_greeks(contracts: Contracts) -> dict[str, float]:
    import QuantLib

    rows = np.arange(min(PEER_SAMPLE, contracts["spot"].size))
    contract_rows, deviations = _rows(contracts, rows), contracts["volatility"][rows].tolist()
    spots = contracts["spot"][rows].tolist()
    began = time.perf_counter()
    for (is_call, strike, forward, discount, years), sigma, spot in zip(contract_rows, deviations, spots, strict=True):
        payoff = QuantLib.PlainVanillaPayoff(QuantLib.Option.Call if is_call else QuantLib.Option.Put, strike)
        calculator = QuantLib.BlackCalculator(payoff, forward, sigma * math.sqrt(years), discount)
        calculator.value()
        calculator.delta(spot)
        calculator.gamma(spot)
        calculator.vega(years)
        calculator.theta(spot, years)
        calculator.rho(years)
    return {"quantlib_per_second": rows.size / (time.perf_counter() - began)}


JOBS = {"implied_volatility": implied_volatility_job, "greeks": greeks_job}


def measure(n_contracts: int = 8_000_000, *, rounds: int = 3) -> dict[str, float]:
    """Medians over processes: contracts a second from process start, the parts, and how many times QuantLib's rate."""
    # Imported here and below, so that the processes that are timed from their start do not load them.
    import statistics

    result: dict[str, float] = {"contracts": float(n_contracts)}
    for name in JOBS:
        done = [_run(name, n_contracts) for _ in range(rounds)]
        figures = {figure: statistics.median(one[figure] for one in done) for figure in done[0]}
        rates = [n_contracts / (one["startup_seconds"] + one["seconds"]) for one in done]
        figures["per_second"] = statistics.median(rates)
        figures["best_per_second"] = max(rates)
        figures["per_second_without_startup"] = n_contracts / figures["seconds"]
        figures["ratio"] = figures["per_second"] / figures["quantlib_per_second"]
        result.update({f"{name}_{figure}": value for figure, value in figures.items()})
    return result


def _run(name: str, count: int) -> dict[str, float]:
    import subprocess

    command = [sys.executable, "-m", "tests.bench.bench_options", name, str(count), repr(time.time())]
    done = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def main() -> None:
    """Print the table, or with arguments the figures of one job."""
    if len(sys.argv) == 4:
        print(json.dumps(JOBS[sys.argv[1]](int(sys.argv[2]), float(sys.argv[3]))))
        return
    result = measure()
    print(f"{result['contracts']:.0f} contracts, medians of processes; million a second from process start (best)")
    for name, title in (("implied_volatility", "implied volatility"), ("greeks", "price and 8 Greeks")):
        rate, best = result[f"{name}_per_second"], result[f"{name}_best_per_second"]
        call = result[f"{name}_per_second_without_startup"]
        peer, startup = result[f"{name}_quantlib_per_second"], result[f"{name}_startup_seconds"]
        print(f"  {title:<20} {rate / 1e6:6.1f} ({best / 1e6:.1f}); the call {call / 1e6:.1f}, start {startup:.2f} s")
        if f"{name}_whole_seconds" in result:
            whole = result["contracts"] / (startup + result[f"{name}_whole_seconds"])
            print(f"  {'  in one call':<20} {whole / 1e6:6.1f}")
        print(f"  {'  QuantLib in a loop':<20} {peer / 1e6:6.2f}; times faster {result[f'{name}_ratio']:.0f}")
    print(f"  largest repricing error {result['implied_volatility_largest_repricing_error_epsilons']:.1f} ε·M")
    off = result["implied_volatility_quantlib_off_by_a_hundredth_of_a_point"]
    print(f"  QuantLib off by more than 0.01 volatility points, or failed: {off:.1%} of its sample")


if __name__ == "__main__":
    main()
