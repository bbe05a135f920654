"""The registry of what can be tuned: a learner, its space, and how its trials are scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.errors import UnknownFamilyError
from trading_dag.models.direction import direction_classifier, direction_learners
from trading_dag.models.estimators.learners import Learner, SearchedLearner
from trading_dag.models.learning.rows import sign_codes
from trading_dag.models.tuning.classifiers import Task, TaskRows, collect_task
from trading_dag.models.tuning.record import StudyRecord
from trading_dag.models.tuning.space import Dimension, Space
from trading_dag.models.volatility import volatility_forecaster
from trading_dag.schemas import ALL_FEATURES, IV_REGIMES, VOLATILITY_FORECASTER_FEATURES
from trading_dag.settings import Settings
from trading_dag.slices import Horizon
from trading_dag.validation.scores.metrics import ranked_probability_losses


@dataclass(frozen=True)
class Family:
    """A learner that can be tuned.

    Attributes
    ----------
    name : the learner, such as ``direction_xgboost``.
    task : what it forecasts and how its trials are scored.
    space : what is searched.
    is_published : whether its own values are a published specification, which stands in the scores to be compared
        with. Such a learner is tuned only where it is named.
    """

    name: str
    task: Task
    space: Space
    is_published: bool = False


def _of_direction(tuned: Mapping[str, Mapping[str, Any]], _seed: int) -> tuple[Learner, ...]:
    return direction_learners.published_learners(tuned)


def _of_sign(tuned: Mapping[str, Mapping[str, Any]], seed: int) -> tuple[SearchedLearner, ...]:
    return direction_learners.sign_learners(seed=seed, top_features=None, tuned=tuned)


def _of_volatility(tuned: Mapping[str, Mapping[str, Any]], _seed: int) -> tuple[Learner, ...]:
    return volatility_forecaster.volatility_learners(tuned)


def sign_losses(probabilities: FloatArray, _codes: IntArray, returns: FloatArray) -> FloatArray:
    """Return (P(UP) − whether the price rose)² of each row, of clear and ambiguous ones alike; NaN without a return."""
    rose = np.where(np.isnan(returns), np.nan, returns > 0)
    losses: FloatArray = (probabilities[:, 1] - rose) ** 2
    return losses


def climatology_losses(known: FloatArray, returns: FloatArray) -> FloatArray:
    """Return the same of the share of rises among the rows that were known."""
    share = float(np.mean(known[~np.isnan(known)] > 0))
    losses: FloatArray = (share - np.where(np.isnan(returns), np.nan, returns > 0)) ** 2
    return losses


def regime_losses(probabilities: FloatArray, codes: IntArray, _returns: FloatArray) -> FloatArray:
    """Return the ranked probability score of each row; NaN where the regime is not known."""
    losses = np.full(len(codes), np.nan)
    known = codes >= 0
    losses[known] = ranked_probability_losses(probabilities[known], codes[known])
    return losses


DIRECTION: Final = Task(
    model=direction_classifier.NAME,
    listed=ALL_FEATURES,
    label="direction",
    classes=direction_classifier.CLASSES,
    required=None,
    takes_top_features=True,
    score="brier_sign",
    losses=sign_losses,
    reference=climatology_losses,
    learners=_of_direction,
)
SIGN: Final = replace(
    DIRECTION,
    label="forward_return",
    classes=direction_classifier.SIGN_CLASSES,
    coded=sign_codes,
    learners=_of_sign,
)
SIGN_OF_ALL_FEATURES: Final = replace(SIGN, takes_top_features=False)
VOLATILITY: Final = Task(
    model=volatility_forecaster.NAME,
    listed=VOLATILITY_FORECASTER_FEATURES,
    label="iv_regime",
    classes=IV_REGIMES,
    required="iv_rank",
    takes_top_features=False,
    score="rps",
    losses=regime_losses,
    reference=None,
    learners=_of_volatility,
)
_PENALTY: Final = Dimension("C", 1e-5, 1.0, is_log=True)
_TREES: Final = Space(
    (
        Dimension("max_depth", 1, 5, is_integer=True),
        Dimension("eta", 0.003, 0.2, is_log=True),
        Dimension("num_boost_round", 10, 300, is_log=True, is_integer=True),
        Dimension("min_child_weight", 1.0, 200.0, is_log=True),
        Dimension("subsample", 0.5, 1.0),
        Dimension("colsample_bytree", 0.3, 1.0),
        Dimension("lambda", 1.0, 1_000.0, is_log=True),
    ),
    {
        "max_depth": direction_learners.BOOST_DEPTHS[-1], "eta": 0.05,
        "num_boost_round": direction_learners.BOOST_ROUNDS[-1], "min_child_weight": 10.0,
        "subsample": 0.8, "colsample_bytree": 0.8, "lambda": 10.0,
    },
)  # fmt: skip
_FAMILIES: Final = (
    Family(direction_learners.LOGISTIC, DIRECTION, Space((_PENALTY,), {"C": 0.1}), is_published=True),
    Family(direction_learners.SHRUNK, SIGN_OF_ALL_FEATURES, Space((_PENALTY,), {"C": 1e-4})),
    Family(direction_learners.XGBOOST, SIGN, _TREES),
    Family(volatility_forecaster.LOGISTIC, VOLATILITY, Space((_PENALTY,), {"C": 0.1}), is_published=True),
)
FAMILIES: Final = {family.name: family for family in _FAMILIES}
UNPUBLISHED: Final = tuple(family.name for family in _FAMILIES if not family.is_published)


def require_families(names: tuple[str, ...]) -> tuple[Family, ...]:
    """Return the families of those names; all that are no published specification where none is named.

    Raises
    ------
    UnknownFamilyError : for a name that is none of them.
    """
    for name in names:
        if name not in FAMILIES:
            raise UnknownFamilyError(f"{name!r} is no family that can be tuned; choose from {', '.join(FAMILIES)}")
    return tuple(FAMILIES[name] for name in dict.fromkeys(names or UNPUBLISHED))


def family_rows(
    family: Family, features: pd.DataFrame, targets: pd.DataFrame, *, horizon: Horizon, settings: Settings
) -> TaskRows:
    """Return the rows that a search of a family sees, as the settings say.

    Parameters
    ----------
    features, targets : features.feature_table and labels.targets of one slice.

    Raises
    ------
    SchemaError, UnknownFeatureError : as for ``collect_task``.
    """
    return collect_task(
        family.task,
        features,
        targets,
        horizon=horizon,
        settings=settings.walk_forward,
        start=getattr(settings.training, family.task.model).start,
        chosen=settings.features,
    )


def judge_of_studies(
    features: pd.DataFrame, targets: pd.DataFrame, *, horizon: Horizon, settings: Settings
) -> Callable[[StudyRecord], bool]:
    """Return the function that says whether what a search saw is there unchanged, and its space and settings hold.

    Rows are collected once for each family, and only where a search of it is asked about.
    """
    collected: dict[str, TaskRows] = {}

    def is_current(study: StudyRecord) -> bool:
        family = FAMILIES.get(study.name.family)
        if family is None or features.empty:
            return False
        if family.name not in collected:
            collected[family.name] = family_rows(family, features, targets, horizon=horizon, settings=settings)
        return collected[family.name].is_current(study.name, family.space)

    return is_current
