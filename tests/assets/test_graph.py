"""The asset graph is pinned: a changed dependency, check or condition shows up in the diff of ``graph.json``.

To accept a change: ``TRADING_DAG_ACCEPT_GRAPH=1 pytest tests/assets/test_graph.py`` and read the diff.
"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from trading_dag.definitions import build_definitions
from trading_dag.schemas import TABLES
from trading_dag.settings import Settings

SNAPSHOT = Path(__file__).with_name("graph.json")


@pytest.fixture
def definitions(settings: Settings) -> dg.Definitions:
    return build_definitions(settings)


def described(definitions: dg.Definitions) -> dict[str, Any]:
    graph = definitions.resolve_asset_graph()
    return {
        key.to_user_string(): {
            "reads": sorted(parent.to_user_string() for parent in node.parent_keys),
            "group": node.group_name,
            "kinds": sorted(node.kinds),
            "code_version": str(node.code_version).partition("+")[0],  # without the settings that it knows
            "partitions": sorted(node.partitions_def.partition_dimension_names)
            if isinstance(node.partitions_def, dg.MultiPartitionsDefinition)
            else ("ticker" if node.partitions_def else None),
            "automation": node.automation_condition.get_label() if node.automation_condition else None,
            "checks": sorted(check.name for check in node.check_keys),
        }
        for key in sorted(graph.get_all_asset_keys())
        for node in [graph.get(key)]
    }


def test_the_asset_graph_is_the_pinned_one(definitions: dg.Definitions) -> None:
    found = described(definitions)
    if os.environ.get("TRADING_DAG_ACCEPT_GRAPH"):
        SNAPSHOT.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    assert found == json.loads(SNAPSHOT.read_text())


def test_every_table_is_an_asset_and_every_asset_but_the_models_is_a_table(definitions: dg.Definitions) -> None:
    keys = {".".join(key.path) for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    assert keys - set(TABLES) == {
        "models.direction_classifier", "models.volatility_forecaster", "models.price_stack",
        "models.allocation_ensemble",         "models.spread_trunk", "models.spread_lstm",
    }  # fmt: skip
    assert set(TABLES) - keys == set()


def test_every_asset_is_described_grouped_owned_typed_and_versioned(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert len(node.description) > 40, key
        assert node.group_name == key.path[0]
        assert node.owners, key
        assert node.kinds, key
        assert node.code_version, key
        if ".".join(key.path) in TABLES:
            schema = node.metadata["dagster/column_schema"]
            assert [column.name for column in schema.columns] == list(TABLES[".".join(key.path)].column_names)


def test_every_check_has_the_partitions_of_its_asset(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for check in graph.asset_check_keys:
        assert graph.get(check).partitions_def == graph.get(check.asset_key).partitions_def, check


def test_every_feature_table_is_probed_for_look_ahead_and_the_check_blocks(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for table in TABLES.values():
        if table.group == "features":
            check = graph.get(dg.AssetCheckKey(dg.AssetKey([table.group, table.name]), "no_lookahead"))
            assert check.blocking


def test_every_condition_waits_for_the_blocking_checks_of_what_is_read(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        condition = graph.get(key).automation_condition
        if condition is not None:
            assert "blocking" in str(condition), key


def test_definitions_load_without_a_network(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert build_definitions(settings).resolve_all_job_defs()


def test_loading_the_definitions_writes_nothing(settings: Settings) -> None:
    build_definitions(settings).resolve_asset_graph()
    assert list(settings.home.iterdir()) == []


def test_a_ticker_of_the_users_universe_is_a_partition(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, home=tmp_path, source="live", universe=("DIA",))
    graph = build_definitions(settings).resolve_asset_graph()
    assert "DIA" in graph.get(dg.AssetKey(["raw", "prices_daily"])).partitions_def.get_partition_keys()
