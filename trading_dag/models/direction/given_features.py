"""What the live direction model says of features that somebody gives: one forecast a row, of no session.

Here belongs what a row must hold. What the project forecasts of sessions stands in ``forecasting``.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.errors import InsufficientDataError, SchemaError
from trading_dag.features.selection import rows_with_presence
from trading_dag.models.estimators.gaps import with_indicators
from trading_dag.models.learning.fitted import FittedFold, FittedModel
from trading_dag.models.learning.forecasting import stated_probabilities

GIVEN: Final = "given features"
# Columns that a row of the feature table has beside its features; they are not read.
BESIDE_FEATURES: Final = ("ticker", "session", "horizon", "date")
_NAMES_SHOWN: Final = 12


def live_fold(fitted: FittedModel, model: str) -> FittedFold:
    """Return the fold of a model that was fitted on every label.

    Raises
    ------
    InsufficientDataError : where there were too few.
    """
    fold = fitted.folds_of(model)[-1]
    if fold.status != "fitted":
        raise InsufficientDataError(
            f"the live {model} of {fitted.ticker} {fitted.horizon} is not fitted: {fold.reason}"
        )
    return fold


def forecasts_of_given(fitted: FittedModel, model: str, given: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a forecast for each row: direction, probability, confidence, threshold_used, usual_probability (the share
    in training), is_no_better_than_usual (the model reads no feature and states that share) and missing_values.

    Parameters
    ----------
    given : a column for each feature that the live model reads; others are not read. A missing value is filled as in
        training, by the training part's median, and counted.

    Raises
    ------
    SchemaError : for a feature without a column, a value that is no number, or a row in which too few of the features
        have a value.
    InsufficientDataError : where the live model is not fitted.
    """
    fold = live_fold(fitted, model)
    lacking = [name for name in fold.features if name not in given.columns]
    if lacking:
        raise SchemaError(
            table=GIVEN, key=f"{len(lacking)} of {len(fold.features)} features",
            rule=f"no column for {_listed(lacking)}",
        )  # fmt: skip
    try:
        values = given[list(fold.features)].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise SchemaError(table=GIVEN, key="values", rule=f"a value is no number ({error})") from None
    if np.isinf(values).any():
        row, column = np.argwhere(np.isinf(values))[0]
        raise SchemaError(table=GIVEN, key=f"row {row + 1}", rule=f"{fold.features[column]} is infinite")
    steady = [position for position, name in enumerate(fold.features) if name in set(fold.steady_features)]
    enough = rows_with_presence(values[:, steady], minimum_presence=fitted.minimum_presence)
    if fold.features and not enough.all():
        row = int(np.argmin(enough))
        least = f"{fitted.minimum_presence:.0%}"
        count = int(np.isnan(values[row]).sum())
        raise SchemaError(
            table=GIVEN, key=f"row {row + 1}", rule=f"{count} of {len(fold.features)} features are missing; {least} "
            "must have a value",
        )  # fmt: skip
    taken = with_indicators(values, fold.features, fold.indicators)
    probability = stated_probabilities(fold, taken)[:, 1]
    usual = fold.calibration.get("climatology", fold.prior[fold.classes[1]])
    threshold = 0.5 if fold.threshold is None else fold.threshold
    return [
        {
            "direction": "UP" if value > threshold else "DOWN",
            "probability": float(value),
            "confidence": float(value if value > threshold else 1.0 - value),
            "threshold_used": threshold,
            "usual_probability": float(usual),
            "is_no_better_than_usual": not fold.features,
            "missing_values": int(missing),
        }
        for value, missing in zip(probability, np.isnan(values).sum(axis=1), strict=True)
    ]


def unknown_columns(fitted: FittedModel, model: str, given: pd.DataFrame) -> list[str]:
    """Return the columns that the live model does not read, in the order of the frame."""
    known = {*live_fold(fitted, model).features, *BESIDE_FEATURES}
    return [str(name) for name in given.columns if name not in known]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more
