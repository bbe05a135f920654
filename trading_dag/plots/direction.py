"""Figures of direction forecasts: whether the probabilities are right, and what happened lately. No score is
computed."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.plots import canvas
from trading_dag.schemas import RISE
from trading_dag.served_models import SERVED_DIRECTION
from trading_dag.validation.inference.reliability import BINS, bin_of, reliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# A hard call has no probability to be right about.
_HARD_CALL: Final = "previous_direction"
_CLEAR: Final = ("UP", "DOWN")
_RARE: Final = 30
_LETTERS_A_LINE: Final = 110


def calibration(direction_predictions: pd.DataFrame) -> Figure:
    """Draw the forecast probability of a rise against how often prices rose, with the number of forecasts below.

    Parameters
    ----------
    direction_predictions : ``predictions.direction`` of one slice. Each probability is held against what it is one of
        (``probability_event``): that of a rise on all known outcomes, that of a clear move's direction on clear ones
        (UP, DOWN). The baseline that only calls a side is left out.

    Returns
    -------
    One curve per model, points for the baselines, in ten equally wide bins with 95 % Wilson intervals; bins of fewer
    than 30 forecasts are hollow. Of the served model a second, dotted curve shows what it said before it was drawn
    towards the share of rises. The subtitle gives the Brier scores, each on its own outcomes.
    """
    title = canvas.slice_title(direction_predictions, "calibration of the probability of a rise")
    rows = direction_predictions[direction_predictions["forward_return"].notna()]
    rows = rows[(rows["model"] != _HARD_CALL)]
    rows = rows[(rows["probability_event"] == RISE) | rows["y_true"].isin(_CLEAR)]
    if rows.empty:
        return canvas.insufficient_data(title, "no forecast has an outcome yet")

    figure = canvas.new_figure(6.2, margins=canvas.Margins(top=1.5))
    curve, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    curve.plot([0, 1], [0, 1], color=canvas.GREY, linewidth=1, linestyle="--", label="perfect calibration")
    scores = []
    names = _models_first(rows)
    for position, (name, colour) in enumerate(zip(names, canvas.SERIES_COLOURS, strict=False)):
        own = rows[rows["model"] == name]
        probability = own["probability_up"].to_numpy(dtype="float64")
        rose = np.asarray(own["forward_return"] > 0, dtype="float64")
        scores.append(f"{_spoken(name)} {np.mean((probability - rose) ** 2):.3f}")
        is_baseline = bool(own["is_baseline"].iloc[0])
        label = f"{_spoken(name)} (n = {len(rose):,})"
        _reliability(curve, probability, rose, label=label, colour=colour, line="none" if is_baseline else "-")
        before = own["uncalibrated_probability_up"].to_numpy(dtype="float64")
        if name == SERVED_DIRECTION and np.isfinite(before).any():
            said = np.isfinite(before)
            _reliability(curve, before[said], rose[said], label="before calibration", colour=colour, line=":")
        in_bin = np.bincount(bin_of(probability), minlength=BINS)
        width = 0.8 / BINS / len(names)
        lefts = np.arange(BINS) / BINS + 0.1 / BINS + position * width
        canvas.bars(counts, lefts, in_bin, width=width, colour=colour)
    canvas.dress(curve, y_label="share of sessions that rose")
    canvas.dress(counts, x_label="forecast probability of a rise", y_label="forecasts")
    curve.set(xlim=(0, 1), ylim=(-0.02, 1.02))
    canvas.legend_above(curve, columns=3)
    canvas.headline(figure, title, fill("Brier score (lower is better): " + " · ".join(scores), _LETTERS_A_LINE))
    return figure


def _models_first(rows: pd.DataFrame) -> list[str]:
    order = rows.groupby("model")["is_baseline"].first().reset_index().sort_values(["is_baseline", "model"])
    return [str(name) for name in order["model"]]


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _reliability(axes: Axes, probability: FloatArray, rose: FloatArray, *, label: str, colour: str, line: str) -> None:
    """Draw mean forecast and share of rises per bin that has forecasts, with Wilson's interval; rare bins are
    hollow."""
    rows = reliability(probability, rose)
    forecast, share = rows["forecast"].to_numpy(), rows["share"].to_numpy()
    axes.vlines(forecast, rows["low"], rows["high"], color=colour, linewidth=1.2, alpha=0.7)
    axes.plot(forecast, share, color=colour, marker="o", markersize=5.5, linewidth=1.4, linestyle=line, label=label)
    rare = rows["n"].to_numpy() < _RARE
    axes.plot(forecast[rare], share[rare], color=colour, marker="o", markersize=3.5, linestyle="none", mfc="white")


def forecast_against_outcome(
    direction_predictions: pd.DataFrame, *, model: str | None = None, sessions: int = 250
) -> Figure:
    """Draw the latest forecasts of one model, its decision threshold, and what happened.

    Parameters
    ----------
    direction_predictions : ``predictions.direction`` of one slice.
    model : the model whose forecasts are drawn; default: the served one, or the first by name that is no baseline.
    sessions : how many of the latest sessions to show.

    Returns
    -------
    Above: probability of a rise, threshold, and a mark at the edge for each clear outcome, filled where the call was
    right. Below: the return to the target, ambiguous moves included.
    """
    title = canvas.slice_title(direction_predictions, f"the last {sessions} forecasts of a rise")
    candidates = direction_predictions
    if model is None:
        candidates = direction_predictions[~direction_predictions["is_baseline"].astype(bool)]
        names = set(candidates["model"])
        model = SERVED_DIRECTION if SERVED_DIRECTION in names else min(names, default=None)
    rows = candidates[candidates["model"] == model].sort_values("session").tail(sessions)
    if rows.empty:
        return canvas.insufficient_data(title, "there is no forecast")

    from matplotlib.dates import date2num

    figure = canvas.new_figure(5.4, margins=canvas.Margins(top=1.0))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.3))
    upper.plot(rows["session"], rows["probability_up"], color=canvas.BLUE, linewidth=1.3, label="P(rise)")
    upper.plot(
        rows["session"], rows["threshold"], color=canvas.INK, linewidth=1, linestyle="--", label="threshold",
        drawstyle="steps-post",
    )  # fmt: skip
    _outcome_marks(upper, rows)
    canvas.dress(upper, y_label="probability of a rise")
    upper.set(ylim=(-0.1, 1.1), yticks=np.arange(0, 1.01, 0.25))
    canvas.legend_above(upper, columns=3)

    known = rows.dropna(subset=["forward_return"])
    right = _is_right(known)
    for is_right, colour in ((True, canvas.BLUE), (False, canvas.VERMILION)):
        part = known[right == is_right]
        days = date2num(part["session"].to_numpy())  # type: ignore[no-untyped-call]
        canvas.bars(lower, days - 0.5, part["forward_return"] * 100, width=1.0, colour=colour)
    lower.axhline(0, color=canvas.GREY, linewidth=0.8)
    canvas.dress(lower, x_label="session of the forecast", y_label="return to target (%)")
    canvas.date_axis(lower)
    hits = (
        f"right side of zero in {int(right.sum())} of {len(known)} known outcomes" if len(known) else "none known yet"
    )
    canvas.headline(figure, title, f"{_spoken(str(model))}: {hits}; blue was right, vermilion wrong")
    return figure


def _is_right(known: pd.DataFrame) -> pd.Series:
    return (known["y_pred"] == "UP") == (known["forward_return"] > 0)


def _outcome_marks(axes: Axes, rows: pd.DataFrame) -> None:
    known = rows.dropna(subset=["y_true", "forward_return"])
    right = _is_right(known)
    for outcome, height, shape in (("UP", 1.05, "^"), ("DOWN", -0.05, "v")):
        for is_right, colour in ((True, canvas.BLUE), (False, canvas.VERMILION)):
            part = known[(known["y_true"] == outcome) & (right == is_right)]
            label = f"{outcome}, called {'right' if is_right else 'wrong'}"
            axes.plot(
                part["session"], np.full(len(part), height), linestyle="none", marker=shape, markersize=4.5,
                color=colour, markerfacecolor=colour if is_right else "white", label=label,
            )  # fmt: skip
