"""Where a home's slices and models live: in its folder alone, or in an object store of which the folder is a copy.

Everything that reads (pyarrow, DuckDB's views, checks) reads local files, in both cases by the same code. In a home
that is a working copy a file is compared with its object before it is read and fetched if that is another; a file that
is written becomes an object first, whole, in one request, and only if the object is still the one that was read; then
the local file follows. So the object store is the truth, and a process killed at any moment leaves the old object or
the new one. Locks and claims keep apart what runs on one machine; what comes from another one meets that condition.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from resources.storage.objects.bucket import Bucket
from resources.storage.objects.marker import OWN_FOLDERS, marked_url
from resources.storage.slices.format import replace_file
from resources.storage.slices.paths import ASIDE, FILE_NAME
from trading_dag.errors import ObjectStoreError

NOTE_ENDING: Final = ".object"


class HomeFiles(Protocol):
    """Describes how the files of a home are kept up to date, replaced and removed."""

    def refresh(self, path: Path) -> None:
        """Bring a file up to date before it is read."""

    def refresh_folder(self, folder: Path) -> None:
        """Bring everything below a folder up to date before it is listed."""

    def replace(self, path: Path, write: Callable[[Path], Any]) -> None:
        """Replace a file in one step by what ``write`` writes to the path it is handed."""

    def remove(self, path: Path) -> None:
        """Remove a file."""

    def change(self, path: Path, change: Callable[[Path], None]) -> None:
        """Change a file by what ``change`` does to the path that it is handed; the file may be missing."""

    def set_aside(self, path: Path, aside: Path) -> None:
        """Rename a damaged file."""

    def put_folder(self, partial: Path, folder: Path, *, last: str) -> None:
        """Put a folder of finished files in the place of one that is not there; the file named ``last`` says that all
        are."""

    def withdraw(self, folder: Path, *, first: str) -> None:
        """Do what must be done before the files of a folder are removed; without the one named ``first`` it does not
        count."""

    def when_locked(self, folder: Path) -> Callable[[int], None] | None:
        """Return what the holder of a folder's lock does first; None for nothing."""


class LocalFiles:
    """Keeps files in the home's folder and nowhere else."""

    def refresh(self, path: Path) -> None:
        """Do nothing: the file is what it is."""

    def refresh_folder(self, folder: Path) -> None:
        """Do nothing: the folder is what it is."""

    def replace(self, path: Path, write: Callable[[Path], Any]) -> None:
        """Replace a file by a rename."""
        replace_file(path, write)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()

    def change(self, path: Path, change: Callable[[Path], None]) -> None:
        """Change the file itself."""
        change(path)

    def set_aside(self, path: Path, aside: Path) -> None:
        """Rename a file."""
        path.replace(aside)

    def put_folder(self, partial: Path, folder: Path, *, last: str) -> None:  # noqa: ARG002
        """Rename a folder."""
        partial.rename(folder)

    def withdraw(self, folder: Path, *, first: str) -> None:
        """Do nothing: the caller renames the folder away."""

    def when_locked(self, folder: Path) -> None:
        """Return None: a lock keeps everybody else out."""


@dataclass(frozen=True)
class BucketFiles:
    """Keeps files as objects; those in the home's folder are copies of them.

    Attributes
    ----------
    home : the folder of the copies.
    bucket : the objects, each under the path of its file below the home.
    """

    home: Path
    bucket: Bucket

    def refresh(self, path: Path) -> None:
        """Fetch a file whose object is another one than it was copied from; remove one whose object is gone."""
        version = self.bucket.version(self._name(path))
        if version is None:
            self._drop(path)
        elif self.seen(path) != version:
            self._fetch(path)

    def refresh_folder(self, folder: Path) -> None:
        """Do what ``refresh`` does with every file below a folder, by one listing."""
        stored = {self._path(name): version for name, version in self.bucket.versions(self._name(folder)).items()}
        for path, version in stored.items():
            if self.seen(path) != version:
                self._fetch(path)
        if folder.is_dir():
            copies = {path.with_name(path.name[1 : -len(NOTE_ENDING)]) for path in folder.rglob(f".*{NOTE_ENDING}")}
            for path in (copies | set(folder.rglob(FILE_NAME))) - set(stored):
                self.refresh(path)  # asks once more: it may have been put since the listing

    def replace(self, path: Path, write: Callable[[Path], Any]) -> None:
        """Put the object in one request, then rename the copy.

        Raises
        ------
        SliceBusyError : where the object is another than the copy that is here; both stay.
        """
        temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
        try:
            write(temporary)
            version = self.bucket.replace(self._name(path), temporary.read_bytes(), seen=self.seen(path))
            self._install(temporary, path, version)
        finally:
            temporary.unlink(missing_ok=True)

    def remove(self, path: Path) -> None:
        """Remove the object, then its copy."""
        self.bucket.remove(self._name(path))
        self._drop(path)

    def change(self, path: Path, change: Callable[[Path], None]) -> None:
        """Change a copy of the file, then replace the file by it."""

        def write(new: Path) -> None:
            if path.is_file():
                shutil.copyfile(path, new)
            change(new)

        self.replace(path, write)

    def set_aside(self, path: Path, aside: Path) -> None:
        """Rename a damaged copy. Where its object is good, that is fetched again, and the file is there still; where
        the object holds the same bytes, it is renamed too."""
        found = self.bucket.read(self._name(path))
        content = path.read_bytes()
        if found is not None and found[0] == content:
            self.bucket.replace(self._name(aside), content, seen=self.bucket.version(self._name(aside)))
            self.bucket.remove(self._name(path))
        path.replace(aside)
        self._note(path).unlink(missing_ok=True)
        self.refresh(path)

    def when_locked(self, folder: Path) -> Callable[[int], None]:
        """Return what brings the folder up to date, so that what is read under the lock is what a write replaces."""
        return _refreshers.setdefault((self, folder), lambda _descriptor: self.refresh_folder(folder))

    def put_folder(self, partial: Path, folder: Path, *, last: str) -> None:
        """Put the files as objects, the one that says that all are there at the end; then rename the folder."""
        for path in sorted(partial.iterdir(), key=lambda path: (path.name == last, path.name)):
            name = self._name(folder / path.name)
            version = self.bucket.replace(name, path.read_bytes(), seen=self.bucket.version(name))
            self._remember(path, path.stat(), version)
        if folder.exists():  # somebody here has begun to fetch it
            shutil.rmtree(partial)
        else:
            partial.rename(folder)

    def withdraw(self, folder: Path, *, first: str) -> None:
        """Remove the objects of a folder, ``first`` first."""
        names = self.bucket.versions(self._name(folder))
        for name in sorted(names, key=lambda name: (not name.endswith(f"/{first}"), name)):
            self.bucket.remove(name)

    def seen(self, path: Path) -> str | None:
        """Return the version of the object that a local file is the copy of; None where it is nobody's copy."""
        try:
            told = json.loads(self._note(path).read_bytes())
            found = path.stat()
        except FileNotFoundError:
            return None
        is_the_copy = told[1:] == [found.st_ino, found.st_size, found.st_mtime_ns]
        return str(told[0]) if is_the_copy else None

    def _fetch(self, path: Path) -> None:
        found = self.bucket.read(self._name(path))
        if found is None:
            self._drop(path)
            return
        content, version = found
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
        try:
            temporary.write_bytes(content)
            self._install(temporary, path, version)
        finally:
            temporary.unlink(missing_ok=True)

    def _install(self, temporary: Path, path: Path, version: str) -> None:
        """Note which object a file is the copy of, and rename it into place.

        The note names the very file, so that one that another process put there in between is nobody's copy, and is
        fetched again.
        """
        self._remember(path, temporary.stat(), version)
        temporary.replace(path)

    def _remember(self, path: Path, found: os.stat_result, version: str) -> None:
        note = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}{NOTE_ENDING}.tmp")
        try:
            note.write_text(json.dumps([version, found.st_ino, found.st_size, found.st_mtime_ns]))
            note.replace(self._note(path))
        finally:
            note.unlink(missing_ok=True)

    def _drop(self, path: Path) -> None:
        """Remove a copy whose object is gone; a file that is nobody's copy is set aside, never deleted."""
        if self.seen(path) is None and path.is_file():
            path.replace(path.with_name(f"{path.name}{ASIDE}{uuid.uuid4().hex[:16]}"))
        path.unlink(missing_ok=True)
        self._note(path).unlink(missing_ok=True)

    @staticmethod
    def _note(path: Path) -> Path:
        return path.with_name(f".{path.name}{NOTE_ENDING}")

    def _name(self, path: Path) -> str:
        return path.relative_to(self.home).as_posix()

    def _path(self, name: str) -> Path:
        """Return the file of an object.

        Raises
        ------
        ObjectStoreError : for a name that leads elsewhere.
        """
        parts = name.split("/")
        if parts[0] not in OWN_FOLDERS or any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise ObjectStoreError(f"{self.bucket.url}: the object {name!r} has a name that no file here may have")
        return self.home.joinpath(*parts)


_refreshers: dict[tuple[BucketFiles, Path], Callable[[int], None]] = {}


def files_of(home: Path) -> LocalFiles | BucketFiles:
    """Return how the files of a home are kept: as its own marker says, or in its folder alone where it has none.

    Raises
    ------
    ConfigurationError : for a marker that is none.
    """
    url = marked_url(home)
    return LocalFiles() if url is None else BucketFiles(home, Bucket(url))
