"""What a session's new data ask for, through Dagster's own evaluation: each slice once, in order, and nobody else's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from itertools import count

import dagster as dg
import pytest
import time_machine
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent, DagsterEventType
from dagster._core.storage.dagster_run import DagsterRun, DagsterRunStatus
from dagster._utils.caching_instance_queryer import CachingInstanceQueryer

from assets.automation_sensors import LOOKS_SECONDS, build_automation_sensors
from assets.purposes import Purpose
from trading_dag.definitions import build_definitions
from trading_dag.settings import Settings

EVENING = dt.datetime(2026, 11, 30, 21, 36, tzinfo=dt.UTC)
TICKER_RAW = (
    "prices_daily",
    "volatility_index",
    "prices_hourly",
    "news",
    "social_mentions",
    "news_sentiment",
    "earnings",
)


def raw(name: str) -> dg.AssetKey:
    return dg.AssetKey(["raw", name])


class Session:
    """An instance on which slices are reported as runs of their own would report them, and sensors that look at it."""

    def __init__(self, definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
        self.definitions = definitions
        self.instance = instance
        self.graph = definitions.resolve_asset_graph()
        self.cursors: dict[Purpose, object] = {}
        self.contents = count()
        self.targets = {sensor.run_tags["trading_dag/purpose"]: sensor for sensor in build_automation_sensors()}

    def partitions_of(self, key: dg.AssetKey) -> list[str | None]:
        definition = self.graph.get(key).partitions_def
        return (
            [None]
            if definition is None
            else list(definition.get_partition_keys(dynamic_partitions_store=self.instance))
        )

    def stored(self, key: dg.AssetKey, partition: str | None, contents: str | None = None) -> None:
        """A materialization with new contents, and its blocking checks passed."""
        tags = {DATA_VERSION_TAG: contents or str(next(self.contents))}
        self.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition, tags=tags))
        latest = self.instance.fetch_materializations(key, limit=1).records[0]
        target = AssetCheckEvaluationTargetMaterializationData(
            storage_id=latest.storage_id, run_id=latest.run_id, timestamp=latest.timestamp
        )
        for check in self.graph.get(key).check_keys:
            if self.graph.get(check).blocking:
                verdict = dg.AssetCheckEvaluation(
                    asset_key=key, check_name=check.name, passed=True, blocking=True, metadata={}, partition=partition,
                    target_materialization_data=target,
                )  # fmt: skip
                event = DagsterEvent(
                    event_type_value=DagsterEventType.ASSET_CHECK_EVALUATION.value,
                    job_name="job",
                    event_specific_data=verdict,
                )
                # Of a run of its own, as in life: outside runs only one verdict a partition is kept.
                self.instance.report_dagster_event(event, f"run-{latest.storage_id}")

    def store_everything(self) -> None:
        for key in self.graph.materializable_asset_keys:
            for partition in self.partitions_of(key):
                self.stored(key, partition)

    def planned(self, keys: list[dg.AssetKey], partition: str | None) -> str:
        """A run that is under way; its id."""
        tags = {} if partition is None else {"dagster/partition": partition}
        run = self.instance.add_run(DagsterRun(job_name="job", status=DagsterRunStatus.STARTED, tags=tags))
        for key in keys:
            event = DagsterEvent(
                event_type_value=DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value,
                job_name="job",
                step_key=key.path[-1],
                event_specific_data=AssetMaterializationPlannedData(key, partition),
            )
            self.instance.report_dagster_event(event, run.run_id)
        return run.run_id

    def look(self, purpose: Purpose) -> set[tuple[str, str | None]]:
        """What a sensor asks for now: assets and partitions."""
        target = self.targets[purpose].asset_selection
        result = dg.evaluate_automation_conditions(
            self.definitions, self.instance, asset_selection=target, cursor=self.cursors.get(purpose)
        )
        self.cursors[purpose] = result.cursor
        return {
            (key.to_user_string(), None if partition is None else str(partition))
            for key in target.resolve(self.graph)
            if self.graph.get(key).automation_condition is not None
            for partition in result.get_requested_partitions(key)
        }

    def make(self, asked: set[tuple[str, str | None]]) -> None:
        """Store what was asked for."""
        for name, partition in sorted(asked, key=str):
            self.stored(dg.AssetKey.from_user_string(name), partition)


@pytest.fixture(scope="module")
def stored_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Every slice of two tickers and one horizon, on an evening, and each sensor's first look."""
    small = Settings(_env_file=None, home=tmp_path_factory.mktemp("home"), source="sample", horizons=("24h",))
    with time_machine.travel(EVENING, tick=True), dg.DagsterInstance.ephemeral() as instance:
        made = Session(build_definitions(small), instance)
        made.store_everything()
        for purpose in LOOKS_SECONDS:
            made.look(purpose)
        yield made


@pytest.fixture
def session(stored_session: Session) -> Session:
    """The same. A test asks about SPX alone, and leaves nothing of it undone."""
    return stored_session


def groups(asked: set[tuple[str, str | None]]) -> set[str]:
    return {name.partition("/")[0] for name, _ in asked}


def partitions(asked: set[tuple[str, str | None]]) -> set[str | None]:
    return {partition for _, partition in asked}


def of_spx(asked: set[tuple[str, str | None]]) -> set[str]:
    return {name for name, partition in asked if partition in ("SPX", "24h|SPX")}


def fetched(session: Session) -> None:
    for name in TICKER_RAW:
        session.stored(raw(name), "SPX")


def test_a_new_price_slice_moves_its_own_features_then_signals_then_scores_each_once(session: Session) -> None:
    fetched(session)
    features = session.look("signals")
    assert {"features/technical", "features/feature_table"} <= of_spx(features)
    assert groups(features) <= {"features", "models", "predictions", "options"}
    # The other ticker's own data did not change; it only reads this one's prices as a benchmark.
    assert {name for name, partition in features if partition == "COMP"} <= {
        "features/cross_asset",
        "features/feature_table",
        "models/spread_trunk",
    }
    session.make({(name, partition) for name, partition in features if partition == "SPX"})
    signals = session.look("signals")
    assert partitions(signals) == {"24h|SPX"}
    assert {"labels/targets", "predictions/direction", "signals/recommendation", "predictions/log"} <= of_spx(signals)
    assert session.look("evaluation") == session.look("drift") == set()
    session.make(signals)
    scores, drift = session.look("evaluation"), session.look("drift")
    assert partitions(scores) == partitions(drift) == {"24h|SPX"}
    assert {"evaluation/metrics", "evaluation/importance", "backtests/trades"} <= of_spx(scores)
    session.make(scores | drift)
    assert of_spx(session.look("signals")) == set()


def test_features_wait_for_everything_that_the_session_still_brings(session: Session) -> None:
    waiting = session.planned([raw(name) for name in TICKER_RAW], "SPX")
    session.stored(raw("prices_daily"), "SPX")
    assert of_spx(session.look("signals")) == set()
    fetched(session)
    _finish(session, waiting)
    asked = session.look("signals")
    assert {"features/technical", "features/sentiment", "features/earnings", "features/feature_table"} <= of_spx(asked)
    session.make({(name, partition) for name, partition in asked if partition == "SPX"})
    session.make(session.look("signals"))


@pytest.mark.long
def test_macro_series_are_waited_for_too(session: Session) -> None:
    macro = session.planned([raw("macro"), dg.AssetKey(["features", "macro"])], None)
    fetched(session)
    assert of_spx(session.look("signals")) == set()
    _finish(session, macro)
    assert "features/feature_table" in of_spx(session.look("signals"))


@pytest.mark.long
def test_a_fetch_that_fails_holds_nothing_up(session: Session) -> None:
    failed = session.planned([raw(name) for name in TICKER_RAW], "SPX")
    session.stored(raw("prices_daily"), "SPX")
    _finish(session, failed, DagsterRunStatus.FAILURE)
    assert "features/technical" in of_spx(session.look("signals"))


@pytest.mark.long
def test_scores_wait_for_the_run_that_makes_the_signals(session: Session) -> None:
    session.make(session.look("evaluation") | session.look("drift"))
    path = [dg.AssetKey(["predictions", "direction"]), dg.AssetKey(["signals", "recommendation"])]
    run = session.planned(path, "24h|SPX")
    session.stored(path[0], "24h|SPX")
    assert of_spx(session.look("evaluation")) == of_spx(session.look("drift")) == set()
    session.stored(path[1], "24h|SPX")
    _finish(session, run)
    assert of_spx(session.look("evaluation"))
    assert of_spx(session.look("drift"))


class Ending:
    """A run that stores its last tables and ends right after a sensor has read what is stored."""

    def __init__(self, session: Session, run_id: str, last: dict[dg.AssetKey, str]) -> None:
        self.session, self.run_id, self.last = session, run_id, last

    def look(self, purpose: Purpose) -> set[tuple[str, str | None]]:
        """What the sensor asks for whose look the run's end falls into."""
        read = CachingInstanceQueryer.prefetch_asset_records

        def read_then_end(queryer: CachingInstanceQueryer, keys: Iterable[dg.AssetKey]) -> None:
            read(queryer, keys)
            for key, partition in self.last.items():
                self.session.stored(key, partition)
            _finish(self.session, self.run_id)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(CachingInstanceQueryer, "prefetch_asset_records", read_then_end)
            return self.session.look(purpose)


def test_a_slice_whose_run_ends_during_a_look_is_not_made_again(session: Session) -> None:
    fetched(session)
    session.make({(name, partition) for name, partition in session.look("signals") if partition == "SPX"})
    asked = {name for name, partition in session.look("signals") if partition == "24h|SPX"}
    assert {"predictions/direction", "signals/recommendation", "predictions/log"} <= asked
    last = {"signals/recommendation", "predictions/log"}
    run = session.planned([dg.AssetKey.from_user_string(name) for name in asked], "24h|SPX")
    assert of_spx(session.look("signals")) == set(), "the run is under way"
    session.make({(name, "24h|SPX") for name in asked - last})
    ending = Ending(session, run, {dg.AssetKey.from_user_string(name): "24h|SPX" for name in last})
    assert of_spx(ending.look("signals")) == set(), "what the run made was not yet seen, but its end was"
    assert of_spx(session.look("signals")) == set()
    session.make(session.look("evaluation") | session.look("drift"))


@pytest.mark.long
def test_features_whose_run_ends_during_a_look_are_followed_once(session: Session) -> None:
    fetched(session)
    asked = {name for name, partition in session.look("signals") if partition == "SPX"}
    last = {"features/feature_table"}
    run = session.planned([dg.AssetKey.from_user_string(name) for name in asked], "SPX")
    session.make({(name, "SPX") for name in asked - last})
    ending = Ending(session, run, {dg.AssetKey.from_user_string(name): "SPX" for name in last})
    requests = [ending.look("signals"), session.look("signals")]
    of_horizon = [{name for name, partition in looked if partition == "24h|SPX"} for looked in requests]
    assert sum(map(bool, of_horizon)) == 1, of_horizon
    session.make({(name, "24h|SPX") for name in set().union(*of_horizon)})
    assert of_spx(session.look("signals")) == set()
    session.make(session.look("evaluation") | session.look("drift"))


def _finish(session: Session, run_id: str, status: DagsterRunStatus = DagsterRunStatus.SUCCESS) -> None:
    kind = DagsterEventType.RUN_SUCCESS if status == DagsterRunStatus.SUCCESS else DagsterEventType.RUN_FAILURE
    event = DagsterEvent(event_type_value=kind.value, job_name="job")
    session.instance.run_storage.handle_run_event(run_id, event, None)
