"""What can happen to the account, as values that a line of a journal holds, and back.

An event is a mapping with ``event`` and ``at``; what else it has, ``account`` reads. Only the translation belongs here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from trading_dag.paper.orders import Fill, LegFill, Order, OrderLeg, PlanKey, Quote

Event = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """Holds what the signal behind an order said of itself, for its readers."""

    edge: str
    direction: str
    model_version: str
    volatility_model_version: str
    source: str
    is_live: bool


def day(session: pd.Timestamp) -> str:
    """Return a session as text."""
    return f"{session:%Y-%m-%d}"


def session(text: str) -> pd.Timestamp:
    """Return the session that a text names."""
    return pd.Timestamp(text).as_unit("us")


def order_to_event(order: Order) -> Event:
    """Return an order as plain values."""
    key = order.key
    return {
        "order_id": order.order_id,
        "key": [key.ticker, day(key.session), key.horizon, key.rule, key.roll],
        "intent": order.intent,
        "structure": order.structure,
        "legs": [leg_to_event(leg) for leg in order.legs],
        "contracts": order.contracts,
        "size": order.size,
        "max_loss_usd": _number(order.max_loss_usd),
        "names_contracts": order.names_contracts,
        "target_session": day(order.target_session),
        "reason": order.reason,
        "due": None if order.due is None else quote_to_event(order.due),
    }


def order_of_event(event: Mapping[str, Any]) -> Order:
    """Return the order that plain values describe."""
    return Order(
        order_id=event["order_id"],
        key=key_of_event(event["key"]),
        intent=event["intent"],
        structure=event["structure"],
        legs=tuple(leg_of_event(leg) for leg in event["legs"]),
        contracts=event["contracts"],
        size=event["size"],
        max_loss_usd=_float(event["max_loss_usd"]),
        names_contracts=event["names_contracts"],
        target_session=session(event["target_session"]),
        reason=event["reason"],
        due=None if event["due"] is None else quote_of_event(event["due"]),
    )


def key_of_event(values: list[Any]) -> PlanKey:
    """Return the trade that plain values name."""
    ticker, signal_session, horizon, rule, roll = values
    return PlanKey(ticker, session(signal_session), horizon, rule, roll)


def quote_to_event(quote: Quote) -> list[str]:
    """Return a quote as plain values."""
    return [day(quote.session), quote.moment]


def quote_of_event(values: list[str]) -> Quote:
    """Return the quote that plain values name."""
    return Quote(session(values[0]), values[1] == "close")


def leg_to_event(leg: OrderLeg) -> Event:
    """Return a leg as plain values."""
    return {
        "side": leg.side,
        "right": leg.right,
        "strike": leg.strike,
        "expiration": day(leg.expiration),
        "ratio": leg.ratio,
    }


def leg_of_event(event: Mapping[str, Any]) -> OrderLeg:
    """Return the leg that plain values describe."""
    return OrderLeg(event["side"], event["right"], event["strike"], session(event["expiration"]), event["ratio"])


def fill_to_event(fill: Fill) -> Event:
    """Return a fill as plain values."""
    return {
        "quote": quote_to_event(fill.quote),
        "legs": [leg_to_event(one.leg) | {"price": _number(one.price)} for one in fill.legs],
        "contracts": fill.contracts,
        "cash_usd": fill.cash_usd,
        "fees_usd": fill.fees_usd,
        "spot": _number(fill.spot),
        "max_loss_usd": _number(fill.max_loss_usd),
        "margin_usd": _number(fill.margin_usd),
        "quote_source": fill.quote_source,
        "dividends_usd": fill.dividends_usd,
    }


def fill_of_event(event: Mapping[str, Any]) -> Fill:
    """Return the fill that plain values describe."""
    return Fill(
        quote=quote_of_event(event["quote"]),
        legs=tuple(LegFill(leg_of_event(leg), _float(leg["price"])) for leg in event["legs"]),
        contracts=event["contracts"],
        cash_usd=event["cash_usd"],
        fees_usd=event["fees_usd"],
        spot=_float(event["spot"]),
        max_loss_usd=_float(event["max_loss_usd"]),
        margin_usd=_float(event["margin_usd"]),
        quote_source=event["quote_source"],
        dividends_usd=event["dividends_usd"],
    )


def _number(value: float) -> float | str | None:
    """A number as JSON has it: NaN is null, and an infinite one the word."""
    if math.isnan(value):
        return None
    return "infinite" if math.isinf(value) else value


def _float(value: float | str | None) -> float:
    if value is None:
        return math.nan
    return math.inf if value == "infinite" else float(value)
