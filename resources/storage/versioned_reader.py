"""Answers about stored slices that are kept as long as the slices stay what they are.

For readers that ask the same again and again, as the dashboard does. A slice is replaced by a rename and never written
in place, so the files' sizes and times of change tell its version without opening it. Writers are never waited for.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from typing import Any, Final, TypeVar

import pandas as pd

from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.warehouse import Warehouse, tables_named
from trading_dag.schemas import TABLES, Table

Kept = TypeVar("Kept")
KEPT_ANSWERS: Final = 400
KEPT_BYTES: Final = 200_000_000
Version = tuple[tuple[str, int, int, int], ...]


class VersionedReader:
    """Runs read-only SQL and keeps what it gave until a slice of the tables it names is replaced.

    Any number of threads may ask. Pages are not compared with their checksums: ``trading-dag doctor`` does that.

    Parameters
    ----------
    store : of the home that is read.
    """

    def __init__(self, store: ParquetStore) -> None:
        self.store = store
        self.warehouse = Warehouse(store, keeps_connections=True)
        self._kept: OrderedDict[Hashable, tuple[Version, Any, int]] = OrderedDict()
        self._guard = threading.Lock()
        self._asking: dict[Hashable, threading.Lock] = {}

    def version(self, tables: Collection[Table]) -> Version:
        """Return what changes whenever a slice of these tables is written, added or removed."""
        found = []
        for table in tables:
            for _, path in self.store.files(table):
                try:
                    state = path.stat()
                except FileNotFoundError:  # dropped since it was listed
                    continue
                found.append((str(path), state.st_ino, state.st_size, state.st_mtime_ns))
        return tuple(found)

    def query(self, sql: str, parameters: Collection[Any] = ()) -> pd.DataFrame:
        """Return the rows of one query that names its tables as ``group.name``. The frame may be changed freely."""
        tables = tables_named(sql)
        asked = (sql, repr(list(parameters)))

        def ask() -> pd.DataFrame:
            return self.warehouse.query(sql, list(parameters), verify=False)

        return self.kept(asked, ask, tables=tables).copy(deep=False)

    def slices(self) -> pd.DataFrame:
        """Return what is recorded of every stored slice: ``meta.slices``."""
        kept: pd.DataFrame = self.kept(
            "slices", lambda: self.warehouse.query("from meta.slices", verify=False), tables=list(TABLES.values())
        )
        return kept.copy(deep=False)

    def read(self, table: Table, key: SliceKey) -> pd.DataFrame:
        """Return a slice's rows with what is recorded of it in ``attrs``; no rows where it is not stored."""
        kept: pd.DataFrame = self.kept(
            ("slice", table.qualified_name, key), lambda: self.store.read_or_empty(table, key), tables=[table]
        )
        return kept.copy(deep=False)

    def kept(self, name: Hashable, make: Callable[[], Kept], *, tables: Collection[Table]) -> Kept:
        """Return what ``make`` gave for this name, made anew if a slice of the tables was replaced since.

        Where several threads ask for the same, one makes it and the others wait for that one.

        Parameters
        ----------
        tables : all that ``make`` reads.
        """
        with self._guard:
            one_at_a_time = self._asking.setdefault(name, threading.Lock())
        with one_at_a_time:
            version = self.version(tables)
            with self._guard:
                found = self._kept.get(name)
                if found is not None and found[0] == version:
                    self._kept.move_to_end(name)
                    result: Kept = found[1]
                    return result
            made = make()
            with self._guard:
                self._kept[name] = (version, made, _bytes(made))
                self._kept.move_to_end(name)
                self._forget()
            return made

    def _forget(self) -> None:
        """Drop what was not asked for longest, down to the limits."""
        size = sum(entry[2] for entry in self._kept.values())
        while len(self._kept) > 1 and (len(self._kept) > KEPT_ANSWERS or size > KEPT_BYTES):
            name, (_, _, freed) = self._kept.popitem(last=False)
            self._asking.pop(name, None)
            size -= freed


def _bytes(made: Any) -> int:
    return int(made.memory_usage(deep=False).sum()) if isinstance(made, pd.DataFrame) else 100_000
