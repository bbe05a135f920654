"""The tables of docs/results.md: what the stored scores say, task by task, each with its interval. Markdown.

Here belongs how scores are laid out for a reader; nothing is computed but their arrangement, so the page cannot say
what ``evaluation.metrics`` and ``evaluation.multiplicity`` do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.errors import ConfigurationError
from trading_dag.reporting.multiplicity_page import multiplicity_page
from trading_dag.schemas import HORIZON_KEYS
from trading_dag.validation.scores.baselines import CLIMATOLOGY, MARKOV, PERSISTENCE, RANDOM_WALK, ROLLING_QUANTILE
from trading_dag.validation.scores.tasks import TASKS

BEGIN: Final = "<!-- scores: begin, written by trading-dag evaluate --results -->"
END: Final = "<!-- scores: end -->"
_NOTHING: Final = "–"


@dataclass(frozen=True)
class Shown:
    """Names one column of a table.

    Attributes
    ----------
    head : its heading.
    metric, baseline : the row of evaluation.metrics; baseline ``none`` for the model's own.
    what : ``value``, ``baseline_value``, ``gain`` with its interval, or ``ratio`` of value to baseline_value.
    scale, digits : the figure is multiplied and rounded.
    """

    head: str
    metric: str
    baseline: str
    what: str = "value"
    scale: float = 1.0
    digits: int = 3


@dataclass(frozen=True)
class Section:
    """Describes one table: a task, its columns, and what is said above it."""

    title: str
    task: str
    says: str
    columns: tuple[Shown, ...]
    horizons: tuple[str, ...] = HORIZON_KEYS
    needs: str = ""

    @property
    def required(self) -> str:
        """Return the metric that a model must have for a row."""
        return self.needs or self.columns[0].metric


SECTIONS: Final = (
    Section(
        "IV regime",
        "volatility",
        "Accuracy against hard persistence in points; the ranked probability score (RPS, × 1,000, less is better) "
        "against the soft Markov transition, and against persistence.",
        (
            Shown("accuracy", "accuracy", "none", digits=3),
            Shown("less persistence, points", "accuracy", PERSISTENCE, "gain", 100.0, 2),
            Shown("RPS", "rps", "none", scale=1000.0, digits=1),
            Shown("Markov", "rps", MARKOV, "baseline_value", 1000.0, 1),
            Shown("persistence", "rps", PERSISTENCE, "baseline_value", 1000.0, 1),
            Shown("gain over Markov", "rps", MARKOV, "gain", 1000.0, 1),
            Shown("gain over persistence", "rps", PERSISTENCE, "gain", 1000.0, 1),
        ),
        needs="rps",
    ),
    Section(
        "Level of the volatility index",
        "volatility_level",
        "QLIKE and Winkler score of the 90 % interval against the random walk.",
        (
            Shown("QLIKE", "qlike", "none", digits=4),
            Shown("gain over random walk", "qlike", RANDOM_WALK, "gain", digits=4),
            Shown("Winkler", "winkler_90", "none", digits=3),
            Shown("gain over random walk", "winkler_90", RANDOM_WALK, "gain", digits=3),
            Shown("coverage", "coverage_90", "none", digits=3),
        ),
    ),
    Section(
        "Direction",
        "direction",
        "Brier score of the sign on all rows against climatology, the share of rises on all training rows.",
        (
            Shown("Brier", "brier_sign", "none", digits=4),
            Shown("climatology", "brier_sign", CLIMATOLOGY, "baseline_value", digits=4),
            Shown("gain × 1e4", "brier_sign", CLIMATOLOGY, "gain", 1e4, 1),
            Shown("hit rate", "hit_rate", "none", digits=3),
            Shown("calibration error", "calibration_error_sign", "none", digits=3),
            Shown("AUC, clear rows", "auc_conditional", "none", digits=3),
        ),
    ),
    Section(
        "Price: 90 % intervals",
        "price",
        "Winkler score in percent of the close (less is better) against the quantiles of the last 250 sessions; "
        "coverage in all, and in each third of sessions by volatility.",
        (
            Shown("Winkler", "winkler_90", "none", digits=2),
            Shown("rolling 250", "winkler_90", ROLLING_QUANTILE, "baseline_value", digits=2),
            Shown("gain", "winkler_90", ROLLING_QUANTILE, "gain", digits=2),
            Shown("coverage", "coverage_90", "none", digits=3),
            Shown("calm", "coverage_90_low_volatility", "none", digits=3),
            Shown("middle", "coverage_90_middle_volatility", "none", digits=3),
            Shown("wild", "coverage_90_high_volatility", "none", digits=3),
            Shown("width", "width_90", "none", digits=2),
        ),
    ),
    Section(
        "Price: 10 and 21 sessions ahead",
        "price",
        "The same of the forecasts that look further than the slice's horizon.",
        tuple(
            Shown(f"{head}, {steps}", f"{metric}_{steps}_sessions", baseline, what, digits=digits)
            for steps in (10, 21)
            for head, metric, baseline, what, digits in (
                ("Winkler", "winkler_90", "none", "value", 2),
                ("gain over rolling 250", "winkler_90", ROLLING_QUANTILE, "gain", 2),
                ("coverage", "coverage_90", "none", "value", 3),
            )
        ),
        horizons=("168h",),
    ),
    Section(
        "Price: the point",
        "price",
        "Mean absolute error in USD, its ratio to the random walk's (below 1 is better), the gain in percent of the "
        "close, and the share of forecasts within ±$2, ±$3, ±$5.",
        (
            Shown("MAE", "mae", "none", digits=2),
            Shown("to random walk", "mae", RANDOM_WALK, "ratio", digits=4),
            Shown("gain, % of close", "mae_percent", RANDOM_WALK, "gain", digits=4),
            Shown("±$2", "hit_rate_within_2_usd", "none", digits=3),
            Shown("±$3", "hit_rate_within_3_usd", "none", digits=3),
            Shown("±$5", "hit_rate_within_5_usd", "none", digits=3),
        ),
        needs="mae_percent",
    ),
)  # fmt: skip
_SHOWN_TASKS: Final = frozenset(section.task for section in SECTIONS)


def results_page(metrics: pd.DataFrame, multiplicity: pd.DataFrame, hull: pd.DataFrame) -> str:
    """Return the tables as Markdown: a section for each task that is stored, and the page of multiplicity.

    Parameters
    ----------
    metrics : evaluation.metrics of all slices, below one another.
    multiplicity : evaluation.multiplicity.
    hull : evaluation.hull_allocation.
    """
    lines: list[str] = []
    for section in SECTIONS:
        lines += _section(metrics, section)
    for task in TASKS:
        if task.name not in _SHOWN_TASKS:
            lines += _plain_section(metrics, task.name)
    lines += _hull_section(hull)
    lines += ["### Many verdicts", "", multiplicity_page(multiplicity).rstrip(), ""]
    return "\n".join(lines)


def with_results(document: str, page: str) -> str:
    """Return a document with the page between its two marks, in place of what stood there.

    Raises
    ------
    ConfigurationError : for a document without the marks, in their order, each once.
    """
    if document.count(BEGIN) != 1 or document.count(END) != 1 or document.index(BEGIN) > document.index(END):
        raise ConfigurationError(f"the document has not once the line {BEGIN} and after it once {END}")
    before, rest = document.split(BEGIN)
    return f"{before}{BEGIN}\n\n{page.strip()}\n\n{END}{rest.split(END)[1]}"


def _section(metrics: pd.DataFrame, section: Section) -> list[str]:
    of_task = metrics[metrics["task"] == section.task]
    by_row = {
        (row["ticker"], row["horizon"], row["model"], row["metric"], row["baseline"]): _with_names(row)
        for row in of_task.to_dict("records")
    }
    held = of_task[(of_task["metric"] == section.required) & (of_task["baseline"] != "none")]
    wanted = held[held["horizon"].isin(section.horizons)][["ticker", "horizon", "model", "is_served"]].drop_duplicates()
    if wanted.empty:
        return []
    rows = []
    for where in _in_order(wanted):
        own = (where["ticker"], where["horizon"], where["model"])
        cells = [_cell(by_row.get((*own, column.metric, column.baseline)), column) for column in section.columns]
        rows.append([f"{where['ticker']} {where['horizon']}", _model(where), *cells])
    return [f"### {section.title}", "", section.says, "", *_table(("slice", "model", *_heads(section)), rows), ""]


def _plain_section(metrics: pd.DataFrame, task: str) -> list[str]:
    """Return every question that the task asks, one row each."""
    asks = next(entry for entry in TASKS if entry.name == task)
    rows = metrics[(metrics["task"] == task) & metrics["baseline"].ne("none")]
    is_asked = [asks.asks(metric, baseline) for metric, baseline in zip(rows["metric"], rows["baseline"], strict=True)]
    asked = rows[np.array(is_asked, dtype=np.bool_)]
    asked = asked[~asked["metric"].str.contains("_p_") & asked["verdict"].ne("no_verdict")]
    if asked.empty:
        return []
    shown = Shown("", "", "", digits=4)
    gain = Shown("", "", "", "gain", digits=4)
    lines = [
        (f"{row['ticker']} {row['horizon']}", _model(row), row["metric"], row["baseline"], _cell(row, shown),
         f"{row['baseline_value']:.4f}", _cell(row, gain), row["verdict"])
        for row in _in_order(asked)
    ]  # fmt: skip
    heads = ("slice", "model", "metric", "against", "model's", "baseline's", "gain", "verdict")
    return [f"### {task.replace('_', ' ').capitalize()}", "", *_table(heads, lines), ""]


def _hull_section(scores: pd.DataFrame) -> list[str]:
    """Return the scores of the positions on the days of the Hull competition, against each baseline."""
    if scores.empty:
        return []
    value, gain = Shown("", "", "", digits=3), Shown("", "", "", "gain", digits=3)
    lines = [
        (row["model"], row["metric"], row["baseline"], _cell(row, value),
         _NOTHING if pd.isna(row["difference"]) else _cell(row, gain), row["verdict"])
        for row in map(_with_names, scores.to_dict("records"))
    ]  # fmt: skip
    heads = ("model", "metric", "against", "value", "gain", "verdict")
    return ["### Allocation on the Hull data", "", *_table(heads, lines), ""]


def _heads(section: Section) -> list[str]:
    return [column.head for column in section.columns]


def _model(row: pd.Series | dict[str, Any]) -> str:
    return f"**{row['model']}**" if row["is_served"] is True or row["is_served"] == 1 else str(row["model"])


def _in_order(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows by ticker as they came, horizon by length, the served model first."""
    places = rows.assign(
        place=[HORIZON_KEYS.index(horizon) for horizon in rows["horizon"]],
        later=(rows["is_served"] != True).to_numpy(),  # noqa: E712  # may be NULL
    )
    order = places.sort_values(["ticker", "place", "later", "model"], kind="stable")
    return [_with_names(row) for row in order.to_dict("records")]


def _with_names(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in row.items()}


def _cell(row: dict[str, Any] | None, column: Shown) -> str:
    if row is None or pd.isna(row["value"]):
        return _NOTHING
    if column.what == "ratio":
        return f"{row['value'] / row['baseline_value']:.{column.digits}f}"
    if column.what == "gain":
        figures = [row[name] for name in ("difference", "difference_ci_low", "difference_ci_high")]
        mean, low, high = (f"{column.scale * figure:+z.{column.digits}f}" for figure in figures)
        return f"{mean} [{low}, {high}]"
    return f"{column.scale * row[column.what]:.{column.digits}f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    return [
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
        *(f"| {' | '.join(map(str, row))} |" for row in rows),
    ]
