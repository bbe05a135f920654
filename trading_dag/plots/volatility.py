"""The figure of volatility-regime forecasts: which regime was forecast when which occurred."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from trading_dag.plots import canvas
from trading_dag.schemas import IV_REGIMES
from trading_dag.served_models import SERVED_VOLATILITY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PERSISTENCE: Final = "persistence"
_DARK: Final = 0.55
_MOST_PANELS: Final = 3


def regime_confusion(volatility_predictions: pd.DataFrame) -> Figure:
    """Draw the confusion matrices of the models and of persistence on the same sessions, side by side.

    Parameters
    ----------
    volatility_predictions : ``predictions.volatility`` of one slice.

    Returns
    -------
    A row is the regime that occurred, a column the regime that was forecast; each cell gives the count and its share of
    the row. Only sessions that every shown model forecast and whose outcome is known are counted. Of more than two
    models the served one alone is shown; the scores of all stand in evaluation.metrics.
    """
    title = canvas.slice_title(volatility_predictions, "IV regime: forecast against outcome")
    is_shown = ~volatility_predictions["is_baseline"].astype(bool) | (volatility_predictions["model"] == _PERSISTENCE)
    rows = volatility_predictions[is_shown & volatility_predictions["y_true"].notna()]
    names = sorted(rows["model"].unique(), key=lambda name: (name == _PERSISTENCE, name))
    if len(names) > _MOST_PANELS and SERVED_VOLATILITY in names:
        names = [SERVED_VOLATILITY, *(name for name in names if name == _PERSISTENCE)]
        rows = rows[rows["model"].isin(names)]
    per_session = rows.groupby("session")["model"].nunique()
    rows = rows[rows["session"].isin(per_session.index[per_session == len(names)])]
    if rows.empty:
        return canvas.insufficient_data(title, "no forecast has a known outcome yet")

    figure = canvas.new_figure(4.1, margins=canvas.Margins(left=0.9, top=0.85, between_columns=0.06))
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        of_model = rows[rows["model"] == name]
        confusion_matrix(axes, of_model, name.replace("_", " "), classes=IV_REGIMES, called="regime")
    panels[0].set_ylabel("regime that came", fontsize=9.5, color=canvas.INK)
    sessions = rows["session"].nunique()
    canvas.headline(figure, title, f"{sessions:,} sessions forecast out of sample; share of the row in brackets")
    return figure


def confusion_matrix(axes: Any, rows: pd.DataFrame, name: str, *, classes: tuple[str, ...], called: str) -> None:
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
