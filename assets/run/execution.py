"""Materializes slices through the Dagster instance, several at once, one in-process run per slice.

A run of many small steps costs far less in one process than with a process per step, and a bad slice stops only
itself. The command line decides what to ask for; this module plans, runs and reports. How the worker processes are
started stands in ``workers.py``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Literal

import dagster as dg
import pandas as pd
from sqlalchemy.exc import DBAPIError

from assets.catalog import DECLARATIONS
from assets.declare.declaration import Declaration, Stage
from assets.jobs import ALL_SLICES_JOB, DURING_SESSION_JOB, MACRO_JOB, MARKET_JOB, OPTION_CHAIN_JOB, RESEARCH_JOB
from assets.partitions import partition_key
from assets.run.chain_fetch import is_stored, run_chain, wanted_chains
from assets.run.in_process import RunOutcome, run_job
from assets.run.log_output import log_to_stderr
from assets.run.staleness import Staleness
from assets.run.workers import enter_worker, interrupts_left_to_the_parent, worker_pool
from resources.chains.store import ChainStore
from resources.sources.protocol import Source
from resources.storage.models.store import ModelStore
from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.slice_check import problem_of
from trading_dag.errors import TradingDagError
from trading_dag.schemas import HYPERPARAMETERS, LIVE, METRICS, MULTIPLICITY, OPTION_CHAIN, PREDICTIONS_LOG
from trading_dag.settings import Settings

Mode = Literal["run", "refresh", "train", "force", "evaluate", "backtest", "record", "fetch", "tune"]
Part = Literal["all", "fetch", "follow_up"]
DefinitionsFactory = Callable[[Settings], dg.Definitions]
JOB_OF_STAGE: Final[dict[Stage, str]] = {
    "none": MACRO_JOB,
    "ticker": MARKET_JOB,
    "ticker_horizon": RESEARCH_JOB,
    "all_slices": ALL_SLICES_JOB,
    "during_session": DURING_SESSION_JOB,
}
# Asset groups, or tables, to which a mode is confined; the others have no such bounds. A refresh goes to the signals.
REFRESHED: Final[frozenset[str]] = frozenset(
    {"raw", "features", "options", "labels", "models", "predictions", "signals", "paper"}
)
# Scores follow the forecasts as stored; importance forecasts anew, so it follows the features with a run.
SCORES: Final[frozenset[str]] = frozenset(table.qualified_name for table in (METRICS, LIVE, MULTIPLICITY))
REPORTS: Final[dict[Mode, frozenset[str]]] = {
    "evaluate": SCORES,
    "backtest": SCORES | {"backtests"},
    "record": frozenset({PREDICTIONS_LOG.qualified_name}),
    "tune": frozenset({HYPERPARAMETERS.qualified_name}),
}
# What ``fetch`` may be confined to.
FETCHED_KINDS: Final = (
    *dict.fromkeys(table.name for entry in DECLARATIONS if entry.is_fetched for table in entry.tables),
    OPTION_CHAIN.name,
)
WORKER_LOST: Final = (
    "a worker process was ended from outside (out of memory?); lower TRADING_DAG_WORKERS and run the same command again"
)


@dataclass(frozen=True)
class Refit:
    """Says what ``train`` refits.

    Attributes
    ----------
    models : families of models; empty for all.
    follows : whether what reads them is computed too. Without it forecasts and all that follows from them stay as they
        are until the next command that brings them up to date.
    """

    models: tuple[str, ...] = ()
    follows: bool = True


@dataclass(frozen=True)
class WorkItem:
    """Names one slice to bring up to date, or a part of it: what is fetched from the source, or what is computed from
    that.

    Attributes
    ----------
    kinds : the raw tables that are fetched, by name; empty for all.
    """

    kind: Stage
    key: SliceKey
    mode: Mode
    part: Part = "all"
    refit: Refit = Refit()
    kinds: frozenset[str] = frozenset()

    def wants(self, *names: str) -> bool:
        """Return whether a raw table, or one of several, is to be fetched."""
        return not self.kinds or not self.kinds.isdisjoint(names)

    def __str__(self) -> str:
        named = {"none": "macro", "all_slices": "all slices"}
        return named.get(self.kind) or " ".join(filter(None, (self.key.ticker, self.key.horizon)))


@dataclass(frozen=True)
class Outcome:
    """Tells how work on an item went.

    Attributes
    ----------
    materialized : names of the assets that were computed; empty where all was up to date.
    errors : one line for each failed asset.
    notes : what the source left out or assumed, and what is switched off.
    versions : of each model that was fitted anew, which version serves and why.
    is_usable : whether downstream items can go on: nothing failed, or only optional data that are stored from before.
    blocked_by : the upstream item that failed, where this one was therefore not tried.
    repaired : one line for each damaged slice that was set aside and fetched anew.
    """

    item: WorkItem
    seconds: float
    materialized: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    blocked_by: str | None = None
    is_usable: bool = True
    repaired: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()

    @property
    def is_success(self) -> bool:
        """Return whether the slice is up to date now."""
        return not self.errors and self.blocked_by is None


def execute(
    settings: Settings,
    *,
    tickers: tuple[str, ...],
    horizons: tuple[str, ...],
    mode: Mode,
    build: DefinitionsFactory,
    refit: Refit | None = None,
    kinds: frozenset[str] = frozenset(),
) -> Generator[Outcome]:
    """Bring macro data, then each ticker, then its horizons up to date, and yield each outcome as it comes.

    Parameters
    ----------
    mode : ``run`` computes what is missing or stale, models included. ``refresh`` fetches and computes up to the
        signals, but refits no model that exists. ``train`` refits every model. ``force`` computes everything.
        ``evaluate`` and ``backtest`` fetch nothing: they bring the scores, or the scores and the backtests, up to
        date with the forecasts and signals that are stored. ``record`` appends what those say to the prediction log.
        ``tune`` makes tables of the searches over hyperparameters that are stored.
        ``fetch`` fetches raw data and computes nothing.
    build : makes the definitions in each worker.
    refit : of ``train``; None for every model and what follows from it.
    kinds : the raw tables that ``fetch`` is confined to, by name; empty for all.

    Leaving the iteration early (Ctrl-C, SIGTERM) ends the workers. A worker that is killed fails the slices that
    were not finished, and no others.
    """
    workers = min(settings.workers, max(len(tickers), 1) * max(len(horizons), 1))
    with worker_pool(workers, initializer=_start_worker, initargs=(settings, build, dict(os.environ))) as pool:
        order = _WorkOrder(pool, tickers, horizons, mode, settings.benchmark_tickers, refit or Refit(), kinds)
        yield from order.outcomes()


class _WorkOrder:
    """Decides what may run when: macro and the tickers' raw data at once, then features, then horizons.

    Features of every ticker read the benchmarks' prices too, so they wait for those that are fetched here.
    """

    def __init__(
        self,
        pool: Executor,
        tickers: tuple[str, ...],
        horizons: tuple[str, ...],
        mode: Mode,
        benchmarks: tuple[str, ...] = (),
        refit: Refit = Refit(),  # frozen
        kinds: frozenset[str] = frozenset(),
    ) -> None:
        self.pool = pool
        self.tickers = tickers
        self.horizons = horizons
        self.mode = mode
        self.benchmarks = benchmarks
        self.refit = refit
        self.kinds = kinds
        self.running: dict[Future[Outcome], WorkItem] = {}

    def outcomes(self) -> Generator[Outcome]:
        """Yield each outcome as it comes: one for macro data, one per ticker, one per ticker and horizon.

        Where the mode concludes, one for all slices follows at the end, also where some of them failed.
        """
        if self.mode == "fetch":
            yield from self._fetched()
            return
        macro = WorkItem("none", SliceKey(), self.mode)
        read_by_all = {macro, *(self._fetch_of(ticker) for ticker in self.tickers if ticker in self.benchmarks)}
        if self.mode in REPORTS:
            for ticker in self.tickers:
                self._submit_horizons(ticker)
        else:
            self._submit(macro)
            for ticker in self.tickers:
                self._submit(self._fetch_of(ticker))
        fetched: dict[WorkItem, Outcome] = {}
        held: list[WorkItem] = []
        while self.running:
            done, _ = wait(self.running, return_when=FIRST_COMPLETED)
            for future in done:
                item = self.running.pop(future)
                outcome = _outcome(future, item)
                read_by_all.discard(item)
                if item.part == "fetch" and outcome.is_usable:
                    following = replace(item, part="follow_up")
                    fetched[following] = outcome
                    held.append(following)
                elif item == macro:
                    yield outcome
                elif item.kind == "ticker":
                    whole = _joined(fetched.get(item), outcome)
                    yield whole
                    if whole.is_usable:
                        self._submit_horizons(item.key.ticker)
                    else:
                        for blocked in self._horizons_of(item.key.ticker):
                            yield Outcome(blocked, 0.0, blocked_by=str(item), is_usable=False)
                else:
                    yield outcome
            if not read_by_all:
                for following in held:
                    self._submit(following)
                held.clear()
        if concludes(self.mode, self.refit):
            self._submit(WorkItem("all_slices", SliceKey(), self.mode))
            yield from self._as_they_come()

    def _fetch_of(self, ticker: str) -> WorkItem:
        return WorkItem("ticker", SliceKey(ticker), self.mode, "fetch")

    def _fetched(self) -> Generator[Outcome]:
        """One outcome for macro data and one a ticker; nothing follows."""
        self._submit(WorkItem("none", SliceKey(), self.mode, "fetch", kinds=self.kinds))
        for ticker in self.tickers:
            self._submit(WorkItem("ticker", SliceKey(ticker), self.mode, "fetch", kinds=self.kinds))
        yield from self._as_they_come()

    def _as_they_come(self) -> Generator[Outcome]:
        while self.running:
            done, _ = wait(self.running, return_when=FIRST_COMPLETED)
            for future in done:
                yield _outcome(future, self.running.pop(future))

    def _horizons_of(self, ticker: str | None) -> list[WorkItem]:
        return [
            WorkItem("ticker_horizon", SliceKey(ticker, horizon), self.mode, refit=self.refit)
            for horizon in self.horizons
        ]

    def _submit_horizons(self, ticker: str | None) -> None:
        for item in self._horizons_of(ticker):
            self._submit(item)

    def _submit(self, item: WorkItem) -> None:
        try:
            with interrupts_left_to_the_parent():
                future = self.pool.submit(_work, item)
        except BrokenProcessPool as error:
            future = Future()
            future.set_exception(error)
        self.running[future] = item


def _joined(fetched: Outcome | None, followed: Outcome) -> Outcome:
    """Return both parts of a ticker as one outcome."""
    if fetched is None:
        return followed
    return replace(
        followed,
        seconds=fetched.seconds + followed.seconds,
        materialized=fetched.materialized + followed.materialized,
        errors=fetched.errors + followed.errors,
        repaired=fetched.repaired + followed.repaired,
        notes=fetched.notes + followed.notes,
        versions=fetched.versions + followed.versions,
    )


def _outcome(future: Future[Outcome], item: WorkItem) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        return Outcome(item, 0.0, errors=(WORKER_LOST,), is_usable=False)


class SliceRunner:
    """Brings one slice up to date in this process.

    Parameters
    ----------
    definitions : the composed definitions.
    instance : the Dagster instance that records the runs.
    settings : settings of the run.
    """

    def __init__(self, definitions: dg.Definitions, instance: dg.DagsterInstance, settings: Settings) -> None:
        self.definitions = definitions
        self.instance = instance
        store = ParquetStore(settings.home)
        self.store = store
        self.staleness = Staleness(store, ModelStore(settings.home / "models"), settings)

    def bring_up_to_date(self, item: WorkItem) -> Outcome:
        """Fetch what is fetched, and compute what is stale, in as few runs as possible."""
        started = time.perf_counter()
        everything = [declaration for declaration in DECLARATIONS if declaration.stage == item.kind]
        fetched = self._to_fetch(
            item,
            [entry for entry in everything if entry.is_fetched and item.wants(*(table.name for table in entry.tables))],
        )
        runs: list[RunOutcome] = []
        is_usable = True
        repaired: tuple[str, ...] = ()
        if item.part != "follow_up" and fetched:
            if item.mode == "force":
                repaired = tuple(self._set_aside_what_is_damaged(item, fetched))
            runs.append(self._run(item, fetched))
            is_usable = not runs[0].errors or self._can_go_on(item, fetched, runs[0].materialized)
        if item.part != "follow_up" and item.kind == "ticker" and is_usable and item.wants(OPTION_CHAIN.name):
            runs += self._fetch_chain(item)
        if item.part != "fetch" and is_usable:
            following = self._follow_up(item, [entry for entry in everything if not entry.is_fetched])
            if following:
                runs.append(self._run(item, following))
                is_usable = not runs[-1].errors
        return Outcome(
            item,
            time.perf_counter() - started,
            tuple(name for run in runs for name in run.materialized),
            tuple(line for run in runs for line in run.errors),
            is_usable=is_usable,
            repaired=repaired,
            notes=tuple(note for run in runs for note in run.notes),
            versions=tuple(line for run in runs for line in run.versions),
        )

    def _to_fetch(self, item: WorkItem, fetched: list[Declaration]) -> list[Declaration]:
        """Return the declarations for which the source may have more than is stored."""
        if item.mode == "force" or all(declaration.state_of is None for declaration in fetched):
            return fetched
        with self._source() as source:
            return [entry for entry in fetched if not self.staleness.is_as_stored(entry, item.key, source)]

    @contextmanager
    def _source(self) -> Iterator[Source]:
        """Yield the source that the runs would ask. Without the given instance Dagster would make one, at 50 ms each
        time."""
        wanted = {"source": self.definitions.resources["source"]}  # type: ignore[index]
        with dg.build_resources(wanted, instance=self.instance) as resources:
            yield resources.source

    def _fetch_chain(self, item: WorkItem) -> list[RunOutcome]:
        """Fetch the present option chain if the source shows one that is not stored. What follows does not need it."""
        with self._source() as source:
            wanted = wanted_chains(source, [item.key.ticker or ""], now=pd.Timestamp.now("UTC"))
        store = ChainStore(self.store.root)
        missing = [key for key in wanted if item.mode == "force" or not is_stored(store, key)]
        job = self.definitions.resolve_job_def(OPTION_CHAIN_JOB)
        return [run_chain(job, self.instance, partition) for partition in missing]

    def _can_go_on(self, item: WorkItem, fetched: list[Declaration], done: tuple[str, ...]) -> bool:
        """Return whether all that failed is optional and stored from before."""
        failed = [
            (declaration, table)
            for declaration in fetched
            for table in declaration.tables
            if table.qualified_name not in done
        ]
        return all(declaration.is_optional and self.store.exists(table, item.key) for declaration, table in failed)

    def _set_aside_what_is_damaged(self, item: WorkItem, fetched: list[Declaration]) -> Iterator[str]:
        """Set damaged slices aside: a fetch merges into what is stored, so a damaged slice has to be fetched anew as a
        whole.

        Yields a line for each slice that is set aside.
        """
        for table in [table for declaration in fetched for table in declaration.tables]:
            problem = problem_of(self.store, table, item.key) if self.store.exists(table, item.key) else None
            if problem is not None:
                aside = self.store.set_aside(table, item.key)
                yield f"{problem} It was set aside as {aside.name} and fetched anew."

    def _follow_up(self, item: WorkItem, derived: list[Declaration]) -> list[Declaration]:
        if item.kind == "all_slices":
            forced = frozenset(entry.name for entry in derived) if item.mode == "force" else frozenset[str]()
            groups = REPORTS.get(item.mode) or (REFRESHED if item.mode == "refresh" else None)
            return self.staleness.stale(
                item.kind, item.key, refit=False, needs_inputs=True, forced=forced, groups=groups
            )
        if item.mode == "train" and item.kind == "ticker_horizon" and item.refit != Refit():
            return to_refit(self.staleness, item.key, item.refit)
        if item.mode == "force" or (item.mode == "train" and item.kind == "ticker_horizon"):
            return derived
        return stale_in_mode(self.staleness, item.kind, item.key, item.mode)

    def _run(self, item: WorkItem, declarations: list[Declaration]) -> RunOutcome:
        return run_job(
            self.definitions.resolve_job_def(JOB_OF_STAGE[item.kind]),
            self.instance,
            partition=partition_key(item.key),
            selection=[key for declaration in declarations for key in declaration.asset_keys],
            mode=item.mode,
        )


def concludes(mode: Mode, refit: Refit | None = None) -> bool:
    """Return whether a mode ends with what is said or ordered of all slices together: scores, or paper orders."""
    return mode in ("run", "refresh", "force", "evaluate", "backtest") or (
        mode == "train" and (refit is None or refit.follows)
    )


def stale_in_mode(staleness: Staleness, kind: Stage, key: SliceKey, mode: Mode) -> list[Declaration]:
    """Return what a mode has to compute of a slice, besides fetching."""
    if mode in REPORTS:
        # What was searched since is in no record that could be compared.
        forced = frozenset({HYPERPARAMETERS.name}) if mode == "tune" else frozenset[str]()
        return staleness.stale(kind, key, refit=False, groups=REPORTS[mode], needs_inputs=True, forced=forced)
    if mode == "refresh":
        return staleness.stale(kind, key, refit=False, groups=REFRESHED)
    return staleness.stale(kind, key, refit=True)


def to_refit(staleness: Staleness, key: SliceKey, refit: Refit) -> list[Declaration]:
    """Return what ``train`` computes of a slice if only some models are named, or if nothing is to follow."""
    families = frozenset(refit.models or (declaration.name for declaration in DECLARATIONS if declaration.is_model))
    searches = frozenset({HYPERPARAMETERS.qualified_name})
    due = frozenset(one.name for one in staleness.stale("ticker_horizon", key, refit=True, groups=searches))
    forced = families | due
    if refit.follows:
        return staleness.stale("ticker_horizon", key, refit=False, forced=forced)
    found = staleness.stale("ticker_horizon", key, refit=False, forced=forced, groups=frozenset({"labels", "models"}))
    there = families | {
        name
        for name, ticker, horizon in staleness.models.slices()
        if ticker == key.ticker and horizon in (key.horizon, "")
    }
    return [
        declaration
        for declaration in found
        if (declaration.name in families if declaration.is_model else True)
        and all(read.model is None or read.model in there for read in declaration.reads.values())
    ]


class _Worker:
    """Holds what a worker process keeps between items."""

    runner: SliceRunner | None = None
    failure: str = ""


def _start_worker(settings: Settings, build: DefinitionsFactory, environment: dict[str, str]) -> None:
    enter_worker(environment)
    if settings.log_level is not None:
        log_to_stderr(settings.log_level)
    try:
        _Worker.runner = SliceRunner(build(settings), dg.DagsterInstance.get(), settings)
    except Exception as error:  # noqa: BLE001  # raised here it would only be known that the worker is gone
        _Worker.failure = f"a worker process cannot start: {type(error).__name__}: {' '.join(str(error).split())}"


def _work(item: WorkItem) -> Outcome:
    if _Worker.runner is None:
        return Outcome(item, 0.0, errors=(_Worker.failure,), is_usable=False)
    started = time.perf_counter()
    try:
        return _Worker.runner.bring_up_to_date(item)
    except (TradingDagError, OSError, DBAPIError) as error:
        # What is stored, or the disk or database that holds it, fails this slice; the others go on.
        message = str(error.orig if isinstance(error, DBAPIError) else error)
        return Outcome(item, time.perf_counter() - started, errors=(message,), is_usable=False)
