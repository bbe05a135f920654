"""The drift sensor over ticks, restarts and runs that end in any way: one request a report, with its reason."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pandas as pd
import pytest

from assets.jobs import RETRAIN_JOB
from assets.retraining import Decisions
from assets.sensors import REASON_TAG, REPORT_TAG
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.assets.test_automation import drift_reports
from tests.trading_dag.drift.test_standing import scores
from trading_dag.definitions import build_definitions
from trading_dag.schemas import ACCURACY, DRIFT
from trading_dag.setting_groups import DriftSettings
from trading_dag.settings import Settings

KEY = SliceKey("SPX", "24h")
PARTITION = "24h|SPX"
pytestmark = pytest.mark.filterwarnings("ignore:Non-compliant tag keys:DeprecationWarning")  # Dagster's partition tags


class Daemon:
    """Ticks of the sensor as the daemon makes them: the cursor is stored by Dagster, the process may be a new one."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.settings, self.instance, self.cursor = settings, instance, None
        self.lines: list[str] = []
        self.restart()

    def restart(self) -> None:
        """The code is loaded anew: nothing that only this process knew is left."""
        self.repository = build_definitions(self.settings).get_repository_def()

    def tick(self, *, is_stored: bool = True) -> list[dg.RunRequest]:
        context = dg.build_sensor_context(
            instance=self.instance, repository_def=self.repository, cursor=self.cursor,
            resources={"settings": self.settings, "store": ParquetStore(self.settings.home)},
        )  # fmt: skip
        lines: list[str] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(context.log, "info", lambda text, *values: lines.append(text % values))
            result = self.repository.get_sensor_def("retrain_on_drift").evaluate_tick(context)
        self.lines = lines
        if is_stored:
            self.cursor = result.cursor
        return list(result.run_requests or [])


@pytest.fixture
def store(settings: Settings) -> ParquetStore:
    return ParquetStore(settings.home)


@pytest.fixture
def daemon(settings: Settings) -> Iterator[Daemon]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(settings, instance)


def test_each_tick_says_of_every_slice_why_it_is_retrained_or_not(daemon: Daemon, store: ParquetStore) -> None:
    store.write(DRIFT, KEY, drift_reports([0.0, 0.9, 0.9]))
    store.write(DRIFT, SliceKey("SPX", "48h"), drift_reports([0.0, 0.9]).assign(horizon="48h"))
    store.write(ACCURACY, SliceKey("COMP", "24h"), scores([False, False]).assign(ticker="COMP"))
    (request,) = daemon.tick()
    assert sorted(daemon.lines) == [
        "24h|COMP: stays: 0 of the last 2 reports breached: direction brier_sign gain -0.0100, band from -0.0020",
        "24h|SPX: retrains: 2 reports in a row breached: 90% to 90% of the features beyond their limits",
        "48h|SPX: stays: 1 of the last 2 reports breached: 0% to 90% of the features beyond their limits",
    ]
    assert request.tags[REASON_TAG] == "2 reports in a row breached: 90% to 90% of the features beyond their limits"
    assert request.tags[REPORT_TAG] == "2024-01-04"
    assert (request.job_name, str(request.partition_key)) == (RETRAIN_JOB, PARTITION)


def test_a_report_is_asked_for_once_over_ticks_and_restarts_and_the_next_one_again(
    daemon: Daemon, store: ParquetStore
) -> None:
    store.write(DRIFT, KEY, drift_reports([0.9, 0.9]))
    first = daemon.tick()
    assert [request.run_key for request in first] == ["SPX-24h-2024-01-03"]
    assert daemon.tick() == []
    daemon.restart()
    assert daemon.tick() == []
    assert "was requested on the report of 2024-01-03" in daemon.lines[0]
    store.write(DRIFT, KEY, drift_reports([0.9, 0.9, 0.9]))  # the run failed before it trained anything
    assert [request.run_key for request in daemon.tick()] == ["SPX-24h-2024-01-04"]


def test_a_daemon_that_is_killed_before_its_cursor_is_stored_asks_under_the_same_key(
    daemon: Daemon, store: ParquetStore
) -> None:
    store.write(DRIFT, KEY, drift_reports([0.9, 0.9]))
    first = daemon.tick(is_stored=False)
    daemon.restart()
    again = daemon.tick()
    # Dagster starts no second run of a sensor under one key.
    assert [request.run_key for request in again] == [request.run_key for request in first]


def test_nothing_is_asked_for_while_a_retraining_of_that_slice_is_under_way(
    daemon: Daemon, store: ParquetStore
) -> None:
    store.write(DRIFT, KEY, drift_reports([0.9, 0.9]))
    store.write(DRIFT, SliceKey("COMP", "24h"), drift_reports([0.9, 0.9]).assign(ticker="COMP"))
    job = build_definitions(daemon.settings).resolve_job_def(RETRAIN_JOB)
    run = daemon.instance.create_run_for_job(
        job, status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": PARTITION}
    )
    assert [str(request.partition_key) for request in daemon.tick()] == ["24h|COMP"]
    assert any("24h|SPX: stays: a retraining is under way" in line for line in daemon.lines)
    daemon.instance.report_run_failed(run)
    assert [str(request.partition_key) for request in daemon.tick()] == [PARTITION]


def test_scores_below_their_band_ask_too(daemon: Daemon, store: ParquetStore) -> None:
    store.write(ACCURACY, KEY, scores([True, True]).assign(ticker="SPX"))
    (request,) = daemon.tick()
    assert "direction brier_sign gain" in request.tags[REASON_TAG]


def test_a_slice_is_read_again_when_a_file_of_it_changed_and_not_before(
    store: ParquetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(DRIFT, KEY, drift_reports([0.9]))
    decisions, settings, read = Decisions(), DriftSettings(), []
    original = ParquetStore.read
    monkeypatch.setattr(
        ParquetStore, "read", lambda self, *args, **named: read.append(args) or original(self, *args, **named)
    )
    assert not decisions.of(store, KEY, settings).is_due
    once = len(read)
    assert once > 0
    assert not decisions.of(store, KEY, settings).is_due
    assert len(read) == once
    store.write(DRIFT, KEY, drift_reports([0.9, 0.9]))
    assert decisions.of(store, KEY, settings).is_due
    assert decisions.of(store, KEY, settings.model_copy(update={"breached_share": 0.95})).is_due is False
    assert pd.notna(decisions.of(store, KEY, settings).as_of)
