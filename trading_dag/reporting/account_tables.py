"""The report of several trade plans in one account as tables for the command line. Nothing is computed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trading_dag.reporting.backtest_tables import assumption_text
from trading_dag.reporting.text import new_table, number_text

if TYPE_CHECKING:
    from rich.table import Table


def account_tables(record: dict[str, Any]) -> list[Table]:
    """Return what each plan and the account came to, and what was assumed."""
    return [_plans(record), _account(record["account"]), _assumptions(record)]


def _plans(record: dict[str, Any]) -> Table:
    table = new_table(
        f"{len(record['plans'])} plans in one account on {record['ticker']}, {record['first_session']} to "
        f"{record['last_session']}",
        ("plan", "weight", "trades", "open", "skipped", "win rate", "profit factor", "P&L", "fees", "skipped for"),
    )
    for plan in record["plans"]:
        reasons = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in plan["skip_reasons"].items())
        table.add_row(
            plan["plan"].replace("_", " "),
            f"{plan['weight']:g}",
            *(f"{plan[name]:,}" for name in ("trades", "open", "skipped")),
            number_text(plan["win_rate"], "{:.0%}"),
            number_text(plan["profit_factor"], "{:.2f}"),
            f"${plan['total_usd']:+,.0f}",
            f"${plan['fees_usd']:,.0f}",
            reasons or "–",
        )
    return table


def _account(account: dict[str, Any]) -> Table:
    table = new_table(
        "The account; P&L of closed trades, equity with open ones at their marks",
        ("P&L", "fees", "equity at the end", "CAGR", "Sharpe", "max drawdown"),
    )
    table.add_row(
        f"${account['total_usd']:+,.0f}",
        f"${account['fees_usd']:,.0f}",
        f"${account['final_equity_usd']:,.0f}",
        number_text(account["cagr"], "{:+.1%}"),
        number_text(account["sharpe"], "{:+.2f}"),
        number_text(account["max_drawdown"], "{:.1%}"),
    )
    return table


def _assumptions(record: dict[str, Any]) -> Table:
    table = new_table("Assumptions", ("of", "assumed"))
    for plan in record["plans"]:
        table.add_row(plan["plan"].replace("_", " "), assumption_text(plan["strikes"]))
    first = record["plans"][0]
    for name, value in (
        ("expiration", first["expiration"]),
        ("exits", first["exits"]),
        *record["assumptions"].items(),
    ):
        table.add_row(name.replace("_", " "), assumption_text(value))
    return table
