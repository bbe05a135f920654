"""Alpaca's answers as ours: what became of an order, what is held, what the account has, what ended without an order.

An answer in another shape, a state that is not known and a holding that no order of ours can have made are errors:
nothing is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import numpy as np
import pandas as pd

from resources.brokers.alpaca.connection import BROKER
from resources.brokers.alpaca.requests import TwoSidedQuote
from trading_dag.errors import BrokerAnswerError, BrokerError, ContractSymbolError
from trading_dag.options.chains.occ_symbols import ListedContract, parse_symbol
from trading_dag.options.structures.payoff import maximum_loss
from trading_dag.options.structures.structure import AtTheMoneyRule, Leg, Structure
from trading_dag.paper.orders import (
    BrokerAccount,
    Fill,
    HeldContract,
    LegFill,
    OrderLeg,
    OrderReport,
    OrderStatus,
    Quote,
    Right,
)
from trading_dag.sessions import NEW_YORK

SHARES: Final = 100
_INTENT: Final = re.compile(r"td-(?P<position>.+)-(?P<intent>open|close)(?:-\d+)?")
QUOTE_SOURCE: Final = "broker"
# Every state that Alpaca's reference knows. One that has ended with something filled counts as filled.
WORKING_STATES: Final = frozenset(
    {
        "new", "accepted", "pending_new", "accepted_for_bidding", "partially_filled", "pending_cancel", "held",
        "pending_review", "stopped", "suspended", "calculated", "done_for_day",
    }
)  # fmt: skip
ENDED_STATES: Final[Mapping[str, OrderStatus]] = {
    "filled": "filled",
    "canceled": "cancelled",
    "expired": "cancelled",
    "rejected": "rejected",
}
# Nothing here replaces an order, so somebody else has.
FOREIGN_STATES: Final = frozenset({"replaced", "pending_replace"})
_RIGHT_OF: Final[Mapping[str, Right]] = {"C": "call", "P": "put"}


@dataclass(frozen=True)
class AlpacaOrder:
    """Holds what Alpaca says of an order.

    Attributes
    ----------
    order_id : the client's id.
    filled_at : when it was filled, or last changed where it was not filled as a whole, UTC.
    legs : by symbol, each with whether it was bought, contracts a structure, and the mean price of what was filled.
    """

    order_id: str
    broker_order_id: str
    state: str
    quantity: int
    filled: int
    filled_at: pd.Timestamp
    legs: tuple[AlpacaLeg, ...]

    @property
    def is_ours(self) -> bool:
        """Return whether the id has the form of ours."""
        return _INTENT.fullmatch(self.order_id) is not None

    @property
    def is_opening(self) -> bool:
        """Return whether the order opens a position, which its id says."""
        found = _INTENT.fullmatch(self.order_id)
        return found is not None and found["intent"] == "open"

    @property
    def position_id(self) -> str:
        """Return the trade that the order belongs to; the whole id where it is none of ours."""
        found = _INTENT.fullmatch(self.order_id)
        return self.order_id if found is None else found["position"]


@dataclass(frozen=True)
class AlpacaLeg:
    """Holds a leg of an order as Alpaca tells it."""

    contract: ListedContract
    is_bought: bool
    ratio: int
    price: Decimal | None


def read_order(answer: Any) -> AlpacaOrder:
    """Return an order out of Alpaca's JSON.

    Raises
    ------
    BrokerAnswerError : for another shape, or a state that the reference does not name.
    """
    what = "order"
    top = _mapping(answer, what)
    order_id, state = text_of(top, "client_order_id", what), text_of(top, "status", what)
    what = f"order {order_id}"
    if state not in WORKING_STATES | FOREIGN_STATES | ENDED_STATES.keys():
        raise BrokerAnswerError(broker=BROKER, request=what, problem=f"the state {state!r} is not known")
    told = top.get("legs")
    legs = [_mapping(leg, what) for leg in told] if isinstance(told, list) and told else [top]
    # What was filled in part alone says when it was last changed, not when it was filled.
    filled_at = top.get("filled_at") or top.get("updated_at")
    return AlpacaOrder(
        order_id,
        text_of(top, "id", what),
        state,
        _whole(top, "qty", what),
        _whole(top, "filled_qty", what),
        _moment(filled_at, what),
        tuple(_leg(leg, what) for leg in legs),
    )


def report_of(order: AlpacaOrder) -> OrderReport:
    """Return what became of an order: accepted until it has ended, with what was filled where anything was.

    Raises
    ------
    BrokerError : for an order that somebody replaced.
    """
    if order.state in FOREIGN_STATES:
        raise BrokerError(
            broker=BROKER, request=f"order {order.order_id}", problem="somebody replaced it, which nothing here does"
        )
    told = "expired at the end of its session" if order.state == "expired" else order.state
    so_far = told if order.filled in (0, order.quantity) else f"{told}: {order.filled} of {order.quantity} filled"
    if order.state in WORKING_STATES:
        return OrderReport(order.order_id, order.broker_order_id, "accepted", so_far)
    status = ENDED_STATES[order.state]
    if (status == "filled") != (order.filled == order.quantity) or order.filled > order.quantity:
        problem = f"it is {order.state} with {order.filled} of {order.quantity} filled"
        raise BrokerAnswerError(broker=BROKER, request=f"order {order.order_id}", problem=problem)
    fill = fill_of(order) if order.filled else None
    return OrderReport(order.order_id, order.broker_order_id, status, "" if status == "filled" else so_far, fill)


def fill_of(order: AlpacaOrder) -> Fill:
    """Return the fill of an order, from its legs' mean prices; fees come later, as activities of the account.

    The legs are as they are held: what a closing order sells was bought. The greatest loss and the margin are those of
    the filled prices; both are NaN where the legs expire at different dates.
    """
    what = f"order {order.order_id}"
    cash = Decimal(0)
    fills = []
    for leg in order.legs:
        if leg.price is None:
            raise BrokerAnswerError(broker=BROKER, request=what, problem=f"{leg.contract.symbol} is filled at no price")
        cash -= (1 if leg.is_bought else -1) * leg.ratio * leg.price * SHARES * order.filled
        fills.append(LegFill(_held_leg(leg, is_opening=order.is_opening), float(leg.price)))
    risk = _greatest_loss(order, float(-cash)) if order.is_opening else 0.0
    return Fill(
        quote=quote_before(order.filled_at),
        legs=tuple(fills),
        contracts=order.filled,
        cash_usd=float(cash),
        fees_usd=0.0,
        spot=float("nan"),
        max_loss_usd=risk,
        margin_usd=risk,
        quote_source=QUOTE_SOURCE,
    )


def quote_before(moment: pd.Timestamp) -> Quote:
    """Return the open of the session in which something was filled, the last quote before it."""
    return Quote(moment.tz_convert(NEW_YORK).tz_localize(None).normalize().as_unit("us"), is_close=False)


def read_contracts(answer: Any) -> list[HeldContract]:
    """Return what is held.

    Raises
    ------
    BrokerError : for shares, and for contracts that no order of ours can have bought.
    BrokerAnswerError : for another shape.
    """
    held = []
    for position in _listing(answer, "positions"):
        symbol, quantity = text_of(position, "symbol", "positions"), _whole(position, "qty", "positions")
        try:
            contract = parse_symbol(symbol)
        except ContractSymbolError as error:
            problem = f"{quantity} of {symbol} are held, which no order from here can have bought: {error.rule}"
            raise BrokerError(broker=BROKER, request="positions", problem=problem) from error
        side = position.get("side")
        if side not in ("long", "short"):
            raise BrokerAnswerError(broker=BROKER, request="positions", problem=f"{symbol} has the side {side!r}")
        signed = -abs(quantity) if side == "short" else quantity
        held.append(
            HeldContract(
                contract.root, _RIGHT_OF[contract.option_right], float(contract.strike), _day(contract), float(signed)
            )
        )
    return held


def read_account(answer: Any) -> BrokerAccount:
    """Return the account.

    Raises
    ------
    BrokerError : for one that may not trade.
    BrokerAnswerError : for another shape.
    """
    said = _mapping(answer, "account")
    blocks = [name for name in ("trading_blocked", "account_blocked", "trade_suspended_by_user") if said.get(name)]
    if blocks or said.get("status") != "ACTIVE":
        problem = f"the account may not trade: status {said.get('status')!r}{', ' if blocks else ''}{', '.join(blocks)}"
        raise BrokerError(broker=BROKER, request="account", problem=problem)
    cash, equity, power = (
        float(number_of(said, name, "account")) for name in ("cash", "equity", "options_buying_power")
    )
    return BrokerAccount(cash, equity, power)


def read_quotes(answer: Any, symbols: tuple[str, ...], *, since: pd.Timestamp) -> dict[str, TwoSidedQuote]:
    """Return the newest quotes by symbol, of those at or after a moment; others have none."""
    said = _mapping(answer, "quotes")
    found = {}
    for symbol in symbols:
        if symbol not in said:
            continue
        quote = _mapping(said[symbol], f"quote of {symbol}")
        if _moment(quote.get("t"), f"quote of {symbol}") >= since:
            bid, ask = (number_of(quote, name, f"quote of {symbol}") for name in ("bp", "ap"))
            found[symbol] = TwoSidedQuote(bid, ask)
    return found


def _leg(said: Mapping[str, Any], what: str) -> AlpacaLeg:
    symbol, side = text_of(said, "symbol", what), said.get("side")
    if side not in ("buy", "sell"):
        raise BrokerAnswerError(broker=BROKER, request=what, problem=f"{symbol} has the side {side!r}")
    try:
        contract = parse_symbol(symbol)
    except ContractSymbolError as error:
        raise BrokerAnswerError(broker=BROKER, request=what, problem=str(error)) from error
    price = said.get("filled_avg_price")
    ratio = 1 if said.get("ratio_qty") is None else _whole(said, "ratio_qty", what)
    return AlpacaLeg(
        contract, side == "buy", ratio, None if price is None else number_of(said, "filled_avg_price", what)
    )


def _held_leg(leg: AlpacaLeg, *, is_opening: bool) -> OrderLeg:
    is_long = leg.is_bought == is_opening
    contract = leg.contract
    right = _RIGHT_OF[contract.option_right]
    return OrderLeg("buy" if is_long else "sell", right, float(contract.strike), _day(contract), leg.ratio)


def _greatest_loss(order: AlpacaOrder, paid_usd: float) -> float:
    if len({leg.contract.expiration for leg in order.legs}) > 1:
        return float("nan")
    structure = Structure(
        order.order_id,
        tuple(
            Leg(leg.contract.option_right, "buy" if leg.is_bought else "sell", AtTheMoneyRule(), ratio=leg.ratio)
            for leg in order.legs
        ),
    )
    strikes = np.array([[float(leg.contract.strike) for leg in order.legs]])
    premium = paid_usd / (SHARES * order.filled)
    return float(maximum_loss(structure, strikes, premium=premium)[0] * SHARES * order.filled)


def _day(contract: ListedContract) -> pd.Timestamp:
    return pd.Timestamp(contract.expiration).as_unit("us")


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BrokerAnswerError(broker=BROKER, request=what, problem=f"an object is expected, not {_shown(value)}")
    return value


def _listing(value: Any, what: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, list):
        raise BrokerAnswerError(broker=BROKER, request=what, problem=f"a list is expected, not {_shown(value)}")
    return [_mapping(entry, what) for entry in value]


def text_of(said: Mapping[str, Any], name: str, what: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not value:
        raise BrokerAnswerError(broker=BROKER, request=what, problem=f"{name} is {_shown(value)}, no text")
    return value


def number_of(said: Mapping[str, Any], name: str, what: str) -> Decimal:
    value = said.get(name)
    try:
        number = Decimal(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise BrokerAnswerError(broker=BROKER, request=what, problem=f"{name} is {_shown(value)}, no number")
    return number


def _whole(said: Mapping[str, Any], name: str, what: str) -> int:
    number = number_of(said, name, what)
    if number % 1:
        raise BrokerAnswerError(broker=BROKER, request=what, problem=f"{name} is {number}, and contracts are whole")
    return int(number)


def _moment(value: Any, what: str) -> pd.Timestamp:
    try:
        moment = pd.Timestamp(value) if isinstance(value, str) else pd.NaT
    except ValueError:
        moment = pd.NaT
    if pd.isna(moment) or moment.tzinfo is None:
        raise BrokerAnswerError(broker=BROKER, request=what, problem=f"{_shown(value)} is no moment")
    return moment.tz_convert("UTC")


def _shown(value: Any) -> str:
    return repr(value)[:80]
