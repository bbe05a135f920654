"""Automation through Dagster's own evaluation: what follows from new data, what does not, what a bad slice stops."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pandas as pd
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.definitions.asset_daemon_cursor import AssetDaemonCursor
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from assets.automation import condition_of
from assets.automation_sensors import sensor_name
from assets.jobs import RETRAIN_JOB
from assets.partitions import Partitions, chain_partition_key
from assets.run.chain_fetch import add_chain_date
from resources.storage.parquet_store import ParquetStore, SliceKey
from trading_dag.definitions import build_definitions
from trading_dag.frames import table_frame
from trading_dag.schemas import DRIFT, VERSIONS
from trading_dag.sessions import sessions_between
from trading_dag.setting_groups import SurfaceSettings
from trading_dag.settings import Settings

PRICES = dg.AssetKey(["raw", "prices_daily"])
TECHNICAL = dg.AssetKey(["features", "technical"])


@pytest.fixture
def definitions(settings: Settings) -> dg.Definitions:
    return build_definitions(settings)


def report(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    key: dg.AssetKey,
    partition: str | None,
    *,
    failed_check: str | None = None,
    contents: str = "one",
) -> None:
    """A materialization and the verdicts of its checks, as an asset's own run records them."""
    tags = {DATA_VERSION_TAG: contents}
    instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition, tags=tags))
    latest = instance.fetch_materializations(key, limit=1).records[0]
    target = AssetCheckEvaluationTargetMaterializationData(
        storage_id=latest.storage_id, run_id=latest.run_id, timestamp=latest.timestamp
    )
    graph = definitions.resolve_asset_graph()
    for check in graph.get(key).check_keys:
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=key,
                check_name=check.name,
                passed=check.name != failed_check,
                blocking=graph.get(check).blocking,
                metadata={},
                partition=partition,
                target_materialization_data=target,
            )
        )


def requested(result: dg.EvaluateAutomationConditionsResult, key: dg.AssetKey) -> set[str]:
    return {str(partition) for partition in result.get_requested_partitions(key)}


def look(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    *keys: dg.AssetKey,
    cursor: AssetDaemonCursor | None = None,
) -> dg.EvaluateAutomationConditionsResult:
    """What is asked of some assets alone, which takes a tenth of a look at all of them."""
    return dg.evaluate_automation_conditions(
        definitions, instance, asset_selection=dg.AssetSelection.assets(*keys), cursor=cursor
    )


def test_new_prices_ask_for_the_features_of_just_that_ticker(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    first = dg.evaluate_automation_conditions(definitions, instance)
    assert first.total_requested == 0
    report(definitions, instance, PRICES, "SPX")
    second = dg.evaluate_automation_conditions(definitions, instance, cursor=first.cursor)
    assert requested(second, TECHNICAL) == {"SPX"}
    third = dg.evaluate_automation_conditions(definitions, instance, cursor=second.cursor)
    assert third.total_requested == 0


def test_a_failed_blocking_check_stops_everything_downstream(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    first = dg.evaluate_automation_conditions(definitions, instance)
    report(definitions, instance, PRICES, "SPX", failed_check="schema")
    assert dg.evaluate_automation_conditions(definitions, instance, cursor=first.cursor).total_requested == 0


def test_a_missing_model_is_asked_for_once_and_new_data_does_not_refit_it(instance: dg.DagsterInstance) -> None:
    """On a pair of stand-ins with the real conditions, because only real runs record verdicts twice."""
    partitions = Partitions(("SPY", "QQQ")).ticker

    @dg.asset(partitions_def=partitions, check_specs=[dg.AssetCheckSpec("good", asset="data", blocking=True)])
    def data() -> Iterator[dg.Output[int] | dg.AssetCheckResult]:
        yield dg.Output(1)
        yield dg.AssetCheckResult(passed=True)

    @dg.asset(partitions_def=partitions, deps=[data], automation_condition=condition_of("on_missing"))
    def model() -> None: ...

    stand_ins = dg.Definitions(assets=[data, model])
    cursor = dg.evaluate_automation_conditions(stand_ins, instance).cursor
    asked: list[set[str]] = []
    for made in (data, model, data):
        dg.materialize([made], partition_key="SPY", instance=instance)
        result = dg.evaluate_automation_conditions(stand_ins, instance, cursor=cursor)
        cursor = result.cursor
        asked.append(requested(result, model.key))
    assert asked == [{"SPY"}, set(), set()]


def test_a_changed_setting_asks_once_for_what_depends_on_it_and_for_nothing_else(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    before = build_definitions(settings)
    cursor = dg.evaluate_automation_conditions(before, instance).cursor
    for key in (MACRO_FEATURES, CHAIN_ANALYTICS, DEALER_EXPOSURE):
        for ticker in (None,) if key == MACRO_FEATURES else ("SPX", "COMP"):
            report(before, instance, key, ticker)
    at_rest = dg.evaluate_automation_conditions(before, instance, cursor=cursor)
    assert at_rest.total_requested == 0
    after = build_definitions(settings.model_copy(update={"surface": SurfaceSettings(risk_free_rate=0.05)}))
    asked = dg.evaluate_automation_conditions(after, instance, cursor=at_rest.cursor)
    assert requested(asked, CHAIN_ANALYTICS) == requested(asked, DEALER_EXPOSURE) == {"SPX", "COMP"}
    assert asked.total_requested == 4
    assert dg.evaluate_automation_conditions(after, instance, cursor=asked.cursor).total_requested == 0


def test_a_raised_version_asks_for_tables_and_refits_no_model_that_exists(instance: dg.DagsterInstance) -> None:
    """On stand-ins with the real conditions."""

    def stand_ins(version: str) -> dg.Definitions:
        @dg.asset
        def data() -> None: ...

        def follower(name: str, condition: str) -> dg.AssetsDefinition:
            @dg.asset(name=name, deps=[data], code_version=version, automation_condition=condition_of(condition))
            def made() -> None: ...

            return made

        return dg.Definitions(assets=[data, follower("table", "eager"), follower("model", "on_missing")])

    first = stand_ins("1")
    cursor = dg.evaluate_automation_conditions(first, instance).cursor
    dg.materialize(list(first.assets or ()), instance=instance)  # type: ignore[arg-type]
    at_rest = dg.evaluate_automation_conditions(first, instance, cursor=cursor)
    assert at_rest.total_requested == 0
    raised = dg.evaluate_automation_conditions(stand_ins("2"), instance, cursor=at_rest.cursor)
    assert raised.get_num_requested(dg.AssetKey("table")) == 1
    assert raised.get_num_requested(dg.AssetKey("model")) == 0


@pytest.mark.filterwarnings("ignore:Parameter .data_version.:dagster.BetaWarning")  # that is what is looked at
def test_data_that_were_fetched_again_and_say_the_same_ask_for_nothing(instance: dg.DagsterInstance) -> None:
    """On stand-ins with the real condition, each of whose runs stores what the test says."""
    partitions = Partitions(("SPY", "QQQ")).ticker
    contents = iter(("one", "one", "two", "two"))

    @dg.asset(partitions_def=partitions, check_specs=[dg.AssetCheckSpec("good", asset="data", blocking=True)])
    def data() -> Iterator[dg.Output[int] | dg.AssetCheckResult]:
        yield dg.Output(1, data_version=dg.DataVersion(next(contents)))
        yield dg.AssetCheckResult(passed=True)

    @dg.asset(partitions_def=partitions, deps=[data], automation_condition=condition_of("eager"))
    def features() -> None: ...

    stand_ins = dg.Definitions(assets=[data, features])
    cursor = dg.evaluate_automation_conditions(stand_ins, instance).cursor
    asked: list[set[str]] = []
    for made in (data, features, data, data, features, data):
        dg.materialize([made], partition_key="SPY", instance=instance)
        result = dg.evaluate_automation_conditions(stand_ins, instance, cursor=cursor)
        cursor = result.cursor
        asked.append(requested(result, features.key))
    assert asked == [{"SPY"}, set(), set(), {"SPY"}, set(), set()]


def test_automation_is_off_until_somebody_turns_it_on(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    alerts = {sensor.name for sensor in repository.sensor_defs if sensor.name.startswith("alert_on_")}
    assert {sensor.name for sensor in repository.sensor_defs} - alerts == {
        sensor_name(purpose) for purpose in ("signals", "drift", "evaluation")
    } | {"retrain_on_drift", "watch_freshness"}
    for item in (*repository.sensor_defs, *repository.schedule_defs):
        # What only says how old data are starts no run.
        assert item.default_status.value == ("RUNNING" if item.name == "watch_freshness" else "STOPPED")


def drift_reports(breached_share: list[float]) -> pd.DataFrame:
    """One report a session with a share of ten features beyond their limit."""
    sessions = sessions_between("2024-01-02", "2024-12-31")[: len(breached_share)]
    return pd.DataFrame(
        [
            {
                "ticker": "SPX",
                "horizon": "24h",
                "as_of_session": session,
                "feature": f"feature_{number}",
                "kind": "feature",
                "psi": 1.0,
                "psi_limit": 0.5,
                "is_breached": number < share * 10,
                "n_recent": 60,
                "n_reference": 1000,
            }
            for session, share in zip(sessions, breached_share, strict=True)
            for number in range(10)
        ]
    )


def sensor_tick(definitions: dg.Definitions, settings: Settings, instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    repository = definitions.get_repository_def()
    context = dg.build_sensor_context(
        instance=instance,
        repository_def=repository,
        resources={"settings": settings, "store": ParquetStore(settings.home)},
    )
    return repository.get_sensor_def("retrain_on_drift").evaluate_tick(context).run_requests or []


@pytest.mark.filterwarnings("ignore:Non-compliant tag keys:DeprecationWarning")  # Dagster's own partition tags
def test_drift_in_two_reports_in_a_row_asks_to_retrain_just_that_slice(
    definitions: dg.Definitions, settings: Settings, instance: dg.DagsterInstance
) -> None:
    store = ParquetStore(settings.home)
    store.write(DRIFT, SliceKey("SPX", "24h"), drift_reports([0.0, 0.9, 0.9]))
    store.write(DRIFT, SliceKey("SPX", "48h"), drift_reports([0.0, 0.9, 0.0]).assign(horizon="48h"))
    requests = sensor_tick(definitions, settings, instance)
    assert [(request.job_name, str(request.partition_key)) for request in requests] == [(RETRAIN_JOB, "24h|SPX")]
    assert len({request.run_key for request in requests}) == 1


@pytest.mark.filterwarnings("ignore:Non-compliant tag keys:DeprecationWarning")  # Dagster's own partition tags
def test_a_training_whose_result_does_not_serve_is_rested_from_too(
    definitions: dg.Definitions, settings: Settings, instance: dg.DagsterInstance
) -> None:
    store = ParquetStore(settings.home)
    reports = drift_reports([0.9] * 30)
    store.write(DRIFT, SliceKey("SPX", "24h"), reports)
    sessions = reports["as_of_session"].unique()
    version = {
        "ticker": "SPX", "horizon": "24h", "family": "direction_classifier",
        "fitted_at": pd.Timestamp("2024-01-31", tz="UTC"),
        "compared_sessions": 500, "fitted_through": pd.DatetimeIndex([sessions[0], sessions[20]]),
        "version": ["20240101T000000000000Z-a1b2c3d4", "20240131T000000000000Z-deadbeef"],
        "model_version": ["a1b2c3d4", "deadbeef"], "serves": [True, False], "decision": ["first", "worse"],
    }  # fmt: skip
    table = table_frame(VERSIONS, version, rows=2)
    store.write(VERSIONS, SliceKey("SPX", "24h"), table)
    assert sensor_tick(definitions, settings, instance) == []
    store.write(VERSIONS, SliceKey("SPX", "24h"), table.iloc[:1])
    assert len(sensor_tick(definitions, settings, instance)) == 1


def test_one_breach_is_not_enough(
    definitions: dg.Definitions, settings: Settings, instance: dg.DagsterInstance
) -> None:
    ParquetStore(settings.home).write(DRIFT, SliceKey("SPX", "24h"), drift_reports([0.0, 0.0, 0.9]))
    assert sensor_tick(definitions, settings, instance) == []


def test_no_reports_no_requests(definitions: dg.Definitions, settings: Settings, instance: dg.DagsterInstance) -> None:
    assert sensor_tick(definitions, settings, instance) == []


CHAIN = dg.AssetKey(["raw", "option_chain"])
CHAIN_ANALYTICS = dg.AssetKey(["options", "chain_analytics"])
DEALER_EXPOSURE = dg.AssetKey(["options", "dealer_exposure"])
MACRO_FEATURES = dg.AssetKey(["features", "macro"])


def test_a_new_chain_asks_for_the_analysis_of_its_ticker_though_other_sessions_and_tickers_have_none(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    for date in ("2024-11-14", "2024-11-15"):
        add_chain_date(instance, f"{date}|SPX")
    cursor = look(definitions, instance, CHAIN_ANALYTICS).cursor
    report(definitions, instance, CHAIN, str(chain_partition_key(pd.Timestamp("2024-11-15"), "SPX")))
    without_rates = look(definitions, instance, CHAIN_ANALYTICS, cursor=cursor)
    assert requested(without_rates, CHAIN_ANALYTICS) == set()
    report(definitions, instance, MACRO_FEATURES, None)
    asked = look(definitions, instance, CHAIN_ANALYTICS, cursor=without_rates.cursor)
    # The rates are there for everybody now; a ticker without a chain gets its empty table, or its features would wait.
    assert requested(asked, CHAIN_ANALYTICS) == {"SPX", "COMP"}
    after = look(definitions, instance, CHAIN_ANALYTICS, cursor=asked.cursor)
    assert requested(after, CHAIN_ANALYTICS) == set()
    report(definitions, instance, CHAIN, str(chain_partition_key(pd.Timestamp("2024-11-14"), "SPX")))
    another = look(definitions, instance, CHAIN_ANALYTICS, cursor=after.cursor)
    assert requested(another, CHAIN_ANALYTICS) == {"SPX"}


def test_a_failed_check_of_the_rates_stops_the_analysis_of_chains(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    add_chain_date(instance, "2024-11-15|SPX")
    cursor = look(definitions, instance, CHAIN_ANALYTICS).cursor
    report(definitions, instance, CHAIN, str(chain_partition_key(pd.Timestamp("2024-11-15"), "SPX")))
    report(definitions, instance, MACRO_FEATURES, None, failed_check="schema")
    assert requested(look(definitions, instance, CHAIN_ANALYTICS, cursor=cursor), CHAIN_ANALYTICS) == set()


METRICS = dg.AssetKey(["evaluation", "metrics"])
MULTIPLICITY = dg.AssetKey(["evaluation", "multiplicity"])


def test_what_is_said_of_all_slices_follows_the_scores_that_are_there_and_rests_while_they_do(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    def stored(key: dg.AssetKey, partition: str | None, contents: str) -> None:
        tags = {DATA_VERSION_TAG: contents}
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition, tags=tags))

    cursor = look(definitions, instance, MULTIPLICITY).cursor
    asked = []
    for made in (
        [(METRICS, "24h|SPX", "one")],  # though every other slice is missing
        [],
        [(MULTIPLICITY, None, "one"), (METRICS, "24h|SPX", "one")],
        [(METRICS, partition, "two") for partition in ("24h|SPX", "24h|COMP", "48h|COMP")],
        [],
    ):
        for key, partition, contents in made:
            stored(key, partition, contents)
        result = look(definitions, instance, MULTIPLICITY, cursor=cursor)
        cursor = result.cursor
        asked.append(result.get_num_requested(MULTIPLICITY))
    assert asked == [1, 0, 0, 1, 0]
