"""``warehouse.duckdb``: a window of views over the Parquet slices. It holds no data.

The file is built beside itself and renamed into place, and is only ever opened read-only, so that
readers never wait for writers.
"""

from __future__ import annotations

import os
import time
import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from resources.parquet_store import METADATA_KEY, ParquetStore
from trading_dag.errors import StorageError
from trading_dag.schemas import PRICES_DAILY, TABLES, Table

if TYPE_CHECKING:
    import duckdb

WAREHOUSE_FILE: Final = "warehouse.duckdb"
RECORDS_SCHEMA: Final = "meta"
READ_ATTEMPTS: Final = 3
CLOCK_STEP_SECONDS: Final = 0.02


class Warehouse:
    """Read-only SQL over every table of ``schemas``, and over what is recorded of their slices (``meta.slices``)."""

    def __init__(self, store: ParquetStore) -> None:
        self.store = store
        self.path: Path = store.root / WAREHOUSE_FILE

    def ensure(self) -> Path:
        """Build the file of views where it is missing, or made for other tables or another folder."""
        if not self._is_current():
            self._build()
        return self.path

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A read-only connection; any number may be open while slices are written."""
        import duckdb

        return duckdb.connect(str(self.ensure()), read_only=True)

    def query(self, sql: str, parameters: list[object] | None = None) -> pd.DataFrame:
        """Run one statement and return its rows.

        DuckDB opens a Parquet file twice, for its footer and for its pages; one that is replaced in between looks torn,
        about once in a thousand reads beside eight busy writers (docs/benchmarks.md). So a statement that fails while
        a slice is written is run again.

        Raises
        ------
        StorageError : where DuckDB refuses the statement, with its reason.
        """
        import duckdb
        from tenacity import Retrying, retry_if_exception, stop_after_attempt

        started = time.time()
        attempts = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, duckdb.Error) and self._is_written_since(started)),
            stop=stop_after_attempt(READ_ATTEMPTS),
            reraise=True,
        )
        try:
            frame: pd.DataFrame = attempts(self._run, sql, parameters or [])
        except duckdb.Error as error:
            raise StorageError(f"{self.path.name}: {error}") from error
        return frame

    def _is_written_since(self, moment: float) -> bool:
        """Whether any slice was put in place since then; file systems tell time in steps of some milliseconds."""
        return any(path.stat().st_ctime >= moment - CLOCK_STEP_SECONDS for path in self.store.data.glob("**/*.parquet"))

    def _run(self, sql: str, parameters: list[object]) -> pd.DataFrame:
        with self.connect() as connection, warnings.catch_warnings():
            # DuckDB 2.0 turns moments into pandas by a keyword that pandas 3.1 deprecates.
            warnings.filterwarnings("ignore", message="The inplace keyword in DataFrame.drop")
            return connection.execute(sql, parameters).df()

    def _statements(self) -> list[str]:
        groups = sorted({table.group for table in TABLES.values()})
        schemas = [f'CREATE SCHEMA IF NOT EXISTS "{group}"' for group in (*groups, RECORDS_SCHEMA)]
        return [*schemas, *(self._view(table) for table in TABLES.values()), self._records()]

    def _view(self, table: Table) -> str:
        pattern = str(self.store.table_folder(table).resolve() / "**" / "*.parquet").replace("'", "''")
        columns = ", ".join(f'"{name}"' for name in table.column_names)
        # Not union_by_name: it opens every file twice, and one replaced in between is read with the old one's footer.
        return (
            f'CREATE VIEW "{table.group}"."{table.name}" AS '
            f"SELECT {columns} FROM read_parquet('{pattern}', hive_partitioning = false)"
        )

    def _records(self) -> str:
        """What is recorded of every slice, out of the files' footers, which are read when somebody asks."""
        folder = str(self.store.data.resolve())
        pattern = str(self.store.data.resolve() / "**" / "*.parquet").replace("'", "''")
        part = "nullif(regexp_extract(path, '{}=([^/]+)', 1), '')"
        return (
            f'CREATE VIEW "{RECORDS_SCHEMA}"."slices" AS WITH files AS ('
            f"SELECT substr(file_name, {len(folder) + 2}) AS path, CAST(decode(value) AS JSON) AS record "
            f"FROM parquet_kv_metadata('{pattern}') WHERE decode(key) = '{METADATA_KEY.decode()}') "
            "SELECT split_part(path, '/', 1) || '.' || split_part(path, '/', 2) AS table_name, "
            f"{part.format('ticker')} AS ticker, {part.format('horizon')} AS horizon, "
            f"CAST({part.format('year')} AS INTEGER) AS year, record ->> 'source' AS source, "
            "record ->> 'source_off' AS source_off, CAST(record ->> 'fetched_at' AS TIMESTAMP) AS stored_at, "
            "CAST(record ->> 'rows' AS BIGINT) AS row_count, "
            "CAST(record ->> 'first_session' AS DATE) AS first_session, "
            "CAST(record ->> 'last_session' AS DATE) AS last_session, record ->> 'code_version' AS code_version, "
            "record ->> 'content_hash' AS content_hash FROM files WHERE NOT starts_with(path, '.')"
        )

    def _fingerprint(self) -> str:
        from hashlib import sha256

        return sha256("\n".join(self._statements()).encode()).hexdigest()

    def _is_current(self) -> bool:
        if not self.path.is_file():
            return False
        import duckdb

        try:
            with duckdb.connect(str(self.path), read_only=True) as connection:
                stored = connection.execute(
                    "SELECT comment FROM duckdb_views() WHERE schema_name = ? AND view_name = ?",
                    [PRICES_DAILY.group, PRICES_DAILY.name],
                ).fetchone()
        except duckdb.Error:
            return False  # torn, or of another version: it holds no data, so it is built again
        return stored is not None and stored[0] == self._fingerprint()

    def _build(self) -> None:
        import duckdb

        self.store.root.mkdir(parents=True, exist_ok=True)
        for table in TABLES.values():
            self.store.ensure_schema_file(table)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
        try:
            with duckdb.connect(str(temporary)) as connection:
                for statement in self._statements():
                    connection.execute(statement)
                connection.execute(f"COMMENT ON VIEW {PRICES_DAILY.qualified_name} IS '{self._fingerprint()}'")
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)
