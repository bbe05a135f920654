"""Searches over hyperparameters, several at once, each in one worker process.

Here belongs which searches run where, and how their progress reaches whoever started them. A search only appends to
its own journal, so it waits for no run and blocks none: two commands on two terminals work on the same searches
together. What is stored then becomes tables in a run of its own (``execution``, mode ``tune``).
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from assets.run.log_output import log_to_stderr
from assets.run.workers import enter_worker, interrupts_left_to_the_parent, worker_pool
from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.errors import InsufficientDataError, TradingDagError
from trading_dag.models.estimators.tuned import WINDOWS
from trading_dag.schemas import FEATURE_TABLE, TARGETS
from trading_dag.settings import Settings
from trading_dag.slices import horizon_of

if TYPE_CHECKING:
    from resources.tuning.search import SearchProgress
    from trading_dag.models.tuning.classifiers import TaskRows

_LOOK_SECONDS: Final = 0.3
WORKER_LOST: Final = (
    "a worker process was ended from outside (out of memory?); its trials are stored, and the same command goes on"
)


@dataclass(frozen=True)
class SearchItem:
    """Names one search of a slice: which learner, on which window of rows."""

    key: SliceKey
    family: str
    window: str

    def __str__(self) -> str:
        return f"{self.key.ticker} {self.key.horizon} {self.family} {self.window}"


@dataclass(frozen=True)
class SearchOutcome:
    """Tells how a search ended.

    Attributes
    ----------
    finished : trials that are stored of it now.
    best : the least score; None without one.
    problem : why it failed, or cannot be made.
    is_insufficient : whether the reason is that there are too few rows, which is no failure.
    """

    item: SearchItem
    seconds: float
    finished: int = 0
    best: float | None = None
    problem: str | None = None
    is_insufficient: bool = False


def searches_of(keys: list[SliceKey], families: tuple[str, ...]) -> list[SearchItem]:
    """Return the searches of slices, in the order in which they run."""
    return [SearchItem(key, family, window) for key in keys for family in families for window in WINDOWS]


def run_searches(
    settings: Settings, items: list[SearchItem], *, tell: Callable[[SearchItem, SearchProgress], None]
) -> Generator[SearchOutcome]:
    """Run searches up to the budget of the settings, and yield the outcome of each as it comes.

    Each runs in one process, so that its trials follow from data, seed and budget alone. Leaving the iteration early
    (Ctrl-C, SIGTERM) ends the workers; their trials stay.

    Parameters
    ----------
    tell : hears of the trials, in this process.
    """
    with (
        _progress_file() as heard,
        worker_pool(
            min(settings.workers, len(items)),
            initializer=_start_worker,
            initargs=(settings, dict(os.environ), str(heard.path)),
        ) as pool,
    ):
        running: dict[Future[SearchOutcome], SearchItem] = {}
        for number, item in enumerate(items):
            with interrupts_left_to_the_parent():
                running[pool.submit(_search, number, item)] = item
        while running:
            done, _ = wait(running, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
            for number, progress in heard.news():
                tell(items[number], progress)
            for future in done:
                yield _outcome(future, running.pop(future))


def _outcome(future: Future[SearchOutcome], item: SearchItem) -> SearchOutcome:
    try:
        return future.result()
    except BrokenProcessPool:
        return SearchOutcome(item, 0.0, problem=WORKER_LOST)


class _Heard:
    """The file to which workers append a line a trial, read from where it was left. Short lines are written whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0

    def news(self) -> Iterator[tuple[int, SearchProgress]]:
        from resources.tuning.search import SearchProgress

        with self.path.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._read += len(line)
                number, progress = json.loads(line)
                yield number, SearchProgress(**progress)


@contextlib.contextmanager
def _progress_file() -> Iterator[_Heard]:
    descriptor, name = tempfile.mkstemp(prefix="trading-dag-tune-", suffix=".jsonl")
    os.close(descriptor)
    try:
        yield _Heard(Path(name))
    finally:
        Path(name).unlink(missing_ok=True)


class _Worker:
    """Holds what a worker process keeps between searches."""

    settings: Settings
    progress: Path


def _start_worker(settings: Settings, environment: dict[str, str], progress: str) -> None:
    enter_worker(environment)
    if settings.log_level is not None:
        log_to_stderr(settings.log_level)
    _Worker.settings, _Worker.progress = settings, Path(progress)


def _search(number: int, item: SearchItem) -> SearchOutcome:
    """Run one search in this worker process."""
    from resources.tuning.search import Budget, search
    from trading_dag.models.tuning.families import FAMILIES

    started = time.perf_counter()
    tuning = _Worker.settings.tuning

    def tell(progress: SearchProgress) -> None:
        with _Worker.progress.open("ab", buffering=0) as file:
            file.write(f"{json.dumps([number, asdict(progress)])}\n".encode())

    try:
        study = _rows_of(item.key, item.family).study(item.family, FAMILIES[item.family].space, item.window)
        budget = Budget(tuning.trials, None if tuning.minutes is None else 60 * tuning.minutes)
        done = search(study, home=_Worker.settings.home, budget=budget, tell=tell)
    except InsufficientDataError as error:
        passed = time.perf_counter() - started
        return SearchOutcome(item, passed, problem=f"insufficient_data: {error}", is_insufficient=True)
    except (TradingDagError, OSError) as error:
        return SearchOutcome(item, time.perf_counter() - started, problem=" ".join(str(error).split()))
    return SearchOutcome(item, time.perf_counter() - started, done.finished, done.best)


@lru_cache(maxsize=1)
def _rows_of(key: SliceKey, family: str) -> TaskRows:
    """The rows that both windows of a family share; the next family of the worker takes their place."""
    from trading_dag.models.tuning.families import FAMILIES, family_rows

    store = ParquetStore(_Worker.settings.home)
    features, targets = store.read(FEATURE_TABLE, SliceKey(key.ticker)), store.read(TARGETS, key)
    if features.empty:
        raise InsufficientDataError("features.feature_table has no rows")
    return family_rows(
        FAMILIES[family], features, targets, horizon=horizon_of(key.horizon or ""), settings=_Worker.settings
    )
