"""A process that ends at any moment between decision, sending and record: no order twice, none lost, cash kept."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.brokers.desk import Desk
from resources.brokers.journal import FileJournal, Journal, MemoryJournal
from tests.resources.brokers.paper_market import Operator, market_of, paper_settings
from trading_dag.errors import BrokerUnavailableError, JournalError
from trading_dag.paper.account import Account
from trading_dag.paper.events import Event
from trading_dag.paper.tables import ledger_frame, ledger_objection

SESSIONS = 5


class Killed(BaseException):
    """Stands for the end of a process: nothing catches it."""


@dataclass
class Fuse:
    """Ends the process at the n-th write, before it or after it."""

    writes: int
    is_after: bool

    def burn(self) -> bool:
        self.writes -= 1
        return self.writes == 0


@dataclass
class BurningJournal:
    """A journal in which the process ends at one of its writes."""

    inner: Journal
    fuse: Fuse

    @property
    def events(self) -> list[Event]:
        return self.inner.events

    def append(self, event: Event) -> None:
        burns = self.fuse.burn()
        if burns and not self.fuse.is_after:
            raise Killed
        self.inner.append(event)
        if burns:
            raise Killed


def work_through(operator: Operator, fuses: list[Fuse]) -> None:
    """Every session's evening, begun again after each end of the process."""
    waiting = list(fuses)
    for session in operator.market.sessions:
        while True:
            fuse = waiting.pop(0) if waiting else Fuse(0, is_after=False)
            burning = replace(
                operator,
                journal=BurningJournal(operator.journal, fuse),
                books=BurningJournal(operator.books, fuse),
            )
            try:
                burning.work(session)
            except Killed:
                continue
            break


def outcome(operator: Operator) -> tuple[dict[str, str], list[tuple[object, ...]], int]:
    """What became of each order, every movement of cash, and the cash."""
    account = Account(operator.journal.events)
    states = {order_id: record.state for order_id, record in account.orders.items()}
    moves = [(one.session, one.kind, one.amount_cents, one.order_id) for one in account.movements]
    return states, moves, account.cash_cents


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[Operator, int]:
    operator = Operator(
        market_of(11, sessions=SESSIONS, offset=1, horizon="24h"), paper_settings(tmp_path_factory.mktemp("paper"))
    )
    count = Fuse(10**6, is_after=False)
    burning = replace(
        operator, journal=BurningJournal(operator.journal, count), books=BurningJournal(operator.books, count)
    )
    for session in operator.market.sessions:
        burning.work(session)
    return operator, 10**6 - count.writes


@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_wherever_processes_end_the_account_comes_to_the_same_orders_and_the_same_cash(undisturbed, data):
    whole, writes = undisturbed
    points = data.draw(st.lists(st.tuples(st.integers(1, writes // 2), st.booleans()), min_size=1, max_size=4))
    operator = Operator(whole.market, whole.settings, MemoryJournal(), MemoryJournal())
    work_through(operator, [Fuse(at, is_after=after) for at, after in points])
    assert outcome(operator) == outcome(whole)
    account = Account(operator.journal.events)
    assert ledger_objection(ledger_frame(account), cash_cents=account.cash_cents) is None


def test_a_close_whose_fill_was_not_written_down_is_asked_for_at_the_next_start(undisturbed):
    """The process ends before the sixth write of an evening, and again right after the sixth of the next start: the
    broker has closed the position, and the account has only written down that the order was sent."""
    whole, _ = undisturbed
    operator = Operator(whole.market, whole.settings, MemoryJournal(), MemoryJournal())
    work_through(operator, [Fuse(6, is_after=False), Fuse(6, is_after=True)])
    assert outcome(operator) == outcome(whole)


@pytest.mark.long
@pytest.mark.parametrize("is_after", [False, True])
def test_each_single_moment_of_death_changes_nothing(undisturbed, is_after):
    whole, writes = undisturbed
    for at in range(1, writes + 1):
        operator = Operator(whole.market, whole.settings, MemoryJournal(), MemoryJournal())
        work_through(operator, [Fuse(at, is_after=is_after)])
        assert outcome(operator) == outcome(whole), at


def test_an_order_whose_answer_got_lost_is_asked_for_by_its_id_and_not_sent_again(tmp_path, monkeypatch):
    operator = Operator(market_of(11, sessions=3, offset=1, horizon="24h"), paper_settings(tmp_path))
    first = operator.market.sessions[0]
    desk = operator.desk(first)
    submitted, submit = [], desk.broker.submit

    def lose_the_answer(order):
        submitted.append(order.order_id)
        submit(order)
        raise BrokerUnavailableError(broker="paper", request=order.order_id, problem="no answer")

    monkeypatch.setattr(desk.broker, "submit", lose_the_answer)
    with pytest.raises(BrokerUnavailableError):
        desk.trade()
    assert [record.state for record in Account(operator.journal.events).orders.values()] == ["intended"]
    again = operator.desk(first)
    monkeypatch.setattr(again.broker, "submit", lose_the_answer)
    again.advance()
    again.trade()
    assert len(submitted) == 1
    assert [record.state for record in Account(operator.journal.events).orders.values()] == ["sent"]


def test_an_order_that_was_not_sent_before_its_quote_came_lapses_and_is_kept(tmp_path, monkeypatch):
    operator = Operator(market_of(11, sessions=3, offset=1, horizon="24h"), paper_settings(tmp_path))
    monkeypatch.setattr(Desk, "_send", lambda *_: (_ for _ in ()).throw(Killed()))
    with pytest.raises(Killed):
        operator.work(operator.market.sessions[0])
    monkeypatch.undo()
    desk, _ = operator.work(operator.market.sessions[1])
    first = next(iter(desk.account.orders.values()))
    assert (first.state, first.happened[-1].reason) == ("lapsed", "it was not sent before its quote came")
    assert not desk.account.positions


def test_working_an_evening_again_writes_nothing(tmp_path):
    operator = Operator(market_of(11, sessions=3, offset=1, horizon="24h"), paper_settings(tmp_path))
    for session in operator.market.sessions:
        operator.work(session)
        once = outcome(operator)
        operator.work(session)  # the first time notes that the session is past
        before = operator.journal.events
        operator.work(session)
        assert operator.journal.events == before
        assert outcome(operator) == once


def test_a_line_that_was_cut_off_never_counted_and_any_other_damage_stops_the_account(tmp_path):
    path = tmp_path / "paper" / "journal.jsonl"
    journal = FileJournal(path)
    for number in range(3):
        journal.append({"event": "x", "at": "2024-01-02T00:00:00+00:00", "number": number})
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    assert [event["number"] for event in FileJournal(path).events] == [0, 1]
    after = FileJournal(path)
    after.append({"event": "x", "at": "2024-01-02T00:00:00+00:00", "number": 7})
    assert [event["number"] for event in FileJournal(path).events] == [0, 1, 7]
    path.write_bytes(whole.replace(b'"number": 1', b'"number": 4'))
    with pytest.raises(JournalError, match=r"journal\.jsonl, line 2, is not as it was written"):
        FileJournal(path)
