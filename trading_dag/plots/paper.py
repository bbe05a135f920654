"""The figure of the paper account: its equity and cash at each close, and how far it lies below its highest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from trading_dag.plots import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEAST_SESSIONS = 2


def equity_of_account(equity: pd.Series, *, opened_with_usd: float) -> Figure:
    """Draw the equity of the account beside what it was opened with, and below it the loss since the highest equity.

    Parameters
    ----------
    equity : USD, by session.
    """
    title = "Paper account: equity at each close"
    if len(equity) < _LEAST_SESSIONS:
        return canvas.insufficient_data(title, "the account has been open for fewer than two sessions")
    figure = canvas.new_figure(4.0, margins=canvas.Margins(top=0.85, between_rows=0.18))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1.0))
    values = equity.to_numpy(dtype=np.float64)
    above.plot(equity.index.to_numpy(), values, color=canvas.SERIES_COLOURS[0], linewidth=1.6)
    above.axhline(opened_with_usd, color=canvas.GREY, linewidth=0.8)
    highest = np.maximum.accumulate(values)
    below.fill_between(equity.index.to_numpy(), 100.0 * (values / highest - 1.0), 0.0, color=canvas.GREY, alpha=0.5)
    canvas.dress(above, y_label="equity, USD")
    canvas.dress(below, y_label="drawdown, %")
    canvas.date_axis(below)
    canvas.headline(figure, title)
    return figure
