"""No line is drawn over sessions that nobody saw."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trading_dag.plots import canvas
from trading_dag.plots.broken_axis import broken
from trading_dag.plots.trade_plans import plan_equity
from trading_dag.sessions import sessions_between

WEEKS = sessions_between("2015-01-02", "2015-01-30").append(sessions_between("2024-11-04", "2024-11-15"))


def equity(sessions: pd.DatetimeIndex) -> pd.DataFrame:
    values = 100_000.0 + 100.0 * np.arange(len(sessions))
    return pd.DataFrame({"session": sessions, "equity_usd": values, "open_positions": 1})


def test_a_line_breaks_at_a_hole_and_its_two_sides_stand_beside_each_other():
    figure = plan_equity(equity(WEEKS), "TEST")
    upper = figure.axes[0]
    line = upper.get_lines()[0]
    drawn = np.asarray(line.get_ydata(), dtype=float)
    assert np.flatnonzero(np.isnan(drawn)).tolist() == [20]  # after the 20 sessions of January 2015
    assert np.asarray(line.get_xdata()).tolist() == list(range(len(WEEKS) + 1))
    assert np.isfinite(drawn).sum() == len(WEEKS)
    labels = [label.get_text() for label in figure.axes[2].get_xticklabels()]
    assert "Jan 30\n2015" in labels
    assert "Nov 04\n2024" in labels
    words = " ".join(text.get_text() for text in figure.texts)
    missing = len(sessions_between("2015-02-02", "2024-11-01"))
    assert f"axis broken at 1 hole of {missing:,} sessions" in words


def test_without_a_hole_of_five_sessions_the_axis_is_the_calendars():
    whole = sessions_between("2024-01-02", "2024-03-28")
    for kept in (whole, whole.delete(range(10, 14))):
        axis = broken(equity(kept))
        assert axis.holes == ()
        assert axis.words == ""
        assert axis.x.tolist() == kept.tolist()
    assert len(broken(equity(whole.delete(range(10, 15)))).holes) == 1


def test_many_holes_are_all_breaks_and_the_figure_can_be_drawn():
    sessions = sessions_between("2020-01-02", "2024-12-31")
    kept = sessions[[place for place in range(len(sessions)) if (place // 20) % 2 == 0]]
    frame = equity(kept)
    axis = broken(frame)
    assert len(axis.holes) == len(axis.frame) - len(frame) > 20
    assert canvas.to_png(plan_equity(frame, "TEST")).startswith(b"\x89PNG")
