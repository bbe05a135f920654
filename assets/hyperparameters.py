"""Searches over hyperparameters: every trial, and what fits use of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from assets.declare.declaration import Declaration, Result, Slice, table_asset
from assets.declare.pictures import picture
from trading_dag.schemas import BEST_HYPERPARAMETERS, FEATURE_TABLE, HYPERPARAMETERS, TARGETS

if TYPE_CHECKING:
    from trading_dag.models.tuning.families import Family


@table_asset(
    HYPERPARAMETERS,
    BEST_HYPERPARAMETERS,
    reads={"features": FEATURE_TABLE, "targets": TARGETS},
    code_version="1",
    kinds={"optuna", "parquet"},
    uses=("walk_forward", "training", "features"),
    refits_only=True,
)
def hyperparameters(at: Slice, features: pd.DataFrame, targets: pd.DataFrame) -> Result:
    """The stored searches of the slice are read, and their best is used where space, settings and rows are as they
    were. A run that was started for tuning searches first, up to the budget; other runs search nothing."""
    from resources.tuning.stored import read_studies
    from trading_dag.models.tuning.families import judge_of_studies
    from trading_dag.models.tuning.record import best_table, studies_in_use, trial_table

    searched = _search(at, features, targets) if at.is_tuning and len(features) else {}
    studies = read_studies(at.settings.home, ticker=at.ticker, horizon=at.horizon.key)
    judge = judge_of_studies(features, targets, horizon=at.horizon, settings=at.settings)
    in_use = studies_in_use(studies, is_current=judge)
    trials = trial_table(studies, in_use, ticker=at.ticker, horizon=at.horizon.key)
    best = best_table(in_use, ticker=at.ticker, horizon=at.horizon.key)
    return Result({HYPERPARAMETERS.name: trials, BEST_HYPERPARAMETERS.name: best}, {**searched, **_shown(trials)})


def _search(at: Slice, features: pd.DataFrame, targets: pd.DataFrame) -> dict[str, Any]:
    """Search every family of the settings on both windows; say of each what could not be searched."""
    from resources.tuning.search import Budget, search
    from trading_dag.errors import InsufficientDataError
    from trading_dag.models.estimators.tuned import WINDOWS
    from trading_dag.models.tuning.families import family_rows, require_families

    tuning = at.settings.tuning
    budget = Budget(tuning.trials, None if tuning.minutes is None else 60 * tuning.minutes)
    problems = {}
    family: Family
    for family in require_families(tuning.families):
        rows = family_rows(family, features, targets, horizon=at.horizon, settings=at.settings)
        for window in WINDOWS:
            try:
                search(rows.study(family.name, family.space, window), home=at.settings.home, budget=budget)
            except InsufficientDataError as error:
                problems[f"{family.name} {window}"] = f"insufficient_data: {error}"
    return problems


def _shown(trials: pd.DataFrame) -> dict[str, Any]:
    """Return the picture of the searches whose best is used; nothing where none is."""
    if not trials["is_used"].any():
        return {}
    from trading_dag.plots.tuning import trials_by_search

    used = trials[trials["study"].isin(trials.loc[trials["is_used"], "study"])]
    return {"trials": picture(trials_by_search(used)), "searches in use": int(used["study"].nunique())}


DECLARATIONS: Final[tuple[Declaration, ...]] = (hyperparameters,)
