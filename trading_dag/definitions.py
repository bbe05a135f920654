"""The composition root: puts assets, resources and settings together. Dagster loads ``defs`` from here.

Resources can be overridden, so that a test builds the same graph on a temporary folder.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.alert_sensors import build_alert_sensors
from assets.automation_sensors import build_automation_sensors
from assets.catalog import DECLARATIONS
from assets.daily_report import build_report_job
from assets.declare.materialization import build_asset
from assets.freshness_sensor import build_freshness_sensor
from assets.intraday_schedule import build_hourly_schedule
from assets.jobs import (
    DURING_SESSION_JOB,
    OPTION_CHAIN_JOB,
    REFRESH_MACRO_JOB,
    REFRESH_RAW_JOB,
    RETRAIN_JOB,
    TUNE_JOB,
    build_jobs,
)
from assets.option_chain import build_option_chain
from assets.partitions import Partitions
from assets.schedules import build_schedules
from assets.sensors import build_drift_sensor
from resources.deployment import deployed_resources
from resources.storage.objects.marker import attach
from trading_dag.settings import Settings


def build_definitions(
    settings: Settings, resources: Mapping[str, Any] | None = None, *, partitions: Partitions | None = None
) -> dg.Definitions:
    """Everything Dagster needs to know.

    Parameters
    ----------
    settings : the universe, the source and where data lives. Nothing is fetched here, and nothing read but which
        tickers a folder of files has.
    resources : replacements by name: ``settings``, ``source``, ``store``, ``parquet_io``, ``model_io``, ``chain_io``,
        ``slice_lock``.
    partitions : the slices; those of the active universe where none are given.
    """
    partitions = partitions or Partitions.active(settings)
    jobs = {job.name: job for job in build_jobs()}
    report_job = build_report_job(partitions)
    with warnings.catch_warnings():
        # Partitioned checks and the conditions on them are in preview in Dagster 1.13; everything else is heard.
        for known in (dg.PreviewWarning, dg.BetaWarning):
            warnings.simplefilter("ignore", known)
        assets = [build_asset(declaration, partitions, settings) for declaration in DECLARATIONS]
        assets.append(build_option_chain(partitions))
    return dg.Definitions(
        assets=assets,
        jobs=[*jobs.values(), report_job],
        schedules=[
            *build_schedules(
                raw_job=jobs[REFRESH_RAW_JOB],
                macro_job=jobs[REFRESH_MACRO_JOB],
                chain_job=jobs[OPTION_CHAIN_JOB],
                tune_job=jobs[TUNE_JOB],
                retrain_job=jobs[RETRAIN_JOB],
                report_job=report_job,
                tickers=partitions.tickers,
                horizons=partitions.horizons,
                running=settings.automation,
            ),
            build_hourly_schedule(jobs[DURING_SESSION_JOB], partitions.tickers),
        ],
        sensors=[
            *build_automation_sensors(running=settings.automation),
            build_drift_sensor(jobs[RETRAIN_JOB], partitions),
            *build_alert_sensors(settings, partitions),
            build_freshness_sensor(partitions),
        ],
        executor=dg.in_process_executor,
        resources={**deployed_resources(settings), **(resources or {})},
    )


def build_for_command(settings: Settings, resources: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The same for a command, which works on the slices that it is told, active or not."""
    return build_definitions(settings, resources, partitions=Partitions.every_slice(settings))


def current_settings() -> Settings:
    """Return the settings as they are now, with the tickers that have a file of their own in the folder of the files
    source."""
    settings = Settings()
    if settings.source != "files":
        return settings
    from resources.sources.files.folder import with_tickers_of_folder

    return with_tickers_of_folder(settings)


def _attached(settings: Settings) -> Settings:
    attach(settings.home, settings.data_url)
    return settings


defs = build_definitions(_attached(current_settings()))
