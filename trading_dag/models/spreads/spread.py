"""Spread model of one horizon: which credit spread the move will pay, HOLD, CALL_CREDIT or PUT_CREDIT.

Here belongs what makes one horizon's model of the ticker's trunk, the logistic beside it, and the baselines. How the
networks are fitted stands in ``models.spread_trunk``. The logistic reads the last session of each sequence and
needs no torch, so it is there where the networks are switched off.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.features.selection import rows_with_presence
from trading_dag.models.deep.network_estimator import NetworkEstimator
from trading_dag.models.deep.sequences import ends_of_sequences
from trading_dag.models.estimators.learners import Learner, logistic_learner
from trading_dag.models.learning.fitted import FittedFold, FittedModel
from trading_dag.models.learning.forecasting import (
    Block,
    FoldForecast,
    class_probabilities,
    finish_predictions,
    training_rows,
)
from trading_dag.models.learning.rows import (
    FEATURES_TABLE,
    feature_values,
    hash_of_columns,
    labels_by_session,
    require_ticker,
)
from trading_dag.models.spreads.spread_rows import STEPS, known_class_at
from trading_dag.models.spreads.spread_trunk import class_probabilities as network_probabilities
from trading_dag.models.spreads.spread_trunk import head_of
from trading_dag.schemas import PREDICTIONS_SPREAD, SPREAD_CLASSES
from trading_dag.setting_groups import WalkForwardSettings
from trading_dag.slices import HORIZONS, Horizon
from trading_dag.validation.scores.baselines import CLASS_PRIOR, PERSISTENCE, class_prior
from trading_dag.validation.walk_forward import fold_in_service

NAME: Final = "spread_lstm"
LOGISTIC: Final = "spread_logistic"
# Weak penalties read noise into forty columns of a few hundred rows; so strong a one leaves what many rows agree on.
LOGISTIC_C: Final = 0.001
_CLASSES: Final = np.array(SPREAD_CLASSES, dtype=object)
_LABELS: Final = ("target_session", "spread_class")


def fit(
    trunk: FittedModel,
    features: pd.DataFrame,
    targets: pd.DataFrame,
    *,
    horizon: Horizon,
    settings: WalkForwardSettings,
) -> FittedModel:
    """Return the horizon's part of the trunk's networks, and a logistic fitted on the same rows of the same folds.

    Parameters
    ----------
    trunk : result of ``spread_trunk.fit`` for the ticker.
    features, targets : features.feature_table of the ticker, labels.targets of it and this horizon.
    settings : least rows of a class.

    Returns
    -------
    Folds of ``spread_lstm``, ``spread_attention`` and ``spread_logistic``; status ``insufficient_data`` with the reason
    where the trunk has that, or where fewer than two classes have enough rows at this horizon.

    Raises
    ------
    SchemaError : for frames that are not of one slice or not in the shape of their tables.
    """
    rows = _Rows(trunk.ticker, features, targets, names=trunk.candidates, horizon=horizon)
    place = list(HORIZONS).index(horizon.key)
    learner = logistic_learner(LOGISTIC, {"C": LOGISTIC_C})
    networks, logistic = [], []
    for fold in trunk.folds:
        positions = rows.learnt_by(fold, settings)
        counts = np.bincount(rows.codes[positions], minlength=len(SPREAD_CLASSES))
        rare = _why_too_rare(counts, least=settings.minimum_class_rows)
        told: dict[str, Any] = {
            "prior": class_prior(_CLASSES[rows.codes[positions]], classes=SPREAD_CLASSES),
            "class_counts": dict(zip(SPREAD_CLASSES, map(int, counts), strict=True)),
        }
        reason = fold.reason or rare
        networks.append(
            replace(
                fold,
                **told,
                estimator=None if reason else head_of(fold.estimator, place),
                features=() if reason else fold.features,
                status="insufficient_data" if reason else "fitted",
                reason=reason,
            )
        )
        if fold.model == trunk.models[0]:
            logistic.append(_logistic_fold(replace(fold, **told), learner, rows, positions, reason=rare))
    return replace(
        trunk,
        name=NAME,
        horizon=horizon.key,
        folds=(*networks, *logistic),
        inputs={
            "trunk": trunk.content_hash(),
            "features": hash_of_columns(features, ("session", *trunk.candidates)),
            "targets": hash_of_columns(targets, ("session", *_LABELS)),
        },
    )


def predict(fitted: FittedModel, features: pd.DataFrame, targets: pd.DataFrame, *, horizon: Horizon) -> pd.DataFrame:
    """Out-of-sample forecasts of the models and, on the same sessions, of the baselines.

    ``class_prior`` gives the classes' shares in the serving fold's training rows. ``persistence`` says, with
    probability 1, that the class of the move that ended at the session comes again; where none is known, the shares.

    Parameters
    ----------
    fitted : result of ``fit``, from memory or from the store.
    features : features.feature_table, also with sessions later than the fit.
    targets : labels.targets; sessions without a label get NULL in y_true.

    Returns
    -------
    predictions.spread, ordered by session, then model. Known at each session's close.

    Raises
    ------
    SchemaError : for frames that are not of the fitted slice or not in the shape of their tables.
    ConfigurationError : where the model holds networks and torch is not installed.
    """
    rows = _Rows(fitted.ticker, features, targets, names=fitted.candidates, horizon=horizon)
    now = known_class_at(targets, rows.sessions)
    blocks: list[Block] = []
    compared: set[int] = set()
    for made in _forecasts(fitted, rows):
        named = {made.fold.model: made.probabilities}
        if made.fold.fold not in compared:
            compared.add(made.fold.fold)
            prior = np.tile([made.fold.prior[name] for name in SPREAD_CLASSES], (len(made.rows), 1))
            known = now[made.rows]
            stays = np.where((known >= 0)[:, None], np.eye(len(SPREAD_CLASSES))[np.maximum(known, 0)], prior)
            named |= {CLASS_PRIOR: prior, PERSISTENCE: stays}
        blocks += [_block(made, rows.truth, model=model, probabilities=shares) for model, shares in named.items()]
    return finish_predictions(blocks, fitted=fitted, sessions=rows.sessions, horizon=horizon, table=PREDICTIONS_SPREAD)


class _Rows:
    """All sessions of a feature table with the classes of one horizon."""

    def __init__(
        self, ticker: str, features: pd.DataFrame, targets: pd.DataFrame, *, names: tuple[str, ...], horizon: Horizon
    ) -> None:
        self.names = names
        self.sessions, self.values = feature_values(features, names)
        require_ticker(features, ticker, table=FEATURES_TABLE)
        labels = labels_by_session(targets, sessions=self.sessions, columns=_LABELS, horizon=horizon, ticker=ticker)
        self.target_sessions: pd.Series = labels["target_session"]
        self.truth: npt.NDArray[np.object_] = labels["spread_class"].to_numpy(dtype=object)
        found = pd.Index(SPREAD_CLASSES, dtype="object").get_indexer(pd.Index(self.truth, dtype="object"))
        self.codes: IntArray = found.astype(np.int64)
        self.ends = ends_of_sequences(len(self.sessions), steps=STEPS)

    def columns(self, names: tuple[str, ...]) -> IntArray:
        """Positions of features."""
        return np.array([self.names.index(name) for name in names], dtype=np.int64)

    def present(self, positions: IntArray, fold: FittedFold, *, minimum: float) -> IntArray:
        """Those of the positions whose session has enough of the features that a fold can expect."""
        values = self.values[np.ix_(positions, self.columns(fold.steady_features))]
        return positions[rows_with_presence(values, minimum_presence=minimum)]

    def learnt_by(self, fold: FittedFold, settings: WalkForwardSettings) -> IntArray:
        """Positions of the sessions of a fold's training part that have a class at this horizon."""
        if fold.train_first_session is None or fold.train_last_session is None:
            return self.ends[:0]
        inside = training_rows(fold, self.sessions, self.target_sessions) & (self.sessions <= fold.train_last_session)
        found = self.ends[inside[self.ends] & (self.codes[self.ends] >= 0)]
        return self.present(found, fold, minimum=settings.minimum_presence)


def _logistic_fold(
    fold: FittedFold, learner: Learner, rows: _Rows, positions: IntArray, *, reason: str | None
) -> FittedFold:
    """The logistic on the last session of the sequences that a fold of the networks has in its training part."""
    chosen = tuple(fold.selection.loc[fold.selection["selected"], "feature"])
    if not reason and not chosen:
        reason = "no feature is present often enough and varies in the training part"
    values = rows.values[np.ix_(positions, rows.columns(chosen))]
    return replace(
        fold,
        model=LOGISTIC,
        estimator=None if reason else learner.fit(values, rows.codes[positions], None),
        features=() if reason else chosen,
        status="insufficient_data" if reason else "fitted",
        reason=reason,
        n_train=len(positions),
        hyperparameters=learner.hyperparameters,
        metrics={},
    )


def _why_too_rare(counts: IntArray, *, least: int) -> str | None:
    rare = [f"{count} of {name}" for name, count in zip(SPREAD_CLASSES, counts, strict=True) if count < least]
    too_few = len(SPREAD_CLASSES) - len(rare) < 2
    return f"fewer than {least} training rows: {', '.join(rare)}" if too_few else None


def _forecasts(fitted: FittedModel, rows: _Rows) -> list[FoldForecast]:
    """Forecasts of every session that some fitted fold serves, the logistic's first: it is there without torch."""
    made = []
    for model in sorted(fitted.models, key=lambda name: name != LOGISTIC):
        folds = fitted.folds_of(model)
        starts = [fold.serves_from for fold in folds if fold.serves_from is not None]
        if len(starts) < len(folds):
            continue
        service = fold_in_service(rows.sessions, pd.DatetimeIndex(starts))
        for fold in folds:
            if fold.status != "fitted":
                continue
            served = rows.ends[service[rows.ends] == fold.fold]
            served = rows.present(served, fold, minimum=fitted.minimum_presence)
            if len(served):
                columns = rows.columns(fold.features)
                made.append(_forecast(fold, served, rows.values[:, columns]))
    return made


def _forecast(fold: FittedFold, served: IntArray, values: FloatArray) -> FoldForecast:
    read = values[served]
    if isinstance(fold.estimator, NetworkEstimator):
        return FoldForecast(fold, served, read, network_probabilities(fold.estimator, values, served))
    return FoldForecast(fold, served, read, class_probabilities(fold.estimator, read, classes=len(SPREAD_CLASSES)))


def _block(made: FoldForecast, truth: npt.NDArray[np.object_], *, model: str, probabilities: FloatArray) -> Block:
    """Forecasts of a model, or of a baseline, on the sessions that one fold serves."""
    shares: dict[str, Any] = {
        f"probability_{name.lower()}": probabilities[:, code] for code, name in enumerate(SPREAD_CLASSES)
    }
    return Block(
        made,
        model,
        {
            "y_true": truth[made.rows],
            "y_pred": _CLASSES[probabilities.argmax(axis=1)],
            **shares,
            "confidence": probabilities.max(axis=1),
        },
    )
