"""Whether stored option chains are what was stored: each quote date's rows against the digest in the footer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from resources.chains.year_file import BY_TICKER, DIGESTS_KEY, day_digests, read_groups, whole_digest
from resources.storage.slice_check import check_pages
from resources.storage.slices.format import not_as_stored, open_parquet, provenance_of, to_pandas
from trading_dag.errors import StorageError
from trading_dag.schemas import OPTION_CHAIN

if TYPE_CHECKING:
    from resources.storage.parquet_store import ParquetStore
    from resources.storage.slices.record import SliceKey


def chain_problems(store: ParquetStore, *, fast: bool) -> Iterator[tuple[Path, str]]:
    """Return every stored year of chains that is not what was stored, with what is wrong with it and what to do."""
    for key, path in store.files(OPTION_CHAIN):
        try:
            check_pages(BY_TICKER, key, path, footer_only=fast)
            if not fast:
                _check_rows(key, path)
        except StorageError as error:
            yield path, str(error)


def _check_rows(key: SliceKey, path: Path) -> None:
    """Compare the rows, one row group after the other, with the digest of each quote date and of the whole.

    Raises
    ------
    StorageError : naming the first quote date that differs.
    """
    file = open_parquet(path)
    record = provenance_of(file.schema_arrow, BY_TICKER, key, path)
    digests: dict[str, str] = {}
    left: pd.DataFrame | None = None
    for group in range(file.num_row_groups):
        rows = to_pandas(read_groups(path, file, [group], columns=OPTION_CHAIN.column_names), OPTION_CHAIN)
        rows = rows if left is None else pd.concat([left, rows], ignore_index=True)
        # The last date of a row group may go on in the next.
        last = rows["quote_date"] == rows["quote_date"].iloc[-1]
        digests |= day_digests(rows[~last].reset_index(drop=True))
        left = rows[last].reset_index(drop=True)
    if left is not None:
        digests |= day_digests(left)
    recorded = json.loads((file.schema_arrow.metadata or {}).get(DIGESTS_KEY, b"{}"))
    for day, digest in digests.items():
        if day[:4] != path.parent.name.partition("=")[2]:
            raise not_as_stored(BY_TICKER, key, path, f"it holds rows of {day}")
        if recorded and recorded.get(day) != digest:
            raise not_as_stored(BY_TICKER, key, path, f"rows of {day} differ from the hash that is recorded of them")
    if whole_digest(digests) != record.content_hash:
        raise not_as_stored(BY_TICKER, key, path, "its values differ from the hash that is recorded of them")
