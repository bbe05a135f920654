"""What every broker offers. Orders reach one through ``desk`` alone, which asks the kill switch and the limits first.

How a broker is spoken to does not belong here: each has a module of its own, and none takes another's place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trading_dag.paper.orders import BrokerAccount, HeldContract, Order, OrderReport, Quote, Settlement


class Broker(Protocol):
    """Takes orders by the client's id and says what became of them.

    Every method may raise ``BrokerUnavailableError``: nobody knows whether what was asked has happened. The caller asks
    ``order`` for the id before it sends anything again.
    """

    @property
    def name(self) -> str:
        """Return ``paper`` (built in) or ``alpaca``, as the tables record it."""

    @property
    def is_live(self) -> bool:
        """Return whether real money is traded. The desk refuses such a broker."""

    @property
    def fills_on_stored_quotes(self) -> bool:
        """Return whether orders are filled by the engine on stored quotes. Such a broker fills a closing order at the
        quote on which its exit held; any other fills it when the market does."""

    def account(self) -> BrokerAccount:
        """Return cash, equity and buying power."""

    def contracts(self) -> Sequence[HeldContract]:
        """Return what is held, one row a contract, netted over all trades, as of all that has been reported."""

    def submit(self, order: Order) -> OrderReport:
        """Take an order. An id that was taken before is not taken again: what became of that order is returned.

        Raises
        ------
        BrokerUnavailableError : the answer did not come; the order may have arrived.
        """

    def order(self, order_id: str) -> OrderReport | None:
        """Return what became of the order of a client's id; None where the broker never got it."""

    def cancel(self, order_id: str) -> OrderReport:
        """Take a working order back, and return what became of it: it may have been filled before.

        Raises
        ------
        OrderNotFoundError : where the broker never got it.
        """

    def settlements(self, through: Quote | None = None) -> Sequence[Settlement]:
        """Return every position that ended without an order, expired or assigned, at or before a quote (None: so far);
        each one every time."""
