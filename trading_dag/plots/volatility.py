"""The figure of volatility-regime forecasts: which regime was forecast when which occurred."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from trading_dag.plots import canvas
from trading_dag.plots.confusion import confusion_figure
from trading_dag.schemas import IV_REGIMES
from trading_dag.served_models import SERVED_VOLATILITY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PERSISTENCE: Final = "persistence"
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
    return confusion_figure(rows, names, title=title, classes=IV_REGIMES, called="regime", came="regime that came")
