"""Materializes slices through the Dagster instance, several at once, one in-process run a slice.

A run of many small steps costs far less in one process than with a process a step, and a bad slice
stops only itself. The command line decides what to ask for; this module plans, runs and reports.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Final, Literal

import dagster as dg
from sqlalchemy.exc import OperationalError

from assets.catalog import DECLARATIONS
from assets.declaration import Declaration
from assets.jobs import MACRO_JOB, MARKET_JOB, RESEARCH_JOB
from assets.partitions import partition_key
from assets.runs import owner_tags
from assets.staleness import Staleness
from resources.model_store import ModelStore
from resources.parquet_store import ParquetStore, SliceKey
from trading_dag.errors import StorageError, TradingDagError
from trading_dag.schemas import SliceKind
from trading_dag.settings import Settings

Mode = Literal["run", "refresh", "train", "force"]
DefinitionsFactory = Callable[[Settings], dg.Definitions]
JOB_OF_SLICE: Final[dict[SliceKind, str]] = {
    "none": MACRO_JOB,
    "ticker": MARKET_JOB,
    "ticker_horizon": RESEARCH_JOB,
}
THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
OWN_ERRORS: Final = "trading_dag.errors."
WORKER_LOST: Final = (
    "a worker process was ended from outside (out of memory?); lower TRADING_DAG_WORKERS and run the same command again"
)
QUIET_CONSOLE: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class WorkItem:
    """One slice to bring up to date."""

    kind: SliceKind
    key: SliceKey
    mode: Mode

    def __str__(self) -> str:
        return "macro" if self.kind == "none" else " ".join(filter(None, (self.key.ticker, self.key.horizon)))


@dataclass(frozen=True)
class Outcome:
    """How it went.

    Attributes
    ----------
    materialized : names of the assets that were computed; empty where all was up to date.
    errors : one line for each failed asset.
    blocked_by : the upstream item that failed, where this one was therefore not tried.
    """

    item: WorkItem
    seconds: float
    materialized: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    blocked_by: str | None = None

    @property
    def is_success(self) -> bool:
        """Whether the slice is up to date now."""
        return not self.errors and self.blocked_by is None


def execute(
    settings: Settings,
    *,
    tickers: tuple[str, ...],
    horizons: tuple[str, ...],
    mode: Mode,
    build: DefinitionsFactory,
) -> Generator[Outcome]:
    """Bring macro data, then each ticker, then its horizons up to date; yield each outcome as it comes.

    Parameters
    ----------
    mode : ``run`` computes what is missing or stale, models included. ``refresh`` fetches and follows up,
        but refits no model that exists. ``train`` refits every model. ``force`` computes everything.
    build : makes the definitions in each worker.

    Leaving the iteration early (Ctrl-C) ends the workers. A worker that is killed fails the slices that
    were not finished, and no others.
    """
    context = multiprocessing.get_context("spawn")
    workers = min(settings.workers, max(len(tickers), 1) * max(len(horizons), 1))
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(settings, build, os.getpid())
    )
    others = set(multiprocessing.active_children())
    try:
        macro = WorkItem("none", SliceKey(), mode)
        yield _outcome(_submit(pool, macro), macro)
        waiting: dict[Future[Outcome], WorkItem] = {}
        for ticker in tickers:
            item = WorkItem("ticker", SliceKey(ticker), mode)
            waiting[_submit(pool, item)] = item
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                item = waiting.pop(future)
                outcome = _outcome(future, item)
                yield outcome
                if item.kind != "ticker":
                    continue
                for horizon in horizons:
                    following = WorkItem("ticker_horizon", SliceKey(item.key.ticker, horizon), mode)
                    if outcome.is_success:
                        waiting[_submit(pool, following)] = following
                    else:
                        yield Outcome(following, 0.0, blocked_by=str(item))
    except BaseException:
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, item: WorkItem) -> Future[Outcome]:
    """Hand an item to the pool. Workers inherit the mask: Ctrl-C is the parent's to answer, also while they import."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(_work, item)
    except BrokenProcessPool as error:
        lost: Future[Outcome] = Future()
        lost.set_exception(error)
        return lost
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _outcome(future: Future[Outcome], item: WorkItem) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        return Outcome(item, 0.0, errors=(WORKER_LOST,))


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
        """Fetch where the slice is fetched, compute what is stale, in as few runs as possible."""
        started = time.perf_counter()
        everything = [declaration for declaration in DECLARATIONS if declaration.slice == item.kind]
        fetched = [declaration for declaration in everything if declaration.is_fetched]
        materialized: list[str] = []
        errors: list[str] = []
        if item.mode == "force":
            self._set_aside_what_is_unreadable(item, fetched)
        is_new = any(not self.store.exists(table, item.key) for entry in fetched for table in entry.tables)
        if item.mode == "force" or (fetched and is_new):
            batches: list[Callable[[], list[Declaration]]] = [lambda: everything]
        else:
            batches = [lambda: fetched, lambda: self._follow_up(item, everything)]
        for batch in batches:
            declarations = batch()
            if declarations and not errors:
                done, errors = self._run(item, declarations)
                materialized += done
        return Outcome(item, time.perf_counter() - started, tuple(materialized), tuple(errors))

    def _set_aside_what_is_unreadable(self, item: WorkItem, fetched: list[Declaration]) -> None:
        """A fetched slice is merged into what is stored; where that cannot be read, all of it is fetched anew."""
        for declaration in fetched:
            for table in declaration.tables:
                if self.store.exists(table, item.key):
                    try:
                        self.store.read(table, item.key)
                    except StorageError:
                        self.store.set_aside(table, item.key)

    def _follow_up(self, item: WorkItem, everything: list[Declaration]) -> list[Declaration]:
        if item.mode == "train" and item.kind == "ticker_horizon":
            return everything
        return self.staleness.stale(item.kind, item.key, refit=item.mode != "refresh")

    def _run(self, item: WorkItem, declarations: list[Declaration]) -> tuple[list[str], list[str]]:
        job = self.definitions.resolve_job_def(JOB_OF_SLICE[item.kind])
        keys = [key for declaration in declarations for key in declaration.asset_keys]
        result = job.execute_in_process(
            instance=self.instance,
            partition_key=partition_key(item.key),
            asset_selection=keys,
            run_config=QUIET_CONSOLE,
            raise_on_error=False,
            tags={**owner_tags(), "trading_dag/mode": item.mode},
        )
        done = [
            ".".join(event.asset_key.path)
            for event in result.all_events
            if event.is_step_materialization and event.asset_key is not None
        ]
        return done, [_error_line(event) for event in result.all_events if event.is_step_failure]


def _error_line(event: dg.DagsterEvent) -> str:
    """The project's own error where there is one, because it says what to do; otherwise the innermost."""
    error: Any = event.step_failure_data.error
    while error is not None and error.cause is not None and not error.message.startswith(OWN_ERRORS):
        error = error.cause
    message = error.message.strip() if error is not None else "failed without an error"
    step = (event.step_key or "").replace("__", ".")
    return f"{step}: {message.removeprefix(OWN_ERRORS)}"


class _Worker:
    """What a worker process keeps between items."""

    runner: SliceRunner | None = None


def _start_worker(settings: Settings, build: DefinitionsFactory, parent: int) -> None:
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    _Worker.runner = SliceRunner(build(settings), dg.DagsterInstance.get(), settings)


def _end_with_parent(parent: int) -> None:
    """Leave when the parent was killed, so that no worker goes on writing for nobody."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _work(item: WorkItem) -> Outcome:
    if _Worker.runner is None:
        raise TradingDagError("the worker was not started")
    started = time.perf_counter()
    try:
        return _Worker.runner.bring_up_to_date(item)
    except (TradingDagError, OSError, OperationalError) as error:
        # What is stored, or the disk or database that holds it, fails this slice; the others go on.
        message = str(error.orig if isinstance(error, OperationalError) else error)
        return Outcome(item, time.perf_counter() - started, errors=(message,))
