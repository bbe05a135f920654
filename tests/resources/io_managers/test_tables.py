"""The IO managers inside Dagster: projection, fan-in over partitions, unpartitioned tables, refusal."""

from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from assets.partitions import Partitions, partition_key
from resources.io_managers.tables import ParquetIOManager, slice_of_partition
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.resources.storage.test_parquet_store import bars
from trading_dag.schemas import PRICES_DAILY

PARTITIONS = Partitions(("SPY", "QQQ", "IWM"))
PRICES_KEY = dg.AssetKey(["raw", "prices_daily"])


@dg.asset(key=PRICES_KEY, partitions_def=PARTITIONS.ticker, io_manager_key="io")
def prices(context: dg.AssetExecutionContext) -> pd.DataFrame:
    return bars().assign(ticker=context.partition_key)


@dg.asset(key=["test", "bad"], io_manager_key="mem", ins={"prices": dg.AssetIn(PRICES_KEY)})
def tickers_seen(prices: dict[str, pd.DataFrame]) -> list[str]:
    return sorted(f"{key}:{frame['ticker'].iloc[0]}" for key, frame in prices.items())


@dg.asset(
    partitions_def=PARTITIONS.ticker_horizon,
    io_manager_key="mem",
    ins={"prices": dg.AssetIn(PRICES_KEY, metadata={"columns": ["session", "close"]})},
)
def columns_seen(prices: pd.DataFrame) -> list[str]:
    return list(prices.columns)


@pytest.fixture
def resources(tmp_path: Path) -> dict[str, object]:
    return {"io": ParquetIOManager(ParquetStore(tmp_path)), "mem": dg.mem_io_manager}


def store_prices(resources: dict[str, object], *tickers: str) -> None:
    for ticker in tickers:
        dg.materialize([prices], partition_key=ticker, resources=resources)


def test_an_input_that_spans_every_partition_is_a_frame_for_each(resources: dict[str, object]) -> None:
    store_prices(resources, "SPY", "QQQ", "IWM")
    result = dg.materialize([prices, tickers_seen], selection=[tickers_seen], resources=resources)
    assert result.output_for_node("test__bad") == ["IWM:IWM", "QQQ:QQQ", "SPY:SPY"]


def test_an_input_reads_only_the_columns_named_in_its_metadata(resources: dict[str, object]) -> None:
    store_prices(resources, "SPY")
    key = partition_key(SliceKey("SPY", "24h"))
    result = dg.materialize([prices, columns_seen], selection=[columns_seen], partition_key=key, resources=resources)
    assert result.output_for_node("columns_seen") == ["session", "close"]


def test_a_step_over_several_partitions_writes_one_slice_for_each(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    manager = ParquetIOManager(store)
    context = dg.build_output_context(asset_key=PRICES_KEY)
    manager.handle_output(context, {key: bars().assign(ticker=key) for key in ("SPY", "QQQ")})
    assert store.slices(PRICES_DAILY) == [SliceKey("QQQ"), SliceKey("SPY")]


def test_a_materialization_tells_its_rows_and_sessions(resources: dict[str, object]) -> None:
    result = dg.materialize([prices], partition_key="SPY", resources=resources)
    metadata = result.asset_materializations_for_node("raw__prices_daily")[0].metadata
    assert metadata["dagster/row_count"].value == 5
    assert metadata["last session"].value == "2024-01-08"
    preview = metadata["first and last rows"].records
    assert [record.data["session"] for record in preview] == [f"2024-01-0{day}" for day in (2, 3, 4, 5, 8)]


def test_a_slice_that_was_never_made_fails_the_step_that_wants_it(resources: dict[str, object]) -> None:
    key = partition_key(SliceKey("SPY", "24h"))
    result = dg.materialize(
        [prices, columns_seen], selection=[columns_seen], partition_key=key, resources=resources, raise_on_error=False
    )
    assert not result.success


def test_partition_keys_and_slices_are_each_others_inverse() -> None:
    for key in (SliceKey(), SliceKey("SPY"), SliceKey("SPY", "168h")):
        assert slice_of_partition(partition_key(key)) == key
    assert str(partition_key(SliceKey("SPY", "24h"))) == "24h|SPY"
