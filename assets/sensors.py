"""Sensors: one evaluates the automation conditions, the other requests retraining of exactly the slices that
drifted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import dagster as dg
import pandas as pd

from assets.jobs import RETRAIN_JOB
from assets.partitions import Partitions, partition_key
from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.schemas import DRIFT, REGISTRY, VERSIONS
from trading_dag.settings import Settings

DRIFT_INTERVAL_SECONDS: Final = 3600
AUTOMATION_SENSOR: Final = "automation"


def build_automation_sensor() -> dg.AutomationConditionSensorDefinition:
    """Return the sensor that evaluates the condition of every asset. It is off until somebody turns it on."""
    return dg.AutomationConditionSensorDefinition(
        AUTOMATION_SENSOR,
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=60,
        description="Evaluates every asset's automation condition, so that new data update what depends on them.",
    )


def build_drift_sensor(retrain_job: dg.UnresolvedAssetJobDefinition, partitions: Partitions) -> dg.SensorDefinition:
    """Return the sensor that requests one retraining run per report for each slice whose drift policy asks for it.

    Reports of slices that are not (or no longer) partitions are ignored.
    """

    @dg.sensor(
        name="retrain_on_drift",
        job=retrain_job,
        minimum_interval_seconds=DRIFT_INTERVAL_SECONDS,
        required_resource_keys={"settings", "store"},
        description="Retrains a ticker × horizon whose safe features drifted in consecutive reports.",
    )
    def retrain_on_drift(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        settings: Settings = context.resources.settings
        store: ParquetStore = context.resources.store
        requests = 0
        for key in filter(partitions.has, store.slices(DRIFT)):
            due_on = _due_on(store, key, settings)
            if due_on is None:
                continue
            requests += 1
            yield dg.RunRequest(
                run_key=f"{key.ticker}-{key.horizon}-{due_on:%Y-%m-%d}",
                job_name=RETRAIN_JOB,
                partition_key=partition_key(key),
            )
        if not requests:
            yield dg.SkipReason("no slice has drifted long enough")

    return retrain_on_drift


def _due_on(store: ParquetStore, key: SliceKey, settings: Settings) -> pd.Timestamp | None:
    """Return the session of the report that makes retraining due; None where none does."""
    from trading_dag.drift.policy import should_retrain

    reports = store.read(DRIFT, key, columns=["as_of_session", "feature", "is_breached"])
    if reports.empty:
        return None
    # The last training counts also where its result does not serve: what was tried is not asked for again at once.
    ends = [store.read_or_empty(table, key)["fitted_through"] for table in (REGISTRY, VERSIONS)]
    trained = pd.concat(ends).max()
    history = reports.groupby("as_of_session", as_index=False).agg(share_breached=("is_breached", "mean"))
    decision = should_retrain(history, last_retrained=None if pd.isna(trained) else trained, settings=settings.drift)
    return history["as_of_session"].max() if decision.is_due else None
