"""The prediction log and its scores through the real graph: whoever launches a run, rows are added and none is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.jobs import RESEARCH_JOB
from assets.partitions import partition_key
from assets.run.in_process import QUIET_CONSOLE, notes_of_event
from assets.run.staleness import Staleness
from resources.storage.append_only import COPY_NAME
from resources.storage.models.store import ModelStore
from resources.storage.parquet_store import ParquetStore, SliceKey
from resources.storage.slices.paths import FILE_NAME
from tests.trading_dag.strategy.forecasts import SESSIONS, forecasts
from trading_dag.definitions import build_definitions
from trading_dag.frames import table_frame
from trading_dag.schemas import (
    IMPLIED_VOLATILITY,
    LIVE,
    METRICS,
    PREDICTIONS_DIRECTION,
    PREDICTIONS_LOG,
    PREDICTIONS_VOLATILITY,
    RECOMMENDATION,
    TARGETS,
)
from trading_dag.settings import Settings
from trading_dag.slices import horizon_of

KEY = SliceKey("SPY", "24h")
TABLES = {
    "recommendation": (RECOMMENDATION, KEY),
    "direction": (PREDICTIONS_DIRECTION, KEY),
    "volatility": (PREDICTIONS_VOLATILITY, KEY),
    "implied_volatility": (IMPLIED_VOLATILITY, SliceKey("SPY")),
}


class Desk:
    """A home with signals, and the job that records them."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.settings, self.store, self.instance = settings, ParquetStore(settings.home), instance
        self.job = build_definitions(settings).resolve_job_def(RESEARCH_JOB)

    def say(self, through: int, *, source: str = "files", **given: object) -> None:
        for name, frame in forecasts(horizon_of("24h"), through=through, **given).items():
            table, key = TABLES[name]
            ordered = frame.sort_values(list(table.key), ignore_index=True)
            self.store.write(table, key, ordered, source=source)

    def make(self, *names: str) -> dg.ExecuteInProcessResult:
        return self.job.execute_in_process(
            instance=self.instance, partition_key=partition_key(KEY), raise_on_error=False, run_config=QUIET_CONSOLE,
            asset_selection=[dg.AssetKey(name.split(".")) for name in names or ("predictions.log",)],
        )  # fmt: skip

    @property
    def log(self) -> pd.DataFrame:
        return self.store.read(PREDICTIONS_LOG, KEY)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    settings = Settings(_env_file=None, home=tmp_path, source="files", files=tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Desk(settings, instance)


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def test_each_run_records_the_newest_session_at_the_time_of_the_clock_and_says_from_which_source(desk: Desk) -> None:
    desk.say(2)
    before = pd.Timestamp.now("UTC")
    result = desk.make()
    assert result.success
    assert checks_of(result) == {
        "schema": True, "point_in_time": True, "append_only": True, "nothing_set_aside": True,
        "freshness": False,  # the forecasts made by hand end long ago
    }  # fmt: skip
    row = desk.log.iloc[0]
    assert before <= row["recorded_at"] <= pd.Timestamp.now("UTC")
    assert (row["session"], row["source"], row["timing"], row["is_live"]) == (
        SESSIONS[1],
        "files",
        "after_target",
        False,
    )
    desk.say(3)
    assert desk.make().success
    assert desk.log["session"].tolist() == SESSIONS[1:3].tolist()


def test_a_run_made_again_adds_nothing_and_a_retrained_model_adds_one_row(desk: Desk) -> None:
    desk.say(2)
    desk.make()
    first = desk.log
    desk.make()
    pd.testing.assert_frame_equal(desk.log, first)
    desk.say(2, version="bbbb0002")
    desk.make()
    both = desk.log
    assert both["model_version"].tolist() == ["aaaa0001", "bbbb0002"]
    pd.testing.assert_frame_equal(both.iloc[:1], first)


def test_rows_of_another_source_stand_apart(desk: Desk) -> None:
    desk.say(2)
    desk.make()
    desk.say(2, source="simulated")
    desk.make()
    assert desk.log[["source", "is_live"]].to_numpy().tolist() == [["files", False], ["simulated", False]]
    provenance = desk.store.provenance(PREDICTIONS_LOG, KEY)
    assert provenance is not None
    assert provenance.source == "files+simulated"


def test_a_damaged_log_is_mended_said_and_warned_of_until_its_file_is_taken_away(desk: Desk) -> None:
    desk.say(2)
    desk.make()
    stored = desk.log
    path = desk.store.path(PREDICTIONS_LOG, KEY)
    path.write_bytes(path.read_bytes()[:-40])
    desk.say(3)
    result = desk.make()
    assert result.success
    pd.testing.assert_frame_equal(desk.log.iloc[:1], stored)
    (event,) = (event for event in result.all_events if event.is_step_materialization)
    assert any("put back from its copy" in note for note in notes_of_event(event))
    assert not checks_of(result)["nothing_set_aside"]
    for aside in path.parent.glob("*set-aside*"):
        aside.unlink()
    assert checks_of(desk.make())["nothing_set_aside"]


def test_a_log_that_another_version_has_written_stops_the_run_and_stays(desk: Desk) -> None:
    import pyarrow.parquet as pq

    desk.say(2)
    desk.make()
    path = desk.store.path(PREDICTIONS_LOG, KEY)
    pq.write_table(pq.read_table(path).append_column("later", [[1.0]]), path, write_page_checksum=True)
    content = path.read_bytes()
    desk.say(3)
    assert not desk.make().success
    assert path.read_bytes() == content


def test_what_is_recorded_is_stale_when_the_signals_change_and_not_before(desk: Desk) -> None:
    def names() -> list[str]:
        staleness = Staleness(desk.store, ModelStore(desk.settings.home / "models"), desk.settings)
        wanted = frozenset({"predictions.log"})
        return [entry.name for entry in staleness.stale("ticker_horizon", KEY, refit=False, groups=wanted)]

    desk.say(2)
    assert names() == ["log"]
    desk.make()
    assert names() == []
    desk.say(3)
    assert names() == ["log"]


def test_the_copy_is_no_stranger_and_no_second_row(desk: Desk) -> None:
    from resources.doctor.stored_state import strange_files
    from resources.storage.warehouse import Warehouse

    desk.say(2)
    desk.make()
    assert desk.store.path(PREDICTIONS_LOG, KEY).with_name(COPY_NAME).is_file()
    assert strange_files(desk.store) == ([], [])
    warehouse = Warehouse(desk.store)
    warehouse.ensure()
    assert warehouse.query("SELECT count(*) AS n FROM predictions.log")["n"].tolist() == [1]


def test_scores_of_the_log_stand_beside_the_walk_forward_scores(desk: Desk) -> None:
    desk.say(2)
    desk.make()
    head = {"ticker": "SPY", "horizon": "24h"}
    moves = np.array([0.01, -0.01])
    days = SESSIONS[:2]
    labels = {
        **head, "session": days, "target_session": SESSIONS[1:3], "target_price": 100.0, "forward_return": moves,
        "direction": ["UP", "DOWN"], "iv_regime": "LOW", "spread_class": "HOLD",
    }  # fmt: skip
    desk.store.write(TARGETS, KEY, table_frame(TARGETS, labels, rows=2), source="files")
    scored = {
        **head, "task": "direction", "model": "direction_shrunk", "metric": "brier_sign", "baseline": "climatology",
        "value": 0.25, "difference": -0.01, "verdict": "unskilled", "n": 900, "n_ambiguous": 1,
    }  # fmt: skip
    desk.store.write(METRICS, KEY, table_frame(METRICS, scored, rows=1), source="files")
    assert desk.make("evaluation.live").success
    live = desk.store.read(LIVE, KEY)
    assert set(live["verdict"]) == {"insufficient_data"}
    assert set(live["reason"]) == {"0 of 60 sessions; 1 recorded rows are not live"}
    assert live.set_index("metric")["walk_forward_value"]["brier_sign"] == 0.25


@pytest.mark.parametrize("moment", ["before_the_rename", "after_the_rename", "after_the_copy"])
def test_a_run_that_is_killed_at_any_moment_of_the_write_and_made_again_leaves_each_row_once(
    desk: Desk, moment: str
) -> None:
    """The process ends as by SIGKILL: nothing is undone, nothing is reported to Dagster."""
    from resources.storage.objects import working_copy

    desk.say(2)
    desk.make()
    stored = desk.log
    desk.say(3)
    child = os.fork()
    if child == 0:
        try:
            replace, places = working_copy.replace_file, {FILE_NAME: "rename", COPY_NAME: "copy"}

            def last_act(path: Path, write) -> None:
                if moment == f"before_the_{places.get(path.name)}":
                    os._exit(9)
                replace(path, write)
                if moment == f"after_the_{places.get(path.name)}":
                    os._exit(9)

            working_copy.replace_file = last_act
            with dg.DagsterInstance.ephemeral() as desk.instance:
                desk.make()
        finally:
            os._exit(1)  # not reached: the write above ends the process
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    written = desk.log
    assert len(written) == (1 if moment == "before_the_rename" else 2)
    for _ in range(3):
        assert desk.make().success
    log = desk.log
    assert log["session"].tolist() == SESSIONS[1:3].tolist()
    assert not log.duplicated(list(PREDICTIONS_LOG.key)).any()
    pd.testing.assert_frame_equal(log.iloc[: len(written)], written)
    pd.testing.assert_frame_equal(log.iloc[:1], stored)
    copy = desk.store.path(PREDICTIONS_LOG, KEY).with_name(COPY_NAME)
    assert copy.read_bytes() == desk.store.path(PREDICTIONS_LOG, KEY).read_bytes()
