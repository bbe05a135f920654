"""Other tickers' stored bars, for rules that hold a ticker against its market. They are read, never written."""

from __future__ import annotations

from typing import Final

import pandas as pd

from resources.storage.parquet_store import ParquetStore
from trading_dag.errors import StorageError
from trading_dag.schemas import PRICES_DAILY

MOST_PEERS: Final = 6
_COLUMNS: Final = ("session", "open", "high", "low", "close")


def peers_of(store: ParquetStore, ticker: str, *, source: str) -> dict[str, pd.DataFrame]:
    """Return the bars of up to six other stored tickers of one source, by ticker in alphabetical order.

    A slice that cannot be read is left out: its own ticker's run reports it.
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
