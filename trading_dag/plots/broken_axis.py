"""A time axis that is broken where sessions are missing, so that no line is drawn over what was never observed.

Without a hole the axis is an ordinary calendar axis. With one, sessions are spaced evenly, holes are narrow grey
bands, and the dates beside them show what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.backtest.markets.chain_coverage import Hole, coverage_of
from trading_dag.plots import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_SESSIONS: Final = 5
_MOST_TICKS: Final = 9
_LABEL: Final = "%b %d\n%Y"


@dataclass(frozen=True)
class BrokenAxis:
    """Holds a frame with a row of NaN at each hole, and the places of its rows on the axis.

    Attributes
    ----------
    frame : the rows, with a row of NaN for each hole of at least five sessions.
    x : (rows,) dates, or row numbers if there are holes.
    holes : each hole with the number of rows of the frame before it.
    """

    frame: pd.DataFrame
    x: pd.Series
    holes: tuple[tuple[Hole, int], ...]

    def label(self, axes: Axes) -> None:
        """Draw dates along x, and a band at each hole of this panel's figure."""
        if not self.holes:
            canvas.date_axis(axes)
            return
        is_there = self.frame["session"].notna().to_numpy()
        places = np.flatnonzero(is_there)
        chosen = places[np.unique(np.linspace(0, len(places) - 1, _MOST_TICKS - 2).round().astype(int))]
        beside = [place for _, row in self.holes for place in (row - 1, row + 1)]
        # Where a hole is, the dates around it matter more than an even spacing.
        apart = max(len(is_there) / (2 * _MOST_TICKS), 1.0)
        labelled = [int(place) for place in chosen if all(abs(place - other) > apart for other in beside)]
        ticks = sorted({*labelled, *(beside if len(beside) <= _MOST_TICKS else [])}) or [
            int(places[0]),
            int(places[-1]),
        ]
        axes.set_xticks(ticks, [f"{self.frame['session'].iloc[place]:{_LABEL}}" for place in ticks])

    def shade(self, axes: Axes) -> None:
        """Draw the band of each hole."""
        for _, row in self.holes:
            axes.axvspan(row - 0.5, row + 0.5, color=canvas.LIGHT_GREY, alpha=0.8, linewidth=0)

    @property
    def words(self) -> str:
        """Return what is missing, for the headline; an empty text without holes."""
        if not self.holes:
            return ""
        missing = sum(hole.sessions for hole, _ in self.holes)
        return f"; axis broken at {len(self.holes)} hole{'s' * (len(self.holes) > 1)} of {missing:,} sessions"


def broken(frame: pd.DataFrame) -> BrokenAxis:
    """Return the axis of a frame with ``session``, ascending, broken where at least five sessions in a row are
    missing."""
    found = coverage_of(pd.DatetimeIndex(frame["session"]).as_unit("us"))
    holes = [hole for hole in found.holes if hole.sessions >= LEAST_SESSIONS]
    if not holes:
        return BrokenAxis(frame, frame["session"], ())
    order = np.arange(len(frame), dtype=np.float64)
    places = np.sort(np.append(order, [hole.after + 0.5 for hole in holes]))
    spread = frame.reset_index(drop=True).reindex(places)
    rows = np.flatnonzero(places % 1.0)
    spread = spread.reset_index(drop=True)
    return BrokenAxis(spread, pd.Series(np.arange(len(spread))), tuple(zip(holes, rows.tolist(), strict=True)))
