"""The learners of the direction, and what the probability of each is a probability of.

Two questions are asked. The published one: if the price leaves the dead band, is it upwards? It is learnt from the
rows that left the band (``direction_logistic``). And the one that a trader has: will the price be higher? It is learnt
from all rows (``direction_shrunk``, ``direction_xgboost``), with candidates from nothing but climatology to a plain
regression, of which each training part chooses one on inner folds.

Here belongs what is fitted. Which rows and folds it is fitted on, and its forecasts, stand in ``direction_classifier``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.models.estimators.learners import (
    AugmentedRows,
    Candidate,
    Learner,
    SearchedLearner,
    logistic_learner,
    weighted_rows,
)
from trading_dag.models.estimators.tuned import NOTHING

LOGISTIC: Final = "direction_logistic"
SHRUNK: Final = "direction_shrunk"
ONLINE: Final = "direction_online"  # no learner of its own: the shrunk one, its base rate learnt on between retrains
XGBOOST: Final = "direction_xgboost"
PENALTIES: Final = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
WIDTHS: Final = (20, None)
BOOST_DEPTHS: Final = (1, 2)
BOOST_ROUNDS: Final = (10, 30, 60)


def published_learners(tuned: Mapping[str, Mapping[str, Any]] = NOTHING) -> tuple[Learner, ...]:
    """Returns the learners of a clear move's direction.

    Parameters
    ----------
    tuned : by learner, hyperparameters that a search has found.
    """
    return (logistic_learner(LOGISTIC, tuned.get(LOGISTIC, NOTHING)),)


def sign_learners(
    *, seed: int, top_features: int | None, tuned: Mapping[str, Mapping[str, Any]] = NOTHING
) -> tuple[SearchedLearner, ...]:
    """Returns the learners of a rise, by name, as tables sort them.

    Parameters
    ----------
    seed, top_features : of the boosted trees: which rows and columns a tree sees, and how many columns there are.
    tuned : by learner, hyperparameters that a search has found: its one candidate beside climatology. A learner that
        is not named has all candidates of this module.
    """
    learners = (_shrunk_logistic(), _boosted_trees(seed=seed, top_features=top_features))
    return tuple(_with_candidate(learner, tuned.get(learner.model, NOTHING)) for learner in learners)


def _with_candidate(learner: SearchedLearner, found: Mapping[str, Any]) -> SearchedLearner:
    """Returns the learner with what was found as its one candidate; what was not found is as in the last, the least
    shrunk."""
    return replace(learner, candidates=({**learner.candidates[-1], **found},)) if found else learner


def _shrunk_logistic() -> SearchedLearner:
    """L2 logistic regression on median-filled, standardised columns: a strong penalty leaves little but the share of
    rises. The fewer columns and the smaller C, the more is shrunk.
    """
    hyperparameters: dict[str, Any] = {
        "impute": "median",
        "scale": "standard, clipped at 5",
        "penalty": "l2",
        "solver": "newton-cholesky",
        "max_iter": 100,
    }
    candidates = tuple({"C": penalty, "top_features": width} for penalty in PENALTIES for width in WIDTHS)

    def fit_all(
        values: FloatArray, codes: IntArray, augmented: AugmentedRows | None, chosen: Sequence[Candidate]
    ) -> list[Any]:
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import Pipeline

        from trading_dag.models.estimators.clipped_scaler import ClippedScaler

        prepare = Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", ClippedScaler())]).fit(values)
        weights = None
        if augmented is not None:
            values, codes, weights = weighted_rows(values, codes, augmented)
        prepared = prepare.transform(values)
        return [
            Pipeline(
                [
                    *prepare.steps,
                    (
                        "classify",
                        LogisticRegression(
                            C=candidate["C"], solver=hyperparameters["solver"], max_iter=hyperparameters["max_iter"]
                        ).fit(prepared, codes, sample_weight=weights),
                    ),
                ]
            )
            for candidate in chosen
        ]

    return SearchedLearner(SHRUNK, hyperparameters, candidates, fit_all)


def _boosted_trees(*, seed: int, top_features: int | None) -> SearchedLearner:
    """Small boosted trees; gaps stay gaps, one thread, so that the result does not depend on the machine's cores.

    The fewer and the shallower the trees, the nearer they stay to the share of rises, from which they start.
    """
    parameters: dict[str, Any] = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "eta": 0.05,
        "min_child_weight": 10,
        "subsample": 0.8,
        "colsample_bytree": 0.8,
        "lambda": 10.0,
        "max_bin": 64,
        "nthread": 1,
        "seed": seed,
    }
    candidates = tuple(
        {"num_boost_round": rounds, "max_depth": depth, "top_features": top_features}
        for rounds in BOOST_ROUNDS
        for depth in BOOST_DEPTHS
    )

    def fit_all(
        values: FloatArray, codes: IntArray, augmented: AugmentedRows | None, chosen: Sequence[Candidate]
    ) -> list[Any]:
        import xgboost

        weights = None
        if augmented is not None:
            values, codes, weights = weighted_rows(values, codes, augmented)
        rows = xgboost.DMatrix(values, codes, weight=weights, nthread=1)
        longest: dict[str, tuple[dict[str, Any], int]] = {}
        for candidate in chosen:
            own = _own_parameters(candidate)
            _, rounds = longest.get(str(own), (own, 0))
            longest[str(own)] = own, max(rounds, candidate["num_boost_round"])
        boosters = {
            key: xgboost.train({**parameters, **own}, rows, num_boost_round=rounds)
            for key, (own, rounds) in longest.items()
        }
        # The first so many trees of a longer training are those of a shorter one.
        return [boosters[str(_own_parameters(candidate))][: candidate["num_boost_round"]] for candidate in chosen]

    return SearchedLearner(XGBOOST, parameters, candidates, fit_all, reads_gaps=True)


def _own_parameters(candidate: Candidate) -> dict[str, Any]:
    """What xgboost is told of a candidate, apart from the number of trees."""
    return {name: value for name, value in candidate.items() if name not in ("num_boost_round", "top_features")}
