"""Reads the searches of a slice, for the tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from resources.tuning.journal import ENDING, journal_folder, name_of, stored_study
from resources.tuning.sampler import SAMPLER
from resources.tuning.search import FOLD_VALUES, HAS_ENDED, REASON, REFERENCE, SECONDS
from trading_dag.models.tuning.record import StudyRecord, TrialRecord
from trading_dag.models.tuning.record import TrialState as StateName

_STATES: Final[Mapping[TrialState, StateName]] = {
    TrialState.RUNNING: "running",
    TrialState.WAITING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


def journals_of(home: Path, *, ticker: str, horizon: str) -> list[Path]:
    """Return the journals of one slice, by name."""
    return sorted(journal_folder(home, ticker=ticker, horizon=horizon).glob(f"*/*{ENDING}"))


def read_studies(home: Path, *, ticker: str, horizon: str) -> list[StudyRecord]:
    """Return every search of one slice with its trials.

    Raises
    ------
    StudyJournalError : for a journal that cannot be read.
    """
    read = (read_study(journal) for journal in journals_of(home, ticker=ticker, horizon=horizon))
    return [study for study in read if study is not None]


def read_study(journal: Path) -> StudyRecord | None:
    """Return the search of a journal with its trials; None for one that has not begun.

    Raises
    ------
    StudyJournalError : for a journal that cannot be read.
    """
    study = stored_study(journal)
    if study is None:
        return None
    attributes = study.user_attrs
    return StudyRecord(
        name=name_of(study, journal),
        sampler=SAMPLER,
        reference=attributes.get(REFERENCE),
        has_ended=bool(attributes.get(HAS_ENDED, False)),
        trials=tuple(_record(trial) for trial in study.get_trials(deepcopy=False)),
    )


def _record(trial: FrozenTrial) -> TrialRecord:
    kept: Mapping[str, Any] = trial.user_attrs
    return TrialRecord(
        number=trial.number,
        state=_STATES[trial.state],
        parameters=trial.params,
        value=trial.value if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) else None,
        fold_values=tuple(kept.get(FOLD_VALUES, ())),
        seconds=kept.get(SECONDS),
        started_at=_utc(trial.datetime_start),
        finished_at=_utc(trial.datetime_complete),
        reason=kept.get(REASON),
    )


def _utc(moment: Any) -> pd.Timestamp | None:
    """The library's clock is that of the machine, without a zone."""
    return None if moment is None else pd.Timestamp(moment.astimezone()).tz_convert("UTC")
