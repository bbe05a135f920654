"""The book of alerts as a file: read, changed and replaced as a whole under a lock that every process of a home heeds.

A process that is killed while it changes the book leaves the old one in place. What the book means is decided in
``trading_dag.alerts``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from resources.storage.slices.format import replace_file
from trading_dag.alerts.book import Book
from trading_dag.errors import StorageError

FILE_NAME: Final = "alerts.json"


def folder_of(home: Path) -> Path:
    """Return the folder of a home's book of alerts."""
    return home / ".dagster" / "alerts"


class BookStore:
    """Keeps the book of one home.

    Parameters
    ----------
    folder : where the file and its locks lie, such as ``<home>/.dagster/alerts``. It is made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME

    def read(self) -> Book:
        """Return the book; an empty one where none was written.

        Raises
        ------
        StorageError : for a file that is no book.
        """
        try:
            return _books().validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return Book()
        except ValidationError as error:
            raise StorageError(
                f"{self.path} is no book of alerts ({error.error_count()} errors). Put it back from a backup, or take "
                "it away: then what lasts is told once more"
            ) from None

    def change(self, change: Callable[[Book], Book]) -> Book:
        """Replace the book by what ``change`` makes of it, and return that. Nothing is written where nothing changes.

        ``change`` is called under the lock, and must not wait for anybody.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f".{FILE_NAME}.lock"):
            before = self.read()
            after = change(before)
            if after != before:
                written = _books().dump_json(after, indent=1)
                replace_file(self.path, lambda path: path.write_bytes(written))
            return after

    def channel_lock(self, channel: str) -> FileLock:
        """Return the lock that the process holds which sends by a channel. The kernel frees it with the process."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / f".{channel}.lock", timeout=0)


@cache
def _books() -> TypeAdapter[Book]:
    return TypeAdapter(Book)
