"""The fan shows the latest forecasts with what came, and the coverage that the table holds."""

from __future__ import annotations

import numpy as np
import pytest

from tests.trading_dag.models.price.price_inputs import price_inputs
from trading_dag.models.price.price_distribution import build_price_distribution
from trading_dag.plots import to_png
from trading_dag.plots.price import price_fan
from trading_dag.slices import horizon_of


def test_the_fan_counts_what_came_outside_and_draws_the_running_coverage() -> None:
    table = build_price_distribution(**price_inputs(1_100), horizon=horizon_of("168h"))
    figure = price_fan(table, sessions=100)
    own = table[(table["model"] == "price_distribution") & (table["sessions_ahead"] == 5)]
    shown = own.tail(100)
    is_out = (shown["y_true"] < shown["interval_low"]) | (shown["y_true"] > shown["interval_high"])
    known = own.dropna(subset=["y_true"])
    held = known["y_true"].between(known["interval_low"], known["interval_high"])
    words = [text.get_text() for text in figure.texts]
    outside = f"{is_out.sum()} of the last 100 outcomes outside the 90 % interval"
    assert words[1] == f"{outside}; {held.mean():.1%} of all {len(held):,} held"
    fan, coverage = figure.axes
    marked = next(line for line in fan.lines if line.get_label() == "came outside 90 %")
    np.testing.assert_array_equal(marked.get_ydata(), shown.loc[is_out, "y_true"])
    drawn = next(line for line in coverage.lines if line.get_label() == "price distribution")
    assert drawn.get_ydata()[-1] == pytest.approx(held.tail(250).mean())
    assert to_png(figure).startswith(b"\x89PNG")


def test_a_history_without_a_distribution_is_said_in_words() -> None:
    table = build_price_distribution(**price_inputs(300), horizon=horizon_of("24h"))
    assert set(table["model"]) == {"random_walk", "rolling_quantile_250"}
    figure = price_fan(table)
    assert any("not outcomes enough" in text.get_text() for text in figure.texts)
