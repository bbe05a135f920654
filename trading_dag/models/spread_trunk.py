"""The spread networks of one ticker: one trunk for all horizons, with as many softmaxes as there are horizons.

Here belongs how each fold's networks are fitted. What they read stands in ``spread_rows``, their layers in
``networks``; a horizon's own model, with its baselines, in ``models.spread``. The horizons of a ticker share features,
sequences and most of what can be learnt from them; a network for each would cost six times as much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.features.selection import PresenceRule, rows_with_presence, select_features
from trading_dag.library_versions import library_version
from trading_dag.models.candidates import candidates_of
from trading_dag.models.deep.network_estimator import WEIGHTS, NetworkEstimator
from trading_dag.models.deep.price_network import split_off_the_last
from trading_dag.models.deep.sequences import learn_scale, sequences_at
from trading_dag.models.deep.torch_library import why_deep_models_are_off, why_device_is_missing
from trading_dag.models.fitted import FittedFold, FittedModel, is_steady
from trading_dag.models.fitting import library_versions
from trading_dag.models.spread_rows import (
    LONGEST,
    SPREAD_FEATURES,
    STEPS,
    SpreadRows,
    TrainingPart,
    collect_spread_rows,
    start_with_enough,
    training_parts,
)
from trading_dag.models.training import with_left_out
from trading_dag.schemas import SPREAD_CLASSES
from trading_dag.setting_groups import DeepSettings, WalkForwardSettings
from trading_dag.training_start import TrainingStart

if TYPE_CHECKING:
    from trading_dag.models.deep.training_loop import Checkpoints

NAME: Final = "spread_trunk"
NETWORKS: Final = ("spread_lstm", "spread_attention")
CLASS_WEIGHTS: Final = "class_weights"
LEAST_ROWS: Final = 100


def fit(
    features: pd.DataFrame,
    targets: Mapping[str, pd.DataFrame],
    *,
    settings: WalkForwardSettings,
    deep: DeepSettings,
    start: TrainingStart,
    chosen: tuple[str, ...] = (),
    ticker: str | None = None,
    checkpoints: Checkpoints | None = None,
) -> FittedModel:
    """Fit both networks on every walk-forward fold, and once more on every label.

    Parameters
    ----------
    features : features.feature_table of one ticker.
    targets : labels of every horizon by its key.
    settings, deep : folds, presence; how networks are trained.
    start : since when is learnt from; a date that leaves less than five years is moved back.
    chosen : which features may be read; empty for all.
    ticker : the underlying; by default that of the feature rows.
    checkpoints : where a training goes on if it was killed; None keeps nothing.

    Returns
    -------
    Folds of ``spread_lstm`` and ``spread_attention``. Where torch or the device is missing, or the rows are too few,
    they have status ``insufficient_data`` and the reason: nothing is raised for it, so the ticker's other work goes on.

    Raises
    ------
    SchemaError : for frames that are not of one slice or not in the shape of their tables.
    """
    candidates = candidates_of(NAME, SPREAD_FEATURES, chosen=chosen, safe_only=settings.safe_features)
    rows = collect_spread_rows(features, targets, names=candidates.names, ticker=ticker)
    start = start_with_enough(start, rows.sessions)
    folds = []
    for part in training_parts(rows, settings, start):
        lesson = _Lesson(rows, part, settings, deep)
        for kind in NETWORKS:
            fold = lesson.teach(kind, checkpoints)
            folds.append(replace(fold, selection=with_left_out(fold.selection, candidates.left_out)))
    order = {kind: place for place, kind in enumerate(NETWORKS)}
    return FittedModel(
        name=NAME,
        ticker=rows.ticker,
        horizon="",
        folds=tuple(sorted(folds, key=lambda fold: (order[fold.model], fold.fold))),
        minimum_presence=settings.minimum_presence,
        libraries=library_versions() | _version_of_torch(),
        inputs=rows.inputs,
        training={"since": str(start), "features": list(chosen), "safe_features": settings.safe_features},
    )


class _Lesson:
    """What one training part offers: columns that are present and vary, and rows that have enough of them."""

    def __init__(self, rows: SpreadRows, part: TrainingPart, settings: WalkForwardSettings, deep: DeepSettings) -> None:
        self.rows, self.part, self.deep = rows, part, deep
        values = rows.values[part.train]
        rule = PresenceRule(settings.minimum_presence, settings.presence_sessions, settings.late_sessions)
        codes = rows.codes[LONGEST.key][part.train]
        self.selection = select_features(values, codes, names=rows.names, presence=rule, top_features=None)
        steady = np.flatnonzero(is_steady(self.selection))
        self.chosen = np.flatnonzero(self.selection["selected"].to_numpy())
        present = rows_with_presence(values[:, steady], minimum_presence=settings.minimum_presence)
        self.ends = part.train[present]
        learnt, self.held_out = split_off_the_last(len(self.ends), share=deep.held_out_share, gap=LONGEST.gap_sessions)
        self.learnt = learnt

    @property
    def reason(self) -> str | None:
        """Why no network can be fitted; None where one can."""
        if not len(self.part.train):
            return "too few labelled sessions to make the folds"
        if not len(self.chosen):
            return "no feature is present often enough and varies in the training part"
        if len(self.learnt) < LEAST_ROWS:
            return f"{len(self.learnt)} rows to learn from, fewer than {LEAST_ROWS}"
        return why_deep_models_are_off() or why_device_is_missing(self.deep.device)

    def teach(self, kind: str, checkpoints: Checkpoints | None) -> FittedFold:
        """Return the fold of one kind of network."""
        rows, train, reason = self.rows, self.part.train, self.reason
        estimator = None if reason else self._network(kind, checkpoints)
        through = rows.target_sessions[train].max() if len(train) else None
        served = [day for day in (self.part.first_test, through) if day is not None]
        return FittedFold(
            model=kind,
            fold=self.part.number,
            estimator=estimator,
            features=() if reason else tuple(rows.names[column] for column in self.chosen),
            classes=SPREAD_CLASSES,
            threshold=None,
            prior={},
            train_first_session=rows.sessions[train[0]] if len(train) else None,
            train_last_session=rows.sessions[train[-1]] if len(train) else None,
            fitted_through=through,
            serves_from=max(served) if served else None,
            n_train=len(self.learnt),
            class_counts={key: int((codes[self.ends] >= 0).sum()) for key, codes in rows.codes.items()},
            status="insufficient_data" if reason else "fitted",
            reason=reason,
            selection=self.selection,
            hyperparameters=self.deep.model_dump(mode="json") | {"network": kind, "steps": STEPS},
            metrics=_scores(estimator),
        )

    def _network(self, kind: str, checkpoints: Checkpoints | None) -> NetworkEstimator:
        """Return one network, trained on the rows that are learnt from until those held out say stop."""
        import torch

        from trading_dag.models.deep.networks import SPREAD_ATTENTION, build_network
        from trading_dag.models.deep.training_loop import TrainingPlan, train

        deep = self.deep
        scale = learn_scale(self.rows.values[np.ix_(self.ends[self.learnt], self.chosen)])
        codes = np.stack([codes[self.ends] for codes in self.rows.codes.values()], axis=1)
        weights = class_weights(codes[self.learnt])
        layers: dict[str, Any] = {"inputs": len(self.chosen), "outputs": weights.size}
        if kind == SPREAD_ATTENTION:
            layers["steps"] = STEPS
        network = build_network(kind, layers, seed=deep.seed)
        read = torch.from_numpy(scale.apply(self.rows.values[:, self.chosen])).to(deep.device)
        ends = torch.from_numpy(self.ends).to(deep.device)
        wanted, weight = torch.from_numpy(codes).to(deep.device), torch.from_numpy(weights.astype(np.float32))
        weight = weight.to(deep.device)
        places, before = torch.arange(len(weights), device=deep.device), torch.arange(1 - STEPS, 1, device=deep.device)

        def loss(model: torch.nn.Module, at: torch.Tensor) -> torch.Tensor:
            logits = model(read[ends[at][:, None] + before]).reshape(len(at), len(weights), -1)
            if not model.training:
                logits = logits - torch.log(weight)
            outcome = wanted[at]
            known = outcome >= 0
            safe = outcome.clamp(min=0)
            surprise = -torch.log_softmax(logits, dim=2).gather(2, safe[:, :, None])[:, :, 0]
            if model.training:
                surprise = surprise * weight[places, safe]
            return (surprise * known).sum() / known.sum().clamp(min=1)

        plan = TrainingPlan(
            deep.epochs, deep.patience, deep.batch, deep.learning_rate, deep.weight_decay, deep.largest_gradient,
            deep.seed, deep.device,
        )  # fmt: skip
        done = train(
            network, loss, learnt=self.learnt, held_out=self.held_out, plan=plan, name=f"{kind}-{self.part.number}",
            checkpoints=checkpoints,
        )  # fmt: skip
        arrays = {f"{WEIGHTS}{name}": tensor.numpy() for name, tensor in done.state.items()}
        arrays |= {"scale.mean": scale.mean, "scale.deviation": scale.deviation, CLASS_WEIGHTS: weights}
        return NetworkEstimator(kind, layers, arrays, STEPS, done.history)


def class_weights(codes: IntArray) -> FloatArray:
    """Return the weight of each class at each horizon with which all classes count alike, (horizons, classes).

    Parameters
    ----------
    codes : rows × horizons, −1 without a class. A class without a row keeps the weight 1.
    """
    counts = np.stack([np.bincount(column[column >= 0], minlength=len(SPREAD_CLASSES)) for column in codes.T])
    known = counts.sum(axis=1, keepdims=True)
    weights: FloatArray = np.where(counts > 0, known / (len(SPREAD_CLASSES) * np.maximum(counts, 1)), 1.0)
    return weights


def head_of(estimator: NetworkEstimator, place: int) -> NetworkEstimator:
    """Return the network of one horizon: the whole trunk, and of the outputs those that belong to it."""
    classes = len(SPREAD_CLASSES)
    own = slice(place * classes, (place + 1) * classes)
    arrays = dict(estimator.arrays)
    for name in ("output.weight", "output.bias"):
        arrays[f"{WEIGHTS}{name}"] = arrays[f"{WEIGHTS}{name}"][own].copy()
    arrays[CLASS_WEIGHTS] = arrays[CLASS_WEIGHTS][place : place + 1].copy()
    return replace(estimator, arrays=arrays, layers={**estimator.layers, "outputs": classes})


def class_probabilities(estimator: NetworkEstimator, values: FloatArray, ends: IntArray) -> FloatArray:
    """Return the probability of each class at one horizon for the sequences that end at the positions, (ends, classes).

    The network learnt as if all classes were equally frequent, which is what its class weights do; dividing by them
    gives back how frequent they are.

    Parameters
    ----------
    values : all sessions × the estimator's features, NaN where not known.
    """
    scaled = estimator.scale.apply(values)
    logits = estimator.raw(sequences_at(scaled, ends, steps=estimator.steps)) - np.log(estimator.arrays[CLASS_WEIGHTS])
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: FloatArray = odds / odds.sum(axis=1, keepdims=True)
    return probabilities


def _scores(estimator: NetworkEstimator | None) -> dict[str, float]:
    """Epochs run, and the losses of the one whose weights were kept."""
    if estimator is None:
        return {}
    best = min(estimator.history, key=lambda losses: losses[1])
    return {"epochs": float(len(estimator.history)), "loss_learnt": best[0], "loss_held_out": best[1]}


def _version_of_torch() -> dict[str, str]:
    return {} if why_deep_models_are_off() else {"torch": library_version("torch")}
