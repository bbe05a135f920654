"""Analysed sessions of a ticker's chains that no table holds yet, so that an end from outside loses little.

The tables themselves are replaced whole, after their checks, by the Dagster run; a journal is only what the next run
need not compute again. What a session's rows are is ``trading_dag.options.chains.history``'s.
"""

from __future__ import annotations

import shutil
import time
import uuid
from typing import Final

from resources.chains.store import ChainStore
from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.options.chains.history import HistoryTables, together
from trading_dag.schemas import CHAIN_ANALYTICS, DEALER_EXPOSURE
from trading_dag.slices import validate_ticker

_FOLDER: Final = "analysis"


class AnalysisJournal:
    """Keeps parts of the two tables of one ticker, below the folder of imports; each part is a small store of its
    own."""

    def __init__(self, store: ChainStore, ticker: str) -> None:
        self.folder = store.imports / _FOLDER / validate_ticker(ticker)
        self._key = SliceKey(ticker)

    def keep(self, tables: HistoryTables) -> None:
        """Add sessions. They count once both tables of the part are there; each is written at once or not at all.

        Raises
        ------
        SchemaError : for rows that are none of the tables'.
        """
        part = ParquetStore(self.folder / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}")
        for table, frame in ((CHAIN_ANALYTICS, tables.smiles), (DEALER_EXPOSURE, tables.exposure)):
            part.put(part.prepare(table, self._key, frame))

    def added_to(self, stored: HistoryTables) -> HistoryTables:
        """Return the stored tables with the journal's sessions; a journal of which all is stored is deleted.

        Raises
        ------
        StorageError : for a part that cannot be read; to delete the folder costs only the time to compute it again.
        """
        both = stored
        for folder in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            part = ParquetStore(folder)
            if part.exists(DEALER_EXPOSURE, self._key):
                tables = (part.read(table, self._key) for table in (CHAIN_ANALYTICS, DEALER_EXPOSURE))
                both = together(both, HistoryTables(*tables))
        if _digests(both) == _digests(stored):
            shutil.rmtree(self.folder, ignore_errors=True)
        return both


def _digests(tables: HistoryTables) -> dict[object, str]:
    return dict(zip(tables.exposure["session"], tables.exposure["chain_digest"], strict=True))
