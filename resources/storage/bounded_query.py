"""A query of somebody at a browser: in the sandbox of ``read_only``, for so long, in so much memory, so many rows."""

from __future__ import annotations

import threading
import time
import warnings
from dataclasses import dataclass
from typing import Final

import pandas as pd

from resources.storage.read_only import the_query
from resources.storage.warehouse import Warehouse
from trading_dag.errors import StorageError

SECONDS: Final = 10.0
ROWS: Final = 10_000
MEMORY: Final = "512MB"
_VECTOR: Final = 2_048  # rows in which DuckDB hands out an answer


@dataclass(frozen=True)
class BoundedAnswer:
    """Holds what a query gave.

    Attributes
    ----------
    rows : the first of them, as many as are allowed.
    is_cut : whether there were more.
    seconds : for how long it ran.
    """

    rows: pd.DataFrame
    is_cut: bool
    seconds: float


def bounded_query(
    warehouse: Warehouse, sql: str, *, seconds: float = SECONDS, rows: int = ROWS, memory: str = MEMORY
) -> BoundedAnswer:
    """Run one query that reads, and return its first rows.

    Parameters
    ----------
    seconds, rows, memory : how much it may take of each.

    Raises
    ------
    StorageError : for what is no query, reads elsewhere, fails, or takes longer or more memory.
    """
    import duckdb

    started = time.monotonic()
    with warehouse.connect(memory_limit=memory) as connection:
        alarm = threading.Timer(seconds, connection.interrupt)
        alarm.start()
        try:
            query = the_query(connection, sql)
            warehouse.refresh(sql)
            answer = connection.execute(query)
            with warnings.catch_warnings():
                # DuckDB 2.0 turns moments into pandas by a keyword that pandas 3.1 deprecates.
                warnings.filterwarnings("ignore", message="The inplace keyword in DataFrame.drop")
                found = answer.fetch_df_chunk(rows // _VECTOR + 1)
        except duckdb.InterruptException:
            raise StorageError(
                f"stopped after {seconds:g} seconds: ask for fewer sessions, tickers or columns"
            ) from None
        except duckdb.OutOfMemoryException:
            raise StorageError(f"stopped at {memory} of memory: ask for fewer sessions, tickers or columns") from None
        except duckdb.Error as error:
            raise StorageError(" ".join(str(error).split())) from error
        finally:
            alarm.cancel()
            alarm.join()
    return BoundedAnswer(found.head(rows), len(found) > rows, time.monotonic() - started)
