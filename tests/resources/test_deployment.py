"""The resources of the graph as Dagster's UI shows them, asked by its own queries, and what a run makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget
from dagster_graphql.test.utils import execute_dagster_graphql
from pydantic import SecretStr

from resources.deployment import deployed_resources
from resources.storage.parquet_store import ParquetStore
from trading_dag.definitions import build_definitions
from trading_dag.errors import ConfigurationError
from trading_dag.settings import Settings

KEYS = {"FRED_API_KEY": "fred-secret-1", "FINNHUB_API_KEY": "finnhub-secret-2", "TRADIER_TOKEN": "tradier-secret-3"}
QUESTION = """{ allTopLevelResourceDetailsOrError(repositorySelector: {
  repositoryName: "__repository__", repositoryLocationName: "trading_dag"}) { __typename
  ... on PythonError { message }
  ... on ResourceDetailsList { results { name description resourceType assetKeysUsing { path }
    nestedResources { name } configuredValues { key value type }
    configFields { name description } } } } }"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Each resource by name, as the web server answers, and the whole of the answer."""
    home = tmp_path_factory.mktemp("deployment")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADING_DAG_HOME", str(home))
        patch.setenv("TRADING_DAG_SOURCE", "live")
        patch.setenv("TRADING_DAG_CHAIN_VENDOR", "tradier")
        for name, value in KEYS.items():
            patch.setenv(name, value)
        target = PythonFileTarget(
            python_file=str(Path(build_definitions.__code__.co_filename)),
            attribute="defs",
            working_directory=None,
            location_name="trading_dag",
        )
        with (
            dg.instance_for_test() as instance,
            WorkspaceProcessContext(instance, workspace_load_target=target, version="") as workspace,
        ):
            answer = execute_dagster_graphql(workspace.create_request_context(), QUESTION).data
    details = answer["allTopLevelResourceDetailsOrError"]
    assert details["__typename"] == "ResourceDetailsList", details
    return {"home": str(home), "text": json.dumps(answer), "by_name": {one["name"]: one for one in details["results"]}}


def configured(shown: dict[str, Any], name: str) -> dict[str, Any]:
    return {one["key"]: json.loads(one["value"]) for one in shown["by_name"][name]["configuredValues"]}


def test_the_page_of_each_resource_shows_where_data_lives_and_who_is_asked(shown: dict[str, Any]) -> None:
    home = shown["home"]
    assert configured(shown, "source") == {"source": "live", "chain_vendor": "tradier", "files": None}
    assert configured(shown, "settings") == {
        "home": home,
        "source": "live",
        "tickers": ["SPY", "QQQ", "IWM"],
        "horizons": ["12h", "24h", "48h", "72h", "96h", "168h"],
    }
    for name in ("store", "parquet_io", "model_io", "slice_lock"):
        assert configured(shown, name) == {"home": home}
    assert configured(shown, "chain_io") == {"home": home, "chain_keep_days": None}


def test_each_resource_and_each_of_its_fields_is_described_and_has_a_type(shown: dict[str, Any]) -> None:
    for name, one in shown["by_name"].items():
        assert len(one["description"] or "") > 40, name
        assert one["resourceType"].startswith("resources.deployment."), name
        assert [field["name"] for field in one["configFields"] if not field["description"]] == [], name


def test_what_a_resource_is_made_of_and_who_uses_it_is_shown(shown: dict[str, Any]) -> None:
    source = shown["by_name"]["source"]
    assert [nested["name"] for nested in source["nestedResources"]] == ["settings"]
    assert {"path": ["raw", "prices_daily"]} in source["assetKeysUsing"]


def test_no_key_of_a_vendor_is_shown(shown: dict[str, Any]) -> None:
    assert [key for key in KEYS.values() if key in shown["text"]] == []


def test_a_resource_hands_over_what_the_assets_work_with(settings: Settings) -> None:
    secret = settings.model_copy(update={"fred_api_key": SecretStr("fred-secret-1")})
    wanted = {name: one for name, one in deployed_resources(secret).items() if name != "slice_lock"}
    with dg.build_resources(wanted) as made:
        assert made.settings == secret
        assert made.settings.fred_api_key.get_secret_value() == "fred-secret-1"
        assert isinstance(made.store, ParquetStore)
        assert made.store.root == settings.home
        assert made.source.name == "sample"
        assert made.model_io.model_store.root == settings.home / "models"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("settings", {"tickers": ["SPY"]}),
        ("source", {"source": "live"}),
        ("store", {"home": "/elsewhere"}),
        ("parquet_io", {"home": "/elsewhere"}),
        ("model_io", {"home": "/elsewhere"}),
        ("chain_io", {"chain_keep_days": 3}),
        ("slice_lock", {"home": "/elsewhere"}),
    ],
)
def test_a_run_that_asks_for_another_place_or_source_is_refused(
    settings: Settings, name: str, change: dict[str, Any]
) -> None:
    resource = deployed_resources(settings)[name]
    asked = {field: getattr(resource, field) for field in type(resource).model_fields if field != "settings"} | change
    with (
        pytest.raises(dg.DagsterResourceFunctionError) as refused,
        dg.build_resources({name: resource}, resource_config={name: {"config": asked}}),
    ):
        pass
    cause = refused.value.__cause__
    assert isinstance(cause, ConfigurationError)
    assert next(iter(change)) in str(cause)
    assert "not for a single run" in str(cause)
