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
from trading_dag.models.deep.network_estimator import WEIGHTS, NetworkEstimator
from trading_dag.models.deep.price_network import split_off_the_last
from trading_dag.models.deep.sequences import learn_scale, sequences_at
from trading_dag.models.deep.torch_library import (
    why_deep_models_are_off,
    why_device_is_missing,
    why_networks_are_off,
)
from trading_dag.models.learning.candidates import candidates_of
from trading_dag.models.learning.fitted import FittedFold, FittedModel, first_served, is_steady
from trading_dag.models.learning.fitting import library_versions
from trading_dag.models.learning.training import with_left_out
from trading_dag.models.spreads.spread_rows import (
    LONGEST,
    SPREAD_FEATURES,
    STEPS,
    SpreadRows,
    TrainingPart,
    collect_spread_rows,
    start_with_enough,
    training_parts,
)
from trading_dag.schemas import SPREAD_CLASSES
from trading_dag.setting_groups import DeepSettings, WalkForwardSettings
from trading_dag.slices import HORIZONS
from trading_dag.training_start import TrainingStart

if TYPE_CHECKING:
    from trading_dag.models.deep.training_loop import Checkpoints

NAME: Final = "spread_trunk"
NETWORKS: Final = ("spread_lstm", "spread_attention")
CLASS_WEIGHTS: Final = "class_weights"
CLASS_SHARES: Final = "class_shares"
TRUST: Final = "trust"
OF_EACH_HORIZON: Final = (CLASS_WEIGHTS, CLASS_SHARES, TRUST)
TRUST_GRID: FloatArray = np.arange(21) / 20.0
LEAST_PROBABILITY: Final = 1e-6
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
        return why_networks_are_off(self.deep) or why_device_is_missing(self.deep.device)

    def teach(self, kind: str, checkpoints: Checkpoints | None) -> FittedFold:
        """Return the fold of one kind of network."""
        rows, train, reason = self.rows, self.part.train, self.reason
        estimator = None if reason else self._network(kind, checkpoints)
        through = rows.target_sessions[train].max() if len(train) else None
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
            serves_from=first_served(self.part.first_test, through),
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
        return self._trusted(NetworkEstimator(kind, layers, arrays, STEPS, done.history), codes)

    def _trusted(self, network: NetworkEstimator, codes: IntArray) -> NetworkEstimator:
        """Return the network with how far it is trusted beside the classes' shares, judged on the rows held out."""
        shares = np.stack([_shares(column) for column in codes[self.learnt].T])
        said = _unweighted(network, self.rows.values[:, self.chosen], self.ends[self.held_out])
        happened = codes[self.held_out]
        trust = np.array([trust_of(said[:, at], shares[at], happened[:, at]) for at in range(len(shares))])
        return replace(network, arrays={**network.arrays, CLASS_SHARES: shares, TRUST: trust})


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
    for name in OF_EACH_HORIZON:
        arrays[name] = arrays[name][place : place + 1].copy()
    return replace(estimator, arrays=arrays, layers={**estimator.layers, "outputs": classes})


def class_probabilities(estimator: NetworkEstimator, values: FloatArray, ends: IntArray) -> FloatArray:
    """Return the probability of each class at one horizon for the sequences that end at the positions, (ends, classes).

    They are the network's, mixed with the shares of the classes by how far the network is trusted.

    Parameters
    ----------
    values : all sessions × the estimator's features, NaN where not known.
    """
    said = _unweighted(estimator, values, ends)[:, 0]
    trust, shares = estimator.arrays[TRUST][0], estimator.arrays[CLASS_SHARES][0]
    probabilities: FloatArray = trust * said + (1.0 - trust) * shares
    return probabilities


def trust_of(said: FloatArray, shares: FloatArray, happened: IntArray) -> float:
    """Return the weight of a network, 0 to 1 by twentieths, with which it and the shares of the classes together have
    the least log loss; the least weight of several, and 0 where nothing is known.

    Parameters
    ----------
    said, happened : probabilities of rows that were not learnt from, (rows, classes), and their classes; −1 for none.
    shares : of the classes among the rows that were.
    """
    known = happened >= 0
    if not known.any():
        return 0.0
    of_network, of_shares = said[known, happened[known]], shares[happened[known]]
    mixed = TRUST_GRID[:, None] * of_network + (1.0 - TRUST_GRID[:, None]) * of_shares
    return float(TRUST_GRID[np.log(np.maximum(mixed, LEAST_PROBABILITY)).mean(axis=1).argmax()])


def _shares(codes: IntArray) -> FloatArray:
    counts = np.bincount(codes[codes >= 0], minlength=len(SPREAD_CLASSES)).astype(np.float64)
    return counts / counts.sum() if counts.sum() else np.full(len(counts), 1.0 / len(counts))


def _unweighted(estimator: NetworkEstimator, values: FloatArray, ends: IntArray) -> FloatArray:
    """What a network says of each horizon, (ends, horizons, classes).

    It learnt as if all classes were equally frequent, which is what the class weights do; dividing by them gives back
    how frequent they are.
    """
    weights = estimator.arrays[CLASS_WEIGHTS]
    read = sequences_at(estimator.scale.apply(values), ends, steps=estimator.steps)
    logits = estimator.raw(read).reshape(len(ends), *weights.shape) - np.log(weights)
    odds = np.exp(logits - logits.max(axis=2, keepdims=True))
    probabilities: FloatArray = odds / odds.sum(axis=2, keepdims=True)
    return probabilities


def _scores(estimator: NetworkEstimator | None) -> dict[str, float]:
    """Epochs run, the losses of the one whose weights were kept, and how far it is trusted at each horizon."""
    if estimator is None:
        return {}
    best = min(estimator.history, key=lambda losses: losses[1])
    trust = {f"trust_{key}": float(trust) for key, trust in zip(HORIZONS, estimator.arrays[TRUST], strict=True)}
    return {"epochs": float(len(estimator.history)), "loss_learnt": best[0], "loss_held_out": best[1], **trust}


def _version_of_torch() -> dict[str, str]:
    return {} if why_deep_models_are_off() else {"torch": library_version("torch")}
