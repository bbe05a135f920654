"""DuckDB as a reader and nothing else: what a connection may touch, and which statements are queries.

DuckDB's ``read_only=True`` protects the database file alone: COPY, EXPORT and ATTACH could still write and read
wherever the user may. Here a connection sees one folder, its settings are locked, and no extension is loaded. It runs
a single SELECT (for DuckDB that includes DESCRIBE, SUMMARIZE, SHOW, VALUES and FROM) whose parts all read only: since
DuckDB 2.0 a WITH may hold a COPY, and some table functions run SQL of their own or switch things on.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trading_dag.errors import StorageError

if TYPE_CHECKING:
    import duckdb

# No extension comes from the network or from the user's folder; none is needed.
_AT_START: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
}
# Of all kinds of parts that a parsed SELECT can have, those that only read.
_READING_NODES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_READING_FUNCTIONS: Final = frozenset(
    {
        "generate_series", "glob", "histogram", "histogram_values", "json_each", "json_tree", "parquet_file_metadata",
        "parquet_kv_metadata", "parquet_metadata", "parquet_scan", "parquet_schema", "pragma_table_info",
        "pragma_version", "query_table", "range", "read_blob", "read_csv", "read_csv_auto", "read_json",
        "read_json_auto", "read_ndjson", "read_parquet", "read_text", "repeat", "summary", "unnest",
        "duckdb_columns", "duckdb_functions", "duckdb_keywords", "duckdb_schemas", "duckdb_settings", "duckdb_tables",
        "duckdb_types", "duckdb_views",
    }
)  # fmt: skip
ONE_QUERY: Final = "sql takes one query that reads, such as: from raw.prices_daily limit 5"


def connect_read_only(path: Path, *, folder: Path, memory_limit: str | None = None) -> duckdb.DuckDBPyConnection:
    """Return a connection to a database file that can read below one folder and can change nothing, not even its
    settings.

    Each connection is an instance of DuckDB of its own: several to one file, in one process, would share settings, and
    the second could not be confined once those of the first are locked.

    Parameters
    ----------
    memory_limit : such as ``512MB``; with one, what does not fit fails and is not written to a temporary file.
    """
    import duckdb

    limits = {"temp_directory": f"{path}.tmp"}
    if memory_limit is not None:
        limits = {"temp_directory": "", "memory_limit": memory_limit}
    connection = duckdb.connect(":memory:", config={**_AT_START, **limits})
    try:
        connection.execute(f"ATTACH '{str(path).replace(chr(39), chr(39) * 2)}' AS warehouse (READ_ONLY)")
        connection.execute("USE warehouse")
        connection.execute("SET python_enable_replacements = false")  # no variable of this process is a table
        # A view names files by a pattern, in which the folder's own brackets and stars are escaped.
        folders = {"folder": str(folder), "pattern": glob.escape(str(folder))}
        connection.execute("SET allowed_directories = [$folder, $pattern]", folders)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    except BaseException:
        connection.close()
        raise
    return connection


def the_query(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    """Return the only statement of a text, which must be a query.

    Raises
    ------
    StorageError : for no statement, for several, and for one that is no SELECT.
    duckdb.Error : for a text that DuckDB cannot parse.
    """
    import duckdb

    try:
        statements = connection.extract_statements(sql)
        kinds = [statement.type for statement in statements]
    except ValueError as error:  # a kind of statement that this version of the library has no name for
        raise StorageError(f"not run: {error}; {ONE_QUERY}") from None
    if len(statements) != 1:
        raise StorageError(f"not run: {len(statements)} statements; {ONE_QUERY}")
    if kinds[0] == duckdb.StatementType.MULTI:
        raise StorageError("not run: PIVOT needs its values named, as in PIVOT … ON ticker IN ('SPY', 'QQQ')")
    if kinds[0] != duckdb.StatementType.SELECT:
        raise StorageError(f"not run: {kinds[0].name} is no query; {ONE_QUERY}")
    parsed = connection.execute("SELECT json_serialize_sql($sql::VARCHAR)", {"sql": sql}).fetchone()
    parts = list(_parts(json.loads(parsed[0]))) if parsed is not None else []
    if not any(kind in _READING_NODES for kind, _ in parts):
        raise StorageError(f"not run: DuckDB cannot say what it does; {ONE_QUERY}")
    for kind, function in parts:
        if kind.endswith("_NODE") and kind not in _READING_NODES:
            raise StorageError(f"not run: {kind.removesuffix('_NODE').removesuffix('_QUERY')} writes; {ONE_QUERY}")
        if kind == "TABLE_FUNCTION" and function not in _READING_FUNCTIONS:
            raise StorageError(f"not run: the table function {function} is none of those that only read; {ONE_QUERY}")
    return statements[0]


def _parts(parsed: Any) -> Iterator[tuple[str, str]]:
    """Yield the kind of every part of a parsed statement, with the name of the function where it is one."""
    if isinstance(parsed, dict):
        function = parsed.get("function")
        name = function.get("function_name", "") if isinstance(function, dict) else ""
        yield str(parsed.get("type")), str(name).lower()
        for value in parsed.values():
            yield from _parts(value)
    elif isinstance(parsed, list):
        for value in parsed:
            yield from _parts(value)
