"""What has to be computed again, on a copy of a real run: just what changed and what follows from it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG, CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from assets.run.execution import Mode, Refit, stale_in_mode, to_refit
from assets.run.staleness import Staleness
from resources.storage.models.store import ModelStore
from resources.storage.parquet_store import ParquetStore, SliceKey
from tests.conftest import QUICK_GROUPS, REPOSITORY, Workspace
from trading_dag.definitions import build_definitions
from trading_dag.schemas import FEATURE_TABLE, METRICS, PRICES_DAILY, RECOMMENDATION, REGISTRY, TRADES
from trading_dag.setting_groups import (
    AugmentationSettings,
    BacktestSettings,
    FamilyTraining,
    GateSettings,
    TrainingSettings,
)
from trading_dag.settings import Settings

SPX = SliceKey("SPX")
SPX_24H = SliceKey("SPX", "24h")
# Chains come by a command of their own, what is provisional while a session is under way.
NOT_OF_A_RUN = {
    dg.AssetKey(["raw", "option_chain"]),
    dg.AssetKey(["signals", "provisional"]),
    dg.AssetKey(["signals", "provisional_opportunities"]),
}
MULTI: Final = dg.MultiPartitionsDefinition
MODEL_OF_COLUMN: Final = {
    "model_version": "direction_classifier",
    "volatility_model_version": "volatility_forecaster",
}


@pytest.fixture
def home(sample_run: Workspace, tmp_path: Path) -> Path:
    copy = tmp_path / "home"
    for folder in ("data", "models"):
        shutil.copytree(sample_run.home / folder, copy / folder)
    return copy


def stale(home: Path, key: SliceKey, *, refit: bool = True, settings: Settings | None = None) -> list[str]:
    chosen = settings or Settings(_env_file=None, home=home, **QUICK_GROUPS)
    kind = "ticker_horizon" if key.horizon else "ticker"
    found = Staleness(ParquetStore(home), ModelStore(home / "models"), chosen).stale(kind, key, refit=refit)
    return [f"{declaration.group}.{declaration.name}" for declaration in found]


def shorten_features(home: Path) -> ParquetStore:
    """Features other than those that everything was computed from."""
    store = ParquetStore(home)
    record = store.provenance(FEATURE_TABLE, SPX)
    assert record is not None
    shorter = store.read(FEATURE_TABLE, SPX).iloc[:-1]
    store.write(FEATURE_TABLE, SPX, shorter, source=record.source, inputs=record.inputs)
    return store


def test_nothing_is_stale_after_a_run(home: Path) -> None:
    assert stale(home, SPX) == []
    assert stale(home, SPX_24H) == []


def test_a_changed_fee_reaches_the_signals_their_record_and_the_backtests_and_nothing_else(home: Path) -> None:
    settings = Settings(
        _env_file=None, home=home, **QUICK_GROUPS, backtest=BacktestSettings(fee_per_leg_contract_usd=1.0)
    )
    assert stale(home, SPX, settings=settings) == []
    assert stale(home, SPX_24H, settings=settings) == [
        "signals.opportunities",
        "evaluation.opportunity_calibration",
        "signals.recommendation",
        "predictions.log",
        "evaluation.live",
        "backtests.recommended_structure",
        "backtests.comparison",
        "monitoring.accuracy",
    ]


@pytest.fixture
def history(sample_run: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """What Dagster has recorded of the run."""
    monkeypatch.setenv("TRADING_DAG_STATE", str(sample_run.home / ".dagster"))
    monkeypatch.setenv("DAGSTER_HOME", str(REPOSITORY))
    with dg.DagsterInstance.get() as instance:
        yield instance


def stale_in_dagster(instance: dg.DagsterInstance, settings: Settings) -> set[str]:
    """Assets of the slice that the UI shows as out of date: made by another code, settings or input than now."""
    graph = build_definitions(settings).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    partitions = {1: "SPX", 2: "24h|SPX"}
    found = set()
    for key in graph.get_all_asset_keys():
        definition = graph.get(key).partitions_def
        dimensions = len(definition.partition_dimension_names) if isinstance(definition, MULTI) else 1
        if definition is not None and key not in NOT_OF_A_RUN:
            status = resolver.get_status(key, partitions[dimensions])
            assert status != StaleStatus.MISSING, key
            if status == StaleStatus.STALE:
                found.add(".".join(key.path))
    return found


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"backtest": BacktestSettings(fee_per_leg_contract_usd=1.0)},
        {"gate": GateSettings(rule="tolerance")},
    ],
    ids=["nothing", "fee", "gate"],
)
def test_the_ui_shows_as_stale_what_a_run_would_compute_again(
    home: Path, history: dg.DagsterInstance, changed: dict[str, Any]
) -> None:
    settings = Settings(_env_file=None, home=home, **QUICK_GROUPS, **changed)
    staleness = Staleness(ParquetStore(home), ModelStore(home / "models"), settings)
    expected, following = set(), set()
    for kind, at in (("ticker", SPX), ("ticker_horizon", SPX_24H)):
        for declaration in staleness.stale(kind, at, refit=True):
            names = {".".join(key.path) for key in declaration.asset_keys}
            is_so_itself = staleness.stale(kind, at, refit=True, groups=frozenset(names))
            (expected if is_so_itself else following).update(names)
    assert stale_in_dagster(history, settings) == expected
    assert bool(expected) == bool(changed)
    # What is stale by nothing but what it reads, the UI shows once that has been made and has come out otherwise.
    by_input = {"predictions.log", "evaluation.live", "monitoring.accuracy"}
    assert following == (by_input if "backtest" in changed else set())


def test_a_trade_leads_to_its_models_through_the_registry(sample_run: Workspace) -> None:
    store = ParquetStore(sample_run.home)
    trades, registry = store.read(TRADES, SPX_24H), store.read(REGISTRY, SPX_24H)
    assert len(trades)
    for column, name in MODEL_OF_COLUMN.items():
        named = set(trades[column].dropna())
        assert len(named) == 1
        versions = set(registry.loc[registry["model_version"].isin(named), "version"])
        assert versions == {ModelStore(sample_run.home / "models").latest_version(name, ticker="SPX", horizon="24h")}
        assert (sample_run.home / "models" / name / "ticker=SPX" / "horizon=24h" / versions.pop()).is_dir()
    signals = store.read(RECOMMENDATION, SPX_24H)
    assert set(signals["model_version"]) == set(trades["model_version"])


def test_the_data_version_of_a_model_says_what_it_learnt_as_the_version_under_which_it_is_stored_does(
    sample_run: Workspace, history: dg.DagsterInstance
) -> None:
    models = ModelStore(sample_run.home / "models")
    for name in MODEL_OF_COLUMN.values():
        records = history.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(["models", name]), asset_partitions=["24h|SPX"]), limit=1
        ).records
        version = (records[0].asset_materialization.tags or {})[DATA_VERSION_TAG]  # type: ignore[union-attr]
        assert str(models.latest_version(name, ticker="SPX", horizon="24h")).endswith(f"-{version}")


def test_the_same_model_fitted_again_makes_nothing_stale(home: Path) -> None:
    models = ModelStore(home / "models")
    at = {"ticker": "SPX", "horizon": "24h"}
    before = models.latest_version("direction_classifier", **at)
    after = models.save(models.load("direction_classifier", **at))
    assert models.latest_version("direction_classifier", **at) == after != before
    assert stale(home, SPX_24H) == []


def test_drawn_histories_reach_the_models_and_all_that_follows_when_models_are_refitted(home: Path) -> None:
    settings = Settings(_env_file=None, home=home, **QUICK_GROUPS, augmentation=AugmentationSettings(paths=2))
    assert stale(home, SPX, settings=settings) == []
    assert stale(home, SPX_24H, settings=settings, refit=False) == []
    assert stale(home, SPX_24H, settings=settings) == [
        "models.direction_classifier",
        "models.volatility_forecaster",
        "models.inputs",
        "models.registry",
        "models.coefficients",
        "predictions.direction",
        "predictions.volatility",
        "predictions.volatility_level",
        "evaluation.metrics",
        "evaluation.importance",
        "signals.opportunities",
        "evaluation.opportunity_calibration",
        "signals.recommendation",
        "predictions.log",
        "evaluation.live",
        "backtests.recommended_structure",
        "monitoring.drift",
        "monitoring.accuracy",
    ]


def models_stale(home: Path, **changed: Any) -> set[str]:
    found = stale(home, SPX_24H, settings=Settings(_env_file=None, home=home, **QUICK_GROUPS, **changed))
    return set(found) & {"models.direction_classifier", "models.volatility_forecaster"}


def test_a_start_of_one_family_makes_its_model_stale_and_not_the_other(home: Path) -> None:
    since = TrainingSettings(volatility_forecaster=FamilyTraining(since="5y"))
    assert models_stale(home, training=since) == {"models.volatility_forecaster"}


def test_other_features_make_both_models_stale(home: Path) -> None:
    assert models_stale(home, features=("technical", "iv")) == {
        "models.direction_classifier",
        "models.volatility_forecaster",
    }


def test_a_version_that_was_refused_is_not_fitted_again_until_its_inputs_change_and_nothing_follows_from_it(
    home: Path,
) -> None:
    shorten_features(home)
    models, name, at = ModelStore(home / "models"), "volatility_forecaster", {"ticker": "SPX", "horizon": "24h"}
    assert models_stale(home) == {"models.direction_classifier", "models.volatility_forecaster"}
    champion, served = models.latest_version(name, **at), models.load(name, **at)
    record = ParquetStore(home).provenance(FEATURE_TABLE, SPX)
    assert record is not None
    tried = replace(served, inputs={**served.inputs, "features.feature_table": record.content_hash})
    decision = {"kind": "worse", "reason": "worse", "comparison": None}
    models.save(tried, make_latest=False, decision=decision, champion=champion)
    assert models_stale(home) == {"models.direction_classifier"}
    store = ParquetStore(home)
    store.write(
        FEATURE_TABLE, SPX, store.read(FEATURE_TABLE, SPX).iloc[:-1], source=record.source, inputs=record.inputs
    )
    assert models_stale(home) == {"models.direction_classifier", "models.volatility_forecaster"}


def test_after_a_promotion_what_reads_the_model_is_computed_again_and_no_model_is_refitted(home: Path) -> None:
    models, name, at = ModelStore(home / "models"), "volatility_forecaster", {"ticker": "SPX", "horizon": "24h"}
    served = models.load(name, **at)
    other = models.save(replace(served, libraries={**served.libraries, "numpy": "another"}), make_latest=False)
    models.promote(name, version=other, reason="a test", **at)
    found = stale(home, SPX_24H)
    assert not [label for label in found if label in ("models.direction_classifier", "models.volatility_forecaster")]
    assert {"models.registry", "predictions.volatility", "signals.recommendation"} <= set(found)
    assert "predictions.direction" not in found


def test_a_named_model_is_refitted_and_what_reads_it_follows_where_that_is_asked_for(home: Path) -> None:
    settings = Settings(_env_file=None, home=home, **QUICK_GROUPS)
    staleness = Staleness(ParquetStore(home), ModelStore(home / "models"), settings)

    def names(refit: Refit) -> list[str]:
        return [f"{declaration.group}.{declaration.name}" for declaration in to_refit(staleness, SPX_24H, refit)]

    alone = names(Refit(("direction_classifier",), follows=False))
    assert alone == ["models.direction_classifier", "models.inputs", "models.registry", "models.coefficients"]
    followed = names(Refit(("direction_classifier",)))
    assert set(alone) | {"predictions.direction", "evaluation.metrics", "signals.recommendation"} <= set(followed)
    assert not {"models.volatility_forecaster", "predictions.volatility", "labels.targets"} & set(followed)
    both = names(Refit(follows=False))
    assert {"models.direction_classifier", "models.volatility_forecaster"} <= set(both)
    assert {name.partition(".")[0] for name in both} == {"models"}


def test_a_structure_of_the_users_own_reaches_the_opportunities_what_follows_and_the_comparison(home: Path) -> None:
    legs = [{"option_right": "P", "side": "buy", "delta": 0.2}]
    settings = Settings(_env_file=None, home=home, **QUICK_GROUPS, structures=[{"name": "far_put", "legs": legs}])
    assert stale(home, SPX_24H, settings=settings) == [
        "signals.opportunities",
        "evaluation.opportunity_calibration",
        "signals.recommendation",
        "predictions.log",
        "evaluation.live",
        "backtests.recommended_structure",
        "backtests.comparison",
        "monitoring.accuracy",
    ]


def test_a_stricter_gate_reaches_the_backtests_and_nothing_else(home: Path) -> None:
    settings = Settings(_env_file=None, home=home, **QUICK_GROUPS, gate=GateSettings(rule="tolerance"))
    assert stale(home, SPX_24H, settings=settings) == ["backtests.recommended_structure"]


def test_a_lost_slice_is_computed_again_with_what_follows(home: Path) -> None:
    ParquetStore(home).path(METRICS, SPX_24H).unlink()
    assert stale(home, SPX_24H) == ["evaluation.metrics", "evaluation.live", "backtests.recommended_structure"]


def test_new_features_refit_no_model_unless_asked(home: Path) -> None:
    shorten_features(home)
    refreshed, refitted = stale(home, SPX_24H, refit=False), stale(home, SPX_24H, refit=True)
    assert not [name for name in refreshed if name.startswith("models.")]
    assert {"models.direction_classifier", "models.volatility_forecaster"} <= set(refitted)
    assert {"predictions.direction", "evaluation.metrics", "backtests.recommended_structure"} <= set(refreshed)


def test_a_mode_looks_at_its_own_groups_only(home: Path) -> None:
    store = shorten_features(home)
    staleness = Staleness(store, ModelStore(home / "models"), Settings(_env_file=None, home=home, **QUICK_GROUPS))

    def groups(mode: Mode) -> set[str]:
        return {declaration.group for declaration in stale_in_mode(staleness, "ticker_horizon", SPX_24H, mode)}

    assert groups("refresh") == {"predictions", "signals"}
    assert groups("run") == {"models", "predictions", "evaluation", "signals", "backtests", "monitoring"}
    assert groups("evaluate") == groups("backtest") == set()  # they follow the forecasts as stored
    store.path(METRICS, SPX_24H).unlink()
    assert groups("evaluate") == {"evaluation"}
    assert groups("backtest") == {"evaluation", "backtests"}


def test_there_is_nothing_to_score_where_nothing_was_forecast(tmp_path: Path) -> None:
    staleness = Staleness(ParquetStore(tmp_path), ModelStore(tmp_path), Settings(_env_file=None, home=tmp_path))
    assert stale_in_mode(staleness, "ticker_horizon", SPX_24H, "backtest") == []


def test_a_missing_model_is_fitted_even_in_a_refresh(home: Path) -> None:
    shutil.rmtree(home / "models" / "volatility_forecaster")
    assert "models.volatility_forecaster" in stale(home, SPX_24H, refit=False)


def test_raw_data_that_was_written_again_with_the_same_values_makes_nothing_stale(home: Path) -> None:
    store = ParquetStore(home)
    store.write(PRICES_DAILY, SPX, store.read(PRICES_DAILY, SPX), source="sample")
    assert stale(home, SPX) == []
