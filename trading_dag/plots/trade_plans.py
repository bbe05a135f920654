"""Figures of a trade plan: its account and Greeks through time, profit by cause, and how far trades moved.

Profit against random entry is drawn in ``backtest``, and what a structure pays in ``options``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.day_count import DAYS_PER_YEAR
from trading_dag.plots import canvas
from trading_dag.plots.broken_axis import broken
from trading_dag.plots.options import payoff_at_expiration, value_at_front_expiration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from trading_dag.backtest.results.plan_study import PlanStudy

_GREEKS: Final = (
    ("delta", "delta\n(USD per USD)", canvas.BLUE),
    ("gamma", "gamma\n(delta per USD)", canvas.PURPLE),
    ("vega_usd", "vega\n(USD per point)", canvas.ORANGE),
    ("theta_usd", "theta\n(USD per day)", canvas.GREEN),
)
_CAUSES: Final = ("delta", "gamma", "theta", "vega", "expiration", "residual")


def plan_equity(equity: pd.DataFrame, title: str) -> Figure:
    """Draw the account's equity, how far it was below its peak, and how many positions were open.

    Parameters
    ----------
    equity : session, equity_usd, open_positions, as ``PlanResult.equity`` gives it.
    """
    heading = f"{title} · equity"
    if len(equity) < 2:
        return canvas.insufficient_data(heading, "the chain has fewer than two sessions")
    axis = broken(equity)
    session, values = axis.x, axis.frame["equity_usd"]
    drawdown = (values / values.cummax() - 1) * 100
    figure = canvas.new_figure(5.2)
    upper, middle, lower = figure.subplots(3, 1, sharex=True, height_ratios=(2.6, 1, 0.8))
    upper.plot(session, values / 1_000, color=canvas.BLUE, linewidth=1.6)
    upper.axhline(values.iloc[0] / 1_000, color=canvas.GREY, linewidth=0.8, linestyle="--")
    middle.plot(session, drawdown, color=canvas.VERMILION, linewidth=1.0)
    middle.fill_between(session, drawdown, 0.0, color=canvas.VERMILION, alpha=0.22, linewidth=0)
    lower.fill_between(session, axis.frame["open_positions"], step="post", color=canvas.GREY, alpha=0.45, linewidth=0)
    canvas.dress(upper, y_label="equity\n(thousand USD)")
    canvas.dress(middle, y_label="below high\n(%)")
    canvas.dress(lower, x_label="session", y_label="positions")
    lower.set_ylim(bottom=0.0)
    lower.yaxis.get_major_locator().set_params(integer=True)
    figure.align_ylabels()
    for panel in (upper, middle, lower):
        axis.shade(panel)
    axis.label(lower)
    change = values.iloc[-1] / values.iloc[0] - 1
    canvas.headline(figure, heading, f"{change:+.2%}, deepest drawdown {-drawdown.min():.2f} %{axis.words}")
    return figure


def greeks_through_time(greeks: pd.DataFrame, title: str) -> Figure:
    """Draw delta, gamma, vega and theta of the positions held over each session's close.

    Parameters
    ----------
    greeks : session, delta, gamma, vega_usd, theta_usd, unexplained, as ``PlanStudy.greeks_table`` gives it.
    """
    heading = f"{title} · Greeks"
    if len(greeks) < 2:
        return canvas.insufficient_data(heading, "the chain has fewer than two sessions")
    if not greeks[[name for name, _, _ in _GREEKS]].to_numpy().any():
        return canvas.insufficient_data(heading, "no position was held over a close with a volatility in its marks")
    figure = canvas.new_figure(6.0)
    panels = figure.subplots(len(_GREEKS), 1, sharex=True)
    axis = broken(greeks)
    for axes, (name, label, colour) in zip(panels, _GREEKS, strict=True):
        axes.plot(axis.x, axis.frame[name], color=colour, linewidth=1.3)
        axes.fill_between(axis.x, axis.frame[name], 0.0, color=colour, alpha=0.15, linewidth=0)
        axis.shade(axes)
        axes.axhline(0.0, color=canvas.GREY, linewidth=0.8)
        canvas.dress(axes, y_label=label)
        axes.yaxis.set_major_formatter("{x:,.0f}" if greeks[name].abs().max() >= 10 else "{x:,.3g}")
    panels[-1].set_xlabel("session")
    figure.align_ylabels()
    axis.label(panels[-1])
    left_out = int(greeks["unexplained"].sum())
    canvas.headline(
        figure,
        heading,
        f"all open positions together; left out for want of a volatility: {left_out:,} position days{axis.words}",
    )
    return figure


def profit_by_cause(exits: pd.DataFrame, title: str) -> Figure:
    """Draw what delta, gamma, theta, vega and the rest earned, and what fees cost, over all closed trades.

    Parameters
    ----------
    exits : rows of ``PlanStudy.exits_table``; the last row covers all exits.
    """
    heading = f"{title} · profit by cause"
    if exits.empty:
        return canvas.insufficient_data(heading, "no trade was closed")
    total = exits.iloc[-1]
    names = [*_CAUSES, "fees", "profit"]
    values = np.array([*(total[f"{cause}_usd"] for cause in _CAUSES), -total["fees_usd"], total["pnl_usd"]]) / 1_000
    base = np.append(np.concatenate([[0.0], np.cumsum(values[:-2])]), 0.0)
    colours = [canvas.GREEN if value >= 0 else canvas.VERMILION for value in values[:-1]]
    figure = canvas.new_figure(3.6)
    axes = figure.subplots()
    axes.bar(names, values, bottom=base, color=[*colours, canvas.BLUE], alpha=0.75, width=0.6)
    reached = base + values
    for place in range(len(names) - 1):
        axes.plot([place + 0.3, place + 0.7], [reached[place]] * 2, color=canvas.GREY, linewidth=0.8)
    for place, value in enumerate(values):
        is_gain = value >= 0
        axes.annotate(
            f"{value * 1_000:+,.0f}", (place, reached[place]), xytext=(0, 3 if is_gain else -3),
            textcoords="offset points", ha="center", va="bottom" if is_gain else "top", fontsize=8.5, color=canvas.INK,
        )  # fmt: skip
    axes.axhline(0.0, color=canvas.GREY, linewidth=0.8)
    axes.use_sticky_edges = False
    axes.margins(y=0.12)
    canvas.dress(axes, y_label="thousand USD")
    axes.grid(visible=False, axis="x")
    canvas.headline(
        figure, heading, f"{total['trades']:,} closed trades; a model's explanation of the marks, before fees"
    )
    return figure


def excursions(trades: pd.DataFrame, title: str) -> Figure:
    """Draw how far each closed trade moved against and for its holder before it ended.

    Parameters
    ----------
    trades : status, exit_reason, pnl_usd, mae_usd and mfe_usd, as ``PlanResult.trades`` gives it.
    """
    heading = f"{title} · worst and best while held"
    closed = trades[trades["status"] == "closed"]
    if closed.empty:
        return canvas.insufficient_data(heading, "no trade was closed")
    figure = canvas.new_figure(3.6)
    panels = figure.subplots(1, 2, sharey=True)
    worst, best = (1.05 * max(float(closed[name].abs().max()), 1.0) for name in ("mae_usd", "mfe_usd"))
    for axes, column, label, limits in (
        (panels[0], "mae_usd", "worst while held (MAE, USD)", (-worst, 0.02 * worst)),
        (panels[1], "mfe_usd", "best while held (MFE, USD)", (-0.02 * best, best)),
    ):
        for (reason, rows), colour in zip(closed.groupby("exit_reason"), canvas.SERIES_COLOURS * 2, strict=False):
            axes.plot(rows[column], rows["pnl_usd"], "o", color=colour, alpha=0.65, markersize=4.5,
                      markeredgewidth=0, label=str(reason).replace("_", " "))  # fmt: skip
        axes.axhline(0.0, color=canvas.GREY, linewidth=0.8)
        height = axes.get_ylim()
        axes.plot(limits, limits, color=canvas.GREY, linewidth=0.8, linestyle="--")
        axes.set_xlim(limits)
        axes.set_ylim(height)
        axes.locator_params(axis="x", nbins=6)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        canvas.dress(axes, x_label=label, y_label="profit after fees (USD)" if column == "mae_usd" else "")
    canvas.legend_above(panels[0], columns=4)
    canvas.headline(figure, heading, "one dot a closed trade; on the dashed line it ended at its worst, or at its best")
    return figure


def payoff_of_typical_trade(study: PlanStudy, title: str) -> Figure:
    """Draw what one structure of a typical trade pays at expiration, at the prices of its entry, without fees.

    If the legs expire on different dates, it is the value when the first of them expire.
    """
    result, row = study.result, study.typical_row
    if row is None:
        return canvas.insufficient_data(f"{title} · payoff at expiration", "no trade has volatilities in its marks")
    structure, positions = result.plan.structure, result.paths.positions
    multiplier = float(result.plan.account.multiplier)
    premium, spot = float(positions.premium[row]), float(positions.entry_spot[row])
    heading = f"{title} · entered {result.market.sessions[positions.entry[row]]}"
    if structure.expires_together:
        return payoff_at_expiration(
            structure, positions.strikes[row], premium=premium, spot=spot, multiplier=multiplier, title=heading
        )
    beyond = (positions.leg_expiration_day[row] - positions.expiration_day[row]) / DAYS_PER_YEAR
    return value_at_front_expiration(
        structure, positions.strikes[row], years_beyond=beyond, volatilities=study.typical_volatilities,
        premium=premium, spot=spot, rate=float(study.rate[positions.entry[row]]),
        dividend_yield=study.dividend_yield, multiplier=multiplier,
        title=heading,
    )  # fmt: skip
