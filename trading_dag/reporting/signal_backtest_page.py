"""The stored backtest of a slice's recommendations as one HTML page: of each rule the verdict, the account, the
figures, the trades and what is assumed. Only text and markup are made here."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Hashable, Mapping
from typing import Any, Final

import pandas as pd

from trading_dag.reporting.backtest_tables import assumption_text
from trading_dag.reporting.html_page import grid, pairs, picture, whole_page
from trading_dag.reporting.text import number_text

SUMMARY_SQL: Final = "FROM backtests.summary WHERE ticker = ? AND horizon = ? ORDER BY rule"
EQUITY_SQL: Final = "FROM backtests.equity WHERE ticker = ? AND horizon = ? ORDER BY rule, session"
TRADES_SQL: Final = (
    "FROM backtests.trades WHERE ticker = ? AND horizon = ? AND status != 'skipped' ORDER BY rule, entry_session, roll"
)
_USD: Final = "{:+z,.0f}"
_FIGURES: Final[Mapping[str, tuple[str, str]]] = {
    "total_pnl_usd": ("profit after fees, USD", _USD),
    "pnl_lower_volatility_usd": ("the same, volatilities 2 points lower, USD", _USD),
    "pnl_higher_volatility_usd": ("the same, volatilities 2 points higher, USD", _USD),
    "random_entry_mean_usd": ("random entry, mean, USD", _USD),
    "random_entry_p_value": ("p-value against random entry", "{:.3f}"),
    "benchmark_pnl_usd": ("buy and hold, USD", _USD),
    "always_pnl_usd": ("the most traded structure entered every session, USD", _USD),
    "trades": ("closed trades", "{:,.0f}"),
    "open_trades": ("open at the end", "{:,.0f}"),
    "win_rate": ("win rate", "{:.0%}"),
    "profit_factor": ("profit factor", "{:.2f}"),
    "sharpe": ("Sharpe ratio, annual", "{:+.2f}"),
    "deflated_sharpe": ("deflated Sharpe ratio", "{:.3f}"),
    "max_drawdown": ("deepest drawdown", "{:.1%}"),
    "fees_usd": ("fees, USD", "{:,.0f}"),
    "losses_beyond_defined_risk": ("losses beyond defined risk", "{:,.0f}"),
}


def signal_backtest_page(
    summaries: pd.DataFrame, trades: pd.DataFrame, pictures: Mapping[str, bytes], *, notes: tuple[str, ...]
) -> str:
    """Return the page.

    Parameters
    ----------
    summaries : rows of ``backtests.summary`` of one ticker and horizon, at least one.
    trades : rows of ``backtests.trades`` of the same that were entered.
    pictures : PNG of the account by rule.
    notes : what has to be seen first, such as that data are simulated.
    """
    first = summaries.iloc[0]
    title = f"{first['ticker']} {first['horizon']}: backtest of the recommendations"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        *(f'<p class="note">{html.escape(note)}</p>' for note in notes),
    ]
    for summary in summaries.to_dict("records"):
        own = trades[trades["rule"] == summary["rule"]]
        parts += _of_rule(summary, own, pictures.get(str(summary["rule"])))
    return whole_page(title, [*parts, "<footer>Research software, no investment advice.</footer>"])


def _of_rule(summary: Mapping[Hashable, Any], trades: pd.DataFrame, account: bytes | None) -> list[str]:
    rule = _words(summary["rule"])
    heading = f"<h2>Rule {html.escape(rule)}</h2>"
    if summary["status"] != "backtested":
        return [heading, f"<p>There is no backtest: {html.escape(_words(summary['status']))}.</p>", _skipped(summary)]
    reason = _words(summary["admissibility_reason"])
    verdict = "Admissible" if summary["is_admissible"] else "Not admissible: do not believe the result"
    period = f"{_day(summary['first_session'])} to {_day(summary['last_session'])}; left at: {summary['exits']}"
    figures = {name: number_text(summary[column], form) for column, (name, form) in _FIGURES.items()}
    assumed = {_words(name): html.escape(assumption_text(value)) for name, value in
               json.loads(summary["assumptions"]).items()}  # fmt: skip
    return [
        heading,
        f'<p class="period">{html.escape(period)}</p>',
        f'<p class="note">{html.escape(f"{verdict}. {reason}")}</p>',
        picture(f"account of rule {rule} against buy and hold", account) if account else "",
        pairs(figures),
        _skipped(summary),
        "<h3>Assumptions</h3>",
        pairs(assumed, css="words"),
        "<h3>Trades</h3>",
        _trades(trades),
    ]


def _skipped(summary: Mapping[Hashable, Any]) -> str:
    reasons = json.loads(summary["skip_reasons"])
    return "<h3>Signals without a trade</h3>" + pairs({_words(name): f"{count:,}" for name, count in reasons.items()})


def _trades(rows: pd.DataFrame) -> str:
    if rows.empty:
        return "<p>None.</p>"
    heads = ("entry", "exit", "structure", "legs", "expires", "contracts", "why", "fees, USD", "profit, USD",
             "maximum loss, USD", "quotes")  # fmt: skip
    body = []
    for row in rows.to_dict("records"):
        cells = [
            _day(row["entry_session"]), _day(row["exit_session"]), _words(row["structure"]), legs_text(row["legs"]),
            _day(row["expiration"]), number_text(row["contracts"], "{:,.0f}"), _words(row["exit_reason"]),
            number_text(row["fees_usd"], "{:,.2f}"), number_text(row["pnl_usd"], _USD),
            number_text(row["max_loss_usd"], "{:,.0f}"), str(row["quote_source"]),
        ]  # fmt: skip
        body.append(([html.escape(cell) for cell in cells], ""))
    return grid(heads, body, css="small")


def legs_text(legs: str | None) -> str:
    """Return stored legs as words: side, strike, right and what they were filled at, USD a share."""
    if not isinstance(legs, str):
        return ""
    return ", ".join(_leg_text(leg) for leg in json.loads(legs))


def _leg_text(leg: dict[str, Any]) -> str:
    count = "" if leg.get("ratio", 1) == 1 else f"{leg['ratio']} × "
    sides = {"buy": "bought", "sell": "sold"}
    fills = " → ".join(f"{leg[name]:.2f}" for name in ("entry_price", "exit_price") if _is_number(leg.get(name)))
    right = {"C": "call", "P": "put"}.get(str(leg.get("option_right")), str(leg.get("option_right")))
    return f"{sides.get(str(leg['side']), str(leg['side']))} {count}{leg['strike']:g} {right}" + (
        f" at {fills}" if fills else ""
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _day(value: Any) -> str:
    return "–" if pd.isna(value) else f"{pd.Timestamp(value):%Y-%m-%d}"


def _words(value: Any) -> str:
    return str(value).replace("_", " ")
