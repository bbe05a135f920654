"""What a recommendation rests on, as JSON: each model with its version and its score on the outcomes known by then.

Here belongs how the evidence of a row is written, and nothing of what follows from it. Rows are put together from parts
that many share, because thousands of them a slice through ``json.dumps`` take ten times as long; a test compares.
"""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, FloatArray, TextArray
from trading_dag.served_models import (
    SECOND_OPINION_SPREAD,
    SERVED_ALLOCATION,
    SERVED_DIRECTION,
    SERVED_PRICE,
    SERVED_VOLATILITY,
    SERVED_VOLATILITY_LEVEL,
)
from trading_dag.strategy.beside import Beside
from trading_dag.strategy.explanation import INDICATIVE, INDICATIVE_OF_CHAIN, says_no_more_than_usual
from trading_dag.strategy.forecasts import Forecasts
from trading_dag.validation.gates.scores_to_date import question_of
from trading_dag.validation.scores.baselines import CLIMATOLOGY
from trading_dag.validation.scores.tasks import task_of

MISSING: Final = "no forecast of this session"


def evidence_of(forecasts: Forecasts, beside: Beside, *, reason: TextArray, has_chain: BoolArray) -> TextArray:
    """Return the evidence of each row as a JSON object.

    Its ``forecasts`` is a list, one entry a model: task, model, version, fold and fitted_through, and its score against
    the baseline over the outcomes known by the session; or ``missing`` with the reason.
    """
    known = forecasts.known_edge
    of_direction, lowest, of_volatility = (
        _numbers(known[name].to_numpy(dtype=np.float64))
        for name in ("direction_difference", "direction_difference_low", "volatility_difference")
    )
    n = list(map(str, known["n_outcomes"].fillna(0).astype("int64").tolist()))
    rows = zip(
        _heads(forecasts), of_direction, lowest, of_volatility, n,
        _model("direction", SERVED_DIRECTION, forecasts.calls, (*_gate("direction"), of_direction, n), MISSING),
        _model("volatility", SERVED_VOLATILITY, forecasts.regimes, (*_gate("volatility"), of_volatility, n), MISSING),
        _beside("volatility_level", SERVED_VOLATILITY_LEVEL, beside.level, beside),
        _beside("price", SERVED_PRICE, beside.price, beside),
        _beside("spread", SECOND_OPINION_SPREAD, beside.spread, beside),
        _beside("allocation", SERVED_ALLOCATION, beside.allocation, beside),
        map(_tail, reason.tolist(), has_chain.tolist()),
        strict=True,
    )  # fmt: skip
    return np.array(
        [
            f'{{{head}, "direction_difference": {gain}, "direction_difference_low": {low}, '
            f'"volatility_difference": {other_gain}, "n_outcomes": {count}, '
            f'"forecasts": [{direction}, {regime}, {level}, {price}, {spread}, {position}], {tail}}}'
            for head, gain, low, other_gain, count, direction, regime, level, price, spread, position, tail in rows
        ],
        dtype=object,
    )


def _heads(forecasts: Forecasts) -> list[str]:
    """Which fold of the two models that select said so, and what it had seen."""
    calls, regimes = forecasts.calls, forecasts.regimes
    rows = zip(
        calls["fold"].tolist(),
        _day_numbers(calls["fitted_through"]),
        map(says_no_more_than_usual, calls["probability_up"].tolist(), forecasts.usual_probability_up.tolist()),
        regimes["fold"].fillna(0).tolist(),
        _day_numbers(regimes["fitted_through"]),
        strict=True,
    )
    return [_head(*row) for row in rows]


@lru_cache(maxsize=8192)
def _head(fold: int, fitted: int, is_usual: bool, volatility_fold: float, volatility_fitted: int) -> str:
    return shared_json(
        ("direction_model", SERVED_DIRECTION),
        ("direction_fold", fold),
        ("direction_fitted_through", _day(fitted)),
        ("direction_answer", CLIMATOLOGY if is_usual else "model"),
        ("volatility_model", SERVED_VOLATILITY),
        ("volatility_fold", int(volatility_fold) or None),
        ("volatility_fitted_through", _day(volatility_fitted)),
    )


@lru_cache(maxsize=8192)
def _tail(reason: str, has_chain: bool) -> str:
    return shared_json(("selection", reason), ("quotes", INDICATIVE_OF_CHAIN if has_chain else INDICATIVE))


def _gate(task: str) -> tuple[str, str]:
    return question_of(task_of(task))


def _beside(task: str, model: str, rows: pd.DataFrame, beside: Beside) -> list[str]:
    missing = beside.spread_is_off if task == "spread" and beside.spread_is_off else MISSING
    score = beside.scores.get(task)
    if score is None:
        return [_absent(task, model, missing)] * len(rows)
    n = list(map(str, score.n_outcomes.tolist()))
    return _model(task, model, rows, (score.metric, score.baseline, _numbers(score.difference), n), missing)


def _model(
    task: str, model: str, rows: pd.DataFrame, score: tuple[str, str, list[str], list[str]], missing: str
) -> list[str]:
    """The members of ``forecasts`` for one model, which has a forecast where it has a fold."""
    metric, baseline, difference, n = score
    absent = _absent(task, model, missing)
    versions = rows["model_version"].fillna("").to_numpy(dtype=object)
    folds = rows["fold"].to_numpy(dtype=np.float64, na_value=np.nan)
    fitted = rows["fitted_through"].to_numpy().astype("datetime64[D]").astype(np.int64)
    # A fold serves many sessions in a row, so that its names are written once for all of them.
    changes = (versions[1:] != versions[:-1]) | (fitted[1:] != fitted[:-1]) | ~(folds[1:] == folds[:-1])
    bounds = [0, *(np.flatnonzero(changes) + 1).tolist(), len(rows)]
    told: list[str] = []
    for start, stop in pairwise(bounds):
        if start == stop or np.isnan(folds[start]):
            told += [absent] * (stop - start)
            continue
        named = shared_json(
            ("task", task), ("model", model), ("version", versions[start] or None), ("fold", int(folds[start])),
            ("fitted_through", _day(int(fitted[start]))), ("score", metric), ("baseline", baseline),
        )  # fmt: skip
        told += [
            f'{{{named}, "difference": {gain}, "n_outcomes": {count}}}'
            for gain, count in zip(difference[start:stop], n[start:stop], strict=True)
        ]
    return told


def _absent(task: str, model: str, missing: str) -> str:
    return f"{{{shared_json(('task', task), ('model', model), ('missing', missing))}}}"


def _day_numbers(column: pd.Series) -> list[int]:
    days: list[int] = column.to_numpy().astype("datetime64[D]").astype(np.int64).tolist()
    return days


@lru_cache(maxsize=8192)
def _day(number: int) -> str | None:
    day = str(np.datetime64(number, "D"))
    return None if day == "NaT" else day


def _numbers(values: FloatArray) -> list[str]:
    told = list(map(repr, values.tolist()))
    for row in np.flatnonzero(np.isnan(values)):
        told[row] = "null"
    return told


@lru_cache(maxsize=8192)
def shared_json(*items: tuple[str, str | int | None]) -> str:
    """Return the members of a JSON object, without its braces."""
    return json.dumps(dict(items))[1:-1]
