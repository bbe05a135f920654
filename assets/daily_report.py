"""The report of the day as a job of its own: it stores one page, and mails it where the settings ask for that."""

from __future__ import annotations

from typing import Final

import dagster as dg
import pandas as pd

from assets.jobs import HOUR_SECONDS, UNPARTITIONED
from assets.partitions import Partitions
from resources.daily_report import NO_RECEIVER, daily_report, keep_report, mail_report

DAILY_REPORT_JOB: Final = "daily_report"


def build_report_job(partitions: Partitions) -> dg.JobDefinition:
    """Return the job that writes the report of the newest session over all slices.

    Parameters
    ----------
    partitions : the slices that the report speaks of.
    """

    @dg.op(
        name="write_daily_report",
        required_resource_keys={"settings", "store"},
        out=dg.Out(dg.Nothing),
        description="One HTML page of what is stored, in the folder reports of the home; mailed where "
        "TRADING_DAG_ALERTS__DAILY_REPORT says so.",
    )
    def write(context) -> None:  # type: ignore[no-untyped-def]
        settings = context.resources.settings
        report = daily_report(
            context.resources.store, tickers=partitions.tickers, horizons=partitions.horizons,
            now=pd.Timestamp.now("UTC"), settings=settings.alerts,
        )  # fmt: skip
        if report is None:
            context.log.info("no recommendation is stored yet, so there is no report")
            return
        path = keep_report(settings.home, report)
        context.log.info(f"report: {path}")
        told = {"path": dg.MetadataValue.path(str(path)), "session": f"{report.session:%Y-%m-%d}"}
        if settings.alerts.daily_report:
            told["mailed"] = (
                f"to {len(mail_report(report, path, settings))}" if settings.alerts.email_to else NO_RECEIVER
            )
            (context.log.info if settings.alerts.email_to else context.log.warning)(f"mailed: {told['mailed']}")
        context.add_output_metadata(told)

    @dg.job(
        name=DAILY_REPORT_JOB,
        description="The report of the day as one HTML page.",
        tags={"dagster/max_runtime": str(HOUR_SECONDS), **UNPARTITIONED},
    )
    def job() -> None:
        write()

    return job
