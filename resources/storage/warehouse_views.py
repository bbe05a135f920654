"""SQL of the views in ``warehouse.duckdb``: each covers exactly the slices of its table, also those written later.

A view finds files with a wildcard, since slices come and go, and keeps those whose path is a slice's and whose rows
have the same ticker, horizon and year as the path. So a folder that somebody copied beside a slice is never read.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from resources.storage.slices.format import METADATA_KEY
from resources.storage.slices.paths import FILE_NAME, LEVELS, SCHEMA_FILE_NAME, pattern, wildcard
from trading_dag.schemas import TABLES, Table

RECORDS_SCHEMA: Final = "meta"
_PATH: Final = "slice_path"
_LEVEL_OF_ROW: Final = {"ticker": '"ticker"', "horizon": '"horizon"', "year": 'CAST(year("quote_date") AS VARCHAR)'}


def statements(data: Path) -> list[str]:
    """Return the statements that build the window over the slices below ``data``, an absolute path."""
    groups = sorted({table.group for table in TABLES.values()})
    schemas = [f'CREATE SCHEMA IF NOT EXISTS "{group}"' for group in (*groups, RECORDS_SCHEMA)]
    return [*schemas, *(_view(table, data) for table in TABLES.values()), _records(data)]


def _view(table: Table, data: Path) -> str:
    folder = glob.escape(str(data / table.group / table.name))
    # The file without rows comes first: it says the columns and types, and a table without slices has them from it.
    slices = wildcard(table) if LEVELS[table.slice] else f"[{FILE_NAME[0]}]{FILE_NAME[1:]}"
    files = ", ".join(_text(f"{folder}/{name}") for name in (SCHEMA_FILE_NAME, slices))
    columns = ", ".join(f'"{name}"' for name in table.column_names)
    named = _text(pattern(table))
    own = [f"regexp_matches({_PATH}, {named})"] + [
        f"{_LEVEL_OF_ROW[level]} = regexp_extract({_PATH}, {named}, {place})"
        for place, level in enumerate(LEVELS[table.slice], start=1)
    ]
    # Not union_by_name: it opens every file twice, and one replaced in between is read with the old one's footer.
    return (
        f'CREATE VIEW "{table.group}"."{table.name}" AS SELECT {columns} FROM read_parquet([{files}], '
        f"hive_partitioning = false, filename = '{_PATH}', allow_empty = true) WHERE {' AND '.join(own)}"
    )


def _records(data: Path) -> str:
    """Return the view of what is recorded of every slice; the files' footers are read when it is queried."""
    folder = str(data)
    files = _text(f"{glob.escape(folder)}/**/*.parquet")
    part = "nullif(regexp_extract(path, '{}=([^/]+)', 1), '')"
    return (
        f'CREATE VIEW "{RECORDS_SCHEMA}"."slices" AS WITH files AS ('
        f"SELECT substr(file_name, {len(folder) + 2}) AS path, CAST(decode(value) AS JSON) AS record "
        f"FROM parquet_kv_metadata({files}) WHERE decode(key) = '{METADATA_KEY.decode()}') "
        "SELECT split_part(path, '/', 1) || '.' || split_part(path, '/', 2) AS table_name, "
        f"{part.format('ticker')} AS ticker, {part.format('horizon')} AS horizon, "
        f"CAST({part.format('year')} AS INTEGER) AS year, record ->> 'source' AS source, "
        "record ->> 'source_off' AS source_off, CAST(record ->> 'fetched_at' AS TIMESTAMP) AS stored_at, "
        "CAST(record ->> 'rows' AS BIGINT) AS row_count, "
        "CAST(record ->> 'first_session' AS DATE) AS first_session, "
        "CAST(record ->> 'last_session' AS DATE) AS last_session, record ->> 'code_version' AS code_version, "
        f"record ->> 'content_hash' AS content_hash FROM files WHERE regexp_matches(path, {_text(_any_slice())})"
    )


def _any_slice() -> str:
    """Return the regular expression of the path of any table's slice, below the folder of the data."""
    by_kind: dict[str, list[str]] = {}
    for table in TABLES.values():
        by_kind.setdefault(pattern(table), []).append(f"{table.group}/{table.name}")
    return "|".join(f"^(?:{'|'.join(names)}){ending}" for ending, names in by_kind.items())


def _text(value: str) -> str:
    """Return a string literal of SQL."""
    return "'" + value.replace("'", "''") + "'"


def fingerprint(building: Iterable[str]) -> str:
    """Return a hash of the statements; it changes with the folder, the tables and the form of the views."""
    from hashlib import sha256

    return sha256("\n".join(building).encode()).hexdigest()
