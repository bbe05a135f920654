"""Draws the parameters of a trial by its number, so that a search which was interrupted goes on as if it had not been.

The library's sampler has one stream of random numbers a process: after an interruption it would begin anew and draw
what has been tried. Here each trial has a stream of its own, made of seed, search and number.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

SAMPLER: Final = "tpe"
FIRST_RANDOM_TRIALS: Final = 10


class NumberedSampler(optuna.samplers.BaseSampler):
    """Draws by the tree-structured Parzen estimator; the first ten trials uniformly over the space.

    Parameters
    ----------
    seed : of the search.
    search : its identifier.

    References
    ----------
    Bergstra, Bardenet, Bengio and Kégl, Algorithms for Hyper-Parameter Optimization (2011), section 4.
    """

    def __init__(self, seed: int, search: str) -> None:
        self._key = f"{seed}/{search}"

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that are drawn together."""
        return self._of(trial, "").infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return them, once enough trials have ended."""
        return self._of(trial, "").sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return one parameter that is drawn by itself; it does not depend on which were drawn before."""
        return self._of(trial, param_name).sample_independent(study, trial, param_name, param_distribution)

    def _of(self, trial: FrozenTrial, parameter: str) -> optuna.samplers.TPESampler:
        digest = hashlib.sha256(f"{self._key}/{trial.number}/{parameter}".encode()).digest()
        return optuna.samplers.TPESampler(seed=int.from_bytes(digest[:4], "big"), n_startup_trials=FIRST_RANDOM_TRIALS)
