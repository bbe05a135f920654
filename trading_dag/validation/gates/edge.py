"""Whether the models may be acted on: at a session, by outcomes known then; for a backtest, by its metrics.

Here belongs the gate between forecasts and trades. ``edge_to_date`` never uses an outcome whose
target session lies after the session it judges; ``admissibility`` reads the final metrics, so it
may label a backtest but never switch a past signal on or off; ``unearned_admission`` checks such a label.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from trading_dag.arrays import BoolArray, IntArray, TextArray
from trading_dag.frames import require_columns
from trading_dag.schemas import METRICS, PREDICTIONS_DIRECTION, PREDICTIONS_VOLATILITY, SUMMARY
from trading_dag.served_models import SERVED_PRICE
from trading_dag.setting_groups import GateSettings
from trading_dag.slices import Horizon
from trading_dag.validation.gates.scores_to_date import question_of, score_to_date
from trading_dag.validation.scores.metric_meaning import gain
from trading_dag.validation.scores.price_scoring import HIT_RATE_IN_PERCENT_BAND, HIT_RATE_IN_USD_BAND
from trading_dag.validation.scores.tasks import TASKS, task_of

# task, model, metric, baseline: what has to be no worse than its baseline
GATES: Final = tuple(
    (task.name, str(task.served_model), *question_of(task))
    for task in TASKS
    if task.name in ("direction", "volatility")
)
# What rule tolerance reads: the share of the served price forecasts within the dollars of the horizon, or within ±2 %.
PRICE_MODEL: Final = SERVED_PRICE
MINIMUM_OUTCOMES: Final = 250
EDGE_UNKNOWN: Final = "insufficient_data"
_ROUNDING: Final = 1e-9


def edge_to_date(
    direction: pd.DataFrame,
    volatility: pd.DataFrame,
    *,
    horizon: Horizon,
    minimum_outcomes: int = MINIMUM_OUTCOMES,
) -> pd.DataFrame:
    """Return whether the models had shown an edge over their baselines on the outcomes known at each session.

    Parameters
    ----------
    direction, volatility : predictions.direction and predictions.volatility of one slice.
    horizon : of the slice.
    minimum_outcomes : fewer known outcomes of either task give ``insufficient_data``.

    Returns
    -------
    One row per session that either table forecasts, ascending, plain index: session; edge
    (``admissible`` where the 95 % interval of the direction's difference lies above zero and the regime's difference
    is ≥ 0, ``no_edge``, ``insufficient_data``);
    direction_difference, mean of baseline less model Brier loss of the sign, against
    ``climatology``; direction_difference_low, the lower end of its interval; volatility_difference, the same of the
    ranked probability score, against ``markov``;
    n_outcomes, the smaller of the two counts. Differences are NaN without outcomes. Known at the
    session's close: only outcomes whose target session is not after it count.

    Raises
    ------
    SchemaError : for a missing column.
    """
    require_columns(direction, PREDICTIONS_DIRECTION.qualified_name, columns=PREDICTIONS_DIRECTION.column_names)
    require_columns(volatility, PREDICTIONS_VOLATILITY.qualified_name, columns=PREDICTIONS_VOLATILITY.column_names)
    sessions = pd.DatetimeIndex(direction["session"]).union(pd.DatetimeIndex(volatility["session"])).unique()
    of_direction = score_to_date(task_of("direction"), direction, sessions, horizon=horizon)
    of_volatility = score_to_date(task_of("volatility"), volatility, sessions, horizon=horizon)
    n_outcomes = np.minimum(of_direction.n_outcomes, of_volatility.n_outcomes)
    # What only repeats climatology is no worse than it, and no reason to trade; nor is a gain that noise explains.
    has_edge = (of_direction.difference_low > 0) & (of_volatility.difference >= 0)
    return pd.DataFrame(
        {
            "session": sessions,
            "edge": pd.array(edge_words(has_edge, n_outcomes, minimum_outcomes=minimum_outcomes), dtype="str"),
            "direction_difference": of_direction.difference,
            "direction_difference_low": of_direction.difference_low,
            "volatility_difference": of_volatility.difference,
            "n_outcomes": n_outcomes,
        }
    )


def edge_words(has_edge: BoolArray, n_outcomes: IntArray, *, minimum_outcomes: int = MINIMUM_OUTCOMES) -> TextArray:
    """Return ``admissible``, ``no_edge`` or, below the minimum of known outcomes, ``insufficient_data``."""
    words = np.where(n_outcomes < minimum_outcomes, EDGE_UNKNOWN, np.where(has_edge, "admissible", "no_edge"))
    return words.astype(object)


class Admissibility(NamedTuple):
    """Whether a backtest of a slice may be called admissible: the answer, and each gate's verdict in words."""

    is_admissible: bool
    reason: str


def admissibility(metrics: pd.DataFrame, gate: GateSettings | None = None) -> Admissibility:
    """Judge a slice by its final metrics.

    Parameters
    ----------
    metrics : evaluation.metrics of one slice. Without a gate's row the slice is not admissible.
    gate : rule ``skill`` (the default) asks each gated model to be no worse than its baseline; rule ``tolerance`` asks
        ``minimum_hit_rate`` of the price forecasts to lie within the band of the horizon.

    Raises
    ------
    SchemaError : for a missing column.
    """
    chosen = gate or GateSettings()
    require_columns(metrics, METRICS.qualified_name, columns=METRICS.column_names)
    if chosen.rule == "tolerance":
        return _within_tolerance(metrics, minimum=chosen.minimum_hit_rate)
    verdicts, reasons = [], []
    for task, model, metric, baseline in GATES:
        found = _rows(metrics, task, model, metric, baseline=baseline)
        verdict = str(found["verdict"].iloc[0]) if len(found) else "insufficient_data"
        verdicts.append(verdict in ("skilled", "admissible"))
        if not len(found):
            reasons.append(f"{model} has no {metric} against {baseline}")
        elif verdict == "insufficient_data":
            reasons.append(f"{model}: {found['reason'].iloc[0]}")
        else:
            gap = float(found["difference"].iloc[0])
            reasons.append(f"{model} is {verdict} against {baseline} ({metric} {gap:+.4f})")
    return Admissibility(all(verdicts), "; ".join(reasons))


def unearned_admission(
    summary: pd.DataFrame,
    metrics: pd.DataFrame,
    gate: GateSettings | None = None,
    *,
    objection: str | None = None,
) -> str | None:
    """Return why the label of a backtest that calls itself admissible is not earned; None where it is, or where it
    does not.

    Derived anew from the figures, not from the verdicts that the label was made of: the scores of the models and of
    their baselines on that very slice (or the hit rates), the status, and the sign of the profit with the surface lower
    and higher. Scores of too few rows (``insufficient_data``) earn nothing, whatever they are.

    Parameters
    ----------
    summary : backtests.summary of one slice.
    metrics : evaluation.metrics of the same slice.
    objection : why the modelled option prices of the ticker are not to be believed; None where nothing is.

    Raises
    ------
    SchemaError : for a missing column.
    """
    chosen = gate or GateSettings()
    require_columns(summary, SUMMARY.qualified_name, columns=SUMMARY.column_names)
    require_columns(metrics, METRICS.qualified_name, columns=METRICS.column_names)
    for row in summary[summary["is_admissible"].astype(bool)].to_dict("records"):
        own = metrics[(metrics["ticker"] == row["ticker"]) & (metrics["horizon"] == row["horizon"])]
        objections = [
            *([objection] if objection else []),
            *_unmet_thresholds(own, chosen),
            *([f"its status is {row['status']}"] if row["status"] != "backtested" else []),
            *(
                f"the profit of {row['total_pnl_usd']:,.0f} USD is {row[name]:,.0f} in {name}"
                for name in ("pnl_lower_volatility_usd", "pnl_higher_volatility_usd")
                if np.sign(row[name]) != np.sign(row["total_pnl_usd"])
            ),
        ]
        if objections:
            return "; ".join(objections)
    return None


def _unmet_thresholds(metrics: pd.DataFrame, gate: GateSettings) -> list[str]:
    """Return the thresholds that the figures of a slice do not meet, in words."""
    if gate.rule == "tolerance":
        judged = _within_tolerance(metrics, minimum=gate.minimum_hit_rate)
        return [] if judged.is_admissible else [judged.reason]
    unmet = []
    for task, model, metric, baseline in GATES:
        found = _rows(metrics, task, model, metric, baseline=baseline)
        gained = gain(metric, found["value"].to_numpy(np.float64), found["baseline_value"].to_numpy(np.float64))
        has_too_few = (found["verdict"] == "insufficient_data").any()
        if not len(found) or has_too_few or not (gained >= -_ROUNDING).all():
            unmet.append(f"{model} is not shown to be as good as {baseline} by {metric}")
    return unmet


def _within_tolerance(metrics: pd.DataFrame, *, minimum: float) -> Admissibility:
    """Return whether the price forecasts lie within their band often enough; the horizon's own where it has one,
    else ±2 %.
    """
    for metric in (HIT_RATE_IN_USD_BAND, HIT_RATE_IN_PERCENT_BAND):
        found = _rows(metrics, "price", PRICE_MODEL, metric)
        share = found["value"].max() if len(found) else np.nan
        if np.isfinite(share):
            is_met = bool(share >= minimum)
            words = f"{PRICE_MODEL}: {metric} {share:.1%}, {'at least' if is_met else 'below'} {minimum:.1%}"
            return Admissibility(is_met, words)
    return Admissibility(False, f"{PRICE_MODEL} has no {HIT_RATE_IN_USD_BAND} and no {HIT_RATE_IN_PERCENT_BAND}")


def _rows(metrics: pd.DataFrame, task: str, model: str, metric: str, *, baseline: str | None = None) -> pd.DataFrame:
    found = metrics[(metrics["task"] == task) & (metrics["model"] == model) & (metrics["metric"] == metric)]
    return found if baseline is None else found[found["baseline"] == baseline]
