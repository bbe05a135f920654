"""The figure of allocations: what an account would have grown to, and how much of it was in the market."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.plots import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_POINTS: Final = 1_500  # more than a picture has pixels for


def growth_and_positions(positions: pd.DataFrame, *, time: str, title: str, model: str) -> Figure:
    """Draw the growth of one unit by model above cash, on a logarithmic axis, and below it one model's position.

    Parameters
    ----------
    positions : rows of one slice with ``model``, ``position``, ``strategy_return``, ``cash_return`` and the column
        ``time``; a row without a return yet is left out.
    time : name of the column by which the rows are ordered.
    model : whose positions are shown.

    Returns
    -------
    Returns of rows that overlap are compounded only where each row begins when the one before ends: the caller hands
    over such rows.
    """
    known = positions[positions["strategy_return"].notna()].sort_values(time, kind="stable")
    if known.empty:
        return canvas.insufficient_data(title, "no position has a known outcome yet")
    figure = canvas.new_figure(4.6, margins=canvas.Margins(top=0.85, between_rows=0.18))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1.0))
    names = sorted(known["model"].unique(), key=lambda name: (name != model, name))
    for name, colour in zip(names, canvas.SERIES_COLOURS, strict=False):
        rows = known[known["model"] == name]
        growth = np.exp(np.log1p((rows["strategy_return"] - rows["cash_return"]).to_numpy(dtype=np.float64)).cumsum())
        shown = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _MOST_POINTS)).astype(np.int64))
        width = 1.8 if name == model else 1.0
        above.plot(
            rows[time].to_numpy()[shown], growth[shown], color=colour, linewidth=width, label=name.replace("_", " ")
        )
        if name == model:
            below.plot(rows[time].to_numpy()[shown], rows["position"].to_numpy()[shown], color=colour, linewidth=0.8)
    above.set_yscale("log")
    canvas.dress(above, y_label="growth of 1 above cash")
    canvas.dress(below, y_label="position", x_label="day" if time == "date_id" else "")
    if time != "date_id":
        canvas.date_axis(below)
    below.axhline(1.0, color=canvas.GREY, linewidth=0.8)
    below.set_ylim(-0.05, 2.05)
    canvas.legend_above(above, columns=len(names))
    canvas.headline(figure, title)
    return figure
