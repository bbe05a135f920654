"""The paper account's step in a process of its own, which ends itself with SIGKILL at a moment that a test names. No
test.

The processes are forks of one that has imported everything, as the automation's runs are.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from resources.brokers.journal import FileJournal
from trading_dag.paper.account import Account

SESSIONS: Final = 4
PRELOADED: Final = ("tests.integration.paper_steps", "tests.assets.test_paper", "resources.expectations", "scipy.stats")
How = Literal["before", "in the middle of", "after"]


@dataclass(frozen=True)
class Death:
    """A write at which the process ends: the n-th line of a journal or file of a table that it writes."""

    write: int
    how: How


class Counter:
    """Counts the writes of this process and ends it at one of them."""

    def __init__(self, death: Death | None) -> None:
        self.death, self.writes = death, 0

    @contextmanager
    def write(self) -> Iterator[bool]:
        """One write; whether the process is to end in the middle of it."""
        self.writes += 1
        how = self.death.how if self.death is not None and self.death.write == self.writes else None
        if how == "before":
            end()
        yield how == "in the middle of"
        if how == "after":
            end()


class Sender(Protocol):
    """The end of a pipe."""

    def send(self, value: object) -> None:
        """Send something."""


def end() -> None:
    """End this process as the kernel does."""
    os.kill(os.getpid(), signal.SIGKILL)


def forks() -> ForkServerContext:
    """Processes that have imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def counted(counter: Counter) -> None:
    """Let every line of a journal and every file of a slice count as a write."""
    import resources.storage.parquet_store as store

    append, put = FileJournal.append, store.ParquetStore.put

    def append_counted(journal: FileJournal, event: Any) -> None:
        with counter.write() as is_torn:
            if is_torn:
                with journal.path.open("ab") as file:
                    file.write(b'0badc0de {"event": "fil')
                    os.fsync(file.fileno())
                end()
            append(journal, event)

    def put_counted(self: store.ParquetStore, *given: Any, **named: Any) -> Any:
        with counter.write() as is_torn:
            if is_torn:
                Path.replace = lambda *_: end()  # type: ignore[assignment,method-assign,return-value]
            return put(self, *given, **named)

    FileJournal.append = append_counted  # type: ignore[method-assign]
    store.ParquetStore.put = put_counted  # type: ignore[method-assign,assignment]


def evening(home: Path, number: int, death: Death | None, answer: Sender) -> None:
    """What a refresh does with the account on the evening of a session, in this process."""
    import dagster as dg

    from assets.run.execution import SliceRunner, WorkItem
    from resources.storage.parquet_store import ParquetStore, SliceKey
    from tests.assets.test_paper import store_market
    from tests.resources.brokers.paper_market import market_of, paper_settings
    from trading_dag.definitions import build_definitions

    settings = paper_settings(home)
    market = market_of(11, sessions=SESSIONS, offset=1, horizon="24h")
    store_market(ParquetStore(home), market.through(market.sessions[number]))
    counter = Counter(death)
    counted(counter)
    with dg.DagsterInstance.ephemeral() as instance:
        runner = SliceRunner(build_definitions(settings), instance, settings)
        outcome = runner.bring_up_to_date(WorkItem("all_slices", SliceKey(), "refresh"))
    answer.send((outcome.errors, counter.writes))


def step(context: ForkServerContext, home: Path, number: int, death: Death | None = None) -> tuple[int, Any]:
    """Exit code of an evening's process, and what it answered; None where it did not live to."""
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=evening, args=(home, number, death, there))
    process.start()
    there.close()
    try:
        answer = here.recv()
    except EOFError:
        answer = None
    process.join()
    assert process.exitcode is not None
    return process.exitcode, answer


def account_of(home: Path) -> Account:
    """The account as its journal has it."""
    return Account(FileJournal(home / "paper" / "journal.jsonl").events)


def outcome(home: Path) -> tuple[dict[str, str], list[tuple[object, ...]], int, dict[str, int]]:
    """What became of each order, every movement of cash, the cash, and how many of the broker's trades there are."""
    account = account_of(home)
    states = {order_id: record.state for order_id, record in account.orders.items()}
    moves = [(one.session, one.kind, one.amount_cents, one.order_id) for one in account.movements]
    taken: dict[str, int] = {}
    for event in FileJournal(home / "paper" / "broker.jsonl").events:
        taken[event["event"]] = taken.get(event["event"], 0) + 1
    return states, moves, account.cash_cents, taken
