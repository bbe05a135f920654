"""Forecasts of fitted folds, each on the sessions it serves, in the shape of a predictions table.

Here belongs what applies a ``FittedModel``. Fitting stands in ``training``, baselines in
``validation.baselines``. Nothing here may look at a label before a forecast is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from trading_dag.errors import DataQualityError
from trading_dag.features.selection import rows_with_presence
from trading_dag.models.fitted import FittedFold, FittedModel
from trading_dag.models.rows import FEATURES_TABLE, feature_values, require_ticker
from trading_dag.schemas import Table
from trading_dag.sessions import Horizon, target_sessions
from trading_dag.table_frames import table_frame
from trading_dag.validation.walk_forward import fold_in_service

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def class_probabilities(estimator: Any, values: FloatArray, *, classes: int) -> FloatArray:
    """Probability of each class per row, from either kind of estimator; 0 for a class it was never shown.

    Parameters
    ----------
    estimator : scikit-learn ``Pipeline``, or xgboost ``Booster`` with a binary logistic objective.
    values : rows × the estimator's features, NaN where not known.
    classes : how many classes the label has.
    """
    if hasattr(estimator, "predict_proba"):
        probabilities = np.zeros((len(values), classes))
        probabilities[:, estimator.classes_] = estimator.predict_proba(values)
        return probabilities
    from xgboost import DMatrix

    of_second = estimator.predict(DMatrix(values, nthread=1)).astype(np.float64)
    return np.column_stack([1.0 - of_second, of_second])


@dataclass(frozen=True)
class FoldForecast:
    """What one fold's model says about the sessions it serves.

    Attributes
    ----------
    fold : the fold.
    rows : positions in the feature frame, ascending.
    probabilities : rows × classes.
    """

    fold: FittedFold
    rows: IntArray
    probabilities: FloatArray


def forecast(
    fitted: FittedModel, features: pd.DataFrame, *, names: tuple[str, ...], required: str | None = None
) -> list[FoldForecast]:
    """Out-of-sample forecasts of every session that some fitted fold serves.

    A session gets a forecast from the newest fold in service at it, provided that fold was fitted
    and the row holds ``minimum_presence`` of the features that were present in its training.
    Sessions before the first test part get none. New sessions need no new fit.

    Raises
    ------
    SchemaError : for features of another ticker, or not in the shape of their table.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    sessions, values = feature_values(features, names)
    require_ticker(features, fitted.ticker, table=FEATURES_TABLE)
    known = np.isfinite(values[:, names.index(required)]) if required else np.ones(len(sessions), dtype=bool)
    position = {name: column for column, name in enumerate(names)}
    forecasts = []
    with threadpool_limits(limits=1):
        for model in fitted.models:
            folds = fitted.folds_of(model)
            starts = [fold.serves_from for fold in folds if fold.serves_from is not None]
            if len(starts) < len(folds):
                continue
            service = fold_in_service(sessions, pd.DatetimeIndex(starts))
            for fold in folds:
                if fold.status != "fitted":
                    continue
                present = values[:, [position[name] for name in fold.present_features]]
                enough = rows_with_presence(present, minimum_presence=fitted.minimum_presence)
                rows = np.flatnonzero((service == fold.fold) & known & enough)
                if len(rows):
                    taken = values[rows][:, [position[name] for name in fold.features]]
                    forecasts.append(
                        FoldForecast(fold, rows, class_probabilities(fold.estimator, taken, classes=len(fold.classes)))
                    )
    return forecasts


def finish_predictions(
    blocks: list[pd.DataFrame], *, fitted: FittedModel, sessions: pd.DatetimeIndex, horizon: Horizon, table: Table
) -> pd.DataFrame:
    """Put blocks of forecasts into the shape of a predictions table.

    Parameters
    ----------
    blocks : frames with ``row`` (position among ``sessions``), ``fitted_through`` and every column
        of the table that is not named here; without any, the table has no rows.

    Raises
    ------
    DataQualityError : where a forecast would know something later than its session.
    """
    if not blocks:
        return table_frame(table, {}, rows=0)
    stacked = pd.concat(blocks, ignore_index=True)
    stacked = stacked.sort_values(["row", "model"], kind="stable", ignore_index=True)
    days = sessions[stacked["row"].to_numpy()]
    is_out_of_sample = stacked["fitted_through"].to_numpy() <= days.to_numpy()
    if not is_out_of_sample.all():
        early = days[int(np.argmin(is_out_of_sample))]
        raise DataQualityError(
            table=table.qualified_name, key=f"session={early:%Y-%m-%d}", rule="the model had seen a later session"
        )
    values: dict[str, Any] = {name: stacked[name] for name in stacked.columns if name != "row"}
    values |= {
        "ticker": fitted.ticker,
        "horizon": horizon.key,
        "session": days,
        "target_session": target_sessions(days, horizon),
        "is_out_of_sample": is_out_of_sample,
    }
    return table_frame(table, values, rows=len(stacked))
