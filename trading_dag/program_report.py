"""The report of an options program: a record for JSON, and one HTML page that needs no other file. Pure text."""

from __future__ import annotations

import base64
import html
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

if TYPE_CHECKING:
    from trading_dag.backtest.program_results import ProgramResult
    from trading_dag.backtest.program_summary import ProgramSummary
    from trading_dag.backtest.random_entry import RandomEntry

_STYLE: Final = (
    "body{font:14px/1.5 system-ui,sans-serif;color:#222;max-width:1100px;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0}"
    "td,th{border-bottom:1px solid #ddd;padding:.25em .8em;text-align:right}"
    "th{text-align:right;font-weight:600}td:first-child,th:first-child{text-align:left}img{max-width:100%}"
)
SHORT: Final = "The chain has {sessions} sessions. Nothing about so few can be significant."
FEW_SESSIONS: Final = 252


def program_record(result: ProgramResult, summary: ProgramSummary, luck: RandomEntry | None) -> dict[str, Any]:
    """Summary, assumptions and trades as JSON can hold them; what is not a number is null."""
    program = result.program
    record: dict[str, Any] = _finite(
        {
            "program": program.name,
            "ticker": result.market.ticker,
            "first_session": str(result.market.sessions[0]),
            "last_session": str(result.market.sessions[-1]),
            "sessions": len(result.market),
            "summary": {**asdict(summary), "random_entry_p_value": None if luck is None else luck.p_value},
            "assumptions": {
                "strikes": [str(choice) for choice in program.strikes],
                "expiration": asdict(program.expiration),
                "exits": asdict(program.exits),
                "account": asdict(program.account),
                "fills": asdict(result.market.fills),
                "quotes": "bought at the ask, sold at the bid; without them, the last trade and a half spread",
                "settlement": "intrinsic value at the close of the expiration; opening-settled contracts are skipped",
                "dividends": "none: nothing is assigned early",
            },
            "trades": _dates_as_text(result.trades()).to_dict("records"),
        }
    )
    return record


def program_html(result: ProgramResult, summary: ProgramSummary, luck: RandomEntry | None, *, picture: bytes) -> str:
    """One page with everything: figures, equity, profit by exit, skipped entries, assumptions and every trade."""
    record = program_record(result, summary, luck)
    title = f"{record['ticker']} {str(record['program']).replace('_', ' ')}"
    period = f"{record['first_session']} to {record['last_session']}, {record['sessions']} sessions"
    figures = {
        name: value for name, value in record["summary"].items() if not isinstance(value, dict) and name != "name"
    } | record["summary"]["statistics"]
    exits = {name: f"{count} trades, {usd:,.0f} USD" for name, (count, usd) in summary.profit_by_exit_reason.items()}
    assumed = {name: str(value) for name, value in record["assumptions"].items()}
    trades = _dates_as_text(result.trades()).to_html(index=False, border=0, na_rep="–", float_format="{:,.2f}".format)
    short = SHORT.format(sessions=record["sessions"]) if record["sessions"] < FEW_SESSIONS else ""
    encoded = base64.b64encode(picture).decode("ascii")
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>',
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>{html.escape(title)}</h1><p>{html.escape(period)}. {html.escape(short)}</p>",
            f'<img alt="equity" src="data:image/png;base64,{encoded}">',
            f"<h2>Figures</h2>{_pairs(figures)}<h2>Profit by exit</h2>{_pairs(exits)}",
            f"<h2>Entries that were skipped</h2>{_pairs(summary.skip_reasons)}",
            f"<h2>Assumptions</h2>{_pairs(assumed)}<h2>Trades</h2><div style='overflow-x:auto'>{trades}</div>",
            "<p>Research software, no investment advice.</p></body></html>",
        ]
    )


def _pairs(values: dict[str, Any]) -> str:
    rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{_shown(value)}</td></tr>" for name, value in values.items())
    return f"<table>{rows}</table>" if rows else "<p>none</p>"


def _shown(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:,.4g}" if isinstance(value, float) else html.escape(str(value))


def _dates_as_text(trades: pd.DataFrame) -> pd.DataFrame:
    shown = trades.copy()
    for name in shown.columns[[dtype.kind == "M" for dtype in shown.dtypes]]:
        shown[name] = shown[name].dt.strftime("%Y-%m-%d").where(shown[name].notna(), None)
    return shown


def _finite(value: Any) -> Any:
    """The same with None for every number that JSON has no word for."""
    if isinstance(value, dict):
        return {str(name): _finite(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") else value
