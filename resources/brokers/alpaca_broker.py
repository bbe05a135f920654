"""Alpaca's paper account behind the protocol of brokers. Real money is not reached from here, whatever is set.

An order is looked for by its id before it is sent and after every answer that did not come, so that it is sent once.
How Alpaca is asked and what its answers mean is in the folder ``alpaca`` beside this module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from resources.brokers.alpaca.connection import BROKER, AlpacaConnection, Refusal, access_of
from resources.brokers.alpaca.reports import (
    AlpacaOrder,
    read_account,
    read_contracts,
    read_order,
    read_quotes,
    report_of,
)
from resources.brokers.alpaca.requests import SentLeg, limit_of, request_of, sent_legs
from resources.brokers.alpaca.settlements import settled_positions
from trading_dag.errors import BrokerError, BrokerUnavailableError, OrderNotFoundError, OrderRefusedError
from trading_dag.paper.orders import BrokerAccount, HeldContract, Order, OrderReport, Quote, Settlement
from trading_dag.sessions import last_closed_session, running_session, session_open
from trading_dag.settings import Settings

if TYPE_CHECKING:
    from alpaca.trading.requests import LimitOrderRequest

_NOT_FOUND: Final = 404
_UNPROCESSABLE: Final = 422
_DUPLICATE_WORDS: Final = "client_order_id must be unique"
_PAGE: Final = 500


def present() -> pd.Timestamp:
    """Return the present moment, UTC."""
    return pd.Timestamp.now("UTC")


class AlpacaBroker:
    """Trades Alpaca's paper account.

    Parameters
    ----------
    connection : by which Alpaca is asked.
    clock : the present moment, UTC; quotes of an earlier session give no limit.
    """

    name = BROKER
    is_live = False
    fills_on_stored_quotes = False

    def __init__(self, connection: AlpacaConnection, *, clock: Callable[[], pd.Timestamp] = present) -> None:
        self._connection = connection
        self._clock = clock

    def account(self) -> BrokerAccount:
        """Return cash, equity and the buying power for options.

        Raises
        ------
        BrokerError : for an account that may not trade, and as every request.
        """
        return read_account(self._read("account", self._connection.trading.get_account))

    def contracts(self) -> Sequence[HeldContract]:
        """Return what is held, one row a contract.

        Raises
        ------
        BrokerError : for shares, and for contracts that no order from here can have bought.
        """
        return read_contracts(self._read("positions", self._connection.trading.get_all_positions))

    def submit(self, order: Order) -> OrderReport:
        """Send an order that is not there yet, and return what became of it; of one that is there, only that.

        What Alpaca refuses, and what cannot be sent to it, is reported as rejected with the reason.

        Raises
        ------
        BrokerUnavailableError : no answer came, and the order is not found: it may still arrive.
        BrokerError : the account has another order under this id.
        """
        try:
            legs = sent_legs(order)
            there = self._found(order, legs)
            if there is not None:
                return report_of(there)
            limit = limit_of(order, legs, self._quotes(legs))
        except OrderRefusedError as error:
            return OrderReport(order.order_id, "", "rejected", error.rule)
        return self._sent(order, legs, request_of(order, legs, limit=limit))

    def order(self, order_id: str) -> OrderReport | None:
        """Return what became of an order; None where Alpaca never got it."""
        there = self._look_up(order_id)
        return None if there is None else report_of(there)

    def cancel(self, order_id: str) -> OrderReport:
        """Take a working order back, and return what became of it: it may have ended before.

        Raises
        ------
        OrderNotFoundError : where Alpaca never got it.
        BrokerUnavailableError : no answer came; the order may have been taken back.
        """
        there = self._look_up(order_id)
        what = f"cancelling order {order_id}"
        if there is None:
            raise OrderNotFoundError(broker=BROKER, request=what, problem="it never arrived")
        if report_of(there).status != "accepted":
            return report_of(there)
        # A refusal means that it has ended in between, which the order itself then says.
        self._connection.once(what, lambda: self._connection.trading.cancel_order_by_id(there.broker_order_id))
        after = self._look_up(order_id)
        if after is None:
            raise OrderNotFoundError(broker=BROKER, request=what, problem="it is not there any more")
        return report_of(after)

    def settlements(self, through: Quote | None = None) -> Sequence[Settlement]:
        """Return every position that expired or was assigned at or before a quote; None: so far.

        Raises
        ------
        BrokerError : where shares were delivered and are still held, and where a part of a position was assigned.
        """
        activities = self._pages("activities", self._activities)
        if not activities:
            return []
        settled = settled_positions(activities, [one for one in self._orders() if one.is_ours])
        return [one for one in settled if through is None or one.fill.quote <= through]

    def _found(self, order: Order, legs: Sequence[SentLeg]) -> AlpacaOrder | None:
        """Return the order of that id, which must be this order."""
        there = self._look_up(order.order_id)
        if there is None:
            return None
        asked = {(leg.symbol, leg.is_bought): order.contracts * leg.ratio for leg in legs}
        has = {(leg.contract.symbol, leg.is_bought): there.quantity * leg.ratio for leg in there.legs}
        if asked != has:
            raise BrokerError(
                broker=BROKER, request=f"order {order.order_id}", problem="another order was sent under this id"
            )
        return there

    def _sent(self, order: Order, legs: Sequence[SentLeg], request: LimitOrderRequest) -> OrderReport:
        what = f"order {order.order_id}"
        try:
            answer = self._connection.once(what, lambda: self._connection.trading.submit_order(request))
        except BrokerUnavailableError as error:
            # Whether it arrived, the account says.
            there = self._found(order, legs)
            if there is None:
                raise error
            return report_of(there)
        if not isinstance(answer, Refusal):
            return report_of(read_order(answer))
        if answer.status == _UNPROCESSABLE and _DUPLICATE_WORDS in answer.message:
            there = self._found(order, legs)
            if there is None:
                raise BrokerUnavailableError(
                    broker=BROKER, request=what, problem="the id is taken, and not to be found"
                )
            return report_of(there)
        return OrderReport(order.order_id, "", "rejected", f"{answer.message} ({answer.status}, code {answer.code})")

    def _look_up(self, order_id: str) -> AlpacaOrder | None:
        what = f"order {order_id}"
        answer = self._connection.read(what, lambda: self._connection.trading.get_order_by_client_id(order_id))
        if isinstance(answer, Refusal):
            if answer.status == _NOT_FOUND:
                return None
            raise _refused(what, answer)
        found = read_order(answer)
        if found.order_id != order_id:
            raise BrokerError(broker=BROKER, request=what, problem=f"the answer is about {found.order_id}")
        return found

    def _quotes(self, legs: Sequence[SentLeg]) -> Any:
        from alpaca.data.requests import OptionLatestQuoteRequest

        symbols = tuple(leg.symbol for leg in legs)
        now = self._clock()
        session = running_session(now)
        since = session_open(last_closed_session(now) if session is None else session)
        request = OptionLatestQuoteRequest(symbol_or_symbols=list(symbols))
        answer = self._read("quotes", lambda: self._connection.quotes.get_option_latest_quote(request))
        return read_quotes(answer, symbols, since=since)

    def _orders(self) -> list[AlpacaOrder]:
        """Return every order of the account, oldest first."""
        from alpaca.common.enums import Sort
        from alpaca.trading.enums import QueryOrderStatus
        from alpaca.trading.requests import GetOrdersRequest

        found: dict[str, Any] = {}
        after = None
        while True:
            request = GetOrdersRequest(
                status=QueryOrderStatus.ALL, limit=_PAGE, after=after, direction=Sort.ASC, nested=True
            )
            page = self._read("orders", lambda request=request: self._connection.trading.get_orders(request))  # type: ignore[misc]
            fresh = {one["id"]: one for one in page if one["id"] not in found}
            found |= fresh
            if len(page) < _PAGE or not fresh:
                return [read_order(one) for one in found.values()]
            newest = max(pd.Timestamp(one["submitted_at"]) for one in fresh.values())
            # Orders of one moment may lie on both sides of a page's end: what is known is passed over.
            after = (newest - pd.Timedelta(timedelta(milliseconds=1))).to_pydatetime()

    def _activities(self, token: str | None) -> Any:
        asked = {"activity_types": "OPEXP,OPASN,OPEXC,OPTRD", "direction": "asc", "page_size": "100"}
        query = asked if token is None else {**asked, "page_token": token}
        return self._connection.trading.get("/account/activities", query)

    def _pages(self, what: str, ask: Callable[[str | None], Any]) -> list[Any]:
        rows: list[Any] = []
        token = None
        while True:
            page = self._read(what, lambda token=token: ask(token))  # type: ignore[misc]
            rows += page
            if not page or page[-1]["id"] == token:
                return rows
            token = page[-1]["id"]

    def _read(self, what: str, ask: Callable[[], Any]) -> Any:
        answer = self._connection.read(what, ask)
        if isinstance(answer, Refusal):
            raise _refused(what, answer)
        return answer


def build_alpaca_broker(settings: Settings) -> AlpacaBroker:
    """Return the broker of some settings; nothing is asked yet.

    Raises
    ------
    ConfigurationError, LiveTradingError : see ``access_of``.
    """
    return AlpacaBroker(AlpacaConnection(access_of(settings)))


def _refused(what: str, refusal: Refusal) -> BrokerError:
    said = f"refused with {refusal.status}: {refusal.message}"
    return BrokerError(broker=BROKER, request=what, problem=said)
