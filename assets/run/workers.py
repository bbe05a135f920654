"""Worker processes of the command line: forked from a server that has imported what every slice needs.

A spawned worker would import Dagster, pandas and Great Expectations itself, which takes five seconds each time. The
server imports them once, while the command itself is still starting, and has no threads of its own when it forks.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.process import BaseProcess
from typing import Any, Final

from assets.run.stopping import STOPPING

THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
ENDING_SECONDS: Final = 3.0
_PRELOADED: Final = "trading_dag.cli.preload"


class WorkerContext(ForkServerContext):
    """Makes worker processes from the server, and remembers those that it made."""

    def __init__(self) -> None:
        super().__init__()
        self.workers: list[BaseProcess] = []

    def Process(self, *args: Any, **kwargs: Any) -> ForkServerProcess:  # type: ignore[override]  # noqa: N802
        """Return a new worker, which the caller starts."""
        worker = ForkServerProcess(*args, **kwargs)
        self.workers.append(worker)
        return worker


@contextmanager
def worker_pool(size: int, *, initializer: Callable[..., object], initargs: tuple[Any, ...]) -> Iterator[Executor]:
    """Yield a pool of up to ``size`` workers, made as needed. An error inside (also Ctrl-C or an iteration that is
    left) ends them."""
    context = start_server()
    pool = ProcessPoolExecutor(size, mp_context=context, initializer=initializer, initargs=initargs)
    try:
        yield pool
    except BaseException:
        end_workers(worker for worker in context.workers if worker.pid is not None)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def start_server() -> WorkerContext:
    """Start the server, unless it already runs, and return the context that makes workers from it.

    It ends with this process.
    """
    from multiprocessing import forkserver, resource_tracker

    context = WorkerContext()
    context.set_forkserver_preload([_PRELOADED])
    resource_tracker.ensure_running()  # the server would start it, and with that unblock what is blocked below
    with interrupts_left_to_the_parent():
        forkserver.ensure_running()
    return context


@contextmanager
def interrupts_left_to_the_parent() -> Iterator[None]:
    """Block signals inside, so that processes started there leave Ctrl-C to the parent, also while they import.

    The parent answers after the block, SIGTERM too: if it were interrupted inside, a worker that it had just requested
    would find half a request in its pipe. The mask alone is not enough, because another thread may take the signal.
    """
    came: list[signal.Signals] = []
    is_main = threading.current_thread() is threading.main_thread()
    numbers = [number for number in STOPPING if is_main and signal.getsignal(number) is not signal.SIG_IGN]
    handlers = {
        number: signal.signal(number, lambda number, _: came.append(signal.Signals(number))) for number in numbers
    }
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            _answer_now(came[0], handlers[came[0]])


def _answer_now(number: int, handler: Any) -> None:
    """Do what the signal would have done when it came."""
    if callable(handler):
        handler(number, None)
    else:
        signal.raise_signal(number)


def end_workers(workers: Iterable[BaseProcess]) -> None:
    """End workers, gracefully where they stop in time; whatever they store is complete at every moment."""
    ending = list(workers)
    for worker in ending:
        worker.terminate()
    deadline = time.monotonic() + ENDING_SECONDS
    for worker in ending:
        worker.join(max(deadline - time.monotonic(), 0.0))
        if worker.is_alive():
            worker.kill()


def enter_worker(environment: dict[str, str]) -> None:
    """Prepare a new worker: the command's environment, one thread for linear algebra, and an end together with the
    command.

    Parameters
    ----------
    environment : the command's present environment; the server may have an older one.
    """
    os.environ.clear()
    os.environ.update(environment)
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    gc.freeze()  # what the server imported is never garbage; looking through it takes 0.2 s each time
    threading.Thread(target=_end_with_command, daemon=True).start()


def _end_with_command() -> None:
    """Exit when the command was killed, so that no worker writes for nobody. The server ends with the last worker."""
    command = multiprocessing.parent_process()
    if command is not None:
        command.join()
        os._exit(1)
