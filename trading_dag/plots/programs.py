"""The figure of an options program: its account through time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from trading_dag.plots import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def program_equity(equity: pd.DataFrame, title: str) -> Figure:
    """Equity of the account, how far it was below its highest, and how many positions were open.

    Parameters
    ----------
    equity : session, equity_usd, open_positions, as ``ProgramResult.equity`` gives it.
    """
    heading = f"{title} · equity"
    if len(equity) < 2:
        return canvas.insufficient_data(heading, "the chain has fewer than two sessions")
    values = equity["equity_usd"]
    drawdown = (values / values.cummax() - 1) * 100
    figure = canvas.new_figure(5.2)
    upper, middle, lower = figure.subplots(3, 1, sharex=True, height_ratios=(2.6, 1, 0.8))
    upper.plot(equity["session"], values / 1_000, color=canvas.BLUE, linewidth=1.4)
    middle.fill_between(equity["session"], drawdown, 0.0, color=canvas.VERMILION, alpha=0.3, linewidth=0)
    lower.step(equity["session"], equity["open_positions"], where="post", color=canvas.GREY, linewidth=1.0)
    canvas.dress(upper, y_label="equity (thousand USD)")
    canvas.dress(middle, y_label="below high (%)")
    canvas.dress(lower, x_label="session", y_label="open")
    canvas.date_axis(lower)
    change = values.iloc[-1] / values.iloc[0] - 1
    canvas.headline(figure, heading, f"{change:+.2%}, deepest drawdown {-drawdown.min():.2f} %")
    return figure
