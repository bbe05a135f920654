"""``warehouse.duckdb``: a window of views over the Parquet slices. It holds no data.

The file is built under a temporary name and renamed into place, and is only ever opened read-only, so that
readers never wait for writers. The SQL of its views stands in ``warehouse_views``, what a reader may do in
``read_only``.
"""

from __future__ import annotations

import os
import re
import time
import uuid
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from resources.storage.column_upgrade import ensure_schema_file
from resources.storage.connection_pool import ConnectionPool
from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.read_only import connect_read_only, the_query
from resources.storage.slice_check import check_pages
from resources.storage.slices.paths import SCHEMA_FILE_NAME
from resources.storage.warehouse_views import RECORDS_SCHEMA, fingerprint, statements
from trading_dag.errors import StorageError
from trading_dag.schemas import PRICES_DAILY, TABLES, Table

if TYPE_CHECKING:
    import duckdb

WAREHOUSE_FILE: Final = "warehouse.duckdb"
READ_ATTEMPTS: Final = 3
CLOCK_STEP_SECONDS: Final = 0.02


class Warehouse:
    """Runs read-only SQL over every table of ``schemas``, and over what is recorded of their slices
    (``meta.slices``).

    Parameters
    ----------
    keeps_connections : whether ``query`` keeps its connections open for the next one, as who asks all day wants.
    """

    def __init__(self, store: ParquetStore, *, keeps_connections: bool = False) -> None:
        self.store = store
        self.path: Path = store.root / WAREHOUSE_FILE
        self._pool = ConnectionPool(self.ensure, folder=self._data) if keeps_connections else None

    def ensure(self) -> Path:
        """Build the file of views if it is missing, or was made for other tables or another folder, and return its
        path."""
        if not self._is_current():
            self._build()
        return self.path

    def connect(self, *, memory_limit: str | None = None) -> duckdb.DuckDBPyConnection:
        """Return a read-only connection; any number may be open, in any number of threads, while slices are written.

        Parameters
        ----------
        memory_limit : how much its queries may take, such as ``512MB``.
        """
        return connect_read_only(self.ensure(), folder=self._data, memory_limit=memory_limit)

    def query(
        self,
        sql: str,
        parameters: list[object] | None = None,
        *,
        keys: Collection[SliceKey] | None = None,
        verify: bool = True,
    ) -> pd.DataFrame:
        """Run one query and return its rows.

        DuckDB does not look at the checksums of pages, so the slices of the tables that the query names are read once
        before it, and compared with theirs.

        DuckDB opens a Parquet file twice, for its footer and for its pages; one that is replaced in between looks torn,
        about once in a thousand reads beside eight busy writers (docs/benchmarks.md). So a statement that fails while
        a slice is written is run again.

        Parameters
        ----------
        keys : the slices that the query reads, where that is known; None for all of the tables that it names.
        verify : whether to compare pages with their checksums.

        Raises
        ------
        slice.
        """
        import duckdb
        from tenacity import Retrying, retry_if_exception, stop_after_attempt

        started = time.time()

        def may_have_been_replaced(error: BaseException) -> bool:
            return isinstance(error, duckdb.Error | StorageError) and self._is_written_since(started)

        attempts = Retrying(
            retry=retry_if_exception(may_have_been_replaced), stop=stop_after_attempt(READ_ATTEMPTS), reraise=True
        )
        try:
            frame: pd.DataFrame = attempts(self._run, sql, parameters or [], keys, verify)
        except duckdb.Error as error:
            raise StorageError(f"{self.path.name}: {' '.join(str(error).split())}") from error
        return frame

    def _run(self, sql: str, parameters: list[object], keys: Collection[SliceKey] | None, verify: bool) -> pd.DataFrame:
        with self.connect() if self._pool is None else self._pool.lent() as connection:
            query = the_query(connection, sql)
            self.refresh(sql)
            for table in tables_named(sql) if verify else []:
                for key, path in self.store.files(table):
                    if keys is None or key in keys:
                        check_pages(table, key, path)
            with warnings.catch_warnings():
                # DuckDB 2.0 turns moments into pandas by a keyword that pandas 3.1 deprecates.
                warnings.filterwarnings("ignore", message="The inplace keyword in DataFrame.drop")
                return connection.execute(query, parameters).df()

    def refresh(self, sql: str) -> None:
        """Bring up to date what a query reads, where the home is a working copy: the tables that it names, or all for
        what is recorded of them."""
        is_of_all = RECORDS_SCHEMA in re.findall(r"\w+", sql.lower())
        for table in TABLES.values() if is_of_all else tables_named(sql):
            self.store.refresh(table)

    @property
    def _data(self) -> Path:
        return self.store.data.resolve()

    def _is_written_since(self, moment: float) -> bool:
        """Return whether any slice was put in place since that moment; file systems tell time in steps of some
        milliseconds."""
        return any(path.stat().st_ctime >= moment - CLOCK_STEP_SECONDS for path in self.store.data.glob("**/*.parquet"))

    def _fingerprint(self) -> str:
        return fingerprint(statements(self._data))

    def _is_current(self) -> bool:
        if not self.path.is_file():
            return False
        if not all((self.store.table_folder(table) / SCHEMA_FILE_NAME).is_file() for table in TABLES.values()):
            return False
        import duckdb

        try:
            with connect_read_only(self.path, folder=self._data) as connection:
                stored = connection.execute(
                    "SELECT comment FROM duckdb_views() WHERE schema_name = ? AND view_name = ?",
                    [PRICES_DAILY.group, PRICES_DAILY.name],
                ).fetchone()
        except duckdb.Error:
            return False  # torn, or of another version: it holds no data, so it is built again
        return stored is not None and stored[0] == self._fingerprint()

    def _build(self) -> None:
        self.store.root.mkdir(parents=True, exist_ok=True)
        for table in TABLES.values():
            ensure_schema_file(self.store, table)
        with _replacement(self.path) as temporary:
            import duckdb

            with duckdb.connect(str(temporary)) as connection:
                for statement in statements(self._data):
                    connection.execute(statement)
                connection.execute(f"COMMENT ON VIEW {PRICES_DAILY.qualified_name} IS '{self._fingerprint()}'")


@contextmanager
def _replacement(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces ``path`` at the end, or is removed."""
    import duckdb

    temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        yield temporary
        temporary.replace(path)
    except duckdb.Error as error:  # such as of a full disk
        raise StorageError(f"{path} cannot be built: {error}") from error
    finally:
        for left in (temporary, temporary.with_name(f"{temporary.name}.wal")):
            left.unlink(missing_ok=True)


def tables_named(sql: str) -> list[Table]:
    """Return the tables whose group and name both occur in a text (also within ``query('…')``), in the order of
    ``schemas``."""
    words = set(re.findall(r"\w+", sql.lower()))
    return [table for table in TABLES.values() if {table.group, table.name} <= words]
