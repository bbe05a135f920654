"""The desk with Alpaca's account, cut off at every point between deciding, writing down, sending and recording."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from resources.brokers.alpaca_broker import AlpacaBroker
from resources.brokers.desk import Desk
from resources.brokers.journal import MemoryJournal
from resources.brokers.kill_switch import KillSwitch
from tests.resources.brokers.alpaca_account import NOW, SESSION, broker_of, condor, with_quotes
from tests.resources.brokers.paper_market import NO_LIMITS, SOURCE, market_of
from tests.resources.loopback.alpaca import AlpacaFault, LoopbackAlpaca
from trading_dag.errors import BrokerUnavailableError
from trading_dag.paper.decisions import SIGNAL_COLUMNS, Signals
from trading_dag.paper.orders import Order, OrderReport
from trading_dag.paper.views import modelled_view
from trading_dag.settings import Settings

POINTS = 7


class Killed(BaseException):
    """Stands for the end of the process: nothing that the desk does can catch it."""


class CountedJournal:
    """A journal that outlives its process, and kills it before or after a line is written."""

    def __init__(self, kept: MemoryJournal, tick: Callable[[], None]) -> None:
        self._kept, self._tick = kept, tick

    def __getattr__(self, name: str) -> object:
        return getattr(self._kept, name)

    def append(self, *given: object, **named: object) -> object:
        self._tick()
        made = self._kept.append(*given, **named)
        self._tick()
        return made


class CountedBroker(AlpacaBroker):
    """The broker, killed before an order is sent or after it was taken."""

    tick: Callable[[], None]

    def submit(self, order: Order) -> OrderReport:
        self.tick()
        report = super().submit(order)
        self.tick()
        return report


class Account:
    """One account at Alpaca, one journal, and as many processes as it takes."""

    def __init__(self, server: LoopbackAlpaca, home: Path) -> None:
        self.server, self.home, self.journal = server, home, MemoryJournal()

    def process(self, *, dies_at: int | None) -> Desk:
        """A desk as a new process makes it, which ends at the given point."""
        passed = iter(range(10_000))

        def tick() -> None:
            if next(passed) == dies_at:
                raise Killed

        plain = broker_of(self.server)
        broker = CountedBroker(plain._connection, clock=lambda: NOW)
        broker.tick = tick
        settings = Settings(_env_file=None, home=self.home, source=SOURCE)
        return Desk(
            journal=CountedJournal(self.journal, tick),
            broker=broker,
            switch=KillSwitch(self.home / "paper"),
            settings=NO_LIMITS,
            views={"SPY": _view(settings)},
            signals=Signals(_signals(), source=SOURCE),
            cash_usd=100_000.0,
            clock=lambda: NOW - pd.Timedelta(hours=15),
        )


def _signals() -> pd.DataFrame:
    order = condor()
    legs = [
        {"option_right": leg.right[0].upper(), "side": leg.side, "ratio": 1, "strike": leg.strike,
         "expiration": f"{leg.expiration:%Y-%m-%d}"}
        for leg in order.legs
    ]  # fmt: skip
    row = market_of(7, sessions=5, horizon="24h").signals.iloc[[0]].assign(
        session=SESSION, target_session=order.target_session, strategy="iron_condor", legs=json.dumps(legs),
        contracts=2, position_size=1.0, design_size="FULL", edge="skilled",
    )  # fmt: skip
    return row[list(SIGNAL_COLUMNS)]


def _view(settings: Settings):
    market = market_of(7, sessions=40)
    from trading_dag.sessions import sessions_between

    days = sessions_between("2026-01-02", SESSION)[-40:]
    moved = [frame.assign(session=days) for frame in (market.prices, market.volatility_index, market.rates)]
    return modelled_view("SPY", moved[0], moved[1], rates=moved[2], settings=settings)


@pytest.fixture
def account(tmp_path):
    with LoopbackAlpaca() as server:
        yield Account(with_quotes(server), tmp_path)


def run(desk: Desk) -> None:
    desk.advance()
    desk.trade()


def sent(account: Account) -> int:
    return len(account.server.orders)


@pytest.mark.parametrize("point", range(POINTS + 3))
@pytest.mark.parametrize("again", [None, 0, 1, 2])
def test_whatever_is_cut_off_and_cut_off_again_the_order_is_sent_once(account, point, again):
    for dies_at in (point, again):
        try:
            run(account.process(dies_at=dies_at))
        except Killed:
            continue
    run(account.process(dies_at=None))
    run(account.process(dies_at=None))
    assert sent(account) == 1
    assert len(account.server.asked("POST", "/v2/orders")) == 1
    states = {record.state for record in account.process(dies_at=None).account.orders.values()}
    assert states == {"filled"}


def test_the_points_reach_from_before_the_first_line_to_after_the_last(account):
    counted = []
    desk = account.process(dies_at=None)
    desk.broker.tick = lambda: counted.append("broker")
    desk.journal._tick = lambda: counted.append("journal")
    run(desk)
    assert POINTS <= len(counted) <= POINTS + 3
    assert counted.count("broker") == 2


def test_an_answer_that_did_not_come_is_asked_for_by_the_id_in_the_next_process(account):
    account.server.inject("POST", "/v2/orders", AlpacaFault(cuts_after=True))
    account.server.inject("GET", "by_client_order_id", AlpacaFault())
    account.server.inject("GET", "by_client_order_id", AlpacaFault(status=502), times=3)
    with pytest.raises(BrokerUnavailableError):
        run(account.process(dies_at=None))
    run(account.process(dies_at=None))
    assert sent(account) == 1
