"""What the scores of the served models amount to, in words that a trader reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from trading_dag.dashboard.words import named
from trading_dag.validation.scores.tasks import TASKS

_WHAT: Final = {
    "direction": "Direction of the price",
    "volatility": "Regime of implied volatility",
    "volatility_level": "Level of the volatility index",
    "price": "Price at the target",
    "spread": "Which credit spread pays",
    "allocation": "Position in the underlying",
}
_EDGE: Final = {
    "skilled": "measurable edge",
    "admissible": "no measurable edge",
    "unskilled": "worse than the baseline",
    "insufficient_data": "too few outcomes to judge",
    "no_verdict": "no verdict",
}
COLUMNS: Final = ("task", "in_words", "verdict", "metric", "model", "baseline", "gain", "gain_low", "gain_high", "n")


def evidence_data(metrics: pd.DataFrame, *, horizon: str) -> pd.DataFrame:
    """Return a row for each task with a served model: its verdict in words, and the gain with its 95 % interval.

    Parameters
    ----------
    metrics : rows of ``evaluation.metrics`` of one slice.
    """
    rows = []
    for task in TASKS:
        if task.served_model is None or not task.questions:
            continue
        metric, baseline = task.questions[0]  # the one that signals rest on
        found = metrics[
            (metrics["task"] == task.name) & (metrics["model"] == task.served_model)
            & (metrics["metric"] == metric) & (metrics["baseline"] == baseline)
        ]  # fmt: skip
        rows += [_row(entry, horizon) for entry in found.to_dict("records")]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def evidence_lines(rows: pd.DataFrame) -> list[str]:
    """Return the rows of ``evidence_data`` as sentences, with the number of outcomes behind each."""
    return [f"{row['in_words']}, on {row['n']:,} outcomes." for row in rows.to_dict("records")]


def _row(entry: Mapping[Any, Any], horizon: str) -> dict[str, Any]:
    what = _WHAT.get(entry["task"], named(entry["task"]))
    return {
        "task": entry["task"],
        "in_words": f"{what}: {_EDGE.get(entry['verdict'], named(entry['verdict']))} at {horizon}, against "
        f"{named(entry['baseline'])}",
        "verdict": entry["verdict"],
        "metric": entry["metric"],
        "model": entry["model"],
        "baseline": entry["baseline"],
        "gain": entry["difference"],
        "gain_low": entry["difference_ci_low"],
        "gain_high": entry["difference_ci_high"],
        "n": entry["n"],
    }
