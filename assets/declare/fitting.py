"""What the assets of fitted models do alike: they demand rows, and fit as the settings say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd

from assets.declare.declaration import Slice
from trading_dag.errors import InsufficientDataError

if TYPE_CHECKING:
    from trading_dag.models.learning.fitted import FittedModel
    from trading_dag.training_start import TrainingStart


def fit_family(
    fit: Callable[..., FittedModel],
    at: Slice,
    features: pd.DataFrame,
    targets: pd.DataFrame,
    *,
    start: TrainingStart,
    **own: Any,
) -> FittedModel:
    """Return a model family fitted on a slice; each has its own function, training start and further arguments.

    Raises
    ------
    InsufficientDataError : where the features have no rows; names the slice and the reason.
    """
    if features.empty:
        reason = features.attrs.get("source_off") or "features.feature_table has no rows"
        raise InsufficientDataError(f"nothing to fit {at.ticker} {at.horizon.key} on: {reason}")
    return fit(
        features,
        targets,
        horizon=at.horizon,
        settings=at.settings.walk_forward,
        start=start,
        chosen=at.settings.features,
        **own,
    )
