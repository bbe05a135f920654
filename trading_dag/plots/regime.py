"""The figure of market states: which state the market was in, as it was known at the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.plots import canvas
from trading_dag.schemas import MARKET_STATES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS: Final = dict(
    zip(MARKET_STATES, (canvas.GREEN, canvas.SKY, canvas.LIGHT_GREY, canvas.VERMILION, canvas.ORANGE), strict=True)
)


def market_states(regime: pd.DataFrame) -> Figure:
    """Draw the filtered probabilities of the five states through time, stacked, as 5-session means.

    Parameters
    ----------
    regime : ``predictions.regime`` of one ticker.

    Returns
    -------
    One band per state; the subtitle says how often each was the most probable one.
    """
    title = canvas.slice_title(regime, "market states, filtered")
    if regime.empty:
        return canvas.insufficient_data(title, "no year has three years of sessions before it")
    columns = [f"probability_{state}" for state in MARKET_STATES]
    weekly = regime.groupby(np.arange(len(regime)) // 5).agg({"session": "last", **dict.fromkeys(columns, "mean")})
    figure = canvas.new_figure(3.6)
    axes = figure.add_subplot()
    axes.stackplot(
        weekly["session"].to_numpy(),
        weekly[columns].to_numpy().T,
        labels=[state.replace("_", " ") for state in MARKET_STATES],
        colors=[_COLOURS[state] for state in MARKET_STATES],
        linewidth=0,
    )
    canvas.dress(axes, y_label="probability at the close")
    canvas.date_axis(axes)
    axes.set_ylim(0.0, 1.0)
    axes.margins(x=0.0)
    canvas.legend_above(axes, columns=3)
    last = regime.iloc[-1]
    state = str(last["state"])
    canvas.headline(
        figure,
        title,
        f"{last['session']:%Y-%m-%d}: {state.replace('_', ' ')}, {last[f'probability_{state}']:.0%}; "
        f"parameters of sessions through {last['fitted_through']:%Y-%m-%d}",
    )
    return figure
