"""The figure of missing data: which column is present when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from trading_dag.plots import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW_INCHES: Final = 0.13
_NAME_SIZE: Final = 6.5
_LABEL_SIZE: Final = 9.0
_TIME_LABELS: Final = 6


def missing_data(presence: pd.DataFrame, title: str, *, count: str = "") -> Figure:
    """Draw the share of values that are present, one row per column and time from left to right; white is missing. Bars
    beside it show how much of each column is missing over the whole time.

    Parameters
    ----------
    presence : ``missing_values.presence_by_block``: (blocks, columns), 0 to 1; index: sessions or numbers of days.
    title : what the data are, for the headline.
    count : number of columns in words, if a row stands for several; counted where empty.
    """
    from matplotlib.colors import LinearSegmentedColormap

    heading = f"{title} · missing data"
    if presence.empty or not len(presence.columns):
        return canvas.insufficient_data(heading, "there are no rows")
    shares = presence.to_numpy(dtype=np.float64).T
    columns, blocks = shares.shape
    figure = canvas.new_figure(1.5 + _ROW_INCHES * columns)
    axes, totals = figure.subplots(1, 2, sharey=True, width_ratios=(5, 1))
    shades = LinearSegmentedColormap.from_list("presence", ["white", canvas.BLUE])
    image = axes.imshow(shares, aspect="auto", interpolation="nearest", cmap=shades, vmin=0.0, vmax=1.0)
    canvas.dress(axes, x_label="first row of the block")
    axes.grid(visible=False)
    axes.set_yticks(np.arange(columns), [str(name) for name in presence.columns], fontsize=_NAME_SIZE)
    places = np.unique(np.linspace(0, blocks - 1, min(_TIME_LABELS, blocks)).round().astype(int))
    axes.set_xticks(places, [_label(presence.index[place]) for place in places])
    missing = 100.0 * (1.0 - shares.mean(axis=1))
    totals.barh(np.arange(columns), missing, height=0.8, color=canvas.VERMILION)
    totals.set_xlim(0.0, 100.0)
    canvas.dress(totals, x_label="% missing")
    totals.tick_params(axis="y", length=0, labelleft=False)
    bar = figure.colorbar(image, ax=totals, fraction=0.15, pad=0.03)
    bar.set_label("share of values present", fontsize=_LABEL_SIZE, color=canvas.INK)
    complete = int((shares == 1.0).all(axis=1).sum())
    never = int((shares == 0.0).all(axis=1).sum())
    canvas.headline(figure, heading, count or f"{columns} columns: {complete} complete, {never} never there")
    return figure


def _label(moment: Any) -> str:
    return f"{moment:%Y-%m-%d}" if isinstance(moment, pd.Timestamp) else str(moment)
