"""Figures of monitoring: what has moved how far, and how good the newest forecasts were beside their band."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.plots import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHOWN: Final = 12
_SESSIONS_SHOWN: Final = 750
_LEAST_REACH: Final = 1e-3  # a model that says what its baseline says gains nothing; rounding is not to look like much
_UNITS: Final = {
    "direction": "Brier gain over climatology",
    "volatility": "RPS gain over a Markov chain",
    "price": "share inside 90%, less 0.9",
}


def drift_through_time(reports: pd.DataFrame, *, breached_share: float) -> Figure:
    """Draw what has drifted most by the newest report, and the share of features beyond their limits by report.

    Parameters
    ----------
    reports : ``monitoring.drift`` of one slice.
    breached_share : above which a report counts as breached.
    """
    title = canvas.slice_title(reports, "drift")
    if reports.empty:
        return canvas.insufficient_data(title, "no report yet: the training window is shorter than four recent ones")
    newest = reports[reports["as_of_session"] == reports["as_of_session"].max()]
    limits = newest["psi_limit"].to_numpy(dtype=np.float64)
    ratios = newest.assign(ratio=newest["psi"] / np.where(limits > 0, limits, np.nan)).dropna(subset=["ratio"])
    most = ratios.sort_values("ratio", ascending=False).head(_SHOWN)
    figure = canvas.new_figure(3.6, margins=canvas.Margins(left=2.6, between_columns=0.22, top=0.75))
    left, right = figure.subplots(1, 2)
    colours = [canvas.VERMILION if is_beyond else canvas.BLUE for is_beyond in most["is_breached"]]
    rows = np.arange(len(most))
    left.hlines(rows, 0.0, most["ratio"], color=colours, linewidth=7)
    left.axvline(1.0, color=canvas.INK, linewidth=1)
    left.set_ylim(_SHOWN - 0.5, -0.5)
    canvas.dress(left, x_label="index over its limit", title="what moved most")
    left.grid(visible=False, axis="y")
    canvas.name_rows(left, most["feature"].tolist())
    shares = share_by_report(reports)
    right.plot(shares.index, shares.to_numpy(), color=canvas.BLUE, marker="o", markersize=3, linewidth=1.4)
    right.axhline(breached_share, color=canvas.VERMILION, linewidth=1)
    right.set_ylim(0.0, max(1.0 if shares.max() > 0.5 else 0.5, breached_share * 1.2))
    canvas.date_axis(right)
    canvas.dress(right, title="share of features beyond their limits")
    canvas.headline(figure, title, f"as of {newest['as_of_session'].iloc[0]:%Y-%m-%d}; red line: breached above it")
    return figure


def share_by_report(reports: pd.DataFrame) -> pd.Series:
    """Return the share of features that were beyond their limits, by as_of_session in ascending order."""
    of_features = reports[reports["kind"].fillna("feature") == "feature"]
    return of_features.groupby("as_of_session")["is_breached"].mean().sort_index()


def accuracy_through_time(accuracy: pd.DataFrame) -> Figure:
    """Draw each rolling gain with its band over the last three years.

    Parameters
    ----------
    accuracy : ``monitoring.accuracy`` of one slice.
    """
    title = canvas.slice_title(accuracy, "rolling accuracy")
    tasks = [task for task in _UNITS if (accuracy["task"] == task).any()]
    if not tasks:
        return canvas.insufficient_data(title, "fewer forecasts with a known outcome than a window holds")
    figure = canvas.new_figure(1.9 * len(tasks) + 1.1, margins=canvas.Margins(top=0.95, between_rows=0.4))
    for axes, task in zip(np.atleast_1d(figure.subplots(len(tasks), 1, sharex=True)), tasks, strict=True):
        _draw_gain(axes, accuracy[accuracy["task"] == task].tail(_SESSIONS_SHOWN))
        canvas.dress(axes, title=_UNITS[task])
        canvas.date_axis(axes)
    windows = int(accuracy["n"].iloc[-1])
    canvas.headline(
        figure, title, f"means of {windows} forecasts; shaded: what the evaluation period lets expect; red: outside it"
    )
    return figure


def _draw_gain(axes: Axes, rows: pd.DataFrame) -> None:
    days = rows["as_of_session"].to_numpy()
    low, high, gain = (rows[name].to_numpy(dtype=np.float64) for name in ("band_low", "band_high", "gain"))
    axes.fill_between(days, low, high, color=canvas.LIGHT_GREY, linewidth=0)
    axes.axhline(0.0, color=canvas.GREY, linewidth=0.8)
    axes.plot(days, gain, color=canvas.BLUE, linewidth=1.3)
    seen = np.concatenate([low, high, gain, [0.0]])
    reach = max(float(np.nanmax(seen) - np.nanmin(seen)), _LEAST_REACH)
    axes.set_ylim(np.nanmin(seen) - 0.05 * reach, np.nanmin(seen) + 1.05 * reach)
    outside = np.where(rows["is_breached"].to_numpy(dtype=bool), gain, np.nan)
    axes.plot(days, outside, color=canvas.VERMILION, linewidth=2.2)
