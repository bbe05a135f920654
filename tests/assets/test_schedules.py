"""When schedules ask for what: exchange sessions and New York time, half days, daylight saving, and after downtime."""

from __future__ import annotations

import datetime as dt
from typing import Any

import dagster as dg
import pandas as pd
import pytest
import time_machine
from dagster._utils.schedules import schedule_execution_time_iterator

from assets.jobs import TUNE_JOB
from assets.partitions import OPTION_CHAIN_DATES
from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.definitions import build_definitions
from trading_dag.frames import table_frame
from trading_dag.schemas import PRICES_DAILY, VOLATILITY_INDEX
from trading_dag.sessions import all_sessions
from trading_dag.settings import Settings

NEW_YORK = "America/New_York"
pytestmark = pytest.mark.filterwarnings("ignore:Non-compliant tag keys:DeprecationWarning")  # Dagster's partition tags


@pytest.fixture(scope="module", autouse=True)
def calendar() -> None:
    """The exchange's calendar reaches a year from the day on which it is first asked for, which is not a moved one."""
    all_sessions()


@pytest.fixture(scope="module")
def module_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(_env_file=None, home=tmp_path_factory.mktemp("home"), source="sample")


@pytest.fixture(scope="module")
def definitions(module_settings: Settings) -> dg.Definitions:
    return build_definitions(module_settings)


def tick(
    definitions: dg.Definitions, instance: dg.DagsterInstance, name: str, due: str, now: str | None = None
) -> dg.ScheduleExecutionData:
    """What a schedule says at a tick that was due at a moment in New York, at that moment or a later one."""
    moment, present = (pd.Timestamp(when, tz=NEW_YORK).to_pydatetime() for when in (due, now or due))
    repository = definitions.get_repository_def()
    with (
        time_machine.travel(present, tick=False),
        dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=moment,
            resources={name: definitions.resources[name] for name in ("settings", "source", "store")},
            repository_def=repository,
        ) as context,
    ):
        return repository.get_schedule_def(name).evaluate_tick(context)


def keys(data: dg.ScheduleExecutionData) -> list[str | None]:
    return [request.run_key for request in data.run_requests or []]


def due_in_utc(definitions: dg.Definitions, name: str, after: str, count: int) -> list[str]:
    """The next moments at which a schedule is due, as Dagster's scheduler reckons them."""
    schedule = definitions.get_repository_def().get_schedule_def(name)
    begin = pd.Timestamp(after, tz=NEW_YORK).timestamp()
    ticks = schedule_execution_time_iterator(begin, schedule.cron_schedule, schedule.execution_timezone)
    return [next(ticks).astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M") for _ in range(count)]


def test_raw_data_of_every_active_ticker_are_asked_for_half_an_hour_after_the_close(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    asked = tick(definitions, instance, "daily_prices", "2024-11-27 16:35")
    assert [request.partition_key for request in asked.run_requests or []] == ["SPX", "COMP"]
    assert keys(asked) == ["SPX-2024-11-27", "COMP-2024-11-27"]
    assert {request.tags["dagster/priority"] for request in asked.run_requests or []} == {"20"}
    assert len(keys(tick(definitions, instance, "daily_macro", "2024-11-27 16:35"))) == 1


def test_a_half_day_is_asked_for_at_its_own_close_and_under_one_key(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    early = tick(definitions, instance, "daily_prices", "2024-11-29 13:35")
    assert keys(early) == ["SPX-2024-11-29", "COMP-2024-11-29"]
    assert keys(tick(definitions, instance, "daily_prices", "2024-11-29 16:35")) == keys(early)
    full = tick(definitions, instance, "daily_prices", "2024-11-27 13:35")
    assert not keys(full)
    assert "ends at 16:00" in (full.skip_message or "")


@pytest.mark.parametrize("day", ["2024-11-28", "2012-10-29"])
def test_days_without_a_session_are_skipped(
    definitions: dg.Definitions, instance: dg.DagsterInstance, day: str
) -> None:
    for name in ("daily_prices", "daily_macro", "daily_chains"):
        data = tick(definitions, instance, name, f"{day} 16:35")
        assert not keys(data)
        assert "no session" in (data.skip_message or "")


def test_the_clock_that_counts_is_new_yorks_when_it_changes(definitions: dg.Definitions) -> None:
    spring = due_in_utc(definitions, "daily_prices", "2026-03-06 16:00", 4)
    assert spring == ["2026-03-06 21:35", "2026-03-06 23:30", "2026-03-09 17:35", "2026-03-09 20:35"]
    autumn = due_in_utc(definitions, "daily_prices", "2026-10-30 16:00", 4)
    assert autumn == ["2026-10-30 20:35", "2026-10-30 22:30", "2026-11-02 18:35", "2026-11-02 21:35"]
    assert due_in_utc(definitions, "weekly_tuning", "2026-03-02 00:00", 2) == ["2026-03-07 14:00", "2026-03-14 13:00"]


def test_ticks_that_were_missed_ask_together_for_one_fetch(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    missed = [f"2026-03-{day} {hour}" for day in ("05", "06", "09") for hour in ("16:35", "18:30")]
    asked = [keys(tick(definitions, instance, "daily_prices", due, now="2026-03-10 09:00")) for due in missed]
    assert {tuple(found) for found in asked} == {("SPX-2026-03-09", "COMP-2026-03-09")}
    macro = {tuple(keys(tick(definitions, instance, "daily_macro", due, now="2026-03-10 09:00"))) for due in missed}
    assert macro == {("sample-macro-2026-03-09",)}


def test_the_last_look_asks_only_for_what_is_still_wanting(
    definitions: dg.Definitions, instance: dg.DagsterInstance, module_settings: Settings
) -> None:
    store = ParquetStore(module_settings.home)
    session = pd.Timestamp("2026-03-09")
    bar = {"open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0, "adj_close": 10.0, "volume": 1.0, "session": session}
    prices = table_frame(PRICES_DAILY, {"ticker": "SPX", "split_factor": 1.0, "dividend": 0.0, **bar}, rows=1)
    store.write(PRICES_DAILY, SliceKey("SPX"), prices)
    index = {"ticker": "SPX", "symbol": "VIX", "session": session, "open": 20.0, "high": 20.0, "low": 20.0}
    store.write(VOLATILITY_INDEX, SliceKey("SPX"), table_frame(VOLATILITY_INDEX, {**index, "close": 20.0}, rows=1))
    assert keys(tick(definitions, instance, "daily_prices", "2026-03-09 18:30")) == ["COMP-2026-03-09-again"]


def test_every_model_is_refitted_after_the_last_session_of_a_month(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    last = tick(definitions, instance, "monthly_retrain", "2026-05-29 20:00")  # the 30th is a Saturday
    assert len(set(keys(last))) == 12
    assert "24h|SPX-2026-05" in keys(last)
    assert "not the last session" in (
        tick(definitions, instance, "monthly_retrain", "2026-05-28 20:00").skip_message or ""
    )


def test_the_weekly_schedule_tunes_every_slice_once_in_runs_that_say_so(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    asked = tick(definitions, instance, "weekly_tuning", "2024-11-30 09:00").run_requests or []
    assert len(asked) == len({request.run_key for request in asked}) == 12
    assert {str(request.partition_key) for request in asked} >= {"24h|SPX", "168h|COMP"}
    job = definitions.resolve_job_def(TUNE_JOB)
    assert job.tags["trading_dag/tuning"] == "yes"
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == {
        "models/hyperparameters", "models/best_hyperparameters",
    }  # fmt: skip


def test_the_chain_of_the_session_that_closed_is_asked_for(module_settings: Settings) -> None:
    with dg.instance_for_test() as instance:  # a schedule wants one that another process could open
        live = module_settings.model_copy(update={"source": "live", "chain_vendor": "yahoo"})
        asked = tick(build_definitions(live), instance, "daily_chains", "2024-11-29 13:35").run_requests or []
        assert [str(request.partition_key) for request in asked] == [
            f"2024-11-29|{ticker}" for ticker in ("SPY", "QQQ", "IWM")
        ]
        assert len({request.run_key for request in asked}) == 3
        assert instance.get_dynamic_partitions(str(OPTION_CHAIN_DATES.name)) == ["2024-11-29"]
        sample = tick(build_definitions(module_settings), instance, "daily_chains", "2024-11-29 13:35")
        assert not sample.run_requests
        assert "no option chains" in (sample.skip_message or "")


def test_everything_is_off_until_somebody_turns_it_on_or_the_setting_says_otherwise(
    definitions: dg.Definitions, module_settings: Settings
) -> None:
    def states(made: dg.Definitions) -> set[str]:
        repository = made.get_repository_def()
        ours: list[Any] = [one for one in repository.sensor_defs if one.name.startswith("automation_")]
        ours += [one for one in repository.schedule_defs if one.name.startswith(("daily_", "weekly_", "monthly_"))]
        return {one.default_status.value for one in ours}

    assert states(definitions) == {"STOPPED"}
    assert states(build_definitions(module_settings.model_copy(update={"automation": True}))) == {"RUNNING"}
