"""Whether the account's own record and its broker's say the same of cash, contracts and orders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from trading_dag.paper.account import Account
from trading_dag.paper.orders import HeldContract, OrderLeg, OrderReport

_HALF_A_CENT: Final = 0.005


def compare(
    account: Account,
    *,
    cash_usd: float,
    contracts: Iterable[HeldContract],
    report_of: Callable[[str], OrderReport | None],
) -> list[dict[str, Any]]:
    """Return one row for the cash, each contract that either side names, and each working order.

    Parameters
    ----------
    cash_usd, contracts : what the broker says.
    report_of : asks the broker for an order by its id.

    Returns
    -------
    Rows of ``item``, ``ours``, ``brokers``, ``is_matched``, ``detail``.
    """
    rows = [_row("cash", account.cash_usd, cash_usd, tolerance=_HALF_A_CENT)]
    ours, theirs = _held(account), {_name(one): one.quantity for one in contracts}
    rows += [_row(name, ours.get(name, 0.0), theirs.get(name, 0.0)) for name in sorted({*ours, *theirs})]
    for record in account.working:
        report = report_of(record.order.order_id)
        row = _row(f"order {record.order.order_id}", 1.0, None if report is None else 1.0)
        rows.append(row)
    return rows


def differences(items: Iterable[dict[str, Any]]) -> str | None:
    """Return what does not agree, in words; None where all does."""
    wrong = [item["detail"] for item in items if not item["is_matched"]]
    return "; ".join(wrong) or None


def _row(item: str, ours: float, brokers: float | None, *, tolerance: float = 1e-9) -> dict[str, Any]:
    is_matched = brokers is not None and abs(ours - brokers) <= tolerance
    said = "knows nothing of it" if brokers is None else f"says {brokers:,.10g}"
    detail = "" if is_matched else f"{item}: the account says {ours:,.10g}, the broker {said}"
    return {"item": item, "ours": ours, "brokers": brokers, "is_matched": is_matched, "detail": detail}


def _held(account: Account) -> dict[str, float]:
    """Contracts of all open positions, netted, by name."""
    held: dict[str, float] = {}
    for position in account.open_positions:
        for one in position.held.fill.legs:
            name = contract_name(position.held.key.ticker, one.leg)
            sign = 1.0 if one.leg.side == "buy" else -1.0
            held[name] = held.get(name, 0.0) + sign * one.leg.ratio * position.held.fill.contracts
    return {name: quantity for name, quantity in held.items() if quantity}


def contract_name(ticker: str, leg: OrderLeg) -> str:
    """Return a contract in words, such as ``SPY 2025-01-24 590 call``."""
    return f"{ticker} {leg.expiration:%Y-%m-%d} {leg.strike:g} {leg.right}"


def _name(held: HeldContract) -> str:
    return f"{held.ticker} {held.expiration:%Y-%m-%d} {held.strike:g} {held.right}"
