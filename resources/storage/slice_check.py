"""Whether a stored slice is still what was stored: its pages, its values, its rows. Nothing is changed here.

Pages carry checksums, which Parquet readers other than pyarrow ignore. The hash of the values stands in the footer;
it reveals changes made by somebody who wrote valid pages.
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
    """Read every page of a file, or only its footer, without keeping anything; a missing file counts as intact.

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
    """Return what is wrong with a stored slice; None where it is what was stored and its rows fit the table.

    Tables that are sliced by year are checked by ``chains.check``.
    """
    try:
        frame = store.read(table, key)
        conform(frame, table, slice_key=str(key))
    except StorageError as error:
        return str(error).removesuffix(remedy(table)).strip()
    except DataQualityError as error:
        return f"{error}."
    return None
