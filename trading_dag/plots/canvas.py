"""How every figure looks: size, colours, axes, and the figure that says that there is nothing to show.

Figures are built through the object interface on the Agg canvas; no global state of the plotting library is read or
set. Figures drawn for every slice use margins given in inches, and collections instead of single bars: an automatic
layout draws each figure twice, which took a quarter of a slice's processor time.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from trading_dag.palette import BLUE as BLUE
from trading_dag.palette import GREEN as GREEN
from trading_dag.palette import GREY as GREY
from trading_dag.palette import ORANGE as ORANGE
from trading_dag.palette import PURPLE as PURPLE
from trading_dag.palette import SERIES
from trading_dag.palette import SKY as SKY
from trading_dag.palette import VERMILION as VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

DPI: Final = 110
WIDTH_INCHES: Final = 900 / DPI
LIGHT_GREY: Final = "#D9D9D9"
INK: Final = "#222222"
SERIES_COLOURS: Final = SERIES
_SMALL: Final = 8.5
_BODY: Final = 9.5
_TITLE: Final = 11.5
_MOST_STEPS: Final = 6
_BELOW_AXIS: Final = 0.27  # inches
_HALF_A_LINE: Final = 0.085
_LEFT_OF_AXIS: Final = 0.48
MAXIMUM_COLOURS: Final = 128


@dataclass(frozen=True)
class Margins:
    """Sets the room around the axes and between them, in inches."""

    left: float = 0.75
    right: float = 0.15
    top: float = 0.62
    bottom: float = 0.55
    between_rows: float = 0.15
    between_columns: float = 0.2


def new_figure(height_inches: float, *, margins: Margins | None = None) -> Figure:
    """Return an empty figure 900 pixels wide on the Agg canvas.

    Parameters
    ----------
    margins : the room for labels and titles. With None the plotting library computes it, which draws the figure twice.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layout: Literal["constrained"] | None = "constrained" if margins is None else None
    figure = Figure(figsize=(WIDTH_INCHES, height_inches), dpi=DPI, facecolor="white", layout=layout)
    if margins is not None:
        figure.subplots_adjust(
            left=margins.left / WIDTH_INCHES,
            right=1 - margins.right / WIDTH_INCHES,
            top=1 - margins.top / height_inches,
            bottom=margins.bottom / height_inches,
            hspace=margins.between_rows,
            wspace=margins.between_columns,
        )
    FigureCanvasAgg(figure)
    return figure


def bars(axes: Axes, lefts: ArrayLike, heights: ArrayLike, *, width: float, colour: str) -> None:
    """Draw bars on the zero line as one collection; ``lefts`` are their left edges in the units of the axis."""
    from matplotlib.collections import PolyCollection

    left, height = np.asarray(lefts, dtype=np.float64), np.asarray(heights, dtype=np.float64)
    nothing, right = np.zeros_like(height), left + width
    corners = [np.stack(pair, axis=1) for pair in ((left, nothing), (left, height), (right, height), (right, nothing))]
    axes.add_collection(PolyCollection(list(np.stack(corners, axis=1)), facecolors=colour, linewidths=0))
    axes.autoscale_view()


def dress(axes: Axes, *, x_label: str = "", y_label: str = "", title: str = "") -> None:
    """Add labels and a light grid, and keep no frame but the two axes."""
    axes.set_xlabel(x_label, fontsize=_BODY, color=INK)
    axes.set_ylabel(y_label, fontsize=_BODY, color=INK)
    _fix_labels(axes)
    if title:
        axes.set_title(title, fontsize=_BODY, color=INK, loc="left")
    axes.tick_params(labelsize=_SMALL, colors=INK, length=3)
    _fewer_ticks(axes)
    axes.grid(visible=True, color=LIGHT_GREY, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)


def name_rows(axes: Axes, names: Sequence[str], *, size: float = _SMALL) -> None:
    """Write names left of the rows 0, 1, …, as plain texts, because a tick draws five things for one name."""
    axes.set_yticks([])
    for row, name in enumerate(names):
        axes.text(
            -0.012, row, name, transform=axes.get_yaxis_transform(), fontsize=size, color=INK, ha="right", va="center"
        )  # fmt: skip


def _fewer_ticks(axes: Axes) -> None:
    """Place ticks at no more than six round numbers; ticks cost the most time in a figure."""
    from matplotlib.ticker import MaxNLocator

    for axis in (axes.xaxis, axes.yaxis):
        locator = axis.get_major_locator()
        if isinstance(locator, MaxNLocator):
            locator.set_params(nbins=max(min(_MOST_STEPS, axis.get_tick_space()), 1))


def _fix_labels(axes: Axes) -> None:
    """Place the labels where the margins have room for them, instead of measuring the words of every tick first."""
    from matplotlib.transforms import ScaledTranslation

    figure = axes.figure
    if figure.get_layout_engine() is None:
        for axis, (x, y), (right, up) in (
            (axes.xaxis, (0.5, 0.0), (0.0, -_BELOW_AXIS)),
            (axes.yaxis, (0.0, 0.5), (-_LEFT_OF_AXIS, 0.0)),
        ):
            axis.set_label_coords(x, y, axes.transAxes + ScaledTranslation(right, up, figure.dpi_scale_trans))


def date_axis(axes: Axes) -> None:
    """Draw dates along x, with as few words as they need."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def headline(figure: Figure, title: str, subtitle: str = "") -> None:
    """Write the title of the figure, and a second line in smaller type, which may be several."""
    height = figure.get_figheight()
    if figure.get_layout_engine() is None:
        figure.text(0.01, 1.0 - 0.17 / height, title, fontsize=_TITLE, color=INK, ha="left", va="center")
    else:
        figure.suptitle(title if not subtitle else f"{title}\n", fontsize=_TITLE, color=INK, x=0.01, ha="left")
    if subtitle:
        below_title = 1.0 - (0.38 + _HALF_A_LINE * subtitle.count("\n")) / height
        figure.text(0.01, below_title, subtitle, fontsize=_BODY, color=INK, ha="left", va="center")


def legend_above(axes: Axes, *, columns: int) -> None:
    """Draw a legend above the axes, where it covers no data."""
    axes.legend(
        fontsize=_SMALL, frameon=False, labelcolor=INK, ncols=columns, loc="lower left", bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.2, handlelength=1.6, columnspacing=1.6,
    )  # fmt: skip


def legend_beside_title(figure: Figure, handles: Sequence[Any]) -> None:
    """Draw a legend of the whole figure in its upper right corner."""
    figure.legend(
        handles=handles, fontsize=_SMALL, frameon=False, labelcolor=INK, loc="upper right", ncols=len(handles)
    )


def legend_below_title(figure: Figure, handles: Sequence[Any]) -> None:
    """Draw a legend of the whole figure in lines of its own below title and subtitle, four names a line."""
    figure.legend(
        handles=handles, fontsize=_SMALL, frameon=False, labelcolor=INK, loc="upper left", ncols=4,
        bbox_to_anchor=(0.0, 1.0 - 0.55 / figure.get_figheight()), columnspacing=1.2,
    )  # fmt: skip


def insufficient_data(title: str, reason: str) -> Figure:
    """Return a figure that says in words that there is nothing to show, and why."""
    figure = new_figure(2.4, margins=Margins())
    headline(figure, title)
    figure.text(0.5, 0.42, "insufficient data", fontsize=15, color=GREY, ha="center", va="center")
    figure.text(0.5, 0.24, reason, fontsize=_BODY, color=GREY, ha="center", va="center")
    return figure


def slice_title(frame: pd.DataFrame, what: str) -> str:
    """Return ``SPY · 24h · what``, from the first row of a slice."""
    names = [str(frame[name].iloc[0]) for name in ("ticker", "horizon") if name in frame and len(frame)]
    return " · ".join([*names, what])


def to_png(figure: Figure) -> bytes:
    """Return the figure as a PNG at 110 dots per inch with its own palette; the same figure gives the same bytes."""
    from PIL import Image as Images

    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")  # laid out now; drawing would do it again
    figure.canvas.draw()
    return quantized(Images.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB"))  # type: ignore[attr-defined]


def quantized(drawn: Image) -> bytes:
    """Return a picture as a PNG with a palette of its own; the same picture gives the same bytes."""
    from PIL import Image as Images

    picture = drawn.quantize(MAXIMUM_COLOURS, method=Images.Quantize.FASTOCTREE, dither=Images.Dither.NONE)
    packed = io.BytesIO()
    picture.save(packed, format="PNG")
    return packed.getvalue()
