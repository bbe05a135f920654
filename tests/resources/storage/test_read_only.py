"""SQL through the window reads the data folder and does nothing else, whatever it is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.warehouse import Warehouse
from tests.conftest import Workspace
from tests.resources.storage.test_parquet_store import bars
from trading_dag.errors import StorageError
from trading_dag.schemas import PRICES_DAILY

# {home} and {data} become the folders of the test; {outside} lies beside the home and holds a secret.
WRITES = (
    "COPY raw.prices_daily TO '{outside}/out.csv'",
    "COPY raw.prices_daily TO '{data}/out.parquet'",
    "COPY (SELECT 1) TO '{data}/raw/prices_daily/ticker=SPY/data.parquet'",
    "copy (from raw.prices_daily) to '{data}/parts' (format parquet, partition_by (ticker))",
    "EXPORT DATABASE '{outside}/all'",
    "EXPORT DATABASE '{data}/all'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{data}/out.csv'",
    "PREPARE x AS COPY (SELECT 1) TO '{data}/out.csv'",
    "WITH x AS (COPY (SELECT 1) TO '{data}/out.csv') SELECT 1",
    "WITH x AS MATERIALIZED (COPY (SELECT 1) TO '{data}/out.csv') FROM x",
    "WITH y AS (WITH x AS (COPY (SELECT 1) TO '{data}/out.csv') FROM x) FROM y",
    "SELECT 1 UNION ALL (WITH x AS (COPY (SELECT 1) TO '{data}/out.csv') FROM x)",
    "FROM query('WITH x AS (COPY (SELECT 1) TO ''{data}/out.csv'') FROM x')",
    "DESCRIBE (WITH x AS (COPY (SELECT 1) TO '{data}/out.csv') FROM x)",
    "FROM json_execute_serialized_sql(json_serialize_sql('WITH x AS (COPY (SELECT 1) TO ''{data}/out.csv'') FROM x'))",
    "FROM JSON_EXECUTE_SERIALIZED_SQL(json_serialize_sql('WITH x AS (COPY (SELECT 1) TO ''{data}/o'') FROM x'))",
    "SELECT * FROM (FROM enable_profiling(save_location = '{data}/profile.json'))",
    "FROM register_external_resource('x')",
    "FROM force_checkpoint()",
    "FROM truncate_duckdb_logs()",
    "FROM query('COPY (SELECT 1) TO ''{data}/out.csv''')",
    "CREATE TABLE raw.mine (a INT)",
    "CREATE TEMP TABLE mine AS SELECT 1",
    "CREATE OR REPLACE VIEW raw.prices_daily AS SELECT 1",
    "DROP VIEW raw.prices_daily",
    "INSERT INTO raw.prices_daily SELECT * FROM raw.prices_daily",
    "WITH x AS (DELETE FROM raw.prices_daily RETURNING *) SELECT * FROM x",
    "UPDATE raw.prices_daily SET close = 1",
    "ALTER VIEW raw.prices_daily RENAME TO gone",
    "COMMENT ON VIEW raw.prices_daily IS 'mine'",
    "CALL enable_logging(storage = 'file', storage_path = '{data}/log')",
    "SELECT * FROM enable_logging(storage = 'file', storage_path = '{data}/log')",
    "VACUUM",
    "CHECKPOINT",
    "FORCE CHECKPOINT",
)
READS_ELSEWHERE = (
    "FROM read_csv('/etc/passwd')",
    "FROM '/etc/passwd'",
    "FROM read_text('{outside}/secret.txt')",
    "FROM read_text('{home}/.env')",
    "FROM read_blob('{outside}/secret.txt')",
    "FROM read_json('{outside}/secret.txt')",
    "FROM read_parquet('{outside}/secret.txt')",
    "FROM parquet_metadata('{outside}/secret.txt')",
    "FROM sniff_csv('{outside}/secret.txt')",
    "FROM read_text('{data}/../.env')",
    "FROM read_text('{home}/data-of-others/secret.txt')",
    "FROM glob('{outside}/*')",
    "FROM glob('/etc/*')",
    "FROM query('FROM read_text(''{outside}/secret.txt'')')",
    "SELECT getenv('PATH')",
    "ATTACH '{outside}/other.duckdb'",
    "ATTACH '{data}/other.duckdb'",
    "ATTACH ':memory:' AS mine",
    "COPY raw.prices_daily FROM '{outside}/secret.txt'",
    "IMPORT DATABASE '{outside}'",
    "FROM read_csv('http://127.0.0.1:9/x.csv')",
    "FROM 's3://bucket/x.parquet'",
    "FROM SOME_FRAME",
)
SETTINGS = (
    "INSTALL httpfs",
    "LOAD httpfs",
    "FORCE INSTALL httpfs FROM 'http://127.0.0.1:9'",
    "UPDATE EXTENSIONS",
    "SET enable_external_access = true",
    "SET allowed_directories = ['/']",
    "SET lock_configuration = false",
    "RESET enable_external_access",
    "SET VARIABLE a = 1",
    "PRAGMA enable_profiling",
    "PRAGMA database_list",
    "CREATE SECRET (TYPE s3)",
    "CREATE MACRO f(x) AS x",
    "USE memory",
    "DETACH warehouse",
)
SEVERAL = (
    "SELECT 1; COPY (SELECT 1) TO '{data}/out.csv'",
    "SELECT 1; SELECT 2",
    "FROM raw.prices_daily; DROP VIEW raw.prices_daily",
    "BEGIN",
    "",
    ";",
    "-- nothing",
    "SELEC 1",
    "SELECT '",
    "\x00",
    "SELECT 1 \x00; SELECT 2",
)
SOME_FRAME = bars()


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """One for all: whatever changes a file of it fails the test that did it."""
    tmp_path = tmp_path_factory.mktemp("read_only")
    outside, home = tmp_path / "outside", tmp_path / "home"
    for folder in (outside, home / "data-of-others"):
        folder.mkdir(parents=True)
        (folder / "secret.txt").write_text("a,b\n1,2\n")
    (home / ".env").write_text("FRED_API_KEY=secret\n")
    warehouse = Warehouse(ParquetStore(home))
    warehouse.store.write(PRICES_DAILY, SliceKey("SPY"), bars())
    warehouse.ensure()
    return warehouse


def everything_below(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("text", [*WRITES, *READS_ELSEWHERE, *SETTINGS, *SEVERAL])
def test_what_is_no_query_of_the_data_is_refused_and_changes_no_file(warehouse: Warehouse, text: str) -> None:
    home = warehouse.store.root
    before = everything_below(home.parent)
    words = {"home": home, "data": warehouse.store.data, "outside": home.parent / "outside"}
    with pytest.raises(StorageError):
        warehouse.query(text.format(**words))
    assert everything_below(home.parent) == before


@pytest.mark.parametrize(
    "text",
    [
        "FROM raw.prices_daily",
        "SELECT count(*) AS n FROM raw.prices_daily;",
        "WITH a AS (FROM raw.prices_daily) SELECT close FROM a -- a remark; with a semicolon",
        "DESCRIBE raw.prices_daily",
        "SUMMARIZE raw.prices_daily",
        "SHOW ALL TABLES",
        "VALUES (1), (2)",
        "PIVOT raw.prices_daily ON ticker IN ('SPY') USING sum(close)",
        "FROM (SELECT 1 AS a UNION ALL SELECT 2) JOIN range(3) ON true",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) FROM n",
        "SELECT unnest([1, 2, 3]), (SELECT max(close) FROM raw.prices_daily)",
        "FROM glob('{data}/raw/**/*.parquet')",
        "FROM read_parquet('{data}/raw/prices_daily/*/data.parquet')",
        "FROM meta.slices",
    ],
)
def test_every_kind_of_query_runs(warehouse: Warehouse, text: str) -> None:
    assert len(warehouse.query(text.replace("{data}", str(warehouse.store.data)))) > 0


@pytest.mark.parametrize("text", ["COPY (SELECT 1) TO '{data}/x.csv'", "SELECT 1; SELECT 2", "SET threads = 1"])
def test_the_command_says_why_in_one_line(warehouse: Warehouse, text: str) -> None:
    done = Workspace(warehouse.store.root).run("sql", text.format(data=warehouse.store.data))
    assert done.returncode == 1
    assert done.stderr.startswith("error: not run: ")
    assert done.stderr.count("\n") == 1


def test_a_connection_that_somebody_else_uses_is_confined_too(warehouse: Warehouse) -> None:
    import duckdb

    with warehouse.connect() as connection:
        for text in (*READS_ELSEWHERE[:5], *SETTINGS[:8]):
            with pytest.raises(duckdb.Error):
                connection.execute(text.format(home=warehouse.store.root, data="", outside=warehouse.store.root.parent))


def test_several_connections_of_one_process_are_open_at_once_and_each_is_confined(warehouse: Warehouse) -> None:
    import duckdb

    with warehouse.connect() as first, warehouse.connect(memory_limit="64MB") as second:
        rows = "SELECT count(*) FROM raw.prices_daily"
        assert first.execute(rows).fetchall() == second.execute(rows).fetchall()
        limit = "SELECT current_setting('memory_limit')"
        assert second.execute(limit).fetchone() == ("61.0 MiB",)
        assert first.execute(limit).fetchone() != ("61.0 MiB",)
        for connection in (first, second):
            with pytest.raises(duckdb.Error):
                connection.execute("SET memory_limit = '1GB'")
            with pytest.raises(duckdb.Error):
                connection.execute("FROM read_csv('/etc/passwd')")
        with pytest.raises(duckdb.OutOfMemoryException):
            second.execute("SELECT list(a) FROM range(100_000_000) t(a)").fetchall()
