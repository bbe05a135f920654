"""Results by days to expiration and delta as a table for the command line. Nothing is computed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trading_dag.reporting.text import new_table, number_text

if TYPE_CHECKING:
    from rich.table import Table


def days_and_delta_table(rows: list[dict[str, Any]]) -> Table:
    """Return days down and deltas across; in a cell mean profit, trades and win rate."""
    deltas = list(dict.fromkeys(str(row["delta"]) for row in rows))
    cells = {(row["days"], row["delta"]): _cell(row) for row in rows}
    table = new_table(
        "Mean P&L a trade after fees, USD · trades · win rate, by days to expiration and delta at entry",
        ("days", *(f"delta {delta}" for delta in deltas)),
    )
    for days in dict.fromkeys(str(row["days"]) for row in rows):
        table.add_row(days, *(cells[days, delta] for delta in deltas))
    table.caption = (
        f"open trades at their last marks; {len(rows)} tries on one stretch of data: the best of them says little"
    )
    return table


def _cell(row: dict[str, Any]) -> str:
    if not row["trades"]:
        return "none"
    mean, share = number_text(row["mean_pnl_usd"], "{:+z,.0f}"), number_text(row["win_rate"], "{:.0%}")
    return f"{mean} · {row['trades']:,} · {share}"
