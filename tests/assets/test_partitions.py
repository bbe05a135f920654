"""Partitions are those of the active universe: what the source has, restricted by the settings."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from assets.jobs import MARKET_JOB, RESEARCH_JOB
from assets.run.chain_fetch import add_chain_date
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.assets.test_automation import TECHNICAL, drift_reports, look, report, requested, sensor_tick
from tests.assets.test_schedules import tick
from trading_dag.definitions import build_definitions, build_for_command
from trading_dag.schemas import DRIFT, HORIZON_KEYS
from trading_dag.settings import Settings

PRICES = dg.AssetKey(["raw", "prices_daily"])
TARGETS = dg.AssetKey(["labels", "targets"])
EVENING = "2024-11-27 16:35"


def settings_of(home: Path, **given: object) -> Settings:
    return Settings(_env_file=None, home=home, **given)  # type: ignore[arg-type]


def keys(definitions: dg.Definitions, asset: dg.AssetKey) -> list[str]:
    return list(definitions.resolve_asset_graph().get(asset).partitions_def.get_partition_keys())


def folder_of(home: Path, *tickers: str, suffix: str = "parquet") -> Path:
    """A folder whose prices are one bar of each ticker."""
    folder = home / "mine"
    folder.mkdir()
    price = dict.fromkeys(("open", "high", "low", "close", "adj_close"), 100.0)
    bars = pd.DataFrame(
        [{"ticker": name, "session": dt.date(2024, 11, 29), **price, "volume": 1.0} for name in tickers]
    )
    path = folder / f"prices_daily.{suffix}"
    bars.to_csv(path, index=False) if suffix == "csv" else bars.to_parquet(path, index=False)
    return folder


def test_the_sample_is_partitioned_by_the_two_tickers_that_it_has(tmp_path: Path) -> None:
    definitions = build_definitions(settings_of(tmp_path, source="sample"))
    assert keys(definitions, PRICES) == ["SPX", "COMP"]
    assert sorted(keys(definitions, TARGETS)) == sorted(f"{key}|{of}" for key in HORIZON_KEYS for of in ("SPX", "COMP"))


def test_tickers_and_horizons_of_the_settings_restrict_the_partitions(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, source="live", tickers="QQQ,SPY", horizons="168h,24h")
    definitions = build_definitions(settings)
    assert keys(definitions, PRICES) == ["QQQ", "SPY"]
    assert sorted(keys(definitions, TARGETS)) == ["168h|QQQ", "168h|SPY", "24h|QQQ", "24h|SPY"]
    for job in (MARKET_JOB, RESEARCH_JOB):
        assert len(definitions.resolve_job_def(job).partitions_def.get_partition_keys()) in (2, 4)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_folder_is_partitioned_by_the_tickers_that_are_in_its_prices(tmp_path: Path, suffix: str) -> None:
    folder = folder_of(tmp_path, "SPY", "GLD", "TLT", suffix=suffix)
    settings = settings_of(tmp_path, source="files", files=folder, universe="GLD,DIA")
    assert keys(build_definitions(settings), PRICES) == ["SPY", "GLD"]


@pytest.mark.parametrize("content", [None, b"no table at all"])
def test_where_the_folder_cannot_be_read_the_settings_alone_say(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "prices_daily.parquet").write_bytes(content)
    settings = settings_of(tmp_path, source="files", files=tmp_path)
    assert keys(build_definitions(settings), PRICES) == ["SPY", "QQQ", "IWM"]


def test_a_universe_of_which_the_source_has_nothing_leaves_no_partition_and_loads(tmp_path: Path) -> None:
    definitions = build_definitions(settings_of(tmp_path, source="sample", tickers="SPY"))
    assert keys(definitions, PRICES) == []
    assert keys(definitions, TARGETS) == []
    assert definitions.get_repository_def().get_all_jobs()


def test_a_command_can_name_every_ticker_of_the_universe_and_every_horizon(tmp_path: Path) -> None:
    definitions = build_for_command(settings_of(tmp_path, source="sample", tickers="SPX", horizons="24h"))
    assert keys(definitions, PRICES) == ["SPY", "QQQ", "IWM", "SPX", "COMP"]
    assert len(keys(definitions, TARGETS)) == 5 * 6


def test_new_features_ask_for_the_chosen_horizons_alone(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    definitions = build_definitions(settings_of(tmp_path, source="sample", tickers="SPX", horizons="24h,72h"))
    cursor = look(definitions, instance, TARGETS).cursor
    for table in ("technical", "implied_volatility"):
        report(definitions, instance, dg.AssetKey(["features", table]), "SPX")
    report(definitions, instance, PRICES, "SPX")
    asked = look(definitions, instance, TARGETS, cursor=cursor)
    assert requested(asked, TARGETS) == {"24h|SPX", "72h|SPX"}


@pytest.mark.filterwarnings("ignore:Non-compliant tag keys:DeprecationWarning")  # Dagster's own partition tags
def test_when_the_universe_shrinks_what_was_left_out_is_neither_counted_nor_asked_for(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    wide = build_definitions(settings_of(tmp_path, source="sample"))
    for ticker in ("SPX", "COMP"):
        report(wide, instance, TARGETS, f"168h|{ticker}")
    cursor = look(wide, instance, TECHNICAL, TARGETS).cursor
    narrow = build_definitions(settings_of(tmp_path, source="sample", tickers="SPX", horizons="24h"))
    after = look(narrow, instance, TECHNICAL, TARGETS, cursor=cursor)
    for ticker in ("SPX", "COMP"):
        report(wide, instance, PRICES, ticker)
    asked = look(narrow, instance, TECHNICAL, TARGETS, cursor=after.cursor)
    assert requested(asked, TECHNICAL) == {"SPX"}
    for ticker in ("SPX", "COMP"):  # what is forecast waits for the features
        for table in ("technical", "implied_volatility"):
            report(wide, instance, dg.AssetKey(["features", table]), ticker)
    followed = look(narrow, instance, TECHNICAL, TARGETS, cursor=asked.cursor)
    assert requested(followed, TARGETS) == {"24h|SPX"}
    known = set(keys(narrow, TARGETS))
    assert instance.get_materialized_partitions(TARGETS) & known == set()


@pytest.mark.filterwarnings("ignore:Non-compliant tag keys:DeprecationWarning")
def test_a_drift_report_of_a_slice_that_is_left_out_asks_for_nothing(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings = settings_of(tmp_path, source="sample", tickers="SPX", horizons="24h")
    store = ParquetStore(settings.home)
    for ticker, horizon in (("SPX", "24h"), ("SPX", "48h"), ("COMP", "24h")):
        reports = drift_reports([0.0, 0.9, 0.9]).assign(ticker=ticker, horizon=horizon)
        store.write(DRIFT, SliceKey(ticker, horizon), reports)
    requests = sensor_tick(build_definitions(settings), settings, instance)
    assert [str(request.partition_key) for request in requests] == ["24h|SPX"]


def test_the_schedule_asks_for_the_tickers_of_the_folder_alone(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings = settings_of(tmp_path, source="files", files=folder_of(tmp_path, "QQQ"))
    asked = tick(build_definitions(settings), instance, "daily_prices", EVENING)
    assert [request.partition_key for request in asked.run_requests or []] == ["QQQ"]


def test_dates_of_chains_that_were_stored_before_stay_partitions_of_the_active_tickers(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    add_chain_date(instance, "2024-11-15|IWM")
    definitions = build_definitions(settings_of(tmp_path, source="live", tickers="SPY"))
    chain = definitions.resolve_asset_graph().get(dg.AssetKey(["raw", "option_chain"])).partitions_def
    found = chain.get_partition_keys(dynamic_partitions_store=instance)
    assert [str(key) for key in found] == ["2024-11-15|SPY"]
