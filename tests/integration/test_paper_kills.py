"""Processes that work on the paper account are killed, with SIGKILL, at moments all over their work: the account comes
to exactly what it comes to undisturbed."""

from __future__ import annotations

import random
import signal
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import pandas as pd
import pytest
from pydantic import SecretStr

from resources.brokers.alpaca.connection import AlpacaAccess, AlpacaConnection
from resources.brokers.alpaca_broker import AlpacaBroker
from resources.brokers.desk import Desk
from resources.brokers.journal import FileJournal
from resources.brokers.kill_switch import KillSwitch
from resources.doctor.stored_state import damaged_slices
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.integration.paper_steps import SESSIONS, Death, account_of, forks, outcome, step
from tests.integration.processes import wait_until
from tests.resources.brokers.alpaca_account import NOW, with_quotes
from tests.resources.brokers.paper_market import NO_LIMITS, SOURCE
from tests.resources.brokers.test_alpaca_crashes import _signals, _view
from tests.resources.loopback.alpaca import KEY, SECRET, AlpacaFault, LoopbackAlpaca
from trading_dag.paper.decisions import Signals
from trading_dag.paper.tables import ledger_frame, ledger_objection
from trading_dag.schemas import LEDGER, ORDERS, POSITIONS, RECONCILIATION
from trading_dag.setting_groups import HttpSettings
from trading_dag.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(3_600)]
KILLS_AN_EVENING = 3
TABLES = (ORDERS, POSITIONS, LEDGER, RECONCILIATION)
MOMENTS = ["recorded_at", "reconciled_at", "at"]


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    return forks()


@pytest.fixture(scope="module")
def undisturbed(context: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """A home on which nothing was killed, and how many writes each evening took."""
    home, writes = tmp_path_factory.mktemp("undisturbed"), []
    for number in range(SESSIONS):
        code, answer = step(context, home, number)
        assert (code, answer[0]) == (0, ())
        writes.append(answer[1])
    assert min(writes) >= 8
    return home, writes


def table(home: Path, of: object) -> pd.DataFrame:
    """A stored table without the moments at which its rows were recorded."""
    rows = ParquetStore(home).read(of, SliceKey())  # type: ignore[arg-type]
    return rows.drop(columns=[name for name in MOMENTS if name in rows])


def test_an_account_whose_processes_are_killed_twelve_times_is_the_one_that_nothing_disturbed(
    context: ForkServerContext, undisturbed: tuple[Path, list[int]], tmp_path: Path
) -> None:
    whole, writes = undisturbed
    chance, killed = random.Random(3), 0
    for number in range(SESSIONS):
        for how in ("before", "in the middle of", "after"):
            # What was written before a death is not written again, so later deaths come early.
            at = chance.randint(1, max(2, writes[number] // KILLS_AN_EVENING))
            code, answer = step(context, tmp_path, number, Death(at, how))  # type: ignore[arg-type]
            assert (code, answer) == (-signal.SIGKILL, None), (number, at, how)
            killed += 1
        code, answer = step(context, tmp_path, number)
        assert (code, answer[0]) == (0, ())
    assert killed == SESSIONS * KILLS_AN_EVENING
    assert outcome(tmp_path) == outcome(whole)
    account = account_of(tmp_path)
    assert ledger_objection(ledger_frame(account), cash_cents=account.cash_cents) is None
    assert list(damaged_slices(ParquetStore(tmp_path), fast=False)) == []
    assert list((tmp_path / "data").rglob("*.tmp")) == []
    for one in TABLES:
        pd.testing.assert_frame_equal(table(tmp_path, one), table(whole, one))


def order_once(home: Path, url: str) -> None:
    """What a process does that has one signal to order at Alpaca, and then asks what became of it."""
    access = AlpacaAccess(SecretStr(KEY), SecretStr(SECRET), url, url, HttpSettings(timeout_seconds=120.0, attempts=1))
    settings = Settings(_env_file=None, home=home, source=SOURCE)
    desk = Desk(
        journal=FileJournal(home / "paper" / "journal.jsonl"),
        broker=AlpacaBroker(AlpacaConnection(access), clock=lambda: NOW),
        switch=KillSwitch(home / "paper"),
        settings=NO_LIMITS,
        views={"SPY": _view(settings)},
        signals=Signals(_signals(), source=SOURCE),
        cash_usd=100_000.0,
        clock=lambda: NOW - pd.Timedelta(hours=15),
    )
    desk.advance()
    desk.trade()


def kill_in_flight(process: ForkServerProcess, server: LoopbackAlpaca, method: str, path: str) -> None:
    """Kill a process once the server has a request of it; it may end before, where it need not ask."""
    before = len(server.asked(method, path))
    process.start()
    wait_until(lambda: not process.is_alive() or len(server.asked(method, path)) > before, patience=900.0)
    if process.is_alive():
        process.kill()
    process.join()
    server._faults.clear()


HANGS = 600.0
IN_FLIGHT = {
    "an order that the broker has taken": ("POST", "/v2/orders", AlpacaFault(delay_seconds=HANGS), 1),
    "an order that got lost": ("POST", "/v2/orders", AlpacaFault(delay_seconds=HANGS, cuts_before=True), 0),
    "the question whether it is there": ("GET", "/v2/orders", AlpacaFault(delay_seconds=HANGS), 0),
}


@pytest.mark.parametrize("call", list(IN_FLIGHT))
def test_a_process_that_is_killed_with_a_call_to_the_broker_in_flight_has_sent_one_order(
    context: ForkServerContext, tmp_path: Path, call: str
) -> None:
    method, path, fault, taken = IN_FLIGHT[call]
    with LoopbackAlpaca() as server:
        with_quotes(server)
        for _ in range(2):  # and the process after it too
            server.inject(method, path, fault)
            kill_in_flight(context.Process(target=order_once, args=(tmp_path, server.url)), server, method, path)
        assert len(server.orders) == taken
        for _ in range(2):
            process = context.Process(target=order_once, args=(tmp_path, server.url))
            process.start()
            process.join()
            assert process.exitcode == 0
        assert len(server.orders) == 1
        assert [record.state for record in account_of(tmp_path).orders.values()] == ["filled"]
        moved = account_of(tmp_path).cash_cents
        assert moved == 10_000_000 + 2 * 295 * 100, "two condors for 2.95 each"
