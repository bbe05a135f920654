"""The daily schedule: after the close, on exchange sessions only, it asks for raw data. Automation does the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import dagster as dg
import pandas as pd

from assets.jobs import REFRESH_MACRO_JOB, REFRESH_RAW_JOB
from trading_dag.sessions import NEW_YORK, all_sessions
from trading_dag.settings import Settings

AFTER_THE_CLOSE: Final = "30 18 * * *"


def build_daily_refresh(
    raw_job: dg.UnresolvedAssetJobDefinition, macro_job: dg.UnresolvedAssetJobDefinition
) -> dg.ScheduleDefinition:
    """The schedule. One run for each active ticker and one for the macro series; run keys make a tick idempotent."""

    @dg.schedule(
        name="daily_refresh",
        cron_schedule=AFTER_THE_CLOSE,
        execution_timezone=NEW_YORK,
        jobs=[raw_job, macro_job],
        required_resource_keys={"settings"},
        description="Raw data of every active ticker, at 18:30 New York on exchange sessions.",
    )
    def daily_refresh(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        settings: Settings = context.resources.settings
        day = pd.Timestamp(context.scheduled_execution_time).tz_convert(NEW_YORK).tz_localize(None).normalize()
        if day not in all_sessions():
            yield dg.SkipReason(f"{day:%Y-%m-%d} is no session of the New York Stock Exchange")
            return
        yield dg.RunRequest(run_key=f"macro-{day:%Y-%m-%d}", job_name=REFRESH_MACRO_JOB)
        for ticker in settings.active_tickers:
            yield dg.RunRequest(run_key=f"{ticker}-{day:%Y-%m-%d}", job_name=REFRESH_RAW_JOB, partition_key=ticker)

    return daily_refresh
