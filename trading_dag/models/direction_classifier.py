"""Direction classifier: P(UP) at a horizon, by a logistic regression and by boosted trees.

Here belongs what is special about direction: its features, classes, two learners and two
baselines. The protocol of the folds stands in ``training``. Everything a fold learns, it learns
from its own training part; what each forecast knew is in its ``fitted_through``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.frames import require_sessions
from trading_dag.models.augmentation import Augmentation
from trading_dag.models.candidates import candidates_of
from trading_dag.models.fitted import FittedModel
from trading_dag.models.fitting import fit_model
from trading_dag.models.forecasting import Block, FoldForecast, finish_predictions, forecast, training_rows
from trading_dag.models.importance import permutation_importance
from trading_dag.models.learners import AugmentedRows, Learner, logistic_learner, weighted_rows
from trading_dag.models.rows import collect_rows, labels_by_session
from trading_dag.models.training import Recipe
from trading_dag.models.tuned import ALL_ROWS, BEFORE_TESTS, NOTHING, UNTUNED, Tuned
from trading_dag.schemas import ALL_FEATURES, TABLES
from trading_dag.setting_groups import BootstrapSettings, WalkForwardSettings
from trading_dag.slices import Horizon
from trading_dag.training_start import EVERYTHING, TrainingStart
from trading_dag.validation.baselines import (
    CLASS_PRIOR,
    CLIMATOLOGY,
    PREVIOUS_DIRECTION,
    climatology,
    previous_direction,
    previous_returns,
)

NAME: Final = "direction_classifier"
LOGISTIC: Final = "direction_logistic"
XGBOOST: Final = "direction_xgboost"
CLASSES: Final = ("DOWN", "UP")
BOOST_ROUNDS: Final = 100
_BASELINE_THRESHOLD: Final = 0.5
_CALLS: Final = np.array(["DOWN", "UP"], dtype=object)


def fit(
    features: pd.DataFrame,
    targets: pd.DataFrame,
    *,
    horizon: Horizon,
    settings: WalkForwardSettings,
    ticker: str | None = None,
    augmentation: Augmentation | None = None,
    start: TrainingStart = EVERYTHING,
    chosen: tuple[str, ...] = (),
    tuned: Tuned = UNTUNED,
) -> FittedModel:
    """Fit both learners on every walk-forward fold, and once more on every label.

    Per training part: the top features by mutual information among the safe ones; L2 logistic
    regression on medians-filled, standardised values and an indicator for each group that begins
    late; boosted trees on the same columns, gaps included; a decision threshold each, from purged
    inner out-of-fold rows. Ambiguous rows are left out of the learning, not of the folds.

    Parameters
    ----------
    features : features.feature_table of one ticker.
    targets : labels.targets of the same ticker and this horizon; may have no rows.
    horizon, settings : gap between training and test part; folds, presence, seed.
    ticker : the underlying; by default that of the feature rows.
    augmentation : what each training part draws further rows from; None, or ``paths`` 0, for none.
    start : since when is learnt from.
    chosen : which features may be read, as ``choose_features`` takes them; empty for all.
    tuned : hyperparameters that searches have found; what they have not keeps the learners' own values.

    Returns
    -------
    Folds 1 to ``settings.folds`` and the live model, for ``direction_logistic`` and
    ``direction_xgboost``. Each is known from the close of its ``fitted_through`` on.

    Raises
    ------
    SchemaError : for frames that are not of one slice or not in the shape of their tables.
    UnknownFeatureError : for a choice that does not exist, or leaves nothing to read.
    AugmentedTestError : where a drawn session's label does not end inside its training part.
    """
    candidates = candidates_of(NAME, ALL_FEATURES, chosen=chosen, safe_only=settings.safe_features)
    collect = partial(
        collect_rows, names=candidates.names, label="direction", classes=CLASSES, horizon=horizon, ticker=ticker
    )
    recipe = Recipe(
        learners=direction_learners(seed=settings.seed, tuned=tuned.of_window(BEFORE_TESTS)),
        live_learners=direction_learners(seed=settings.seed, tuned=tuned.of_window(ALL_ROWS)),
        classes=CLASSES,
        top_features=settings.top_features,
        tunes_threshold=settings.optimize_threshold,
        left_out=candidates.left_out,
    )
    return fit_model(
        NAME, recipe, features, targets, collect=collect, horizon=horizon, settings=settings,
        augmentation=augmentation, start=start, chosen=chosen, tuned=tuned,
    )  # fmt: skip


def predict(
    fitted: FittedModel, features: pd.DataFrame, targets: pd.DataFrame, *, horizon: Horizon, prices: pd.DataFrame
) -> pd.DataFrame:
    """Out-of-sample forecasts of the models and, on the same sessions, of the baselines.

    ``climatology`` is the share of rises among all training rows of the serving fold, ``class_prior`` P(UP) among the
    clear ones. ``previous_direction``
    is a hard call, probability 1 or 0: the sign of the return over the horizon's length that
    ends at the session (0.5 where that return is zero or not known).

    Parameters
    ----------
    fitted : result of ``fit``, from memory or from the store.
    features : features.feature_table, also with sessions later than the fit.
    targets : labels.targets; sessions without a label get NULL in y_true and forward_return.
    prices : session, open, close, split-adjusted, for ``previous_direction``.

    Returns
    -------
    predictions.direction, ordered by session, then model. Known at each session's close.

    Raises
    ------
    SchemaError : for frames that are not of the fitted slice or not in the shape of their tables.
    """
    sessions = require_sessions(features, (), table="features.feature_table")
    require_sessions(prices, ("open", "close"), table="raw.prices_daily")
    labels = labels_by_session(
        targets,
        sessions=sessions,
        columns=("direction", "forward_return", "target_session"),
        horizon=horizon,
        ticker=fitted.ticker,
    )
    truth = labels["direction"].to_numpy(dtype=object)
    forward_return = labels["forward_return"].to_numpy(dtype=np.float64, na_value=np.nan)
    past = previous_direction(previous_returns(prices, horizon=horizon).reindex(sessions).to_numpy())
    blocks = []
    with_baselines: set[int] = set()
    for made in forecast(fitted, features):
        blocks.append(
            _block(made, truth, forward_return, model=made.fold.model, probability_up=made.probabilities[:, 1])
        )
        if made.fold.fold not in with_baselines:
            with_baselines.add(made.fold.fold)
            seen = training_rows(made.fold, sessions, labels["target_session"])
            baselines = {
                CLIMATOLOGY: np.full(len(made.rows), climatology(forward_return[seen])),
                CLASS_PRIOR: np.full(len(made.rows), made.fold.prior["UP"]),
                PREVIOUS_DIRECTION: past[made.rows],
            }
            blocks += [
                _block(made, truth, forward_return, model=name, probability_up=probability)
                for name, probability in baselines.items()
            ]
    return finish_predictions(
        blocks, fitted=fitted, sessions=sessions, horizon=horizon, table=TABLES["predictions.direction"]
    )


def importance(
    fitted: FittedModel, features: pd.DataFrame, targets: pd.DataFrame, *, horizon: Horizon, settings: BootstrapSettings
) -> pd.DataFrame:
    """Return what the out-of-sample forecasts lose where a feature is shuffled, as ``permutation_importance`` tells it.

    Scored are the sessions whose move left the dead band.
    """
    return permutation_importance(
        fitted, features, targets, task="direction", label="direction", classes=CLASSES, horizon=horizon,
        settings=settings,
    )  # fmt: skip


def _block(
    made: FoldForecast,
    truth: npt.NDArray[np.object_],
    forward_return: FloatArray,
    *,
    model: str,
    probability_up: FloatArray,
) -> Block:
    """Forecasts of one model, or of one baseline, on the sessions that one fold serves."""
    is_baseline = model != made.fold.model
    threshold = _BASELINE_THRESHOLD if is_baseline or made.fold.threshold is None else made.fold.threshold
    is_up = probability_up > threshold
    return Block(
        made,
        model,
        {
            "y_true": truth[made.rows],
            "forward_return": forward_return[made.rows],
            "y_pred": _CALLS[is_up.astype(np.intp)],
            "probability_up": probability_up,
            "threshold": threshold,
            "confidence": np.where(is_up, probability_up, 1.0 - probability_up),
        },
    )


def direction_learners(*, seed: int, tuned: Mapping[str, Mapping[str, Any]] = NOTHING) -> tuple[Learner, ...]:
    """Returns the learners by name, as tables sort them. Each is fitted, scored and stored beside the others.

    Parameters
    ----------
    tuned : by learner, hyperparameters that a search has found.
    """
    learners = (
        logistic_learner(LOGISTIC, tuned.get(LOGISTIC, NOTHING)),
        _xgboost(seed=seed, tuned=tuned.get(XGBOOST, NOTHING)),
    )
    return tuple(sorted(learners, key=lambda learner: learner.model))


def _xgboost(*, seed: int, tuned: Mapping[str, Any]) -> Learner:
    """Small boosted trees; gaps stay gaps, one thread, so that the result does not depend on the machine's cores."""
    named = dict(tuned)
    rounds = named.pop("num_boost_round", BOOST_ROUNDS)
    parameters: dict[str, Any] = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "max_depth": 3,
        "eta": 0.05,
        "min_child_weight": 10,
        "subsample": 0.8,
        "colsample_bytree": 0.8,
        "lambda": 10.0,
        "max_bin": 64,
        "nthread": 1,
        "seed": seed,
        **named,
    }

    def fit_trees(values: FloatArray, codes: IntArray, augmented: AugmentedRows | None) -> Any:
        import xgboost

        weights = None
        if augmented is not None:
            values, codes, weights = weighted_rows(values, codes, augmented)
        rows = xgboost.DMatrix(values, codes, weight=weights, nthread=1)
        return xgboost.train(parameters, rows, num_boost_round=rounds)

    return Learner(XGBOOST, {**parameters, "num_boost_round": rounds}, fit_trees, reads_gaps=True)
