"""The paper account as assets: from stored signals to orders, and from the next session's prices to fills."""

from __future__ import annotations

import pandas as pd

from assets.run.execution import SliceRunner, WorkItem
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.resources.brokers.paper_market import PaperMarket, market_of, paper_settings
from trading_dag.definitions import build_definitions
from trading_dag.frames import table_frame
from trading_dag.schemas import (
    LEDGER,
    MACRO_TABLE,
    ORDERS,
    POSITIONS,
    PRICES_DAILY,
    RECOMMENDATION,
    RECONCILIATION,
    VOLATILITY_INDEX,
    Table,
)


def store_market(store: ParquetStore, market: PaperMarket) -> None:
    """Put what is known by a session where an operator's runs would have put it."""

    def put(table: Table, key: SliceKey, rows: pd.DataFrame, **more: object) -> None:
        values = {name: rows[name] for name in rows.columns if name in table.column_names} | more
        store.put(store.prepare(table, key, table_frame(table, values, rows=len(rows)), source="simulated"))

    ticker = SliceKey("SPY")
    put(PRICES_DAILY, ticker, market.prices)
    levels = market.volatility_index
    high, low = levels[["open", "close"]].max(axis=1), levels[["open", "close"]].min(axis=1)
    put(VOLATILITY_INDEX, ticker, levels, high=high, low=low, symbol="VIX")
    put(MACRO_TABLE, SliceKey(), market.rates)
    horizon = str(market.signals["horizon"].iloc[0])
    put(RECOMMENDATION, SliceKey("SPY", horizon), market.signals, reasoning="said", evidence="{}")


def test_signals_become_orders_and_the_next_session_fills_them_once(tmp_path, instance):
    settings = paper_settings(tmp_path)
    market, store = market_of(7, sessions=6), ParquetStore(tmp_path)
    runner = SliceRunner(build_definitions(settings), instance, settings)
    item = WorkItem("all_slices", SliceKey(), "refresh")
    for session in market.sessions[-2:]:
        store_market(store, market.through(session))
        outcome = runner.bring_up_to_date(item)
        assert outcome.errors == ()
        assert set(outcome.materialized) == {
            table.qualified_name for table in (RECONCILIATION, ORDERS, POSITIONS, LEDGER)
        }
    assert runner.bring_up_to_date(item).materialized == ()
    orders, positions, ledger, compared = (
        store.read(table, SliceKey()) for table in (ORDERS, POSITIONS, LEDGER, RECONCILIATION)
    )
    first, second = (f"td-SPY-{session:%Y%m%d}-168h-matrix-r0-open" for session in market.sessions[-2:])
    assert orders[["order_id", "event"]].value_counts().to_dict() == {
        (first, "intended"): 1, (first, "sent"): 1, (first, "filled"): 1, (second, "intended"): 1, (second, "sent"): 1,
    }  # fmt: skip
    assert positions["session"].tolist() == [market.sessions[-1]]
    assert ledger["kind"].tolist() == ["deposit", "premium", "fees"]
    assert compared["is_matched"].all()
    assert orders["edge"].unique().tolist() == ["no_edge"]
