"""The allocation ensemble on the data of the Hull competition: walk-forward positions, beside the published recipe.

Here belongs what is special about those data: days by number instead of sessions, a return that the file itself gives,
the recipe of the organisers' notebook. The learners stand in ``return_learners``, the blend in ``stacking``, the way
from a forecast to a position in ``positions``. Nothing is stored of a fit: it takes seconds, and the days are closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.errors import InsufficientDataError, SchemaError
from trading_dag.features.selection import PresenceRule, judge_presence, rows_with_presence
from trading_dag.frames import table_frame
from trading_dag.models.allocation.positions import scaled_positions, smoothed_positions
from trading_dag.models.allocation.return_learners import return_learners
from trading_dag.models.estimators.real_learners import RealLearner, forecasts_of
from trading_dag.models.stacks.stacking import Forecaster, fit_blend, least_squares_blend, out_of_fold, squared_losses
from trading_dag.schemas import HULL_ALLOCATION, HULL_LABELS, HULL_MARKET, HULL_MARKET_TABLE
from trading_dag.setting_groups import AllocationSettings, WalkForwardSettings
from trading_dag.validation.scores.allocation_score import strategy_returns
from trading_dag.validation.scores.baselines import BUY_AND_HOLD, VOLATILITY_MANAGED
from trading_dag.validation.walk_forward import Fold, walk_forward_folds

ENSEMBLE: Final = "allocation_ensemble"
LINEAR: Final = "allocation_linear"
PUBLISHED: Final = "hull_published"
BASELINES: Final = (BUY_AND_HOLD, PUBLISHED, VOLATILITY_MANAGED)
LEAST_TRAINING_DAYS: Final = 126  # half a year
GAP: Final = 1  # the return of a day is known one day later
# The recipe of the organisers' starting notebook (Kaggle, 2025): its columns, its penalties, its way to a position.
PUBLISHED_COLUMNS: Final = (
    "S2", "E2", "E3", "P9", "S1", "S5", "I2", "P8", "P10", "P12", "P13", "i2_minus_i1", "m11_over_mean_rate",
)  # fmt: skip
_PUBLISHED_L1_SHARE: Final = 0.5
_PUBLISHED_ALPHAS: Final = np.logspace(-4, 2, 100)
_PUBLISHED_FOLDS: Final = 10
_PUBLISHED_MULTIPLIER: Final = 400.0
_LEAST_PRESENCE_OF_A_DAY: Final = 0.5


@dataclass(frozen=True)
class _Days:
    """The days that can be learnt from and held: ``rows`` are positions of those in the others."""

    numbers: IntArray
    names: tuple[str, ...]
    values: FloatArray
    market: FloatArray
    cash: FloatArray
    target: FloatArray
    volatility: FloatArray
    rows: IntArray

    @property
    def excess(self) -> FloatArray:
        return self.market - self.cash


def hull_predictions(
    features: pd.DataFrame, market: pd.DataFrame, *, settings: WalkForwardSettings, allocation: AllocationSettings
) -> pd.DataFrame:
    """Return the positions of models and baselines on every day of the test folds.

    ``allocation_ensemble`` blends an elastic net, LightGBM and XGBoost by penalised weights learnt from purged
    out-of-fold forecasts; ``allocation_linear`` does it by plain least squares, as the design has it.
    ``hull_published`` is the organisers' recipe, with its unpurged folds, and its position of 1 + 400 times the
    forecast.
    ``volatility_managed`` scales by volatility alone and forecasts nothing.

    Parameters
    ----------
    features, market : features.hull_market and raw.hull_market.
    settings : folds, presence, seed.
    allocation : how a forecast becomes a position.

    Returns
    -------
    predictions.hull_allocation, ordered by day, then model; no rows without data. A position is known at its day's
    close: fold and volatility know returns that had ended by then.

    Raises
    ------
    SchemaError : for a missing column, or days that are not the same in both.
    InsufficientDataError : where the days do not suffice for the folds, or the first of them has too few to learn from.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if market.empty:
        return table_frame(HULL_ALLOCATION, {}, rows=0)
    days = _days(features, market, sessions=allocation.volatility_sessions)
    folds = walk_forward_folds(len(days.rows), folds=settings.folds, gap=GAP)
    if not folds or len(folds[0].train) < LEAST_TRAINING_DAYS:
        raise InsufficientDataError(
            f"{len(days.rows)} days of the Hull data are too few for {settings.folds} folds, the first of which is to "
            f"learn from {LEAST_TRAINING_DAYS}"
        )
    with threadpool_limits(limits=1):
        parts = [_fold_positions(days, fold, settings=settings, allocation=allocation) for fold in folds]
    held = np.concatenate([days.rows[fold.test] for fold in folds])
    frames = []
    for model in sorted(parts[0]):
        forecast = np.concatenate([part[model][0] for part in parts])
        position = np.concatenate([part[model][1] for part in parts])
        if model in (ENSEMBLE, LINEAR, VOLATILITY_MANAGED):
            position = smoothed_positions(position, sessions=allocation.smoothing_sessions)
        frames.append(
            table_frame(
                HULL_ALLOCATION,
                {
                    "date_id": days.numbers[held],
                    "model": model,
                    "fold": np.concatenate([np.full(len(fold.test), fold.number) for fold in folds]),
                    "fitted_through": np.concatenate(
                        [np.full(len(fold.test), days.numbers[days.rows[fold.train[-1]]]) for fold in folds]
                    ),
                    "forecast": forecast,
                    "position": position,
                    "forward_return": days.market[held],
                    "cash_return": days.cash[held],
                    "strategy_return": strategy_returns(position, days.market[held], days.cash[held]),
                    "is_baseline": model in BASELINES,
                },
                rows=len(held),
            )
        )
    return pd.concat(frames, ignore_index=True).sort_values(["date_id", "model"], kind="stable", ignore_index=True)


def _days(features: pd.DataFrame, market: pd.DataFrame, *, sessions: int) -> _Days:
    """Return features, outcomes and known volatility by day; usable are days with half of the features and all else."""
    names = tuple(name for name in HULL_MARKET_TABLE.column_names if name != "date_id")
    for frame, table, needed in ((features, HULL_MARKET_TABLE, names), (market, HULL_MARKET, HULL_LABELS)):
        missing = [name for name in ("date_id", *needed) if name not in frame.columns]
        if missing:
            raise SchemaError(table=table.qualified_name, key=f"column={missing[0]}", rule="is missing")
    features, market = (frame.sort_values("date_id", ignore_index=True) for frame in (features, market))
    numbers = market["date_id"].to_numpy(dtype=np.int64)
    if not np.array_equal(numbers, features["date_id"].to_numpy(dtype=np.int64)):
        raise SchemaError(table=HULL_MARKET_TABLE.qualified_name, key="date_id", rule="has the days of raw.hull_market")
    values = features[list(names)].to_numpy(dtype=np.float64, na_value=np.nan)
    returns, cash, target = (market[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in HULL_LABELS)
    ended = pd.Series(returns).shift(1)  # the return that had ended by the day's close
    volatility = ended.rolling(sessions).std().to_numpy()
    usable = rows_with_presence(values, minimum_presence=_LEAST_PRESENCE_OF_A_DAY)
    usable &= (volatility > 0) & np.isfinite(returns) & np.isfinite(cash) & np.isfinite(target)
    return _Days(numbers, names, values, returns, cash, target, volatility, np.flatnonzero(usable))


def _fold_positions(
    days: _Days, fold: Fold, *, settings: WalkForwardSettings, allocation: AllocationSettings
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return (forecasts, positions before smoothing) of one fold's test days by model; baselines forecast nothing."""
    train, test = days.rows[fold.train], days.rows[fold.test]
    scaled = days.excess / days.volatility
    usual = float(scaled[train].mean())
    learners = return_learners(seed=settings.seed)
    rule = PresenceRule(settings.minimum_presence, settings.presence_sessions, settings.late_sessions)

    def fit_learners(rows: IntArray) -> Forecaster:
        return _fitted(learners, days.values, scaled, rows, rule)

    names = tuple(learner.model for learner in learners)
    held_out = out_of_fold(fit_learners, train, names=names, folds=settings.inner_folds, gap=GAP)
    beyond_usual = scaled[held_out.rows] - usual
    said = fit_learners(train)(test)
    blend = fit_blend(held_out, beyond_usual, folds=settings.inner_folds, losses=squared_losses)
    plain = least_squares_blend(held_out, beyond_usual)
    mean = np.full(len(test), days.excess[train].mean())
    deviation = np.full(len(test), np.sqrt((days.volatility[train] ** 2).mean()))

    def held(beyond: FloatArray) -> FloatArray:
        return scaled_positions(
            beyond, days.volatility[test], mean_return=mean, mean_volatility=deviation, settings=allocation
        )

    beyond_mean = {
        model: estimator.forecast(said) * days.volatility[test]
        for model, estimator in ((ENSEMBLE, blend.estimator), (LINEAR, plain))
    }
    nothing = np.full(len(test), np.nan)
    recipe = published_forecast(days.values, days.target, train, test, names=days.names)
    return {
        **{model: (usual * days.volatility[test] + beyond, held(beyond)) for model, beyond in beyond_mean.items()},
        PUBLISHED: (recipe, np.clip(1.0 + _PUBLISHED_MULTIPLIER * recipe, 0.0, 2.0)),
        BUY_AND_HOLD: (nothing, np.ones(len(test))),
        VOLATILITY_MANAGED: (nothing, held(np.zeros(len(test)))),
    }


def _fitted(
    learners: tuple[RealLearner, ...], values: FloatArray, scaled: FloatArray, rows: IntArray, rule: PresenceRule
) -> Forecaster:
    """Return what forecasts, of other rows, how far the scaled return lies from the mean of these."""
    columns = np.flatnonzero(judge_presence(values[rows], rule).is_present)
    fitted: list[Any] = [learner.fit(values[np.ix_(rows, columns)], scaled[rows]) for learner in learners]

    def forecast(later: IntArray) -> FloatArray:
        read = values[np.ix_(later, columns)]
        return np.column_stack([forecasts_of(estimator, read) for estimator in fitted])

    return forecast


def published_forecast(
    values: FloatArray, target: FloatArray, train: IntArray, test: IntArray, *, names: tuple[str, ...]
) -> FloatArray:
    """Return what the organisers' elastic net forecasts of the test rows: standardised columns, ten plain folds.

    A missing value becomes the mean of the training rows, where the notebook drops the row. Its folds are not purged,
    which is a fault of the recipe and is left in.
    """
    from sklearn.linear_model import ElasticNetCV

    columns = np.array([names.index(name) for name in PUBLISHED_COLUMNS], dtype=np.int64)
    learnt, later = values[np.ix_(train, columns)], values[np.ix_(test, columns)]
    mean, deviation = np.nanmean(learnt, axis=0), np.nanstd(learnt, axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    regression = ElasticNetCV(
        l1_ratio=_PUBLISHED_L1_SHARE, cv=_PUBLISHED_FOLDS, alphas=_PUBLISHED_ALPHAS, max_iter=1_000_000, n_jobs=1
    ).fit(np.nan_to_num((learnt - mean) / scale), target[train])
    forecast: FloatArray = regression.predict(np.nan_to_num((later - mean) / scale))
    return forecast
