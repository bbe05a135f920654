"""The picture of missing data shows each column's share at its time, and says in words when there is nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from trading_dag.plots.canvas import to_png
from trading_dag.plots.missing import missing_data


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text")))


def presence() -> pd.DataFrame:
    days = pd.DatetimeIndex(["1990-01-02", "2000-01-03", "2010-01-04"])
    return pd.DataFrame({"E1": [0.0, 0.5, 1.0], "D1": [1.0, 1.0, 1.0], "E7": [0.0, 0.0, 0.0]}, index=days)


def test_a_row_of_the_picture_is_a_column_and_its_cells_are_the_shares() -> None:
    figure = missing_data(presence(), "hull_market")
    (image,) = figure.axes[0].get_images()
    np.testing.assert_array_equal(image.get_array(), [[0.0, 0.5, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["E1", "D1", "E7"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == [
        "1990-01-02",
        "2000-01-03",
        "2010-01-04",
    ]
    assert "3 columns: 1 complete, 1 never there" in words(figure)
    assert image.get_clim() == (0.0, 1.0)


def test_bars_beside_it_are_the_missing_shares_of_the_whole_time() -> None:
    bars = missing_data(presence(), "hull_market").axes[1].patches
    assert [bar.get_width() for bar in bars] == [50.0, 0.0, 100.0]
    assert [round(bar.get_y() + bar.get_height() / 2.0, 9) for bar in bars] == [0.0, 1.0, 2.0]


def test_a_hundred_columns_fit_and_days_may_be_numbers() -> None:
    many = pd.DataFrame(np.full((60, 98), 0.5), index=np.arange(60) * 133, columns=[f"V{n}" for n in range(98)])
    figure = missing_data(many, "hull_market")
    assert figure.axes[0].get_xticklabels()[0].get_text() == "0"
    assert to_png(figure).startswith(b"\x89PNG")


def test_rows_that_stand_for_several_columns_are_counted_in_the_words_given() -> None:
    assert "206 features" in words(missing_data(presence(), "feature_table", count="206 features: 3 never there"))


def test_no_rows_are_said_in_words() -> None:
    assert "insufficient data" in words(missing_data(presence().iloc[:0], "hull_market"))
