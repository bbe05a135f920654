"""The private names of Dagster are those of one version, and are what the project uses of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import Enum
from importlib.metadata import version
from typing import Any

import click
import dagster as dg
import pytest
import sqlalchemy as sa
import yaml

from resources.runs import dagster_private as private
from resources.runs import dagster_private_storage as storages
from resources.runs.history import OwnedRunStorage, PooledEventLog, RunHistory
from resources.runs.launcher import LocalRunLauncher
from tests.conftest import REPOSITORY

STATUSES = dg.DagsterRunStatus


def parameters(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


def test_the_private_names_were_looked_at_in_the_version_of_dagster_that_is_installed() -> None:
    installed = version("dagster")
    assert installed == private.WRITTEN_FOR, (
        f"resources/runs/dagster_private.py was written for Dagster {private.WRITTEN_FOR}, and {installed} is "
        "installed. Read in its changes what became of each private name there, run the tests, then raise WRITTEN_FOR"
    )


def test_each_name_is_there() -> None:
    for module in (private, storages):
        assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_tags_are_the_words_that_stand_in_the_history_of_users() -> None:
    assert private.DATA_VERSION_TAG == "dagster/data_version"
    assert private.RUN_KEY_TAG == "dagster/run_key"
    assert private.SENSOR_NAME_TAG == "dagster/sensor_name"


def test_every_status_of_a_run_is_finished_or_not_and_what_is_in_progress_is_not() -> None:
    finished, open_ones = set(private.FINISHED_STATUSES), set(private.NOT_FINISHED_STATUSES)
    assert finished == {STATUSES.SUCCESS, STATUSES.FAILURE, STATUSES.CANCELED}
    assert finished | open_ones == set(STATUSES) - {STATUSES.MANAGED}  # which nothing here makes
    assert not finished & open_ones
    assert set(private.IN_PROGRESS_RUN_STATUSES) == open_ones - {STATUSES.QUEUED, STATUSES.NOT_STARTED}


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (
            storages.SqlEventLogStorageTable,
            {"id", "run_id", "asset_key", "dagster_event_type", "partition", "event"},
        ),
        (storages.AssetCheckExecutionsTable, {"id", "run_id", "asset_key", "check_name", "partition"}),
        (storages.AssetEventTagsTable, {"event_id"}),
        (storages.ConcurrencySlotsTable, {"run_id"}),
        (storages.PendingStepsTable, {"run_id"}),
        (storages.RunsTable, {"run_id"}),
        (storages.RunTagsTable, {"run_id"}),
    ],
    ids=lambda value: value.name if isinstance(value, sa.Table) else "",
)
def test_tables_of_the_history_have_the_columns_that_are_asked_for(table: sa.Table, columns: set[str]) -> None:
    assert columns <= set(table.columns.keys())


@pytest.mark.parametrize(
    ("owner", "name", "expected"),
    [
        (storages.ConsolidatedSqliteEventLogStorage, "_connect", []),
        (storages.ConsolidatedSqliteEventLogStorage, "_init_db", []),
        (storages.ConsolidatedSqliteEventLogStorage, "store_event", ["event"]),
        (storages.ConsolidatedSqliteEventLogStorage, "has_table", ["table_name"]),
        (storages.ConsolidatedSqliteEventLogStorage, "dispose", []),
        (storages.ConsolidatedSqliteEventLogStorage, "index_connection", []),
        (storages.ConsolidatedSqliteEventLogStorage, "free_concurrency_slots_for_run", ["run_id"]),
        (storages.SqliteRunStorage, "connect", []),
        (storages.SqliteRunStorage, "add_run", ["dagster_run"]),
        (storages.SqliteRunStorage, "add_run_tags", ["run_id", "new_tags"]),
        (storages.SqliteRunStorage, "handle_run_event", ["run_id", "event", "update_timestamp"]),
        (storages.SqliteRunStorage, "_get_run_by_id", ["run_id"]),
        (storages.DagsterSqliteStorage, "__init__", ["base_dir", "inst_data"]),
        (dg.DefaultRunLauncher, "check_run_worker_health", ["run"]),
        (dg.DefaultRunLauncher, "launch_run", ["context"]),
        (dg.DefaultRunLauncher, "terminate", ["run_id"]),
    ],
)
def test_what_is_called_or_replaced_takes_the_arguments_it_is_given(
    owner: type, name: str, expected: list[str]
) -> None:
    assert parameters(getattr(owner, name)) == expected


@pytest.mark.parametrize("own", [PooledEventLog, OwnedRunStorage, RunHistory, LocalRunLauncher])
def test_what_the_project_replaces_of_dagsters_classes_is_there_to_be_replaced(own: type) -> None:
    names = {name for name, value in vars(own).items() if callable(value) or isinstance(value, (property, classmethod))}
    new = {name for name in names if not hasattr(own.__mro__[1], name)}
    assert new <= {"_engine", "_under_way", "_start"}


def test_the_answer_about_a_process_is_a_status_and_a_reason() -> None:
    answer = private.CheckRunHealthResult(private.WorkerStatus.NOT_FOUND, "gone")
    assert (answer.status, answer.msg) == (private.WorkerStatus.NOT_FOUND, "gone")
    assert {"RUNNING", "NOT_FOUND"} <= {status.name for status in private.WorkerStatus}


def test_backfills_are_asked_for_by_status_and_say_which_partitions_they_are_about() -> None:
    assert issubclass(private.BulkActionStatus, Enum)
    wanted = [private.BulkActionStatus[name] for name in ("REQUESTED", "CANCELING", "FAILING")]
    with dg.DagsterInstance.ephemeral() as instance:
        assert list(instance.get_backfills(filters=private.BulkActionsFilter(statuses=wanted))) == []
    assert {"backfill_id", "asset_backfill_data", "partition_names"} <= set(private.PartitionBackfill._fields)


def test_a_verdict_names_its_materialization_by_record_run_and_time() -> None:
    named = private.AssetCheckEvaluationTargetMaterializationData(storage_id=7, run_id="one", timestamp=1.5)
    assert (named.storage_id, named.run_id, named.timestamp) == (7, "one", 1.5)


def test_the_servers_start_with_what_they_are_given() -> None:
    assert {"instance", "workspace_load_target", "version", "code_server_log_level"} <= set(
        parameters(private.WorkspaceProcessContext)
    )
    assert private.WorkspaceFileTarget(["workspace.yaml"]).paths == ["workspace.yaml"]
    command = private.daemon_command()
    assert isinstance(command, click.Command)
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--workspace", "--code-server-log-level"} <= options


def test_a_run_is_executed_as_dagsters_own_command_does() -> None:
    wanted = ["run_id", "instance", "write_stream_fn", "set_exit_code_on_failure"]
    assert parameters(private.executor_of_runs()) == wanted
    assert {"dagster_run", "workspace"} <= set(private.LaunchRunContext._fields)
    assert (
        private.ModuleCodePointer(module="trading_dag.definitions", fn_name="defs").module == "trading_dag.definitions"
    )


def test_each_class_that_the_configuration_of_dagster_names_is_there() -> None:
    from importlib import import_module

    configuration = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())
    named = [entry.get("custom", entry) for entry in configuration.values() if isinstance(entry, dict)]
    classes = {(entry["module"], entry["class"]) for entry in named if "class" in entry}
    assert len(classes) == 4
    for module, name in classes:
        assert isinstance(getattr(import_module(module), name), type)
        assert not module.startswith("dagster.core"), f"{module} is an old name of dagster._core"


def test_no_damage_of_the_configuration_passes_as_another_error() -> None:
    assert issubclass(private.CheckError, Exception)
    assert parameters(private.ConfigurableClassData)[:2] == ["module_name", "class_name"]
