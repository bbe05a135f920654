"""The report of a trade plan as short tables for the command line, made from its record. Nothing is computed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trading_dag.backtest.results.plan_study import ALL_EXITS, CAUSES
from trading_dag.reporting.text import new_table, number_text

if TYPE_CHECKING:
    from rich.table import Table

_GREEKS: Final = {"delta": "{:+z,.0f}", "gamma": "{:+z,.1f}", "vega_usd": "{:+z,.0f}", "theta_usd": "{:+z,.0f}"}
_USD: Final = "{:+z,.0f}"


def plan_tables(record: dict[str, Any]) -> list[Table]:
    """Return figures, profit by exit and by cause, Greeks, scenarios, skipped entries and assumptions of a plan."""
    tables = [_figures(record)]
    if record["exits"]:
        tables += [_exits(record["exits"]), _causes(record["exits"])]
    if any(row["open_positions"] for row in record["greeks"]):
        tables.append(_greeks(record["greeks"]))
    if record["scenarios"] is not None:
        tables.append(_scenarios(record["scenarios"]))
    if record["summary"]["skip_reasons"]:
        tables.append(_skipped(record["summary"]["skip_reasons"]))
    return [*tables, _assumptions(record["assumptions"])]


def _figures(record: dict[str, Any]) -> Table:
    summary = record["summary"]
    table = new_table(
        f"{record['plan'].replace('_', ' ')} on {record['ticker']}, {record['first_session']} to "
        f"{record['last_session']}",
        ("trades", "open", "skipped", "win rate", "profit factor", "P&L", "fees", "Sharpe", "max drawdown",
         "margin held", "portfolio margin", "random-entry p", "beyond defined risk", "exits delayed"),
    )  # fmt: skip
    table.add_row(
        *(f"{summary[name]:,}" for name in ("closed", "open_at_end", "skipped")),
        number_text(summary["win_rate"], "{:.0%}"),
        number_text(summary["profit_factor"], "{:.2f}"),
        f"${summary['total_usd']:+,.0f}",
        f"${summary['fees_usd']:,.0f}",
        number_text(summary["statistics"]["sharpe"], "{:+.2f}"),
        number_text(summary["statistics"]["max_drawdown"], "{:.1%}"),
        number_text(summary["greatest_margin_usd"], "${:,.0f}"),
        number_text(summary["greatest_portfolio_margin_usd"], "${:,.0f}"),
        number_text(summary["random_entry_p_value"], "{:.3f}"),
        f"{summary['losses_beyond_defined_risk']:,}",
        f"{summary['delayed_exits']:,}",
    )
    return table


def _exits(rows: list[dict[str, Any]]) -> Table:
    heads = ("exit", "trades", "win rate", "P&L", "fees", "mean worst while held", "mean best while held")
    table = new_table("Profit by exit, USD; worst and best (MAE, MFE) before fees", heads)
    for row in rows:
        table.add_row(
            _words(row["exit_reason"]),
            f"{row['trades']:,}",
            number_text(row["win_rate"], "{:.0%}"),
            number_text(row["pnl_usd"], _USD),
            number_text(row["fees_usd"], "{:,.0f}"),
            number_text(row["mean_mae_usd"], _USD),
            number_text(row["mean_mfe_usd"], _USD),
            end_section=_is_before_total(row, rows),
        )
    return table


def _causes(rows: list[dict[str, Any]]) -> Table:
    table = new_table("Profit by cause, USD, as a model explains it", ("exit", *CAUSES, "fees", "P&L"))
    for row in rows:
        table.add_row(
            _words(row["exit_reason"]),
            *(number_text(row[f"{cause}_usd"], _USD) for cause in CAUSES),
            number_text(-row["fees_usd"], _USD),
            number_text(row["pnl_usd"], _USD),
            end_section=_is_before_total(row, rows),
        )
    return table


def _greeks(rows: list[dict[str, Any]]) -> Table:
    heads = ("over sessions with positions", "delta", "gamma", "vega, USD a point", "theta, USD a day")
    table = new_table("Greeks of the account", heads)
    open_rows = [row for row in rows if row["open_positions"]]
    for name, chosen in (("lowest", min), ("mean", _mean), ("highest", max)):
        table.add_row(
            name, *(form.format(chosen([row[greek] for row in open_rows])) for greek, form in _GREEKS.items())
        )
    last = rows[-1]
    table.add_row(
        f"at the end, {last['session']}", *(form.format(last[greek]) for greek, form in _GREEKS.items())
    )  # fmt: skip
    left_out = sum(row["unexplained"] for row in rows)
    if left_out:
        table.caption = f"left out because a mark implies no volatility: {left_out:,} position days"
    return table


def _scenarios(grid: dict[str, Any]) -> Table:
    count = f"{grid['positions']} open" if grid["of"] == "open positions" else grid["of"]
    heads = ("volatility", *(f"spot {signed(move * 100)}%" for move in grid["spot_moves"]))
    table = new_table(f"Profit if it moved at once, USD, by the model: {count}, {grid['session']}", heads)
    for column, move in enumerate(grid["volatility_moves"]):
        table.add_row(f"{signed(move * 100)} points", *(number_text(row[column], _USD) for row in grid["profit_usd"]))
    if grid["left_out"]:
        table.caption = f"left out because a mark implies no volatility: {grid['left_out']} positions"
    return table


def _skipped(reasons: dict[str, int]) -> Table:
    table = new_table("Entries that were skipped", ("reason", "entries"))
    for name, count in reasons.items():
        table.add_row(_words(name), f"{count:,}")
    return table


def _assumptions(assumed: dict[str, Any]) -> Table:
    table = new_table("Assumptions", ("of", "assumed"))
    for name, value in assumed.items():
        table.add_row(_words(name), assumption_text(value))
    return table


def signed(value: float) -> str:
    """Return a whole number with its sign; 0 has none."""
    return f"{value:+.0f}" if round(value) else "0"


def assumption_text(value: Any) -> str:
    """Return a setting, a list or a group of settings in words; settings that are switched off are left out."""
    if isinstance(value, dict):
        shown = {name: entry for name, entry in value.items() if entry is not None and entry is not False}
        return ", ".join(f"{_words(name)} {_setting(entry)}" for name, entry in shown.items()) or "none"
    return "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _setting(value: Any) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def _is_before_total(row: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    return len(rows) > 1 and row is rows[-2] and rows[-1]["exit_reason"] == ALL_EXITS


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _words(name: str) -> str:
    return name.replace("_", " ")
