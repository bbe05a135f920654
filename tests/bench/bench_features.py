"""How long every feature table takes: on real data in full and for a new session, and on a growing simulated universe.

Run ``python -m tests.bench.bench_features DATA``. A new session costs what the whole history costs: every row is
computed again, so nothing can differ from a full computation. The market states' parameters are fitted beforehand, as
they are stored. Each size of the simulated universe is a process of its own; it makes the raw tables of one ticker
after another (option chains apart) and their features, and keeps none.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

REPOSITORY = Path(__file__).resolve().parents[2]
TICKERS = ("SPY", "QQQ", "IWM")
SIZES = (20, 500)
_KILOBYTES_PER_MEGABYTE = 1024


def all_features(raw: dict[str, pd.DataFrame], models: pd.DataFrame, named: tuple[str, ...] = ("SPY",)) -> pd.DataFrame:
    """The feature table of one ticker from its raw tables; ``macro`` is that of the features, ``benchmarks`` are bars
    of the named ones.
    """
    from trading_dag.features.cross_asset import build_cross_asset
    from trading_dag.features.earnings import build_earnings
    from trading_dag.features.economic_calendar import build_economic_calendar
    from trading_dag.features.feature_table import build_feature_table
    from trading_dag.features.implied_volatility import build_implied_volatility
    from trading_dag.features.intraday import build_intraday
    from trading_dag.features.regime_inputs import build_regime, build_regime_inputs
    from trading_dag.features.sentiment import build_sentiment
    from trading_dag.features.technical import build_technical
    from trading_dag.models.volatility.regime_hmm import predict

    prices = raw["prices"]
    ticker = str(prices["ticker"].iloc[0])
    technical = build_technical(prices)
    implied = build_implied_volatility(raw["volatility_index"], technical)
    return build_feature_table(
        technical,
        implied,
        raw["macro"],
        sentiment=build_sentiment(raw["news"], raw["social_mentions"], implied_volatility=implied),
        earnings=build_earnings(raw["earnings"], prices, implied_volatility=implied),
        economic_calendar=build_economic_calendar(raw["economic_calendar"], prices),
        intraday=build_intraday(raw["prices_hourly"], prices),
        regime=build_regime(predict(build_regime_inputs(technical), models, ticker=ticker)),
        cross_asset=build_cross_asset(technical, raw["benchmarks"], named=named),
    )


def raw_tables(
    source: Any, ticker: str, *, macro: pd.DataFrame, calendar: pd.DataFrame, benchmarks: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """What a source gives for a ticker, beside what all tickers share."""
    return {
        "benchmarks": benchmarks,
        "prices": source.prices_daily(ticker),
        "volatility_index": source.volatility_index(ticker),
        "macro": macro,
        "news": source.news(ticker),
        "social_mentions": source.social_mentions(ticker),
        "earnings": source.earnings(ticker),
        "economic_calendar": calendar,
        "prices_hourly": source.prices_hourly(ticker),
    }


def fitted_states(raw: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Parameters of the market states."""
    from trading_dag.features.regime_inputs import build_regime_inputs
    from trading_dag.features.technical import build_technical
    from trading_dag.models.volatility.regime_hmm import fit_missing_years

    ticker = str(raw["prices"]["ticker"].iloc[0])
    return fit_missing_years(build_regime_inputs(build_technical(raw["prices"])), ticker=ticker)


def real_features(data: Path) -> dict[str, float]:
    """Seconds for all features of three tickers, and for those of one ticker, once the libraries are loaded."""
    from resources.sources.files.source import FilesSource
    from trading_dag.features.macro import build_macro

    source = FilesSource(data)
    macro_rows, calendar = source.macro(), source.economic_calendar()
    benchmarks = pd.concat([source.prices_daily(ticker) for ticker in TICKERS], ignore_index=True)
    raw = {
        ticker: raw_tables(source, ticker, macro=macro_rows, calendar=calendar, benchmarks=benchmarks)
        for ticker in TICKERS
    }
    models = {ticker: fitted_states(raw[ticker]) for ticker in TICKERS}
    started = time.perf_counter()
    macro = build_macro(macro_rows)
    rows = sum(len(all_features({**raw[ticker], "macro": macro}, models[ticker], TICKERS)) for ticker in TICKERS)
    all_seconds = time.perf_counter() - started
    started = time.perf_counter()
    all_features({**raw["SPY"], "macro": macro}, models["SPY"], TICKERS)
    return {"all_seconds": all_seconds, "one_ticker_seconds": time.perf_counter() - started, "rows": rows}


def simulated_universe(count: int) -> dict[str, float]:
    """Raw tables and features of so many tickers × 10 years, in this process."""
    from resources.sources.simulated import SimulatedSource
    from trading_dag.features.macro import build_macro
    from trading_dag.simulation.simulation_settings import SimulationSettings

    settings = SimulationSettings(underlyings=count)
    source = SimulatedSource(settings)
    macro, calendar, market = build_macro(source.macro()), source.economic_calendar(), source.prices_daily("SPY")
    shared = {"macro": macro, "calendar": calendar, "benchmarks": market}
    models = fitted_states(raw_tables(source, settings.names[0], **shared))
    started = time.perf_counter()
    rows = 0
    for ticker in settings.names:
        rows += len(all_features(raw_tables(source, ticker, **shared), models))
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KILOBYTES_PER_MEGABYTE
    return {"tickers": count, "seconds": seconds, "peak_megabytes": peak, "rows": rows}


def measure(data: Path | None) -> dict[str, Any]:
    """Figures of the real features (where there are real data) and of the simulated universe."""
    found: dict[str, Any] = {}
    if data is not None:
        found["real"] = _in_process("real", str(data))
    sizes = [_in_process("simulated", str(size)) for size in SIZES]
    smallest, largest = sizes[0], sizes[-1]
    found["simulated"] = sizes
    found["exponent_in_time"] = _exponent(smallest, largest, "seconds")
    found["exponent_in_memory"] = _exponent(smallest, largest, "peak_megabytes")
    return found


def _exponent(smaller: dict[str, float], larger: dict[str, float], what: str) -> float:
    return math.log(larger[what] / smaller[what]) / math.log(larger["tickers"] / smaller["tickers"])


def _in_process(kind: str, argument: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.bench_features", kind, argument]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """One job in this process, or all of them in theirs."""
    if len(sys.argv) == 3:
        kind, argument = sys.argv[1:]
        figures = real_features(Path(argument)) if kind == "real" else simulated_universe(int(argument))
        print(json.dumps(figures))
    else:
        print(json.dumps(measure(Path(sys.argv[1]) if len(sys.argv) > 1 else None), indent=1))


if __name__ == "__main__":
    main()
