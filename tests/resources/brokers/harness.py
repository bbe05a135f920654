"""Brokers that the contract suite is run on: each with a market that a test can open, close and let expire."""

from __future__ import annotations

from typing import Protocol

from resources.brokers.broker import Broker
from tests.resources.brokers.alpaca_account import broker_of, closing, condor, with_quotes
from tests.resources.loopback.alpaca import LoopbackAlpaca
from trading_dag.paper.orders import Order


class BrokerUnderTest(Protocol):
    """A broker and what a test does to the market around it."""

    def broker(self) -> Broker:
        """The broker, as a process that has just started has it."""

    def opening(self) -> Order:
        """An order that opens two iron condors and will be filled."""

    def closing(self, attempt: int = 1) -> Order:
        """The order that closes them."""

    def hold_fills(self) -> None:
        """From now on nothing is filled."""

    def let_fills(self) -> None:
        """What is working is filled at the next quotes."""

    def expire(self) -> None:
        """Let every contract that is held expire worthless."""


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
