"""Other slices that are stored: bars for rules that compare a ticker with its market, the named benchmarks, and all.

They are only read, never written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

import pandas as pd

from resources.storage.parquet_store import ParquetStore, Provenance, SliceKey
from trading_dag.errors import StorageError
from trading_dag.schemas import PRICES_DAILY, Table

MOST_PEERS: Final = 6
_COLUMNS: Final = ("session", "open", "high", "low", "close")


def peers_of(store: ParquetStore, ticker: str, *, source: str) -> dict[str, pd.DataFrame]:
    """Return the bars of up to six other stored tickers of one source, by ticker in alphabetical order.

    A slice that cannot be read is left out: the run of its own ticker reports it.
    """
    peers: dict[str, pd.DataFrame] = {}
    for key in sorted(store.slices(PRICES_DAILY)):
        if key.ticker is None or key.ticker == ticker:
            continue
        try:
            frame = store.read(PRICES_DAILY, key, columns=_COLUMNS)
        except StorageError:
            continue
        if frame.attrs.get("source") == source and len(frame):
            peers[key.ticker] = frame
        if len(peers) == MOST_PEERS:
            break
    return peers


def benchmark_records(
    store: ParquetStore, table: Table, named: tuple[str, ...], *, source: str
) -> dict[SliceKey, Provenance]:
    """Return the provenance of those benchmarks that are stored from one source, in their order.

    Raises
    ------
    StorageError : for a slice that cannot be read.
    """
    return _of_source(store, table, [SliceKey(ticker) for ticker in named], source=source)


def records_of_all_slices(store: ParquetStore, table: Table, *, source: str) -> dict[SliceKey, Provenance]:
    """Return the provenance of every slice of a table that is stored from one source, by ticker and horizon.

    Raises
    ------
    StorageError : for a slice that cannot be read.
    """
    return _of_source(store, table, store.slices(table), source=source)


def _of_source(
    store: ParquetStore, table: Table, keys: Iterable[SliceKey], *, source: str
) -> dict[SliceKey, Provenance]:
    records = {key: store.provenance(table, key) for key in keys}
    return {key: record for key, record in records.items() if record is not None and record.source == source}


def digest_of(records: Mapping[SliceKey, Provenance]) -> str:
    """Return one hash for the contents of several slices; it also changes when a slice is added or removed."""
    digest = hashlib.sha256()
    for key, record in records.items():
        name = ":".join(filter(None, (key.ticker, key.horizon)))
        digest.update(f"{name}:{record.content_hash}".encode())
    return digest.hexdigest()
