"""evaluation.hull_allocation: the competition's score of every model, beside its baselines, with interval and verdict.

Here belongs what is compared with what. The arithmetic of the score stands in ``allocation_score``, draws and intervals
in ``uncertainty``, what a verdict means in ``evaluation``.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.frames import frame_of_records, require_columns
from trading_dag.schemas import HULL_ALLOCATION, HULL_SCORES
from trading_dag.setting_groups import BootstrapSettings
from trading_dag.validation.inference.uncertainty import bootstrap_weights, mean_block_length, percentile_interval
from trading_dag.validation.scores.allocation_score import (
    deviation_of,
    sharpe_ratio,
    strategy_returns,
    volatility_adjusted_sharpe,
)
from trading_dag.validation.scores.metrics import Weights, mean_of, point_weights
from trading_dag.validation.verdicts.evaluation import NO_BASELINE, verdict_of

_DAYS_PER_YEAR: Final = 252.0
_RANKED: Final = ("adjusted_sharpe", "sharpe")  # of which more is better


def score_hull_positions(positions: pd.DataFrame, *, settings: BootstrapSettings) -> pd.DataFrame:
    """Score the positions of all models on the same days, with the same draws.

    Parameters
    ----------
    positions : predictions.hull_allocation.
    settings : draws, confidence and seed of the stationary bootstrap; blocks of at least 60 days, as everywhere.

    Returns
    -------
    evaluation.hull_allocation; no rows for no positions. Known after the last day's return.

    Raises
    ------
    SchemaError : for a missing column.
    """
    require_columns(positions, HULL_ALLOCATION.qualified_name, columns=HULL_ALLOCATION.column_names)
    if positions.empty:
        return frame_of_records(HULL_SCORES, [])
    held = positions.pivot(index="date_id", columns="model", values="position")
    once = positions.drop_duplicates("date_id").set_index("date_id").loc[held.index]
    market, cash = (once[name].to_numpy(dtype=np.float64) for name in ("forward_return", "cash_return"))
    baselines = sorted(set(positions.loc[positions["is_baseline"], "model"]))
    earned = {model: strategy_returns(held[model].to_numpy(), market, cash) for model in held.columns}
    models = [model for model in held.columns if model not in baselines]
    block = max(mean_block_length(earned[one] - earned[two], steps=1) for one in models for two in baselines)
    draws = bootstrap_weights(len(held), mean_block=block, settings=settings)
    values = {
        model: [_scores(weights, held[model].to_numpy(), market, cash) for weights in (point_weights(len(held)), draws)]
        for model in held.columns
    }
    records = []
    for model in held.columns:
        records += [
            _record(model, NO_BASELINE, metric, values[model], None, n=len(held), confidence=settings.confidence)
            for metric in values[model][0]
        ]
    for model in models:
        for baseline in baselines:
            records += [
                _record(
                    model, baseline, metric, values[model], values[baseline], n=len(held),
                    confidence=settings.confidence,
                )
                for metric in values[model][0]
            ]  # fmt: skip
    return frame_of_records(HULL_SCORES, records)


def _scores(weights: Weights, position: FloatArray, market: FloatArray, cash: FloatArray) -> dict[str, FloatArray]:
    weights = weights.astype(np.float64, copy=False)
    own = strategy_returns(position, market, cash)
    return {
        "adjusted_sharpe": volatility_adjusted_sharpe(weights, position, market, cash, periods_per_year=_DAYS_PER_YEAR),
        "sharpe": sharpe_ratio(weights, own, cash, periods_per_year=_DAYS_PER_YEAR),
        "mean_position": mean_of(weights, position),
        "volatility_ratio": deviation_of(weights, own) / deviation_of(weights, market),
    }


def _record(
    model: str,
    baseline: str,
    metric: str,
    ours: list[dict[str, FloatArray]],
    theirs: list[dict[str, FloatArray]] | None,
    *,
    n: int,
    confidence: float,
) -> dict[str, Any]:
    """Return one row: alone, or held against a baseline draw by draw."""
    low, high = percentile_interval(ours[1][metric], confidence=confidence)
    row: dict[str, Any] = {
        "model": model, "metric": metric, "baseline": baseline, "value": float(ours[0][metric][0]), "ci_low": low,
        "ci_high": high, "verdict": "unskilled" if metric in _RANKED else "no_verdict", "n": n,
    }  # fmt: skip
    if theirs is None:
        return row
    difference = float(ours[0][metric][0] - theirs[0][metric][0])
    low, high = percentile_interval(ours[1][metric] - theirs[1][metric], confidence=confidence)
    row |= {
        "baseline_value": float(theirs[0][metric][0]),
        "difference": difference,
        "difference_ci_low": low,
        "difference_ci_high": high,
    }
    return row | {"verdict": verdict_of(difference, low)} if metric in _RANKED else row
