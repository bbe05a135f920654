"""The state of the account, folded from everything that has happened to it, in order.

Nothing here asks a broker, a clock or a disk: the same events give the same account. What is decided from it stands in
``decisions`` and ``limits``, how it is shown in ``tables``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import pandas as pd

from trading_dag.errors import JournalError
from trading_dag.paper.events import (
    Event,
    Said,
    fill_of_event,
    order_of_event,
    session,
)
from trading_dag.paper.one_position import Held, Mark
from trading_dag.paper.orders import Fill, Intent, Order, PlanKey
from trading_dag.schemas.paper import FINAL_EVENTS

CENT: Final = 0.01
CashKind = Literal["deposit", "premium", "fees", "exit", "settlement", "assignment", "dividend"]
_CASH_OF_END: Final[Mapping[str, CashKind]] = {
    "expiration": "settlement",
    "assignment": "assignment",
}


@dataclass(frozen=True)
class Happened:
    """Holds one thing that happened to an order: its name, when it was recorded, why, and the fill if there is one."""

    event: str
    at: pd.Timestamp
    reason: str = ""
    broker_order_id: str = ""
    fill: Fill | None = None


@dataclass
class OrderRecord:
    """Holds an order with all that happened to it."""

    order: Order
    said: Said
    broker: str
    happened: list[Happened] = field(default_factory=list)

    @property
    def state(self) -> str:
        """Return what happened to it last."""
        return self.happened[-1].event

    @property
    def is_working(self) -> bool:
        """Return whether the broker has it, or may have it, and it is not at rest."""
        return self.state not in FINAL_EVENTS

    @property
    def was_sent(self) -> bool:
        """Return whether it may have reached a broker."""
        return any(one.event not in ("refused", "intended", "lapsed") for one in self.happened)


@dataclass
class Position:
    """Holds a position from its entry on.

    Attributes
    ----------
    held : as the engine follows it.
    marks : by session, with the exit that was due there and could not be sent.
    end : how it ended; None while it is open.
    end_reason : the exit, ``expiration`` or ``assignment``.
    """

    held: Held
    said: Said
    margin_usd: float
    marks: dict[pd.Timestamp, tuple[Mark, str]] = field(default_factory=dict)
    end: Fill | None = None
    end_reason: str = ""
    ended_by: str | None = None

    @property
    def is_open(self) -> bool:
        """Return whether it is held."""
        return self.end is None

    @property
    def fees_usd(self) -> float:
        """Return the fees paid so far."""
        return self.held.fill.fees_usd + (self.end.fees_usd if self.end else 0.0)

    @property
    def profit_usd(self) -> float:
        """Return the profit after fees both ways, of a position that has ended."""
        if self.end is None:
            raise JournalError(f"position {self.held.key.position_id} is open and has no profit yet")
        return self.held.fill.cash_usd + self.end.cash_usd + self.end.dividends_usd - self.fees_usd


@dataclass(frozen=True)
class Movement:
    """Holds one movement of cash, whole cents."""

    session: pd.Timestamp
    at: pd.Timestamp
    kind: CashKind
    amount_cents: int
    key: PlanKey | None = None
    order_id: str | None = None


class Account:
    """Folds events into orders, positions and cash.

    Attributes
    ----------
    source, broker, opened_with_usd : of the event that opened it; empty and 0 before.
    orders : by id, in the order of their decision.
    positions : by ``position_id``, in the order of their entries.
    movements : of cash, in order.
    advanced : by ticker, the newest session that was worked on to its end: every quote until its close is past.
    compared : rows of the reconciliations, in order.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.source = ""
        self.broker = ""
        self.opened_with_usd = 0.0
        self.orders: dict[str, OrderRecord] = {}
        self.positions: dict[str, Position] = {}
        self.movements: list[Movement] = []
        self.advanced: dict[str, pd.Timestamp] = {}
        self.compared: list[Event] = []
        for event in events:
            self.apply(event)

    @property
    def is_open(self) -> bool:
        """Return whether the account was opened."""
        return bool(self.source)

    @property
    def cash_cents(self) -> int:
        """Return the cash, in cents."""
        return sum(movement.amount_cents for movement in self.movements)

    @property
    def cash_usd(self) -> float:
        """Return the cash."""
        return self.cash_cents / 100.0

    @property
    def open_positions(self) -> list[Position]:
        """Return what is held."""
        return [position for position in self.positions.values() if position.is_open]

    @property
    def working(self) -> list[OrderRecord]:
        """Return the orders that are not at rest."""
        return [record for record in self.orders.values() if record.is_working]

    def attempts(self, key: PlanKey, intent: Intent) -> list[OrderRecord]:
        """Return the orders of one trade and intent, the first first."""
        return [record for record in self.orders.values() if record.order.key == key and record.order.intent == intent]

    def equity_by_session(self) -> pd.Series:
        """Return cash and marks at each session's close, USD, from the deposit to the last session worked on.

        A position that has no mark at a close (it was not quoted, or is marked later) counts at its last one, and at
        what it cost before the first.
        """
        sessions = sorted(
            {movement.session for movement in self.movements}
            | {marked for position in self.positions.values() for marked in position.marks}
            | set(self.advanced.values())
        )
        moved = dict.fromkeys(sessions, 0)
        for movement in self.movements:
            moved[movement.session] += movement.amount_cents
        index = pd.DatetimeIndex(sessions)
        equity = pd.Series(list(moved.values()), index=index, dtype="float64").cumsum() / 100.0
        for position in self.positions.values():
            equity += self._marked(position, index)
        return equity

    def _marked(self, position: Position, index: pd.DatetimeIndex) -> pd.Series:
        """What one position is worth at each close over which it is held."""
        marks = pd.Series({at: mark.value_usd for at, (mark, _) in position.marks.items()}, dtype="float64")
        value = marks.reindex(index).ffill().fillna(-position.held.fill.cash_usd)
        is_held = index >= position.held.fill.quote.session
        if position.end is not None:
            is_held &= index < position.end.quote.session
        return value.where(is_held, 0.0)

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take note of what happened.

        Raises
        ------
        JournalError : for an event that nobody knows, or that cannot follow what happened before.
        """
        at = pd.Timestamp(event["at"])
        kind = event["event"]
        try:
            getattr(self, f"_on_{kind}")(event, at)
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise JournalError(
                f"the journal's event {kind!r} of {at} cannot follow what was recorded before it: {error!r}"
            ) from error

    def _on_opened(self, event: Mapping[str, Any], at: pd.Timestamp) -> None:
        if self.is_open:
            raise ValueError("the account is open")
        self.source, self.broker = event["source"], event["broker"]
        self.opened_with_usd = event["cash_usd"]
        self._move(session(event["session"]), at, "deposit", event["cash_usd"])

    def _on_refused(self, event: Mapping[str, Any], at: pd.Timestamp) -> None:
        record = self._new_record(event)
        record.happened.append(Happened("refused", at, event["reason"]))

    def _on_intended(self, event: Mapping[str, Any], at: pd.Timestamp) -> None:
        self._new_record(event).happened.append(Happened("intended", at))

    def _on_lapsed(self, event: Mapping[str, Any], at: pd.Timestamp) -> None:
        self.orders[event["order_id"]].happened.append(Happened("lapsed", at, event["reason"]))

    def _on_sent(self, event: Mapping[str, Any], at: pd.Timestamp) -> None:
        happened = Happened("sent", at, broker_order_id=event["broker_order_id"])
        self.orders[event["order_id"]].happened.append(happened)

    def _on_rejected(self, event: Mapping[str, Any], at: pd.Timestamp) -> None:
        self._ended_by_broker("rejected", event, at)

    def _on_cancelled(self, event: Mapping[str, Any], at: pd.Timestamp) -> None:
        self._ended_by_broker("cancelled", event, at)

    def _ended_by_broker(self, name: str, event: Mapping[str, Any], at: pd.Timestamp) -> None:
        record = self.orders[event["order_id"]]
        record.happened.append(Happened(name, at, event["reason"], event["broker_order_id"]))

    def _on_filled(self, event: Mapping[str, Any], at: pd.Timestamp) -> None:
        record, fill = self.orders[event["order_id"]], fill_of_event(event["fill"])
        record.happened.append(Happened("filled", at, "", event["broker_order_id"], fill))
        order = record.order
        if order.intent == "open":
            if order.key.position_id in self.positions:
                raise ValueError(f"{order.key.position_id} is held already")
            self.positions[order.key.position_id] = Position(
                Held(order.key, order.structure, fill, order.size, order.target_session), record.said, fill.margin_usd
            )
            self._move(fill.quote.session, at, "premium", fill.cash_usd, order)
            self._move(fill.quote.session, at, "fees", -fill.fees_usd, order)
        else:
            self._end(order.key, fill, order.reason, at, kind="exit", order=order)

    def _on_settled(self, event: Mapping[str, Any], at: pd.Timestamp) -> None:
        key = self.positions[event["position_id"]].held.key
        self._end(key, fill_of_event(event["fill"]), event["kind"], at, kind=_CASH_OF_END[event["kind"]], order=None)

    def _on_marked(self, event: Mapping[str, Any], _: pd.Timestamp) -> None:
        marked = session(event["session"])
        mark = Mark(marked, event["value_usd"], event["spot"], event["days_left"])
        self.positions[event["position_id"]].marks[marked] = (mark, event["due"])

    def _on_reconciled(self, event: Mapping[str, Any], _: pd.Timestamp) -> None:
        self.compared.append(dict(event))

    def _on_advanced(self, event: Mapping[str, Any], _: pd.Timestamp) -> None:
        self.advanced |= {ticker: session(text) for ticker, text in event["sessions"].items()}

    def _new_record(self, event: Mapping[str, Any]) -> OrderRecord:
        order = order_of_event(event["order"])
        if order.order_id in self.orders:
            raise ValueError(f"order {order.order_id} exists")
        self.orders[order.order_id] = OrderRecord(order, Said(**event["said"]), event["broker"])
        return self.orders[order.order_id]

    def _end(
        self, key: PlanKey, fill: Fill, reason: str, at: pd.Timestamp, *, kind: CashKind, order: Order | None
    ) -> None:
        position = self.positions[key.position_id]
        if not position.is_open:
            raise ValueError(f"{key.position_id} has ended already")
        position.end, position.end_reason = fill, reason
        position.ended_by = None if order is None else order.order_id
        on = fill.quote.session
        self._move(on, at, kind, fill.cash_usd, order, key=key)
        if fill.dividends_usd:
            self._move(on, at, "dividend", fill.dividends_usd, order, key=key)
        self._move(on, at, "fees", -fill.fees_usd, order, key=key)

    def _move(
        self,
        on: pd.Timestamp,
        at: pd.Timestamp,
        kind: CashKind,
        amount_usd: float,
        order: Order | None = None,
        *,
        key: PlanKey | None = None,
    ) -> None:
        trade = order.key if order is not None else key
        amount = round(amount_usd * 100.0)
        self.movements.append(Movement(on, at, kind, amount, trade, None if order is None else order.order_id))


def event_of(kind: str, at: pd.Timestamp, /, **values: Any) -> Event:
    """Return an event."""
    return {"event": kind, "at": at.isoformat(), **values}
