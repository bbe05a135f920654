"""What happens to the paper account: orders that were sent, filled or rejected, and limits that refused one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from trading_dag.alerts.cause import Cause
from trading_dag.schemas.paper import ORDER_EVENTS
from trading_dag.strategy.explanation import EDGES_WITH_SIZE, NO_EDGE_SHOWN

ORDERS_PATH: Final = "/assets/paper/orders"
_TOLD: Final = {"sent": "sent", "filled": "filled", "rejected": "rejected by the broker"}


def paper_orders(orders: pd.DataFrame) -> list[Cause]:
    """Return a cause for each order that was sent, filled or rejected, and one a session for each limit that refused
    any.

    Parameters
    ----------
    orders : rows of ``paper.orders``.
    """
    rows = [{str(name): value for name, value in row.items()} for row in orders.to_dict("records")]
    rows.sort(key=lambda row: (row["recorded_at"], ORDER_EVENTS.index(row["event"])))
    last = {row["order_id"]: row for row in rows if row["event"] in _TOLD}  # what was sent and filled at once is filled
    causes = [_order(row) for row in last.values()]
    refused: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["event"] == "refused":
            refused.setdefault((_limit_of(row), f"{row['signal_session']:%Y-%m-%d}"), []).append(row)
    return [*causes, *(_limit(limit, session, those) for (limit, session), those in refused.items())]


def kill_switch(reason: str) -> Cause:
    """Return the cause of a kill switch that is on; each time that it is turned on is one of its own."""
    lines = (f"{reason}.", "No paper order is sent until it is off again: trading-dag paper resume")
    return Cause("limit", f"kill switch|{reason}", "The kill switch of the paper account is on", lines, ORDERS_PATH)


def _order(row: Mapping[str, Any]) -> Cause:
    verb = "Open" if row["intent"] == "open" else "Close"
    what = f"{row['contracts']} {str(row['structure']).replace('_', ' ')} on {row['ticker']} {row['horizon']}"
    title = f"Paper order {_TOLD[row['event']]}: {verb.lower()} {what}"
    lines = [f"{verb} {what}, of the signal of {row['signal_session']:%Y-%m-%d}{_edge(row)}."]
    if not pd.isna(row["max_loss_usd"]):
        lines.append(f"{row['max_loss_usd']:,.0f} USD at risk.")
    if row["event"] == "filled" and not pd.isna(row["cash_usd"]):
        moved = "received" if row["cash_usd"] >= 0 else "paid"
        fees = 0.0 if pd.isna(row["fees_usd"]) else row["fees_usd"]
        lines.append(f"{abs(row['cash_usd']):,.2f} USD {moved}, {fees:,.2f} USD of fees.")
    if isinstance(row["reason"], str):
        lines.append(f"Reason: {row['reason']}.")
    clock = (
        "" if row["is_live"] else " It was decided after the quote at which it fills: a replay, no trade of the day."
    )
    lines.append(f"Paper only, broker {row['broker']}, order {row['order_id']}; source {row['source']}.{clock}")
    return Cause("paper_order", f"{row['order_id']}|{row['event']}", title, tuple(lines), ORDERS_PATH)


def _limit(limit: str, session: str, rows: list[Mapping[str, Any]]) -> Cause:
    orders = "order" if len(rows) == 1 else "orders"
    title = f"The {limit} of the paper account refused {len(rows)} {orders} of the signals of {session}"
    lines = [
        f"{row['ticker']} {row['horizon']}, {str(row['structure']).replace('_', ' ')}: {row['reason']}" for row in rows
    ]
    return Cause("limit", f"{limit}|{session}", title, tuple(lines), ORDERS_PATH)


def _limit_of(row: Mapping[str, Any]) -> str:
    reason = row["reason"] if isinstance(row["reason"], str) else ""
    return reason.partition(":")[0].strip() or "limit"


def _edge(row: Mapping[str, Any]) -> str:
    return "" if row["edge"] in EDGES_WITH_SIZE else f" ({NO_EDGE_SHOWN})"
