"""The main job as a plain script: the same pure functions, the same parallelism, nothing else.

``python -m tests.bench.plain_job --out DIR`` is what the DAG is held against. It computes, judges every table by its
rules, probes the features for look-ahead, draws and stores. It has no Dagster, no Great Expectations, no provenance
and no recovery. ``--no-checks`` leaves out the rules and the probes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from trading_dag import schemas
from trading_dag.quality import empty_frame
from trading_dag.schemas import Table
from trading_dag.settings import Settings


@dataclass(frozen=True)
class Place:
    """Where the tables go, and whether they are judged first."""

    out: Path
    has_checks: bool

    def save(self, table: Table, ticker: str, horizon: str, frame: pd.DataFrame) -> None:
        """Judge a frame by the rules of its table, bring it into the table's shape, write it."""
        from trading_dag.quality import QualityContext, conform, examine, rules_of
        from trading_dag.sessions import last_closed_session

        if self.has_checks:
            findings = examine(table, frame, context=QualityContext(last_closed_session()))
            broken = [rule.name for rule in rules_of(table) if rule.is_blocking and findings[rule.name].count]
            if broken:
                raise RuntimeError(f"{table.qualified_name} {ticker} {horizon}: {broken}")
            frame = conform(frame, table, slice_key=f"{ticker} {horizon}")
        path = self.path(table, ticker, horizon)
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.attrs = {}
        frame.to_parquet(path, compression="zstd")

    def path(self, table: Table, ticker: str = "", horizon: str = "") -> Path:
        """File of a slice."""
        return self.out / table.qualified_name / f"{ticker}-{horizon}.parquet"

    def read(self, table: Table, ticker: str = "") -> pd.DataFrame:
        """A slice without horizon."""
        return pd.read_parquet(self.path(table, ticker))

    def probe(
        self,
        table: Table,
        build: Callable[..., pd.DataFrame],
        *,
        outcomes: tuple[str, ...] = (),
        **inputs: pd.DataFrame,
    ) -> None:
        """Hold a feature table against its own past."""
        from trading_dag.validation.lookahead import probe_lookahead

        if not self.has_checks:
            return
        columns = {
            name: next(column for column in ("known_on", "known", "ts", "session") if column in frame)
            for name, frame in inputs.items()
        }
        also_by = tuple(name for name in table.key if name not in (*table.slice_columns, table.session_column))
        if probe_lookahead(
            build, inputs, time_columns=columns, table=table.qualified_name, also_by=also_by, outcomes=outcomes
        ):
            raise RuntimeError(f"{table.qualified_name} looks ahead")


def _macro(settings: Settings, place: Place) -> None:
    from resources.sources.choose import build_source
    from trading_dag.features.macro import build_macro

    source = build_source(settings)
    raw = source.macro()
    place.save(schemas.MACRO, "", "", raw)
    place.save(schemas.ECONOMIC_CALENDAR, "", "", source.economic_calendar())
    place.probe(schemas.MACRO_TABLE, build_macro, macro=raw)
    place.save(schemas.MACRO_TABLE, "", "", build_macro(raw))


def _market(settings: Settings, place: Place, ticker: str) -> None:
    from resources.sources.choose import build_source
    from trading_dag.features.feature_table import build_feature_table
    from trading_dag.features.implied_volatility import build_implied_volatility
    from trading_dag.features.technical import build_technical

    source = build_source(settings)
    macro = place.read(schemas.MACRO_TABLE)
    prices, index = source.prices_daily(ticker), source.volatility_index(ticker)
    technical = build_technical(prices)
    implied = build_implied_volatility(index, technical)
    read = technical[["ticker", "session", "hv_20", "log_return_1d"]]
    place.probe(schemas.TECHNICAL, build_technical, prices=prices)
    place.probe(schemas.IMPLIED_VOLATILITY, build_implied_volatility, volatility_index=index, technical=read)
    models, regime = _regime(place, ticker, technical)
    events = _events(settings, place, ticker, prices, implied)
    joined = {"technical": technical, "implied_volatility": implied, "macro": macro, **events, "regime": regime}
    place.probe(schemas.FEATURE_TABLE, build_feature_table, **joined)
    tables = {
        schemas.REGIME_HMM: models,
        schemas.REGIME: regime,
        schemas.PRICES_DAILY: prices,
        schemas.VOLATILITY_INDEX: index,
        schemas.TECHNICAL: technical,
        schemas.IMPLIED_VOLATILITY: implied,
        schemas.FEATURE_TABLE: build_feature_table(**joined),
    }
    for table, frame in tables.items():
        place.save(table, ticker, "", frame)


def _regime(place: Place, ticker: str, technical: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fits of the market states, and the feature of them."""
    from trading_dag import plots
    from trading_dag.features.regime_inputs import build_regime, build_regime_inputs
    from trading_dag.models.volatility.regime_hmm import fit_missing_years, predict
    from trading_dag.plots.regime import market_states

    inputs = build_regime_inputs(technical)
    models = fit_missing_years(inputs, ticker=ticker)
    states = predict(inputs, models, ticker=ticker)
    plots.to_png(market_states(states))
    place.probe(
        schemas.PREDICTIONS_REGIME,
        lambda technical: predict(build_regime_inputs(technical), models, ticker=ticker),
        technical=technical,
    )
    place.probe(schemas.REGIME, build_regime, regime=states)
    place.save(schemas.PREDICTIONS_REGIME, ticker, "", states)
    return models, build_regime(states)


def _events(
    settings: Settings, place: Place, ticker: str, prices: pd.DataFrame, implied: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Features of news, mentions, announcements, the calendar and hourly bars, by the table they belong to."""
    from resources.sources.choose import build_source
    from trading_dag.features.earnings import announcement_known_at, build_earnings
    from trading_dag.features.economic_calendar import build_economic_calendar, event_known_at
    from trading_dag.features.intraday import build_intraday
    from trading_dag.features.sentiment import build_sentiment

    source = build_source(settings)
    calendar = place.read(schemas.ECONOMIC_CALENDAR)
    raw = {
        schemas.NEWS: source.news(ticker),
        schemas.SOCIAL_MENTIONS: source.social_mentions(ticker),
        schemas.EARNINGS: source.earnings(ticker),
        schemas.PRICES_HOURLY: source.prices_hourly(ticker),
    }
    for table, frame in raw.items():
        place.save(table, ticker, "", frame)
    news, mentions, earnings, hourly = raw.values()
    calls: dict[str, tuple[Table, Callable[..., pd.DataFrame], dict[str, pd.DataFrame]]] = {
        "sentiment": (schemas.SENTIMENT, build_sentiment, {
            "news": news.assign(known=news["known_at"]),
            "social_mentions": mentions.assign(known=mentions["known_at"]),
            "implied_volatility": implied,
        }),
        "earnings": (schemas.EARNINGS_TABLE, build_earnings, {
            "earnings": earnings.assign(known=announcement_known_at(earnings)),
            "prices": prices,
            "implied_volatility": implied,
        }),
        "economic_calendar": (schemas.ECONOMIC_CALENDAR_TABLE, build_economic_calendar, {
            "economic_calendar": calendar.assign(known=event_known_at(calendar)),
            "prices": prices,
        }),
        "intraday": (schemas.INTRADAY, build_intraday, {"prices_hourly": hourly, "prices": prices}),
    }  # fmt: skip
    built = {}
    for name, (table, build, inputs) in calls.items():
        place.probe(table, build, **inputs)
        built[name] = build(**inputs)
        place.save(table, ticker, "", built[name])
    return built


def _research(settings: Settings, place: Place, ticker: str, horizon_key: str) -> None:
    from resources.storage.models.store import ModelStore
    from trading_dag import plots
    from trading_dag.backtest.runs.signal_backtest import run_backtest
    from trading_dag.backtest.runs.structure_comparison import compare_modelled
    from trading_dag.drift.psi import drift_report
    from trading_dag.labels import build_targets
    from trading_dag.models.direction import direction_classifier
    from trading_dag.models.learning.importance import learnt_coefficients
    from trading_dag.models.price.price_distribution import build_price_distribution
    from trading_dag.models.volatility import volatility_forecaster
    from trading_dag.options.structures.user_structures import structures_by_name
    from trading_dag.plots.backtest import figures_of_backtest
    from trading_dag.plots.importance import importance_of_features
    from trading_dag.plots.price import price_fan
    from trading_dag.plots.selection import selection_by_fold
    from trading_dag.slices import horizon_of
    from trading_dag.strategy.recommendation import build_recommendations
    from trading_dag.validation.gates.edge import admissibility, edge_to_date
    from trading_dag.validation.inference.selection_stability import selection_stability
    from trading_dag.validation.verdicts.evaluation import evaluate

    horizon = horizon_of(horizon_key)
    macro = place.read(schemas.MACRO_TABLE)
    rates = macro[["session", "treasury_3m"]]
    prices, index = place.read(schemas.PRICES_DAILY, ticker), place.read(schemas.VOLATILITY_INDEX, ticker)
    technical, implied = place.read(schemas.TECHNICAL, ticker), place.read(schemas.IMPLIED_VOLATILITY, ticker)
    features = place.read(schemas.FEATURE_TABLE, ticker)
    targets = build_targets(prices, technical, implied, horizon=horizon)
    classifier = direction_classifier.fit(features, targets, horizon=horizon, settings=settings.walk_forward)
    forecaster = volatility_forecaster.fit(features, targets, horizon=horizon, settings=settings.walk_forward)
    models = ModelStore(place.out / "models")
    versions = [models.save(classifier), models.save(forecaster)]
    direction = direction_classifier.predict(classifier, features, targets, horizon=horizon, prices=prices)
    volatility = volatility_forecaster.predict(forecaster, features, targets, horizon=horizon)
    price = build_price_distribution(prices, technical, implied, horizon=horizon)
    place.probe(
        schemas.PREDICTIONS_PRICE, partial(build_price_distribution, horizon=horizon),
        outcomes=("y_true", "forward_return"), prices=prices[["ticker", "session", "open", "close"]],
        technical=technical[["ticker", "session", "hv_5", "hv_20", "hv_60"]],
        implied_volatility=implied[["ticker", "session", "vix_close", "iv_source"]],
    )  # fmt: skip
    forecasts = {"direction": direction, "volatility": volatility, "price": price}
    metrics = evaluate(forecasts, horizon=horizon, settings=settings.bootstrap)
    importance = pd.concat(
        module.importance(fitted, features, targets, horizon=horizon, settings=settings.bootstrap)
        for module, fitted in ((direction_classifier, classifier), (volatility_forecaster, forecaster))
    )
    edge = edge_to_date(direction, volatility, horizon=horizon)
    signals = build_recommendations(
        direction, volatility, prices, index, edge=edge, rates=rates, horizon=horizon, settings=settings
    )
    result = run_backtest(
        signals, prices, index, rates=rates, horizon=horizon, settings=settings, gate=admissibility(metrics)
    )
    compared = compare_modelled(
        prices, index, rates=rates, ticker=ticker, menu=structures_by_name(settings.structures), horizon=horizon,
        settings=settings,
    )  # fmt: skip
    live = classifier.folds[-1]
    drift = (
        pd.DataFrame()
        if live.fitted_through is None
        else drift_report(features, fitted_through=live.fitted_through, settings=settings.drift)
    )
    selection = pd.concat([classifier.input_table(), forecaster.input_table()])
    live_fold = settings.walk_forward.folds + 1
    stability = selection_stability(selection, live_fold=live_fold)
    for figure in (
        selection_by_fold(selection, stability, model="direction_shrunk", live_fold=live_fold),
        plots.calibration(direction),
        plots.forecast_against_outcome(direction),
        plots.regime_confusion(volatility),
        price_fan(price),
        plots.skill_against_baseline(metrics),
        importance_of_features(importance),
        *figures_of_backtest(result, ticker=ticker, horizon=horizon, settings=settings).values(),
    ):
        plots.to_png(figure)
    drift = drift.assign(ticker=ticker, horizon=horizon_key) if len(drift) else empty_frame(schemas.DRIFT)
    tables = {
        schemas.TARGETS: targets,
        schemas.INPUTS: selection,
        schemas.SELECTION_STABILITY: stability,
        schemas.REGISTRY: pd.concat([classifier.registry(versions[0]), forecaster.registry(versions[1])]),
        schemas.PREDICTIONS_DIRECTION: direction,
        schemas.PREDICTIONS_VOLATILITY: volatility,
        schemas.PREDICTIONS_PRICE: price,
        schemas.METRICS: metrics,
        schemas.IMPORTANCE: importance,
        schemas.COEFFICIENTS: pd.concat([learnt_coefficients(classifier), learnt_coefficients(forecaster)]),
        schemas.RECOMMENDATION: signals,
        schemas.TRADES: result.trades,
        schemas.EQUITY: result.equity,
        schemas.SUMMARY: result.summary,
        schemas.COMPARISON: compared.table,
        schemas.DRIFT: drift,
    }
    for table, frame in tables.items():
        in_order = frame.sort_values(list(table.key), kind="stable", ignore_index=True)
        place.save(table, ticker, horizon_key, in_order)


def _one_thread() -> None:
    from assets.run.workers import THREAD_VARIABLES

    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))


def main() -> None:
    """Run the job; everything lands below ``--out``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--checks", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    place = Place(given.out, given.checks)
    settings = Settings()
    tickers, horizons = settings.active_tickers, settings.horizons
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(settings.workers, mp_context=context, initializer=_one_thread) as pool:
        pool.submit(_macro, settings, place).result()
        for done in [pool.submit(_market, settings, place, ticker) for ticker in tickers]:
            done.result()
        pairs = [(ticker, horizon) for ticker in tickers for horizon in horizons]
        for done in [pool.submit(_research, settings, place, *pair) for pair in pairs]:
            done.result()


if __name__ == "__main__":
    main()
