"""The file in which one search keeps its trials: a line a step, appended under a lock that ends with its process.

Here belongs how a search is opened, found damaged, and listed. Which trials there are to be stands in ``search``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import optuna
from filelock import FileLock
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from trading_dag.errors import StudyJournalError
from trading_dag.models.tuning.record import name_as_json, name_from_json
from trading_dag.models.tuning.study import StudyName

JOURNALS: Final = "tuning"
ENDING: Final = ".journal"
NAME: Final = "name"
REMEDY: Final = "move the file away, and trading-dag tune begins this search anew"


def journal_folder(home: Path, *, ticker: str, horizon: str) -> Path:
    """Return the folder of the searches of one slice; ticker and horizon have been validated."""
    return home / JOURNALS / f"ticker={ticker}" / f"horizon={horizon}"


def journal_of(home: Path, name: StudyName) -> Path:
    """Return the file of a search, whether or not it is there."""
    folder = journal_folder(home, ticker=name.ticker, horizon=name.horizon) / name.family
    return folder / f"{name.rows.window}-{name.identifier}{ENDING}"


@contextmanager
def one_at_a_time(journal: Path) -> Iterator[None]:
    """Keep other processes from beginning or claiming a trial of this search."""
    with FileLock(journal.with_suffix(".turn")):
        yield


def open_study(journal: Path, name: StudyName, sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    """Return the search of that name with the trials that are stored; it is begun where there are none.

    Raises
    ------
    StudyJournalError : for a file that cannot be read or belongs to another search.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    _hand_log_to_ours()
    with one_at_a_time(journal):
        storage = _storage(journal)
        study = optuna.create_study(
            storage=storage,
            sampler=sampler,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
            study_name=name.identifier,
            direction="minimize",
            load_if_exists=True,
        )
        if NAME not in study.user_attrs:
            study.set_user_attr(NAME, name_as_json(name))
    if name_of(study, journal) != name or len(storage.get_all_studies()) != 1:
        raise StudyJournalError(f"{journal} holds another search than its name says; {REMEDY}")
    return study


def stored_study(journal: Path) -> optuna.Study | None:
    """Return the search of a file for reading; None where one is only being begun, or its process died while it was.

    Raises
    ------
    StudyJournalError : for a file that cannot be read or holds several searches.
    """
    _hand_log_to_ours()
    storage = _storage(journal)
    names = [study.study_name for study in storage.get_all_studies()]
    if len(names) > 1:
        raise StudyJournalError(f"{journal} holds {len(names)} searches where one is expected; {REMEDY}")
    if not names:
        return None
    study = optuna.load_study(study_name=names[0], storage=storage)
    return study if NAME in study.user_attrs or study.get_trials(deepcopy=False) else None


def name_of(study: optuna.Study, journal: Path) -> StudyName:
    """Return what a stored search says that it is.

    Raises
    ------
    StudyJournalError : where it says nothing of the kind.
    """
    try:
        return name_from_json(study.user_attrs[NAME])
    except (KeyError, TypeError, ValueError) as error:
        raise StudyJournalError(f"{journal} does not say what was searched ({error}); {REMEDY}") from None


def _storage(journal: Path) -> optuna.storages.JournalStorage:
    """The storage of a file, after a look at each of its lines.

    A line of the library's that is well-formed and makes no sense is found by the library itself.
    """
    _require_lines(journal)
    try:
        return optuna.storages.JournalStorage(JournalFileBackend(str(journal), lock_obj=_WriterLock(journal)))
    except (KeyError, TypeError, ValueError, AssertionError, IndexError) as error:
        raise StudyJournalError(f"{journal} is damaged: {type(error).__name__}: {error}; {REMEDY}") from None


def _require_lines(journal: Path) -> None:
    if not journal.is_file():
        return
    lines = journal.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        if number == len(lines) and not line.endswith(b"\n"):
            return  # the step of a process that was killed while it wrote: the next writer cuts it off
        try:
            is_step = isinstance(step := json.loads(line), dict) and {"op_code", "worker_id"} <= step.keys()
        except ValueError:
            is_step = False
        if not is_step:
            raise StudyJournalError(f"{journal}, line {number}, is no step of a search; {REMEDY}")


class _WriterLock(JournalFileOpenLock):
    """The lock that each append takes. The kernel frees it with the process, however that ends.

    What a process wrote that was killed within a line is cut off by the next writer, which would otherwise append to
    it.
    """

    def __init__(self, journal: Path) -> None:
        super().__init__(str(journal))
        self._journal = journal
        self._lock = FileLock(journal.with_suffix(".lock"))

    def acquire(self) -> bool:
        """Return True when this process may append."""
        self._lock.acquire()
        _cut_off_half_a_line(self._journal)
        return True

    def release(self) -> None:
        """Let others append."""
        self._lock.release()


def _cut_off_half_a_line(journal: Path) -> None:
    if not journal.is_file():
        return
    with journal.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)


def _hand_log_to_ours() -> None:
    """Let the library's lines go where the project's go, which is nowhere unless somebody asked for them."""
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()


def as_json_types(value: Any) -> Any:
    """Return a value that a journal can keep, with plain numbers for those of NumPy."""
    return json.loads(json.dumps(value, default=float))
