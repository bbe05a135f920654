"""A model of one fold, for tests of what the store makes of an estimator."""

from __future__ import annotations

from typing import Any

import pandas as pd

from trading_dag.features.selection import SELECTION_COLUMNS
from trading_dag.models.learning.fitted import FittedFold, FittedModel


def model_of_one_fold(estimator: Any, *, name: str) -> FittedModel:
    """Return a direction classifier of SPY 24h whose only fold has the estimator, under the name of its learner."""
    day = pd.Timestamp("2024-01-02")
    fold = FittedFold(
        model=name, fold=1, estimator=estimator, features=(), classes=(), threshold=None, prior={},
        train_first_session=day, train_last_session=day, fitted_through=day, serves_from=day, n_train=200,
        class_counts={}, status="fitted", reason=None, hyperparameters={},
        selection=pd.DataFrame(columns=list(SELECTION_COLUMNS)),
    )  # fmt: skip
    return FittedModel("direction_classifier", "SPY", "24h", (fold,), 0.8, {}, {})
