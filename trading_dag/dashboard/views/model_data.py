"""What the page of models shows, as frames: scores, folds, reliability, calls, versions, importance, trials, states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from trading_dag.schemas import IV_REGIMES, MARKET_STATES
from trading_dag.schemas.vocabulary import SPREAD_CLASSES
from trading_dag.served_models import SERVED_MODELS
from trading_dag.validation.inference.reliability import reliability

if TYPE_CHECKING:
    from resources.storage.versioned_reader import VersionedReader

# The score that each task is judged by: one that a model cannot improve by saying what it does not believe.
MAIN_SCORE: Final = {
    "direction": "brier_sign",
    "volatility": "rps",
    "volatility_level": "pinball",
    "price": "pinball",
    "spread": "brier",
    "allocation": "lost_growth",
}
CLASSES: Final = {"direction": ("UP", "DOWN"), "volatility": IV_REGIMES, "spread": SPREAD_CLASSES}
QUANTILES: Final = tuple(range(5, 100, 5))
_NO_BASELINE: Final = "none"
_SLICE: Final = "ticker = ? AND horizon = ?"


def metrics_data(reader: VersionedReader, ticker: str, horizon: str, task: str) -> pd.DataFrame:
    """Return ``evaluation.metrics`` of a task."""
    return reader.query(
        f"SELECT * EXCLUDE (ticker, horizon, task) FROM evaluation.metrics WHERE {_SLICE} AND task = ? "  # noqa: S608
        "ORDER BY is_served DESC NULLS LAST, model, metric, baseline",
        [ticker, horizon, task],
    )


def metric_names(metrics: pd.DataFrame, task: str) -> list[str]:
    """Return the metrics in which a model is held against a baseline, the task's main score first."""
    compared = metrics.loc[metrics["difference"].notna() & (metrics["baseline"] != _NO_BASELINE), "metric"]
    names = sorted({str(name) for name in compared if not str(name).startswith(("diebold_", "clark_"))})
    main = MAIN_SCORE.get(task)
    return sorted(names, key=lambda name: name != main)


def scores_data(metrics: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return each model against each baseline in one metric, the served model first."""
    rows = metrics[(metrics["metric"] == metric) & (metrics["baseline"] != _NO_BASELINE)]
    rows = rows.dropna(subset=["difference"])
    return rows[
        ["model", "is_served", "baseline", "value", "baseline_value", "difference", "difference_ci_low",
         "difference_ci_high", "verdict", "n"]
    ].reset_index(drop=True)  # fmt: skip


def models_of(reader: VersionedReader, ticker: str, horizon: str, task: str) -> list[str]:
    """Return the models that forecast a task, no baselines, the served one first."""
    frame = reader.query(
        f"SELECT DISTINCT model FROM predictions.{task} WHERE {_SLICE} AND NOT is_baseline",  # noqa: S608  # of TASKS
        [ticker, horizon],
    )
    served = SERVED_MODELS.get(task)
    return sorted((str(name) for name in frame["model"]), key=lambda name: (name != served, name))


def folds_data(reader: VersionedReader, ticker: str, horizon: str, task: str, model: str) -> pd.DataFrame:
    """Return what each fold of a model learnt from and forecast: fold, train_first_session, fitted_through,
    first_forecast, last_forecast, forecasts, n_train; the last fold is the newest fit."""
    return reader.query(
        f"""
        WITH forecast AS (
            SELECT fold, min(session) AS first_forecast, max(session) AS last_forecast, count(*) AS forecasts
            FROM predictions.{task} WHERE {_SLICE} AND model = ? GROUP BY fold
        )
        SELECT fold, train_first_session, registry.fitted_through, first_forecast, last_forecast, forecasts, n_train,
            n_features, status
        FROM models.registry AS registry LEFT JOIN forecast USING (fold)
        WHERE {_SLICE} AND model = ? ORDER BY fold
        """,  # noqa: S608
        [ticker, horizon, model, ticker, horizon, model],
    )


def reliability_data(reader: VersionedReader, ticker: str, horizon: str, task: str, model: str) -> pd.DataFrame:
    """Return how often came what was given a probability, on sessions out of sample with a known outcome.

    Returns
    -------
    what (the event), forecast, share, low, high, n. Of price and volatility_level the events are that the outcome lies
    below each quantile, without an interval. Empty for allocation, which has no probabilities.
    """
    if task == "direction":
        rows = reader.query(
            f"SELECT probability_up AS probability, CAST(forward_return > 0 AS DOUBLE) AS came "  # noqa: S608
            f"FROM predictions.direction WHERE {_SLICE} AND model = ? AND forward_return IS NOT NULL "
            "AND is_out_of_sample AND (probability_event = 'rise' OR y_true IN ('UP', 'DOWN'))",
            [ticker, horizon, model],
        )
        return _binned({"rise": rows})
    if task in ("volatility", "spread"):
        columns = ", ".join(f"probability_{name.lower()}" for name in CLASSES[task])
        rows = reader.query(
            f"SELECT y_true, {columns} FROM predictions.{task} WHERE {_SLICE} AND model = ? "  # noqa: S608
            "AND is_out_of_sample AND y_true IS NOT NULL",
            [ticker, horizon, model],
        )
        return _binned(
            {
                name: pd.DataFrame(
                    {"probability": rows[f"probability_{name.lower()}"], "came": (rows["y_true"] == name).astype(float)}
                )
                for name in CLASSES[task]
            }
        )
    return _quantiles(reader, ticker, horizon, task, model) if task in ("price", "volatility_level") else _binned({})


def _binned(by_event: dict[str, pd.DataFrame]) -> pd.DataFrame:
    found = [pd.DataFrame(columns=["what", "forecast", "share", "low", "high", "n"])]
    for what, rows in by_event.items():
        known = rows.dropna()
        if len(known):
            bins = reliability(known["probability"].to_numpy(), known["came"].to_numpy())
            found.append(bins.assign(what=what)[list(found[0].columns)])
    return pd.concat(found[1:], ignore_index=True) if len(found) > 1 else found[0]


def _quantiles(reader: VersionedReader, ticker: str, horizon: str, task: str, model: str) -> pd.DataFrame:
    shares = ", ".join(f"avg(CAST(y_true <= quantile_{level:02d} AS INTEGER)) AS q{level}" for level in QUANTILES)
    ahead = (
        f"AND sessions_ahead = (SELECT min(sessions_ahead) FROM predictions.price WHERE {_SLICE})"  # noqa: S608
        if task == "price"
        else ""
    )
    row = reader.query(
        f"SELECT count(*) AS n, {shares} FROM predictions.{task} WHERE {_SLICE} AND model = ? "  # noqa: S608
        f"AND is_out_of_sample AND y_true IS NOT NULL AND quantile_05 IS NOT NULL {ahead}",
        [ticker, horizon, model, *([ticker, horizon] if ahead else [])],
    ).iloc[0]
    if not row["n"]:
        return _binned({})
    return pd.DataFrame(
        {
            "what": "outcome below the quantile", "forecast": [level / 100 for level in QUANTILES],
            "share": [float(row[f"q{level}"]) for level in QUANTILES], "low": np.nan, "high": np.nan,
            "n": int(row["n"]),
        }
    )  # fmt: skip


def confusion_data(reader: VersionedReader, ticker: str, horizon: str, task: str, model: str) -> pd.DataFrame:
    """Return how often each class came when which was called, on sessions out of sample: y_true, y_pred, sessions.

    Moves within the dead band of direction are neither a rise nor a fall and are left out.
    """
    return reader.query(
        f"SELECT y_true, y_pred, count(*) AS sessions FROM predictions.{task} WHERE {_SLICE} "  # noqa: S608
        "AND model = ? AND is_out_of_sample AND list_contains(?, y_true) GROUP BY ALL ORDER BY ALL",
        [ticker, horizon, model, list(CLASSES[task])],
    )


def importance_data(reader: VersionedReader, ticker: str, horizon: str, task: str, model: str) -> pd.DataFrame:
    """Return ``evaluation.importance`` of a model: groups of features first, each the largest first."""
    return reader.query(
        f"SELECT kind, feature, importance, ci_low, ci_high, folds, n FROM evaluation.importance "  # noqa: S608
        f"WHERE {_SLICE} AND task = ? AND model = ? ORDER BY kind DESC, importance DESC",
        [ticker, horizon, task, model],
    )


def states_data(reader: VersionedReader, ticker: str) -> pd.DataFrame:
    """Return the close of each session with the market state that was the most probable at it, and its probability."""
    chosen = " ".join(f"WHEN '{state}' THEN probability_{state}" for state in MARKET_STATES)
    return reader.query(
        f"""
        SELECT session, close, state, CASE state {chosen} END AS probability
        FROM predictions.regime JOIN raw.prices_daily USING (ticker, session) WHERE ticker = ? ORDER BY session
        """,  # noqa: S608
        [ticker],
    )


def versions_data(reader: VersionedReader, ticker: str, horizon: str) -> pd.DataFrame:
    """Return ``models.versions`` of a slice, the newest of each family first."""
    return reader.query(
        f"SELECT * EXCLUDE (ticker, horizon) FROM models.versions WHERE {_SLICE} "  # noqa: S608
        "ORDER BY family, fitted_at DESC",
        [ticker, horizon],
    )


def trials_data(reader: VersionedReader, ticker: str, horizon: str) -> pd.DataFrame:
    """Return the trials of every search over hyperparameters of a slice."""
    return reader.query(
        f"SELECT family, study_window, study, trial, state, value, reference_value, score, is_best, is_used, seconds, "  # noqa: S608
        f"parameters, first_session, last_session, n_rows FROM models.hyperparameters WHERE {_SLICE} "
        "ORDER BY family, study_window, study, trial",
        [ticker, horizon],
    )
