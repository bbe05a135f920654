"""The figure of which class was forecast when which came, for any forecast of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from trading_dag.plots import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DARK: Final = 0.55


def confusion_figure(
    rows: pd.DataFrame,
    names: Sequence[str],
    *,
    title: str,
    classes: tuple[str, ...],
    called: str,
    came: str,
    left: float = 0.9,
    label_size: float = 8.5,
) -> Figure:
    """Draw one confusion matrix a model, side by side, on the sessions that all of them forecast.

    Parameters
    ----------
    rows : of a predictions table, with a known outcome; of the models of ``names`` alone.
    names : the models, in the order of the panels.
    classes : their names, in the order of the axes.
    called, came : what a class is called, and the label of the classes that came.
    left, label_size : room for the labels in inches, and their size, where the names of the classes are long.
    """
    per_session = rows.groupby("session")["model"].nunique()
    rows = rows[rows["session"].isin(per_session.index[per_session == len(names)])]
    if rows.empty:
        return canvas.insufficient_data(title, "no forecast has a known outcome yet")
    figure = canvas.new_figure(4.1, margins=canvas.Margins(left=left, top=0.85, between_columns=0.06))
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        _matrix(axes, rows[rows["model"] == name], name.replace("_", " "), classes=classes, called=called)
        axes.tick_params(axis="x", labelsize=label_size)
    panels[0].set_ylabel(came, fontsize=9.5, color=canvas.INK)
    sessions = rows["session"].nunique()
    canvas.headline(figure, title, f"{sessions:,} sessions forecast out of sample; share of the row in brackets")
    return figure


def _matrix(axes: Any, rows: pd.DataFrame, name: str, *, classes: tuple[str, ...], called: str) -> None:
    """Draw which class came when which was forecast, with the count and the share of the row; ``called`` is what the
    classes are called.
    """
    counts = pd.crosstab(rows["y_true"], rows["y_pred"]).reindex(index=classes, columns=classes, fill_value=0)
    values = counts.to_numpy(dtype="float64")
    totals = values.sum(axis=1, keepdims=True)
    shares = np.divide(values, totals, out=np.zeros_like(values), where=totals > 0)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(values.shape):
        share = shares[row, column]
        axes.text(
            column, row, f"{int(values[row, column]):,}\n({share:.0%})", ha="center", va="center", fontsize=9.5,
            color="white" if share > _DARK else canvas.INK,
        )  # fmt: skip
    words = [word.replace("_", " ") for word in classes]
    axes.set_xticks(range(len(classes)), words)
    axes.set_yticks(range(len(classes)), words)
    axes.tick_params(labelsize=8.5, colors=canvas.INK, length=0)
    axes.set_xlabel(f"{called} forecast", fontsize=9.5, color=canvas.INK)
    accuracy = np.trace(values) / values.sum()
    axes.set_title(f"{name}: accuracy {accuracy:.3f}", fontsize=9.5, color=canvas.INK, loc="left")
    for spine in axes.spines.values():
        spine.set_visible(False)
