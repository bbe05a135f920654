"""The figure of a backtest: its equity beside buy and hold, and how far each was below its highest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from trading_dag.plots import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def equity_against_benchmark(equity: pd.DataFrame, summary_title: str) -> Figure:
    """Equity of the strategy and of buy and hold with the same starting cash, drawdowns below.

    Parameters
    ----------
    equity : ``backtests.equity`` of one slice.
    summary_title : what was tested, such as ``SPY 24h``.
    """
    title = f"{summary_title} · equity against buy and hold"
    if len(equity) < 2:
        return canvas.insufficient_data(title, "the backtest has no sessions")
    rows = equity.sort_values("session")
    figure = canvas.new_figure(5.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 1))
    ends = []
    for column, label, colour in (
        ("equity_usd", "strategy", canvas.BLUE),
        ("benchmark_usd", "buy and hold", canvas.ORANGE),
    ):
        values = rows[column]
        drawdown = (values / values.cummax() - 1) * 100
        upper.plot(rows["session"], values / 1_000, color=colour, linewidth=1.4, label=label)
        lower.plot(rows["session"], drawdown, color=colour, linewidth=1.0)
        lower.fill_between(rows["session"], drawdown, 0.0, color=colour, alpha=0.18, linewidth=0)
        change = values.iloc[-1] / values.iloc[0] - 1
        ends.append(f"{label} {change:+.1%}, deepest drawdown {-drawdown.min():.1f}%")
    canvas.dress(upper, y_label="equity (thousand USD)")
    canvas.dress(lower, x_label="session", y_label="drawdown (%)")
    canvas.date_axis(lower)
    canvas.legend_above(upper, columns=2)
    canvas.headline(figure, title, " · ".join(ends))
    return figure
