"""The hourly schedule asks during exchange hours alone, in New York time, half days and both clock changes right."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from assets.intraday_schedule import HOURLY
from trading_dag.definitions import build_definitions
from trading_dag.settings import Settings

NAME = "hourly_provisional"


@pytest.fixture(scope="module")
def schedule(tmp_path_factory: pytest.TempPathFactory) -> dg.ScheduleDefinition:
    home: Path = tmp_path_factory.mktemp("home")
    settings = Settings(_env_file=None, home=home, source="simulated", tickers=("SPY", "SIMAA"))
    return build_definitions(settings).resolve_schedule_def(NAME)


def ticks(schedule: dg.ScheduleDefinition, moment: str) -> list[dg.RunRequest | dg.SkipReason]:
    """What the schedule answers at a New York time."""
    when = pd.Timestamp(moment, tz="America/New_York").to_pydatetime()
    return list(schedule(dg.build_schedule_context(scheduled_execution_time=when)))


def asked(schedule: dg.ScheduleDefinition, moment: str) -> list[str | None] | str:
    """The partitions that are asked for, or why none is."""
    answers = ticks(schedule, moment)
    reasons = [answer.skip_message for answer in answers if isinstance(answer, dg.SkipReason)]
    return str(reasons[0]) if reasons else [answer.partition_key for answer in answers]


@pytest.mark.parametrize(
    "moment",
    ["2024-11-25 11:05", "2024-11-25 15:05", "2024-07-01 11:05", "2024-11-29 12:05", "2024-03-11 11:05",
     "2024-11-04 11:05"],
)  # fmt: skip
def test_every_active_ticker_is_asked_for_while_the_exchange_is_open(
    schedule: dg.ScheduleDefinition, moment: str
) -> None:
    assert asked(schedule, moment) == ["SPY", "SIMAA"]


@pytest.mark.parametrize(
    ("moment", "why"),
    [
        ("2024-11-25 10:05", "no hour of 2024-11-25 has ended yet"),
        ("2024-11-25 16:05", "closed"),
        ("2024-11-29 13:05", "closed"),
        ("2024-11-28 12:05", "closed"),
        ("2024-11-30 12:05", "closed"),
    ],
)
def test_otherwise_it_says_why_not(schedule: dg.ScheduleDefinition, moment: str, why: str) -> None:
    told = asked(schedule, moment)
    assert isinstance(told, str)
    assert why in told


def test_it_is_off_until_somebody_turns_it_on(schedule: dg.ScheduleDefinition) -> None:
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert (schedule.cron_schedule, schedule.execution_timezone) == (HOURLY, "America/New_York")


def test_two_ticks_of_one_hour_ask_for_one_run(schedule: dg.ScheduleDefinition) -> None:
    keys = [[request.run_key for request in ticks(schedule, "2024-11-25 11:05")] for _ in range(2)]
    assert keys[0] == keys[1]
    assert len(set(keys[0])) == 2
