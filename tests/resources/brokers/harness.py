"""Brokers that the contract suite is run on: each with a market that a test can open, close and let expire."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pandas as pd

from resources.brokers.broker import Broker
from resources.brokers.journal import MemoryJournal
from resources.brokers.paper_broker import PaperBroker
from tests.resources.brokers.alpaca_account import broker_of, closing, condor, with_quotes
from tests.resources.brokers.paper_market import market_of, paper_settings
from tests.resources.loopback.alpaca import LoopbackAlpaca
from trading_dag.paper.orders import Order, PlanKey, Quote


class BrokerUnderTest(Protocol):
    """A broker and what a test does to the market around it."""

    def broker(self) -> Broker:
        """The broker, as a process that has just started has it."""

    def opening(self) -> Order:
        """An order that opens iron condors and will be filled."""

    def closing(self, attempt: int = 1) -> Order:
        """The order that closes them."""

    def hold_fills(self) -> None:
        """From now on nothing is filled."""

    def let_fills(self) -> None:
        """What is working is filled at the next quotes."""

    def expire(self) -> None:
        """Let every contract that is held expire worthless."""


class PaperUnderTest:
    """The built-in broker on a small market, of which it knows the quotes that have come so far."""

    def __init__(self, home: Path) -> None:
        self.market = market_of(7, sessions=60, strategies=("iron_condor",))
        self.settings = paper_settings(home)
        self.books = MemoryJournal()
        self.signal = 3
        # The signal's own session is the last that is known: its orders wait for the next.
        self.known = self.signal + 2

    def broker(self) -> Broker:
        known = self.market.through(self.market.sessions[self.known])
        return PaperBroker(
            self.books,
            views={"SPY": known.view(self.settings)},
            cash_usd=self.settings.backtest.account_usd,
            clock=lambda: pd.Timestamp(self.market.sessions[self.known]).tz_localize("UTC") + pd.Timedelta(hours=23),
        )

    def opening(self) -> Order:
        sessions = self.market.sessions
        key = PlanKey("SPY", sessions[self.signal], "168h", "matrix")
        return replace(
            condor(), order_id=key.order_id("open"), key=key, names_contracts=False, target_session=sessions[-1]
        )

    def closing(self, attempt: int = 1) -> Order:
        due = Quote(self.market.sessions[self.known], is_close=True)
        return replace(closing(self.opening(), attempt=attempt), due=due)

    def hold_fills(self) -> None:
        self.known = self.signal

    def let_fills(self) -> None:
        self.known += 1

    def expire(self) -> None:
        self.known = len(self.market.sessions) - 1


class AlpacaUnderTest:
    """Alpaca's paper API on loopback."""

    def __init__(self, account: LoopbackAlpaca) -> None:
        self.account = with_quotes(account)

    def broker(self) -> Broker:
        return broker_of(self.account)

    def opening(self) -> Order:
        return condor()

    def closing(self, attempt: int = 1) -> Order:
        return closing(condor(), attempt=attempt)

    def hold_fills(self) -> None:
        for quote in self.account.quotes.values():
            quote.size = 0

    def let_fills(self) -> None:
        for quote in self.account.quotes.values():
            quote.size = 1_000
        self.account.match()

    def expire(self) -> None:
        for symbol in list(self.account.held):
            self.account.deliver(symbol, "OPEXP")
