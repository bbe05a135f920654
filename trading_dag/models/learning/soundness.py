"""What breaks the rules of ``quality.model_rules`` in a fitted model, which are the checks of the models' assets.

Whether it forecasts well is not decided here: that stands in ``validation``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from trading_dag.models.learning.fitted import FittedFold, FittedModel
from trading_dag.quality.model_rules import (
    FOLDS_IN_TIME,
    INPUTS_ARE_TOLD_APART,
    LIVE_MODELS_ARE_FITTED,
    SHARES_ADD_UP,
)
from trading_dag.quality.rules import Rule

_ROUNDING: Final = 1e-6
# Given a model, what breaks a rule: a sentence for each fold.
Objections = Callable[[FittedModel], Iterator[str]]


def _folds_in_time(fitted: FittedModel) -> Iterator[str]:
    for model in fitted.models:
        known = None
        for fold in fitted.folds_of(model):
            days = (fold.train_first_session, fold.train_last_session, fold.fitted_through, fold.serves_from)
            given = [day for day in days if day is not None]
            if given != sorted(given):
                yield f"{_named(fold)} learns from {given[0]:%Y-%m-%d} on and forecasts from {given[-1]:%Y-%m-%d} on"
            if known is not None and fold.fitted_through is not None and fold.fitted_through < known:
                yield f"{_named(fold)} knows less than the fold before"
            known = fold.fitted_through or known


def _shares_add_up(fitted: FittedModel) -> Iterator[str]:
    for fold in fitted.folds:
        shares = np.array(list(fold.prior.values()), dtype=np.float64)
        if len(set(fold.classes)) != len(fold.classes):
            yield f"{_named(fold)} has a class twice"
        if fold.status != "fitted":
            continue  # without rows there are no shares
        if len(shares) and not (np.all(shares >= 0.0) and abs(shares.sum() - 1.0) <= _ROUNDING):
            yield f"{_named(fold)} has shares of classes that add up to {shares.sum():.4f}"
        if fold.threshold is not None and not 0.0 <= fold.threshold <= 1.0:
            yield f"{_named(fold)} has the threshold {fold.threshold:g}"
        unknown = [name for name, value in fold.metrics.items() if not np.isfinite(value)]
        if unknown:
            yield f"{_named(fold)} has no number for {', '.join(unknown)}"


def _inputs_are_told_apart(fitted: FittedModel) -> Iterator[str]:
    for fold in fitted.folds:
        if fold.status != "fitted":
            continue
        if fold.estimator is None:
            yield f"{_named(fold)} is fitted and has no estimator"
        twice = sorted({name for name in fold.columns if fold.columns.count(name) > 1})
        if twice:
            yield f"{_named(fold)} reads {', '.join(twice)} twice"


def _live_models_are_fitted(fitted: FittedModel) -> Iterator[str]:
    for model in fitted.models:
        *earlier, live = fitted.folds_of(model)
        if live.status != "fitted" and any(fold.status == "fitted" for fold in earlier):
            yield f"{_named(live)}: {live.reason or 'not fitted'}"


def _named(fold: FittedFold) -> str:
    return f"{fold.model} fold {fold.fold}"


OBJECTIONS: Final[dict[Rule, Objections]] = {
    FOLDS_IN_TIME: _folds_in_time,
    SHARES_ADD_UP: _shares_add_up,
    INPUTS_ARE_TOLD_APART: _inputs_are_told_apart,
    LIVE_MODELS_ARE_FITTED: _live_models_are_fitted,
}


def live_columns(fitted: FittedModel) -> dict[str, tuple[str, ...]]:
    """Return which of the live models read each column, in the order in which they read it first."""
    read: dict[str, tuple[str, ...]] = {}
    for model in fitted.models:
        for name in fitted.folds_of(model)[-1].columns:
            read[name] = (*read.get(name, ()), model)
    return read
