"""The report of a trade plan as one HTML page that needs no other file and no script. Only text and markup are made
here."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from trading_dag.backtest.results.plan_study import CAUSES
from trading_dag.reporting.backtest_record import sessions_text
from trading_dag.reporting.backtest_tables import assumption_text, signed
from trading_dag.reporting.html_page import grid, pairs, picture, whole_page
from trading_dag.reporting.text import number_text

_CAUSES_CAPTION: Final = (
    "USD. Causes are a model's explanation of the marks; with fees taken off they add up to the profit. Worst and "
    "best while held (MAE, MFE) are means before fees."
)
_SHARES: Final = frozenset({"win_rate", "exposure", "cagr", "max_drawdown"})
_PROBABILITIES: Final = frozenset({"deflated_sharpe", "random_entry_p_value"})
_USD: Final = "{:+z,.0f}"
_CENTS: Final = "{:+z,.2f}"


def plan_page(record: dict[str, Any], pictures: Mapping[str, bytes]) -> str:
    """Return the page: figures, pictures, profit by exit and by cause, scenarios, skipped entries, assumptions and
    trades.

    Parameters
    ----------
    record : from ``reporting.backtest_record.plan_record``.
    pictures : PNG by name; shown in their order, the first above all tables.
    """
    title = f"{record['ticker']} {_words(record['plan'])}"
    period = f"{record['first_session']} to {record['last_session']}, {sessions_text(record['sessions'])}"
    if record["sessions"] < record["exchange_sessions"]:
        period += f" of {record['exchange_sessions']:,}"
    if record["source"]:
        period += f", source {record['source']}"
    first, *others = [picture(name, png) for name, png in pictures.items()] or [""]
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="period">{html.escape(period)}</p>',
        *(f'<p class="note">{html.escape(note)}</p>' for note in record["notes"]),
        _cards(record["summary"]),
        first,
        "<h2>Profit by exit and by cause</h2>",
        f'<p class="caption">{_CAUSES_CAPTION}</p>',
        _exits(record["exits"]),
        "<h2>Pictures</h2>" if others else "",
        *others,
        _scenarios(record["scenarios"]),
        "<h2>Entries that were skipped</h2>",
        pairs({_words(name): f"{count:,}" for name, count in record["summary"]["skip_reasons"].items()}),
        "<h2>All figures</h2>",
        pairs({_words(name): _figure(name, value) for name, value in _figures(record["summary"]).items()}),
        "<h2>Assumptions</h2>",
        pairs({_words(name): html.escape(assumption_text(value)) for name, value in record["assumptions"].items()},
               css="words"),
        "<h2>Trades</h2>",
        _trades(record["trades"]),
        "<footer>Research software, no investment advice.</footer>",
    ]  # fmt: skip
    return whole_page(title, parts)


def _cards(summary: dict[str, Any]) -> str:
    statistics = summary["statistics"]
    shown = {
        "profit after fees, USD": number_text(summary["total_usd"], _USD),
        "closed trades": f"{summary['closed']:,}",
        "open at the end": f"{summary['open_at_end']:,}",
        "win rate": number_text(summary["win_rate"], "{:.0%}"),
        "profit factor": number_text(summary["profit_factor"], "{:.2f}"),
        "Sharpe ratio": number_text(statistics["sharpe"], "{:+.2f}"),
        "deepest drawdown": number_text(statistics["max_drawdown"], "{:.1%}"),
        "random-entry p": number_text(summary["random_entry_p_value"], "{:.3f}"),
        "fees, USD": number_text(summary["fees_usd"], "{:,.0f}"),
        "most margin held, USD": number_text(summary["greatest_margin_usd"], "{:,.0f}"),
        "the same by portfolio margin, USD": number_text(summary["greatest_portfolio_margin_usd"], "{:,.0f}"),
        "beyond defined risk": f"{summary['losses_beyond_defined_risk']:,}",
        "exits delayed for want of a quote": f"{summary['delayed_exits']:,}",
    }
    cards = "".join(f'<div class="card"><b>{value}</b><span>{name}</span></div>' for name, value in shown.items())
    return f'<div class="cards">{cards}</div>'


def _exits(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "<p>No trade was closed.</p>"
    heads = ("exit", "trades", "win rate", *CAUSES, "fees", "profit", "mean worst", "mean best")
    body = []
    for row in rows:
        cells = [
            f"{row['trades']:,}",
            number_text(row["win_rate"], "{:.0%}"),
            *(_signed(row[f"{cause}_usd"]) for cause in CAUSES),
            _signed(-row["fees_usd"]),
            *(_signed(row[name]) for name in ("pnl_usd", "mean_mae_usd", "mean_mfe_usd")),
        ]
        body.append(([html.escape(_words(row["exit_reason"])), *cells], "total" if row is rows[-1] else ""))
    return grid(heads, body)


def _scenarios(grid: dict[str, Any] | None) -> str:
    """Return profit by spot and volatility move; deeper colour means a larger amount."""
    if grid is None:
        return ""
    is_open = grid["of"] == "open positions"
    whose = f"of all open positions ({grid['positions']})" if is_open else f"of {grid['of']}"
    left = f" Left out for want of a volatility: {grid['left_out']}." if grid["left_out"] else ""
    greatest = max((abs(value) for row in grid["profit_usd"] for value in row if value is not None), default=0.0)
    heads = ("volatility", *(f"spot {signed(move * 100)}%" for move in grid["spot_moves"]))
    body = []
    for column, move in enumerate(grid["volatility_moves"]):
        cells = "".join(_heat(row[column], greatest) for row in grid["profit_usd"])
        body.append(f"<tr><td>{signed(move * 100)} points</td>{cells}</tr>")
    head = "".join(f"<th>{name}</th>" for name in heads)
    caption = f"Instantaneous profit {whose} at the close of {grid['session']}, USD, by the model.{left}"
    return (
        f'<h2>If it moved at once</h2><p class="caption">{html.escape(caption)}</p>'
        f'<div class="wide"><table><tr>{head}</tr>{"".join(body)}</table></div>'
    )


def _heat(value: float | None, greatest: float) -> str:
    if value is None:
        return "<td>–</td>"
    share = 0.0 if greatest <= 0.0 else 0.55 * abs(value) / greatest
    colour = f"rgba(0,158,115,{share:.2f})" if value >= 0 else f"rgba(213,94,0,{share:.2f})"
    return f'<td style="background:{colour}">{number_text(value, _USD)}</td>'


def _trades(rows: list[dict[str, Any]]) -> str:
    """Return the table of trades; skipped entries are counted above and not listed."""
    taken = [row for row in rows if row["status"] != "skipped"]
    if not taken:
        return "<p>None.</p>"
    heads = ("entry", "exit", "why", "expiration", "strikes", "prices in", "prices out", "contracts", "fees", "profit",
             "worst", "best", "max loss", "margin", "portfolio margin", *CAUSES, "quotes")  # fmt: skip
    body = [([html.escape(cell) for cell in _trade(row)], "") for row in taken]
    return grid(heads, body, css="small")


def _trade(row: dict[str, Any]) -> list[str]:
    why = _words(row["exit_reason"]) if row["status"] == "closed" else "open"
    return [
        row["entry_session"],
        row["exit_session"] or "–",
        why + (" (rolled)" if row["rolled_from"] >= 0 else ""),
        " / ".join(dict.fromkeys(row["leg_expirations"])) or "–",
        _legs(row["strikes"], "{:g}"),
        _legs(row["entry_prices"], "{:.2f}"),
        _legs(row["exit_prices"], "{:.2f}"),
        f"{row['contracts']:,}",
        number_text(row["fees_usd"], "{:,.2f}"),
        *(number_text(row[name], _CENTS) for name in ("pnl_usd", "mae_usd", "mfe_usd")),
        *(number_text(row[name], "{:,.0f}") for name in ("max_loss_usd", "margin_usd", "portfolio_margin_usd")),
        *(number_text(row[f"{cause}_usd"], _USD) for cause in CAUSES),
        row["quote_source"],
    ]


def _legs(values: list[float], form: str) -> str:
    known = [value for value in values if not pd.isna(value)]
    return " / ".join(form.format(value) for value in known) if len(known) == len(values) else "–"


def _figures(summary: dict[str, Any]) -> dict[str, Any]:
    flat = {name: value for name, value in summary.items() if not isinstance(value, dict | list) and name != "name"}
    return {**flat, **summary["statistics"]}


def _signed(value: float | None) -> str:
    if value is None or pd.isna(value):
        return "–"
    return f'<span class="{"gain" if value >= 0 else "loss"}">{number_text(value, _USD)}</span>'


def _figure(name: str, value: Any) -> str:
    if name in _PROBABILITIES:
        return number_text(value, "{:.3f}")
    return number_text(value, "{:.2%}" if name in _SHARES else ("{:,.2f}" if isinstance(value, float) else "{:,}"))


def _words(name: str) -> str:
    return name.replace("_", " ")
