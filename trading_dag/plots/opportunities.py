"""Figures of opportunities: a payoff with the distribution under it, and promises against what came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.plots import canvas
from trading_dag.strategy.opportunities.view import OpportunityView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARGINS: Final = canvas.Margins(left=0.8, top=0.85, bottom=0.6, between_rows=0.25, between_columns=0.75)


def opportunity_figure(seen: OpportunityView, row: pd.Series, *, title: str) -> Figure:
    """Draw one opportunity's profit against the price at its exit, with both distributions of that price under it.

    Parameters
    ----------
    row : of ``signals.opportunities``.
    """
    figure = canvas.new_figure(5.2, margins=_MARGINS)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    profit = seen.profit_at_exit
    upper.fill_between(
        seen.prices, profit, 0.0, where=(profit > 0).tolist(), color=canvas.GREEN, alpha=0.2, linewidth=0
    )
    upper.fill_between(
        seen.prices, profit, 0.0, where=(profit < 0).tolist(), color=canvas.VERMILION, alpha=0.2, linewidth=0
    )
    upper.plot(seen.prices, profit, color=canvas.INK, linewidth=1.5, label="at the exit")
    if len(seen.profit_at_expiration):
        upper.plot(
            seen.prices, seen.profit_at_expiration, "--", color=canvas.GREY, linewidth=1.1, label="at expiration"
        )
    upper.axhline(0.0, color=canvas.GREY, linewidth=0.8)
    for axes in (upper, lower):
        axes.axvline(float(row["spot"]), color=canvas.BLUE, linewidth=0.9, linestyle=":")
    lower.stairs(seen.forecast * 100, seen.edges, fill=True, color=canvas.BLUE, alpha=0.35, label="forecast")
    lower.stairs(seen.market * 100, seen.edges, color=canvas.ORANGE, linewidth=1.4, label="market")
    canvas.dress(upper, y_label="profit of one structure (USD)")
    canvas.dress(
        lower, x_label=f"underlying at the close of {row['exit_session']:%Y-%m-%d} (USD)", y_label="chance (%)"
    )
    canvas.legend_above(upper, columns=2)
    canvas.legend_above(lower, columns=2)
    canvas.headline(
        figure, title,
        f"expects {row['expected_profit_usd']:+,.0f} USD and a profit in {row['probability_of_profit']:.0%} of cases; "
        f"the market {row['market_expected_profit_usd']:+,.0f} USD and {row['market_probability_of_profit']:.0%}",
    )  # fmt: skip
    return figure


def opportunity_calibration(table: pd.DataFrame) -> Figure:
    """Draw what opportunities promised against what came, by tenths: probabilities left, return on risk right.

    Parameters
    ----------
    table : ``evaluation.opportunity_calibration`` of one slice.
    """
    title = canvas.slice_title(table, "opportunities: promised and come")
    tenths = table[(table["bin"] > 0) & (table["subset"] == "all")]
    if tenths.empty:
        return canvas.insufficient_data(title, "fewer than 200 opportunities have an outcome")
    figure = canvas.new_figure(3.9, margins=_MARGINS)
    left, right = figure.subplots(1, 2)
    _tenths(left, tenths[tenths["measure"] == "probability_of_profit"], "promised chance of a profit", "share that won")
    _tenths(
        right, tenths[tenths["measure"] == "expected_return_on_risk"], "expected profit over risk", "profit over risk"
    )
    chosen = table[
        (table["bin"] == 0) & (table["subset"] == "expected_value") & (table["measure"] == "expected_return_on_risk")
    ]
    words = "rule expected_value chose none that has an outcome"
    if len(chosen):
        one = chosen.iloc[0]
        words = (
            f"rule expected_value, {one['n']:,} trades: {one['expected']:+.1%} of the risk expected, "
            f"{one['realised']:+.1%} came [{one['realised_low']:+.1%}, {one['realised_high']:+.1%}]"
        )
    canvas.headline(figure, title, words)
    return figure


def _tenths(axes: Axes, rows: pd.DataFrame, x_label: str, y_label: str) -> None:
    expected, realised = rows["expected"].to_numpy(np.float64), rows["realised"].to_numpy(np.float64)
    low, high = rows["realised_low"].to_numpy(np.float64), rows["realised_high"].to_numpy(np.float64)
    ends = [min(expected.min(), np.nanmin(low)), max(expected.max(), np.nanmax(high))]
    axes.plot(ends, ends, color=canvas.GREY, linewidth=0.9, linestyle="--")
    axes.vlines(expected, low, high, color=canvas.BLUE, linewidth=1.4)
    axes.plot(expected, realised, "o", color=canvas.BLUE, markersize=4)
    canvas.dress(axes, x_label=x_label, y_label=y_label)
