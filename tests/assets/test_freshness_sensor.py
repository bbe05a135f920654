"""The check ``freshness``: who reports it, and that between runs the sensor does, once a change and from footers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest
import time_machine

from assets.catalog import DECLARATIONS
from assets.declare.declaration import Declaration, Slice
from assets.declare.freshness import FRESH_TABLES, FRESHNESS_CHECK, data_through, freshness_results
from assets.freshness_sensor import build_freshness_sensor
from assets.partitions import Partitions
from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.frames import table_frame
from trading_dag.schemas import EQUITY, METRICS, PREDICTIONS_DIRECTION, PRICES_DAILY, SUMMARY, TRADES
from trading_dag.settings import Settings

FRIDAY_NIGHT, MONDAY_NOON, MONDAY_NIGHT = "2026-11-28T02:00Z", "2026-11-30T17:00Z", "2026-12-01T01:30Z"
SPX = SliceKey("SPX")


@pytest.fixture
def store(tmp_path: Path) -> ParquetStore:
    return ParquetStore(tmp_path)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, home=tmp_path, source="simulated")


def prices(last: str) -> pd.DataFrame:
    flat = dict.fromkeys(("open", "high", "low", "close", "adj_close"), 10.0)
    rest = {"volume": 1.0, "split_factor": 1.0, "dividend": 0.0}
    return table_frame(PRICES_DAILY, {"ticker": "SPX", "session": pd.Timestamp(last), **flat, **rest}, rows=1)


def tick(
    sensor: dg.SensorDefinition, cursor: str | None, instance: dg.DagsterInstance, **resources: Any
) -> tuple[str | None, list[dg.AssetCheckEvaluation]]:
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
        result = sensor.evaluate_tick(context)
    assert not result.run_requests
    return result.cursor, list(result.asset_events)


def test_a_slice_is_called_stale_once_when_its_session_is_due_and_once_when_it_is_there(
    store: ParquetStore, settings: Settings, instance: dg.DagsterInstance
) -> None:
    sensor = build_freshness_sensor(Partitions(("SPX", "COMP"), ("24h",)))
    given = {"settings": settings, "store": store}
    store.write(PRICES_DAILY, SPX, prices("2026-11-27"), source="simulated")

    with time_machine.travel(FRIDAY_NIGHT, tick=False):
        cursor, events = tick(sensor, None, instance, **given)
        assert events == []
    with time_machine.travel(MONDAY_NOON, tick=False):
        cursor, events = tick(sensor, cursor, instance, **given)
        assert events == []
    with time_machine.travel(MONDAY_NIGHT, tick=False):
        cursor, events = tick(sensor, cursor, instance, **given)
        (late,) = events
        cursor, again = tick(sensor, cursor, instance, **given)
        store.write(PRICES_DAILY, SPX, prices("2026-11-30"), source="simulated")
        # A daemon that was started anew has an empty memory and the cursor.
        anew = build_freshness_sensor(Partitions(("SPX", "COMP"), ("24h",)))
        _, (there,) = tick(anew, cursor, instance, **given)

    assert (late.asset_key.path, late.check_name, late.partition) == (["raw", "prices_daily"], FRESHNESS_CHECK, "SPX")
    assert (late.passed, late.severity, late.blocking) == (False, dg.AssetCheckSeverity.WARN, False)
    assert late.description == "ends with 2026-11-27, 1 session behind; 2026-11-30 is due"
    assert again == []
    assert (there.passed, there.partition) == (True, "SPX")


def test_the_sensor_opens_no_file_that_has_not_changed(
    store: ParquetStore, settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensor = build_freshness_sensor(Partitions(("SPX",), ("24h",)))
    store.write(PRICES_DAILY, SPX, prices("2026-11-27"), source="simulated")
    read: list[SliceKey] = []
    provenance = ParquetStore.provenance
    monkeypatch.setattr(ParquetStore, "provenance", lambda *args: (read.append(args[2]), provenance(*args))[1])
    monkeypatch.setattr(ParquetStore, "read", lambda *args, **named: pytest.fail("reads a table"))

    for _ in range(3):
        tick(sensor, None, instance, settings=settings, store=store)

    assert read == [SPX]


def test_what_the_sensor_says_is_the_newest_verdict_of_the_check(
    store: ParquetStore, settings: Settings, instance: dg.DagsterInstance
) -> None:
    store.write(PRICES_DAILY, SPX, prices("2026-11-27"), source="simulated")
    with time_machine.travel(MONDAY_NIGHT, tick=False):
        sensor = build_freshness_sensor(Partitions(("SPX",), ("24h",)))
        _, (event,) = tick(sensor, None, instance, settings=settings, store=store)
    instance.report_runless_asset_event(event)

    key = dg.AssetCheckKey(dg.AssetKey(["raw", "prices_daily"]), FRESHNESS_CHECK)
    record = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)[0]
    assert record.partition == "SPX"
    assert record.status.value == "FAILED"


def test_a_run_reports_the_age_of_what_it_made(store: ParquetStore, settings: Settings) -> None:
    made = [(PRICES_DAILY, store.write(PRICES_DAILY, SPX, prices("2026-11-27"), source="simulated"))]
    with time_machine.travel(MONDAY_NIGHT, tick=False):
        (result,) = freshness_results(made, settings)

    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert result.metadata["data age, sessions"].value == 1


def test_a_slice_without_rows_for_a_reason_is_not_examined(store: ParquetStore, settings: Settings) -> None:
    empty = prices("2026-11-27").iloc[:0]
    made = [(PRICES_DAILY, store.write(PRICES_DAILY, SPX, empty, source_off="no key"))]
    (result,) = freshness_results(made, settings)

    assert (result.passed, result.description) == (True, "not examined: no key")


def declaration_of(name: str) -> Declaration:
    return next(entry for entry in DECLARATIONS if name in {table.qualified_name for table in entry.tables})


def test_scores_reach_as_far_as_the_oldest_forecasts_that_they_judge(store: ParquetStore, settings: Settings) -> None:
    key = SliceKey("SPX", "24h")
    rows = {"ticker": "SPX", "horizon": "24h", "session": pd.Timestamp("2026-11-25"), "model": "climatology", "fold": 1}
    any_value = {"float64": 0.5, "bool": True, "date": pd.Timestamp("2026-11-27"), "string": "UP", "int64": 1}
    given = {column.name: (column.allowed or (any_value[column.type],))[0] for column in PREDICTIONS_DIRECTION.columns}
    frame = table_frame(PREDICTIONS_DIRECTION, given | rows, rows=1)
    store.write(PREDICTIONS_DIRECTION, key, frame, source="simulated")

    at = Slice(key, settings, None, store)
    assert data_through(declaration_of("evaluation.metrics"), METRICS, {}, at) == pd.Timestamp("2026-11-25")


def test_a_summary_reaches_as_far_as_the_account_beside_it(store: ParquetStore, settings: Settings) -> None:
    days = pd.to_datetime(["2026-11-25", "2026-11-27"])
    frames = {
        EQUITY.name: pd.DataFrame({"session": days}),
        TRADES.name: pd.DataFrame({"signal_session": days}),
        SUMMARY.name: pd.DataFrame(),
    }
    at = Slice(SliceKey("SPX", "24h"), settings, None, store)

    assert data_through(declaration_of("backtests.summary"), SUMMARY, frames, at) == days[1]


def test_every_shown_table_has_sessions_or_is_made_of_tables_that_have() -> None:
    for table in FRESH_TABLES:
        entry = declaration_of(table.qualified_name)
        of_others = [*entry.tables, *(read.table for read in entry.reads.values())]
        assert table.session_column or any(other in FRESH_TABLES and other.session_column for other in of_others)
