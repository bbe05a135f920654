"""The main job as a plain script: the same pure functions, the same parallelism, no Dagster, no checks.

``python -m tests.bench.plain_job --source files --files DIR --out DIR`` is what the DAG is held against.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from trading_dag.settings import Settings


def _save(out: Path, name: str, key: str, frame: pd.DataFrame) -> None:
    folder = out / name / key
    folder.mkdir(parents=True, exist_ok=True)
    frame.attrs = {}
    frame.to_parquet(folder / "data.parquet", compression="zstd")


def _macro(settings: Settings, out: Path) -> pd.DataFrame:
    from resources.source import build_source
    from trading_dag.features.macro import build_macro

    raw = build_source(settings).macro()
    table = build_macro(raw)
    _save(out, "raw.macro", "all", raw)
    _save(out, "features.macro", "all", table)
    return table


def _market(settings: Settings, out: Path, ticker: str) -> None:
    from resources.source import build_source
    from trading_dag.features.feature_table import build_feature_table
    from trading_dag.features.implied_volatility import build_implied_volatility
    from trading_dag.features.technical import build_technical

    source = build_source(settings)
    macro = pd.read_parquet(out / "features.macro" / "all" / "data.parquet")
    prices, index = source.prices_daily(ticker), source.volatility_index(ticker)
    technical = build_technical(prices)
    implied = build_implied_volatility(index, technical)
    tables = {
        "prices": prices,
        "index": index,
        "technical": technical,
        "implied": implied,
        "features": build_feature_table(technical, implied, macro),
    }
    for name, frame in tables.items():
        _save(out, name, ticker, frame)


def _research(settings: Settings, out: Path, ticker: str, horizon_key: str) -> None:
    from resources.model_store import ModelStore
    from trading_dag import plots
    from trading_dag.backtest.engine import run_backtest
    from trading_dag.drift.psi import drift_report
    from trading_dag.labels import build_targets
    from trading_dag.models import direction_classifier, volatility_forecaster
    from trading_dag.sessions import horizon_of
    from trading_dag.strategy.recommendation import build_recommendations
    from trading_dag.validation.edge import admissibility, edge_to_date
    from trading_dag.validation.evaluation import evaluate

    horizon = horizon_of(horizon_key)
    read: dict[str, Any] = {
        name: pd.read_parquet(out / name / ticker / "data.parquet")
        for name in ("prices", "index", "technical", "implied", "features")
    }
    macro = pd.read_parquet(out / "features.macro" / "all" / "data.parquet")
    rates = macro[["session", "treasury_3m"]]
    prices, index, features = read["prices"], read["index"], read["features"]
    targets = build_targets(prices, read["technical"], read["implied"], horizon=horizon)
    classifier = direction_classifier.fit(features, targets, horizon=horizon, settings=settings.walk_forward)
    forecaster = volatility_forecaster.fit(features, targets, horizon=horizon, settings=settings.walk_forward)
    models = ModelStore(out / "models")
    versions = [models.save(classifier), models.save(forecaster)]
    direction = direction_classifier.predict(classifier, features, targets, horizon=horizon, prices=prices)
    volatility = volatility_forecaster.predict(forecaster, features, targets, horizon=horizon)
    metrics = evaluate(direction, volatility, horizon=horizon, settings=settings.bootstrap)
    edge = edge_to_date(direction, volatility)
    signals = build_recommendations(
        direction, volatility, prices, index, edge=edge, rates=rates, horizon=horizon, settings=settings
    )
    result = run_backtest(
        signals, prices, index, rates=rates, horizon=horizon, settings=settings, gate=admissibility(metrics)
    )
    live = classifier.folds[-1]
    drift = (
        pd.DataFrame()
        if live.fitted_through is None
        else drift_report(features, fitted_through=live.fitted_through, settings=settings.drift)
    )
    for figure in (
        plots.calibration(direction),
        plots.forecast_against_outcome(direction),
        plots.regime_confusion(volatility),
        plots.skill_against_baseline(metrics),
        plots.equity_against_benchmark(result.equity, ticker),
    ):
        plots.to_png(figure)
    tables = {
        "targets": targets,
        "selection": pd.concat([classifier.feature_selection(), forecaster.feature_selection()]),
        "registry": pd.concat([classifier.registry(versions[0]), forecaster.registry(versions[1])]),
        "direction": direction,
        "volatility": volatility,
        "metrics": metrics,
        "signals": signals,
        "trades": result.trades,
        "equity": result.equity,
        "summary": result.summary,
        "drift": drift,
    }
    for name, frame in tables.items():
        _save(out, name, f"{ticker}-{horizon_key}", frame)


def _one_thread() -> None:
    from assets.execution import THREAD_VARIABLES

    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))


def main() -> None:
    """Run the job; everything lands below ``--out``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    out: Path = parser.parse_args().out
    settings = Settings()
    tickers, horizons = settings.active_tickers, settings.horizons
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(settings.workers, mp_context=context, initializer=_one_thread) as pool:
        pool.submit(_macro, settings, out).result()
        for done in [pool.submit(_market, settings, out, ticker) for ticker in tickers]:
            done.result()
        pairs = [(ticker, horizon) for ticker in tickers for horizon in horizons]
        for done in [pool.submit(_research, settings, out, *pair) for pair in pairs]:
            done.result()


if __name__ == "__main__":
    main()
