"""The sensors of alerts. Each looks, keeps what is to be told in the book, and sends what waits there.

They run by themselves where a channel is set up. They poll with a cursor that is kept in the book, in the same write as
what was found: a sensor of Dagster that is called once for each failed run loses a failure on which it fails itself.
"""

from __future__ import annotations

from typing import Final

import dagster as dg

from assets.alert_watches import Sight, Watch, drifted_slices, failed_runs, observe, paper, signals, stale_prices
from assets.partitions import Partitions
from resources.alerts.channels import channel_names, channels_of
from resources.alerts.post import deliver, now_utc
from resources.alerts.store import BookStore, folder_of
from resources.storage.parquet_store import ParquetStore
from trading_dag.settings import Settings

SECONDS_FOR_RUNS: Final = 30
SECONDS_FOR_SIGNALS: Final = 60
SECONDS_FOR_DATA: Final = 600


def build_alert_sensors(settings: Settings, partitions: Partitions) -> list[dg.SensorDefinition]:
    """Return the sensors that tell of failed runs, of signals, and of stale data and drift."""
    return [
        _sensor(
            "alert_on_paper", (paper,), SECONDS_FOR_SIGNALS, settings, partitions,
            "Tells of each paper order that was sent, filled or rejected, of limits that refused one, and of a kill.",
        ),
        _sensor(
            "alert_on_failed_runs", (failed_runs,), SECONDS_FOR_RUNS, settings, partitions,
            "Tells of each failed run and each blocking check that refused data, once a cause. Sends what waits.",
        ),
        _sensor(
            "alert_on_signals", (signals,), SECONDS_FOR_SIGNALS, settings, partitions,
            "Tells once when the day's signals are there for all slices, or that they are not by their time.",
        ),
        _sensor(
            "alert_on_data", (stale_prices, drifted_slices), SECONDS_FOR_DATA, settings, partitions,
            "Tells of tickers whose prices are behind the calendar, and of slices that have drifted.",
        ),
    ]  # fmt: skip


def _sensor(
    name: str,
    watches: tuple[Watch, ...],
    seconds: int,
    settings: Settings,
    partitions: Partitions,
    description: str,
) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        minimum_interval_seconds=seconds,
        required_resource_keys={"settings", "store"},
        default_status=_status(settings),
        description=description,
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        return dg.SkipReason(_look(context, watches, partitions))

    return look


def _look(context: dg.SensorEvaluationContext, watches: tuple[Watch, ...], partitions: Partitions) -> str:
    """Look and send; return in a sentence what came of it."""
    settings: Settings = context.resources.settings
    store: ParquetStore = context.resources.store
    books = BookStore(folder_of(settings.home))
    sight = Sight(settings, store, context.instance, partitions.tickers, partitions.horizons, now_utc())
    book = observe(watches, sight, books, channels=channel_names(settings))
    sent = deliver(books, channels_of(settings), settings=settings.alerts)
    told = ", ".join(f"{count} by {name}" for name, count in sent.items()) or "no channel is set up"
    return f"messages sent: {told}; {len(book.standing)} causes last"


def _status(settings: Settings) -> dg.DefaultSensorStatus:
    is_on = bool(channel_names(settings))
    return dg.DefaultSensorStatus.RUNNING if is_on else dg.DefaultSensorStatus.STOPPED
