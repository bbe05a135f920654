"""The sensor that requests retraining of exactly the slices that drifted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

import dagster as dg

from assets.jobs import RETRAIN_JOB
from assets.partitions import Partitions, partition_key
from assets.purposes import tags_of
from assets.retraining import Decisions, reported_slices
from resources.runs.dagster_private import NOT_FINISHED_STATUSES
from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.slices.lock import PARTITION_TAG
from trading_dag.drift.policy import RetrainDecision
from trading_dag.settings import Settings

DRIFT_INTERVAL_SECONDS: Final = 3600
REASON_TAG: Final = "trading_dag/reason"
REPORT_TAG: Final = "trading_dag/report"


def build_drift_sensor(retrain_job: dg.UnresolvedAssetJobDefinition, partitions: Partitions) -> dg.SensorDefinition:
    """Return the sensor that requests one retraining run per report for each slice whose drift policy asks for it.

    Each tick logs a sentence a slice. The cursor keeps for each slice the report on which a run was requested last, so
    that neither a restart nor a record of runs that was cleaned asks twice. Nothing is requested while a retraining of
    the slice is under way; one that failed is asked for again on the next breached report. Reports of slices that are
    not (or no longer) partitions are ignored.
    """
    decisions = Decisions()

    @dg.sensor(
        name="retrain_on_drift",
        job=retrain_job,
        minimum_interval_seconds=DRIFT_INTERVAL_SECONDS,
        required_resource_keys={"settings", "store"},
        description=(
            "Retrains a ticker × horizon whose safe features drifted, or whose scores were below their band, in "
            "consecutive reports. Each tick logs why, or why not, for every slice."
        ),
    )
    def retrain_on_drift(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        settings: Settings = context.resources.settings
        store: ParquetStore = context.resources.store
        asked = _asked_before(context.cursor)
        slices = [key for key in reported_slices(store) if partitions.has(key)]
        requests = []
        for key in slices:
            decision = decisions.of(store, key, settings.drift)
            partition = str(partition_key(key))
            why_not = _why_not(context.instance, decision, partition, asked.get(partition))
            context.log.info("%s: %s", partition, why_not or f"retrains: {decision.reason}")
            if why_not is None and decision.as_of is not None:
                asked[partition] = f"{decision.as_of:%Y-%m-%d}"
                requests.append(_request(key, decision))
        context.update_cursor(json.dumps(asked, sort_keys=True))
        yield from requests
        if not requests:
            yield dg.SkipReason(f"none of {len(slices)} slices has drifted long enough; the log has a sentence of each")

    return retrain_on_drift


def _request(key: SliceKey, decision: RetrainDecision) -> dg.RunRequest:
    tags = {REASON_TAG: decision.reason, REPORT_TAG: f"{decision.as_of:%Y-%m-%d}", **tags_of("retrain")}
    return dg.RunRequest(
        run_key=f"{key.ticker}-{key.horizon}-{decision.as_of:%Y-%m-%d}",
        job_name=RETRAIN_JOB,
        partition_key=partition_key(key),
        tags=tags,
    )


def _why_not(
    instance: dg.DagsterInstance, decision: RetrainDecision, partition: str, asked_on: str | None
) -> str | None:
    """Why nothing is requested for a slice; None where a retraining is."""
    if not decision.is_due:
        return f"stays: {decision.reason}"
    if asked_on == f"{decision.as_of:%Y-%m-%d}":
        return f"stays: was requested on the report of {asked_on}, and there is no newer one ({decision.reason})"
    under_way = dg.RunsFilter(
        job_name=RETRAIN_JOB, tags={PARTITION_TAG: partition}, statuses=list(NOT_FINISHED_STATUSES)
    )
    if instance.get_run_ids(under_way, limit=1):
        return f"stays: a retraining is under way ({decision.reason})"
    return None


def _asked_before(cursor: str | None) -> dict[str, str]:
    """By partition, the session of the report on which a retraining was requested last."""
    return dict(json.loads(cursor)) if cursor else {}
