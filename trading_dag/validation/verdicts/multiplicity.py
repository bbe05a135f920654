"""evaluation.multiplicity: which verdicts stand once it is counted how many were looked for.

Here belongs the correction of p-values for their number. The p-values themselves, and the scores behind them, are those
of evaluation.metrics, of all slices. Which comparisons are asked for stands in ``tasks``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray
from trading_dag.frames import frame_of_records, require_columns
from trading_dag.schemas import HORIZON_KEYS, METRICS, MULTIPLICITY
from trading_dag.validation.scores.tasks import TASKS, Task

FALSE_DISCOVERY_RATE: Final = 0.05
TEST: Final = "diebold_mariano_p_"
# What these tasks forecast is a volatility index, which several tickers may share.
OF_THE_INDEX: Final = frozenset({"volatility", "volatility_level"})
_AHEAD: Final = re.compile(r"_\d+_sessions$")
_QUESTION: Final = ["task", "metric", "baseline"]
_SAME: Final = ("n", "value", "baseline_value", "difference")


def multiplicity(
    metrics: pd.DataFrame, *, index_of: Mapping[str, str], tasks: tuple[Task, ...] = TASKS
) -> pd.DataFrame:
    """Return every verdict that was looked for in all slices, with its p-value, and whether it survives their number.

    A question is a task, a metric and a baseline; its family are all models in all slices. A verdict's p-value is the
    larger of two one-sided ones: Diebold–Mariano, and the share of bootstrap draws in which the model was no better.
    It survives where Benjamini and Hochberg's procedure at 5 % rejects within its family. Slices with the very same
    rows count once: the later one names the other in ``repeats`` and takes its answer over.

    Parameters
    ----------
    metrics : evaluation.metrics of all slices, below one another.
    index_of : the volatility index of each ticker, for what slices share.
    tasks : those whose questions are asked.

    Returns
    -------
    evaluation.multiplicity; a verdict without p-value (too few rows, or forecasts that never differ) survives nothing
    and counts in no family. Known when the metrics are.

    Raises
    ------
    SchemaError : for a missing column.

    References
    ----------
    Benjamini and Hochberg, Journal of the Royal Statistical Society B 57 (1995), 289–300; Benjamini and Yekutieli,
    Annals of Statistics 29 (2001), 1165–1188.
    """
    require_columns(metrics, METRICS.qualified_name, columns=METRICS.column_names)
    asked = _asked(metrics, tasks)
    if asked.empty:
        return frame_of_records(MULTIPLICITY, [])
    asked = asked.assign(repeats=_repeats(asked))
    asked["p_value"] = asked[["p_diebold_mariano", "p_bootstrap"]].max(axis=1, skipna=False)
    counts = asked["p_value"].notna() & asked["repeats"].isna()
    for _, rows in asked[counts].groupby(_QUESTION, sort=False):
        p_values = rows["p_value"].to_numpy(dtype=np.float64)
        asked.loc[rows.index, "q_value"] = adjusted(p_values)
        asked.loc[rows.index, "q_value_any_dependence"] = adjusted(p_values, any_dependence=True)
        asked.loc[rows.index, "family"] = len(rows)
    asked.loc[counts, "q_value_of_all"] = adjusted(asked.loc[counts, "p_value"].to_numpy(dtype=np.float64))
    _take_over(asked)
    records = [
        {name: None if pd.isna(value) else value for name, value in row.items()}
        | {
            "family": int(row["family"]) if pd.notna(row["family"]) else 0,
            "survives": bool(row["q_value"] <= FALSE_DISCOVERY_RATE),
            "survives_any_dependence": bool(row["q_value_any_dependence"] <= FALSE_DISCOVERY_RATE),
            "shares_outcomes_with": _companions(row, asked["ticker"].unique(), index_of),
        }
        for row in asked.to_dict("records")
    ]
    wanted = set(MULTIPLICITY.column_names)
    return frame_of_records(
        MULTIPLICITY, [{name: value for name, value in record.items() if name in wanted} for record in records]
    )


def adjusted(p_values: FloatArray, *, any_dependence: bool = False) -> FloatArray:
    """Return the p-values adjusted for their number: the smallest false discovery rate at which each is rejected.

    Parameters
    ----------
    any_dependence : whether to hold for any dependence among them (Benjamini and Yekutieli). Benjamini and Hochberg's
        holds for independent and for positively dependent ones, which scores of neighbouring horizons are.
    """
    from scipy.stats import false_discovery_control

    if not len(p_values):
        return p_values
    found: FloatArray = false_discovery_control(p_values, method="by" if any_dependence else "bh")
    return found


def _asked(metrics: pd.DataFrame, tasks: Iterable[Task]) -> pd.DataFrame:
    """Return the rows of the comparisons that are asked for, each with the p-value of its Diebold–Mariano test."""
    key = ["ticker", "horizon", "task", "model", "metric", "baseline"]
    tests = metrics[metrics["metric"].str.startswith(TEST)].assign(
        metric=lambda rows: rows["metric"].str.removeprefix(TEST), p_diebold_mariano=lambda rows: rows["value"]
    )
    rows = metrics.merge(tests[[*key, "p_diebold_mariano"]], on=key, how="inner", validate="one_to_one")
    by_name = {task.name: task for task in tasks}
    is_asked = [
        row["verdict"] != "no_verdict"
        and row["task"] in by_name
        and by_name[row["task"]].asks(_AHEAD.sub("", row["metric"]), row["baseline"])
        for row in rows[["verdict", "task", "metric", "baseline"]].to_dict("records")
    ]
    rows = rows[np.array(is_asked, dtype=bool)]
    place = np.array([-HORIZON_KEYS.index(horizon) for horizon in rows["horizon"]], dtype=np.int64)
    # The longer of two horizons that are the same comes first, so 12h repeats 24h and not the other way round.
    order = rows.assign(place=place).sort_values([*_QUESTION, "model", "ticker", "place"], kind="stable")
    return order.drop(columns="place").reset_index(drop=True).assign(
        q_value=np.nan, q_value_any_dependence=np.nan, q_value_of_all=np.nan, family=np.nan
    )  # fmt: skip


def _repeats(asked: pd.DataFrame) -> pd.Series:
    """Return the slice whose very rows a verdict scores once more; missing where there is none before it."""
    same = asked.groupby([*_QUESTION, "model", *_SAME], sort=False, dropna=True)
    first = same["ticker"].transform("first") + " " + same["horizon"].transform("first")
    own = asked["ticker"] + " " + asked["horizon"]
    return first.where(first.notna() & (first != own)).astype(object)


def _take_over(asked: pd.DataFrame) -> None:
    """Give verdicts that repeat another's rows its answer."""
    taken = ["q_value", "q_value_any_dependence", "q_value_of_all", "family"]
    same = asked.groupby([*_QUESTION, "model", *_SAME], sort=False, dropna=True)
    is_repeated = asked["repeats"].notna()
    for name in taken:
        asked.loc[is_repeated, name] = same[name].transform("first")[is_repeated]


def _companions(row: Mapping[Any, Any], tickers: Iterable[str], index_of: Mapping[str, str]) -> str | None:
    """Return the other tickers whose outcomes are the same, because they have one volatility index."""
    if row["task"] not in OF_THE_INDEX or row["ticker"] not in index_of:
        return None
    others = sorted(
        other for other in tickers if other != row["ticker"] and index_of.get(other) == index_of[row["ticker"]]
    )
    return ", ".join(others) or None


def counted(table: pd.DataFrame) -> pd.DataFrame:
    """Return how many verdicts of each question survive, from evaluation.multiplicity.

    Returns
    -------
    One row a question: task, metric, baseline, ``verdicts`` that are distinct and have a p-value, ``repeated`` ones,
    ``untested`` ones, ``skilled`` (alone, by interval), ``survive`` (Benjamini–Hochberg) and
    ``survive_any_dependence`` (Benjamini–Yekutieli).
    """
    distinct = table[table["repeats"].isna()]
    tested = distinct["p_value"].notna()
    flags = distinct.assign(
        verdicts=tested,
        untested=~tested,
        skilled=tested & (distinct["verdict"] == "skilled"),
        survive=tested & distinct["survives"].astype(bool),
        survive_any_dependence=tested & distinct["survives_any_dependence"].astype(bool),
        survive_all=tested & (distinct["q_value_of_all"] <= FALSE_DISCOVERY_RATE),
    )
    names = ["verdicts", "untested", "skilled", "survive", "survive_any_dependence", "survive_all"]
    found = flags.groupby(_QUESTION, sort=True)[names].sum().astype(int)
    repeated = table[table["repeats"].notna()].groupby(_QUESTION).size()
    found["repeated"] = repeated.reindex(found.index).fillna(0).astype(int)
    return found.reset_index()
