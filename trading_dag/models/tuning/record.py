"""Trials as they are stored, and the two tables that are made of them. Where they are kept is not known here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import pandas as pd

from trading_dag.frames import frame_of_records
from trading_dag.models.tuning.study import StudyName, StudyRows
from trading_dag.schemas import BEST_HYPERPARAMETERS, HYPERPARAMETERS

TrialState = Literal["running", "complete", "pruned", "failed"]
_SESSIONS: Final = ("first", "last", "last_target")


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a search.

    Attributes
    ----------
    number : 0 for the learner's own values, then as they were begun.
    parameters : by name; not all of them while it runs.
    value : mean score over the folds; of a pruned one over those that it came to. None without a score.
    fold_values : the score on each fold that was scored.
    seconds : for how long it was computed.
    reason : why it failed.
    """

    number: int
    state: TrialState
    parameters: Mapping[str, Any]
    value: float | None
    fold_values: tuple[float, ...]
    seconds: float | None
    started_at: pd.Timestamp | None
    finished_at: pd.Timestamp | None
    reason: str | None


@dataclass(frozen=True)
class StudyRecord:
    """A search with its trials.

    Attributes
    ----------
    sampler : which rule drew the parameters.
    reference : score of a forecast without features on the same rows; None without one.
    has_ended : whether a budget was used up. Before that its best counts for nothing, so that no fit depends on when a
        search was interrupted.
    """

    name: StudyName
    sampler: str
    reference: float | None
    has_ended: bool
    trials: tuple[TrialRecord, ...]

    @property
    def best(self) -> TrialRecord | None:
        """Return the complete trial with the least score, the first of equal ones; None without one."""
        complete = [trial for trial in self.trials if trial.state == "complete" and trial.value is not None]
        return min(complete, key=lambda trial: (trial.value, trial.number), default=None)

    @property
    def own_values(self) -> float | None:
        """Return the score of the learner's own values; None where that trial has none."""
        return next((trial.value for trial in self.trials if trial.number == 0 and trial.state == "complete"), None)


def name_as_json(name: StudyName) -> dict[str, Any]:
    """Return a search's name in JSON types."""
    told = asdict(name)
    told["settings"] = dict(name.settings)
    told["rows"] |= {key: f"{told['rows'][key]:%Y-%m-%d}" for key in _SESSIONS}
    return told


def name_from_json(told: Mapping[str, Any]) -> StudyName:
    """Return the name that ``name_as_json`` wrote.

    Raises
    ------
    KeyError, TypeError, ValueError : for anything else.
    """
    rows = {**told["rows"], **{key: pd.Timestamp(told["rows"][key]) for key in _SESSIONS}}
    return StudyName(**{**told, "rows": StudyRows(**rows)})


def studies_in_use(
    studies: Sequence[StudyRecord], *, is_current: Callable[[StudyRecord], bool]
) -> dict[tuple[str, str], StudyRecord]:
    """Return the search whose best a fit uses, by learner and window.

    It is the one with the most rows among those that have ended, have a complete trial, and are current.

    Parameters
    ----------
    is_current : whether a search's space and settings are those of now, and its rows are there unchanged.
    """
    chosen: dict[tuple[str, str], StudyRecord] = {}
    for study in studies:
        if not study.has_ended or study.best is None or not is_current(study):
            continue
        where = (study.name.family, study.name.rows.window)
        if where not in chosen or study.name.rows.count > chosen[where].name.rows.count:
            chosen[where] = study
    return chosen


def trial_table(
    studies: Sequence[StudyRecord], in_use: Mapping[tuple[str, str], StudyRecord], *, ticker: str, horizon: str
) -> pd.DataFrame:
    """Return ``models.hyperparameters`` of one slice: a row a trial."""
    used = {study.name.identifier for study in in_use.values()}
    rows = []
    for study in studies:
        best = study.best
        for trial in study.trials:
            is_best = best is not None and trial.number == best.number
            rows.append(
                {
                    **_of_study(study, ticker=ticker, horizon=horizon),
                    "trial": trial.number,
                    "state": trial.state,
                    "parameters": _as_json(trial.parameters),
                    "value": trial.value,
                    "fold_values": _as_json(list(trial.fold_values)),
                    "seconds": trial.seconds,
                    "is_best": is_best,
                    "is_used": is_best and study.name.identifier in used,
                    "reason": trial.reason,
                    "has_ended": study.has_ended,
                    "started_at": trial.started_at,
                    "finished_at": trial.finished_at,
                }
            )
    return frame_of_records(HYPERPARAMETERS, rows)


def best_table(in_use: Mapping[tuple[str, str], StudyRecord], *, ticker: str, horizon: str) -> pd.DataFrame:
    """Return ``models.best_hyperparameters`` of one slice: what fits use.

    Nothing in it changes with a trial that is not the best, and no time stands in it, so its content hash is news to a
    model exactly when its parameters, or what they were found on, are.
    """
    rows = []
    for study in in_use.values():
        best = study.best
        if best is not None:
            rows.append(
                {
                    **_of_study(study, ticker=ticker, horizon=horizon),
                    "trial": best.number,
                    "parameters": _as_json(best.parameters),
                    "value": best.value,
                    "own_value": study.own_values,
                }
            )
    return frame_of_records(BEST_HYPERPARAMETERS, rows)


def _of_study(study: StudyRecord, *, ticker: str, horizon: str) -> dict[str, Any]:
    name = study.name
    return {
        "ticker": ticker,
        "horizon": horizon,
        "family": name.family,
        "study_window": name.rows.window,
        "study": name.identifier,
        "score": name.score,
        "reference_value": study.reference,
        "first_session": name.rows.first,
        "last_session": name.rows.last,
        "last_target_session": name.rows.last_target,
        "n_rows": name.rows.count,
        "rows_hash": name.rows.content_hash,
        "space_version": name.space_version,
        "sampler": study.sampler,
        "seed": int(name.settings["seed"]),
    }


def _as_json(value: Any) -> str:
    return json.dumps(dict(value) if isinstance(value, Mapping) else value)
