"""The desk on what is stored in a home, for commands: the same as the assets build from their inputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd

from resources.brokers.choose import build_desk, held_account
from resources.brokers.desk import Desk
from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.peers import records_of_all_slices
from trading_dag.paper.decisions import SIGNAL_COLUMNS, Signals
from trading_dag.paper.views import INDEX_COLUMNS, PRICE_COLUMNS, modelled_views
from trading_dag.quality import empty_frame
from trading_dag.schemas import MACRO_TABLE, PRICES_DAILY, RECOMMENDATION, VOLATILITY_INDEX, Table
from trading_dag.settings import Settings


@contextmanager
def stored_desk(settings: Settings) -> Iterator[Desk]:
    """Hold the account, and yield its desk on the stored signals and prices of the settings' source."""
    store = ParquetStore(settings.home)

    def every(table: Table, columns: tuple[str, ...]) -> pd.DataFrame:
        keys = records_of_all_slices(store, table, source=settings.source)
        frames = [store.read(table, key, columns=columns) for key in keys]
        return pd.concat(frames, ignore_index=True) if frames else empty_frame(table)[list(columns)]

    rates = store.read_or_empty(MACRO_TABLE, SliceKey())
    views = modelled_views(
        every(PRICES_DAILY, PRICE_COLUMNS),
        every(VOLATILITY_INDEX, INDEX_COLUMNS),
        rates=rates if rates.attrs.get("source") == settings.source else rates.iloc[:0],
        settings=settings,
    )
    signals = Signals(every(RECOMMENDATION, SIGNAL_COLUMNS), source=settings.source)
    with held_account(settings.home) as journal:
        yield build_desk(settings, journal, views=views, signals=signals)
