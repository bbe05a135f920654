"""The schedules. The daily ones request raw data after the close, on exchange sessions only; automation does the rest.
A weekly one searches hyperparameters.

A schedule belongs to one job, and a job to one partition definition, so tickers, macro series and option chains have
one schedule each.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final, Protocol

import dagster as dg
import pandas as pd

from assets.partitions import partition_key
from resources.storage.parquet_store import SliceKey
from trading_dag.sessions import NEW_YORK, all_sessions
from trading_dag.settings import Settings

AFTER_THE_CLOSE: Final = "30 18 * * *"
ON_SATURDAYS: Final = "0 9 * * 6"


class Requests(Protocol):
    """Describes the function that says what a schedule requests after a session's close."""

    def __call__(
        self, context: dg.ScheduleEvaluationContext, settings: Settings, session: pd.Timestamp
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        """Yield the runs to start, or the reason why there are none."""


def build_schedules(
    *,
    raw_job: dg.UnresolvedAssetJobDefinition,
    macro_job: dg.UnresolvedAssetJobDefinition,
    chain_job: dg.UnresolvedAssetJobDefinition,
    tune_job: dg.UnresolvedAssetJobDefinition,
    tickers: tuple[str, ...],
    horizons: tuple[str, ...],
) -> list[dg.ScheduleDefinition]:
    """Return all four schedules. Run keys carry the session, so a repeated tick starts nothing twice.

    Parameters
    ----------
    tickers, horizons : those that are partitions.
    """
    chains = partial(_one_chain_a_ticker, tickers)
    return [
        _after_the_close(
            "daily_prices", raw_job, partial(_one_run_a_ticker, tickers), "Raw data of every active ticker."
        ),
        _after_the_close("daily_macro", macro_job, _one_run, "Macro series."),
        _after_the_close(
            "daily_chains", chain_job, chains, "The session's option chain of every active ticker.",
            needs=frozenset({"source"}),
        ),
        _weekly_tuning(tune_job, [SliceKey(ticker, horizon) for ticker in tickers for horizon in horizons]),
    ]  # fmt: skip


def _weekly_tuning(job: dg.UnresolvedAssetJobDefinition, keys: list[SliceKey]) -> dg.ScheduleDefinition:
    """The schedule that searches hyperparameters of every slice, one run each, when no exchange is open."""

    def evaluate(context) -> Iterator[dg.RunRequest]:  # type: ignore[no-untyped-def]
        day = pd.Timestamp(context.scheduled_execution_time).tz_convert(NEW_YORK)
        for key in keys:
            partition = partition_key(key)
            yield dg.RunRequest(run_key=f"{partition}-{day:%Y-%m-%d}", partition_key=partition)

    return dg.schedule(
        name="weekly_tuning",
        job=job,
        cron_schedule=ON_SATURDAYS,
        execution_timezone=NEW_YORK,
        description="Searches over hyperparameters of every ticker and horizon. On Saturdays at 9:00 New York.",
    )(evaluate)


def _one_run_a_ticker(
    tickers: tuple[str, ...],
    context: dg.ScheduleEvaluationContext,
    settings: Settings,
    session: pd.Timestamp,
) -> Iterator[dg.RunRequest]:
    for ticker in tickers:
        yield dg.RunRequest(run_key=f"{ticker}-{session:%Y-%m-%d}", partition_key=ticker)


def _one_run(
    context: dg.ScheduleEvaluationContext, settings: Settings, session: pd.Timestamp
) -> Iterator[dg.RunRequest]:
    yield dg.RunRequest(run_key=f"{settings.source}-macro-{session:%Y-%m-%d}")


def _one_chain_a_ticker(
    tickers: tuple[str, ...], context: dg.ScheduleEvaluationContext, settings: Settings, session: pd.Timestamp
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    from assets.run.chain_fetch import add_chain_date, wanted_chains

    now = pd.Timestamp(context.scheduled_execution_time).tz_convert("UTC")
    wanted = wanted_chains(context.resources.source, tickers, now=now)
    if not wanted:
        yield dg.SkipReason(f"source {settings.source} has no option chains of {session:%Y-%m-%d} to offer")
    for partition in wanted:
        add_chain_date(context.instance, partition)
        yield dg.RunRequest(run_key=f"{settings.source}-{partition}", partition_key=partition)


def _after_the_close(
    name: str,
    job: dg.UnresolvedAssetJobDefinition,
    requests: Requests,
    description: str,
    *,
    needs: frozenset[str] = frozenset(),
) -> dg.ScheduleDefinition:
    def evaluate(context) -> Iterator[dg.RunRequest | dg.SkipReason]:  # type: ignore[no-untyped-def]
        day = pd.Timestamp(context.scheduled_execution_time).tz_convert(NEW_YORK).tz_localize(None).normalize()
        if day not in all_sessions():
            yield dg.SkipReason(f"{day:%Y-%m-%d} is no session of the New York Stock Exchange")
            return
        yield from requests(context, context.resources.settings, day)

    return dg.schedule(
        name=name,
        job=job,
        cron_schedule=AFTER_THE_CLOSE,
        execution_timezone=NEW_YORK,
        required_resource_keys={"settings"} | needs,
        description=f"{description} At 18:30 New York on exchange sessions.",
    )(evaluate)
