"""Orders as Alpaca takes them: one option, or up to four at once, each with its intent, at a limit derived from quotes.

What comes back is read in ``reports``. Nothing is sent here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from math import gcd
from typing import TYPE_CHECKING, Final

from trading_dag.errors import ContractSymbolError, OrderRefusedError
from trading_dag.options.chains.occ_symbols import contract_of
from trading_dag.options.structures.structure import STRUCTURES
from trading_dag.paper.orders import Order, OrderLeg

if TYPE_CHECKING:
    from alpaca.trading.requests import LimitOrderRequest

MOST_LEGS: Final = 4
LONGEST_ORDER_ID: Final = 128
CENT: Final = Decimal("0.01")
_RIGHTS: Final = {"call": "C", "put": "P"}


@dataclass(frozen=True)
class TwoSidedQuote:
    """Holds what a contract can be sold and bought at, USD a share."""

    bid: Decimal
    ask: Decimal


@dataclass(frozen=True)
class SentLeg:
    """Describes one leg as it is sent: which contract, whether it is bought or sold now, and how many a structure."""

    symbol: str
    is_bought: bool
    ratio: int
    intent: str


def sent_legs(order: Order) -> tuple[SentLeg, ...]:
    """Return the legs of an order as they are sent. What is held is closed by its opposite.

    Raises
    ------
    OrderRefusedError : for what Alpaca cannot trade in one order: shares beside options, more than four legs, one
        contract twice, ratios with a common divisor, a contract without a standard name, an id that is too long.
    """
    if len(order.order_id) > LONGEST_ORDER_ID:
        raise OrderRefusedError(order_id=order.order_id, rule=f"an id has at most {LONGEST_ORDER_ID} characters")
    known = STRUCTURES.get(order.structure)
    if known is not None and known.underlying_ratio:
        raise OrderRefusedError(
            order_id=order.order_id, rule=f"{order.structure} holds shares, which no option order can carry"
        )
    if not 1 <= len(order.legs) <= MOST_LEGS:
        raise OrderRefusedError(
            order_id=order.order_id, rule=f"{len(order.legs)} legs, and one to {MOST_LEGS} are taken"
        )
    if order.contracts < 1:
        raise OrderRefusedError(order_id=order.order_id, rule=f"{order.contracts} contracts")
    legs = tuple(_sent_leg(order, leg) for leg in order.legs)
    if len({leg.symbol for leg in legs}) < len(legs):
        raise OrderRefusedError(order_id=order.order_id, rule="two legs are of one contract")
    if len(legs) > 1 and gcd(*(leg.ratio for leg in legs)) != 1:
        raise OrderRefusedError(order_id=order.order_id, rule="the legs' ratios have a common divisor")
    return legs


def limit_of(order: Order, legs: Sequence[SentLeg], quotes: Mapping[str, TwoSidedQuote]) -> Decimal:
    """Return the worst price of one structure in USD a share, in whole cents: paid where positive, else received.

    It is what the quotes give at once: bought at the ask, sold at the bid. Of quotes finer than a cent it is the cent
    in the account's favour, so that no order may fill at a worse price than was quoted.

    Raises
    ------
    OrderRefusedError : where a leg has no quote, or one that cannot be: nothing bid for what is to be sold, nothing
        offered, crossed.
    """
    net = Decimal(0)
    for leg in legs:
        quote = quotes.get(leg.symbol)
        if quote is None:
            raise OrderRefusedError(order_id=order.order_id, rule=f"{leg.symbol} has no quote to derive a limit from")
        if quote.ask <= 0 or quote.bid < 0 or quote.bid > quote.ask or (not leg.is_bought and quote.bid == 0):
            raise OrderRefusedError(
                order_id=order.order_id,
                rule=f"{leg.symbol} is quoted {quote.bid} to {quote.ask}, from which no limit follows",
            )
        net += leg.ratio * (quote.ask if leg.is_bought else -quote.bid)
    return net.quantize(CENT, rounding=ROUND_FLOOR)


def request_of(order: Order, legs: Sequence[SentLeg], *, limit: Decimal) -> LimitOrderRequest:
    """Return alpaca-py's request: a limit order for the day. One leg is a simple order, whose limit has no sign."""
    from alpaca.trading.enums import OrderClass, OrderSide, PositionIntent, TimeInForce
    from alpaca.trading.requests import LimitOrderRequest, OptionLegRequest

    def side(leg: SentLeg) -> OrderSide:
        return OrderSide.BUY if leg.is_bought else OrderSide.SELL

    if len(legs) == 1:
        (leg,) = legs
        return LimitOrderRequest(
            symbol=leg.symbol,
            qty=order.contracts * leg.ratio,
            side=side(leg),
            position_intent=PositionIntent(leg.intent),
            time_in_force=TimeInForce.DAY,
            limit_price=float(abs(limit) / leg.ratio),
            client_order_id=order.order_id,
        )
    return LimitOrderRequest(
        qty=order.contracts,
        order_class=OrderClass.MLEG,
        time_in_force=TimeInForce.DAY,
        limit_price=float(limit),
        client_order_id=order.order_id,
        legs=[
            OptionLegRequest(
                symbol=leg.symbol, ratio_qty=leg.ratio, side=side(leg), position_intent=PositionIntent(leg.intent)
            )
            for leg in legs
        ],
    )


def _sent_leg(order: Order, leg: OrderLeg) -> SentLeg:
    is_held_long = leg.side == "buy"
    is_bought = is_held_long == (order.intent == "open")
    try:
        contract = contract_of(
            order.key.ticker, expiration=leg.expiration, option_right=_RIGHTS[leg.right], strike=leg.strike
        )
    except ContractSymbolError as error:
        raise OrderRefusedError(order_id=order.order_id, rule=str(error)) from error
    intent = f"{'buy' if is_bought else 'sell'}_to_{order.intent}"
    return SentLeg(contract.symbol, is_bought, leg.ratio, intent)
