"""What an order is, what a broker answers, and the ids that keep an order from being sent twice.

Here belongs the vocabulary that the account and every broker share. Which orders there are is ``decisions``' work, what
a fill is worth the engine's of ``trading_dag.backtest``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import pandas as pd

Intent = Literal["open", "close"]
Moment = Literal["open", "close"]
Right = Literal["call", "put"]
Side = Literal["buy", "sell"]
OrderStatus = Literal["accepted", "filled", "rejected", "cancelled"]
WORKING: Final[OrderStatus] = "accepted"


@dataclass(frozen=True, order=True)
class Quote:
    """Names a quote: the open or the close of a session. Quotes order by time."""

    session: pd.Timestamp
    is_close: bool

    @property
    def moment(self) -> Moment:
        """Return ``open`` or ``close``."""
        return "close" if self.is_close else "open"


@dataclass(frozen=True)
class PlanKey:
    """Names one plan's trade on one session: what an order may exist for once."""

    ticker: str
    session: pd.Timestamp
    horizon: str
    rule: str
    roll: int = 0

    @property
    def position_id(self) -> str:
        """Return the name of the trade, such as ``SPY-20241231-24h-matrix-r0``."""
        return f"{self.ticker}-{self.session:%Y%m%d}-{self.horizon}-{self.rule}-r{self.roll}"

    def order_id(self, intent: Intent, *, attempt: int = 1) -> str:
        """Return the id that the broker is given: ``td-SPY-20241231-24h-matrix-r0-open``.

        It is the same whenever the same order is decided again. Closing orders that were not filled may be sent
        again: the second as ``…-close-2``.
        """
        again = f"-{attempt}" if attempt > 1 else ""
        return f"td-{self.position_id}-{intent}{again}"


@dataclass(frozen=True)
class OrderLeg:
    """Describes one leg of an order: so many contracts of one option a structure, as they are held."""

    side: Side
    right: Right
    strike: float
    expiration: pd.Timestamp
    ratio: int = 1


@dataclass(frozen=True)
class Order:
    """Describes an order as it is sent: all legs at once or none.

    Attributes
    ----------
    order_id : the client's id; a broker takes it once.
    key : the plan's trade.
    intent : whether it opens the structure or closes it.
    structure : name of the structure.
    legs : as they are *held*: a closing order sells what is bought and buys back what is sold. Of an opening order of
        the rule ``matrix`` they are what the signal named at its close: the built-in broker chooses strikes at the
        entry's own quotes by the plan, as the backtest does (``names_contracts`` is false); a broker outside is sent
        these.
    contracts : structures; of an opening order at the signal's prices: the built-in broker sizes at the fill.
    size : share of the risk budget.
    max_loss_usd : of all contracts, at the signal's prices.
    names_contracts : whether the legs are to be traded as they are named.
    target_session : at whose close the position is left at the latest.
    reason : of a closing order: the exit that asks for it.
    due : of a closing order: the quote on which its exit held, at which the built-in broker fills it. Of an opening
        order of a roll: the quote at which it opens. None: at the first quote after the signal's session.
    """

    order_id: str
    key: PlanKey
    intent: Intent
    structure: str
    legs: tuple[OrderLeg, ...]
    contracts: int
    size: float
    max_loss_usd: float
    names_contracts: bool
    target_session: pd.Timestamp
    reason: str = ""
    due: Quote | None = None


@dataclass(frozen=True)
class LegFill:
    """Holds a leg as it was filled, USD a share."""

    leg: OrderLeg
    price: float


@dataclass(frozen=True)
class Fill:
    """Says what a filled order did.

    Attributes
    ----------
    quote : at which it was filled; a broker that fills between two quotes names the one before.
    legs : each with its price; in the order of the structure's legs.
    contracts : structures that were filled.
    cash_usd : signed cash received for all contracts, fees not counted: negative where it cost.
    fees_usd : for all contracts, at least 0.
    spot : underlying at the fill, USD; NaN where the broker does not say.
    max_loss_usd, margin_usd : of all contracts, of an opening order.
    dividends_usd : received while held, of a closing order (negative: paid).
    quote_source : chain, last, modelled or broker.
    """

    quote: Quote
    legs: tuple[LegFill, ...]
    contracts: int
    cash_usd: float
    fees_usd: float
    spot: float
    max_loss_usd: float
    margin_usd: float
    quote_source: str
    dividends_usd: float = 0.0


@dataclass(frozen=True)
class OrderReport:
    """Says what a broker knows of an order.

    ``fill`` is there where the status is ``filled``; ``reason`` where it is ``rejected`` or ``cancelled``.
    """

    order_id: str
    broker_order_id: str
    status: OrderStatus
    reason: str = ""
    fill: Fill | None = None


@dataclass(frozen=True)
class Settlement:
    """Says that a position ended without an order: it expired, or sold calls were assigned.

    ``position_id`` names the trade; ``kind`` is ``expiration`` or ``assignment``. The fill's legs carry intrinsic
    values.
    """

    position_id: str
    kind: Literal["expiration", "assignment"]
    fill: Fill


@dataclass(frozen=True)
class HeldContract:
    """Holds how many of one contract a broker has, positive where bought."""

    ticker: str
    right: Right
    strike: float
    expiration: pd.Timestamp
    quantity: float


@dataclass(frozen=True)
class BrokerAccount:
    """Holds what a broker says of the account, USD."""

    cash_usd: float
    equity_usd: float
    buying_power_usd: float
