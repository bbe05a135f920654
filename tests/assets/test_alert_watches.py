"""What alerts find in a Dagster instance and in what is stored, and what the sensors make of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from assets.alert_sensors import build_alert_sensors
from assets.alert_watches import Sight, failed_runs, observe, paper, signals, stale_prices
from assets.partitions import Partitions
from resources.alerts.store import BookStore, folder_of
from resources.brokers.kill_switch import KillSwitch
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.resources.alerts.loopback import slack_webhook
from trading_dag.alerts.book import Book
from trading_dag.errors import BadSliceError, SourceUnavailableError
from trading_dag.frames import table_frame
from trading_dag.schemas import PRICES_DAILY
from trading_dag.schemas.paper import ORDERS
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


def orders(*events: tuple[str, str, int], reason: str | None = None) -> pd.DataFrame:
    """Rows of ``paper.orders``: ticker, event, and the second at which it was recorded."""
    return pd.concat(
        [
            table_frame(
                ORDERS,
                {
                    "order_id": f"td-{ticker}-20261127-24h-matrix-r0-open", "event": event,
                    "recorded_at": pd.Timestamp("2026-11-27 21:30", tz="UTC") + pd.Timedelta(seconds=second),
                    "position_id": f"{ticker}-20261127-24h-matrix-r0", "ticker": ticker, "horizon": "24h",
                    "signal_session": pd.Timestamp("2026-11-27"), "rule": "matrix", "roll": 0,
                    "structure": "bull_put_spread", "intent": "open", "size": 0.5, "contracts": 3,
                    "max_loss_usd": 1_200.0, "reason": reason, "cash_usd": 245.0 if event == "filled" else None,
                    "fees_usd": 3.9, "broker": "paper", "edge": "no_edge", "source": "simulated", "is_live": True,
                },
                rows=1,
            )
            for ticker, event, second in events
        ],
        ignore_index=True,
    )  # fmt: skip


def test_paper_orders_are_told_once_each_and_limits_once_a_session(sight: Sight, books: BookStore) -> None:
    def book_after(rows: pd.DataFrame) -> Book:
        sight.store.write(ORDERS, SliceKey(), rows)
        return observe((paper,), sight, books, channels=())

    before = orders(("SPY", "intended", 0))
    assert book_after(before).messages == ()
    filled = pd.concat([before, orders(("SPY", "sent", 1), ("SPY", "filled", 1))], ignore_index=True)
    book_after(filled)
    refused = orders(("QQQ", "refused", 2), ("IWM", "refused", 2), reason="day limit: 2 of 2 positions of the day")
    book = book_after(pd.concat([filled, refused], ignore_index=True))

    assert [message.title for message in book.messages] == [
        "Paper order filled: open 3 bull put spread on SPY 24h",
        "The day limit of the paper account refused 2 orders of the signals of 2026-11-27",
    ]
    assert "245.00 USD received, 3.90 USD of fees." in book.messages[0].body
    assert "(no edge shown)" in book.messages[0].body
    assert "QQQ 24h, bull put spread: day limit: 2 of 2 positions of the day" in book.messages[1].body


def test_the_kill_switch_is_told_each_time_it_is_turned_on(sight: Sight, books: BookStore) -> None:
    switch = KillSwitch(sight.settings.home / "paper")
    titles = []
    for hour in (1, 2):
        switch.path.parent.mkdir(exist_ok=True)
        switch.turn_on("looked wrong", at=pd.Timestamp(f"2026-11-27 {hour}:00", tz="UTC"))
        for _ in range(2):
            titles = [message.title for message in observe((paper,), sight, books, channels=()).messages]
        switch.turn_off()

    assert titles == ["The kill switch of the paper account is on"] * 2


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
