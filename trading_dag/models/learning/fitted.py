"""Fitted models as frozen values, and the tables that describe them.

Here belongs what a fit leaves behind: estimators with the data window, features, threshold and
prior that belong to them. How they are fitted stands in ``training`` and in the model modules;
how they are stored, in ``resources.storage.models.store``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray
from trading_dag.errors import UntrustedModelError
from trading_dag.frames import table_frame
from trading_dag.models.deep.network_estimator import NetworkEstimator
from trading_dag.models.estimators.gaps import INDICATOR_PREFIX
from trading_dag.models.estimators.light_trees import LightTrees
from trading_dag.schemas import GROUP_OF_FEATURE, INPUTS, TABLES

# Why a feature is not among those that a row is judged by.
NO_CANDIDATE: Final = ("not_chosen", "not_safe", "not_listed")
_ABSENT: Final = ("below_presence", *NO_CANDIDATE)

ModelName = Literal[
    "direction_classifier", "volatility_forecaster", "price_stack", "allocation_ensemble", "spread_trunk", "spread_lstm"
]
FoldStatus = Literal["fitted", "insufficient_data"]


@dataclass(frozen=True, eq=False)
class FittedFold:
    """One model of one fold.

    Attributes
    ----------
    model : model name as in the predictions, such as ``direction_logistic``.
    fold : 1 … for walk-forward folds; the last number is the live model, fitted on every label.
    estimator : scikit-learn ``Pipeline``, xgboost ``Booster``, ``LightTrees`` or ``NetworkEstimator``; None where the
        data were insufficient.
    features : names the estimator reads, in its column order.
    classes : class names, in the order of the probabilities.
    threshold : P(UP) above which UP is called; None for a model that is not binary.
    prior : share of each class among the training rows.
    train_first_session, train_last_session : ends of the training part; None without rows.
    fitted_through : last target session of the training part, ambiguous rows included. What the
        fold knows, it knows from this session's close on.
    serves_from : first session that the fold may forecast: the first of its test part, and for the
        live model ``fitted_through``. Never before ``fitted_through``.
    n_train : rows that were learnt from.
    class_counts : those rows by class.
    status, reason : ``fitted``, or ``insufficient_data`` and why.
    selection : of every feature, as ``features.selection`` gives it, and of those that were no candidates.
    hyperparameters : what the estimator was given.
    metrics : scores on purged inner out-of-fold rows of the training part.
    augmentation : how many augmented rows were learnt from besides (``rows``), and how they were drawn: paths, seed,
        weight, mean_block, drawn_from, drawn_through. Empty where none were asked for.
    indicators : columns that the estimator reads behind the features, and the features that each stands for: 1 where
        none of these is known. Empty where nothing begins late, or the estimator reads gaps itself.
    calibration : how far the estimator is believed, as ``calibration.calibrated`` takes it: ``climatology``, the share
        of the second class in the training part, and ``shrink``. Empty where it is believed as it is.
    """

    model: str
    fold: int
    estimator: Any
    features: tuple[str, ...]
    classes: tuple[str, ...]
    threshold: float | None
    prior: dict[str, float]
    train_first_session: pd.Timestamp | None
    train_last_session: pd.Timestamp | None
    fitted_through: pd.Timestamp | None
    serves_from: pd.Timestamp | None
    n_train: int
    class_counts: dict[str, int]
    status: FoldStatus
    reason: str | None
    selection: pd.DataFrame
    hyperparameters: dict[str, Any]
    metrics: dict[str, float] = field(default_factory=dict)
    augmentation: dict[str, Any] = field(default_factory=dict)
    indicators: dict[str, tuple[str, ...]] = field(default_factory=dict)
    calibration: dict[str, float] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that the estimator reads, in their order."""
        return (*self.features, *self.indicators)

    @cached_property
    def steady_features(self) -> tuple[str, ...]:
        """Names that were present enough over the whole training part: a row needs most of these to be forecast.

        What begins late is none of them. The fold has learnt from rows without it, so it can forecast such a row.
        """
        return tuple(self.selection.loc[is_steady(self.selection), "feature"])


def first_served(first_test: pd.Timestamp | None, fitted_through: pd.Timestamp | None) -> pd.Timestamp | None:
    """Return the first session that a fold may forecast: of its test part, and never before what it has learnt from
    was known; None where there is neither.
    """
    return max((day for day in (first_test, fitted_through) if day is not None), default=None)


def is_steady(selection: pd.DataFrame) -> BoolArray:
    """Which rows of a selection are features that were present enough over the whole training part."""
    is_present = ~selection["reason"].isin(_ABSENT).to_numpy(dtype=np.bool_)
    steady: BoolArray = is_present & ~selection["begins_late"].to_numpy(dtype=np.bool_)
    return steady


@dataclass(frozen=True, eq=False)
class FittedModel:
    """Every fold of one model family for one slice.

    Attributes
    ----------
    name : of the family, such as ``price_stack``.
    ticker, horizon : the slice; the horizon is empty for a model of all horizons of a ticker.
    folds : fitted folds, ordered by model, then fold.
    minimum_presence : share of ``steady_features`` that a row needs.
    libraries : versions of the libraries that fitted it.
    inputs : content hash of each input frame.
    training : what was chosen to be learnt from, in JSON types: since, features, safe_features, top_features,
        optimize_threshold. Empty for models that were stored before there was a choice.
    """

    name: ModelName
    ticker: str
    horizon: str
    folds: tuple[FittedFold, ...]
    minimum_presence: float
    libraries: dict[str, str]
    inputs: dict[str, str]
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def models(self) -> tuple[str, ...]:
        """Model names, in order."""
        return tuple(dict.fromkeys(fold.model for fold in self.folds))

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """Names of the features that its folds chose from, in order."""
        kept = (fold.selection.loc[~fold.selection["reason"].isin(NO_CANDIDATE), "feature"] for fold in self.folds)
        return tuple(dict.fromkeys(name for names in kept for name in names))

    def of_models(self, models: Collection[str]) -> FittedModel:
        """Returns the same with the folds of these models alone; its content hash is another."""
        return replace(self, folds=tuple(fold for fold in self.folds if fold.model in models))

    def folds_of(self, model: str) -> tuple[FittedFold, ...]:
        """Folds of one model, ascending."""
        return tuple(fold for fold in self.folds if fold.model == model)

    @cached_property
    def model_version(self) -> str:
        """What forecasts, signals and trades name it by: the first 8 digits of its content hash.

        It tells models apart, not moments: the same data, seed and machine give the same. The version under which the
        model store holds it ends with it.
        """
        return self.content_hash()[:8]

    def registry(self, version: str) -> pd.DataFrame:
        """Rows of ``models.registry``: one per model and fold.

        Parameters
        ----------
        version : the immutable version under which the model store holds it.
        """
        folds = self.folds
        values: dict[str, Any] = {
            name: [getattr(fold, name) for fold in folds]
            for name in (
                "model", "fold", "status", "reason", "train_first_session", "train_last_session", "fitted_through",
                "n_train", "threshold",
            )
        } | {
            "ticker": self.ticker,
            "horizon": self.horizon,
            "version": version,
            "model_version": self.model_version,
            "n_features": [len(fold.features) for fold in folds],
            "hyperparameters": [canonical_json(fold.hyperparameters | _augmentation_of(fold)) for fold in folds],
            "training": canonical_json(self.training) if self.training else None,
            "class_counts": [canonical_json(fold.class_counts) for fold in folds],
            "libraries": canonical_json(self.libraries),
            "inputs": canonical_json(self.inputs),
        }  # fmt: skip
        return table_frame(TABLES["models.registry"], values, rows=len(folds))

    def input_table(self) -> pd.DataFrame:
        """Return rows of ``models.inputs``: one per model, fold and feature, and per indicator that is read."""
        parts = [_inputs_of(fold) for fold in self.folds if len(fold.selection)]
        if not parts:
            return table_frame(INPUTS, {}, rows=0)
        frame = pd.concat(parts, ignore_index=True).assign(ticker=self.ticker, horizon=self.horizon)
        return table_frame(INPUTS, {name: frame[name] for name in INPUTS.column_names}, rows=len(frame))

    @property
    def _head(self) -> list[Any]:
        """What all folds have in common. A model from before there was a choice keeps its hash."""
        given = [self.training] if self.training else []
        return [self.name, self.ticker, self.horizon, self.libraries, self.inputs, *given]

    def content_hash(self) -> str:
        """SHA-256 of everything that decides a forecast: specs and the estimators' parameters.

        The same data, seed and machine give the same hash.
        """
        digest = hashlib.sha256()
        digest.update(canonical_json(self._head).encode())
        for fold in self.folds:
            digest.update(canonical_json(fold_spec(fold)).encode())
            _hash_estimator(digest, fold.estimator)
        return digest.hexdigest()


def canonical_json(value: object) -> str:
    """JSON with sorted keys and without spaces, the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def fold_spec(fold: FittedFold) -> dict[str, Any]:
    """All of a fold but its estimator and selection, in JSON types; sessions as ISO dates."""
    days = {
        name: None if (day := getattr(fold, name)) is None else f"{day:%Y-%m-%d}"
        for name in ("train_first_session", "train_last_session", "fitted_through", "serves_from")
    }
    return {
        "model": fold.model,
        "fold": fold.fold,
        "features": list(fold.features),
        "classes": list(fold.classes),
        "threshold": fold.threshold,
        "prior": {name: share if np.isfinite(share) else None for name, share in fold.prior.items()},
        **days,
        "n_train": fold.n_train,
        "class_counts": fold.class_counts,
        "status": fold.status,
        "reason": fold.reason,
        "hyperparameters": fold.hyperparameters,
        "metrics": fold.metrics,
        **_augmentation_of(fold),
        **_indicators_of(fold),
        **({"calibration": fold.calibration} if fold.calibration else {}),
    }


def _inputs_of(fold: FittedFold) -> pd.DataFrame:
    """Rows of ``models.inputs`` of a fold, without ticker and horizon."""
    chosen = fold.selection
    is_used = chosen["selected"].to_numpy(dtype=np.bool_) & (fold.status == "fitted")
    is_filled = "impute" in fold.hyperparameters
    filled = np.where(chosen["begins_late"].to_numpy(dtype=np.bool_), "median_and_indicator", "median")
    frame = chosen.drop(columns="selected").assign(
        feature_group=chosen["feature"].map(GROUP_OF_FEATURE),
        is_used=is_used,
        reason=chosen["reason"].replace({"selected": "used"}),
        gaps=pd.Series(filled if is_filled else "as_gaps", index=chosen.index, dtype="object").where(is_used),
    )
    indicators = pd.DataFrame(
        {
            "feature": list(fold.indicators),
            "feature_group": [name.removeprefix(INDICATOR_PREFIX) for name in fold.indicators],
            "is_used": True,
            "reason": "indicator",
            **dict.fromkeys(("score", "presence_fraction", "known_fraction"), np.nan),
            "begins_late": True,
            "gaps": pd.array([None] * len(fold.indicators), dtype="object"),
        }
    )
    parts = [frame, indicators] if len(indicators) else [frame]
    return pd.concat(parts, ignore_index=True).assign(model=fold.model, fold=fold.fold)


def _augmentation_of(fold: FittedFold) -> dict[str, Any]:
    """The record of what was drawn, by its name; nothing where none was, so that such a fold's hash stays the same."""
    return {"augmentation": fold.augmentation} if fold.augmentation else {}


def _indicators_of(fold: FittedFold) -> dict[str, Any]:
    """The indicators, by the same rule."""
    return {"indicators": {name: list(columns) for name, columns in fold.indicators.items()}} if fold.indicators else {}


def _hash_estimator(digest: hashlib._Hash, estimator: Any) -> None:
    """Feed an estimator's learnt numbers to the digest."""
    if estimator is None:
        return
    if isinstance(estimator, NetworkEstimator):
        estimator.feed(digest)
        return
    if isinstance(estimator, LightTrees):
        digest.update(estimator.text.encode())
        return
    if hasattr(estimator, "save_raw"):
        digest.update(bytes(estimator.save_raw(raw_format="ubj")))
        return
    for name, step in estimator.steps:
        digest.update(name.encode())
        for attribute, value in sorted(vars(step).items()):
            if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
                digest.update(attribute.encode())
                digest.update(np.ascontiguousarray(value).tobytes())
            elif attribute.endswith("_") and not isinstance(value, bool | int | float | str | np.number | None):
                # Two models that differ in it would have one version.
                raise UntrustedModelError(
                    f"step {name} ({type(step).__name__}) keeps what it learnt in {attribute}, a "
                    f"{type(value).__name__}: only arrays of numbers are told apart, so this estimator cannot be stored"
                )
