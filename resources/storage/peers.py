"""Other tickers' stored slices: bars for rules that compare a ticker with its market, and the named benchmarks.

They are only read, never written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
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
) -> dict[str, Provenance]:
    """Return the provenance of those benchmarks that are stored from one source, by ticker in their order.

    Raises
    ------
    StorageError : for a slice that cannot be read.
    """
    records = {ticker: store.provenance(table, SliceKey(ticker)) for ticker in named}
    return {ticker: record for ticker, record in records.items() if record is not None and record.source == source}


def benchmark_digest(records: Mapping[str, Provenance]) -> str:
    """Return one hash for the contents of several slices; it also changes when a slice is added or removed."""
    digest = hashlib.sha256()
    for ticker, record in records.items():
        digest.update(f"{ticker}:{record.content_hash}".encode())
    return digest.hexdigest()
