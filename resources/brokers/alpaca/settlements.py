"""Positions that ended without an order: options that expired, were assigned or exercised, as Alpaca's activities tell.

An activity names a contract, not a trade. Whose it was follows from the orders: which trades had it open.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

import pandas as pd

from resources.brokers.alpaca.connection import BROKER
from resources.brokers.alpaca.reports import (
    QUOTE_SOURCE,
    SHARES,
    AlpacaLeg,
    AlpacaOrder,
    fill_of,
    number_of,
    text_of,
)
from trading_dag.errors import BrokerError
from trading_dag.paper.orders import Fill, LegFill, Quote, Settlement

EXPIRED: Final = "OPEXP"
DELIVERED: Final = ("OPASN", "OPEXC")
SHARES_TRADED: Final = "OPTRD"


def settled_positions(activities: Sequence[Mapping[str, Any]], orders: Sequence[AlpacaOrder]) -> list[Settlement]:
    """Return one settlement a trade whose contracts all ended without an order.

    What expired is worth nothing. Of contracts that were delivered only those are told whose shares cancel each other,
    bought by one leg and sold by the other, because their value is then known to the cent.

    Raises
    ------
    BrokerError : where shares stay, or a part of a trade ended: a person has to close the rest at the broker.
    """
    ended = _ended(activities)
    settled = []
    for position_id, (opened, contracts) in _open_trades(orders).items():
        gone = [leg for leg in opened.legs if leg.contract.symbol in ended]
        if not gone or contracts == 0:
            continue
        if len(gone) < len(opened.legs):
            names = ", ".join(leg.contract.symbol for leg in gone)
            problem = f"of {position_id} only {names} ended without an order; close the rest at the broker"
            raise BrokerError(broker=BROKER, request="activities", problem=problem)
        settled.append(_settlement(position_id, opened, contracts, ended))
    return settled


def _ended(activities: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, date]]:
    """Return by symbol how and on which day contracts ended."""
    ended: dict[str, tuple[str, date]] = {}
    for activity in activities:
        kind = text_of(activity, "activity_type", "activities")
        if kind in (EXPIRED, *DELIVERED):
            day = pd.Timestamp(text_of(activity, "date", "activities")).date()
            number_of(activity, "qty", "activities")
            ended[text_of(activity, "symbol", "activities")] = (kind, day)
    return ended


def _open_trades(orders: Sequence[AlpacaOrder]) -> dict[str, tuple[AlpacaOrder, int]]:
    """Return by trade the order that opened it, and how many structures no order has closed."""
    closed: dict[str, int] = defaultdict(int)
    opened: dict[str, AlpacaOrder] = {}
    for order in orders:
        if order.filled and order.is_opening:
            opened[order.position_id] = order
        elif order.filled:
            closed[order.position_id] += order.filled
    return {name: (order, order.filled - closed[name]) for name, order in opened.items()}


def _settlement(
    position_id: str, opened: AlpacaOrder, contracts: int, ended: Mapping[str, tuple[str, date]]
) -> Settlement:
    delivered = [leg for leg in opened.legs if ended[leg.contract.symbol][0] in DELIVERED]
    for option_right in ("C", "P"):
        shares = sum(_signed_shares(leg) for leg in delivered if leg.contract.option_right == option_right)
        if shares:
            problem = (
                f"{shares * contracts:+d} shares of {opened.legs[0].contract.root} were delivered for {position_id}; "
                "close them at the broker"
            )
            raise BrokerError(broker=BROKER, request="activities", problem=problem)
    day = max(when for _, when in (ended[leg.contract.symbol] for leg in opened.legs))
    legs, cash = _leg_fills(opened, delivered)
    fill = Fill(
        quote=Quote(pd.Timestamp(day).as_unit("us"), is_close=True),
        legs=legs,
        contracts=contracts,
        cash_usd=float(cash * contracts * SHARES),
        fees_usd=0.0,
        spot=float("nan"),
        max_loss_usd=0.0,
        margin_usd=0.0,
        quote_source=QUOTE_SOURCE,
    )
    return Settlement(position_id, "assignment" if delivered else "expiration", fill)


def _signed_shares(leg: AlpacaLeg) -> int:
    """Return the shares that exercise brings in, negative where it takes them."""
    sign = 1 if leg.is_bought else -1
    return sign * leg.ratio * SHARES * (1 if leg.contract.option_right == "C" else -1)


def _leg_fills(opened: AlpacaOrder, delivered: Sequence[AlpacaLeg]) -> tuple[tuple[LegFill, ...], Decimal]:
    """Return the legs at values that add up to what the deliveries brought, and that, USD a share of one structure.

    Shares that cancel were bought and sold at the strikes, whatever the underlying stood at: each delivered leg is
    valued from the lowest of their strikes (calls), or down from the highest (puts).
    """
    fills, cash = [], Decimal(0)
    for place, held in enumerate(fill_of(opened).legs):
        leg = opened.legs[place]
        value = Decimal(0)
        if leg in delivered:
            ends = [one.contract.strike for one in delivered if one.contract.option_right == leg.contract.option_right]
            is_call = leg.contract.option_right == "C"
            value = max(ends) - leg.contract.strike if is_call else leg.contract.strike - min(ends)
        cash += (1 if leg.is_bought else -1) * leg.ratio * value
        fills.append(replace(held, price=float(value)))
    return tuple(fills), cash
