"""Figures of a backtest: equity against buy and hold, profit against random entry, and what the last trade pays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from trading_dag.options.structures.structure import structure_of
from trading_dag.plots import canvas
from trading_dag.plots.options import payoff_at_expiration
from trading_dag.strategy.sizing import settings_for_contract

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from trading_dag.backtest.runs.signal_backtest import BacktestResult
    from trading_dag.settings import Settings
    from trading_dag.slices import Horizon

BINS: Final = 40
SAME: Final = 1e-9


def figures_of_backtest(
    result: BacktestResult, *, ticker: str, horizon: Horizon, settings: Settings
) -> dict[str, Figure]:
    """Return the figures of one slice's backtest by name; only the equity where nothing was traded."""
    figures: dict[str, Figure] = {}
    rules = list(result.luck)
    for rule in rules:
        # One rule needs no name; of several each has its own figures.
        of_rule = "" if len(rules) == 1 else f" of {rule}"
        title = f"{ticker} {horizon.key}" + ("" if len(rules) == 1 else f" · {rule.replace('_', ' ')}")
        trades, equity, summary = (
            frame[frame["rule"] == rule] for frame in (result.trades, result.equity, result.summary)
        )
        figures[f"equity{of_rule}"] = equity_against_benchmark(equity, title)
        if summary["status"].iloc[0] != "backtested":
            continue
        figures[f"profit against random entry{of_rule}"] = profit_against_random_entry(
            result.luck[rule].totals_usd,
            own_usd=float(summary["total_pnl_usd"].iloc[0]),
            p_value=float(summary["random_entry_p_value"].iloc[0]),
            summary_title=title,
        )
        figures[f"payoff of the last trade{of_rule}"] = payoff_of_last_trade(
            trades, multiplier=settings_for_contract(ticker, settings).backtest.multiplier, summary_title=title
        )
    return figures or {"equity": equity_against_benchmark(result.equity, f"{ticker} {horizon.key}")}


def equity_against_benchmark(equity: pd.DataFrame, summary_title: str) -> Figure:
    """Draw the equity of the account and of buy and hold with the same starting cash, with drawdowns below.

    Parameters
    ----------
    equity : ``backtests.equity`` of one slice.
    summary_title : what was tested, such as ``SPY 24h``.
    """
    title = f"{summary_title} · equity against buy and hold"
    if len(equity) < 2:
        return canvas.insufficient_data(title, "the backtest has no sessions")
    rows = equity.sort_values("session")
    figure = canvas.new_figure(5.2, margins=canvas.Margins(top=0.85))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 1))
    ends = []
    for column, label, colour in (
        ("equity_usd", "account", canvas.BLUE),
        ("benchmark_usd", "buy and hold", canvas.ORANGE),
    ):
        values = rows[column]
        drawdown = (values / values.cummax() - 1) * 100
        upper.plot(rows["session"], values / 1_000, color=colour, linewidth=1.4, label=label)
        lower.plot(rows["session"], drawdown, color=colour, linewidth=1.0)
        lower.fill_between(rows["session"], drawdown, 0.0, color=colour, alpha=0.18, linewidth=0)
        change = values.iloc[-1] / values.iloc[0] - 1
        ends.append(f"{label} {change:+.1%}, deepest drawdown {-drawdown.min():z.1f}%")
    canvas.dress(upper, y_label="equity (thousand USD)")
    canvas.dress(lower, x_label="session", y_label="drawdown (%)")
    canvas.date_axis(lower)
    canvas.legend_above(upper, columns=2)
    canvas.headline(figure, title, " · ".join(ends))
    return figure


def profit_against_random_entry(totals_usd: ArrayLike, *, own_usd: float, p_value: float, summary_title: str) -> Figure:
    """Draw how the total profits of random entry are spread, and where the backtest's own profit lies among them.

    Parameters
    ----------
    totals_usd : (runs,) total profit of each run, ``RandomEntry.totals_usd``.
    own_usd : total profit of the backtest.
    p_value : share of the runs that were at least as good, as in ``backtests.summary``.
    summary_title : what was tested, such as ``SPY 24h``.
    """
    title = f"{summary_title} · profit against random entry"
    totals = np.asarray(totals_usd, dtype=np.float64)
    if not len(totals) or not np.isfinite([own_usd, p_value]).all():
        return canvas.insufficient_data(title, "nothing was traded that could be moved to other sessions")
    if np.ptp(totals) <= SAME * max(1.0, float(np.abs(totals).max())):
        return canvas.insufficient_data(title, "every random run deals the very same trades")
    figure = canvas.new_figure(3.4, margins=canvas.Margins(top=0.85))
    axes = figure.subplots()
    counts, edges = np.histogram(totals / 1_000, bins=BINS)
    axes.stairs(counts, edges, fill=True, color=canvas.SKY, label="random entry")
    for value, colour, style, label in (
        (float(totals.mean()), canvas.GREY, "--", f"mean of random entry {totals.mean():+,.0f} USD"),
        (own_usd, canvas.VERMILION, "-", f"backtest {own_usd:+,.0f} USD"),
    ):
        axes.axvline(value / 1_000, color=colour, linewidth=1.6, linestyle=style, label=label)
    canvas.dress(axes, x_label="total profit after fees (thousand USD)", y_label=f"of {len(totals):,} runs")
    canvas.legend_above(axes, columns=3)
    canvas.headline(figure, title, f"p = {p_value:.3f}: share of runs at least as good")
    return figure


def payoff_of_last_trade(trades: pd.DataFrame, *, multiplier: float, summary_title: str) -> Figure:
    """Draw what the structure of the last trade pays at expiration, at the prices of its entry.

    Parameters
    ----------
    trades : ``backtests.trades`` of one slice.
    multiplier : shares a contract.
    summary_title : what was tested, such as ``SPY 24h``.
    """
    entered = trades[trades["status"] != "skipped"].sort_values("entry_session")
    if entered.empty:
        return canvas.insufficient_data(f"{summary_title} · payoff at expiration", "nothing was traded")
    last = entered.iloc[-1]
    structure, legs = structure_of(str(last["structure"])), pd.DataFrame(json.loads(last["legs"]))
    spot = float(last["entry_spot"])
    premium = float(legs["entry_price"] @ structure.signed_ratios) + structure.underlying_ratio * spot
    name = structure.name.replace("_", " ")
    return payoff_at_expiration(
        structure, legs["strike"], premium=premium, spot=spot, multiplier=multiplier,
        title=f"{summary_title} · {name} of {last['entry_session']:%Y-%m-%d}",
    )  # fmt: skip
