"""Whether a stored slice is what was stored: its pages, its values, its rows. Nothing is changed here.

Pages carry checksums, which Parquet readers other than pyarrow pass over. The hash of the values stands in the footer;
it notices whatever was altered by somebody who wrote good pages.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from resources.storage.slices.format import check_columns, check_owner, open_parquet, provenance_of, readable, remedy
from trading_dag.errors import DataQualityError, StorageError
from trading_dag.quality import conform
from trading_dag.schemas import Table

if TYPE_CHECKING:
    from resources.storage.parquet_store import ParquetStore
    from resources.storage.slices.record import SliceKey


def check_pages(table: Table, key: SliceKey, path: Path, *, footer_only: bool = False) -> None:
    """Read every page of a file, or its footer only, and forget it; a file that is not there has nothing wrong with it.

    Raises
    ------
    StorageError : where the file cannot be read, a page differs from its checksum, or columns from the table's.
    """
    try:
        with readable(table, key, path):
            file = open_parquet(path)
            provenance_of(file.schema_arrow, table, key, path)
            check_columns(file.schema_arrow, table, key, path)
            check_owner(file, table, key, path)
            for group in range(0 if footer_only else file.num_row_groups):
                file.read_row_group(group)
    except FileNotFoundError:
        return


def problem_of(store: ParquetStore, table: Table, key: SliceKey) -> str | None:
    """Return what is wrong with a stored slice, None where it is what was stored and its rows are rows of the table.

    Not for tables that are sliced by year: ``chains.check`` looks at those.
    """
    try:
        frame = store.read(table, key)
        conform(frame, table, slice_key=str(key))
    except StorageError as error:
        return str(error).removesuffix(remedy(table)).strip()
    except DataQualityError as error:
        return f"{error}."
    return None
