"""Which scores a forecast of the spread that pays gets, from rows of predictions.spread.

The three classes have no order, so there is no ranked probability score. Baselines and verdicts stand in
``evaluation``, the arithmetic of a single score in ``metrics``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.schemas import SPREAD_CLASSES
from trading_dag.validation import metrics
from trading_dag.validation.scoring import ScoredRows, scores_by_class, too_rare

# A forecast of 0 that comes true would cost infinitely much; this is as wrong as one can be said to have been.
LEAST_PROBABILITY: Final = 1e-6


@dataclass(frozen=True)
class SpreadRows(ScoredRows):
    """Spread forecasts with outcomes: probabilities (rows × classes), called and true class."""

    probabilities: FloatArray
    called: IntArray
    truth: IntArray

    @classmethod
    def of(cls, frame: pd.DataFrame) -> SpreadRows:
        """Return the forecasts from rows of predictions.spread whose outcome is known."""
        classes = pd.Index(SPREAD_CLASSES, dtype="object")
        columns = [f"probability_{name.lower()}" for name in SPREAD_CLASSES]
        return cls(
            probabilities=frame[columns].to_numpy(dtype=np.float64),
            called=classes.get_indexer(pd.Index(frame["y_pred"], dtype="object")).astype(np.int64),
            truth=classes.get_indexer(pd.Index(frame["y_true"], dtype="object")).astype(np.int64),
        )

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

    def rows_of(self, metric: str) -> int:  # noqa: ARG002
        """Return the number of all rows: every metric scores them."""
        return len(self.truth)

    def scores(self, weights: metrics.Weights) -> dict[str, FloatArray]:
        """Return every score: of all classes together, where calibration is that of the called class, and of each
        class alone.
        """
        weights = weights.astype(np.float64, copy=False)
        counts = metrics.confusion(weights, self.truth, self.called, classes=len(SPREAD_CLASSES))
        confidence = self.probabilities[np.arange(len(self.called)), self.called]
        hits = (self.called == self.truth).astype(np.float64)
        held = counts.sum(axis=(1, 2))
        return {
            "accuracy": metrics.accuracy(counts),
            "balanced_accuracy": metrics.balanced_accuracy(counts),
            "macro_f1": metrics.class_f1(counts).mean(axis=1),
            **scores_by_class(counts, SPREAD_CLASSES),
            **{name: metrics.mean_of(weights, losses, totals=held) for name, losses in self.losses.items()},
            "calibration_error": metrics.calibration_error(weights, confidence, hits, totals=held),
        }

    def why_too_few(self, metric: str, *, least: int) -> str | None:  # noqa: ARG002
        """Return which class is too rare; None where none is."""
        counts = np.bincount(self.truth, minlength=len(SPREAD_CLASSES))
        return too_rare({name: int(count) for name, count in zip(SPREAD_CLASSES, counts, strict=True)}, least=least)
