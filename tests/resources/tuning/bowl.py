"""A search whose best is known, and a process that works on it: ``python -m tests.resources.tuning.bowl``. No test."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from resources.tuning.search import Budget, search
from trading_dag.models.tuning.space import Dimension, Space
from trading_dag.models.tuning.study import StudyName, StudyRows

SPACE = Space(
    (Dimension("x", -5.0, 5.0), Dimension("scale", 1e-4, 1.0, is_log=True), Dimension("depth", 1, 6, is_integer=True)),
    {"x": 4.0, "scale": 0.5, "depth": 6},
)


@dataclass(frozen=True)
class Bowl:
    """Least at x = 1, scale = 0.01, depth = 3; each fold is scored after a pause."""

    seed: int = 42
    pause: float = 0.0
    space: Space = SPACE
    folds: int = 3
    reference: float | None = 9.0

    @property
    def name(self) -> StudyName:
        day = pd.Timestamp("2010-01-04")
        rows = StudyRows("before_tests", day, day + pd.Timedelta(days=99), day + pd.Timedelta(days=104), 70, "ab" * 32)
        return StudyName(
            "direction_xgboost",
            "SPY",
            "24h",
            rows,
            self.space.version,
            "brier_sign",
            {"seed": self.seed, "since": "all"},
        )

    def score(self, parameters: Mapping[str, Any], fold: int) -> float:
        import math

        time.sleep(self.pause)
        miss = math.log10(parameters["scale"]) + 2
        return (parameters["x"] - 1) ** 2 + miss**2 + abs(parameters["depth"] - 3) + 0.1 * fold


def main() -> None:
    home, trials, pause = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    search(Bowl(pause=pause), home=home, budget=Budget(trials))


if __name__ == "__main__":
    main()
