"""The figure of skill: how much better or worse than a baseline, with the interval that decides."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from trading_dag.plots import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NO_BASELINE: Final = "none"
# Proper scores first: the ones a model cannot improve by saying what it does not believe.
_SHOWN: Final = {
    "direction": ("brier_sign", "hit_rate", "brier_conditional", "auc_conditional", "balanced_accuracy_conditional"),
    "volatility": ("rps", "brier", "accuracy", "balanced_accuracy", "macro_f1"),
}
_ROW_INCHES: Final = 0.27


def skill_against_baseline(metrics: pd.DataFrame) -> Figure:
    """Draw the difference of each model from each baseline (positive is better) with its 95 % interval.

    Parameters
    ----------
    metrics : ``evaluation.metrics`` of one slice. The main scores of each task are shown; the table has the rest.

    Returns
    -------
    One panel per task and baseline, one mark per model and score: filled where the whole interval is above zero
    (skilled), hollow otherwise. Scores with too few rows are left out.
    """
    from matplotlib.lines import Line2D

    title = canvas.slice_title(metrics, "skill against baselines")
    rows = metrics[(metrics["baseline"] != _NO_BASELINE)].dropna(
        subset=["difference", "difference_ci_low", "difference_ci_high"]
    )
    shown = [name for names in _SHOWN.values() for name in names]
    rows = rows[rows["metric"].isin(shown)]
    if rows.empty:
        return canvas.insufficient_data(title, "no model could be held against a baseline")

    tasks = [task for task in _SHOWN if (rows["task"] == task).any()]
    baselines = [sorted(rows.loc[rows["task"] == task, "baseline"].unique()) for task in tasks]
    heights = [_rows_of(rows, task) + 2.2 for task in tasks]
    models = [model for task in tasks for model in _models(rows, task)]
    above = 1.0 + 0.25 * math.ceil(len(models) / 4)
    figure = canvas.new_figure(
        above + 0.2 + _ROW_INCHES * sum(heights),
        margins=canvas.Margins(left=1.95, top=above, between_rows=0.3, between_columns=0.1),
    )
    grid = figure.add_gridspec(len(tasks), max(map(len, baselines)), height_ratios=heights)
    colours = dict(zip(models, itertools.cycle(canvas.SERIES_COLOURS), strict=False))
    for line, task in enumerate(tasks):
        first: Any = None
        for column, baseline in enumerate(baselines[line]):
            axes = figure.add_subplot(grid[line, column], sharey=first)
            part = rows[(rows["task"] == task) & (rows["baseline"] == baseline)]
            _intervals(axes, part, task, colours)
            # What it is about stands once, below the first panel: four titles have no room for it.
            about = f"{task}: gain over …" if first is None else "gain"
            canvas.dress(axes, title=baseline.replace("_", " "), x_label=about)
            axes.grid(visible=False, axis="y")
            if first is None:
                first = axes
                canvas.name_rows(axes, [name.replace("_", " ") for name in _shown_of(part, task)])
    marks = [
        Line2D([], [], color=colour, marker="o", linewidth=1.8, label=model.replace("_", " "))
        for model, colour in colours.items()
    ]
    canvas.legend_below_title(figure, marks)
    canvas.headline(
        figure,
        title,
        "right of zero is better; filled: so is the whole 95% interval. Hedging alone beats a hard call's brier, rps",
    )
    return figure


def _models(rows: pd.DataFrame, task: str) -> list[str]:
    return sorted(rows.loc[rows["task"] == task, "model"].unique())


def _rows_of(rows: pd.DataFrame, task: str) -> int:
    of_task = rows[rows["task"] == task]
    return int(of_task["metric"].nunique() * max(1, of_task["model"].nunique()))


def _shown_of(part: pd.DataFrame, task: str) -> list[str]:
    return [name for name in _SHOWN[task] if (part["metric"] == name).any()]


def _intervals(axes: Any, part: pd.DataFrame, task: str, colours: dict[str, str]) -> None:
    names = _shown_of(part, task)
    models = _models(part, task)
    offsets = np.linspace(-0.2, 0.2, len(models)) if len(models) > 1 else [0.0]
    axes.axvline(0, color=canvas.INK, linewidth=1)
    place = {name: position for position, name in enumerate(names)}
    for model, offset in zip(models, offsets, strict=True):
        colour = colours[model]
        rows = part[part["model"] == model]
        height = rows["metric"].map(place).to_numpy(dtype="float64") + offset
        low, difference, high = (
            rows[name].to_numpy(dtype="float64") for name in ("difference_ci_low", "difference", "difference_ci_high")
        )
        axes.hlines(height, low, high, color=colour, linewidth=1.8)
        for is_filled in (True, False):
            shown = (low > 0) == is_filled
            if shown.any():
                axes.plot(
                    difference[shown], height[shown], linestyle="none", marker="o", markersize=6, color=colour,
                    markerfacecolor=colour if is_filled else "white", markeredgewidth=1.5,
                )  # fmt: skip
    axes.set_ylim(len(names) - 0.5, -0.5)
