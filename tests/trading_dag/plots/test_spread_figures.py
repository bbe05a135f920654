"""Figures of the spread networks: what is drawn is what the trainings and the table hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from trading_dag.features.selection import SELECTION_COLUMNS
from trading_dag.models.deep.network_estimator import NetworkEstimator
from trading_dag.models.learning.fitted import FittedFold, FittedModel
from trading_dag.plots import to_png
from trading_dag.plots.spread import spread_confusion, training_history
from trading_dag.schemas import SPREAD_CLASSES

HISTORY = ((1.2, 1.1), (1.0, 0.9), (0.8, 1.0))
DAY = pd.Timestamp("2024-01-02")


def fold(number: int, *, reason: str | None = None) -> FittedFold:
    return FittedFold(
        model="spread_lstm", fold=number, features=(), classes=SPREAD_CLASSES, threshold=None, prior={},
        estimator=None if reason else NetworkEstimator("spread_lstm", {}, {}, 60, HISTORY),
        train_first_session=DAY, train_last_session=DAY, fitted_through=DAY, serves_from=DAY, n_train=1,
        class_counts={}, status="insufficient_data" if reason else "fitted", reason=reason, hyperparameters={},
        selection=pd.DataFrame(columns=list(SELECTION_COLUMNS)),
    )  # fmt: skip


def model(*folds: FittedFold) -> FittedModel:
    return FittedModel("spread_lstm", "SPY", "24h", folds, 0.8, {}, {})


def texts(figure: Any) -> str:
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def test_every_fold_has_its_losses_and_the_kept_epoch_is_marked() -> None:
    figure = training_history(model(fold(1), fold(2)))
    (axes,) = figure.axes
    drawn = [list(line.get_ydata()) for line in axes.lines if len(line.get_ydata()) == 3]
    assert drawn == [[1.2, 1.0, 0.8], [1.1, 0.9, 1.0]] * 2
    marks = [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines if len(line.get_ydata()) == 1]
    assert marks == [([2], [0.9])] * 2
    assert to_png(figure).startswith(b"\x89PNG")


def test_without_a_network_the_figure_says_why() -> None:
    assert "make torch adds it" in texts(training_history(model(fold(1, reason="off; make torch adds it"))))


def test_the_confusion_counts_the_sessions_that_all_models_forecast() -> None:
    sessions = pd.date_range("2024-01-02", periods=4)
    table = pd.DataFrame(
        {
            "ticker": "SPY", "horizon": "24h", "session": [*sessions, *sessions[:3]],
            "model": ["spread_lstm"] * 4 + ["spread_logistic"] * 3, "is_baseline": False,
            "y_true": ["HOLD", "HOLD", "PUT_CREDIT", "HOLD", "HOLD", "HOLD", "PUT_CREDIT"],
            "y_pred": ["HOLD", "PUT_CREDIT", "PUT_CREDIT", "HOLD", "HOLD", "HOLD", "HOLD"],
        }
    )  # fmt: skip
    figure = spread_confusion(table)
    assert len(figure.axes) == 2
    assert "spread lstm: accuracy 0.667" in texts(figure)
    assert "spread logistic: accuracy 0.667" in texts(figure)
    assert "3 sessions" in texts(figure)
    assert "no forecast has a known outcome" in texts(spread_confusion(table.assign(y_true=np.nan)))
