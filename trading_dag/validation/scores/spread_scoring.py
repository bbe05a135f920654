"""Which scores a forecast of the spread that pays gets, from rows of predictions.spread.

The three classes have no order, so there is no ranked probability score. Baselines and verdicts stand in
``evaluation``, the arithmetic of a single score in ``metrics``.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from trading_dag.arrays import FloatArray
from trading_dag.schemas import SPREAD_CLASSES
from trading_dag.validation.scores import metrics
from trading_dag.validation.scores.scoring import ClassRows

# A forecast of 0 that comes true would cost infinitely much; this is as wrong as one can be said to have been.
LEAST_PROBABILITY: Final = 1e-6


class SpreadRows(ClassRows):
    """Spread forecasts with outcomes; the spreads have no order."""

    CLASSES = SPREAD_CLASSES
    MACRO = ("f1",)

    @property
    def losses(self) -> dict[str, FloatArray]:
        """``brier``: squared distance of the probabilities from the outcome; ``log_loss``: −ln of the outcome's, which
        counts as at least a millionth.
        """
        happened = self.probabilities[np.arange(len(self.truth)), self.truth]
        return {
            "brier": metrics.multiclass_brier_losses(self.probabilities, self.truth),
            "log_loss": -np.log(np.maximum(happened, LEAST_PROBABILITY)),
        }
