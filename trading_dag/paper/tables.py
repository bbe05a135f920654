"""The tables of the account: each a projection of what has happened to it, in the order in which it did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.frames import frame_of_records
from trading_dag.paper.account import Account, Happened, OrderRecord, Position
from trading_dag.paper.events import leg_to_event, session
from trading_dag.paper.one_position import Mark
from trading_dag.paper.orders import Fill, LegFill, OrderLeg, PlanKey
from trading_dag.schemas.paper import LEDGER, ORDERS, POSITIONS, RECONCILIATION

_CENTS: Final = 100.0


def orders_frame(account: Account) -> pd.DataFrame:
    """Return ``paper.orders``: one row for each thing that happened to each order."""
    rows = [_order_row(record, one) for record in account.orders.values() for one in record.happened]
    return frame_of_records(ORDERS, rows)


def positions_frame(account: Account) -> pd.DataFrame:
    """Return ``paper.positions``: each position at each close over which it was held, and when it was left."""
    rows = [row for position in account.positions.values() for row in _position_rows(position)]
    return frame_of_records(POSITIONS, rows)


def ledger_frame(account: Account) -> pd.DataFrame:
    """Return ``paper.ledger``: each movement of cash, with the balance after it."""
    balance, rows = 0, []
    for number, movement in enumerate(account.movements, start=1):
        balance += movement.amount_cents
        rows.append(
            {
                "entry": number,
                "session": movement.session,
                "recorded_at": movement.at,
                "kind": movement.kind,
                "ticker": None if movement.key is None else movement.key.ticker,
                "position_id": None if movement.key is None else movement.key.position_id,
                "order_id": movement.order_id,
                "amount_usd": movement.amount_cents / _CENTS,
                "balance_usd": balance / _CENTS,
            }
        )
    return frame_of_records(LEDGER, rows)


def reconciliation_frame(account: Account) -> pd.DataFrame:
    """Return ``paper.reconciliation``: what was compared, each time that it was."""
    rows = [
        {
            "reconciled_at": pd.Timestamp(event["at"]),
            "session": session(event["session"]),
            "broker": account.broker,
            **item,
            "detail": item["detail"] or None,
        }
        for event in account.compared
        for item in event["items"]
    ]
    return frame_of_records(RECONCILIATION, rows)


def ledger_objection(ledger: pd.DataFrame, *, cash_cents: int) -> str | None:
    """Return where a ledger does not add up to the cent; None where it does.

    Parameters
    ----------
    cash_cents : of the account, which the last balance must be.
    """
    if ledger.empty:
        return None
    amounts, balances = (
        np.rint(ledger[name].to_numpy(dtype=np.float64) * _CENTS).astype(np.int64)
        for name in ("amount_usd", "balance_usd")
    )
    wrong = np.flatnonzero(np.cumsum(amounts) != balances)
    if len(wrong):
        return f"entry {int(ledger['entry'].iloc[wrong[0]])}: the balance is not the sum of the movements until it"
    if list(ledger["entry"]) != list(range(1, len(ledger) + 1)):
        return "the entries are not numbered from 1 without a gap"
    if balances[-1] != cash_cents:
        return f"the last balance is {balances[-1] / _CENTS:,.2f}, the account's cash {cash_cents / _CENTS:,.2f}"
    return None


def _finite(value: float) -> float | None:
    """The number, or None where it is none or unlimited."""
    return value if np.isfinite(value) else None


def _of_key(key: PlanKey, structure: str) -> dict[str, Any]:
    return {
        "position_id": key.position_id,
        "ticker": key.ticker,
        "horizon": key.horizon,
        "signal_session": key.session,
        "rule": key.rule,
        "roll": key.roll,
        "structure": structure,
    }


def _order_row(record: OrderRecord, happened: Happened) -> dict[str, Any]:
    order, said, fill = record.order, record.said, happened.fill
    quote = order.due if fill is None else fill.quote
    return {
        "order_id": order.order_id,
        "event": happened.event,
        "recorded_at": happened.at,
        **_of_key(order.key, order.structure),
        "intent": order.intent,
        "size": order.size,
        "contracts": order.contracts if fill is None else fill.contracts,
        "legs": legs_json(order.legs) if fill is None else legs_json([one.leg for one in fill.legs], fill.legs),
        "max_loss_usd": _finite(order.max_loss_usd if fill is None else fill.max_loss_usd),
        "reason": happened.reason or order.reason or None,
        "quote_session": None if quote is None else quote.session,
        "quote": None if quote is None else quote.moment,
        "cash_usd": None if fill is None else fill.cash_usd,
        "fees_usd": None if fill is None else fill.fees_usd,
        "broker": record.broker,
        "broker_order_id": happened.broker_order_id or None,
        "edge": said.edge or None,
        "model_version": said.model_version or None,
        "volatility_model_version": said.volatility_model_version or None,
        "source": said.source,
        "is_live": said.is_live,
    }


def legs_json(legs: Sequence[OrderLeg], fills: Sequence[LegFill] = ()) -> str | None:
    """Return legs as JSON, with their prices where they were filled; None where there are none."""
    if not legs:
        return None
    prices: list[dict[str, Any]] = [{} for _ in legs]
    if fills:
        prices = [{"price": None if one.price != one.price else round(one.price, 6)} for one in fills]
    return json.dumps([leg_to_event(leg) | price for leg, price in zip(legs, prices, strict=True)])


def _position_rows(position: Position) -> list[dict[str, Any]]:
    end = position.end
    last = None if end is None else end.quote.session
    rows = [
        _marked_row(position, mark, due)
        for at, (mark, due) in sorted(position.marks.items())
        if last is None or at < last
    ]
    return rows if end is None else [*rows, _closed_row(position, end)]


def _position_row(position: Position) -> dict[str, Any]:
    held, fill = position.held, position.held.fill
    return {
        **_of_key(held.key, held.structure),
        "contracts": fill.contracts,
        "legs": legs_json([one.leg for one in fill.legs], fill.legs),
        "expiration": min(one.leg.expiration for one in fill.legs),
        "entry_session": fill.quote.session,
        "entry_quote": fill.quote.moment,
        "quote_source": fill.quote_source,
        "entry_spot": _finite(fill.spot),
        "entry_cost_usd": -fill.cash_usd,
        "max_loss_usd": _finite(fill.max_loss_usd),
        "margin_usd": _finite(fill.margin_usd),
        "target_session": held.target_session,
        "edge": position.said.edge or None,
    }


def _marked_row(position: Position, mark: Mark, due: str) -> dict[str, Any]:
    fill = position.held.fill
    return {
        **_position_row(position),
        "session": mark.session,
        "status": "open",
        "days_left": mark.days_left,
        "spot": mark.spot,
        "mark_usd": mark.value_usd,
        "pnl_usd": round(mark.value_usd + fill.cash_usd - fill.fees_usd, 2),
        "fees_usd": fill.fees_usd,
        "exit_reason": due or None,
    }


def _closed_row(position: Position, end: Fill) -> dict[str, Any]:
    row = _position_row(position)
    return {
        **row,
        "session": end.quote.session,
        "status": "closed",
        "days_left": (row["expiration"] - end.quote.session).days,
        "spot": _finite(end.spot),
        "mark_usd": 0.0,
        "pnl_usd": round(position.profit_usd, 2),
        "fees_usd": round(position.fees_usd, 2),
        "exit_reason": position.end_reason,
        "exit_quote": end.quote.moment,
    }
