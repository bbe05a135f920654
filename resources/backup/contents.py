"""What the state of a home is: which files a backup holds, and which are made anew and stay out.

How a moment of them is caught stands in ``snapshot``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from resources.storage.objects.working_copy import NOTE_ENDING
from trading_dag.errors import StorageError

# In this order they are caught: a slice that names a version of a model is caught before the versions are, and
# versions are only added.
FOLDERS: Final = (".dagster", "paper", "data", "models", "tuning", "training")
# Below the home, and made anew: views, answers of vendors, what a restore works in.
REBUILT: Final = ("warehouse.duckdb", "warehouse.duckdb.wal", ".cache")
DATABASE: Final = ".db"
_ENDINGS_LEFT_OUT: Final = (NOTE_ENDING, ".lock", ".tmp", ".turn", ".db-wal", ".db-shm", ".db-journal")
_NAMES_LEFT_OUT: Final = frozenset({".lock", "dagster.yaml", "workspace.yaml", ".nux"})
# Nothing of a state is code, and Dagster's code servers look for modules in .dagster.
_CODE: Final = (".py", ".pyc", ".pyo", ".so", ".pyd", ".pth", ".egg", ".zip")
_PARTIAL: Final = (".partial-", "staging-")
# Of .dagster: locks and marks of the processes of one machine.
_OF_PROCESSES: Final = frozenset({"claims", "slices", "processes"})


def state_files(home: Path) -> Iterator[str]:
    """Yield every file of a home's state by its path below the home, sorted within each folder.

    Locks, marks of processes, half-written files, Dagster's configuration (which each command copies anew) and all that
    is computed from the rest without loss are left out.

    Raises
    ------
    StorageError : for a link below one of the folders.
    """
    for folder in FOLDERS:
        yield from _below(home, folder)


def holds_state(home: Path) -> bool:
    """Return whether a home has any file of a state."""
    return next(state_files(home), None) is not None


def is_database(path: str) -> bool:
    """Return whether a file is one of Dagster's SQLite databases, which are copied by SQLite."""
    return path.startswith(".dagster/") and path.endswith(DATABASE)


def is_of_the_state(path: str) -> bool:
    """Return whether a path below a home names a file of a state."""
    folder, *rest = path.split("/")
    return folder in FOLDERS and bool(rest) and not any(map(_is_left_out, rest)) and not _is_of_processes(path)


def _below(home: Path, folder: str) -> Iterator[str]:
    try:
        with os.scandir(home / folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return  # it has just been removed, or was never there
    for entry in entries:
        path = f"{folder}/{entry.name}"
        if _is_left_out(entry.name) or _is_of_processes(path):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _below(home, path)
        elif entry.is_file(follow_symlinks=False):
            yield path
        elif entry.is_symlink():
            raise StorageError(
                f"{home / path} is a link, and the state of a home has none: put what it names in its place"
            )


def _is_left_out(name: str) -> bool:
    return name in _NAMES_LEFT_OUT or name.endswith((*_ENDINGS_LEFT_OUT, *_CODE)) or name.startswith(_PARTIAL)


def _is_of_processes(path: str) -> bool:
    parts = path.split("/")
    return parts[0] == ".dagster" and len(parts) > 1 and parts[1] in _OF_PROCESSES
