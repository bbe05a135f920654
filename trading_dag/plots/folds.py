"""The figure of folds: what each fold learnt from and forecast, on one axis of time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from trading_dag.plots import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW_INCHES = 0.34


def folds_in_time(predictions: pd.DataFrame, registry: pd.DataFrame) -> Figure:
    """Draw the training part and the forecast sessions of each fold as two bars, the live model last.

    Parameters
    ----------
    predictions : a predictions table of one slice: model, is_baseline, fold, session.
    registry : models.registry of the slice: model, fold, train_first_session, fitted_through.

    Returns
    -------
    One row a fold of the first model by name that was fitted. The training bar ends with the last target session that
    the fold had seen, so that it can be seen that no forecast begins before. The newest has no forecast whose outcome
    could be waited for yet, or only few.
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.dates import date2num
    from matplotlib.patches import Patch

    title = canvas.slice_title(registry, "folds in time")
    fitted = registry.dropna(subset=["train_first_session", "fitted_through"])
    own = predictions[predictions["model"].isin(fitted["model"])]
    if own.empty:
        return canvas.insufficient_data(title, "no fold has forecast anything")
    model = own["model"].min()
    learnt = fitted[fitted["model"] == model].set_index("fold").sort_index()
    forecast = own[own["model"] == model].groupby("fold")["session"].agg(["min", "max"])
    bars: dict[str, list[list[tuple[float, float]]]] = {canvas.LIGHT_GREY: [], canvas.BLUE: [], canvas.GREEN: []}
    for row, (fold, span) in enumerate(learnt.iterrows()):
        pieces = [(canvas.LIGHT_GREY, span["train_first_session"], span["fitted_through"])]
        if fold in forecast.index:
            first, last = forecast.loc[fold]
            pieces.append((canvas.GREEN if row == len(learnt) - 1 else canvas.BLUE, first, last + pd.Timedelta(days=1)))
        for colour, begins, ends in pieces:
            left, right = date2num([begins, ends])  # type: ignore[no-untyped-call]
            bars[colour].append([(left, row - 0.3), (left, row + 0.3), (right, row + 0.3), (right, row - 0.3)])
    figure = canvas.new_figure(1.5 + _ROW_INCHES * len(learnt), margins=canvas.Margins(left=1.1, top=0.72))
    axes = figure.add_subplot()
    for colour, corners in bars.items():
        axes.add_collection(PolyCollection(corners, facecolors=colour, linewidths=0))
    axes.autoscale_view()
    axes.set_ylim(len(learnt) - 0.5, -0.5)
    canvas.date_axis(axes)
    canvas.dress(axes)
    axes.grid(visible=False, axis="y")
    canvas.name_rows(axes, [f"fold {number}" for number in learnt.index[:-1]] + ["newest"])
    named = ((canvas.LIGHT_GREY, "learnt from"), (canvas.BLUE, "forecast"), (canvas.GREEN, "forecast by the newest"))
    canvas.legend_beside_title(figure, [Patch(color=colour, label=label) for colour, label in named])
    canvas.headline(figure, title, f"{model.replace('_', ' ')}: forecasts come after all that their fold had seen")
    return figure
