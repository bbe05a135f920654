"""Many questions to one vendor at once, each answer handed on as it comes.

The vendor's limit is kept by the limiter that its clients share, and what an ended fetch had read is in their cache:
asked again, it goes on from there. How a question is asked belongs to the clients, what becomes of an answer to the
caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from trading_dag.errors import SourceError, SourceOffError

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class FetchProgress:
    """Tells how far a fetch has come.

    Attributes
    ----------
    key : what was fetched last.
    done, total : questions answered or failed, and all of them.
    failed : those that failed.
    """

    key: str
    done: int
    total: int
    failed: int


def fetch_each(
    keys: Iterable[str],
    fetch: Callable[[str], Answer],
    *,
    workers: int,
    receive: Callable[[str, Answer], None],
    progress: Callable[[FetchProgress], None] | None = None,
) -> dict[str, SourceError]:
    """Fetch each key once, several at a time.

    Parameters
    ----------
    keys : what to fetch; one that stands there twice is fetched once.
    fetch : called in a thread.
    workers : threads. More than the vendor's rate needs do no harm: they wait for their turn.
    receive : takes each answer, in the calling thread; answers wait only while it is busy, so that they are few.
    progress : called in the calling thread after every key.

    Returns
    -------
    dict : what failed, and why; the others went on.

    Raises
    ------
    SourceOffError : at the first of them, because a missing or refused key fails for every question.
    Exception : whatever else ``fetch``, ``receive`` or ``progress`` raise. What has not begun is not asked any more.
    KeyboardInterrupt, SystemExit : at once, without waiting for what is being asked.
    """
    wanted = list(dict.fromkeys(keys))
    waiting = iter(wanted)
    errors: dict[str, SourceError] = {}
    done = 0
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="fetch")
    running: dict[Future[Answer], str] = {}
    is_waited_for = True
    try:
        while True:
            running |= {pool.submit(fetch, key): key for key in islice(waiting, 2 * workers - len(running))}
            if not running:
                return errors
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                key, done = running.pop(future), done + 1
                try:
                    answer = future.result()
                except SourceOffError:
                    raise
                except SourceError as error:
                    errors[key] = error
                else:
                    receive(key, answer)
                if progress is not None:
                    progress(FetchProgress(key, done, len(wanted), len(errors)))
    except (KeyboardInterrupt, SystemExit):
        is_waited_for = False
        raise
    finally:
        pool.shutdown(wait=is_waited_for, cancel_futures=True)
