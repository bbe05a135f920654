"""The schedule of the session under way: provisional forecasts once an hour has ended, while the exchange is open.

Like every schedule it is off until somebody turns it on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import dagster as dg
import pandas as pd

from trading_dag.sessions import NEW_YORK, running_session, session_open

# Bars begin at half past and vendors show them half an hour after they have ended: so five past the hour.
HOURLY: Final = "5 10-16 * * 1-5"
FIRST_BAR: Final = pd.Timedelta(hours=1)


def build_hourly_schedule(job: dg.UnresolvedAssetJobDefinition, tickers: tuple[str, ...]) -> dg.ScheduleDefinition:
    """Return the schedule that asks for provisional rows of every ticker during exchange hours, half days right.

    Parameters
    ----------
    tickers : those that are partitions.
    """

    def evaluate(context) -> Iterator[dg.RunRequest | dg.SkipReason]:  # type: ignore[no-untyped-def]
        moment = pd.Timestamp(context.scheduled_execution_time).tz_convert(NEW_YORK)
        session = running_session(moment)
        if session is None:
            yield dg.SkipReason(f"the exchange is closed at {moment:%Y-%m-%d %H:%M} New York")
            return
        if moment < session_open(session) + FIRST_BAR:
            yield dg.SkipReason(f"no hour of {session:%Y-%m-%d} has ended yet")
            return
        for ticker in tickers:
            yield dg.RunRequest(run_key=f"{ticker}-{moment:%Y-%m-%dT%H:%M}", partition_key=ticker)

    return dg.schedule(
        name="hourly_provisional",
        job=job,
        cron_schedule=HOURLY,
        execution_timezone=NEW_YORK,
        description="Provisional forecasts and opportunities of the session under way. Five past the hour, New York, "
        "while the exchange is open.",
    )(evaluate)
