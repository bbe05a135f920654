"""The table of the weights in a stack, made of the fitted model."""

from __future__ import annotations

import pandas as pd

from trading_dag.frames import frame_of_records
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.schemas.stacking import STACK_WEIGHTS

RANDOM_WALK = "random_walk"


def stack_weights(fitted: FittedModel, model: str) -> pd.DataFrame:
    """Return models.stack_weights of a stack: its learners and the random walk, for each fold that could be fitted.

    Parameters
    ----------
    model : the name under which the folds hold a ``stacking.LinearBlend`` of the models that they name as features.
    """
    records = []
    for fold in fitted.folds_of(model):
        if fold.estimator is None:
            continue
        weights = fold.estimator.steps[0][1].weights
        of_learner = dict(zip(fold.features, map(float, weights), strict=True))
        of_learner[RANDOM_WALK] = max(0.0, 1.0 - float(weights.sum()))
        gain = 1.0 - fold.metrics["inner_loss"] / fold.metrics["inner_loss_of_zero"]
        records += [
            {
                "ticker": fitted.ticker, "horizon": fitted.horizon, "model": model, "fold": fold.fold,
                "learner": learner, "weight": min(weight, 1.0), "inner_gain": gain,
            }
            for learner, weight in sorted(of_learner.items())
        ]  # fmt: skip
    return frame_of_records(STACK_WEIGHTS, records)
