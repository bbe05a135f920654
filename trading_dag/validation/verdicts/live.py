"""evaluation.live: scores of what predictions.log holds, beside those of the walk-forward folds.

Here belongs which recorded rows count and against what. The scores, intervals and verdicts are ``evaluation``'s. A row
counts where it is live, so recorded before its outcome could be known; of several for one session the first; and where
its data come from the source that the outcomes come from. Baselines are those that were recorded with it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.frames import require_columns, table_frame
from trading_dag.schemas import (
    IV_REGIMES,
    LIVE,
    METRICS,
    PREDICTIONS_DIRECTION,
    PREDICTIONS_LOG,
    PREDICTIONS_VOLATILITY,
    RISE,
    TARGETS,
    UP_IF_CLEAR,
)
from trading_dag.setting_groups import BootstrapSettings, LiveSettings
from trading_dag.slices import Horizon
from trading_dag.validation.scores.baselines import CLASS_PRIOR, CLIMATOLOGY, PERSISTENCE
from trading_dag.validation.verdicts.evaluation import evaluate

_PROBABILITIES: Final = tuple(f"probability_{name.lower()}" for name in IV_REGIMES)
# What is scored of each task: the metrics, the column that names the model, and the baselines in the log.
_SCORED: Final[dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]]] = {
    "direction": (("brier_sign", "brier_conditional", "hit_rate"), "direction_model", (CLIMATOLOGY,)),
    "volatility": (("brier", "rps", "accuracy"), "volatility_model", (CLASS_PRIOR, PERSISTENCE)),
}
MODEL_OF_CLEAR_MOVES: Final = "direction_logistic"
_SCORES: Final = ("value", "ci_low", "ci_high", "baseline_value", "difference", "difference_ci_low",
                  "difference_ci_high", "verdict", "reason")  # fmt: skip


def score_log(
    log: pd.DataFrame,
    targets: pd.DataFrame,
    metrics: pd.DataFrame,
    *,
    source: str | None,
    horizon: Horizon,
    bootstrap: BootstrapSettings,
    settings: LiveSettings,
) -> pd.DataFrame:
    """Score the recorded forecasts of one slice on the outcomes that are known.

    Parameters
    ----------
    log : predictions.log.
    targets : labels.targets of the slice.
    metrics : evaluation.metrics of the slice, for the walk-forward scores.
    source : where the outcomes come from; rows of other sources are counted and not scored.
    settings : the least number of outcomes. Fewer give ``insufficient_data`` and no value.

    Returns
    -------
    evaluation.live: for each source in the log a row for each metric and baseline, also where nothing can be scored
    yet; no rows for an empty log. Known at the last target session.

    Raises
    ------
    SchemaError : for a missing column.
    """
    require_columns(log, PREDICTIONS_LOG.qualified_name, columns=PREDICTIONS_LOG.column_names)
    require_columns(metrics, METRICS.qualified_name, columns=METRICS.column_names)
    rows: list[dict[str, Any]] = []
    for name, part in log.groupby("source", sort=True):
        for task in _SCORED:
            rows += _rows_of_task(
                task, part, targets, str(name), is_of_outcomes=name == source, horizon=horizon, bootstrap=bootstrap,
                settings=settings,
            )  # fmt: skip
    if not rows:
        return table_frame(LIVE, {}, rows=0)
    found = pd.DataFrame(rows).merge(_walk_forward(metrics), on=["task", "model", "metric", "baseline"], how="left")
    values: dict[str, Any] = {
        name: found[name].astype(object).where(found[name].notna(), None).tolist()
        for name in LIVE.column_names
        if name in found
    }
    return table_frame(LIVE, values | {"ticker": log["ticker"].iloc[0], "horizon": horizon.key}, rows=len(found))


def scored_rows(log: pd.DataFrame, targets: pd.DataFrame, *, source: str | None) -> dict[str, pd.DataFrame]:
    """Return the live rows as forecasts with outcomes: by task, in the shape of its predictions table.

    Of several records of a session the first; NULL outcomes where the future is not there. Rows of other sources than
    that of the outcomes are left out.
    """
    require_columns(targets, TARGETS.qualified_name, columns=("session", "direction", "forward_return", "iv_regime"))
    taken = _first_live(log[log["source"] == source])
    outcomes = targets.set_index("session")[["direction", "forward_return", "iv_regime"]]
    return {
        "direction": _direction_rows(taken, outcomes),
        "volatility": _volatility_rows(taken[taken["volatility_model"].notna()], outcomes),
    }


def _first_live(log: pd.DataFrame) -> pd.DataFrame:
    live = log[log["is_live"].to_numpy(dtype=bool)]
    first = live.sort_values("recorded_at", kind="stable").drop_duplicates("session", keep="first")
    return first.sort_values("session", ignore_index=True)


def _rows_of_task(
    task: str,
    part: pd.DataFrame,
    targets: pd.DataFrame,
    source: str,
    *,
    is_of_outcomes: bool,
    horizon: Horizon,
    bootstrap: BootstrapSettings,
    settings: LiveSettings,
) -> list[dict[str, Any]]:
    metrics, model_column, baselines = _SCORED[task]
    of_task = part[part[model_column].notna()]
    if of_task.empty:
        return []
    model = str(of_task[model_column].iloc[-1])
    if model == MODEL_OF_CLEAR_MOVES:
        baselines = (CLASS_PRIOR,)
    taken = scored_rows(part, targets, source=source)
    own = taken[task][(taken[task]["model"] == model).to_numpy(dtype=bool)]
    taken[task] = taken[task][taken[task]["session"].isin(own["session"])]
    known = own[own["y_true"].notna() & (task != "direction" or own["forward_return"].notna())]
    live = int(of_task["is_live"].sum())
    counts = {
        "n": len(known) if is_of_outcomes else 0,
        "n_waiting": len(own) - len(known) if is_of_outcomes else len(own),
        "n_not_live": len(of_task) - live,
        "n_repeated": live - len(own),
        "first_session": known["session"].min() if len(known) and is_of_outcomes else None,
        "last_session": known["session"].max() if len(known) and is_of_outcomes else None,
    }
    reason = _why_insufficient(counts, source, is_of_outcomes=is_of_outcomes, least=settings.minimum_outcomes)
    scores = {} if reason else _scores(task, taken, horizon=horizon, bootstrap=bootstrap)
    nothing = {"verdict": "insufficient_data", "reason": reason}
    return [
        {"source": source, "task": task, "model": model, "metric": metric, "baseline": baseline}
        | counts
        | scores.get((model, metric, baseline), nothing)
        for metric in metrics
        for baseline in baselines
    ]


def _why_insufficient(counts: dict[str, Any], source: str, *, is_of_outcomes: bool, least: int) -> str | None:
    if not is_of_outcomes:
        return f"the outcomes that are stored are not of {source}"
    if counts["n"] >= least:
        return None
    told = f"{counts['n']} of {least} sessions"
    return told + (f"; {counts['n_not_live']} recorded rows are not live" if counts["n_not_live"] else "")


def _scores(
    task: str, taken: dict[str, pd.DataFrame], *, horizon: Horizon, bootstrap: BootstrapSettings
) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Scores by model, metric and baseline; the rule about rare classes gives way to the least number of outcomes."""
    found = evaluate({task: taken[task]}, horizon=horizon, settings=bootstrap, minimum_class_rows=1)
    return {
        (row["model"], row["metric"], row["baseline"]): {name: row[name] for name in _SCORES}
        for row in found.to_dict("records")
    }


def _walk_forward(metrics: pd.DataFrame) -> pd.DataFrame:
    names = {"value": "walk_forward_value", "difference": "walk_forward_difference", "verdict": "walk_forward_verdict"}
    return metrics[["task", "model", "metric", "baseline", *names]].rename(columns=names)


def _direction_rows(taken: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    own = _head(taken, model=taken["direction_model"], is_baseline=False) | {
        "y_pred": taken["direction"].tolist(),
        "probability_up": taken["probability_up"].tolist(),
        "probability_event": np.where(taken["direction_model"] == MODEL_OF_CLEAR_MOVES, UP_IF_CLEAR, RISE).tolist(),
        "threshold": taken["threshold"].tolist(),
        "confidence": taken["direction_confidence"].tolist(),
    }
    has_usual = taken[taken["usual_probability_up"].notna()]
    usual = has_usual["usual_probability_up"].to_numpy(dtype=np.float64)
    # What stands beside a model of clear moves is their prior; beside one of all moves, the share of rises.
    of_clear_moves = has_usual["direction_model"] == MODEL_OF_CLEAR_MOVES
    named = pd.Series(np.where(of_clear_moves, CLASS_PRIOR, CLIMATOLOGY), index=has_usual.index, dtype="object")
    prior = _head(has_usual, model=named, is_baseline=True) | {
        "y_pred": np.where(usual > 0.5, "UP", "DOWN").tolist(),
        "probability_up": usual.tolist(),
        "probability_event": np.where(of_clear_moves, UP_IF_CLEAR, RISE).tolist(),
        "threshold": [0.5] * len(usual),
        "confidence": np.maximum(usual, 1.0 - usual).tolist(),
    }
    frame = _below_one_another(own, prior)
    known = outcomes.reindex(frame["session"])
    frame["y_true"], frame["forward_return"] = known["direction"].tolist(), known["forward_return"].tolist()
    return _shaped(frame, PREDICTIONS_DIRECTION.column_names)


def _volatility_rows(taken: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    has_usual = taken[taken[f"usual_{_PROBABILITIES[0]}"].notna()]
    current = pd.Index(IV_REGIMES, dtype="object").get_indexer(pd.Index(taken["current_regime"], dtype="object"))
    parts = [
        (taken, taken["volatility_model"], False, taken[list(_PROBABILITIES)].to_numpy(dtype=np.float64)),
        (has_usual, CLASS_PRIOR, True, has_usual[[f"usual_{name}" for name in _PROBABILITIES]].to_numpy(np.float64)),
        (taken, PERSISTENCE, True, np.eye(len(IV_REGIMES))[current]),
    ]
    frames = []
    for rows, model, is_baseline, probabilities in parts:
        columns = {name: probabilities[:, code].tolist() for code, name in enumerate(_PROBABILITIES)}
        called = np.array(IV_REGIMES, dtype=object)[probabilities.argmax(axis=1)] if len(rows) else []
        frames.append(
            _head(rows, model=model, is_baseline=is_baseline)
            | columns
            | {"y_pred": list(called), "current_regime": rows["current_regime"].tolist()}
        )
    frame = _below_one_another(*frames)
    frame["y_true"] = outcomes["iv_regime"].reindex(frame["session"]).tolist()
    return _shaped(frame, PREDICTIONS_VOLATILITY.column_names)


def _head(rows: pd.DataFrame, *, model: Any, is_baseline: bool) -> dict[str, Any]:
    return {
        **{name: rows[name].tolist() for name in ("ticker", "horizon", "session", "target_session")},
        "model": model.tolist() if isinstance(model, pd.Series) else [model] * len(rows),
        "is_baseline": [is_baseline] * len(rows),
    }


def _below_one_another(*parts: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame({name: [value for part in parts for value in part[name]] for name in parts[0]})


def _shaped(frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """The frame with all columns of its predictions table; those that no score reads are NULL."""
    return frame.reindex(columns=list(columns)).astype({"is_baseline": "bool", "session": "datetime64[us]"})
