"""Volatility forecaster: P(LOW, NORMAL, HIGH) of the IV regime at a horizon.

Here belongs what is special about the IV regime: its rows, classes, learners and baselines. A multinomial logistic
regression reads 27 inputs; three learners of ``regime_forecaster`` read the index alone, forecast its level or rank,
and are the better for it. The protocol of the folds stands in ``training``. A regime persists for weeks, so what counts
as skill is to beat how regimes have followed each other, which stands beside it in every row set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.frames import require_sessions
from trading_dag.models.estimators.learners import Learner, logistic_learner
from trading_dag.models.estimators.tuned import ALL_ROWS, BEFORE_TESTS, NOTHING, UNTUNED, Tuned
from trading_dag.models.learning.augmentation import Augmentation
from trading_dag.models.learning.candidates import candidates_of
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.learning.fitting import fit_model
from trading_dag.models.learning.forecasting import Block, FoldForecast, finish_predictions, forecast, training_rows
from trading_dag.models.learning.importance import permutation_importance
from trading_dag.models.learning.rows import collect_rows, labels_by_session
from trading_dag.models.learning.training import Recipe
from trading_dag.models.volatility.level_inputs import LEVEL_INPUTS, OUTCOME, levels_at_target, with_level_inputs
from trading_dag.models.volatility.online_regime import KnownLevels, online_probabilities
from trading_dag.models.volatility.regime_forecaster import BLEND, ONLINE, level_learners
from trading_dag.schemas import ALL_FEATURES, IV_DIRECTIONS, IV_REGIMES, TABLES, VOLATILITY_FORECASTER_FEATURES
from trading_dag.sessions import TIME_UNIT
from trading_dag.setting_groups import BootstrapSettings, WalkForwardSettings
from trading_dag.slices import Horizon
from trading_dag.training_start import EVERYTHING, TrainingStart
from trading_dag.validation.scores.baselines import CLASS_PRIOR, MARKOV, PERSISTENCE, markov_transitions, persistence

NAME: Final = "volatility_forecaster"
LOGISTIC: Final = "volatility_logistic"
_CURRENT: Final = "iv_rank"
_DAY: Final = f"datetime64[{TIME_UNIT}]"
_REGIMES: Final = np.array(IV_REGIMES, dtype=object)
_CHANGES: Final = np.array(IV_DIRECTIONS, dtype=object)


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
    """Fit the regime's models on every walk-forward fold, and once more on every label.

    Parameters
    ----------
    features : features.feature_table of one ticker.
    targets : labels.targets of the same ticker and this horizon; may have no rows. Rows without
        an IV regime, and sessions without an IV rank, are not learnt from.
    horizon, settings : gap between training and test part; folds, presence.
    ticker : the underlying; by default that of the feature rows.
    augmentation : what each training part of ``volatility_logistic`` draws further rows from; None, or ``paths`` 0,
        for none. The others learn three numbers and a curve, for which the real rows are many.
    start : since when is learnt from.
    chosen : which features ``volatility_logistic`` may read, as ``choose_features`` takes them; empty for all. The
        others always read the index, and nothing else.
    tuned : hyperparameters that searches have found; what they have not keeps the learner's own values.

    Returns
    -------
    Folds 1 to ``settings.folds`` and the live model of ``volatility_logistic``, ``volatility_har``,
    ``volatility_ordered`` and ``volatility_blend``. Each is known from the close of its ``fitted_through`` on.

    Raises
    ------
    SchemaError : for frames that are not of one slice or not in the shape of their tables.
    UnknownFeatureError : for a choice that does not exist, or leaves nothing to read.
    AugmentedTestError : where a drawn session's label does not end inside its training part.
    """
    candidates = candidates_of(NAME, VOLATILITY_FORECASTER_FEATURES, chosen=chosen, safe_only=settings.safe_features)
    collect = partial(
        collect_rows,
        names=candidates.names,
        label="iv_regime",
        classes=IV_REGIMES,
        horizon=horizon,
        ticker=ticker,
        required=_CURRENT,
    )
    recipe = Recipe(
        learners=volatility_learners(tuned.of_window(BEFORE_TESTS)),
        live_learners=volatility_learners(tuned.of_window(ALL_ROWS)),
        classes=IV_REGIMES,
        top_features=None,
        tunes_threshold=False,
        left_out=candidates.left_out,
    )
    fitted = fit_model(
        NAME, recipe, features, targets, collect=collect, horizon=horizon, settings=settings,
        augmentation=augmentation, start=start, chosen=chosen, tuned=tuned,
    )  # fmt: skip
    of_index = _fit_on_the_index(features, targets, horizon=horizon, settings=settings, ticker=ticker, start=start)
    inputs = fitted.inputs | {f"{name}_of_index": digest for name, digest in of_index.inputs.items()}
    return replace(fitted, folds=fitted.folds + of_index.folds, inputs=inputs)


def _fit_on_the_index(
    features: pd.DataFrame,
    targets: pd.DataFrame,
    *,
    horizon: Horizon,
    settings: WalkForwardSettings,
    ticker: str | None,
    start: TrainingStart,
) -> FittedModel:
    """Fit the models that read the index alone, on the sessions and folds of the logistic regression."""
    collect = partial(
        collect_rows,
        names=LEVEL_INPUTS,
        label="iv_regime",
        classes=IV_REGIMES,
        horizon=horizon,
        ticker=ticker,
        required=_CURRENT,
        outcome=OUTCOME,
    )
    recipe = Recipe(
        learners=level_learners(),
        classes=IV_REGIMES,
        top_features=None,
        tunes_threshold=False,
        left_out=dict.fromkeys(ALL_FEATURES, "not_listed"),
        reads_whole_rows=True,
    )
    return fit_model(
        NAME, recipe, with_level_inputs(features, horizon=horizon),
        targets.assign(**{OUTCOME: levels_at_target(features, targets)}), collect=collect, horizon=horizon,
        settings=settings, augmentation=None, start=start, chosen=(),
    )  # fmt: skip


def predict(fitted: FittedModel, features: pd.DataFrame, targets: pd.DataFrame, *, horizon: Horizon) -> pd.DataFrame:
    """Out-of-sample forecasts of the models and of the baselines, which stand wherever a model does.

    ``volatility_online`` is ``volatility_blend`` that has learnt each outcome from the session on at which it is known.
    ``markov`` gives how often each regime followed the session's in the serving fold's training rows. ``persistence``
    says that the regime of the session stays, with probability 1.
    ``class_prior`` gives the classes' shares in the serving fold's training rows.

    Parameters
    ----------
    fitted : result of ``fit``, from memory or from the store.
    features : features.feature_table, also with sessions later than the fit. A session without
        an IV rank has no current regime and gets no row.
    targets : labels.targets; sessions without a label get NULL in y_true.

    Returns
    -------
    predictions.volatility, ordered by session, then model. Known at each session's close.

    Raises
    ------
    SchemaError : for frames that are not of the fitted slice or not in the shape of their tables.
    """
    sessions = require_sessions(features, (_CURRENT,), table="features.feature_table")
    labels = labels_by_session(
        targets.assign(happened=levels_at_target(features, targets)), sessions=sessions,
        columns=("iv_regime", "happened", "target_session"), horizon=horizon, ticker=fitted.ticker,
    )  # fmt: skip
    truth = labels["iv_regime"].to_numpy(dtype=object)
    current = persistence(features[_CURRENT].to_numpy(dtype=np.float64, na_value=np.nan)).to_numpy(dtype=object)
    regimes = pd.Index(IV_REGIMES, dtype="object")
    later, now_everywhere = (regimes.get_indexer(pd.Index(names, dtype="object")) for names in (truth, current))
    blocks = []
    with_baselines = np.zeros(len(sessions), dtype=np.bool_)
    with_levels = with_level_inputs(features, horizon=horizon)
    known = partial(
        KnownLevels.of,
        with_levels[list(LEVEL_INPUTS)].to_numpy(dtype=np.float64),
        labels["happened"].to_numpy(dtype=np.float64, na_value=np.nan),
        later.astype(np.int64),
        labels["target_session"].to_numpy(dtype=_DAY),
    )
    for made in forecast(fitted, with_levels, required=_CURRENT):
        now = now_everywhere[made.rows].astype(np.int64)
        blocks.append(_block(made, truth[made.rows], now, model=made.fold.model, probabilities=made.probabilities))
        if made.fold.model == BLEND:
            blocks.append(_online(made, truth[made.rows], now, sessions=sessions, known=known))
        fresh = ~with_baselines[made.rows]
        if not fresh.any():
            continue
        with_baselines[made.rows] = True
        only = FoldForecast(made.fold, made.rows[fresh], made.values[fresh], made.probabilities[fresh])
        seen = training_rows(made.fold, sessions, labels["target_session"])
        transitions = markov_transitions(now_everywhere[seen], later[seen], classes=len(IV_REGIMES))
        prior = np.tile([made.fold.prior[name] for name in IV_REGIMES], (len(only.rows), 1))
        blocks += [
            _block(only, truth[only.rows], now[fresh], model=model, probabilities=probabilities)
            for model, probabilities in (
                (MARKOV, transitions[now[fresh]]),
                (PERSISTENCE, np.eye(len(IV_REGIMES))[now[fresh]]),
                (CLASS_PRIOR, prior),
            )
        ]
    return finish_predictions(
        blocks, fitted=fitted, sessions=sessions, horizon=horizon, table=TABLES["predictions.volatility"]
    )


def importance(
    fitted: FittedModel, features: pd.DataFrame, targets: pd.DataFrame, *, horizon: Horizon, settings: BootstrapSettings
) -> pd.DataFrame:
    """Return what the out-of-sample forecasts lose where a feature is shuffled, as ``permutation_importance`` tells it.

    Scored are the sessions whose target has an IV regime.
    """
    return permutation_importance(
        fitted, with_level_inputs(features, horizon=horizon), targets, task="volatility", label="iv_regime",
        classes=IV_REGIMES, required=_CURRENT, horizon=horizon, settings=settings,
    )  # fmt: skip


def _online(
    made: FoldForecast,
    truth: npt.NDArray[np.object_],
    now: IntArray,
    *,
    sessions: pd.DatetimeIndex,
    known: Callable[..., KnownLevels],
) -> Block:
    """Forecasts of a fold's blend that has learnt every outcome known at each session."""
    fold, days = made.fold, sessions.to_numpy(dtype=_DAY)
    levels = known(counts=days >= np.datetime64(fold.train_first_session))
    probabilities, through = online_probabilities(
        fold.estimator, made.values, days[made.rows], known=levels, fitted_through=np.datetime64(fold.fitted_through)
    )
    block = _block(made, truth, now, model=ONLINE, probabilities=probabilities)
    online = replace(made, fold=replace(fold, model=ONLINE))
    return replace(block, made=online, columns=block.columns | {"fitted_through": through})


def _block(
    made: FoldForecast, truth: npt.NDArray[np.object_], now: IntArray, *, model: str, probabilities: FloatArray
) -> Block:
    """Forecasts of the model, or of one baseline, on the sessions that one fold serves."""
    called = probabilities.argmax(axis=1)
    return Block(
        made,
        model,
        {
            "y_true": truth,
            "current_regime": _REGIMES[now],
            "y_pred": _REGIMES[called],
            **{f"probability_{name.lower()}": probabilities[:, code] for code, name in enumerate(IV_REGIMES)},
            "confidence": probabilities.max(axis=1),
            "expected_change": _CHANGES[np.sign(called - now) + 1],
        },
    )


def volatility_learners(tuned: Mapping[str, Mapping[str, Any]] = NOTHING) -> tuple[Learner, ...]:
    """Return the ways in which the regime is learnt, from the 27 inputs; those of the index are ``level_learners``.

    Parameters
    ----------
    tuned : by learner, hyperparameters that a search has found.
    """
    return (logistic_learner(LOGISTIC, tuned.get(LOGISTIC, NOTHING)),)
