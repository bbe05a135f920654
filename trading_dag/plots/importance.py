"""The figure of importance: what each model's forecasts lose without a group of features, or without one feature."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final

import pandas as pd

from trading_dag.plots import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN: Final = 25
_ROW_INCHES: Final = 0.2
_MOST_COLUMNS: Final = 3
_LONGEST_NAME: Final = 24  # letters that there is room for between two panels


def importance_of_features(importance: pd.DataFrame) -> Figure:
    """Draw the increase of the loss by shuffled feature with its interval, groups first, one panel per model.

    Parameters
    ----------
    importance : ``evaluation.importance`` of one slice. The 25 largest of each kind are shown; the table has the rest.
    """
    title = canvas.slice_title(importance, "what forecasts lose without a feature")
    if importance.empty:
        return canvas.insufficient_data(title, "no forecast has an outcome yet")
    models = sorted(importance["model"].unique())
    shown = {model: _largest(importance[importance["model"] == model]) for model in models}
    # Names stand beside each panel, so a row has room for three.
    columns = min(len(models), _MOST_COLUMNS)
    lines = math.ceil(len(models) / columns)
    figure = canvas.new_figure(
        1.2 + lines * (0.5 + _ROW_INCHES * max(map(len, shown.values()))),
        margins=canvas.Margins(left=2.1, top=0.85, between_columns=1.05, between_rows=0.15),
    )
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for unused in panels[len(models) :]:
        unused.remove()
    colours = itertools.cycle(canvas.SERIES_COLOURS)
    for axes, model, colour in zip(panels, models, colours, strict=False):
        rows = shown[model]
        values, low, high = (rows[name].to_numpy() for name in ("importance", "ci_low", "ci_high"))
        places = range(len(rows))
        axes.axvline(0.0, color=canvas.INK, linewidth=1)
        axes.hlines(places, low, high, color=colour, linewidth=1.8)
        axes.plot(values, places, linestyle="none", marker="o", markersize=4, color=colour)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        canvas.dress(axes, title=model.replace("_", " "), x_label="increase")
        axes.grid(visible=False, axis="y")
        canvas.name_rows(axes, _names_of(rows), size=7)
    subtitle = "increase of the Brier score where a feature is shuffled among test sessions, with 95% interval"
    canvas.headline(figure, title, f"{subtitle}; groups in capitals")
    return figure


def _largest(rows: pd.DataFrame) -> pd.DataFrame:
    by_size = rows.sort_values(["kind", "importance"], ascending=False)  # group before feature
    return by_size.groupby("kind", sort=False).head(_SHOWN)


def _names_of(rows: pd.DataFrame) -> list[str]:
    names = [
        name.replace("_", " ").upper() if kind == "group" else name
        for kind, name in zip(rows["kind"], rows["feature"], strict=True)
    ]
    return [name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…" for name in names]
