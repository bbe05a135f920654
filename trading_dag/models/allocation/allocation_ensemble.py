"""Allocation ensemble: a forecast of the return above cash at a horizon, from which a position is made.

Here belongs what is fitted in each training part: an elastic net, LightGBM and XGBoost, and two blends of their
out-of-fold forecasts. The learners stand in ``return_learners``, the protocol of the folds in ``stacked_training``, the
way from a forecast to a position in ``positions`` and ``allocation_forecasts``. Saying the mean is always one of the
answers of ``allocation_ensemble``; ``allocation_linear`` is the design's plain least squares.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.models.allocation.cash import CASH_RATE, cash_returns
from trading_dag.models.allocation.return_learners import return_learners
from trading_dag.models.estimators.real_learners import as_pipeline
from trading_dag.models.learning.candidates import candidates_of
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.learning.rows import LabelledRows, hash_of_columns, labels_by_session
from trading_dag.models.price.price_stack import PRICE_STACK_FEATURES
from trading_dag.models.stacks.price_rows import PriceRows, collect_price_rows, scaled_outcomes, usual_size
from trading_dag.models.stacks.stacked_training import Blend, StackedSchool, fit_stacked_model
from trading_dag.models.stacks.stacking import OutOfFold, fit_blend, least_squares_blend, squared_losses
from trading_dag.setting_groups import PriceStackSettings, WalkForwardSettings
from trading_dag.slices import Horizon
from trading_dag.training_start import EVERYTHING, TrainingStart

NAME: Final = "allocation_ensemble"
ENSEMBLE: Final = "allocation_ensemble"
LINEAR: Final = "allocation_linear"
# What of its training part a position is measured by, among the inner scores of the ensemble's fold.
MEAN_SCALED: Final = "mean_scaled_return"
MEAN_RETURN: Final = "mean_return"
MEAN_SIZE: Final = "mean_size"


def fit(
    features: pd.DataFrame,
    targets: pd.DataFrame,
    *,
    horizon: Horizon,
    settings: WalkForwardSettings,
    stack: PriceStackSettings | None = None,
    ticker: str | None = None,
    start: TrainingStart = EVERYTHING,
    chosen: tuple[str, ...] = (),
) -> FittedModel:
    """Fit the learners and both blends on every walk-forward fold, and once more on every label.

    Parameters
    ----------
    features : features.feature_table of one ticker; the inputs are those of the price stack, fixed beforehand.
    targets : labels.targets of the same ticker and this horizon; may have no rows.
    horizon, settings : gap between training and test part; folds, presence, seed.
    stack : how many purged folds the blends learn from, and how few rows are too few; None for the defaults.
    ticker : the underlying; by default that of the feature rows.
    start : since when is learnt from.
    chosen : which features may be read, as ``choose_features`` takes them; empty for all.

    Returns
    -------
    Folds 1 to ``settings.folds`` and the live model of each learner, of ``allocation_ensemble`` and of
    ``allocation_linear``. Each is known from the close of its ``fitted_through`` on.

    Raises
    ------
    SchemaError : for frames that are not of one slice or not in the shape of their tables.
    UnknownFeatureError : for a choice that does not exist, or leaves nothing to read.
    """
    candidates = candidates_of(NAME, PRICE_STACK_FEATURES, chosen=chosen, safe_only=settings.safe_features)
    found = collect_price_rows(features, targets, names=candidates.names, horizon=horizon, ticker=ticker)
    excess = _excess_returns(found, features, targets, horizon=horizon)
    outcomes = scaled_outcomes(excess, found.volatility, horizon=horizon)
    found = replace(found, rows=_with_cash(found, features), outcomes=outcomes)
    cut = len(found.rows.sessions)
    found = found.since(start.first)
    excess = excess[cut - len(found.rows.sessions) :]
    blend = partial(_ensemble, found, excess, settings, horizon)
    school = StackedSchool(
        found, horizon, settings, stack or PriceStackSettings(), candidates.left_out,
        return_learners(seed=settings.seed), (Blend(ENSEMBLE, blend), Blend(LINEAR, partial(_linear, found))),
    )  # fmt: skip
    return fit_stacked_model(NAME, school, start=start, chosen=chosen)


def _excess_returns(found: PriceRows, features: pd.DataFrame, targets: pd.DataFrame, *, horizon: Horizon) -> FloatArray:
    """Return the forward return less the interest of cash of each row, a fraction."""
    labels = labels_by_session(
        targets, sessions=found.rows.sessions, columns=("forward_return",), horizon=horizon, ticker=found.rows.ticker
    )
    places = pd.DatetimeIndex(features["session"]).get_indexer(found.rows.sessions)
    excess: FloatArray = (
        labels["forward_return"].to_numpy(dtype=np.float64) - cash_returns(features, horizon=horizon)[places]
    )
    return excess


def _with_cash(found: PriceRows, features: pd.DataFrame) -> LabelledRows:
    """Return the rows with the content of the rate of cash among their inputs."""
    if CASH_RATE not in features.columns:
        return found.rows
    return replace(found.rows, inputs={**found.rows.inputs, "cash": hash_of_columns(features, ("session", CASH_RATE))})


def _ensemble(
    found: PriceRows,
    excess: FloatArray,
    settings: WalkForwardSettings,
    horizon: Horizon,
    held_out: OutOfFold,
    learnt: IntArray,
) -> tuple[Any, dict[str, Any], dict[str, float]]:
    """The penalised blend, what was chosen for it, its inner scores, and the means of the training part."""
    usual = float(found.outcomes[learnt].mean())
    blend = fit_blend(
        held_out, found.outcomes[held_out.rows] - usual, folds=settings.inner_folds, losses=squared_losses
    )
    size = usual_size(found.volatility[learnt], horizon=horizon)
    means = {
        MEAN_SCALED: usual,
        MEAN_RETURN: float(excess[learnt].mean()),
        MEAN_SIZE: float(np.sqrt((size**2).mean())),
    }
    return as_pipeline(blend.estimator), blend.chosen, {**blend.metrics, **means}


def _linear(found: PriceRows, held_out: OutOfFold, learnt: IntArray) -> tuple[Any, dict[str, Any], dict[str, float]]:
    """The least-squares blend."""
    beyond_usual = found.outcomes[held_out.rows] - found.outcomes[learnt].mean()
    return as_pipeline(least_squares_blend(held_out, beyond_usual)), {"out_of_fold_rows": len(held_out.rows)}, {}
