"""Restoring: an archive is written beside the state, compared with its hashes, and put in its place by renames.

Until everything has been compared, nothing of the home is touched. Then a file says that the state is to be switched,
and folder after folder is renamed. A process killed in between has switched some: whoever opens the home next
(``finish_restore``) switches the rest, before anything reads it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import os
import shutil
import sqlite3
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from resources.backup.archive import Manifest, extract
from resources.backup.contents import FOLDERS, REBUILT, holds_state, is_database
from resources.doctor.stored_state import damaged_slices
from resources.storage.durable import flush_folder
from resources.storage.objects.marker import marked_url
from resources.storage.parquet_store import ParquetStore
from resources.storage.slices.format import replace_file
from trading_dag.errors import BackupError

PREFIX: Final = ".restore-"
REPLACED: Final = "replaced-"
_READY: Final = "ready"
_NEW: Final = "new"
_OLD: Final = "old"
_LOCK: Final = ".restore.lock"


@dataclass(frozen=True)
class Restored:
    """Tells what was restored.

    Attributes
    ----------
    manifest : what the archive holds.
    replaced : folder with the state that was there before; None where there was none.
    """

    manifest: Manifest
    replaced: Path | None


def restore(home: Path, source: Path, *, now: dt.datetime, replace: bool = False) -> Restored:
    """Put the state in an archive in the place of a home's, all of it or nothing, and return what was restored.

    No process may work on the home; the caller sees to that.

    Parameters
    ----------
    replace : whether a state that is there may be moved aside, into a folder of the home.

    Raises
    ------
    BackupError : for an archive that is damaged or unsafe, and for a home that has a state already or is a working copy
        of an object store.
    """
    from filelock import FileLock

    url = marked_url(home)
    if url is not None:
        raise BackupError(
            f"{home} is a working copy of {url}, whose objects a backup does not replace: restore into an empty home "
            "without TRADING_DAG_DATA_URL, then copy its data/ and models/ there with any tool"
        )
    home.mkdir(parents=True, exist_ok=True)
    finish_restore(home)
    with FileLock(home / _LOCK):
        if holds_state(home) and not replace:
            raise BackupError(
                f"{home} has a state already: name an empty home by TRADING_DAG_HOME, or move this state aside by "
                "--replace"
            )
        _sweep(home)
        folder = home / f"{PREFIX}{uuid.uuid4().hex[:8]}"
        (folder / _NEW).mkdir(parents=True)
        try:
            manifest = extract(source, folder / _NEW)
            _compare(folder / _NEW, manifest)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        os.sync()  # every file lies on the disk before the home is touched
        told = {
            "replaced": f"{REPLACED}{now:%Y%m%dT%H%M%SZ}",
            "folders": sorted(path.name for path in (folder / _NEW).iterdir()),
        }
        replace_file(folder / _READY, lambda path: path.write_text(json.dumps(told), encoding="utf-8"))
        return Restored(manifest, _switch(home, folder))


def finish_restore(home: Path) -> None:
    """Finish a restore whose process was killed while it switched the state; do nothing where there is none."""
    if not any(home.glob(f"{PREFIX}*/{_READY}")):
        return
    from filelock import FileLock

    with FileLock(home / _LOCK):
        for ready in home.glob(f"{PREFIX}*/{_READY}"):
            _switch(home, ready.parent)


def _compare(root: Path, manifest: Manifest) -> None:
    """Compare every slice with the hash of its values, and let SQLite look at its databases.

    Raises
    ------
    BackupError : for one that is damaged and was not damaged when it was backed up.
    """
    for path, problem in damaged_slices(ParquetStore(root), fast=False):
        if path.relative_to(root).as_posix() not in manifest.damaged:
            raise BackupError(f"a slice of the backup is not what was stored: {problem}")
    for member in manifest.members:
        if is_database(member.path):
            with contextlib.closing(sqlite3.connect(root / member.path)) as database:
                try:
                    verdict = database.execute("PRAGMA quick_check").fetchone()[0]
                except sqlite3.DatabaseError as error:
                    verdict = str(error)
            if verdict != "ok":
                raise BackupError(f"{member.path} of the backup is damaged: {verdict}")


def _switch(home: Path, folder: Path) -> Path | None:
    """Move the old state aside and the new one in, as far as that has not been done; return where the old one is."""
    new, old, ready = folder / _NEW, folder / _OLD, folder / _READY
    told = json.loads(ready.read_text(encoding="utf-8"))
    old.mkdir(exist_ok=True)
    for name in FOLDERS:
        is_to_come = (new / name).exists()
        if (home / name).exists() and (is_to_come or name not in told["folders"]):
            (home / name).rename(_free(old / name))
        if is_to_come:
            (new / name).rename(home / name)
    for name in REBUILT:
        path = home / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    flush_folder(home)
    replaced = None
    if any(old.iterdir()) and holds_state(old):
        replaced = _free(home / told["replaced"])
        old.rename(replaced)
    ready.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    return replaced


def _free(path: Path) -> Path:
    """Return a path, or the first like it that nothing has taken."""
    return next(
        free
        for number in itertools.count(1)
        if not (free := path if number == 1 else Path(f"{path}-{number}")).exists()
    )


def _sweep(home: Path) -> None:
    """Remove what restores that were killed before they were complete have left."""
    for leftover in home.glob(f"{PREFIX}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
