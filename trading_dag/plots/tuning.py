"""The figure of a search over hyperparameters: the score of each trial, and the best so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.plots import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_INCHES: Final = 2.1


def trials_by_search(trials: pd.DataFrame) -> Figure:
    """Draw the score of every trial by its number, with the best so far and the forecast without features.

    Parameters
    ----------
    trials : rows of ``models.hyperparameters`` of one slice; a panel for each search.

    Returns
    -------
    Pruned trials, scored on some folds only, are grey. Less is better.
    """
    searches = [rows for _, rows in trials.groupby(["family", "study_window", "study"], sort=True)]
    figure = canvas.new_figure(
        0.9 + _ROW_INCHES * len(searches), margins=canvas.Margins(left=0.85, top=0.75, between_rows=0.75)
    )
    panels = np.atleast_1d(figure.subplots(len(searches), 1))
    for axes, rows in zip(panels, searches, strict=True):
        _draw(axes, rows.sort_values("trial"))
    canvas.headline(figure, canvas.slice_title(trials, "hyperparameters tried"), "less is better")
    return figure


def _draw(axes: Axes, rows: pd.DataFrame) -> None:
    first = rows.iloc[0]
    for state, colour in (("complete", canvas.BLUE), ("pruned", canvas.GREY)):
        of_state = rows[rows["state"] == state]
        axes.plot(of_state["trial"], of_state["value"], ".", color=colour, markersize=6, label=state)
    complete = rows[rows["state"] == "complete"]
    axes.step(
        complete["trial"], complete["value"].cummin(), where="post", color=canvas.VERMILION, linewidth=1.2, label="best"
    )
    if np.isfinite(first["reference_value"]):
        axes.axhline(first["reference_value"], color=canvas.GREEN, linewidth=1.0, label="without features")
    window = f"{first['first_session']:%Y-%m-%d} to {first['last_session']:%Y-%m-%d}"
    title = f"{first['family']}, {first['study_window'].replace('_', ' ')}: {window}, {first['n_rows']} rows"
    canvas.dress(axes, x_label="trial", y_label=str(first["score"]), title=title)
    # A few trials far out would flatten the rest.
    shown = rows["value"].dropna()
    if len(shown):
        upper = float(np.quantile(shown, 0.9))
        lower = (
            float(min(shown.min(), first["reference_value"])) if np.isfinite(first["reference_value"]) else shown.min()
        )
        axes.set_ylim(lower - 0.1 * (upper - lower) - 1e-6, upper + 0.1 * (upper - lower) + 1e-6)
    axes.legend(loc="upper right", fontsize=7, ncols=4)
