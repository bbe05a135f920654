"""Hyperparameters that a search has found, as a fit takes them.

Here belongs what a model is told: for which learner, found on which rows. How they are searched stands in
``models.tuning``; where trials are kept, in ``resources.tuning``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import pandas as pd

# The rows before the first test part of the walk-forward, and every labelled row.
BEFORE_TESTS: Final = "before_tests"
ALL_ROWS: Final = "all_rows"
WINDOWS: Final = (BEFORE_TESTS, ALL_ROWS)
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True)
class Found:
    """What one search has found.

    Attributes
    ----------
    parameters : the best trial's, by name.
    study : identifier of the search: it stands for family, rows, space, folds and seed.
    """

    parameters: Mapping[str, Any]
    study: str


@dataclass(frozen=True)
class Tuned:
    """What the searches of one ticker and horizon have found.

    **The window is what keeps scores honest.** What was found on ``before_tests`` is used in every fold, because no
    row of it, and no label, reaches into a test part. What was found on ``all_rows`` is for the live model alone, which
    is never scored on rows that the search has seen.

    Attributes
    ----------
    found : by learner, such as ``direction_xgboost``, and window. Where there is none, a learner's own values hold.
    """

    found: Mapping[tuple[str, str], Found] = field(default_factory=lambda: MappingProxyType({}))

    def of_window(self, window: str) -> dict[str, Mapping[str, Any]]:
        """Return the parameters by learner that a window's searches have found."""
        return {learner: found.parameters for (learner, of), found in self.found.items() if of == window}

    def record(self, learners: tuple[str, ...]) -> dict[str, Any]:
        """Return what a model of these learners keeps of where its parameters come from; empty where none is tuned."""
        studies: dict[str, dict[str, str]] = {}
        for (learner, window), found in sorted(self.found.items()):
            if learner in learners:
                studies.setdefault(learner, {})[window] = found.study
        return {"tuned": studies} if studies else {}


UNTUNED: Final = Tuned()


def tuned_from_table(best: pd.DataFrame) -> Tuned:
    """Return what ``models.best_hyperparameters`` of one ticker and horizon says."""
    return Tuned(
        {
            (str(family), str(window)): Found(json.loads(parameters), str(study))
            for family, window, parameters, study in best[["family", "study_window", "parameters", "study"]].itertuples(
                index=False
            )
        }
    )
