"""Confined connections that are kept between queries.

To open one, with the views of the warehouse, costs some hundredths of a second of processor time, a query on an open
one a few thousandths. Nothing of a Parquet file is kept by DuckDB between queries, so a slice that was replaced is
seen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from resources.storage.read_only import connect_read_only

if TYPE_CHECKING:
    import duckdb

KEPT: Final = 4
State = tuple[int, int, int]


class ConnectionPool:
    """Lends read-only connections to one file of views, each to one thread at a time.

    Connections are of the file as it was when they were opened: they are closed once another file has taken its place.

    Parameters
    ----------
    ensure : builds the file where it is missing or not current, and returns its path.
    folder : that connections may read below.
    """

    def __init__(self, ensure: Callable[[], Path], *, folder: Path) -> None:
        self._ensure = ensure
        self._folder = folder
        self._guard = threading.Lock()
        self._free: list[duckdb.DuckDBPyConnection] = []
        self._path: Path | None = None
        self._state: State | None = None  # of the file that the free connections are of

    @contextmanager
    def lent(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection. After an error it is not lent again."""
        connection, state = self._taken()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._guard:
            is_wanted = state == self._state and len(self._free) < KEPT
            if is_wanted:
                self._free.append(connection)
        if not is_wanted:
            connection.close()

    def close(self) -> None:
        """Close every connection that is not lent."""
        with self._guard:
            self._forget()

    def _taken(self) -> tuple[duckdb.DuckDBPyConnection, State | None]:
        with self._guard:
            if self._path is None or self._state is None or _state_of(self._path) != self._state:
                self._forget()
                self._path = self._ensure()
                self._state = _state_of(self._path)
            path, state = self._path, self._state
            if self._free:
                return self._free.pop(), state
        return connect_read_only(path, folder=self._folder), state

    def _forget(self) -> None:
        for connection in self._free:
            connection.close()
        self._free, self._state = [], None


def _state_of(path: Path) -> State | None:
    """Return what changes when another file takes a file's place; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
