"""What alerts look at: Dagster's failed runs, and what is stored. Each look gives causes, and says what has ended.

What is a cause and how it is worded is in ``trading_dag.alerts``; sensors and a command decide when to look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import dagster as dg
import pandas as pd

from resources.alerts.store import BookStore
from resources.brokers.kill_switch import KillSwitch
from resources.masking import secrets_of, without_secrets
from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.alerts.book import Book, Standing, none_has_ended, record
from trading_dag.alerts.cause import Cause
from trading_dag.alerts.drift import drifted_slice
from trading_dag.alerts.failed_runs import FailedStep, failed_run
from trading_dag.alerts.paper import kill_switch, paper_orders
from trading_dag.alerts.signals import signals_of
from trading_dag.alerts.stale_data import stale_data
from trading_dag.freshness import is_sample
from trading_dag.schemas import DRIFT, PRICES_DAILY, RECOMMENDATION, REGISTRY, VERSIONS
from trading_dag.schemas.paper import ORDERS
from trading_dag.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

RUNS_CURSOR: Final = "failed runs"
RUNS_AT_ONCE: Final = 200
ORDERS_CURSOR: Final = "paper orders"
PAPER_FOLDER: Final = "paper"
PARTITION_TAG: Final = "dagster/partition"
WILL_RETRY_TAG: Final = "dagster/will_retry"
_STEPS: Final = {
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
}
Ended = Callable[[str, Standing], bool]


@dataclass(frozen=True)
class Look:
    """Holds what one look found: causes, what has ended, and how far it has read."""

    causes: tuple[Cause, ...] = ()
    ended: Ended = none_has_ended
    cursor: tuple[str, str] | None = None


@dataclass(frozen=True)
class Sight:
    """Holds what a look may look at."""

    settings: Settings
    store: ParquetStore
    instance: dg.DagsterInstance
    tickers: tuple[str, ...]
    horizons: tuple[str, ...]
    now: datetime

    @property
    def slices(self) -> list[SliceKey]:
        """Return the slices that signals are expected of."""
        return [SliceKey(ticker, horizon) for ticker in self.tickers for horizon in self.horizons]


Watch = Callable[[Sight, Book], Look]


def observe(watches: Iterable[Watch], sight: Sight, books: BookStore, *, channels: tuple[str, ...]) -> Book:
    """Look, and keep in the book what is to be told; return the book."""
    book = books.read()
    for watch in watches:  # each knows what those before it have found
        look = watch(sight, book)
        book = books.change(partial(with_looks, looks=[look], sight=sight, channels=channels))
    return book


def foreseen(watches: Iterable[Watch], sight: Sight, book: Book, *, channels: tuple[str, ...]) -> Book:
    """Return what the book would be after looking, and note nothing."""
    for watch in watches:
        book = with_looks(book, [watch(sight, book)], sight, channels=channels)
    return book


def with_looks(book: Book, looks: Iterable[Look], sight: Sight, channels: tuple[str, ...]) -> Book:
    """Return the book after some looks. No secret of the settings is in what it tells."""
    secrets = secrets_of(sight.settings)
    for look in looks:
        causes = [
            replace(
                cause,
                title=without_secrets(cause.title, secrets),
                lines=tuple(without_secrets(line, secrets) for line in cause.lines),
            )
            for cause in look.causes
        ]
        book = record(book, causes, now=sight.now, channels=channels, settings=sight.settings.alerts, ended=look.ended)
        if look.cursor is not None and int(book.cursors.get(look.cursor[0], -1)) < int(look.cursor[1]):
            book = book.with_cursor(*look.cursor)
    return book


def failed_runs(sight: Sight, book: Book) -> Look:
    """Return what the runs that failed since the last look did not make, and which of it has been made since.

    The first look of a home begins with the present: what failed before anybody watched is in the UI.
    """
    after = book.cursors.get(RUNS_CURSOR)
    if after is None:
        latest = sight.instance.fetch_run_status_changes(dg.DagsterEventType.RUN_FAILURE, limit=1).records
        return Look(cursor=(RUNS_CURSOR, str(latest[0].storage_id if latest else 0)))
    asked = dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_FAILURE, after_storage_id=int(after))
    records = sight.instance.fetch_run_status_changes(asked, limit=RUNS_AT_ONCE, ascending=True).records
    failures = [step for entry in records if (step := _failed_step(sight.instance, entry)) is not None]
    cursor = (RUNS_CURSOR, str(records[-1].storage_id)) if records else None
    return Look(
        tuple(map(failed_run, failures)), lambda name, standing: _is_made_since(sight.instance, name, standing), cursor
    )


def _failed_step(instance: dg.DagsterInstance, entry: dg.EventLogRecord) -> FailedStep | None:
    run = instance.get_run_by_id(entry.run_id)
    if run is None or run.tags.get(WILL_RETRY_TAG) == "true":
        return None
    events = [each.dagster_event for each in instance.all_logs(entry.run_id, of_type=_STEPS) if each.dagster_event]
    failures = [each for each in events if each.event_type is dg.DagsterEventType.STEP_FAILURE]
    step = failures[0].step_key or "" if failures else ""
    planned = [each for each in events if each.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED]
    assets = [each.asset_key for each in planned if each.step_key == step and each.asset_key is not None]
    checks = [each.asset_check_evaluation_data for each in events if each.event_type_value == "ASSET_CHECK_EVALUATION"]
    broken = [each for each in checks if each.blocking and not each.passed]
    error, problem = _problem(failures[0] if failures else entry.event_log_entry.dagster_event)
    return FailedStep(
        run_id=run.run_id,
        job="automation" if run.job_name == "__ASSET_JOB" else run.job_name,
        step=step,
        asset=".".join(assets[0].path) if assets else "",
        partition=run.tags.get(PARTITION_TAG, ""),
        error=error,
        problem=problem,
        checks=tuple(
            f"{'.'.join(each.asset_key.path)} {each.check_name}: {each.description or 'failed'}" for each in broken
        ),
    )


def _problem(event: dg.DagsterEvent | None) -> tuple[str, str]:
    """Return the class and the message of the exception that ended a step or a run, where one did."""
    if event is None:
        return "", "nothing is recorded of why"
    data = event.event_specific_data
    error = getattr(data, "error", None)
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return "", event.message or "nothing is recorded of why"
    name = str(error.cls_name or "")
    said = " ".join(error.message.split())
    return name.rpartition(".")[2], said.partition(f"{name}: ")[2] or said


def _is_made_since(instance: dg.DagsterInstance, name: str, standing: Standing) -> bool:
    """Return whether what a cause says could not be made has been made since, by a run that went well."""
    kind, _, key = name.partition("|")
    if kind not in ("run_failed", "check_failed"):
        return False
    what, _, partition = key.partition("|")
    since = standing.since.timestamp()
    if "." not in what:
        tags = {PARTITION_TAG: partition} if partition else {}
        asked = dg.RunsFilter(
            job_name=what, tags=tags, statuses=[dg.DagsterRunStatus.SUCCESS], updated_after=standing.since
        )
        return bool(instance.get_runs(filters=asked, limit=1))
    made = dg.AssetRecordsFilter(
        asset_key=dg.AssetKey(what.split(".")),
        asset_partitions=[partition] if partition else None,
        after_timestamp=since,
    )
    for entry in instance.fetch_materializations(made, limit=1).records:
        run = instance.get_run_by_id(entry.run_id)
        return run is None or run.status is dg.DagsterRunStatus.SUCCESS
    return False


def stale_prices(sight: Sight, book: Book) -> Look:
    """Return the tickers whose stored prices end before the session that they should reach."""
    if is_sample(sight.settings.source):
        return Look()
    last = {ticker: _last_session(sight.store, ticker) for ticker in sight.tickers}
    source = sight.settings.source
    return _lasting("stale_data", stale_data(last, now=sight.now, settings=sight.settings.alerts, source=source))


def _last_session(store: ParquetStore, ticker: str) -> pd.Timestamp | None:
    provenance = store.provenance(PRICES_DAILY, SliceKey(ticker))
    return None if provenance is None or provenance.last_session is None else pd.Timestamp(provenance.last_session)


def drifted_slices(sight: Sight, book: Book) -> Look:
    """Return the slices whose last drift reports were all breached."""
    causes = [cause for key in sight.slices if (cause := _drift_of(sight, key)) is not None]
    return _lasting("drift", causes)


def _drift_of(sight: Sight, key: SliceKey) -> Cause | None:
    if not sight.store.exists(DRIFT, key) or key.ticker is None or key.horizon is None:
        return None
    rows = sight.store.read(DRIFT, key, columns=["as_of_session", "is_breached"])
    reports = rows.groupby("as_of_session", as_index=False).agg(share_breached=("is_breached", "mean"))
    ends = [sight.store.read_or_empty(table, key)["fitted_through"] for table in (REGISTRY, VERSIONS)]
    trained = pd.concat(ends).max()
    return drifted_slice(
        key.ticker,
        key.horizon,
        reports,
        last_trained=None if pd.isna(trained) else trained,
        settings=sight.settings.drift,
    )


def signals(sight: Sight, book: Book) -> Look:
    """Return the signals of the last closed session where all are there, or that they are not by their time."""
    if is_sample(sight.settings.source):
        return Look()
    latest: dict[tuple[str, str], Mapping[str, object] | None] = {}
    sources: dict[str, None] = {}
    for key in sight.slices:
        provenance = sight.store.provenance(RECOMMENDATION, key)
        if provenance is not None and provenance.source:
            sources[provenance.source] = None
        latest[str(key.ticker), str(key.horizon)] = _newest(sight.store, key)
    causes = signals_of(
        latest,
        source="+".join(sources) or None,
        troubles=[standing.title for name, standing in book.standing.items() if not name.startswith("drift|")],
        now=sight.now,
        settings=sight.settings.alerts,
    )
    return Look(tuple(causes))


def _newest(store: ParquetStore, key: SliceKey) -> dict[str, object] | None:
    from trading_dag.strategy.rules import served_rows

    rows = served_rows(store.read_or_empty(RECOMMENDATION, key))
    if rows.empty:
        return None
    return {str(name): value for name, value in rows.iloc[-1].to_dict().items()}


def paper(sight: Sight, book: Book) -> Look:
    """Return what happened to paper orders since the last look, and whether the kill switch is on.

    The first look of a home begins with what comes after it.
    """
    switch = KillSwitch(sight.settings.home / PAPER_FOLDER)
    stopped = (kill_switch(switch.reason),) if switch.is_on else ()
    after = book.cursors.get(ORDERS_CURSOR)
    orders = sight.store.read_or_empty(ORDERS, SliceKey())
    if after is None:
        newest = 0 if orders.empty else _microseconds(orders["recorded_at"].max()) + 1
        return Look(stopped, cursor=(ORDERS_CURSOR, str(newest)))
    # Those recorded at the very moment of the cursor are looked at again: each is told once, however often it is seen.
    recorded = [_microseconds(moment) for moment in orders["recorded_at"]]
    new = orders[[moment >= int(after) for moment in recorded]]
    cursor = (ORDERS_CURSOR, str(max(recorded))) if len(new) else None
    return Look((*stopped, *paper_orders(new)), cursor=cursor)


def _microseconds(moment: pd.Timestamp) -> int:
    utc = moment.tz_localize("UTC") if moment.tzinfo is None else moment
    return int(utc.timestamp() * 1_000_000)


def _lasting(kind: str, causes: list[Cause]) -> Look:
    """Return a look at everything of one kind: what is not among the causes has ended."""
    there = {cause.name for cause in causes}
    return Look(tuple(causes), lambda name, _: name.startswith(f"{kind}|") and name not in there)


ALL_WATCHES: Final[tuple[Watch, ...]] = (failed_runs, stale_prices, drifted_slices, signals, paper)
