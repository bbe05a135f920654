"""Figures of the spread networks: how their trainings went, and which class they forecast when which came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.models.deep.network_estimator import NetworkEstimator
from trading_dag.plots import canvas
from trading_dag.plots.confusion import confusion_figure
from trading_dag.schemas import SPREAD_CLASSES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from trading_dag.models.learning.fitted import FittedModel

_SHOWN: Final = 3


def training_history(fitted: FittedModel) -> Figure:
    """Draw the loss by epoch of every network: of the rows learnt from, and of those held out, one panel a network.

    Parameters
    ----------
    fitted : ``models.spread_trunk`` of one ticker, or ``models.spread_lstm`` of one slice.

    Returns
    -------
    A line a fold, the live model's in colour; the epoch whose weights were kept is marked. The rows learnt from are
    weighted by class and thinned out, so their loss stands above what it would be without.
    """
    title = f"{fitted.ticker} {fitted.horizon}".strip() + ": loss by epoch"
    shown = {
        model: [fold for fold in fitted.folds_of(model) if isinstance(fold.estimator, NetworkEstimator)]
        for model in fitted.models
    }
    shown = {model: folds for model, folds in shown.items() if folds}
    if not shown:
        reasons = [fold.reason for fold in fitted.folds if fold.reason]
        return canvas.insufficient_data(title, reasons[0] if reasons else "no network was trained")
    figure = canvas.new_figure(3.6, margins=canvas.Margins(top=0.85))
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, (model, folds) in zip(panels, shown.items(), strict=True):
        for fold in folds:
            is_live = fold is folds[-1]
            learnt, held_out = np.array(fold.estimator.history).T
            epochs = np.arange(1, len(learnt) + 1)
            for losses, colour, word in ((learnt, canvas.BLUE, "learnt"), (held_out, canvas.VERMILION, "held out")):
                axes.plot(
                    epochs, losses, color=colour if is_live else canvas.LIGHT_GREY, linewidth=1.6 if is_live else 0.9,
                    linestyle="-" if word == "held out" else "--", label=word if is_live else None,
                    zorder=3 if is_live else 2,
                )  # fmt: skip
            best = int(held_out.argmin())
            axes.plot(
                epochs[best], held_out[best], marker="o", markersize=4.5 if is_live else 3,
                color=canvas.VERMILION if is_live else canvas.GREY, zorder=4,
            )  # fmt: skip
        canvas.dress(
            axes, x_label="epoch", y_label="log loss" if axes is panels[0] else "", title=model.replace("_", " ")
        )
    panels[0].legend(fontsize=8.5, frameon=False)
    canvas.headline(figure, title, "the live model in colour, the five folds in grey; marked: the epoch that was kept")
    return figure


def spread_confusion(predictions: pd.DataFrame) -> Figure:
    """Draw the confusion matrices of the models on the sessions that all of them forecast, side by side.

    Parameters
    ----------
    predictions : ``predictions.spread`` of one slice.

    Returns
    -------
    A row is the spread that would have paid, a column the one that was forecast. Only sessions whose outcome is known
    are counted.
    """
    title = canvas.slice_title(predictions, "spread: forecast against outcome")
    rows = predictions[~predictions["is_baseline"].astype(bool) & predictions["y_true"].notna()]
    names = sorted(rows["model"].unique(), reverse=True)[:_SHOWN]
    return confusion_figure(
        rows, names, title=title, classes=SPREAD_CLASSES, called="spread", came="spread that paid", left=1.05,
        label_size=7,
    )  # fmt: skip
