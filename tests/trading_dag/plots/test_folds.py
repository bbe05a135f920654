"""The figure of folds shows each training part and what was forecast after it."""

from __future__ import annotations

import pandas as pd
from matplotlib.dates import num2date

from trading_dag.plots import to_png
from trading_dag.plots.folds import folds_in_time

DAYS = pd.bdate_range("2015-01-01", periods=900)


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    registry = pd.DataFrame(
        {
            "ticker": "SPY", "horizon": "24h", "model": "logistic", "fold": [1, 2, 3],
            "train_first_session": DAYS[0], "fitted_through": [DAYS[299], DAYS[599], DAYS[899]],
        }
    )  # fmt: skip
    predictions = pd.DataFrame(
        {"model": "logistic", "is_baseline": False, "session": DAYS[300:], "fold": [1] * 300 + [2] * 300}
    )
    return predictions, registry


def spans(figure) -> set[tuple[str, str]]:
    found = set()
    for collection in figure.axes[0].collections:
        for path in collection.get_paths():
            dates = [num2date(x).strftime("%Y-%m-%d") for x in (path.vertices[:, 0].min(), path.vertices[:, 0].max())]
            found.add(tuple(dates))
    return found


def test_each_fold_is_its_training_part_and_the_sessions_it_forecast() -> None:
    figure = folds_in_time(*tables())
    day = "%Y-%m-%d"
    expected = {(DAYS[0].strftime(day), DAYS[last].strftime(day)) for last in (299, 599, 899)}
    expected |= {
        (DAYS[first].strftime(day), (DAYS[last] + pd.Timedelta(days=1)).strftime(day))
        for first, last in ((300, 599), (600, 899))
    }
    assert spans(figure) == expected
    assert len(to_png(figure)) < 60_000


def test_a_slice_without_folds_says_so() -> None:
    predictions, registry = tables()
    figure = folds_in_time(predictions.iloc[:0], registry)
    assert any("no fold has forecast anything" in text.get_text() for text in figure.texts)
