"""The figure of feature selection: which fold chose which features, and how much each told about the label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.plots import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN: Final = 45
_ROW_INCHES: Final = 0.17


def selection_by_fold(selection: pd.DataFrame, stability: pd.DataFrame, *, model: str, live_fold: int) -> Figure:
    """Draw the mutual information of the features with the label by fold, with a dot on the chosen ones.

    Parameters
    ----------
    selection, stability : ``models.inputs`` and ``models.selection_stability`` of one slice.
    model : the model whose features are shown.
    live_fold : number of the live model; it stands apart on the right.

    Returns
    -------
    The 45 features chosen most often, those of all folds on top. The title gives the stability index.
    """
    rows = selection[(selection["model"] == model) & (selection["reason"] != "indicator")]
    order = stability.loc[stability["model"] == model]
    title = canvas.slice_title(selection, f"features chosen by {model.replace('_', ' ')}")
    if order.empty:
        return canvas.insufficient_data(title, "no fold could be fitted")
    shown = order["feature"].head(_SHOWN).tolist()
    score = rows.pivot(index="feature", columns="fold", values="score").astype("float64").reindex(shown)
    chosen = rows.pivot(index="feature", columns="fold", values="is_used").fillna(False).astype(bool).reindex(shown)
    figure = canvas.new_figure(
        1.6 + _ROW_INCHES * len(shown), margins=canvas.Margins(left=2.5, right=0.7, between_columns=0.12)
    )
    axes, scale = figure.subplots(1, 2, width_ratios=(24, 1))
    image = axes.imshow(score.to_numpy(), aspect="auto", cmap="Blues", vmin=0.0)
    feature, fold = np.nonzero(chosen.to_numpy())
    axes.plot(fold, feature, ".", color="black", markersize=5, label="chosen")
    folds = [int(number) for number in score.columns.to_list()]
    names = ["live" if number == live_fold else str(number) for number in folds]
    axes.set_xticks(range(len(names)), names)
    canvas.name_rows(axes, shown, size=7)
    axes.set_xlabel("fold, and the live model" if "live" in names else "fold")
    axes.legend(loc="lower right", fontsize=7)
    figure.colorbar(image, cax=scale, label="mutual information with the label, nats")
    index = float(order["stability"].iloc[0])
    canvas.headline(
        figure, title, "" if np.isnan(index) else f"stability {index:.2f} (1: all folds alike, 0: at random)"
    )
    return figure
