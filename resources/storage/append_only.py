"""Tables whose rows stay for good: what may replace a stored slice, and how one that was damaged is mended.

Such a slice cannot be computed again. So the store refuses to replace it by one that lacks a row of it, or in which a
row reads otherwise, whoever asks; and it keeps a second file of the same bytes, from which a damaged one is mended.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final, Protocol

import pandas as pd

from resources.storage.objects.working_copy import HomeFiles
from resources.storage.slices.format import check_columns, open_parquet, provenance_of, readable
from resources.storage.slices.paths import ASIDE, FILE_NAME
from resources.storage.slices.record import SliceKey, content_hash
from trading_dag.errors import StorageError
from trading_dag.schemas import Table


class StoredSlices(Protocol):
    """Describes the parts that are needed of the store that holds the slices."""

    @property
    def home_files(self) -> HomeFiles: ...
    def slice_folder(self, table: Table, key: SliceKey) -> Path: ...
    def path(self, table: Table, key: SliceKey) -> Path: ...
    def exists(self, table: Table, key: SliceKey) -> bool: ...
    def read(self, table: Table, key: SliceKey) -> pd.DataFrame: ...
    def set_aside(self, table: Table, key: SliceKey) -> Path: ...


COPY_NAME: Final = f".{FILE_NAME}.copy"


def altered_rows(stored: pd.DataFrame, new: pd.DataFrame, table: Table) -> str | None:
    """Return which stored rows a new frame lacks or has otherwise; None where every one is in it, bit for bit."""
    key = list(table.key)
    wanted = pd.MultiIndex.from_frame(stored[key])
    kept = new[pd.MultiIndex.from_frame(new[key]).isin(wanted)].reset_index(drop=True)
    if len(kept) < len(stored):
        return f"{len(stored) - len(kept)} of {len(stored)} recorded rows are missing"
    if content_hash(kept) == content_hash(stored):
        return None
    names = [name for name in stored.columns if not kept[name].equals(stored[name])]
    return f"recorded rows read otherwise in {', '.join(names) or 'their order'}"


def refuse_to_alter(store: StoredSlices, table: Table, key: SliceKey, new: pd.DataFrame) -> None:
    """Demand that a slice may be replaced by a new frame.

    Raises
    ------
    StorageError : where a stored row is missing or reads otherwise in the new frame, or the stored file is damaged, so
        that nobody knows (``mend`` comes first).
    """
    if not store.exists(table, key):
        return
    problem = altered_rows(store.read(table, key), new, table)
    if problem is not None:
        raise StorageError(
            f"{table.qualified_name} [{key}] is append-only: {problem} in what would replace it. Nothing was stored"
        )


def keep_copy(store: StoredSlices, table: Table, key: SliceKey) -> None:
    """Write the second file, of the bytes of the first."""
    path = store.path(table, key)
    store.home_files.replace(path.with_name(COPY_NAME), lambda new: shutil.copyfile(path, new))


def mend(store: StoredSlices, table: Table, key: SliceKey) -> list[str]:
    """Put the second file in the place of a stored one that is damaged or gone; the damaged one is set aside.

    Where neither is good the slice counts as never written. To be called under the slice's lock.

    Returns
    -------
    A line for each thing that was done; none where the slice is as it was stored, or was never written.

    Raises
    ------
    StorageError : for a file that is whole and has other columns than the table: another version of the project has
        written it, which will read it again.
    """
    path = store.path(table, key)
    copy = path.with_name(COPY_NAME)
    told = []
    if store.exists(table, key):
        try:
            store.read(table, key)
        except StorageError as error:
            if _has_other_columns(path, table, key):
                raise
            aside = store.set_aside(table, key)
            told.append(f"{error}. It was set aside as {aside.name}.")
        else:
            return []
    if not copy.is_file():
        return told
    store.home_files.replace(path, lambda new: shutil.copyfile(copy, new))
    try:
        rows = len(store.read(table, key))
    except StorageError:
        aside = store.set_aside(table, key)
        told.append(f"its copy is damaged too, and was set aside as {aside.name}: a new log begins.")
    else:
        told.append(f"{table.qualified_name} [{key}]: {rows} rows were put back from its copy.")
    return told


def _has_other_columns(path: Path, table: Table, key: SliceKey) -> bool:
    """Whether a file is whole, page for page, and its columns are not the table's."""
    try:
        with readable(table, key, path):
            file = open_parquet(path)
            provenance_of(file.schema_arrow, table, key, path)
            file.read()
    except StorageError:
        return False
    try:
        check_columns(file.schema_arrow, table, key, path)
    except StorageError:
        return True
    return False


def files_set_aside(store: StoredSlices, table: Table, key: SliceKey) -> list[Path]:
    """Return the damaged files of a slice that were set aside and still lie there, sorted."""
    return sorted(store.slice_folder(table, key).glob(f"{FILE_NAME}{ASIDE}*"))
