"""What has to be computed again, on a copy of a real run: just what changed and what follows from it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from assets.execution import Mode, stale_in_mode
from assets.staleness import Staleness
from resources.model_store import ModelStore
from resources.parquet_store import ParquetStore, SliceKey
from tests.conftest import Workspace
from trading_dag.schemas import FEATURE_TABLE, METRICS, PRICES_DAILY
from trading_dag.settings import AugmentationSettings, BacktestSettings, GateSettings, Settings

SPX = SliceKey("SPX")
SPX_24H = SliceKey("SPX", "24h")


@pytest.fixture
def home(sample_run: Workspace, tmp_path: Path) -> Path:
    copy = tmp_path / "home"
    for folder in ("data", "models"):
        shutil.copytree(sample_run.home / folder, copy / folder)
    return copy


def stale(home: Path, key: SliceKey, *, refit: bool = True, settings: Settings | None = None) -> list[str]:
    chosen = settings or Settings(_env_file=None, home=home)
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


def test_a_changed_fee_reaches_the_signals_and_the_backtests_and_nothing_else(home: Path) -> None:
    settings = Settings(_env_file=None, home=home, backtest=BacktestSettings(fee_per_leg_contract_usd=1.0))
    assert stale(home, SPX, settings=settings) == []
    assert stale(home, SPX_24H, settings=settings) == [
        "signals.recommendation",
        "backtests.recommended_structure",
        "backtests.comparison",
    ]


def test_drawn_histories_reach_the_models_and_all_that_follows_when_models_are_refitted(home: Path) -> None:
    settings = Settings(_env_file=None, home=home, augmentation=AugmentationSettings(paths=2))
    assert stale(home, SPX, settings=settings) == []
    assert stale(home, SPX_24H, settings=settings, refit=False) == []
    assert stale(home, SPX_24H, settings=settings) == [
        "models.direction_classifier",
        "models.volatility_forecaster",
        "models.feature_selection",
        "models.registry",
        "predictions.direction",
        "predictions.volatility",
        "evaluation.metrics",
        "signals.recommendation",
        "backtests.recommended_structure",
        "monitoring.drift",
    ]


def test_a_structure_of_the_users_own_reaches_the_comparison_and_nothing_else(home: Path) -> None:
    legs = [{"option_right": "P", "side": "buy", "delta": 0.2}]
    settings = Settings(_env_file=None, home=home, structures=[{"name": "far_put", "legs": legs}])
    assert stale(home, SPX_24H, settings=settings) == ["backtests.comparison"]


def test_a_stricter_gate_reaches_the_backtests_and_nothing_else(home: Path) -> None:
    settings = Settings(_env_file=None, home=home, gate=GateSettings(rule="tolerance"))
    assert stale(home, SPX_24H, settings=settings) == ["backtests.recommended_structure"]


def test_a_lost_slice_is_computed_again_with_what_follows(home: Path) -> None:
    ParquetStore(home).path(METRICS, SPX_24H).unlink()
    assert stale(home, SPX_24H) == ["evaluation.metrics", "backtests.recommended_structure"]


def test_new_features_refit_no_model_unless_asked(home: Path) -> None:
    shorten_features(home)
    refreshed, refitted = stale(home, SPX_24H, refit=False), stale(home, SPX_24H, refit=True)
    assert not [name for name in refreshed if name.startswith("models.")]
    assert {"models.direction_classifier", "models.volatility_forecaster"} <= set(refitted)
    assert {"predictions.direction", "evaluation.metrics", "backtests.recommended_structure"} <= set(refreshed)


def test_a_mode_looks_at_its_own_groups_only(home: Path) -> None:
    store = shorten_features(home)
    staleness = Staleness(store, ModelStore(home / "models"), Settings(_env_file=None, home=home))

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
