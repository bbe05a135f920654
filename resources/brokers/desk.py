"""The desk: brings the account forward session by session, and is the one place through which every order passes.

An order is written down as intended before it is sent, and what the broker answers after. Whatever is cut off in
between is asked of the broker by the order's id at the next start. What is to be done follows from what is written down
alone, so that doing it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from resources.brokers.broker import Broker
from resources.brokers.journal import Journal
from resources.brokers.kill_switch import KillSwitch
from trading_dag.backtest.plans.exit_rules import ASSIGNMENT_EXIT, EXPIRATION_EXIT, ROLL_EXIT
from trading_dag.errors import BrokerError, JournalError, LiveTradingError, PaperTradingError
from trading_dag.paper.account import Account, OrderRecord, Position, event_of
from trading_dag.paper.decisions import Signals, Verdict, decide
from trading_dag.paper.events import Said, day, fill_to_event, order_to_event
from trading_dag.paper.limits import limit_refusal
from trading_dag.paper.one_position import Course, Held, TickerView, course_of, entry_quote
from trading_dag.paper.orders import Order, OrderReport, PlanKey, Quote
from trading_dag.paper.reconciliation import compare
from trading_dag.setting_groups import PaperSettings

_SETTLED = (EXPIRATION_EXIT, ASSIGNMENT_EXIT)
_Step = tuple[tuple[Any, ...], Callable[[], None]]


@dataclass
class Desk:
    """Works on one account with one broker.

    Attributes
    ----------
    journal : of the account.
    broker : who takes the orders.
    switch : stops them.
    settings : limits.
    views : what is known of each ticker's quotes now.
    signals : the served signals.
    cash_usd : what the account is opened with.
    clock : the present, UTC.
    """

    journal: Journal
    broker: Broker
    switch: KillSwitch
    settings: PaperSettings
    views: Mapping[str, TickerView]
    signals: Signals
    cash_usd: float
    clock: Callable[[], pd.Timestamp]

    def __post_init__(self) -> None:
        if self.broker.is_live:
            raise LiveTradingError(f"broker {self.broker.name} trades real money, which this project does not")
        self.account = Account(self.journal.events)
        self._refused: set[str] = set()
        self._polled: set[str] = set()
        self._courses: dict[str, Course] = {}
        for what, ours, now in (
            ("source", self.account.source, self.signals.source),
            ("broker", self.account.broker, self.broker.name),
        ):
            if self.account.is_open and ours != now:
                raise JournalError(
                    f"the account was opened with {what} {ours}, and now it is {now}: take another TRADING_DAG_HOME, "
                    "or move the folder paper/ away to begin a new account"
                )

    def advance(self) -> None:
        """Find out what became of the orders, leave what is due, and mark what is held, at every quote since the last
        time, in the order of the quotes.

        Raises
        ------
        BrokerUnavailableError : an answer did not come; the next call goes on from there.
        """
        if not self.account.is_open:
            return
        self._recover()
        if not self.broker.fills_on_stored_quotes:
            self._poll()
        while (step := self._next_step()) is not None:
            step()
        for position in self.account.open_positions:
            self._mark(position, self._course(position))
        newest = {ticker: view.newest.session for ticker, view in self.views.items() if view.newest is not None}
        if any(self.account.advanced.get(ticker) != at for ticker, at in newest.items()):
            self._record("advanced", sessions={ticker: day(at) for ticker, at in newest.items()})

    def reconcile(self) -> list[dict[str, Any]]:
        """Compare the account's record with the broker's, and return one row for each thing that both or one names.

        It is recorded where it says something else than the last time, or a session has passed.
        """
        if not self.account.is_open:
            return []
        items = compare(
            self.account,
            cash_usd=self.broker.account().cash_usd,
            contracts=self.broker.contracts(),
            report_of=self.broker.order,
        )
        session = max(self.account.advanced.values(), default=None)
        on = "" if session is None else day(session)
        last = self.account.compared[-1] if self.account.compared else None
        if on and (last is None or last["session"] != on or last["items"] != items):
            self._record("reconciled", session=on, items=items)
        return items

    def trade(self) -> list[Verdict]:
        """Send the orders of the newest signals, and return the verdict on each slice.

        Raises
        ------
        BrokerUnavailableError : an answer did not come; the next call asks the broker before it sends anything again.
        """
        told = []
        for verdict in self._decided():
            if verdict.order is None or verdict.said is None:
                told.append(verdict)
                continue
            if not self.account.is_open:
                self._open_account(verdict.key.session)
            refusal = self._place(verdict.order, verdict.said)
            told.append(replace(verdict, reason=refusal, order=None) if refusal else verdict)
        return told

    def verdicts(self) -> list[Verdict]:
        """Return the verdict on each slice as ``trade`` would find it now, and send nothing."""
        return [
            verdict
            if verdict.order is None or not (refusal := self.refusal(verdict.order))
            else replace(verdict, reason=refusal, order=None)
            for verdict in self._decided()
        ]

    def _decided(self) -> list[Verdict]:
        return decide(
            self.signals,
            views=self.views,
            account=self.account,
            settings=self.settings,
            sizes_at_fill=self.broker.fills_on_stored_quotes,
            now=self.clock(),
        )

    def refusal(self, order: Order) -> str:
        """Return why an order may not be sent now; empty where it may. Every order is asked for here."""
        if self.switch.is_on:
            return f"kill switch: {self.switch.reason}"
        cash = self.account.opened_with_usd if self.account.is_open else self.cash_usd
        return limit_refusal(order, self.account, self.settings, cash_usd=cash)

    def _open_account(self, session: pd.Timestamp) -> None:
        self._record(
            "opened",
            source=self.signals.source,
            broker=self.broker.name,
            cash_usd=self.cash_usd,
            session=day(session),
        )

    def _place(self, order: Order, said: Said) -> str:
        """Write an order down and send it; return why it was refused, empty where it was not."""
        refusal = self.refusal(order)
        body = {"order": order_to_event(order), "said": vars(said), "broker": self.broker.name}
        if refusal:
            attempts = self.account.attempts(order.key, order.intent)
            # That the same signal is refused again is no news; that a position is held against its exit is.
            if order.intent == "close" or not attempts or attempts[-1].happened[-1].reason != refusal:
                self._record("refused", reason=refusal, **body)
            return refusal
        self._record("intended", **body)
        self._send(self.account.orders[order.order_id])
        return ""

    def _send(self, record: OrderRecord) -> None:
        """Send an order that is written down. No other line of the project hands an order to a broker."""
        if self.switch.is_on:
            self._record("lapsed", order_id=record.order.order_id, reason=f"kill switch: {self.switch.reason}")
            return
        self._take(self.broker.submit(record.order))

    def _take(self, report: OrderReport) -> None:
        """Write down what a broker says of an order, as far as it is news."""
        record = self.account.orders[report.order_id]
        if not record.is_working:
            return
        if record.state == "intended":
            self._record("sent", order_id=report.order_id, broker_order_id=report.broker_order_id)
        about = {"order_id": report.order_id, "broker_order_id": report.broker_order_id}
        if report.fill is not None and report.fill.contracts > 0:
            if record.order.intent == "close" and report.fill.contracts < record.order.contracts:
                raise BrokerError(
                    broker=self.broker.name,
                    request=f"close {record.order.contracts} of {record.order.key.position_id}",
                    problem=f"only {report.fill.contracts} were closed: close the others by hand",
                )
            self._record("filled", fill=fill_to_event(report.fill), **about)
        elif report.status in ("rejected", "cancelled"):
            self._record(report.status, reason=report.reason, **about)

    def _recover(self) -> None:
        """Ask the broker for every order of which it is not known whether it arrived, and send what did not."""
        for record in self.account.working:
            if record.state != "intended":
                continue
            report = self.broker.order(record.order.order_id)
            if report is not None:
                self._take(report)
            elif self._is_past(record.order):
                reason = "it was not sent before its quote came"
                self._record("lapsed", order_id=record.order.order_id, reason=reason)
            else:
                self._send(record)

    def _is_past(self, order: Order) -> bool:
        """Whether the quote at which an opening order would be filled is known already. Rolls and exits name theirs."""
        if order.due is not None or order.intent == "close":
            return False
        return entry_quote(self._view(order.key.ticker), order) is not None

    def _poll(self) -> None:
        """Ask a broker outside for every working order and for what ended without one."""
        for record in self.account.working:
            report = self.broker.order(record.order.order_id)
            if report is not None:
                self._take(report)
        known = [view.newest for view in self.views.values() if view.newest is not None]
        for settlement in self.broker.settlements(max(known)) if known else []:
            position = self.account.positions.get(settlement.position_id)
            if position is not None and position.is_open:
                self._settle(position, settlement.kind, settlement.fill.quote)

    def _next_step(self) -> Callable[[], None] | None:
        """What comes first in time of all that can be done now: exits before entries, what rolled less often first."""
        for position in self.account.positions.values():
            if position.end_reason == ROLL_EXIT and not self.account.attempts(_rolled(position.held), "open"):
                return lambda position=position: self._roll(position)  # type: ignore[misc]
        steps = [*self._exits(), *self._answers()]
        return min(steps, key=lambda step: step[0])[1] if steps else None

    def _exits(self) -> list[_Step]:
        closing = {record.order.key for record in self.account.working if record.order.intent == "close"}
        steps: list[_Step] = []
        for position in self.account.open_positions:
            if position.held.key in closing or position.held.key.position_id in self._refused:
                continue
            course = self._course(position)
            if course.fill is None or (course.reason in _SETTLED and not self.broker.fills_on_stored_quotes):
                continue
            place = (course.fill.quote, 0, position.held.key.position_id)
            steps.append((place, lambda one=position, its=course: self._leave(one, its)))  # type: ignore[misc]
        return steps

    def _answers(self) -> list[_Step]:
        """Working orders whose quote has come; a broker outside was asked for its own.

        A closing order is among them only where the process ended before its fill was written down.
        """
        if not self.broker.fills_on_stored_quotes:
            return []
        steps: list[_Step] = []
        for number, record in enumerate(self.account.working):
            order = record.order
            if record.state != "sent" or order.order_id in self._polled:
                continue
            is_entry = order.intent == "open"
            quote = entry_quote(self._view(order.key.ticker), order) if is_entry else order.due
            if quote is not None:
                place = (quote, 1, (order.key.roll, number)) if is_entry else (quote, 0, order.key.position_id)
                steps.append((place, lambda order_id=order.order_id: self._ask(order_id)))  # type: ignore[misc]
        return steps

    def _ask(self, order_id: str) -> None:
        self._polled.add(order_id)
        report = self.broker.order(order_id)
        if report is None:
            raise BrokerError(
                broker=self.broker.name, request=f"order {order_id}", problem="it was sent and is not there"
            )
        self._take(report)

    def _leave(self, position: Position, course: Course) -> None:
        """Close a position whose exit has come, or record that it has expired or was assigned."""
        fill, held = course.fill, position.held
        if fill is None:
            return
        self._mark(position, course)
        if course.reason in _SETTLED:
            self._settle(position, course.reason, fill.quote)
            return
        attempt = len(self.account.attempts(held.key, "close")) + 1
        order = Order(
            order_id=held.key.order_id("close", attempt=attempt),
            key=held.key,
            intent="close",
            structure=held.structure,
            legs=tuple(one.leg for one in held.fill.legs),
            contracts=held.fill.contracts,
            size=held.size,
            max_loss_usd=held.fill.max_loss_usd,
            names_contracts=True,
            target_session=held.target_session,
            reason=course.reason,
            due=fill.quote,
        )
        if self._place(order, position.said):
            self._refused.add(held.key.position_id)

    def _settle(self, position: Position, kind: str, quote: Quote) -> None:
        position_id = position.held.key.position_id
        for settlement in self.broker.settlements(quote):
            if settlement.position_id == position_id:
                fill = replace(settlement.fill, quote=max(settlement.fill.quote, self._first_open(position)))
                self._record("settled", position_id=position_id, kind=settlement.kind, fill=fill_to_event(fill))
                return
        raise PaperTradingError(
            f"{position_id}: {kind} at the {quote.moment} of {quote.session:%Y-%m-%d}, of which broker "
            f"{self.broker.name} knows nothing"
        )

    def _first_open(self, position: Position) -> Quote:
        """The first quote after the sessions that were worked on. Who is assigned hears of it the morning after: what
        was written down of the evening before stays."""
        advanced = self.account.advanced.get(position.held.key.ticker)
        if advanced is None:
            return position.held.fill.quote
        view = self._view(position.held.key.ticker)
        place = view.place(Quote(advanced, True)) + 1
        return view.quote(place) if place < len(view.market) else Quote(advanced, True)

    def _roll(self, position: Position) -> None:
        """Open the same plan anew on the quote at which it was left."""
        held, end = position.held, position.end
        if end is None:
            return
        key = _rolled(held)
        order = Order(
            order_id=key.order_id("open"),
            key=key,
            intent="open",
            structure=held.structure,
            legs=(),
            contracts=0,
            size=held.size,
            max_loss_usd=self._budget_usd(held),
            names_contracts=False,
            target_session=held.target_session,
            due=end.quote,
        )
        self._place(order, position.said)

    def _budget_usd(self, held: Held) -> float:
        rules = self._view(held.key.ticker).plans[held.structure].account
        return rules.account_usd * rules.risk_fraction * held.size

    def _course(self, position: Position) -> Course:
        """How a position goes, as far as is known; quotes that were worked on before are past."""
        held = position.held
        newest = self._view(held.key.ticker).newest
        if newest is None or held.fill.quote > newest:
            return Course("", None, ())  # a broker outside filled it in a session whose prices have not come yet
        if held.key.position_id not in self._courses:
            flip = self.signals.flip_of(held, direction=position.said.direction, rule=held.key.rule)
            advanced = self.account.advanced.get(held.key.ticker)
            past = None if advanced is None else Quote(advanced, True)
            course = course_of(self._view(held.key.ticker), replace(held, flip_session=flip, past=past))
            self._courses[held.key.position_id] = course
        return self._courses[held.key.position_id]

    def _view(self, ticker: str) -> TickerView:
        if ticker not in self.views:
            raise PaperTradingError(f"the account holds or orders {ticker}, of which no prices are stored")
        return self.views[ticker]

    def _mark(self, position: Position, course: Course) -> None:
        """Write down the marks since the last one."""
        key, marked = position.held.key, position.marks
        closing = self.account.attempts(key, "close")
        due = closing[-1].order.reason if closing and closing[-1].state in ("refused", "lapsed") else ""
        last = max(marked, default=None)
        for mark in course.marks:
            if last is None or mark.session > last:
                self._record(
                    "marked",
                    position_id=key.position_id,
                    session=day(mark.session),
                    value_usd=mark.value_usd,
                    spot=mark.spot,
                    days_left=mark.days_left,
                    due=due,
                )

    def _record(self, kind: str, /, **values: Any) -> None:
        """Write an event down. It is tried on the account first, so that what cannot be is never written."""
        event = event_of(kind, self.clock(), **values)
        self.account.apply(event)
        self.journal.append(event)


def _rolled(held: Held) -> PlanKey:
    return replace(held.key, roll=held.key.roll + 1)
