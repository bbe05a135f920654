"""The sensor ``watch_freshness``: data grow old without a run, so it looks at what is stored and says where the verdict
of the check ``freshness`` has changed.

It reads the footers of files that have changed since it looked last, no table, and writes an event only where a slice
has become stale, or is no longer. On a day on which all goes well it writes none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import dagster as dg
import pandas as pd

from assets.declare.freshness import FRESH_TABLES, age_of_record, freshness_evaluation
from assets.partitions import Partitions, partition_key
from resources.storage.parquet_store import ParquetStore, Provenance, SliceKey, Stamp
from trading_dag.freshness import DataAge
from trading_dag.schemas import Table
from trading_dag.settings import Settings

FRESHNESS_INTERVAL_SECONDS: Final = 300
# What is more waits for the next tick: each is an event that is written.
EVENTS_A_TICK: Final = 2_000


@dataclass
class Footers:
    """Reads what is recorded of slices, each file once for as long as it stays the same."""

    _known: dict[tuple[Table, SliceKey], tuple[Stamp, Provenance | None]] = field(default_factory=dict)

    def of(self, store: ParquetStore, table: Table, key: SliceKey) -> Provenance | None:
        """Return the record of a slice; None where it is not stored."""
        stamp = store.stamp(table, key)
        if stamp is None:
            return None
        known = self._known.get((table, key))
        if known is None or known[0] != stamp:
            known = self._known[table, key] = stamp, store.provenance(table, key)
        return known[1]


def build_freshness_sensor(partitions: Partitions) -> dg.SensorDefinition:
    """Return the sensor, which runs by itself: it starts nothing. Its cursor keeps which slices it has called stale."""
    footers = Footers()

    @dg.sensor(
        name="watch_freshness",
        minimum_interval_seconds=FRESHNESS_INTERVAL_SECONDS,
        required_resource_keys={"settings", "store"},
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Says in the check freshness of each shown asset where data have become stale by the exchange's calendar, "
            "and where they no longer are. It starts no run."
        ),
    )
    def watch_freshness(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        settings: Settings = context.resources.settings
        now = pd.Timestamp.now("UTC").to_pydatetime()
        called = {name: set(keys) for name, keys in json.loads(context.cursor or "{}").items()}
        events: list[dg.AssetCheckEvaluation] = []
        for table, partition, record, age in _ages(footers, context.resources.store, partitions, settings, now):
            stale = called.setdefault(table.qualified_name, set())
            is_stale = age is not None and age.is_stale
            if is_stale == (partition in stale) or len(events) >= EVENTS_A_TICK:
                continue
            (stale.add if is_stale else stale.discard)(partition)
            events.append(_evaluation(table, partition, record, age))
        cursor = json.dumps({name: sorted(keys) for name, keys in sorted(called.items()) if keys})
        told = f"{len(events)} verdicts have changed; {sum(map(len, called.values()))} slices are stale"
        return dg.SensorResult(skip_reason=told, cursor=cursor, asset_events=events)

    return watch_freshness


def _ages(
    footers: Footers, store: ParquetStore, partitions: Partitions, settings: Settings, now: datetime
) -> Iterator[tuple[Table, str, Provenance, DataAge | None]]:
    """Yield the age of each stored slice of the shown tables. What was never made is missing in the UI, not stale."""
    for table in FRESH_TABLES:
        horizons = partitions.horizons if table.slice == "ticker_horizon" else (None,)
        for key in (SliceKey(ticker, horizon).of_table(table) for ticker in partitions.tickers for horizon in horizons):
            record = footers.of(store, table, key)
            if record is not None:
                yield table, str(partition_key(key)), record, age_of_record(record, now=now, settings=settings)


def _evaluation(table: Table, partition: str, record: Provenance, age: DataAge | None) -> dg.AssetCheckEvaluation:
    told = freshness_evaluation(table, age, why_no_rows=record.source_off)
    metadata = {name: _metadata_value(value) for name, value in told.pop("metadata").items()}
    return dg.AssetCheckEvaluation(**told, metadata=metadata, blocking=False, partition=partition)


def _metadata_value(value: str | int) -> dg.MetadataValue:
    return dg.MetadataValue.int(value) if isinstance(value, int) else dg.MetadataValue.text(value)
