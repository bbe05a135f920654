"""Forecasts of fitted folds, each on the sessions it serves, in the shape of a predictions table.

Here belongs what applies a ``FittedModel``. Fitting stands in ``training``, baselines in
``validation.scores.baselines``. Nothing here may look at a label before a forecast is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.errors import DataQualityError
from trading_dag.features.selection import rows_with_presence
from trading_dag.frames import table_frame
from trading_dag.models.estimators.gaps import with_indicators
from trading_dag.models.learning.calibration import calibrated
from trading_dag.models.learning.fitted import FittedFold, FittedModel
from trading_dag.models.learning.rows import FEATURES_TABLE, feature_values, require_ticker
from trading_dag.schemas import Table
from trading_dag.sessions import TIME_UNIT, target_sessions
from trading_dag.slices import Horizon
from trading_dag.validation.walk_forward import fold_in_service


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
    values : rows × the columns that the estimator reads, NaN where not known.
    probabilities : rows × classes, as the fold states them.
    uncalibrated : the same as its estimator says it; None where that is no different by construction.
    """

    fold: FittedFold
    rows: IntArray
    values: FloatArray
    probabilities: FloatArray
    uncalibrated: FloatArray | None = None


def stated_probabilities(fold: FittedFold, values: FloatArray) -> FloatArray:
    """Probability of each class per row as a fold states it: what its estimator says, calibrated.

    Parameters
    ----------
    values : rows × the columns that the fold reads, NaN where not known.
    """
    return calibrated(class_probabilities(fold.estimator, values, classes=len(fold.classes)), fold.calibration)


def forecast(fitted: FittedModel, features: pd.DataFrame, *, required: str | None = None) -> list[FoldForecast]:
    """Out-of-sample forecasts of every session that some fitted fold serves.

    A session gets a forecast from the newest fold in service at it, provided that fold was fitted
    and the row holds ``minimum_presence`` of the features that were present all through its training. What began
    late in it may be missing: the fold has learnt from such rows, too.
    Sessions before the first test part get none. New sessions need no new fit.

    Raises
    ------
    SchemaError : for features of another ticker, or not in the shape of their table.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    names = fitted.candidates if required is None else tuple(dict.fromkeys((*fitted.candidates, required)))
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
                served = np.flatnonzero((service == fold.fold) & known)
                present = values[served][:, [position[name] for name in fold.steady_features]]
                rows = served[rows_with_presence(present, minimum_presence=fitted.minimum_presence)]
                if len(rows):
                    taken = values[rows][:, [position[name] for name in fold.features]]
                    taken = with_indicators(taken, fold.features, fold.indicators)
                    said = class_probabilities(fold.estimator, taken, classes=len(fold.classes))
                    uncalibrated = said if fold.calibration else None
                    forecasts.append(FoldForecast(fold, rows, taken, calibrated(said, fold.calibration), uncalibrated))
    return forecasts


def training_rows(fold: FittedFold, sessions: pd.DatetimeIndex, target_sessions: pd.Series) -> BoolArray:
    """Return which labelled sessions lie in a fold's training part, whether it learnt from them or not, (sessions,).

    Parameters
    ----------
    target_sessions : of the labels on the sessions; missing where there is no label yet.
    """
    first, through = np.datetime64(fold.train_first_session), np.datetime64(fold.fitted_through)
    inside: BoolArray = (sessions.to_numpy() >= first) & (target_sessions.to_numpy(dtype="datetime64[us]") <= through)
    return inside


@dataclass(frozen=True)
class Block:
    """Forecasts of one model, or of one baseline, on the sessions that one fold serves.

    Attributes
    ----------
    made : the fold and its rows.
    model : who forecasts.
    columns : the other columns of the predictions table, an array entry a row or one value for all. A model or
        baseline that learns on after the fold was fitted gives its own ``fitted_through``.
    """

    made: FoldForecast
    model: str
    columns: dict[str, Any]

    @property
    def is_baseline(self) -> bool:
        """Whether it is not the fold's own model."""
        return self.model != self.made.fold.model


def finish_predictions(
    blocks: list[Block], *, fitted: FittedModel, sessions: pd.DatetimeIndex, horizon: Horizon, table: Table
) -> pd.DataFrame:
    """Put blocks of forecasts into the shape of a predictions table, ordered by session, then model.

    Parameters
    ----------
    blocks : without any, the table has no rows.

    Raises
    ------
    DataQualityError : where a forecast would know something later than its session.
    """
    if not blocks:
        return table_frame(table, {}, rows=0)
    rows = np.concatenate([block.made.rows for block in blocks])
    names = sorted({block.model for block in blocks})
    rank = _stacked(blocks, [names.index(block.model) for block in blocks])
    order = np.lexsort((rank, rows))
    days = sessions[rows[order]]
    fitted_through = [
        block.columns.get("fitted_through", np.datetime64(block.made.fold.fitted_through, TIME_UNIT))
        for block in blocks
    ]
    values: dict[str, Any] = {
        "model": np.array(names, dtype=object)[rank[order]],
        "fold": _stacked(blocks, [block.made.fold.fold for block in blocks])[order],
        "fitted_through": _stacked(blocks, fitted_through)[order],
        "is_baseline": _stacked(blocks, [block.is_baseline for block in blocks])[order],
    }
    is_out_of_sample = values["fitted_through"] <= days.to_numpy()
    if not is_out_of_sample.all():
        early = days[int(np.argmin(is_out_of_sample))]
        raise DataQualityError(
            table=table.qualified_name, key=f"session={early:%Y-%m-%d}", rule="the model had seen a later session"
        )
    names_of_columns = [name for name in blocks[0].columns if name != "fitted_through"]
    values |= {name: _stacked(blocks, [block.columns[name] for block in blocks])[order] for name in names_of_columns}
    values |= {
        "ticker": fitted.ticker,
        "horizon": horizon.key,
        "session": days,
        "target_session": target_sessions(days, horizon),
        "is_out_of_sample": is_out_of_sample,
        "model_version": np.array([None, fitted.model_version], dtype=object)[(~values["is_baseline"]).astype(np.intp)],
    }
    return table_frame(table, values, rows=len(rows))


def _stacked(blocks: list[Block], parts: list[Any]) -> npt.NDArray[Any]:
    """The parts of all blocks one after the other; a single value stands for every row of its block."""
    return np.concatenate(
        [np.broadcast_to(part, len(block.made.rows)) for block, part in zip(blocks, parts, strict=True)]
    )
