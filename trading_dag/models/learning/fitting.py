"""How a model is made of its recipe: rows, folds, and the record of what it was learnt from. The same for every model.

What is special about a model stands in its own module, the protocol of the folds in ``training``.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from trading_dag.library_versions import library_version
from trading_dag.models.estimators.tuned import UNTUNED, Tuned
from trading_dag.models.learning.augmentation import Augmentation, Collect, drawing_of
from trading_dag.models.learning.fitted import FittedModel, ModelName
from trading_dag.models.learning.training import Recipe, fit_folds
from trading_dag.setting_groups import WalkForwardSettings
from trading_dag.slices import Horizon
from trading_dag.training_start import TrainingStart


def fit_model(
    name: ModelName,
    recipe: Recipe,
    features: pd.DataFrame,
    targets: pd.DataFrame,
    *,
    collect: Collect,
    horizon: Horizon,
    settings: WalkForwardSettings,
    augmentation: Augmentation | None,
    start: TrainingStart,
    chosen: tuple[str, ...],
    tuned: Tuned = UNTUNED,
) -> FittedModel:
    """Return the model with its folds and the live one.

    Parameters
    ----------
    collect : feature and label frame → rows, of real sessions and of drawn ones alike.
    horizon, settings, augmentation, start, chosen, tuned : as the ``fit`` of a model takes them.
    """
    rows = collect(features, targets)
    draw = drawing_of(augmentation, features, horizon=horizon, collect=collect)
    return FittedModel(
        name=name,
        ticker=rows.ticker,
        horizon=horizon.key,
        folds=fit_folds(rows, recipe, horizon=horizon, settings=settings, start=start, draw=draw),
        minimum_presence=settings.minimum_presence,
        libraries=library_versions(),
        inputs=rows.inputs,
        training=training_record(recipe, settings, start=start, chosen=chosen, tuned=tuned),
    )


def training_record(
    recipe: Recipe, settings: WalkForwardSettings, *, start: TrainingStart, chosen: tuple[str, ...], tuned: Tuned
) -> dict[str, Any]:
    """What was chosen to be learnt from, as ``FittedModel.training`` keeps it."""
    return {
        "since": str(start),
        "features": list(chosen),
        "safe_features": settings.safe_features,
        "top_features": recipe.top_features,
        "optimize_threshold": recipe.tunes_threshold,
        **tuned.record(tuple(learner.model for learner in recipe.learners)),
    }


def library_versions() -> dict[str, str]:
    """Versions of the libraries whose arithmetic decides a fit."""
    return {name: library_version(name) for name in ("lightgbm", "numpy", "pandas", "scikit-learn", "scipy", "xgboost")}
