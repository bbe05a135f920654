"""Direction classifier: the probability of a rise at a horizon, and of UP where the move is clear.

Here belongs what is special about direction: its features, its two questions with their rows and classes, and its
baselines. The learners stand in ``direction_learners``, the protocol of the folds in ``training``. Everything a fold
learns, it learns from its own training part; what each forecast knew is in its ``fitted_through``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.frames import require_sessions
from trading_dag.models.direction.direction_learners import ONLINE, SHRUNK, published_learners, sign_learners
from trading_dag.models.estimators.tuned import ALL_ROWS, BEFORE_TESTS, UNTUNED, Tuned
from trading_dag.models.learning.augmentation import Augmentation
from trading_dag.models.learning.calibration import moved_to
from trading_dag.models.learning.candidates import candidates_of
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.learning.fitting import fit_model
from trading_dag.models.learning.forecasting import Block, FoldForecast, finish_predictions, forecast, training_rows
from trading_dag.models.learning.importance import permutation_importance
from trading_dag.models.learning.rows import collect_rows, labels_by_session, sign_codes
from trading_dag.models.learning.running_share import KnownOutcomes
from trading_dag.models.learning.training import Recipe
from trading_dag.schemas import ALL_FEATURES, RISE, TABLES, UP_IF_CLEAR
from trading_dag.sessions import TIME_UNIT
from trading_dag.setting_groups import BootstrapSettings, WalkForwardSettings
from trading_dag.slices import Horizon
from trading_dag.training_start import EVERYTHING, TrainingStart
from trading_dag.validation.scores.baselines import (
    CLASS_PRIOR,
    CLIMATOLOGY,
    PREVIOUS_DIRECTION,
    RUNNING_CLIMATOLOGY,
    climatology,
    previous_direction,
    previous_returns,
)

NAME: Final = "direction_classifier"
CLASSES: Final = ("DOWN", "UP")
SIGN_CLASSES: Final = ("NO_RISE", "RISE")
_UNTUNED_THRESHOLD: Final = 0.5
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
    """Fit all learners on every walk-forward fold, and once more on every label.

    Of a clear move's direction (``direction_logistic``), per training part: the top features by mutual information
    among the safe ones; L2 logistic regression on medians-filled, standardised values and an indicator for each group
    that begins late; a decision threshold from purged inner out-of-fold rows. Ambiguous rows are left out of the
    learning, not of the folds.

    Of a rise (``direction_shrunk``, ``direction_xgboost``), per training part, on all rows: the candidate that purged
    inner folds choose, which may be climatology, drawn towards climatology as far as the same rows ask for
    (``inner_search``). UP is called above one half.

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
    Folds 1 to ``settings.folds`` and the live model, for each learner. Each is known from the close of its
    ``fitted_through`` on.

    Raises
    ------
    SchemaError : for frames that are not of one slice or not in the shape of their tables.
    UnknownFeatureError : for a choice that does not exist, or leaves nothing to read.
    AugmentedTestError : where a drawn session's label does not end inside its training part.
    """
    candidates = candidates_of(NAME, ALL_FEATURES, chosen=chosen, safe_only=settings.safe_features)
    collect = partial(
        collect_rows, names=candidates.names, horizon=horizon, ticker=ticker, hashed=("direction", "forward_return")
    )
    make = partial(
        fit_model, NAME, features=features, targets=targets, horizon=horizon, settings=settings,
        augmentation=augmentation, start=start, chosen=chosen, tuned=tuned,
    )  # fmt: skip
    before, lately = tuned.of_window(BEFORE_TESTS), tuned.of_window(ALL_ROWS)
    learn_sign = partial(sign_learners, seed=settings.seed, top_features=settings.top_features)
    published = make(
        Recipe(
            learners=published_learners(before),
            live_learners=published_learners(lately),
            classes=CLASSES,
            top_features=settings.top_features,
            tunes_threshold=settings.optimize_threshold,
            left_out=candidates.left_out,
        ),
        collect=partial(collect, label="direction", classes=CLASSES),
    )
    sign = make(
        Recipe(
            learners=learn_sign(tuned=before),
            live_learners=learn_sign(tuned=lately),
            classes=SIGN_CLASSES,
            top_features=None,
            tunes_threshold=False,
            left_out=candidates.left_out,
        ),
        collect=partial(collect, label="forward_return", classes=SIGN_CLASSES, coded=sign_codes),
    )
    folds = sorted((*published.folds, *sign.folds), key=lambda fold: (fold.model, fold.fold))
    models = tuple(dict.fromkeys(fold.model for fold in folds))
    return replace(published, folds=tuple(folds), training={**published.training, **tuned.record(models)})


def predict(
    fitted: FittedModel, features: pd.DataFrame, targets: pd.DataFrame, *, horizon: Horizon, prices: pd.DataFrame
) -> pd.DataFrame:
    """Out-of-sample forecasts of the models and, on the same sessions, of the baselines.

    ``direction_online`` says what ``direction_shrunk`` says. In a fold that follows the running share it lies as far
    from the share of rises among the last outcomes known at the session as the other lies from that of the training
    rows: each outcome counts from the session at which it is known.
    ``climatology`` is the share of rises among all training rows of the serving fold, ``running_climatology`` that
    running share itself, ``class_prior`` P(UP) among the clear ones. ``previous_direction`` is a hard call, probability
    1 or 0: the sign of the return over the horizon's length that ends at the session (0.5 where that return is zero or
    not known). What each probability is one of, its ``probability_event`` says.

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
    clear_prior = {fold.fold: fold.prior["UP"] for fold in fitted.folds if fold.classes == CLASSES}
    ends = labels["target_session"].to_numpy(dtype=f"datetime64[{TIME_UNIT}]")
    blocks = []
    with_baselines: set[int] = set()
    for made in forecast(fitted, features):
        blocks.append(
            _block(made, truth, forward_return, model=made.fold.model, probability_up=made.probabilities[:, 1])
        )
        if made.fold.model == SHRUNK:
            blocks += _online(made, truth, forward_return, sessions=sessions, ends=ends)
        if made.fold.fold not in with_baselines:
            with_baselines.add(made.fold.fold)
            seen = training_rows(made.fold, sessions, labels["target_session"])
            baselines = {
                CLIMATOLOGY: np.full(len(made.rows), climatology(forward_return[seen])),
                CLASS_PRIOR: np.full(len(made.rows), clear_prior[made.fold.fold]),
                PREVIOUS_DIRECTION: past[made.rows],
            }
            blocks += [
                _block(made, truth, forward_return, model=name, probability_up=probability)
                for name, probability in baselines.items()
                if np.isfinite(probability).all()
            ]
    return finish_predictions(
        blocks, fitted=fitted, sessions=sessions, horizon=horizon, table=TABLES["predictions.direction"]
    )


def importance(
    fitted: FittedModel, features: pd.DataFrame, targets: pd.DataFrame, *, horizon: Horizon, settings: BootstrapSettings
) -> pd.DataFrame:
    """Return what the out-of-sample forecasts lose where a feature is shuffled, as ``permutation_importance`` tells it.

    Each model is scored on what it is asked: that of a rise on all sessions, that of a clear move's direction on the
    sessions whose move left the dead band.
    """
    asked = (
        (CLASSES, {"label": "direction"}),
        (SIGN_CLASSES, {"label": "forward_return", "coded": sign_codes}),
    )
    parts = [
        permutation_importance(
            fitted.of_models({fold.model for fold in fitted.folds if fold.classes == classes}), features, targets,
            task="direction", classes=classes, horizon=horizon, settings=settings, **label,
        )
        for classes, label in asked
    ]  # fmt: skip
    found = [part for part in parts if len(part)]
    return pd.concat(found, ignore_index=True) if found else parts[0]


def _online(
    made: FoldForecast,
    truth: npt.NDArray[np.object_],
    forward_return: FloatArray,
    *,
    sessions: pd.DatetimeIndex,
    ends: npt.NDArray[np.datetime64],
) -> list[Block]:
    """Return what a fold says from the running share of rises, where it follows that, and the running share itself."""
    fold, days = made.fold, sessions.to_numpy(dtype=ends.dtype)
    rose = (forward_return > 0).astype(np.float64)
    is_learnt = np.isfinite(forward_return) & (days >= np.datetime64(fold.train_first_session))
    share, known_through = KnownOutcomes.of(rose, ends, counts=is_learnt).running_share(days[made.rows])
    moved = made.probabilities[:, 1]
    through = np.full(len(moved), np.datetime64(fold.fitted_through, TIME_UNIT))
    if fold.calibration.get("follows_running_share"):  # a model that was stored before there was a choice follows none
        moved, through = moved_to(moved, usual=fold.calibration["climatology"], other=share), known_through
    online = replace(made, fold=replace(fold, model=ONLINE))
    return [
        replace(block, columns=block.columns | {"fitted_through": known})
        for block, known in (
            (_block(online, truth, forward_return, model=ONLINE, probability_up=moved), through),
            (_block(made, truth, forward_return, model=RUNNING_CLIMATOLOGY, probability_up=share), known_through),
        )
    ]


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
    threshold = _UNTUNED_THRESHOLD if is_baseline or made.fold.threshold is None else made.fold.threshold
    is_up = probability_up > threshold
    is_of_clear_moves = model == CLASS_PRIOR or (not is_baseline and made.fold.classes == CLASSES)
    before = None if is_baseline or made.uncalibrated is None else made.uncalibrated[:, 1]
    return Block(
        made,
        model,
        {
            "y_true": truth[made.rows],
            "forward_return": forward_return[made.rows],
            "y_pred": _CALLS[is_up.astype(np.intp)],
            "probability_up": probability_up,
            "probability_event": UP_IF_CLEAR if is_of_clear_moves else RISE,
            "uncalibrated_probability_up": np.nan if before is None else before,
            "threshold": threshold,
            "confidence": np.where(is_up, probability_up, 1.0 - probability_up),
        },
    )
