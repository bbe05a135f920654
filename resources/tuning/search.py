"""The loop of a search: take the next trial, score it fold by fold, write down what came of it.

Several processes may search at once, on one machine or on others that share the folder: each trial is begun, or taken
over from a process that died, under one lock. Nothing here knows what is tuned.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import optuna
from optuna.trial import Trial, TrialState

from resources.runs.process_marks import ProcessMarks
from resources.tuning.journal import JOURNALS, as_json_types, journal_of, one_at_a_time, open_study
from resources.tuning.sampler import NumberedSampler
from trading_dag.errors import NoBudgetError
from trading_dag.models.tuning.space import Dimension
from trading_dag.models.tuning.study import Study

_logger = logging.getLogger(__name__)
WORKER: Final = "worker"
FOLD_VALUES: Final = "fold_values"
SECONDS: Final = "seconds"
REASON: Final = "reason"
REFERENCE: Final = "reference"
HAS_ENDED: Final = "has_ended"
_NOBODY: Final = ""
_FINISHED: Final = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True)
class Budget:
    """How long a search goes on.

    Attributes
    ----------
    trials : how many trials the search is to have in all, those that are stored from before included; None for any
        number.
    seconds : after which no trial is begun; None for any time.
    """

    trials: int | None
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse a budget that is none.

        Raises
        ------
        NoBudgetError : for neither trials nor time, or none of either.
        """
        if self.trials is None and self.seconds is None:
            raise NoBudgetError("a search needs a number of trials, or minutes, or both")
        if (self.trials is not None and self.trials < 1) or (self.seconds is not None and not self.seconds > 0):
            raise NoBudgetError("a search needs at least one trial, and more than zero minutes")


@dataclass(frozen=True)
class SearchProgress:
    """How far a search has come.

    Attributes
    ----------
    finished : trials that have ended, in whatever way.
    of : how many there are to be; None where only time bounds them.
    best : the least score so far; None without one.
    seconds_left : until the budget is used up, at the pace so far; None where nothing tells.
    """

    finished: int
    of: int | None
    best: float | None
    seconds_left: float | None


Tell = Callable[[SearchProgress], None]


def search(
    study: Study,
    *,
    home: Path,
    budget: Budget,
    tell: Tell = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> SearchProgress:
    """Run trials of a search until its budget is used up, going on from what is stored, and return how far it came.

    A trial that was running when its process died is run again under its number, with the parameters it had: none is
    lost, and none is there twice.

    Parameters
    ----------
    home : where journals lie.
    tell : hears of each trial that has ended.
    clock : seconds that pass.

    Raises
    ------
    InsufficientDataError : where the inner folds cannot be made.
    StudyJournalError : for a journal that cannot be read.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    started, folds = clock(), study.folds
    marks = ProcessMarks(home / JOURNALS / ".workers")
    journal = journal_of(home, study.name)
    opened = open_study(journal, study.name, NumberedSampler(study.name.settings["seed"], study.name.identifier))
    if REFERENCE not in opened.user_attrs:
        opened.set_user_attr(REFERENCE, study.reference)
    mine = 0
    while True:
        left = None if budget.seconds is None else budget.seconds - (clock() - started)
        trial = None if left is not None and left <= 0 else _next_trial(opened, study, journal, marks, budget.trials)
        if trial is None:
            break
        with threadpool_limits(limits=1):
            _run(opened, trial, study, folds=folds)
        mine += 1
        tell(_progress(opened, budget, passed=clock() - started, mine=mine))
    progress = _progress(opened, budget, passed=clock() - started, mine=mine)
    if progress.finished and not opened.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        opened.set_user_attr(HAS_ENDED, True)
    return progress


def _next_trial(
    opened: optuna.Study, study: Study, journal: Path, marks: ProcessMarks, most: int | None
) -> Trial | None:
    """The next trial to run, marked as this process's: one whose process is gone, or a new one; None for enough."""
    with one_at_a_time(journal):
        there = opened.get_trials(deepcopy=False)
        for known in there:
            if known.state == TrialState.RUNNING and not marks.lives(known.user_attrs.get(WORKER, _NOBODY)):
                trial = Trial(opened, known._trial_id)
                break
        else:
            is_waiting = any(known.state == TrialState.WAITING for known in there)  # killed before it was begun
            if most is not None and len(there) >= most and not is_waiting:
                return None
            if not there:
                opened.enqueue_trial(study.space.as_typed(study.space.defaults))
            trial = opened.ask()
        trial.set_user_attr(WORKER, marks.own())
        return trial


def _run(opened: optuna.Study, trial: Trial, study: Study, *, folds: int) -> None:
    """Score a trial and write down what came of it. Whoever ends this process leaves it to be taken over."""
    started = time.perf_counter()
    try:
        parameters = study.space.as_typed({each.name: _suggest(trial, each) for each in study.space.dimensions})
        values, state = _score(trial, study, parameters, folds=folds)
        problem = None
    except Exception as error:  # noqa: BLE001  # kept with the trial: some corner of the space is no reason to end
        values, state, problem = [], TrialState.FAIL, f"{type(error).__name__}: {' '.join(str(error).split())}"
    except BaseException:
        trial.set_user_attr(WORKER, _NOBODY)
        raise
    trial.set_user_attr(FOLD_VALUES, values)
    trial.set_user_attr(SECONDS, time.perf_counter() - started)
    if problem is not None:
        trial.set_user_attr(REASON, problem)
        _logger.warning("%s %s %s: trial %d failed: %s", *_where(study), trial.number, problem)
    value = sum(values) / len(values) if state == TrialState.COMPLETE else None
    opened.tell(trial, value, state=state)
    _logger.debug("%s %s %s: trial %d %s, %s, %s", *_where(study), trial.number, state.name, values, trial.params)


def _score(trial: Trial, study: Study, parameters: dict[str, float], *, folds: int) -> tuple[list[float], TrialState]:
    """The score on each fold; those of later folds are left out of a trial that is worse than most were by then."""
    values: list[float] = []
    told = set(trial.storage.get_trial(trial._trial_id).intermediate_values)  # by a process that died meanwhile
    for fold in range(folds):
        value = study.score(parameters, fold)
        if not value >= 0:
            raise ValueError(f"the score on inner fold {fold + 1} is {value}")
        values.append(as_json_types(value))
        if fold not in told:
            trial.report(sum(values) / len(values), fold)
        if fold < folds - 1 and trial.should_prune():
            return values, TrialState.PRUNED
    return values, TrialState.COMPLETE


def _suggest(trial: Trial, dimension: Dimension) -> float:
    if dimension.is_integer:
        return trial.suggest_int(dimension.name, int(dimension.low), int(dimension.high), log=dimension.is_log)
    return trial.suggest_float(dimension.name, dimension.low, dimension.high, log=dimension.is_log)


def _progress(opened: optuna.Study, budget: Budget, *, passed: float, mine: int) -> SearchProgress:
    finished = opened.get_trials(deepcopy=False, states=_FINISHED)
    values = [trial.value for trial in finished if trial.state == TrialState.COMPLETE and trial.value is not None]
    left = []
    if budget.trials is not None and mine:
        left.append(max(budget.trials - len(finished), 0) * passed / mine)
    if budget.seconds is not None:
        left.append(max(budget.seconds - passed, 0.0))
    return SearchProgress(len(finished), budget.trials, min(values, default=None), min(left, default=None))


def _where(study: Study) -> tuple[str, str, str]:
    return study.name.ticker, study.name.horizon, study.name.family
