"""Which scores a direction and a volatility forecast get, from rows of their prediction tables.

Here belongs what scored rows of any task can say (``ScoredRows``), and for these two the list of metrics and how a
table's columns become arrays. Rows of other tasks stand in modules of their own. The arithmetic of a single score
stands in ``metrics``, what a metric's name means in ``metric_meaning``; baselines, intervals and verdicts in
``evaluation``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol, Self

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, IntArray
from trading_dag.schemas import IV_REGIMES
from trading_dag.validation.scores import metrics

CONDITIONAL: Final = "_conditional"
_OF_A_CLASS: Final = {
    "precision": metrics.class_precision,
    "recall": metrics.class_recall,
    "f1": metrics.class_f1,
}


class ScoredRows(Protocol):
    """Forecasts of one model with their outcomes, in session order.

    A class of a task without classes and dead band inherits ``n_ambiguous`` and ``why_too_few``.
    """

    @property
    def losses(self) -> dict[str, FloatArray]:
        """Loss per row, on every row, by the metric that is its mean: Diebold–Mariano is computed from each, the
        length of blocks from the one that the task names.
        """

    @property
    def n_ambiguous(self) -> int:
        """Rows within the dead band; 0 where a task has none."""
        return 0

    def rows_of(self, metric: str) -> int:
        """Return how many rows a metric scores."""

    def scores(self, weights: metrics.Weights) -> dict[str, FloatArray]:
        """Return every metric of the task, one value per draw; ``weights`` is draws × rows."""

    def why_too_few(self, metric: str, *, least: int) -> str | None:
        """Return why a metric has too few rows, or rows of a class, to go by; None if it has enough."""
        n = self.rows_of(metric)
        return f"fewer than {least} rows: {n}" if n < least else None


@dataclass(frozen=True)
class DirectionRows:
    """Direction forecasts with outcomes.

    Attributes
    ----------
    probability_up, calls_up : forecast and call per row.
    is_clear, is_up : whether the move left the dead band, and upwards.
    forward_return : what happened. A return of exactly 0 is a miss for either call, and not up.
    """

    probability_up: FloatArray
    calls_up: BoolArray
    is_clear: BoolArray
    is_up: BoolArray
    forward_return: FloatArray

    @classmethod
    def of(cls, frame: pd.DataFrame) -> DirectionRows:
        """Return the forecasts from rows of predictions.direction whose outcome is known."""
        truth = frame["y_true"].to_numpy(dtype=object)
        return cls(
            probability_up=frame["probability_up"].to_numpy(dtype=np.float64),
            calls_up=frame["y_pred"].to_numpy(dtype=object) == "UP",
            is_clear=truth != "AMBIGUOUS",
            is_up=truth == "UP",
            forward_return=frame["forward_return"].to_numpy(dtype=np.float64),
        )

    @property
    def rose(self) -> FloatArray:
        """1 where the return was positive, else 0; on every row."""
        return (self.forward_return > 0).astype(np.float64)

    @property
    def losses(self) -> dict[str, FloatArray]:
        """``brier_sign``: (P(UP) − whether the return was positive)² on every row."""
        return {"brier_sign": (self.probability_up - self.rose) ** 2}

    @property
    def n_ambiguous(self) -> int:
        """Rows within the dead band."""
        return int((~self.is_clear).sum())

    def rows_of(self, metric: str) -> int:
        """Return the number of clear rows for conditional metrics, of all rows for the others."""
        return int(self.is_clear.sum()) if metric.endswith(CONDITIONAL) else len(self.is_clear)

    def scores(self, weights: metrics.Weights) -> dict[str, FloatArray]:
        """Return conditional metrics on clear rows, and hit rate, Brier and calibration error of the sign on all."""
        clear = weights[:, self.is_clear].astype(np.float64)
        weights = weights.astype(np.float64, copy=False)
        up, calls = self.is_up[self.is_clear], self.calls_up[self.is_clear]
        probability = self.probability_up[self.is_clear]
        happened = up.astype(np.float64)
        counts = metrics.confusion(clear, up.astype(np.int64), calls.astype(np.int64), classes=2)
        by_class = scores_by_class(counts, ("DOWN", "UP"), ending=CONDITIONAL)
        hits = np.where(self.calls_up, self.forward_return > 0, self.forward_return < 0).astype(np.float64)
        held, held_clear = metrics.total_weights(weights), counts.sum(axis=(1, 2))
        return {
            "auc_conditional": metrics.area_under_roc(clear, probability, up),
            "accuracy_conditional": metrics.accuracy(counts),
            "balanced_accuracy_conditional": metrics.balanced_accuracy(counts),
            **by_class,
            "brier_conditional": metrics.mean_of(clear, (probability - happened) ** 2, totals=held_clear),
            "calibration_error_conditional": metrics.calibration_error(clear, probability, happened, totals=held_clear),
            "hit_rate": metrics.mean_of(weights, hits, totals=held),
            "brier_sign": metrics.mean_of(weights, self.losses["brier_sign"], totals=held),
            "calibration_error_sign": metrics.calibration_error(weights, self.probability_up, self.rose, totals=held),
        }

    def why_too_few(self, metric: str, *, least: int) -> str | None:
        """Return why UP or DOWN is too rare for conditional metrics, rises or falls for the others; None where
        neither is.
        """
        if metric.endswith(CONDITIONAL):
            counts = {"UP": self.is_up.sum(), "DOWN": (self.is_clear & ~self.is_up).sum()}
        else:
            counts = {"rises": (self.forward_return > 0).sum(), "falls": (self.forward_return < 0).sum()}
        return too_rare({name: int(count) for name, count in counts.items()}, least=least)


@dataclass(frozen=True)
class ClassRows(ScoredRows):
    """Forecasts of one of several classes: probabilities (rows × classes), called and true class.

    Attributes
    ----------
    CLASSES : the names of the classes, in the order of the codes.
    MACRO : which scores of the classes alone are also averaged over all classes.
    """

    CLASSES: ClassVar[tuple[str, ...]]
    MACRO: ClassVar[tuple[str, ...]]
    probabilities: FloatArray
    called: IntArray
    truth: IntArray

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Self:
        """Return the forecasts from rows of the predictions table whose outcome is known."""
        classes = pd.Index(cls.CLASSES, dtype="object")
        return cls(
            probabilities=frame[[f"probability_{name.lower()}" for name in cls.CLASSES]].to_numpy(dtype=np.float64),
            called=classes.get_indexer(pd.Index(frame["y_pred"], dtype="object")).astype(np.int64),
            truth=classes.get_indexer(pd.Index(frame["y_true"], dtype="object")).astype(np.int64),
        )

    def rows_of(self, metric: str) -> int:  # noqa: ARG002
        """Return the number of all rows: every metric scores them."""
        return len(self.truth)

    def scores(self, weights: metrics.Weights) -> dict[str, FloatArray]:
        """Return every score: of all classes together, where calibration is that of the called class, and of each
        class alone.
        """
        weights = weights.astype(np.float64, copy=False)
        counts = metrics.confusion(weights, self.truth, self.called, classes=len(self.CLASSES))
        confidence = self.probabilities[np.arange(len(self.called)), self.called]
        hits = (self.called == self.truth).astype(np.float64)
        held = counts.sum(axis=(1, 2))
        return {
            "accuracy": metrics.accuracy(counts),
            "balanced_accuracy": metrics.balanced_accuracy(counts),
            **{f"macro_{score}": _OF_A_CLASS[score](counts).mean(axis=1) for score in self.MACRO},
            **scores_by_class(counts, self.CLASSES),
            **{name: metrics.mean_of(weights, losses, totals=held) for name, losses in self.losses.items()},
            "calibration_error": metrics.calibration_error(weights, confidence, hits, totals=held),
        }

    def why_too_few(self, metric: str, *, least: int) -> str | None:  # noqa: ARG002
        """Return which class is too rare; None where none is."""
        counts = np.bincount(self.truth, minlength=len(self.CLASSES))
        return too_rare({name: int(count) for name, count in zip(self.CLASSES, counts, strict=True)}, least=least)


class VolatilityRows(ClassRows):
    """IV-regime forecasts with outcomes; the regimes are ordered."""

    CLASSES = IV_REGIMES
    MACRO = ("precision", "recall", "f1")

    @property
    def losses(self) -> dict[str, FloatArray]:
        """``brier``: squared distance of the three probabilities from the outcome; ``rps``: that of their sums."""
        return {
            "brier": metrics.multiclass_brier_losses(self.probabilities, self.truth),
            "rps": metrics.ranked_probability_losses(self.probabilities, self.truth),
        }


def scores_by_class(counts: FloatArray, classes: Sequence[str], *, ending: str = "") -> dict[str, FloatArray]:
    """Return precision, recall and F1 of each class, such as ``recall_down_conditional``; from ``confusion``."""
    scores = {score: compute(counts) for score, compute in _OF_A_CLASS.items()}
    return {
        f"{score}_{name.lower()}{ending}": values[:, position]
        for score, values in scores.items()
        for position, name in enumerate(classes)
    }


def too_rare(counts: dict[str, int], *, least: int) -> str | None:
    rare = [f"{count} of {name}" for name, count in counts.items() if count < least]
    return f"fewer than {least} rows: {', '.join(rare)}" if rare else None
