"""The figure of forecasts of the volatility index: the fan of its distribution, and what came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.plots import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FANS: Final = (("quantile_05", "quantile_95", 0.18), ("quantile_25", "quantile_75", 0.30))


def fan_of_level(forecasts: pd.DataFrame, *, sessions: int = 250) -> Figure:
    """Draw the latest distributions of the index at the session that they are of, and the index that came.

    Parameters
    ----------
    forecasts : ``predictions.volatility_level`` of one slice; the rows of the model are drawn.
    sessions : how many of the latest are shown.

    Returns
    -------
    Bands of 50 % and 90 %, the median, and a point for each outcome, hollow where it lies outside the 90 %. The
    subtitle counts those.
    """
    title = canvas.slice_title(forecasts, "volatility index: forecast distribution against outcome")
    rows = forecasts[~forecasts["is_baseline"].astype(bool)].sort_values("session").tail(sessions)
    if rows.empty:
        return canvas.insufficient_data(title, "no session has a forecast of the index")
    figure = canvas.new_figure(3.9, margins=canvas.Margins(top=0.85))
    axes = figure.subplots()
    days = rows["target_session"].to_numpy()
    for low, high, alpha in _FANS:
        axes.fill_between(days, rows[low], rows[high], color=canvas.BLUE, alpha=alpha, linewidth=0)
    axes.plot(days, rows["y_pred"], color=canvas.BLUE, linewidth=1.2)
    outcome = rows["y_true"].to_numpy(dtype=np.float64)
    known = np.isfinite(outcome)
    inside = known & (outcome >= rows["quantile_05"].to_numpy()) & (outcome <= rows["quantile_95"].to_numpy())
    axes.plot(days[inside], outcome[inside], color=canvas.INK, marker="o", markersize=2.5, linestyle="none")
    missed = known & ~inside
    axes.plot(
        days[missed], outcome[missed], color=canvas.VERMILION, marker="o", markersize=4, linestyle="none", mfc="white"
    )
    canvas.dress(axes, y_label="index, percent points")
    canvas.date_axis(axes)
    share = f"; {inside.sum()} of {known.sum()} outcomes inside the 90 % band" if known.any() else ""
    canvas.headline(figure, title, f"median with bands of 50 % and 90 %, by target session{share}")
    return figure
