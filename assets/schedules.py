"""The schedules: raw data after each close, which automation does the rest of; searches and refits at the weekend.

All of them mean New York time and exchange sessions. A schedule belongs to one job, and a job to one partition
definition, so tickers, macro series and option chains have one schedule each.

A tick asks for what the latest session that is over is still wanting, whenever the tick was due. So ticks that a daemon
missed and makes up for later ask together for one fetch, and it brings all sessions since the last one that is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final, Protocol

import dagster as dg
import pandas as pd

from assets.partitions import partition_key
from assets.purposes import tags_of
from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.schemas import PRICES_DAILY, VOLATILITY_INDEX
from trading_dag.sessions import NEW_YORK, all_sessions, is_last_of_month, last_settled_session, session_close
from trading_dag.settings import Settings

# Bars are taken as finished half an hour after the close: 13:00 on half days, 16:00 on the others. The last look of the
# day is for vendors that were late or failed, and asks for no more than what is wanting.
AFTER_THE_CLOSE: Final = ("35 13 * * 1-5", "35 16 * * 1-5", "30 18 * * 1-5")
LAST_LOOK_HOUR: Final = 18
IN_TIME: Final = pd.Timedelta(minutes=10)
ON_SATURDAYS: Final = "0 9 * * 6"
IN_THE_EVENING: Final = "0 20 * * 1-5"
# After the last look of the day and what follows from it, also on half days.
WHEN_ALL_IS_STORED: Final = "30 19 * * 1-5"
TIMES: Final = (
    "At 16:35 New York on exchange sessions, at 13:35 where they end at 13:00; once more at 18:30 if wanting."
)


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
    retrain_job: dg.UnresolvedAssetJobDefinition,
    report_job: dg.JobDefinition,
    tickers: tuple[str, ...],
    horizons: tuple[str, ...],
    running: bool = False,
) -> list[dg.ScheduleDefinition]:
    """Return all six schedules. Run keys carry the session, so a repeated tick starts nothing twice.

    Parameters
    ----------
    tickers, horizons : those that are partitions.
    running : whether they are on until somebody turns them off; otherwise they are off until somebody turns them on.
    """
    status = dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED
    keys = [SliceKey(ticker, horizon) for ticker in tickers for horizon in horizons]
    return [
        _after_the_close(
            "daily_prices", raw_job, partial(_one_run_a_ticker, tickers), "Raw data of every active ticker.",
            status, needs=frozenset({"store"}),
        ),
        _after_the_close("daily_macro", macro_job, _one_run, "Macro series and their features.", status),
        _after_the_close(
            "daily_chains", chain_job, partial(_one_chain_a_ticker, tickers),
            "The session's option chain of every active ticker.", status, needs=frozenset({"source"}),
        ),
        _weekly_tuning(tune_job, keys, status),
        _monthly_retrain(retrain_job, keys, status),
        _daily_report(report_job, status),
    ]  # fmt: skip


def _daily_report(job: dg.JobDefinition, status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """The schedule that stores the report of each session in the evening."""

    def evaluate(context) -> Iterator[dg.RunRequest | dg.SkipReason]:  # type: ignore[no-untyped-def]
        reason = _why_not_now(context)
        if reason is not None:
            yield dg.SkipReason(reason)
            return
        yield dg.RunRequest(run_key=f"report-{_day_of(context):%Y-%m-%d}")

    return dg.schedule(
        name="daily_report",
        job=job,
        cron_schedule=WHEN_ALL_IS_STORED,
        execution_timezone=NEW_YORK,
        default_status=status,
        description="The report of the day as one HTML page in the folder reports, mailed where the settings ask for "
        "it. At 19:30 New York on exchange sessions.",
    )(evaluate)


def _weekly_tuning(
    job: dg.UnresolvedAssetJobDefinition, keys: list[SliceKey], status: dg.DefaultScheduleStatus
) -> dg.ScheduleDefinition:
    """The schedule that searches hyperparameters of every slice, one run each, when no exchange is open."""

    def evaluate(context) -> Iterator[dg.RunRequest]:  # type: ignore[no-untyped-def]
        day = _day_of(context)
        for key in keys:
            yield _run_of(key, f"{day:%Y-%m-%d}", "tune")

    return dg.schedule(
        name="weekly_tuning",
        job=job,
        cron_schedule=ON_SATURDAYS,
        execution_timezone=NEW_YORK,
        default_status=status,
        description="Searches over hyperparameters of every ticker and horizon. On Saturdays at 9:00 New York.",
    )(evaluate)


def _monthly_retrain(
    job: dg.UnresolvedAssetJobDefinition, keys: list[SliceKey], status: dg.DefaultScheduleStatus
) -> dg.ScheduleDefinition:
    """The schedule that refits every model, one run a slice, after the last session of a month."""

    def evaluate(context) -> Iterator[dg.RunRequest | dg.SkipReason]:  # type: ignore[no-untyped-def]
        day = _day_of(context)
        if not is_last_of_month(day):
            yield dg.SkipReason(f"{day:%Y-%m-%d} is not the last session of its month")
            return
        for key in keys:
            yield _run_of(key, f"{day:%Y-%m}", "retrain")

    return dg.schedule(
        name="monthly_retrain",
        job=job,
        cron_schedule=IN_THE_EVENING,
        execution_timezone=NEW_YORK,
        default_status=status,
        description="Refits every model of every ticker and horizon. At 20:00 New York after a month's last session.",
    )(evaluate)


def _run_of(key: SliceKey, when: str, purpose: str) -> dg.RunRequest:
    partition = partition_key(key)
    return dg.RunRequest(run_key=f"{partition}-{when}", partition_key=partition, tags=tags_of(purpose))  # type: ignore[arg-type]


def _day_of(context: dg.ScheduleEvaluationContext) -> pd.Timestamp:
    """The New York day for which a tick is due."""
    return pd.Timestamp(context.scheduled_execution_time).tz_convert(NEW_YORK).tz_localize(None).normalize()


def _is_last_look(context: dg.ScheduleEvaluationContext) -> bool:
    """Whether a tick is the day's last, in time. One that is made up for later stands for the first look too."""
    due = pd.Timestamp(context.scheduled_execution_time).tz_convert(NEW_YORK)
    return due.hour >= LAST_LOOK_HOUR and pd.Timestamp.now(NEW_YORK) - due < IN_TIME


def _one_run_a_ticker(
    tickers: tuple[str, ...],
    context: dg.ScheduleEvaluationContext,
    settings: Settings,
    session: pd.Timestamp,
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    again = _is_last_look(context)
    wanted = [ticker for ticker in tickers if not again or _wants(context.resources.store, ticker, session)]
    if not wanted:
        yield dg.SkipReason(f"prices and volatility indices of {session:%Y-%m-%d} are stored for every ticker")
    for ticker in wanted:
        key = f"{ticker}-{session:%Y-%m-%d}{'-again' if again else ''}"
        yield dg.RunRequest(run_key=key, partition_key=ticker, tags=tags_of("fetch"))


def _wants(store: ParquetStore, ticker: str, session: pd.Timestamp) -> bool:
    """Whether prices, or the index where there is one, end before a session."""
    records = [store.provenance(table, SliceKey(ticker)) for table in (PRICES_DAILY, VOLATILITY_INDEX)]
    return any(
        record is None
        or (record.source_off is None and (record.last_session is None or pd.Timestamp(record.last_session) < session))
        for record in records
    )


def _one_run(
    context: dg.ScheduleEvaluationContext, settings: Settings, session: pd.Timestamp
) -> Iterator[dg.RunRequest]:
    # The same key at each look of a day: macro series become known in the morning, not between two looks.
    yield dg.RunRequest(run_key=f"{settings.source}-macro-{session:%Y-%m-%d}", tags=tags_of("fetch"))


def _one_chain_a_ticker(
    tickers: tuple[str, ...], context: dg.ScheduleEvaluationContext, settings: Settings, session: pd.Timestamp
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    from assets.run.chain_fetch import add_chain_date, wanted_chains

    wanted = wanted_chains(context.resources.source, tickers, now=pd.Timestamp.now("UTC"))
    if not wanted:
        yield dg.SkipReason(f"source {settings.source} has no option chains of {session:%Y-%m-%d} to offer")
    for partition in wanted:
        add_chain_date(context.instance, partition)
        yield dg.RunRequest(run_key=f"{settings.source}-{partition}", partition_key=partition, tags=tags_of("fetch"))


def _after_the_close(
    name: str,
    job: dg.UnresolvedAssetJobDefinition,
    requests: Requests,
    description: str,
    status: dg.DefaultScheduleStatus,
    *,
    needs: frozenset[str] = frozenset(),
) -> dg.ScheduleDefinition:
    def evaluate(context) -> Iterator[dg.RunRequest | dg.SkipReason]:  # type: ignore[no-untyped-def]
        reason = _why_not_now(context)
        if reason is not None:
            yield dg.SkipReason(reason)
            return
        yield from requests(context, context.resources.settings, last_settled_session())

    return dg.schedule(
        name=name,
        job=job,
        cron_schedule=list(AFTER_THE_CLOSE),
        execution_timezone=NEW_YORK,
        default_status=status,
        required_resource_keys={"settings"} | needs,
        description=f"{description} {TIMES}",
    )(evaluate)


def _why_not_now(context: dg.ScheduleEvaluationContext) -> str | None:
    """Why a tick asks for nothing: its day has no session, or the session was not over when it was due."""
    day, due = _day_of(context), pd.Timestamp(context.scheduled_execution_time)
    if day not in all_sessions():
        return f"{day:%Y-%m-%d} is no session of the New York Stock Exchange"
    close = session_close(day)
    if last_settled_session(due) < day:
        return f"the session of {day:%Y-%m-%d} ends at {close.tz_convert(NEW_YORK):%H:%M} New York"
    return None
