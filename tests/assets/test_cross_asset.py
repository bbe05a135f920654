"""Other tickers' prices are an input like any other: declared, recorded, followed by staleness and by automation."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from assets.jobs import MARKET_JOB
from assets.run.execution import Outcome, WorkItem, _WorkOrder
from assets.run.in_process import run_job
from assets.run.staleness import Staleness
from resources.storage.models.store import ModelStore
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.assets.test_automation import look, report, requested
from trading_dag.definitions import build_definitions, build_for_command
from trading_dag.errors import StorageError, UnknownTickerError
from trading_dag.schemas import CROSS_ASSET, PRICES_DAILY
from trading_dag.sessions import sessions_between
from trading_dag.settings import Settings

CROSS = dg.AssetKey(["features", "cross_asset"])
PRICES = dg.AssetKey(["raw", "prices_daily"])
TECHNICAL_KEY = dg.AssetKey(["features", "technical"])


@pytest.fixture
def files(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, home=tmp_path, source="files", files=tmp_path, universe=("XLK",))


def bars_of(ticker: str, *, seed: int, rows: int = 120) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(generator.normal(0.0, 0.01, rows)))
    prices = dict.fromkeys(("open", "high", "low", "close", "adj_close"), close)
    sessions = sessions_between("2024-01-02", "2024-12-31")[:rows]
    values = {"ticker": ticker, "session": sessions, **prices, "volume": 1e6, "split_factor": 1.0, "dividend": 0.0}
    return pd.DataFrame(values)


def store_bars(store: ParquetStore, ticker: str, *, seed: int, source: str = "files") -> None:
    store.write(PRICES_DAILY, SliceKey(ticker), bars_of(ticker, seed=seed), source=source)


def compute(settings: Settings, ticker: str) -> pd.DataFrame:
    """The slice as a run of its own makes and stores it."""
    with dg.DagsterInstance.ephemeral() as instance:
        definitions = build_for_command(settings)
        outcome = run_job(
            definitions.resolve_job_def(MARKET_JOB),
            instance,
            partition=ticker,
            selection=[TECHNICAL_KEY, CROSS],
        )
        assert outcome.errors == ()
    return ParquetStore(settings.home).read(CROSS_ASSET, SliceKey(ticker))


def is_stale(settings: Settings, ticker: str) -> bool:
    store = ParquetStore(settings.home)
    found = Staleness(store, ModelStore(settings.home / "models"), settings).stale(
        "ticker", SliceKey(ticker), refit=False
    )
    return any(declaration.name == "cross_asset" for declaration in found)


@pytest.fixture
def store(files: Settings) -> ParquetStore:
    """XLK and two of three benchmarks; of IWM nothing is stored."""
    store = ParquetStore(files.home)
    for seed, ticker in enumerate(("SPY", "QQQ", "XLK")):
        store_bars(store, ticker, seed=seed)
    return store


def test_a_slice_reads_the_stored_benchmarks_and_counts_the_others(files: Settings, store: ParquetStore) -> None:
    made = compute(files, "XLK")
    assert set(made["market"]) == {"SPY"}
    assert (made["benchmarks_missing"].iloc[1:] == 1.0).all()
    own, spy = (np.log(bars_of(name, seed=seed)["close"]).diff() for name, seed in (("XLK", 2), ("SPY", 0)))
    expected = np.corrcoef(own.iloc[-60:], spy.iloc[-60:])[0, 1]
    assert made["correlation_60_to_market"].iloc[-1] == pytest.approx(expected, rel=1e-9)
    assert made["correlation_60_to_peers"].isna().all()


def test_new_bars_of_a_benchmark_make_the_slice_stale_and_those_of_another_ticker_do_not(
    files: Settings, store: ParquetStore
) -> None:
    assert is_stale(files, "XLK")
    compute(files, "XLK")
    assert not is_stale(files, "XLK")
    store_bars(store, "GLD", seed=8)
    assert not is_stale(files, "XLK")
    store_bars(store, "QQQ", seed=9)
    assert is_stale(files, "XLK")
    compute(files, "XLK")
    assert not is_stale(files, "XLK")


def test_a_benchmark_that_comes_fills_in_what_was_null_and_rewrites_nothing_else(
    files: Settings, store: ParquetStore
) -> None:
    before = compute(files, "XLK")
    store_bars(store, "IWM", seed=4)
    assert is_stale(files, "XLK")
    after = compute(files, "XLK")
    to_market = [name for name in after.columns if name.endswith("_to_market")]
    pd.testing.assert_frame_equal(before[to_market], after[to_market])
    assert after["correlation_60_to_peers"].iloc[60:].notna().all()
    assert (after["benchmarks_missing"].iloc[1:] == 0.0).all()


def test_bars_of_another_source_are_no_benchmark(files: Settings, store: ParquetStore) -> None:
    store_bars(store, "SPY", seed=0, source="sample")
    made = compute(files, "XLK")
    assert (made["benchmarks_missing"].iloc[1:] == 2.0).all()
    assert made["beta_60_to_market"].isna().all()


def test_other_benchmarks_make_the_slice_stale_and_a_larger_universe_does_not(
    files: Settings, store: ParquetStore
) -> None:
    made = compute(files, "XLK")
    larger = files.model_copy(update={"universe": ("XLK", "GLD")})
    assert not is_stale(larger, "XLK")
    pd.testing.assert_frame_equal(compute(larger, "XLK"), made)
    other = files.model_copy(update={"benchmarks": ("QQQ", "SPY")})
    assert is_stale(other, "XLK")
    assert set(compute(other, "XLK")["market"]) == {"QQQ"}


def test_a_benchmark_that_is_not_what_was_stored_fails_the_slice_by_name(files: Settings, store: ParquetStore) -> None:
    path = store.path(PRICES_DAILY, SliceKey("SPY"))
    path.write_bytes(path.read_bytes()[:200])
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_for_command(files).resolve_job_def(MARKET_JOB)
        outcome = run_job(job, instance, partition="XLK", selection=[TECHNICAL_KEY, CROSS])
    assert any("raw.prices_daily" in error and "SPY" in error for error in outcome.errors)
    with pytest.raises(StorageError):
        store.provenance(PRICES_DAILY, SliceKey("SPY"))


def test_benchmarks_are_the_sources_own_unless_they_are_named(tmp_path: Path) -> None:
    def of(**values: Any) -> tuple[str, ...]:
        return Settings(_env_file=None, home=tmp_path, **values).benchmark_tickers

    assert of(source="live", universe=("GLD",), tickers=("GLD",)) == ("SPY", "QQQ", "IWM")
    assert of(source="sample") == ("SPX", "COMP")
    assert of(source="live", universe=("GLD",), benchmarks="GLD, SPY") == ("GLD", "SPY")
    with pytest.raises((UnknownTickerError, ValidationError), match="XLV"):
        of(source="live", benchmarks="SPY,XLV")


def test_new_prices_of_a_benchmark_ask_for_the_features_of_every_ticker(
    settings: Settings,
) -> None:
    definitions = build_definitions(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        cursor = look(definitions, instance, TECHNICAL_KEY, CROSS).cursor
        for key in (PRICES, TECHNICAL_KEY):
            report(definitions, instance, key, "SPX")
        first = look(definitions, instance, TECHNICAL_KEY, CROSS, cursor=cursor)
        # COMP, a benchmark too, has no prices: that holds up nothing.
        assert requested(first, CROSS) == {"SPX"}
        report(definitions, instance, CROSS, "SPX")
        at_rest = look(definitions, instance, TECHNICAL_KEY, CROSS, cursor=first.cursor)
        report(definitions, instance, PRICES, "COMP")
        second = look(definitions, instance, TECHNICAL_KEY, CROSS, cursor=at_rest.cursor)
        assert requested(second, TECHNICAL_KEY) == {"COMP"}
        assert requested(second, CROSS) == {"SPX", "COMP"}


class _Pool:
    """Takes work. What follows from fetched data is done at once, the rest when a test says so."""

    def __init__(self, ended_with: dict[WorkItem, tuple[WorkItem, ...]]) -> None:
        self.asked: list[str] = []
        self.futures: dict[WorkItem, Future[Outcome]] = {}
        self.ended_with = ended_with

    def submit(self, _: object, item: WorkItem) -> Future[Outcome]:
        self.asked.append(f"{item} {item.part}")
        self.futures[item] = Future()
        is_done_at_once = item.part == "follow_up" or item.kind == "all_slices"
        for other in self.ended_with.get(item, (item,) if is_done_at_once else ()):
            self.end(other)
        return self.futures[item]

    def end(self, item: WorkItem) -> None:
        self.futures[item].set_result(Outcome(item, 0.0))


def test_features_wait_for_the_benchmarks_that_are_fetched_and_for_nobody_elses_prices() -> None:
    fetch = {name: WorkItem("ticker", SliceKey(name), "run", "fetch") for name in ("XLK", "SPY", "GLD")}
    macro = WorkItem("none", SliceKey(), "run")
    pool = _Pool({fetch["GLD"]: (macro, fetch["XLK"])})
    outcomes = _WorkOrder(pool, tuple(fetch), (), "run", ("SPY", "QQQ")).outcomes()  # type: ignore[arg-type]
    assert next(outcomes).item == macro
    assert pool.asked == ["macro all", "XLK fetch", "SPY fetch", "GLD fetch"]
    pool.end(fetch["SPY"])
    assert {next(outcomes).item.key.ticker, next(outcomes).item.key.ticker} == {"XLK", "SPY"}
    assert set(pool.asked[4:]) == {"XLK follow_up", "SPY follow_up"}
    pool.end(fetch["GLD"])
    assert next(outcomes).item.key.ticker == "GLD"
    assert [str(outcome.item) for outcome in outcomes] == ["all slices"]
