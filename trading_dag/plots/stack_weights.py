"""The figure of a stack: whom each fold believes, and how much of the forecast is that the price stays."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.plots import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RANDOM_WALK: Final = "random_walk"


def weights_by_fold(weights: pd.DataFrame, *, live_fold: int) -> Figure:
    """Draw the weights of the learners as stacked bars, one a fold; grey is the random walk.

    Parameters
    ----------
    weights : ``models.stack_weights`` of one slice and stack.
    live_fold : number of the live model.
    """
    title = canvas.slice_title(weights, "whom the blend believes")
    if weights.empty:
        return canvas.insufficient_data(title, "no fold could be fitted")
    table = weights.pivot(index="fold", columns="learner", values="weight")
    learners = [_RANDOM_WALK, *(name for name in table.columns if name != _RANDOM_WALK)]
    figure = canvas.new_figure(3.4, margins=canvas.Margins(top=1.0))
    axes = figure.subplots()
    places = np.arange(len(table))
    below = np.zeros(len(table))
    for learner, colour in zip(learners, itertools.chain((canvas.LIGHT_GREY,), canvas.SERIES_COLOURS), strict=False):
        heights = table[learner].to_numpy()
        axes.bar(places, heights, bottom=below, width=0.7, color=colour, label=learner.replace("_", " "))
        below += heights
    axes.set_xticks(places, ["live" if number == live_fold else str(number) for number in table.index])
    axes.set_ylim(0.0, 1.0)
    canvas.dress(axes, x_label="fold, and the live model", y_label="weight")
    canvas.legend_above(axes, columns=3)
    chose_nothing = int((table[_RANDOM_WALK] == 1.0).sum())
    canvas.headline(figure, title, f"{chose_nothing} of {len(table)} say that the price stays" if chose_nothing else "")
    return figure
