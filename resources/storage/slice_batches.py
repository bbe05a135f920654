"""Whether the slices of a table are still what was stored, many small ones at a time.

What ``slice_check.problem_of`` says of one slice costs twenty milliseconds whatever its size. Here the slices of a
table are put together, hashed and judged once; whatever does not come out as it should is then judged by itself, so
that what is said of a slice is always what ``problem_of`` says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from resources.storage.slice_check import problem_of
from resources.storage.slices.format import (
    check_columns,
    check_owner,
    open_parquet,
    provenance_of,
    readable,
    to_pandas,
    with_later_columns,
)
from resources.storage.slices.record import hash_head, row_hashes
from trading_dag.errors import DataQualityError, StorageError
from trading_dag.quality import conform
from trading_dag.schemas import Table

if TYPE_CHECKING:
    import pyarrow as pa

    from resources.storage.parquet_store import ParquetStore
    from resources.storage.slices.record import SliceKey

BATCH_ROWS: Final = 200_000


@dataclass
class _Batch:
    """Holds slices of one table with the same columns, read and not yet judged."""

    keys: list[SliceKey] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    rows: list[pa.Table] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Return how many rows there are."""
        return sum(table.num_rows for table in self.rows)


def problems_of_table(store: ParquetStore, table: Table) -> Iterator[tuple[Path, str]]:
    """Yield path and problem of every stored slice of a table that is not what was stored or does not fit the table."""
    batches: dict[tuple[str, ...], _Batch] = {}
    for key, path in store.files(table):
        try:
            with readable(table, key, path):
                file = open_parquet(path)
                provenance = provenance_of(file.schema_arrow, table, key, path)
                check_columns(file.schema_arrow, table, key, path)
                check_owner(file, table, key, path)
                rows = file.read(use_threads=False)
        except StorageError:
            yield from _one_by_one(store, table, [key], [path])
            continue
        except FileNotFoundError:
            continue  # removed since it was listed
        batch = batches.setdefault(tuple(rows.column_names), _Batch())
        batch.keys.append(key)
        batch.paths.append(path)
        batch.rows.append(rows.replace_schema_metadata(None))
        batch.hashes.append(provenance.content_hash)
        if batch.count >= BATCH_ROWS:
            yield from _judge(store, table, batches.pop(tuple(rows.column_names)))
    for batch in batches.values():
        yield from _judge(store, table, batch)


def _judge(store: ParquetStore, table: Table, batch: _Batch) -> Iterator[tuple[Path, str]]:
    """Yield what is wrong with the slices of a batch."""
    import pyarrow as pa

    frame = to_pandas(pa.concat_tables(batch.rows), table)
    lengths = [rows.num_rows for rows in batch.rows]
    ends = np.cumsum(lengths)
    hashes, head = row_hashes(frame), hash_head(frame)
    digests = [
        hashlib.sha256(head + hashes[end - length : end].tobytes()).hexdigest()
        for end, length in zip(ends, lengths, strict=True)
    ]
    suspects = {place for place, digest in enumerate(digests) if digest != batch.hashes[place]}
    if not _fits(with_later_columns(frame, table, None), table, batch, lengths):
        suspects = set(range(len(batch.keys)))
    chosen = sorted(suspects)
    yield from _one_by_one(
        store, table, [batch.keys[place] for place in chosen], [batch.paths[place] for place in chosen]
    )


def _fits(frame: pd.DataFrame, table: Table, batch: _Batch, lengths: list[int]) -> bool:
    """Return whether all rows fit the table and belong to their slices."""
    for name in table.slice_columns:
        own = np.repeat([str(getattr(key, name)) for key in batch.keys], lengths)
        if not (frame[name].to_numpy(dtype=object) == own).all():
            return False
    try:
        conform(frame, replace(table, slice="none"), slice_key=f"{len(batch.keys)} slices")
    except DataQualityError:
        return False
    return True


def _one_by_one(
    store: ParquetStore, table: Table, keys: list[SliceKey], paths: list[Path]
) -> Iterator[tuple[Path, str]]:
    for key, path in zip(keys, paths, strict=True):
        problem = problem_of(store, table, key)
        if problem is not None:
            yield path, problem
