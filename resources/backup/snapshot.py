"""One moment of a home's state, caught while runs write: links to files that are replaced whole, copies of the others.

Every file of the state is replaced by a rename, or appended to, or is one of Dagster's SQLite databases. All are looked
at, the databases are copied, and all are looked at again: where nothing changed in between, what was caught is what
lay there in that moment. Otherwise what changed is caught again, until a look finds nothing new.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from resources.backup.contents import is_database, state_files
from trading_dag.errors import SliceBusyError

PATIENCE_SECONDS: Final = 120.0
PAUSE_SECONDS: Final = 0.05
BUSY_SECONDS: Final = 60.0
# Appended to, so a link would go on changing.
_APPENDED: Final = (".jsonl", ".journal", ".out", ".err", ".complete", ".log")
_NO_LINKS: Final = frozenset({errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS})
# Of the record of runs, which is no part of what has to fit together.
_LOOSE: Final = ".dagster/"

_Look = dict[str, tuple[int, int, int]]


@dataclass
class Snapshot:
    """Holds one moment of a state.

    Attributes
    ----------
    root : folder with the files, each at its path below the home.
    looks : how often the home was looked at until it was still.
    """

    root: Path
    looks: int = 0
    _caught: _Look = field(default_factory=dict)

    @property
    def paths(self) -> list[str]:
        """Return the path of every file below the root, sorted."""
        return sorted(state_files(self.root))


def catch(home: Path, root: Path, *, patience: float = PATIENCE_SECONDS) -> Snapshot:
    """Return a snapshot of a home's state, made below an empty folder.

    Parameters
    ----------
    root : folder for it; on the home's own file system it takes no room for slices and models.
    patience : seconds after which a home that is never still is given up.

    Raises
    ------
    SliceBusyError : where files changed at every look.
    """
    snapshot, deadline = Snapshot(root), time.monotonic() + patience
    _look_again(home, snapshot)
    while True:
        _copy_databases(home, root)
        changed = [path for path in _look_again(home, snapshot) if not path.startswith(_LOOSE)]
        if not changed:
            return snapshot
        if time.monotonic() > deadline:
            raise SliceBusyError(
                f"files under {home} changed at each of {snapshot.looks} looks, such as {changed[0]}: try again when "
                "fewer runs are under way"
            )
        time.sleep(PAUSE_SECONDS)


def _look_again(home: Path, snapshot: Snapshot) -> list[str]:
    """Catch what is new or has changed since the last look, forget what is gone; return the paths of both."""
    seen: _Look = {}
    changed = []
    for path in state_files(home):
        if is_database(path):
            continue
        with contextlib.suppress(FileNotFoundError):  # removed since it was listed: the next look decides
            status = (home / path).stat()
            seen[path] = (status.st_ino, status.st_size, status.st_mtime_ns)
            if snapshot._caught.get(path) != seen[path]:
                changed.append(path)
                _catch_file(home / path, snapshot.root / path)
    gone = snapshot._caught.keys() - seen.keys()
    for path in gone:
        (snapshot.root / path).unlink(missing_ok=True)
    snapshot._caught = seen
    snapshot.looks += 1
    return [*changed, *sorted(gone)]


def _catch_file(path: Path, caught: Path) -> None:
    caught.parent.mkdir(parents=True, exist_ok=True)
    caught.unlink(missing_ok=True)
    if path.name.endswith(_APPENDED):
        _copy(path, caught)
        return
    try:
        os.link(path, caught)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _copy(path, caught)


def _copy(path: Path, caught: Path) -> None:
    """Copy the file that is there now: opened once, so that a replacement meanwhile does not mix two."""
    with path.open("rb") as source, caught.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def _copy_databases(home: Path, root: Path) -> None:
    for path in filter(is_database, list(state_files(home))):
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        with (
            contextlib.closing(sqlite3.connect(_address(home / path), uri=True, timeout=BUSY_SECONDS)) as source,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)


def _address(database: Path) -> str:
    return f"file:{quote(str(database))}?mode=ro"
