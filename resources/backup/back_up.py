"""Backing up: one moment of a home is caught, its slices are compared with their hashes, and all goes into one file."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from resources.backup.archive import Manifest, list_members, write_archive
from resources.backup.contents import FOLDERS
from resources.backup.snapshot import PATIENCE_SECONDS, catch
from resources.doctor.stored_state import damaged_slices
from resources.storage.objects.marker import OWN_FOLDERS
from resources.storage.objects.working_copy import files_of
from resources.storage.parquet_store import ParquetStore
from trading_dag.errors import BackupError
from trading_dag.library_versions import library_version

PREFIX: Final = ".backup-"
NAME: Final = "trading-dag"
ENDING: Final = ".tar.zst"
PROJECT: Final = "trading-dag"


@dataclass(frozen=True)
class BackedUp:
    """Tells what was backed up.

    Attributes
    ----------
    file : the archive.
    manifest : what it holds.
    looks : how often the home was looked at until it was still.
    """

    file: Path
    manifest: Manifest
    looks: int


def back_up(home: Path, target: Path, *, now: dt.datetime, patience: float = PATIENCE_SECONDS) -> BackedUp:
    """Write the state of a home into one file, and return what it holds. Runs may go on meanwhile.

    A slice that is damaged already is backed up as it is, and named in the list. A working copy of an object store is
    brought up to date first.

    Parameters
    ----------
    target : the file, which must not exist; in a folder, one is named after the time.

    Raises
    ------
    BackupError : where there is no state, or the file cannot stand there.
    SliceBusyError : where the home was never still.
    """
    file = _target(home, target, now)
    _sweep(home)
    for name in OWN_FOLDERS:
        files_of(home).refresh_folder(home / name)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=home) as folder:
        snapshot = catch(home, Path(folder), patience=patience)
        members = list_members(snapshot)
        if not members:
            raise BackupError(f"{home} has no state to back up: nothing was ever run there")
        damaged = {
            path.relative_to(snapshot.root).as_posix(): problem.replace(str(snapshot.root), str(home))
            for path, problem in damaged_slices(ParquetStore(snapshot.root), fast=False)
        }
        manifest = Manifest(now.isoformat(timespec="seconds"), library_version(PROJECT), members, damaged)
        write_archive(file, snapshot.root, manifest)
    return BackedUp(file, manifest, snapshot.looks)


def _target(home: Path, target: Path, now: dt.datetime) -> Path:
    file = target / f"{NAME}-{now:%Y%m%dT%H%M%SZ}{ENDING}" if target.is_dir() else target
    file = file.absolute()
    if file.exists():
        raise BackupError(f"{file} exists, and a backup replaces none: name another file, or a folder")
    if not file.parent.is_dir():
        raise BackupError(f"{file.parent} is no folder: make it first")
    resolved = file.parent.resolve()
    for folder in FOLDERS:
        if resolved.is_relative_to((home / folder).resolve()):
            raise BackupError(f"{file} would lie in {home / folder}, which is backed up itself: name another folder")
    return file


def _sweep(home: Path) -> None:
    """Remove what backups that were killed have left."""
    for leftover in home.glob(f"{PREFIX}*"):
        shutil.rmtree(leftover, ignore_errors=True)
