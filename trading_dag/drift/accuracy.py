"""monitoring.accuracy: how good the newest forecasts were whose outcome is known, against what could be expected.

Here belongs which forecasts are in a window and by what they are scored: the direction by its Brier score beside
climatology, the IV regime by its ranked probability score beside a Markov chain, the price by how many outcomes the
90 % interval holds. The bands stand in ``bands``; what follows from a breach in ``policy``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from trading_dag.arrays import FloatArray, IntArray
from trading_dag.drift.bands import Band, band_of_coverage, band_of_scores, rolling_mean
from trading_dag.frames import require_columns, table_frame
from trading_dag.schemas import ACCURACY
from trading_dag.served_models import SERVED_MODELS
from trading_dag.setting_groups import DriftSettings
from trading_dag.slices import Horizon
from trading_dag.validation.scores.baselines import CLIMATOLOGY, MARKOV
from trading_dag.validation.scores.price_scoring import COVERAGE, MISS_RATE
from trading_dag.validation.scores.tasks import task_of
from trading_dag.validation.verdicts.live import scored_rows

NOMINAL: Final = "nominal"
_NOMINAL_SHARE: Final = 1.0 - MISS_RATE
# How far back the oldest row of a window of the log may lie, in windows: with more gaps it tells of other times.
_LONGEST_SPAN: Final = 2


@dataclass(frozen=True)
class Score:
    """Names what is judged of a task: the metric, and the baseline beside it."""

    task: str
    metric: str
    baseline: str

    @property
    def model(self) -> str:
        """Return the served model of the task."""
        return SERVED_MODELS[self.task]


SCORES: Final = (
    Score("direction", "brier_sign", CLIMATOLOGY),
    Score("volatility", "rps", MARKOV),
    Score("price", COVERAGE, NOMINAL),
)


def accuracy_report(
    predictions: Mapping[str, pd.DataFrame],
    log: pd.DataFrame,
    targets: pd.DataFrame,
    *,
    source: str | None,
    horizon: Horizon,
    settings: DriftSettings,
) -> pd.DataFrame:
    """Return the score of each window of forecasts whose outcome is known, with its band.

    Parameters
    ----------
    predictions : by task, its predictions table of one slice: direction, volatility, price.
    log : predictions.log of the slice.
    targets : labels.targets, for the outcomes of the log.
    source : where the outcomes come from; rows of the log from other sources are not judged.
    horizon : how far ahead is forecast. Rows of predictions.price that look further are left out.
    settings : length of the windows, in forecasts, and quantile of the bands.

    Returns
    -------
    monitoring.accuracy without ticker and horizon filled by hand: a row for each score and each session at which the
    newest outcome of a window became known. Nothing in a row was known later than its ``as_of_session``, apart from
    what a restatement of the data or a model fitted since says of earlier sessions. Of a session for which the log has
    a whole window of live forecasts, the last ones no longer ago than two windows, those are judged; otherwise the
    forecasts that were made out of sample. The band always comes from the latter. No rows before the first window is
    full.

    Raises
    ------
    SchemaError : for a missing column.
    """
    recorded = scored_rows(log, targets, source=source)
    parts = []
    for score in SCORES:
        made = _gains(score, predictions[score.task], predictions[score.task], horizon)
        said = _gains(score, recorded[score.task], predictions[score.task], horizon) if score.task in recorded else None
        parts.append(_judged(score, made, said, horizon=horizon, settings=settings))
    found = pd.concat(parts, ignore_index=True)
    if found.empty:
        return table_frame(ACCURACY, {}, rows=0)
    head = next(frame for frame in predictions.values() if len(frame))
    values: dict[str, Any] = {name: found[name] for name in found.columns}
    return table_frame(ACCURACY, values | {"ticker": head["ticker"].iloc[0], "horizon": horizon.key}, rows=len(found))


def _gains(score: Score, forecasts: pd.DataFrame, baselines: pd.DataFrame, horizon: Horizon) -> pd.DataFrame:
    """Per forecast of the served model whose outcome is known: session, target_session, loss or hit of the model and of
    its baseline, in session order."""
    task = task_of(score.task)
    require_columns(forecasts, task.predictions.qualified_name, columns=task.predictions.column_names)
    own = _known_rows(forecasts, score.model, horizon, score)
    if score.baseline == NOMINAL:
        outcome = own["y_true"].to_numpy(dtype=np.float64)
        low, high = (own[name].to_numpy(dtype=np.float64) for name in ("interval_low", "interval_high"))
        is_told = ~np.isnan(low) & ~np.isnan(high)
        inside = ((outcome >= low) & (outcome <= high)).astype(np.float64)
        values = {"value": inside, "baseline_value": np.full(len(own), _NOMINAL_SHARE)}
        return _with_losses(own[is_told], {name: told[is_told] for name, told in values.items()})
    # The baseline that was recorded on the day where there is one; a Markov chain is none of those.
    theirs = _known_rows(forecasts, score.baseline, horizon, score)
    if theirs.empty:
        theirs = _known_rows(baselines, score.baseline, horizon, score)
    common = own["session"].isin(theirs["session"])
    own, theirs = own[common], theirs[theirs["session"].isin(own["session"])]
    values = {
        name: task.scored(rows).losses[score.metric] if len(rows) else np.empty(0)
        for name, rows in (("value", own), ("baseline_value", theirs))
    }
    return _with_losses(own, values)


def _with_losses(rows: pd.DataFrame, values: Mapping[str, FloatArray]) -> pd.DataFrame:
    named = {name: rows[name].to_numpy() for name in ("session", "target_session")}
    return pd.DataFrame({**named, **values})


def _known_rows(frame: pd.DataFrame, model: str, horizon: Horizon, score: Score) -> pd.DataFrame:
    rows = frame[(frame["model"] == model) & frame["y_true"].notna()]
    if score.task == "direction":
        rows = rows[rows["forward_return"].notna()]
    if "sessions_ahead" in rows.columns:
        rows = rows[rows["sessions_ahead"] == horizon.target_offset]
    return rows.sort_values("session", ignore_index=True)


def _judged(
    score: Score, made: pd.DataFrame, said: pd.DataFrame | None, *, horizon: Horizon, settings: DriftSettings
) -> pd.DataFrame:
    """Rows of the table for one score: windows of the log where it has a whole one, else of what was made."""
    of_folds = _windows(score, made, made, horizon=horizon, settings=settings, judged_on="out_of_sample")
    if said is None or len(said) < settings.window_sessions:
        return of_folds
    of_log = _windows(score, said, made, horizon=horizon, settings=settings, judged_on="log")
    of_log = of_log[_span(made, of_log) <= _LONGEST_SPAN * settings.window_sessions]
    rest = of_folds[~of_folds["as_of_session"].isin(of_log["as_of_session"])]
    return pd.concat([rest, of_log], ignore_index=True).sort_values("as_of_session", ignore_index=True)


def _span(made: pd.DataFrame, windows: pd.DataFrame) -> IntArray:
    """From the first forecast of each window to its last, in sessions that have a forecast."""
    sessions = made["session"].to_numpy()
    ends = (np.searchsorted(sessions, windows[name].to_numpy()) for name in ("first_session", "last_session"))
    first, last = ends
    return np.asarray(last - first + 1, dtype=np.int64)


def _windows(
    score: Score,
    judged: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    horizon: Horizon,
    settings: DriftSettings,
    judged_on: str,
) -> pd.DataFrame:
    window = settings.window_sessions
    if len(judged) < window:
        no_sessions, no_numbers = judged["session"].iloc[:0].to_numpy(), np.empty(0)
        sessions = dict.fromkeys(("as_of_session", "first_session", "last_session"), no_sessions)
        empty = pd.DataFrame({**sessions, "n": no_numbers, "value": no_numbers, "baseline_value": no_numbers})
        return _as_rows(empty, score, judged_on, None)
    value, baseline = (
        rolling_mean(judged[name].to_numpy(dtype=np.float64), window=window) for name in ("value", "baseline_value")
    )
    first, last = judged["session"].iloc[: len(value)], judged["session"].iloc[window - 1 :]
    # Only what lies wholly before the window counts as reference: its outcome was known when the window began.
    known = np.searchsorted(reference["target_session"].to_numpy(), first.to_numpy(), side="right")
    band = _band(score, reference, known.astype(np.int64), horizon=horizon, settings=settings)
    frame = pd.DataFrame(
        {
            "as_of_session": judged["target_session"].iloc[window - 1 :].to_numpy(),
            "first_session": first.to_numpy(),
            "last_session": last.to_numpy(),
            "n": window,
            "value": value,
            "baseline_value": baseline,
        }
    )
    return _as_rows(frame, score, judged_on, band)


def _band(score: Score, reference: pd.DataFrame, known: IntArray, *, horizon: Horizon, settings: DriftSettings) -> Band:
    window, quantile = settings.window_sessions, settings.quantile
    value = reference["value"].to_numpy(dtype=np.float64)
    if score.baseline != NOMINAL:
        gains = reference["baseline_value"].to_numpy(dtype=np.float64) - value
        return band_of_scores(gains, known, window=window, quantile=quantile)
    band = band_of_coverage(
        value, known, window=window, quantile=quantile, nominal=_NOMINAL_SHARE, overlap=horizon.gap_sessions
    )
    shares: FloatArray = np.concatenate([[0.0], np.cumsum(value)])[known]
    expected = np.divide(shares, known, out=np.full(len(known), np.nan), where=known > 0) - _NOMINAL_SHARE
    return Band(known, expected, band.low - _NOMINAL_SHARE, band.high - _NOMINAL_SHARE)


def _as_rows(frame: pd.DataFrame, score: Score, judged_on: str, band: Band | None) -> pd.DataFrame:
    gain = frame["baseline_value"] - frame["value"]
    if score.baseline == NOMINAL:
        gain = -gain
    nothing = np.empty(0)
    low, high, expected, known = (
        (nothing, nothing, nothing, nothing) if band is None else (band.low, band.high, band.expected, band.n_reference)
    )
    is_outside = gain.to_numpy() < low - 1e-12
    if score.baseline == NOMINAL:
        is_outside |= gain.to_numpy() > high + 1e-12
    return frame.assign(
        task=score.task, metric=score.metric, model=score.model, baseline=score.baseline, judged_on=judged_on,
        n_reference=known, gain=gain, expected_gain=expected, band_low=low, band_high=high, is_breached=is_outside,
    )  # fmt: skip


def newest_of_each(report: pd.DataFrame) -> pd.DataFrame:
    """Return the newest row of each score of one slice."""
    return report.sort_values("as_of_session", kind="stable").drop_duplicates(["task", "metric"], keep="last")


def breaches_in_words(report: pd.DataFrame, *, of_scores: bool) -> str | None:
    """Return which of the newest rows of one slice are breached, by how much; None where none is.

    Parameters
    ----------
    of_scores : proper scores; otherwise coverages.
    """
    newest = newest_of_each(report)
    chosen = newest[(newest["baseline"] != NOMINAL) == of_scores]
    told = [breach_in_words(row) for row in chosen[chosen["is_breached"]].to_dict("records")]
    return "; ".join(told) or None


def breach_in_words(row: Mapping[Any, Any]) -> str:
    """Return what a breached row of monitoring.accuracy says, without a full stop."""
    if row["baseline"] == NOMINAL:
        ends = f"{_NOMINAL_SHARE + row['band_low']:.0%} to {_NOMINAL_SHARE + row['band_high']:.0%}"
        return f"{row['value']:.0%} of the outcomes inside the {_NOMINAL_SHARE:.0%} interval, expected {ends}"
    return f"{row['task']} {row['metric']} gain {row['gain']:+.4f}, band from {row['band_low']:+.4f}"
