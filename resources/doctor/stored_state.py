"""What ``doctor`` says of what is stored: slices that are not what was stored, and files that are no slices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from resources.chains.check import chain_problems
from resources.storage.parquet_store import ParquetStore
from resources.storage.slice_batches import problems_of_table
from resources.storage.slice_check import check_pages
from resources.storage.slices.format import remedy
from resources.storage.slices.paths import strangers
from trading_dag.errors import StorageError
from trading_dag.schemas import TABLES


def damaged_slices(store: ParquetStore, *, fast: bool) -> Iterator[tuple[Path, str]]:
    """Return every slice that is not what was stored, with what is wrong with it and what to do.

    Parameters
    ----------
    fast : look at footers only: whether the file is whole, and of its table.
    """
    for table in TABLES.values():
        if table.slice == "ticker_year":
            yield from chain_problems(store, fast=fast)
            continue
        if not fast:
            for path, problem in problems_of_table(store, table):
                yield path, f"{problem} {remedy(table)}"
            continue
        for key, path in store.files(table):
            try:
                check_pages(table, key, path, footer_only=True)
            except StorageError as error:
                yield path, str(error)


def strange_files(store: ParquetStore) -> tuple[list[Path], list[Path]]:
    """Return what below ``data`` no view and no command reads, and what repairs have set aside; topmost paths,
    sorted.
    """
    found = strangers(store.data, TABLES.values())
    return (
        [stranger.path for stranger in found if not stranger.was_set_aside],
        [stranger.path for stranger in found if stranger.was_set_aside],
    )
