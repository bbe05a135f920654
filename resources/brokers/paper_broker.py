"""The built-in broker: it fills orders on stored quotes by the engine of the backtests, and keeps books of its own.

An opening order is filled at the first quote after its signal's session, with the contracts and the size that the
backtest would take there; a closing one at the quote on which its exit held. Its books are a journal apart from the
account's, so that each survives a crash of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import pandas as pd

from resources.brokers.journal import Journal
from trading_dag.backtest.trades.account import CapitalBook, CapitalNeed
from trading_dag.errors import OrderNotFoundError
from trading_dag.paper.events import (
    Event,
    fill_of_event,
    fill_to_event,
    order_of_event,
    order_to_event,
)
from trading_dag.paper.one_position import Held, TickerView, cents, close_at, open_one, settled_course
from trading_dag.paper.orders import (
    WORKING,
    BrokerAccount,
    Fill,
    HeldContract,
    Order,
    OrderReport,
    OrderStatus,
    Quote,
    Right,
    Settlement,
)

NAME: Final = "paper"


@dataclass
class _Trade:
    """A position on the broker's books."""

    order: Order
    fill: Fill
    end: Fill | None = None
    settled_as: str = ""

    @property
    def held(self) -> Held:
        order = self.order
        return Held(order.key, order.structure, self.fill, order.size, order.target_session)


class PaperBroker:
    """Fills orders on the quotes that are stored now.

    Parameters
    ----------
    journal : its books.
    views : what is known of each ticker's quotes.
    cash_usd : what the account is opened with; its books keep it from the first order on.
    clock : the present, UTC.
    """

    name = NAME
    is_live = False
    fills_on_stored_quotes = True

    def __init__(
        self,
        journal: Journal,
        *,
        views: Mapping[str, TickerView],
        cash_usd: float,
        clock: Callable[[], pd.Timestamp],
    ) -> None:
        self._journal, self._views, self._clock = journal, views, clock
        self._cash_usd = cash_usd
        self._orders: dict[str, Order] = {}
        self._reports: dict[str, OrderReport] = {}
        self._trades: dict[str, _Trade] = {}
        for event in journal.events:
            self._apply(event)

    def account(self) -> BrokerAccount:
        """Return cash, equity at the last marks, and what no open position needs as margin."""
        cash = self._cash_usd
        marks = needed = 0.0
        for trade in self._trades.values():
            cash += trade.fill.cash_usd - trade.fill.fees_usd
            if trade.end is not None:
                cash += trade.end.cash_usd + trade.end.dividends_usd - trade.end.fees_usd
                continue
            course = settled_course(self._views[trade.order.key.ticker], trade.held)
            marks += course.marks[-1].value_usd if course.marks else -trade.fill.cash_usd
            needed += _required_usd(trade.fill)
        realised = sum(_profit_usd(trade) for trade in self._trades.values())
        return BrokerAccount(cents(cash), cents(cash + marks), cents(self._cash_usd + realised - needed))

    def contracts(self) -> list[HeldContract]:
        """Return the contracts of all open positions, netted."""
        held: dict[tuple[str, Right, float, pd.Timestamp], float] = {}
        for trade in self._trades.values():
            if trade.end is None:
                for one in trade.fill.legs:
                    leg = one.leg
                    contract = (trade.order.key.ticker, leg.right, leg.strike, leg.expiration)
                    sign = 1.0 if leg.side == "buy" else -1.0
                    held[contract] = held.get(contract, 0.0) + sign * leg.ratio * trade.fill.contracts
        return [
            HeldContract(ticker, right, strike, expiration, quantity)
            for (ticker, right, strike, expiration), quantity in held.items()
            if quantity
        ]

    def submit(self, order: Order) -> OrderReport:
        """Take an order once, and return what became of it."""
        if order.order_id not in self._orders:
            self._record("accepted", order=order_to_event(order))
        self._try_if_working(order.order_id)
        return self._reports[order.order_id]

    def order(self, order_id: str) -> OrderReport | None:
        """Return what became of an order, which is filled now if its quote has come."""
        if order_id not in self._orders:
            return None
        self._try_if_working(order_id)
        return self._reports[order_id]

    def cancel(self, order_id: str) -> OrderReport:
        """Take back an order that is not filled yet."""
        report = self.order(order_id)
        if report is None:
            raise OrderNotFoundError(broker=NAME, request=f"cancel {order_id}", problem="it never came here")
        if report.status == WORKING:
            self._record("cancelled", order_id=order_id, reason="cancelled")
        return self._reports[order_id]

    def settlements(self, through: Quote | None = None) -> list[Settlement]:
        """Return every position that expired or was assigned at or before a quote; None: so far."""
        for position_id, trade in self._trades.items():
            if trade.end is None:
                course = settled_course(self._views[trade.order.key.ticker], trade.held)
                if course.fill is not None and (through is None or course.fill.quote <= through):
                    self._record(
                        "settled", position_id=position_id, kind=course.reason, fill=fill_to_event(course.fill)
                    )
        return [
            Settlement(position_id, "assignment" if trade.settled_as == "assignment" else "expiration", trade.end)
            for position_id, trade in self._trades.items()
            if trade.end is not None and trade.settled_as
        ]

    def _try_if_working(self, order_id: str) -> None:
        if self._reports[order_id].status == WORKING:
            self._try(self._orders[order_id])

    def _try(self, order: Order) -> None:
        """Fill an order whose quote has come, or reject it."""
        if order.intent == "close":
            trade = self._trades.get(order.key.position_id)
            if trade is None or trade.end is not None or order.due is None:
                self._record("rejected", order_id=order.order_id, reason="there is no such position to close")
                return
            fill = close_at(self._views[order.key.ticker], trade.held, order.due)
            if fill is not None:
                self._record("filled", order_id=order.order_id, fill=fill_to_event(fill))
            return
        opening = open_one(self._views[order.key.ticker], order)
        if opening.fill is not None:
            refusal = self._capital_refusal(opening.fill, order)
            if not refusal:
                self._record("filled", order_id=order.order_id, fill=fill_to_event(opening.fill))
                return
            opening = replace(opening, reason=refusal)
        if opening.reason:
            self._record("rejected", order_id=order.order_id, reason=opening.reason)

    def _capital_refusal(self, fill: Fill, order: Order) -> str:
        """Why the account's free capital does not carry a position: what the backtest's book of capital says."""
        rules = self._views[order.key.ticker].plans[order.structure].account
        book = CapitalBook(replace(rules, account_usd=self._cash_usd))
        for trade in sorted(self._trades.values(), key=lambda one: one.fill.quote):
            book.refusal(_need(trade))
        return book.refusal(_need(_Trade(order, fill)))

    def _record(self, kind: str, /, **values: Any) -> None:
        event: Event = {"event": kind, "at": self._clock().isoformat(), **values}
        if not self._journal.events:
            opened: Event = {"event": "opened", "at": event["at"], "cash_usd": self._cash_usd}
            self._journal.append(opened)
        self._journal.append(event)
        self._apply(event)

    def _apply(self, event: Event) -> None:
        kind = event["event"]
        if kind == "opened":
            self._cash_usd = event["cash_usd"]
            return
        if kind == "settled":
            trade = self._trades[event["position_id"]]
            trade.end, trade.settled_as = fill_of_event(event["fill"]), event["kind"]
            return
        order_id = event["order"]["order_id"] if kind == "accepted" else event["order_id"]
        if kind == "accepted":
            self._orders[order_id] = order_of_event(event["order"])
        fill = fill_of_event(event["fill"]) if kind == "filled" else None
        status: OrderStatus = kind
        self._reports[order_id] = OrderReport(
            order_id, f"{NAME}-{list(self._orders).index(order_id) + 1}", status, event.get("reason", ""), fill
        )
        order = self._orders[order_id]
        if fill is not None and order.intent == "open":
            self._trades[order.key.position_id] = _Trade(order, fill)
        elif fill is not None:
            self._trades[order.key.position_id].end = fill


def _required_usd(fill: Fill) -> float:
    """Margin, and fees both ways."""
    return fill.margin_usd + 2.0 * fill.fees_usd


def _profit_usd(trade: _Trade) -> float:
    if trade.end is None:
        return 0.0
    gross = trade.fill.cash_usd + trade.end.cash_usd + trade.end.dividends_usd
    return gross - trade.fill.fees_usd - trade.end.fees_usd


def _need(trade: _Trade) -> CapitalNeed:
    return CapitalNeed(
        row=0,
        entry=_moment(trade.fill.quote),
        exit=-1 if trade.end is None else _moment(trade.end.quote),
        required_usd=_required_usd(trade.fill),
        profit_usd=_profit_usd(trade),
    )


def _moment(quote: Quote) -> int:
    """A number that orders quotes by time."""
    return 2 * int(quote.session.to_datetime64().astype("datetime64[D]").astype("int64")) + int(quote.is_close)
