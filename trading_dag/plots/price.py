"""Figures of price forecasts: the distribution over what came, and how often its interval held. No score is
computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from trading_dag.plots import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# From the outermost pair of quantiles inwards: what the forecast leaves out on each side, and how dark it is drawn.
_BANDS: Final = (("05", "95", 0.18), ("10", "90", 0.30), ("25", "75", 0.50))
_NOMINAL: Final = 0.9


def price_fan(
    price_predictions: pd.DataFrame,
    *,
    model: str = "price_distribution",
    baseline: str = "rolling_quantile_250",
    sessions: int = 120,
    window: int = 250,
) -> Figure:
    """Draw the latest forecasts as a fan over the prices that came, and the coverage of 90 % intervals through time.

    Parameters
    ----------
    price_predictions : ``predictions.price`` of one slice; of its rows, those that end where the slice's horizon does.
    sessions : how many of the latest forecasts to show.
    window : over how many known outcomes coverage is counted.

    Returns
    -------
    Above: each target session with the bands that held 90, 80 and 50 % of the distribution, the median, and the price
    that came, marked where it lay outside the 90 %. Below: the share of the last ``window`` known outcomes within the
    90 % interval, of the model and of the baseline, beside what was promised.
    """
    title = canvas.slice_title(price_predictions, "forecast prices and what came")
    rows = price_predictions[price_predictions["model"].isin((model, baseline))]
    rows = rows[rows["sessions_ahead"] == rows["sessions_ahead"].min()]
    own = rows[rows["model"] == model].sort_values("session")
    if own.empty:
        return canvas.insufficient_data(title, "there are not outcomes enough for a distribution")

    figure = canvas.new_figure(6.0, margins=canvas.Margins(top=1.0, between_rows=0.36))
    fan, coverage = figure.subplots(2, 1, height_ratios=(2.2, 1))
    outside = _fan(fan, own.tail(sessions))
    held = _coverage(coverage, rows, names=(model, baseline), window=window)
    words = f"{outside} of the last {min(sessions, len(own))} outcomes outside the 90 % interval"
    canvas.headline(figure, title, words if not held else f"{words}; {held}")
    return figure


def _fan(axes: Any, rows: pd.DataFrame) -> int:
    """Draw the bands and what came; return how many outcomes lay outside the outermost."""
    days = rows["target_session"]
    for low, high, alpha in _BANDS:
        label = f"{int(high) - int(low)} %"
        axes.fill_between(
            days, rows[f"quantile_{low}"], rows[f"quantile_{high}"], color=canvas.BLUE, alpha=alpha, linewidth=0,
            label=label,
        )  # fmt: skip
    axes.plot(days, rows["quantile_50"], color=canvas.BLUE, linewidth=1, linestyle="--", label="median")
    axes.plot(days, rows["y_true"], color=canvas.INK, linewidth=1.1, label="what came")
    is_out = (rows["y_true"] < rows["interval_low"]) | (rows["y_true"] > rows["interval_high"])
    axes.plot(
        days[is_out], rows.loc[is_out, "y_true"], color=canvas.VERMILION, marker="o", markersize=4, linestyle="none",
        label="came outside 90 %",
    )  # fmt: skip
    canvas.dress(axes, y_label="price at the target (USD)")
    canvas.date_axis(axes)
    canvas.legend_above(axes, columns=6)
    return int(is_out.sum())


def _coverage(axes: Any, rows: pd.DataFrame, *, names: tuple[str, ...], window: int) -> str:
    """Draw the running coverage of each model; return in words how often the first one's interval held in all."""
    words = ""
    axes.axhline(_NOMINAL, color=canvas.GREY, linewidth=1, linestyle="--")
    for name, colour in zip(names, (canvas.BLUE, canvas.VERMILION), strict=True):
        known = rows[(rows["model"] == name) & rows["y_true"].notna()].sort_values("session")
        held = known["y_true"].between(known["interval_low"], known["interval_high"]).astype("float64")
        label = name.replace("_", " ")
        axes.plot(known["session"], held.rolling(window).mean(), color=colour, linewidth=1.2, label=label)
        if name == names[0] and len(held):
            words = f"{held.mean():.1%} of all {len(held):,} held"
    canvas.dress(axes, x_label="session of the forecast", y_label=f"held, of the last {window}")
    canvas.date_axis(axes)
    axes.set_ylim(max(0.0, axes.get_ylim()[0]), 1.0)
    canvas.legend_above(axes, columns=2)
    return words
