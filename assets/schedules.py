"""The daily schedules: after the close, on exchange sessions only, they ask for raw data. Automation does the rest.

A schedule belongs to one job and a job to one partition definition, so tickers and macro series have
one schedule each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import dagster as dg
import pandas as pd

from trading_dag.sessions import NEW_YORK, all_sessions
from trading_dag.settings import Settings

AFTER_THE_CLOSE: Final = "30 18 * * *"
Requests = Callable[[Settings, str], Iterator[dg.RunRequest]]


def build_schedules(
    raw_job: dg.UnresolvedAssetJobDefinition, macro_job: dg.UnresolvedAssetJobDefinition
) -> list[dg.ScheduleDefinition]:
    """Both schedules. Run keys carry the session, so a repeated tick starts nothing twice."""
    return [
        _after_the_close("daily_prices", raw_job, _one_run_a_ticker, "Raw data of every active ticker."),
        _after_the_close("daily_macro", macro_job, _one_run, "Macro series."),
    ]


def _one_run_a_ticker(settings: Settings, session: str) -> Iterator[dg.RunRequest]:
    for ticker in settings.active_tickers:
        yield dg.RunRequest(run_key=f"{ticker}-{session}", partition_key=ticker)


def _one_run(settings: Settings, session: str) -> Iterator[dg.RunRequest]:
    yield dg.RunRequest(run_key=f"{settings.source}-macro-{session}")


def _after_the_close(
    name: str, job: dg.UnresolvedAssetJobDefinition, requests: Requests, description: str
) -> dg.ScheduleDefinition:
    def evaluate(context) -> Iterator[dg.RunRequest | dg.SkipReason]:  # type: ignore[no-untyped-def]
        day = pd.Timestamp(context.scheduled_execution_time).tz_convert(NEW_YORK).tz_localize(None).normalize()
        if day not in all_sessions():
            yield dg.SkipReason(f"{day:%Y-%m-%d} is no session of the New York Stock Exchange")
            return
        yield from requests(context.resources.settings, f"{day:%Y-%m-%d}")

    return dg.schedule(
        name=name,
        job=job,
        cron_schedule=AFTER_THE_CLOSE,
        execution_timezone=NEW_YORK,
        required_resource_keys={"settings"},
        description=f"{description} At 18:30 New York on exchange sessions.",
    )(evaluate)
