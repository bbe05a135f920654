"""The tasks that are scored: for each its predictions table, how its rows are scored, and which tests apply.

Here belongs one entry a task, in ``TASKS``. A new task is one entry, its predictions table, the asset that makes it
and a class of scored rows in a module of its own; evaluation.metrics reads and scores it without more. The comparison
itself stands in ``evaluation``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.errors import SchemaError
from trading_dag.schemas import (
    METRICS,
    PREDICTIONS_ALLOCATION,
    PREDICTIONS_DIRECTION,
    PREDICTIONS_PRICE,
    PREDICTIONS_SPREAD,
    PREDICTIONS_VOLATILITY,
    PREDICTIONS_VOLATILITY_LEVEL,
    Table,
)
from trading_dag.served_models import SERVED_MODELS
from trading_dag.slices import Horizon
from trading_dag.validation.scores.allocation_scoring import AllocationRows
from trading_dag.validation.scores.baselines import (
    CLASS_PRIOR,
    CLIMATOLOGY,
    HARD_CALLS,
    MARKOV,
    RANDOM_WALK,
    ROLLING_QUANTILE,
    VOLATILITY_MANAGED,
)
from trading_dag.validation.scores.level_scoring import LevelRows
from trading_dag.validation.scores.price_scoring import PriceRows, by_sessions_ahead
from trading_dag.validation.scores.scoring import DirectionRows, ScoredRows, VolatilityRows
from trading_dag.validation.scores.spread_scoring import SpreadRows
from trading_dag.validation.scores.task_parts import Part, the_whole_table


@dataclass(frozen=True)
class Nesting:
    """Says which models contain which baselines, so that Clark–West applies.

    Attributes
    ----------
    baselines : names of the baselines that every model of the task contains.
    loss : the metric whose gain is reported beside the p-value: mean squared error, or what ranks alike.
    outcome_and_forecast : given scored rows, returns what happened and the point forecast of it.
    """

    baselines: tuple[str, ...]
    loss: str
    outcome_and_forecast: Callable[[Any], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True)
class Task:
    """Describes one task of evaluation.metrics.

    Attributes
    ----------
    name : as in evaluation.metrics.task and ``SERVED_MODELS``.
    predictions : the table of its forecasts, with columns session, model and is_baseline.
    scored : returns the scored rows of one model, given its rows of the table whose outcome is known, in session order.
    block_losses : the metrics whose losses decide the length of the bootstrap's blocks: those of ``ScoredRows.losses``
        that a model and its baseline both have. Diebold–Mariano is computed for every loss that both have.
    outcome : the column that is NULL while the future is not there.
    rivals : models that the others of the task are held against besides the baselines.
    hard_calls : baselines that give probability 1 or 0, or a point for a distribution; no verdict on a score of
        probabilities against them.
    questions : metric and baseline of each comparison that is counted among the verdicts, such as the proper score
        against the strongest soft baseline; None for every loss against every baseline.
    nesting : for Clark–West; None where no model contains a baseline.
    parts : divides the table where its rows look differently far ahead.
    """

    name: str
    predictions: Table
    scored: Callable[[pd.DataFrame], ScoredRows]
    block_losses: tuple[str, ...]
    outcome: str = "y_true"
    rivals: tuple[str, ...] = ()
    hard_calls: frozenset[str] = HARD_CALLS
    questions: tuple[tuple[str, str], ...] | None = None
    nesting: Nesting | None = None
    parts: Callable[[pd.DataFrame, Horizon], Iterator[Part]] = the_whole_table

    def asks(self, metric: str, baseline: str) -> bool:
        """Return whether a comparison is one of those that are counted among the verdicts."""
        return self.questions is None or (metric, baseline) in self.questions

    @property
    def served_model(self) -> str | None:
        """Return the model whose forecasts signals use; None where nothing is served."""
        return SERVED_MODELS.get(self.name)


def _rise_and_its_probability(rows: DirectionRows) -> tuple[FloatArray, FloatArray]:
    return rows.rose, rows.probability_up


TASKS: Final[tuple[Task, ...]] = (
    Task(
        "direction",
        PREDICTIONS_DIRECTION,
        DirectionRows.of,
        block_losses=("brier_sign",),
        questions=(("brier_sign", CLIMATOLOGY),),
        nesting=Nesting((CLIMATOLOGY, CLASS_PRIOR), "brier_sign", _rise_and_its_probability),
    ),
    Task(
        "volatility", PREDICTIONS_VOLATILITY, VolatilityRows.of, block_losses=("brier",), questions=(("rps", MARKOV),)
    ),
    Task(
        "volatility_level",
        PREDICTIONS_VOLATILITY_LEVEL,
        LevelRows.of,
        block_losses=("pinball", "winkler_90"),
        questions=(("pinball", RANDOM_WALK), ("qlike", RANDOM_WALK)),
        hard_calls=frozenset(),
    ),
    Task(
        "price",
        PREDICTIONS_PRICE,
        PriceRows.of,
        block_losses=("winkler_90", "mae_percent"),
        questions=(("winkler_90", ROLLING_QUANTILE), ("mae_percent", RANDOM_WALK)),
        hard_calls=frozenset(),
        parts=by_sessions_ahead,
    ),
    Task(
        "spread",
        PREDICTIONS_SPREAD,
        SpreadRows.of,
        block_losses=("brier",),
        rivals=("spread_logistic",),
        questions=(("brier", CLASS_PRIOR),),
    ),
    Task(
        "allocation",
        PREDICTIONS_ALLOCATION,
        AllocationRows.of,
        block_losses=("lost_growth",),
        questions=(("lost_growth", VOLATILITY_MANAGED),),
        hard_calls=frozenset(),
    ),
)


def task_of(name: str, *, among: tuple[Task, ...] = TASKS) -> Task:
    """Return the task of a name.

    Raises
    ------
    SchemaError : for a name that no task has.
    """
    found = {task.name: task for task in among}
    if name not in found:
        raise SchemaError(table=METRICS.qualified_name, key=f"task {name}", rule=f"is one of {', '.join(found)}")
    return found[name]
