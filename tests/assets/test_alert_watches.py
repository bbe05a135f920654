"""What alerts find in a Dagster instance and in what is stored, and what the sensors make of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from assets.alert_sensors import build_alert_sensors
from assets.alert_watches import Sight, failed_runs, observe, signals, stale_prices
from assets.partitions import Partitions
from resources.alerts.store import BookStore, folder_of
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.resources.alerts.loopback import slack_webhook
from trading_dag.alerts.book import Book
from trading_dag.errors import BadSliceError, SourceUnavailableError
from trading_dag.frames import table_frame
from trading_dag.schemas import PRICES_DAILY
from trading_dag.settings import Settings

NOW = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)  # 21:00 in New York on Friday
CANARY = "canary-key-of-fred"


class Switch:
    """What the asset of the tests does next."""

    error: Exception | None = None


@dg.asset(
    key=["raw", "prices_daily"],
    partitions_def=dg.StaticPartitionsDefinition(["SPY", "QQQ"]),
    check_specs=[dg.AssetCheckSpec("bounds", asset=dg.AssetKey(["raw", "prices_daily"]), blocking=True)],
)
def prices_daily() -> Iterator[object]:
    if isinstance(Switch.error, BadSliceError):
        yield dg.AssetCheckResult(passed=False, check_name="bounds", description="close: 3 below 0")
    if Switch.error is not None:
        raise Switch.error
    yield dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True, check_name="bounds")])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def sight(tmp_path: Path, instance: dg.DagsterInstance) -> Sight:
    settings = Settings(_env_file=None, home=tmp_path, source="files", files=tmp_path, FRED_API_KEY=CANARY)
    return Sight(settings, ParquetStore(tmp_path), instance, ("SPY",), ("24h",), datetime.now(UTC))


@pytest.fixture
def books(tmp_path: Path) -> BookStore:
    return BookStore(folder_of(tmp_path))


def run(sight: Sight, partition: str = "SPY", *, error: Exception | None = None, **tags: str) -> None:
    Switch.error = error
    dg.materialize(
        [prices_daily], partition_key=partition, instance=sight.instance, raise_on_error=False,
        tags={name.replace("__", "/"): value for name, value in tags.items()},
    )  # fmt: skip


def look(sight: Sight, books: BookStore) -> Book:
    return observe((failed_runs,), sight, books, channels=("slack",))


UNAVAILABLE = SourceUnavailableError(
    source="fred", request=f"series?api_key={CANARY}", problem="503", remedy="Try again."
)


def test_a_step_that_fails_in_several_runs_is_told_once_until_it_has_been_made(sight: Sight, books: BookStore) -> None:
    run(sight, error=UNAVAILABLE)
    assert look(sight, books).messages == ()  # before anybody watched

    for _ in range(2):
        run(sight, error=UNAVAILABLE)
    run(sight, "QQQ", error=UNAVAILABLE)
    book = look(sight, books)
    assert [message.title for message in book.messages] == [
        "2 runs have failed: raw.prices_daily of SPY could not be made, …"
    ]
    assert look(sight, books).messages == book.messages

    run(sight)
    book = look(sight, books)
    assert set(book.standing) == {"run_failed|raw.prices_daily|QQQ"}

    run(sight, error=UNAVAILABLE)
    assert look(sight, books).messages[-1].title == "raw.prices_daily of SPY could not be made"


def test_the_reason_is_told_without_the_key_in_it(sight: Sight, books: BookStore) -> None:
    look(sight, books)
    run(sight, error=UNAVAILABLE)

    [message] = look(sight, books).messages

    assert "fred: 503 (request: series?api_key=***). Try again." in message.body
    assert CANARY not in books.path.read_text()


def test_a_failed_blocking_check_is_told_as_that_and_not_also_as_a_failed_run(sight: Sight, books: BookStore) -> None:
    look(sight, books)
    run(sight, error=BadSliceError(table="raw.prices_daily", key="SPY", rule="bounds"))

    [message] = look(sight, books).messages

    assert message.kind == "check_failed"
    assert message.body.splitlines()[0] == "Check raw.prices_daily bounds: close: 3 below 0"


def test_a_run_that_will_be_repeated_by_itself_has_not_failed_yet(sight: Sight, books: BookStore) -> None:
    look(sight, books)
    run(sight, error=UNAVAILABLE, dagster__will_retry="true")
    assert look(sight, books).messages == ()

    run(sight, error=UNAVAILABLE, dagster__will_retry="false")
    assert len(look(sight, books).messages) == 1


def prices_until(store: ParquetStore, day: str) -> None:
    prices = dict.fromkeys(("open", "high", "low", "close", "adj_close"), 1.0)
    bar = {"ticker": "SPY", "session": pd.Timestamp(day), "volume": 1.0, **prices}
    store.write(PRICES_DAILY, SliceKey("SPY"), table_frame(PRICES_DAILY, bar, rows=1), source="files")


def test_prices_behind_the_calendar_are_told_once_and_again_when_they_fall_behind_again(
    sight: Sight, books: BookStore
) -> None:
    titles = []
    for last, now in (("2026-11-25", 27), ("2026-11-25", 27), ("2026-11-27", 27), ("2026-11-27", 30)):
        prices_until(sight.store, last)
        moment = datetime(2026, 11, now, 23, 0, tzinfo=UTC) + timedelta(hours=3)
        seen = Sight(sight.settings, sight.store, sight.instance, ("SPY",), ("24h",), moment)
        titles = [message.title for message in observe((stale_prices,), seen, books, channels=()).messages]

    assert titles == ["Prices of SPY are 1 session old"] * 2


def test_signals_that_were_never_made_are_told_at_their_time(sight: Sight, books: BookStore) -> None:
    seen = Sight(sight.settings, sight.store, sight.instance, ("SPY",), ("24h",), NOW)

    [message] = observe((signals,), seen, books, channels=()).messages

    assert message.title == "No complete signals of 2026-11-27: 1 of 1 are missing"
    assert "they have none at all" in message.body


def test_nothing_of_the_sample_is_late(sight: Sight, books: BookStore) -> None:
    sample = sight.settings.model_copy(update={"source": "sample"})
    seen = Sight(sample, sight.store, sight.instance, ("SPX",), ("24h",), NOW)

    assert observe((signals, stale_prices), seen, books, channels=()) == Book()


def test_the_sensors_run_by_themselves_where_a_channel_is_set_up_and_send_what_they_find(tmp_path: Path) -> None:
    with slack_webhook() as hook, dg.DagsterInstance.ephemeral() as instance:
        loud = Settings(
            _env_file=None, home=tmp_path, source="files", files=tmp_path, alerts={"slack_webhook": hook.url}
        )
        silent = loud.model_copy(update={"alerts": type(loud.alerts)()})
        partitions = Partitions(("SPY",), ("24h",))
        sensors = {sensor.name: sensor for sensor in build_alert_sensors(loud, partitions)}
        context = dg.build_sensor_context(
            instance=instance,
            resources={"settings": loud, "store": ParquetStore(tmp_path)},
            definitions=dg.Definitions(sensors=list(sensors.values())),
        )
        skipped = sensors["alert_on_data"].evaluate_tick(context)

    assert skipped.skip_message == "messages sent: 1 by slack; 1 causes last"
    assert hook.titles == ["[trading-dag] SPY has no prices"]
    assert {sensor.default_status for sensor in sensors.values()} == {dg.DefaultSensorStatus.RUNNING}
    assert {sensor.default_status for sensor in build_alert_sensors(silent, partitions)} == {
        dg.DefaultSensorStatus.STOPPED
    }
